//! On well-formed messages, other parsers read what we read: er7, and hl7-parser by its one sound
//! entry point.

use std::borrow::Cow;

use hl7::charset::Charset;
use hl7::location::Location;
use hl7::message::{Message, Reading};
use hl7::value::Value;
use hl7_parser::message::Separators;
use hl7_parser::parser::parse_segment_with_separators;
use proptest::prelude::*;

fn reading() -> Reading {
    Reading { default_charset: Charset::UTF_8, ..Reading::default() }
}

/// Text as a correct sender writes it: delimiters escaped, no control characters.
fn subcomponent() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[A-Za-z0-9 é£.,'-]{0,8}",
        prop::sample::select(vec![
            "\\F\\".to_owned(),
            "\\S\\".to_owned(),
            "\\T\\".to_owned(),
            "\\R\\".to_owned(),
            "\\E\\".to_owned(),
        ]),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn joined(part: impl Strategy<Value = String>, by: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(part, 1..4).prop_map(move |parts| parts.join(by))
}

fn segment() -> impl Strategy<Value = String> {
    let field = joined(joined(joined(subcomponent(), "&"), "^"), "~");
    ("(PID|OBX|ZU1|NK1)", prop::collection::vec(field, 1..6))
        .prop_map(|(name, fields)| format!("{name}|{}", fields.join("|")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn both_read_the_same_values(segments in prop::collection::vec(segment(), 1..4)) {
        let text = format!("MSH|^~\\&|PAS|RXX01|||||ADT^A01|1|P|2.4\r{}\r", segments.join("\r"));
        let ours = Message::parse(text.clone().into_bytes(), &reading()).expect("readable");
        let theirs = er7::parse(&text).expect("readable");
        prop_assert_eq!(theirs.to_er7(), text.trim_end_matches('\r'));
        for segment in ours.segments().skip(1) {
            let name = segment.location().expect("named");
            let occurrence = name.occurrence as usize;
            let other = theirs.segment_at(segment.name(), occurrence).expect("there as well");
            for field in 1..=8 {
                for repetition in 1..=4 {
                    for component in 1..=4 {
                        for subcomponent in 1..=4 {
                            let at = Location {
                                field: Some(field),
                                repetition,
                                component: Some(component),
                                subcomponent: Some(subcomponent),
                                ..name
                            };
                            let found = other
                                .field(field as usize)
                                .and_then(|found| found.repetition(repetition as usize))
                                .and_then(|found| found.component(component as usize))
                                .and_then(|found| found.subcomponent(subcomponent as usize))
                                .map(|found| found.value(&theirs.separators).into_owned())
                                .filter(|found| !found.is_empty());
                            let value = ours.text(&at).map(Cow::into_owned);
                            prop_assert_eq!(value, found.map_or(Value::Absent, Value::Present));
                        }
                    }
                }
            }
        }
    }

    /// In any delimiters, and whatever stands in the fields, the same parts to the byte.
    #[test]
    fn hl7_parser_finds_the_same_parts(
        marks in prop::sample::subsequence("|^~\\&#*+!@$%:;".chars().collect::<Vec<_>>(), 5)
            .prop_shuffle(),
        line in "[0-4A-Zéß \"'.-]{0,60}",
    ) {
        let [field, component, repetition, escape, subcomponent] = marks[..] else { return Ok(()) };
        // The digits stand for delimiters.
        let line: String = line
            .chars()
            .map(|found| found.to_digit(10).map_or(found, |digit| marks[digit as usize]))
            .collect();
        let segment = format!("ZU1{field}{line}");
        let text = format!("MSH{field}{component}{repetition}{escape}{subcomponent}{field}A\r{segment}\r");
        let ours = Message::parse(text.into_bytes(), &reading()).expect("readable");
        let ours = ours.segment("ZU1", 1).expect("there");
        let separators =
            Separators { field, component, repetition, escape, subcomponent, lenient_newlines: false };
        let theirs = parse_segment_with_separators(&segment, separators).expect("readable");
        prop_assert_eq!(theirs.raw_value(), segment.as_str());
        prop_assert_eq!(theirs.fields().count(), ours.field_count());
        for (their, our) in theirs.fields().zip(ours.fields()) {
            prop_assert_eq!(their.raw_value().as_bytes(), our.raw());
            let parts = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
            let their: Vec<_> = their
                .repeats()
                .flat_map(hl7_parser::message::Repeat::components)
                .map(|one| parts(one.subcomponents().map(|part| part.value).collect()))
                .collect();
            let our: Vec<_> = our
                .repetitions()
                .flat_map(|repetition| repetition.components())
                .map(|one| {
                    let raw = one.subcomponents().map(|part| part.raw());
                    parts(raw.map(|raw| str::from_utf8(raw).expect("UTF-8")).collect())
                })
                .collect();
            prop_assert_eq!(their, our);
        }
    }
}
