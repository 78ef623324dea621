//! Writing a profile down, as the YAML that `channels.yaml` names: a line a place, with its name
//! behind it, in an order that makes the difference of two profiles readable.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use crate::dictionary::book;
use crate::dictionary::version::Version;
use crate::location::{Location, SegmentName};
use crate::profile::rules::{Profile, Rule, TypeRules};

/// Where the name of a place begins.
const NAMES: usize = 56;

/// The profile as YAML.
pub fn text(profile: &Profile) -> String {
    let mut out = String::new();
    write(&mut out, profile).expect("a string takes any text");
    out
}

fn write(out: &mut String, profile: &Profile) -> fmt::Result {
    writeln!(out, "profile: {}", quoted(&profile.name))?;
    if profile.messages > 0 {
        writeln!(out, "messages: {}", profile.messages)?;
    }
    if profile.complete {
        writeln!(out, "complete: true    # whatever is not named here is a breach")?;
    }
    if !profile.types.is_empty() {
        writeln!(out, "types:")?;
    }
    for (kind, rules) in &profile.types {
        writeln!(out, "  {}: {{ {} }}", quoted(kind), type_rules(rules))?;
    }
    if !profile.segments.is_empty() {
        writeln!(out, "places:")?;
    }
    for (name, rules) in &profile.segments {
        let seen = if rules.seen > 0 { format!(" seen: {} ", rules.seen) } else { String::new() };
        let title = book::segment(name.as_str()).unwrap_or_default();
        place(out, &format!("{name}: {{{seen}}}"), title)?;
        for (at, rule) in &rules.places {
            place(out, &format!("{at}: {{ {} }}", rule_text(rule)), title_of(*at))?;
        }
    }
    Ok(())
}

fn place(out: &mut String, said: &str, title: &str) -> fmt::Result {
    match title {
        "" => writeln!(out, "  {said}"),
        title => writeln!(out, "  {said:<NAMES$}  # {title}"),
    }
}

fn type_rules(rules: &TypeRules) -> String {
    let names = |names: &BTreeSet<SegmentName>| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    let mut parts = Vec::new();
    if rules.messages > 0 {
        parts.push(format!("messages: {}", rules.messages));
    }
    for (key, segments) in [("always", &rules.always), ("sometimes", &rules.sometimes)] {
        if !segments.is_empty() {
            parts.push(format!("{key}: [{}]", names(segments)));
        }
    }
    parts.join(", ")
}

fn rule_text(rule: &Rule) -> String {
    let mut parts = Vec::new();
    if rule.required {
        parts.push("required: true".to_owned());
    }
    // Of what is required that is known.
    if let Some(filled) = rule.filled.filter(|filled| !(rule.required && *filled == 100)) {
        parts.push(format!("filled: {filled}"));
    }
    if let Some(length) = rule.length {
        parts.push(format!("length: {length}"));
    }
    if let Some(repetitions) = rule.repetitions {
        parts.push(format!("repetitions: {repetitions}"));
    }
    if !rule.codes.is_empty() {
        let codes = rule.codes.iter().map(|code| quoted(code)).collect::<Vec<_>>();
        parts.push(format!("codes: [{}]", codes.join(", ")));
    }
    if let Some(pattern) = &rule.pattern {
        parts.push(format!("pattern: {}", quoted(Rule::inner(pattern))));
    }
    parts.join(", ")
}

fn title_of(at: Location) -> &'static str {
    let (segment, Some(field)) = (at.segment.as_str(), at.field) else { return "" };
    let part = match at.component {
        None => book::field(Version::UK, segment, field),
        Some(wanted) => book::field_component(Version::UK, segment, field, wanted),
    };
    part.map_or("", |part| part.name)
}

/// A text as YAML and JSON both read it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for found in text.chars() {
        match found {
            '"' | '\\' => out.extend(['\\', found]),
            found if found.is_control() => {
                write!(out, "\\u{:04x}", u32::from(found)).expect("a string takes any text");
            }
            found => out.push(found),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::profile::rules::{Profile, Rule, SegmentRules, TypeRules};

    #[test]
    fn a_profile_is_a_line_a_place() {
        let name = |text: &str| text.parse().expect(text);
        let mut pid = SegmentRules { seen: 40, ..SegmentRules::default() };
        let rule = |length| Rule {
            required: true,
            filled: Some(100),
            length: Some(length),
            repetitions: Some(2),
            ..Rule::default()
        };
        pid.places.insert("PID-3".parse().expect("a place"), rule(50));
        let codes = ["1".to_owned(), "\"".to_owned()].into();
        let pattern = Rule::pattern("\\d").ok();
        let sex = Rule { filled: Some(98), codes, pattern, ..Rule::default() };
        pid.places.insert("PID-8".parse().expect("a place"), sex);
        let kind = TypeRules { messages: 40, always: [name("PID")].into(), sometimes: [].into() };
        let profile = Profile {
            name: "pas".to_owned(),
            messages: 40,
            complete: true,
            types: [("ADT^A01".to_owned(), kind)].into(),
            segments: [(name("PID"), pid), (name("ZPI"), SegmentRules::default())].into(),
        };
        let named = |said: &str, name: &str| format!("  {said:<56}  # {name}");
        let expected = [
            "profile: \"pas\"".to_owned(),
            "messages: 40".to_owned(),
            "complete: true    # whatever is not named here is a breach".to_owned(),
            "types:".to_owned(),
            "  \"ADT^A01\": { messages: 40, always: [PID] }".to_owned(),
            "places:".to_owned(),
            named("PID: { seen: 40 }", "Patient Identification"),
            named(
                "PID-3: { required: true, length: 50, repetitions: 2 }",
                "Patient Identifier List",
            ),
            named(
                "PID-8: { filled: 98, codes: [\"\\\"\", \"1\"], pattern: \"\\\\d\" }",
                "Administrative Sex",
            ),
            "  ZPI: {}".to_owned(),
            String::new(),
        ];
        assert_eq!(text(&profile).split('\n').collect::<Vec<_>>(), expected);
    }
}
