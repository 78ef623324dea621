//! The JSON Schema of channels.yaml, for editors. Its descriptions are the model's doc comments.

use serde_json::Value;

use crate::config::model::Config;

/// The schema.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("title".to_owned(), "channels.yaml".into());
    }
    schema
}

/// The schema as it is committed and as `tieline schema` prints it.
pub fn text() -> String {
    format!("{:#}\n", json_schema())
}

/// The keys a struct of the model must have.
pub(super) fn required(of: &str) -> Vec<String> {
    let schema = json_schema();
    let keys = schema["$defs"][of]["required"].as_array();
    let keys = keys.into_iter().flatten().filter_map(Value::as_str);
    keys.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_the_one_of_this_model() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/channels.schema.json");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == text(),
            "docs/channels.schema.json is out of date: tieline schema > docs/channels.schema.json"
        );
    }

    #[test]
    fn every_key_says_what_it_is_for() {
        let schema = json_schema();
        let mut mute = Vec::new();
        let parts = schema["$defs"].as_object().into_iter().flatten();
        for (part, definition) in
            parts.map(|(name, d)| (name.as_str(), d)).chain([("Config", &schema)])
        {
            for (key, property) in definition["properties"].as_object().into_iter().flatten() {
                let described = property["description"].is_string();
                let refers = property["$ref"].is_string();
                if !described && !refers {
                    mute.push(format!("{part}.{key}"));
                }
            }
        }
        assert!(mute.is_empty(), "without a doc comment: {mute:?}");
    }
}
