//! What can have happened: the event types, when each happened, and the shape of its data.

use serde_json::{Value, json};

/// One kind of event, such as `encounter.admitted`.
#[derive(Debug)]
pub struct EventType {
    /// What it is about and what happened to it, separated by a dot.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// Where the time of the event stands, the best place first. A place in ORC, OBR or OBX is
    /// looked for in the result's own group.
    pub times: &'static [&'static str],
    /// FHIR types that its data holds at least once.
    pub resources: &'static [&'static str],
}

impl EventType {
    /// What it is about: `encounter`.
    pub fn entity(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    /// What happened: `admitted`.
    pub fn verb(&self) -> &'static str {
        self.name.split('.').nth(1).unwrap_or_default()
    }

    /// The CloudEvents `type`: `uk.nhs.sharedrecord.encounter.admitted.v1`.
    pub fn full(&self, namespace: &str) -> String {
        format!("{namespace}.{}.v{MAJOR}", self.name)
    }

    /// The CloudEvents `dataschema`: the identifier of [`EventType::schema`].
    pub fn schema_uri(&self) -> String {
        format!("urn:tieline:schema:{}:{MAJOR}", self.name)
    }

    /// The JSON Schema (2020-12) of the event's `data`.
    pub fn schema(&self) -> Value {
        let mut schema: Value = serde_json::from_str(SCHEMA).unwrap_or_else(|_| json!({}));
        schema["$id"] = json!(self.schema_uri());
        schema["title"] = json!(self.name);
        schema["description"] = json!(self.description);
        let holds = |kind: &&str| {
            json!({ "contains": { "properties": { "resource": { "$ref": format!("#/$defs/{kind}") } },
                                  "required": ["resource"] } })
        };
        schema["properties"]["entry"]["allOf"] = self.resources.iter().map(holds).collect();
        schema
    }
}

/// The major version of every type; a breaking change of one makes a new major.
const MAJOR: u32 = 1;

const SCHEMA: &str = include_str!("schema/bundle.json");

/// The event type of that name.
pub fn lookup(name: &str) -> Option<&'static EventType> {
    CATALOGUE.iter().find(|kind| kind.name == name)
}

/// All event types, in the order in which people read them.
pub fn all() -> &'static [EventType] {
    &CATALOGUE
}

const PERSON: &[&str] = &["EVN-6", "EVN-2", "MSH-7"];
const RESULT: &[&str] = &["OBX-14", "OBR-7", "EVN-2", "MSH-7"];
/// A cancellation happens when it is recorded: its EVN-6 is the time of what is cancelled
/// (HL7 v2 chapter 3, EVN-6).
const CANCELLATION: &[&str] = &["EVN-2", "MSH-7"];

const ENCOUNTER_DATA: &[&str] = &["Patient", "Encounter"];
const RESULT_DATA: &[&str] = &["Patient", "DiagnosticReport"];

const CATALOGUE: [EventType; 15] = [
    EventType {
        name: "patient.registered",
        description: "A person became known to the source.",
        times: PERSON,
        resources: &["Patient"],
    },
    EventType {
        name: "patient.updated",
        description: "What the source holds of a person was stated again or changed.",
        times: PERSON,
        resources: &["Patient"],
    },
    EventType {
        name: "encounter.admitted",
        description: "A patient was admitted to hospital.",
        times: &["PV1-44", "EVN-6", "EVN-2", "MSH-7"],
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "encounter.transferred",
        description: "A patient was moved to another ward, room or bed.",
        times: &["EVN-6", "EVN-2", "MSH-7"],
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "encounter.discharged",
        description: "A patient left hospital.",
        times: &["PV1-45", "EVN-6", "EVN-2", "MSH-7"],
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "encounter.admission-cancelled",
        description: "An admission was recorded in error, or did not take place.",
        times: CANCELLATION,
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "encounter.transfer-cancelled",
        description: "A transfer was recorded in error, or did not take place.",
        times: CANCELLATION,
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "encounter.discharge-cancelled",
        description: "A discharge was recorded in error, or did not take place: the visit goes on.",
        times: CANCELLATION,
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "outpatient.arrived",
        description: "A patient arrived for an outpatient attendance.",
        times: &["PV1-44", "EVN-6", "EVN-2", "MSH-7"],
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "outpatient.attended",
        description: "An outpatient attendance ended: the patient was seen.",
        times: &["PV1-45", "EVN-6", "EVN-2", "MSH-7"],
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "outpatient.arrival-cancelled",
        description: "An outpatient arrival was recorded in error, or did not take place.",
        times: CANCELLATION,
        resources: ENCOUNTER_DATA,
    },
    EventType {
        name: "result.available",
        description: "A report has results, preliminary or final.",
        times: RESULT,
        resources: RESULT_DATA,
    },
    EventType {
        name: "result.corrected",
        description: "A report replaces one with the same resultkey: some results changed.",
        times: RESULT,
        resources: RESULT_DATA,
    },
    EventType {
        name: "result.withdrawn",
        description: "A report with this resultkey must no longer be relied on: all its results \
                      were deleted or belong to another patient or specimen.",
        times: RESULT,
        resources: RESULT_DATA,
    },
    EventType {
        name: "result.cancelled",
        description: "No results will be available for this request.",
        times: RESULT,
        resources: RESULT_DATA,
    },
];

#[cfg(test)]
mod tests {
    use hl7::location::Location;

    use super::*;

    #[test]
    fn every_type_has_an_entity_a_verb_and_times_that_are_locations() {
        for kind in all() {
            assert_eq!(format!("{}.{}", kind.entity(), kind.verb()), kind.name);
            assert_eq!(lookup(kind.name).map(|found| found.name), Some(kind.name));
            for place in kind.times {
                assert!(place.parse::<Location>().is_ok(), "{place}");
            }
        }
        assert!(lookup("encounter.teleported").is_none());
    }

    #[test]
    fn the_end_of_a_visit_is_no_discharge_from_hospital() {
        let times = |name: &str| lookup(name).expect(name).times;
        assert_eq!(times("outpatient.attended"), times("encounter.discharged"));
        let cancelled = times("encounter.admission-cancelled");
        assert_eq!(times("outpatient.arrival-cancelled"), cancelled);
    }

    #[test]
    fn the_full_name_ends_in_the_major_version() {
        let admitted = lookup("encounter.admitted").expect("in the catalogue");
        let full = admitted.full("uk.nhs.sharedrecord");
        assert_eq!(full, "uk.nhs.sharedrecord.encounter.admitted.v1");
    }

    #[test]
    fn every_schema_is_complete() {
        for kind in all() {
            let schema = kind.schema();
            assert_eq!(schema["$id"], kind.schema_uri());
            let wanted = schema["properties"]["entry"]["allOf"].as_array().expect("a list");
            assert_eq!(wanted.len(), kind.resources.len());
            for resource in kind.resources {
                assert!(schema["$defs"][resource].is_object(), "{resource}");
            }
        }
    }
}
