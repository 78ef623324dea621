//! JSON objects made by moving their values.
//!
//! The macro `json!` serialises what stands in it, so that a value already built would be copied
//! whole at every level above it.

use serde_json::{Map, Value};

/// An object of these entries, in this order.
pub(crate) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let mut map = Map::with_capacity(N);
    for (key, value) in entries {
        map.insert(key.to_owned(), value);
    }
    Value::Object(map)
}

/// A list of one entry.
pub(crate) fn only(value: Value) -> Value {
    Value::Array(vec![value])
}

/// Sets a text, if there is one.
pub(crate) fn put(out: &mut Map<String, Value>, key: &str, text: Option<String>) {
    if let Some(text) = text {
        out.insert(key.to_owned(), Value::String(text));
    }
}
