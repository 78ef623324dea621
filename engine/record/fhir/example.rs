//! Messages for the tests of builders.

use hl7::message::{Message, Reading};

use crate::json::Value;
use crate::source::Source;

/// A message of that type with these segments.
pub(crate) fn message(kind: &str, body: &str) -> Message {
    let text = format!(
        "MSH|^~\\&|PAS|RXX01|TIE|RXX|202401101500||{kind}|M1|P|2.4\rEVN||202401101430\r{body}"
    );
    Message::parse(text.into_bytes(), &Reading::default()).expect("a message")
}

/// A segment with these fields, by their numbers in ascending order.
pub(crate) fn segment(name: &str, fields: &[(usize, &str)]) -> String {
    let mut out = name.to_owned();
    let mut at = 0;
    for (field, value) in fields {
        out.push_str(&"|".repeat(field - at));
        out.push_str(value);
        at = *field;
    }
    out
}

/// The sender of the examples.
pub(crate) fn source() -> Source {
    Source::new("pas-adt", "RXX")
}

/// The codes of a concept.
pub(crate) fn code(concept: &Value) -> &str {
    concept["coding"][0]["code"].as_str().unwrap_or_default()
}
