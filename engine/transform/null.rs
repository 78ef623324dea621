//! The HL7 null (`""`) as a value of its own: not absent, not a text.

use rhai::{Dynamic, ImmutableString};

use crate::reference::Part;
use crate::vocabulary::Vocabulary;

/// What a sender writes to delete a value it stated before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Null;

pub(crate) fn register(words: &mut Vocabulary) {
    words.named_type::<Null>("HL7 null");
    words.add(
        Part::Values,
        "hl7_null()",
        "The HL7 null, to write into a message or a resource.",
        || Null,
    );
    words.add(
        Part::Values,
        "is_null(value)",
        "Whether the value is the HL7 null.",
        |v: Dynamic| v.is::<Null>(),
    );
    words.add(
        Part::Values,
        "is_absent(value)",
        "Whether the sender said nothing: the value is `()`.",
        |v: Dynamic| v.is_unit(),
    );
    words.add(
        Part::Values,
        "has_value(value)",
        "Whether the value is neither absent, nor the HL7 null, nor an empty text.",
        |v: Dynamic| !v.is_unit() && !v.is::<Null>() && !is_empty_text(&v),
    );
    words.add(
        Part::Values,
        "text(value)",
        "The value as text: empty for absent and for the HL7 null.",
        |v: Dynamic| text(&v),
    );
    words.add(
        Part::Values,
        "code(value)",
        "The value as a code as systems mean it: without blanks round it, in capitals; empty for \
         absent and for the HL7 null.",
        |v: Dynamic| -> ImmutableString { text(&v).trim().to_uppercase().into() },
    );
    words.hidden("==", |_: Null, _: Null| true);
    words.hidden("!=", |_: Null, _: Null| false);
    for name in ["to_string", "to_debug"] {
        words.hidden(name, |_: &mut Null| ImmutableString::new());
    }
}

/// The value as text: empty for absent and for the HL7 null.
pub(crate) fn text(value: &Dynamic) -> ImmutableString {
    if value.is_unit() || value.is::<Null>() {
        return ImmutableString::new();
    }
    match value.read_lock::<ImmutableString>() {
        Some(text) => text.clone(),
        None => value.to_string().into(),
    }
}

fn is_empty_text(value: &Dynamic) -> bool {
    value.read_lock::<ImmutableString>().is_some_and(|text| text.is_empty())
}
