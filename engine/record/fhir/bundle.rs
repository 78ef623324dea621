//! The `data` of an event: a Bundle of what a message stated.

use serde_json::{Map, Value, json};

use crate::fhir::built::Built;

/// Puts resources into a Bundle of type `collection`, the Patient first.
///
/// `cleared` and `replaced` are merged. A path keeps its form `Patient.telecom` where the bundle has
/// one resource of that type, and becomes `Bundle.entry[3].resource.value` where it has several, so
/// that it always says which.
pub fn bundle(resources: Vec<Built>) -> Built {
    let (patients, others): (Vec<_>, Vec<_>) =
        resources.into_iter().partition(|built| built.resource["resourceType"] == "Patient");
    let resources: Vec<Built> = patients.into_iter().chain(others).collect();
    let kinds: Vec<Value> = resources.iter().map(|b| b.resource["resourceType"].clone()).collect();
    let mut whole = Built {
        resource: json!({ "resourceType": "Bundle", "type": "collection" }),
        cleared: Vec::new(),
        replaced: Vec::new(),
        quality: Vec::new(),
    };
    let mut entries = Vec::with_capacity(resources.len());
    for (index, built) in resources.into_iter().enumerate() {
        let alone = kinds.iter().filter(|kind| **kind == kinds[index]).count() == 1;
        let located = |path: String| match path.split_once('.') {
            Some((_, rest)) if !alone => format!("Bundle.entry[{index}].resource.{rest}"),
            _ => path,
        };
        whole.cleared.extend(built.cleared.into_iter().map(located));
        whole.replaced.extend(built.replaced.into_iter().map(located));
        whole.quality.extend(built.quality);
        let url = built.resource["id"].as_str().map(|id| format!("urn:uuid:{id}"));
        // By hand, because `json!` would copy the whole resource.
        let mut entry = Map::new();
        if let Some(url) = url {
            entry.insert("fullUrl".to_owned(), Value::String(url));
        }
        entry.insert("resource".to_owned(), built.resource);
        entries.push(Value::Object(entry));
    }
    whole.resource["entry"] = Value::Array(entries);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(kind: &str, cleared: &str) -> Built {
        Built {
            resource: json!({ "resourceType": kind, "id": kind.to_lowercase() }),
            cleared: vec![format!("{kind}.{cleared}")],
            replaced: Vec::new(),
            quality: vec!["date.unreadable"],
        }
    }

    #[test]
    fn the_patient_comes_first_and_paths_say_which_resource() {
        let whole = bundle(vec![
            built("DiagnosticReport", "issued"),
            built("Observation", "value"),
            built("Patient", "name"),
            built("Observation", "value"),
        ]);
        assert_eq!(whole.resource["type"], "collection");
        assert_eq!(whole.resource["entry"][0]["resource"]["resourceType"], "Patient");
        assert_eq!(whole.resource["entry"][0]["fullUrl"], "urn:uuid:patient");
        let cleared = [
            "Patient.name",
            "DiagnosticReport.issued",
            "Bundle.entry[2].resource.value",
            "Bundle.entry[3].resource.value",
        ];
        assert_eq!(whole.cleared, cleared);
        assert_eq!(whole.quality.len(), 4);
    }
}
