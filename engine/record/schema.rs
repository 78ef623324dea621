//! The JSON Schema (2020-12) of the data of each type of event.
//!
//! The files of schema/ are FHIR R4 with what UK Core and Tieline ask for besides; all but bundle.json
//! are made by engine/xtask/schemas.py. A resource of a type that has no file is not looked into.

use serde_json::{Map, Value, json};

use crate::catalogue::EventType;

const BUNDLE: &str = include_str!("schema/bundle.json");
const DATATYPES: &str = include_str!("schema/datatypes.json");

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("schema/", $name, ".json")))),+]
    };
}

/// The resources that events may hold, and the definitions of each.
const RESOURCES: [(&str, &str); 19] = files![
    "AllergyIntolerance",
    "Appointment",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "Flag",
    "Location",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
];

/// The schema of an event's `data`, complete in itself.
pub fn schema(kind: &EventType) -> Value {
    let mut schema = Map::new();
    schema.insert("$id".to_owned(), json!(kind.schema_uri()));
    schema.insert("title".to_owned(), json!(kind.name));
    schema.insert("description".to_owned(), json!(kind.description));
    schema.extend(read(BUNDLE));
    let mut schema = Value::Object(schema);
    let holds = |kind: &&str| json!({ "contains": { "properties": { "resource": definition(kind) }, "required": ["resource"] } });
    schema["properties"]["entry"]["allOf"] = kind.resources.iter().map(holds).collect();
    let known = |(name, _): &(&str, &str)| {
        json!({ "if": { "properties": { "resourceType": { "const": name } } },
                "then": definition(name) })
    };
    schema["$defs"]["resource"]["allOf"] = RESOURCES.iter().map(known).collect();
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        for text in RESOURCES.into_iter().map(|(_, text)| text).chain([DATATYPES]) {
            definitions.extend(read(text));
        }
    }
    schema
}

fn definition(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

fn read(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("a file of this folder is an object")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::all;

    /// Every `$ref` of a schema.
    fn references(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(map) => {
                for (key, value) in map {
                    if let ("$ref", Some(target)) = (key.as_str(), value.as_str()) {
                        found.push(target.to_owned());
                    }
                    references(value, found);
                }
            }
            Value::Array(list) => list.iter().for_each(|each| references(each, found)),
            _ => {}
        }
    }

    #[test]
    fn every_schema_is_complete() {
        for kind in all() {
            let schema = schema(kind);
            assert_eq!(schema["$id"], kind.schema_uri());
            let wanted = schema["properties"]["entry"]["allOf"].as_array().expect("a list");
            assert_eq!(wanted.len(), kind.resources.len());
            let mut found = Vec::new();
            references(&schema, &mut found);
            for target in found {
                let name = target.strip_prefix("#/$defs/").expect("a definition");
                assert!(schema["$defs"][name].is_object(), "{}: {target}", kind.name);
            }
        }
    }
}
