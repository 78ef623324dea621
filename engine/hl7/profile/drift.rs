//! What a feed does otherwise than it did: two profiles compared, after a supplier's upgrade.

use std::collections::BTreeSet;

use crate::location::Location;
use crate::profile::check::message_type;
use crate::profile::observe::ENOUGH;
use crate::profile::rules::{Profile, Rule, SegmentRules, TypeRules};

/// So many of something would have been seen by now, were nothing changed; what is rarer may only
/// not have come yet.
const EXPECTED: u64 = 5;

/// A share of filled fields that changes by so many of 100 is news.
const SHARE: u32 = 25;

/// One thing that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    /// Where: a segment, a field or a component; MSH-9 for a type of message.
    pub at: Location,
    /// The type of message, where the change is of one.
    pub message_type: Option<String>,
    /// What.
    pub change: Change,
}

/// What can change. Shares are of 100 segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A type of message that was never sent; and how many there are.
    NewType(u64),
    /// A type of message that is sent no more; and how many there were.
    GoneType(u64),
    /// A segment that was never sent, or never in messages of the type; and how many there are.
    NewSegment(u64),
    /// A segment that is sent no more; and how many there were.
    GoneSegment(u64),
    /// A segment that every message of the type had, and some now lack.
    NotAlways,
    /// A field that was never filled; and its share.
    NewField(u32),
    /// A field that is filled no more; and the share it had.
    Emptied(u32),
    /// A field that is filled much more or much less often than it was.
    Share(u32, u32),
    /// A field that was filled in each segment, and now is not; and its share.
    NotRequired(u32),
    /// Codes that were never sent.
    NewCodes(BTreeSet<String>),
    /// A field that held few codes, and now holds many, or no codes.
    NoCodes,
    /// Longer values.
    Length(u32, u32),
    /// More repetitions.
    Repetitions(u32, u32),
    /// Values that were all digits, and now are others or another number of them; as patterns.
    Form(String, String),
}

/// Everything in `after` that is otherwise than in `before`, in the order of types, then places.
pub fn drift(before: &Profile, after: &Profile) -> Vec<Drift> {
    let mut found = Vec::new();
    types(before, after, &mut found);
    for (name, rules) in &after.segments {
        let at = Location::segment(*name);
        match before.segments.get(name) {
            Some(was) => fields(was, rules, &mut found),
            None => found.push(one(at, Change::NewSegment(rules.seen))),
        }
    }
    for (name, was) in &before.segments {
        let due = due(was.seen, before.messages, after.messages);
        if !after.segments.contains_key(name) && due {
            found.push(one(Location::segment(*name), Change::GoneSegment(was.seen)));
        }
    }
    // Types come first.
    found.sort_by_key(|drift| (drift.message_type.is_none(), drift.message_type.clone(), drift.at));
    found
}

/// A name of a change, the same in every form: `new code`.
impl Change {
    /// Its name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NewType(_) => "new type",
            Self::GoneType(_) => "type gone",
            Self::NewSegment(_) => "new segment",
            Self::GoneSegment(_) => "segment gone",
            Self::NotAlways => "not always",
            Self::NewField(_) => "new field",
            Self::Emptied(_) => "emptied",
            Self::Share(before, after) if before < after => "filled more",
            Self::Share(..) => "filled less",
            Self::NotRequired(_) => "not always",
            Self::NewCodes(_) => "new code",
            Self::NoCodes => "no codes",
            Self::Length(..) => "longer",
            Self::Repetitions(..) => "repeats more",
            Self::Form(..) => "other form",
        }
    }

    /// What was, and what is, in words; codes in quotes.
    pub fn words(&self) -> (String, String) {
        let share = |share: &u32| format!("{share} %");
        match self {
            Self::NewType(count) | Self::NewSegment(count) => (String::new(), count.to_string()),
            Self::GoneType(count) | Self::GoneSegment(count) => (count.to_string(), "0".to_owned()),
            Self::NotAlways => ("always".to_owned(), "sometimes".to_owned()),
            Self::NewField(after) => (String::new(), share(after)),
            Self::Emptied(before) => (share(before), share(&0)),
            Self::Share(before, after) => (share(before), share(after)),
            Self::NotRequired(after) => ("always".to_owned(), share(after)),
            Self::NewCodes(codes) => {
                let codes = codes.iter().map(|code| format!("{code:?}")).collect::<Vec<_>>();
                (String::new(), codes.join(", "))
            }
            Self::NoCodes => ("few codes".to_owned(), "anything".to_owned()),
            Self::Length(before, after) | Self::Repetitions(before, after) => {
                (before.to_string(), after.to_string())
            }
            Self::Form(before, after) => (before.clone(), after.clone()),
        }
    }
}

