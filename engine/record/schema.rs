//! The JSON Schema (2020-12) of the data of each type of event.

use serde_json::{Value, json};

use crate::catalogue::EventType;

const BUNDLE: &str = include_str!("schema/bundle.json");

/// The schema of an event's `data`.
pub fn schema(kind: &EventType) -> Value {
    let mut schema: Value = serde_json::from_str(BUNDLE).unwrap_or_else(|_| json!({}));
    schema["$id"] = json!(kind.schema_uri());
    schema["title"] = json!(kind.name);
    schema["description"] = json!(kind.description);
    let holds = |kind: &&str| {
        json!({ "contains": { "properties": { "resource": { "$ref": format!("#/$defs/{kind}") } },
                              "required": ["resource"] } })
    };
    schema["properties"]["entry"]["allOf"] = kind.resources.iter().map(holds).collect();
    schema
}
