//! Every value that is in force, and where it came from.

use serde::Serialize;
use serde_json::Value;

use crate::config::load::Loaded;

/// A value that is in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// The way to it: `channels.pas-adt.source.charset`.
    pub key: String,
    /// A text, number, truth value or list. A secret shows where it is to be found.
    pub value: Value,
    /// A place in a file, `preset itk-2.4`, `--set engine.data`, or `default`.
    pub from: String,
}

/// All of them, in the order of the configuration.
pub fn effective(loaded: &Loaded) -> Vec<Effective> {
    let mut all = Vec::new();
    // Every part of the model is a text, a number, a list or a map with texts for keys.
    if let Ok(whole) = serde_json::to_value(&loaded.config) {
        walk(loaded, &mut Vec::new(), &whole, &mut all);
    }
    all
}

fn walk(loaded: &Loaded, path: &mut Vec<String>, value: &Value, all: &mut Vec<Effective>) {
    match value {
        Value::Null => {}
        Value::Object(entries) => {
            for (key, value) in entries {
                path.push(key.clone());
                walk(loaded, path, value, all);
                path.pop();
            }
        }
        value => {
            let from = match loaded.tree.get(path) {
                Some(node) if node.place.file.starts_with("preset ") => node.place.file.to_string(),
                Some(node) => node.place.to_string(),
                None => "default".to_owned(),
            };
            all.push(Effective { key: path.join("."), value: value.clone(), from });
        }
    }
}