fn one(at: Location, change: Change) -> Drift {
    Drift { at, message_type: None, change }
}

/// Whether so many in so many messages would have come again by now.
fn due(count: u64, of: u64, now: u64) -> bool {
    count.saturating_mul(now).checked_div(of).unwrap_or_default() >= EXPECTED
}

fn types(before: &Profile, after: &Profile, found: &mut Vec<Drift>) {
    let mut tell = |kind: &str, at, change| {
        found.push(Drift { at, message_type: Some(kind.to_owned()), change });
    };
    if before.types.is_empty() || after.types.is_empty() {
        return;
    }
    for (kind, rules) in &after.types {
        let Some(was) = before.types.get(kind) else {
            tell(kind, message_type(), Change::NewType(rules.messages));
            continue;
        };
        for name in rules.always.union(&rules.sometimes) {
            // What is new altogether is said once.
            if !was.knows(*name) && before.segments.contains_key(name) {
                tell(kind, Location::segment(*name), Change::NewSegment(rules.messages));
            }
        }
        for name in lost(was, rules) {
            tell(kind, Location::segment(name), Change::NotAlways);
        }
    }
    for (kind, was) in &before.types {
        if !after.types.contains_key(kind) && due(was.messages, before.messages, after.messages) {
            tell(kind, message_type(), Change::GoneType(was.messages));
        }
    }
}

/// Segments that each message of a type had, and some now lack.
fn lost(was: &TypeRules, is: &TypeRules) -> impl Iterator<Item = crate::location::SegmentName> {
    // Too few messages make no rule: that nothing is always there means nothing.
    let enough = is.messages >= ENOUGH || is.messages == 0;
    let lost = was.always.difference(&is.always).copied().collect::<Vec<_>>();
    lost.into_iter().filter(move |_| enough)
}

fn fields(was: &SegmentRules, is: &SegmentRules, found: &mut Vec<Drift>) {
    for (at, rule) in &is.places {
        match was.places.get(at) {
            Some(before) => {
                place(*at, before, rule, was.seen.min(is.seen), found);
            }
            None if at.component.is_none() => {
                let share = rule.filled.unwrap_or_default();
                found.push(one(*at, Change::NewField(share)));
            }
            None => {}
        }
    }
    for (at, before) in &was.places {
        let share = before.filled.unwrap_or_default();
        let due = u64::from(share).saturating_mul(is.seen) / 100 >= EXPECTED;
        if at.component.is_none() && due && !is.places.contains_key(at) {
            found.push(one(*at, Change::Emptied(share)));
        }
    }
}

/// `seen` is how many segments both know of at least.
fn place(at: Location, was: &Rule, is: &Rule, seen: u64, found: &mut Vec<Drift>) {
    let mut tell = |change| found.push(one(at, change));
    let enough = seen >= ENOUGH;
    if let (Some(before), Some(after)) = (was.filled, is.filled)
        && enough
    {
        if before.abs_diff(after) >= SHARE {
            tell(Change::Share(before, after));
        } else if was.required && after < 100 {
            tell(Change::NotRequired(after));
        }
    }
    if !was.codes.is_empty() {
        let new: BTreeSet<String> = is.codes.difference(&was.codes).cloned().collect();
        if !new.is_empty() {
            tell(Change::NewCodes(new));
        } else if is.codes.is_empty() && enough {
            tell(Change::NoCodes);
        }
    }
    if let (Some(before), Some(after)) = (was.length, is.length)
        && after > before
    {
        tell(Change::Length(before, after));
    }
    if let (Some(before), Some(after)) = (was.repetitions, is.repetitions)
        && after > before
    {
        tell(Change::Repetitions(before, after));
    }
    let values = u64::from(is.filled.unwrap_or_default()).saturating_mul(seen) / 100;
    if let Some(change) = form(was, is)
        && values >= ENOUGH
    {
        tell(change);
    }
}

