//! The `data` of an event: a Bundle of what a message stated.

use std::collections::HashMap;

use crate::json::{Object, Value, object};

use crate::fhir::built::{Built, reference, url};

/// Puts resources into a Bundle of type `collection`, the Patient first.
///
/// A resource that stands twice among them, as a specimen that its report brings along already, is put
/// in once. A Provenance aims at all the others.
///
/// `cleared` and `replaced` are merged. A path keeps its form `Patient.telecom` where the bundle has
/// one resource of that type, and becomes `Bundle.entry[3].resource.value` where it has several, so
/// that it always says which.
pub fn bundle(resources: Vec<Built>) -> Built {
    let (patients, others): (Vec<_>, Vec<_>) =
        resources.into_iter().partition(|built| built.resource["resourceType"] == "Patient");
    let mut resources: Vec<Built> = patients.into_iter().chain(others).collect();
    keep_first_of_each(&mut resources);
    aim_provenance(&mut resources);
    let alone = alone(&resources);
    let mut whole = Built {
        resource: object([("resourceType", "Bundle".into()), ("type", "collection".into())]),
        cleared: Vec::new(),
        replaced: Vec::new(),
        quality: Vec::new(),
    };
    let mut entries = Vec::with_capacity(resources.len());
    for ((index, built), alone) in resources.into_iter().enumerate().zip(alone) {
        let located = |path: String| match path.split_once('.') {
            Some((_, rest)) if !alone => format!("Bundle.entry[{index}].resource.{rest}"),
            _ => path,
        };
        whole.cleared.extend(built.cleared.into_iter().map(located));
        whole.replaced.extend(built.replaced.into_iter().map(located));
        whole.quality.extend(built.quality);
        let full_url = built.resource["id"].as_str().map(url);
        let mut entry = Object::with_capacity(2);
        entry.put("fullUrl", full_url);
        entry.insert("resource", built.resource);
        entries.push(Value::Object(entry));
    }
    whole.resource["entry"] = Value::Array(entries);
    whole
}

/// Of each resource whether it is the only one of its type.
fn alone(resources: &[Built]) -> Vec<bool> {
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for of in resources.iter().map(kind) {
        match kinds.iter_mut().find(|(kind, _)| *kind == of) {
            Some((_, count)) => *count += 1,
            None => kinds.push((of, 1)),
        }
    }
    resources.iter().map(|built| kinds.contains(&(kind(built), 1))).collect()
}

fn kind(built: &Built) -> &str {
    built.resource["resourceType"].as_str().unwrap_or_default()
}

/// Takes out what stands there twice. Two versions of one resource are both kept: nobody here could say
/// which of them is meant.
fn keep_first_of_each(resources: &mut Vec<Built>) {
    let mut first = HashMap::with_capacity(resources.len());
    let mut twice = Vec::new();
    for (index, built) in resources.iter().enumerate() {
        let Some(id) = built.resource["id"].as_str() else { continue };
        let earlier = *first.entry(id).or_insert(index);
        if earlier != index && resources[earlier].resource == built.resource {
            twice.push(index);
        }
    }
    for index in twice.into_iter().rev() {
        resources.remove(index);
    }
}

fn aim_provenance(resources: &mut [Built]) {
    let is_provenance = |built: &Built| built.resource["resourceType"] == "Provenance";
    if !resources.iter().any(is_provenance) {
        return;
    }
    let others = resources.iter().filter(|built| !is_provenance(built));
    let targets: Vec<Value> =
        others.filter_map(|built| Some(reference(built.resource["id"].as_str()?))).collect();
    for built in resources.iter_mut().filter(|built| is_provenance(built)) {
        if !targets.is_empty() {
            built.resource["target"] = Value::Array(targets.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::json;

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
        let mut other = built("Observation", "value");
        other.resource["id"] = json!("other");
        let whole = bundle(vec![
            built("DiagnosticReport", "issued"),
            built("Observation", "value"),
            built("Patient", "name"),
            other,
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

    #[test]
    fn a_resource_stands_there_once_and_a_provenance_aims_at_all() {
        let specimen = || built("Specimen", "type");
        let whole = bundle(vec![built("Provenance", "reason"), specimen(), specimen()]);
        let entries = whole.resource["entry"].as_array().expect("a list");
        assert_eq!(entries.len(), 2);
        let target = json!([{ "reference": "urn:uuid:specimen" }]);
        assert_eq!(entries[0]["resource"]["target"], target);
    }
}
