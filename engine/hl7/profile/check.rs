//! Holding a message against a profile.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::charset::Charset;
use crate::location::{Location, SegmentName};
use crate::message::Message;
use crate::profile::rules::{Profile, Rule, TypeRules};
use crate::segment::{Repetition, Segment};
use crate::value::Value;

/// What a message does otherwise than its profile: a rule's place and what was wrong, no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Breach {
    /// The place of the rule: a segment, a field or a component, without occurrence and repetition;
    /// MSH-9 for a type of message that the feed does not send.
    pub at: Location,
    /// What was wrong.
    pub class: Class,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Something that is always there is not.
    Missing,
    /// Something is there that never was.
    Unexpected,
    /// It is too long.
    Length,
    /// It repeats too often.
    Repetitions,
    /// It is none of the codes.
    Code,
    /// It does not look like the pattern.
    Pattern,
}

impl Class {
    /// Its code among the findings of data quality and the reasons of parked messages.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "profile.missing",
            Self::Unexpected => "profile.unexpected",
            Self::Length => "profile.length",
            Self::Repetitions => "profile.repetitions",
            Self::Code => "profile.code",
            Self::Pattern => "profile.pattern",
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.code().trim_start_matches("profile.")
    }
}

/// The type of a message as profiles name it: `ADT^A01`, or `ACK`.
pub fn type_of(message: &Message) -> String {
    let part = |number| {
        let header = message.segment_at(0);
        header.map(|header| header.text(9, number).unwrap_or_default().into_owned())
    };
    match (part(1).unwrap_or_default(), part(2).unwrap_or_default()) {
        (code, trigger) if trigger.is_empty() => code,
        (code, trigger) => format!("{code}^{trigger}"),
    }
}

/// Everything that a message does otherwise, each rule once, in the order of places.
pub fn check(message: &Message, profile: &Profile) -> BTreeSet<Breach> {
    let mut found = BTreeSet::new();
    let kind = profile.types.get(&type_of(message));
    match kind {
        Some(kind) => missing(message, kind, &mut found),
        None if profile.complete && !profile.types.is_empty() => {
            found.insert(Breach { at: message_type(), class: Class::Unexpected });
        }
        None => {}
    }
    for segment in message.segments() {
        let Some(name) = SegmentName::new(segment.name().as_bytes()) else { continue };
        let rules = profile.segments.get(&name);
        let known = rules.is_some() && kind.is_none_or(|kind| kind.knows(name));
        if profile.complete && !known {
            found.insert(Breach { at: Location::segment(name), class: Class::Unexpected });
        }
        let Some(rules) = rules else { continue };
        for (at, rule) in &rules.places {
            hold(&segment, *at, rule, message.charset(), &mut found);
        }
        if profile.complete {
            for (number, field) in (1..).zip(segment.fields()) {
                if !field.is_empty() && !is_delimiters(name, number) && !rules.knows(name, number) {
                    let at = Location { field: Some(number), ..Location::segment(name) };
                    found.insert(Breach { at, class: Class::Unexpected });
                }
            }
        }
    }
    found
}

/// MSH-1 and MSH-2 are how the message is written, not what it says.
pub(super) fn is_delimiters(segment: SegmentName, field: u32) -> bool {
    field <= 2 && matches!(segment.as_str(), "MSH" | "FHS" | "BHS")
}

/// The place that says which type a message is of.
pub(super) fn message_type() -> Location {
    let name = SegmentName::new(b"MSH").expect("three capital letters are a name");
    Location { field: Some(9), ..Location::segment(name) }
}

fn missing(message: &Message, kind: &TypeRules, found: &mut BTreeSet<Breach>) {
    for name in &kind.always {
        if message.segment(name.as_str(), 1).is_none() {
            found.insert(Breach { at: Location::segment(*name), class: Class::Missing });
        }
    }
}

/// Holds one segment against one rule.
fn hold(
    segment: &Segment<'_>,
    at: Location,
    rule: &Rule,
    charset: Charset,
    found: &mut BTreeSet<Breach>,
) {
    let Some(number) = at.field else { return };
    let mut breach = |class| {
        found.insert(Breach { at, class });
    };
    let field = segment.field(number as usize).filter(|field| !field.is_empty());
    let Some(field) = field else {
        // A component is wanted only where its field is.
        if rule.required && at.component.is_none() {
            breach(Class::Missing);
        }
        return;
    };
    if field.is_null() {
        return;
    }
    let mut count = 0;
    for repetition in field.repetitions() {
        count += 1;
        let (raw, value) = part(&repetition, at);
        if rule.required && raw.is_empty() {
            breach(Class::Missing);
        }
        if rule.length.is_some_and(|most| is_longer(raw, most, charset)) {
            breach(Class::Length);
        }
        let Value::Present(value) = value else { continue };
        if !rule.codes.is_empty() && !rule.codes.contains(value.as_ref()) {
            breach(Class::Code);
        }
        if rule.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&value)) {
            breach(Class::Pattern);
        }
    }
    if rule.repetitions.is_some_and(|most| count > most) {
        breach(Class::Repetitions);
    }
}