/// Only digits were learned, so that only they can be held against what was learned later.
fn form(was: &Rule, is: &Rule) -> Option<Change> {
    let before = was.pattern.as_ref().map(Rule::inner).filter(|form| form.starts_with("[0-9]"))?;
    match is.pattern.as_ref().map(Rule::inner) {
        Some(after) if before == "[0-9]+" || after == before => None,
        Some(after) => Some(Change::Form(before.to_owned(), after.to_owned())),
        None if is.codes.is_empty() => Some(Change::Form(before.to_owned(), "anything".to_owned())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::drift;
    use crate::message::{Message, Reading};
    use crate::profile::observe::Observed;
    use crate::profile::rules::Profile;

    fn learned(count: usize, lines: impl Fn(usize) -> String) -> Profile {
        let mut observed = Observed::default();
        for n in 0..count {
            let text = format!("MSH|^~\\&|PAS||||||ADT^A01|1|P|2.4\r{}\r", lines(n));
            let message = Message::parse(text.into_bytes(), &Reading::default()).expect("reads");
            observed.learn(&message);
        }
        observed.profile("pas")
    }

    fn found(before: &Profile, after: &Profile) -> Vec<String> {
        let found = drift(before, after);
        let lines = found.iter().map(|drift| {
            let (was, is) = drift.change.words();
            let kind = drift.message_type.clone().unwrap_or_default();
            format!("{kind} {} {} {was} -> {is}", drift.at, drift.change.name())
        });
        lines.map(|line| line.trim().to_owned()).collect()
    }

    fn usual(n: usize) -> String {
        let phone = if n.is_multiple_of(2) { "01632" } else { "" };
        format!("PID|1||{}||SMITH|||{}|||||{phone}", 1000 + n, ["1", "2"][n % 2])
    }

    #[test]
    fn the_same_feed_does_not_drift() {
        assert_eq!(found(&learned(100, usual), &learned(60, usual)), [""; 0]);
        // Two messages say nothing of what is gone.
        assert_eq!(found(&learned(100, usual), &learned(2, usual)), [""; 0]);
    }

    #[test]
    fn an_upgrade_is_seen() {
        let before = learned(100, usual);
        let after = learned(40, |n| {
            let sex = if n == 7 { "X" } else { "1" };
            format!("PID|1||{n}~8||{}|||{sex}||||||LONDON\rZPI|1", "S".repeat(40))
        });
        assert_eq!(
            found(&before, &after),
            [
                "PID-3 repeats more 1 -> 2",
                "PID-3 other form [0-9]{4} -> [0-9]+",
                "PID-5 longer 6 -> 50",
                "PID-8 new code  -> \"X\"",
                "PID-13 emptied 50 % -> 0 %",
                "PID-14 new field  -> 100 %",
                "ZPI new segment  -> 40",
            ]
        );
    }

    #[test]
    fn what_is_missing_now_is_seen() {
        let with = |n: usize| format!("{}\rPV1|1|I", usual(n));
        let after = |n: usize| if n.is_multiple_of(2) { with(n) } else { "PID|1||7".to_owned() };
        let found = found(&learned(100, with), &learned(100, after));
        assert_eq!(found[0], "ADT^A01 PV1 not always always -> sometimes");
        assert!(found.contains(&"PID-8 filled less 100 % -> 50 %".to_owned()), "{found:?}");
        assert!(found.contains(&"PID-5 filled less 100 % -> 50 %".to_owned()), "{found:?}");
    }
}