/// The bytes whose length counts, and the value that codes and patterns are of.
fn part<'m>(repetition: &Repetition<'m>, at: Location) -> (&'m [u8], Value<Cow<'m, str>>) {
    let (component, subcomponent) = (at.component.unwrap_or(1), at.subcomponent.unwrap_or(1));
    let value = repetition.text(component as usize, subcomponent as usize);
    let raw = match at.component {
        None => repetition.raw(),
        Some(number) => repetition.component(number as usize).map_or(&[][..], |found| found.raw()),
    };
    (raw, value)
}

/// A character has at least one byte: most values need not be decoded to be short enough.
fn is_longer(raw: &[u8], most: u32, charset: Charset) -> bool {
    raw.len() > most as usize && charset.decode(raw).text.chars().count() > most as usize
}

#[cfg(test)]
mod tests {
    use super::{Breach, Class, check};
    use crate::location::{Location, SegmentName};
    use crate::message::{Message, Reading};
    use crate::profile::rules::{Profile, Rule, SegmentRules, TypeRules};

    fn message(lines: &[&str]) -> Message {
        let text = format!(
            "MSH|^~\\&|PAS||||||ADT^A01|1|P|2.4||||||UNICODE UTF-8\r{}\r",
            lines.join("\r")
        );
        Message::parse(text.into_bytes(), &Reading::default()).expect("reads")
    }

    fn name(text: &str) -> SegmentName {
        text.parse().expect(text)
    }

    /// Rules for places of PID and MSH.
    fn profile(rules: Vec<(&str, Rule)>) -> Profile {
        let mut profile = Profile::default();
        for (at, rule) in rules {
            let at: Location = at.parse().expect(at);
            let segment: &mut SegmentRules = profile.segments.entry(at.segment).or_default();
            segment.places.insert(at, rule);
        }
        profile
    }

    fn breaches(profile: &Profile, lines: &[&str]) -> Vec<String> {
        let found = check(&message(lines), profile);
        found.iter().map(|Breach { at, class }| format!("{at} {}", class.name())).collect()
    }

    #[test]
    fn each_rule_is_held_against_every_repetition() {
        let codes = ["F", "M"].map(str::to_owned).into();
        let profile = profile(vec![
            ("PID-3", Rule { required: true, repetitions: Some(2), ..Rule::default() }),
            ("PID-3.4", Rule { required: true, ..Rule::default() }),
            ("PID-5", Rule { length: Some(8), ..Rule::default() }),
            ("PID-8", Rule { codes, ..Rule::default() }),
            ("PID-3.1", Rule { pattern: Rule::pattern("[0-9]{2,7}").ok(), ..Rule::default() }),
        ]);
        let none: [&str; 0] = [];
        assert_eq!(breaches(&profile, &["PID|||77^^^RXX~88^^^RYY||ÄÖÜ^ß|||F"]), none);
        assert_eq!(breaches(&profile, &["PID|||77^^^RXX||\"\"|||\"\""]), none);
        assert_eq!(breaches(&profile, &["PID|1"]), ["PID-3 missing"]);
        assert_eq!(
            breaches(&profile, &["PID|||77^^^RXX~8a~9||ABCDE^FGH|||X", "PID|||1^^^R"]),
            [
                "PID-3 repetitions",
                "PID-3.1 pattern",
                "PID-3.4 missing",
                "PID-5 length",
                "PID-8 code"
            ]
        );
    }

    #[test]
    fn what_a_complete_profile_does_not_name_is_unexpected() {
        let mut profile = profile(vec![("PID-3", Rule::default()), ("MSH-9", Rule::default())]);
        let always = [name("MSH"), name("PID"), name("PV1")].into();
        let kind = TypeRules { always, ..TypeRules::default() };
        profile.types.insert("ADT^A01".to_owned(), kind);
        assert_eq!(breaches(&profile, &["PID|1||7", "ZPI|1"]), ["PV1 missing"]);
        profile.complete = true;
        assert_eq!(
            breaches(&profile, &["PID|1||7|||||", "ZPI|1"]),
            [
                "MSH-3 unexpected",
                "MSH-10 unexpected",
                "MSH-11 unexpected",
                "MSH-12 unexpected",
                "MSH-18 unexpected",
                "PID-1 unexpected",
                "PV1 missing",
                "ZPI unexpected"
            ]
        );
        let types = std::mem::take(&mut profile.types);
        let renamed = types.into_values().map(|kind| ("ADT^A02".to_owned(), kind)).collect();
        profile.types = renamed;
        assert!(breaches(&profile, &["PID|||7"]).contains(&"MSH-9 unexpected".to_owned()));
    }

    #[test]
    fn a_breach_says_nothing_of_the_message() {
        let profile = profile(vec![("PID-5", Rule { length: Some(1), ..Rule::default() })]);
        let found = check(&message(&["PID|||||SECRET"]), &profile);
        assert!(!format!("{found:?}").contains("SECRET"));
        assert_eq!(found.first().map(|breach| breach.class), Some(Class::Length));
    }
}
