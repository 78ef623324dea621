//! What can have happened: the event types, what makes each, when it happened, what it says is gone,
//! and what its data holds. One file below for each thing that events are about.
//!
//! docs/event-types.md is written from here, and so are the JSON Schemas.

mod appointment;
mod care;
mod document;
mod emergency;
mod encounter;
mod finding;
mod order;
mod outpatient;
mod patient;
mod plan;
mod referral;
mod report;
mod social;
mod unused;
mod waiting;

use std::sync::LazyLock;

pub use unused::{UNUSED, Unused};

/// One kind of event, such as `encounter.admitted`.
#[derive(Debug)]
pub struct EventType {
    /// What it is about and what happened to it, separated by a dot.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// What in a message makes it: trigger events of HL7 v2 and what tells them apart.
    pub trigger: &'static str,
    /// Where the time of the event stands, the best place first: a field, or a component of one. A
    /// place in ORC, OBR or OBX is looked for in the result's own group.
    pub times: &'static [&'static str],
    /// FHIR types that its data holds at least once.
    pub resources: &'static [&'static str],
    /// What an HL7 null takes away from whoever holds the record.
    pub cleared: &'static str,
    /// Which lists it states in full, so that what is not in them is gone.
    pub replaced: &'static str,
    /// The field with which golden cases show absent, `""`, `^""^` and a value.
    pub shown_by: &'static str,
    /// Tieline makes it from what it knows of identities; a script cannot.
    pub engine: bool,
    /// It goes to subscribers with an entitlement only, whoever the patient is.
    pub restricted: bool,
    /// The heading of the Core Information Standard (PRSB) that it belongs to.
    pub heading: &'static str,
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

    /// Whether what it says of the person only says who is meant. A laboratory, or who writes or
    /// orders something, repeats what it was told, perhaps long ago: that must not undo what the
    /// hospital has put right since.
    pub fn repeats_the_person(&self) -> bool {
        matches!(self.entity(), "result" | "order" | "observation" | "document")
    }

    /// The CloudEvents `type`: `uk.nhs.sharedrecord.encounter.admitted.v1`.
    pub fn full(&self, namespace: &str) -> String {
        [namespace, ".", self.name, ".v", MAJOR].concat()
    }

    /// The CloudEvents `dataschema`: the identifier of its JSON Schema.
    pub fn schema_uri(&self) -> String {
        ["urn:tieline:schema:", self.name, ":", MAJOR].concat()
    }
}

/// The major version of every type; a breaking change of one makes a new major.
const MAJOR: &str = "1";

/// In the order in which people read them.
const PARTS: [&[EventType]; 14] = [
    patient::EVENTS,
    encounter::EVENTS,
    plan::EVENTS,
    emergency::EVENTS,
    outpatient::EVENTS,
    appointment::EVENTS,
    waiting::EVENTS,
    referral::EVENTS,
    order::EVENTS,
    report::EVENTS,
    document::EVENTS,
    finding::EVENTS,
    care::EVENTS,
    social::EVENTS,
];

static ALL: LazyLock<Vec<&'static EventType>> =
    LazyLock::new(|| PARTS.iter().copied().flatten().collect());

/// The event type of that name.
pub fn lookup(name: &str) -> Option<&'static EventType> {
    ALL.iter().copied().find(|kind| kind.name == name)
}

/// All event types, in the order in which people read them.
pub fn all() -> &'static [&'static EventType] {
    &ALL
}

/// When something happened, for most: EVN-6 says when, EVN-2 when it was recorded.
const HAPPENED: &[&str] = &["EVN-6", "EVN-2", "MSH-7"];
/// A cancellation happens when it is recorded: its EVN-6 is the time of what is cancelled
/// (HL7 v2 chapter 3, EVN-6).
const CANCELLATION: &[&str] = &["EVN-2", "MSH-7"];
/// The beginning of a visit.
const BEGUN: &[&str] = &["PV1-44", "EVN-6", "EVN-2", "MSH-7"];
/// The end of a visit.
const ENDED: &[&str] = &["PV1-45", "EVN-6", "EVN-2", "MSH-7"];
/// A result, and an observation that is none of a laboratory.
const OBSERVED: &[&str] = &["OBX-14", "OBR-7", "EVN-2", "MSH-7"];

/// Rules that several entities share.
const NO_CLEARED: &str = "Nothing: what is not stated was not known, or not said.";
const NO_REPLACED: &str = "No list.";
const PERSON_CLEARED: &str = "`\"\"` in a field of PID or PD1 names the element of Patient that the \
    field becomes, as in `Patient.telecom.where(use!='work')` for PID-13; `\"\"` in one component the \
    part that it becomes, as in `Patient.name.given`.";
const PERSON_REPLACED: &str = "Every repeating field of PID that has a value: `Patient.identifier`, \
    `Patient.name`, `Patient.address`, `Patient.telecom` (home, work), and \
    `Patient.generalPractitioner` (practice, doctor) of PD1; and `RelatedPerson` where there is an NK1.";
const AS_PERSON: &str = "As in `patient.updated`.";
const NOTHING_OF_PERSON: &str = "Nothing of Patient: who reports, orders or writes something repeats \
    what was said of the person once.";
const STAY_CLEARED: &str = "`\"\"` in a field of PV1 or PV2 names the element of Encounter that the \
    field becomes, as in `Encounter.location.where(status='active')` for PV1-3, or the part that a \
    component becomes; of Patient as in `patient.updated`.";
const STAY_REPLACED: &str = "`Encounter.location`, and `Encounter.participant` of each role that is \
    stated; of Patient as in `patient.updated`.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use hl7::location::Location;

    use super::*;

    #[test]
    fn every_type_has_an_entity_a_verb_and_times_that_are_locations() {
        let mut names = BTreeSet::new();
        for kind in all() {
            assert!(names.insert(kind.name), "{} is there twice", kind.name);
            assert_eq!(format!("{}.{}", kind.entity(), kind.verb()), kind.name);
            assert_eq!(lookup(kind.name).map(|found| found.name), Some(kind.name));
            for place in kind.times {
                assert!(place.parse::<Location>().is_ok(), "{place}");
            }
        }
        assert!(lookup("encounter.teleported").is_none());
    }

    #[test]
    fn every_type_says_what_makes_it_and_how_to_apply_it() {
        for kind in all() {
            let said = [kind.description, kind.trigger, kind.cleared, kind.replaced];
            for words in said.into_iter().chain([kind.heading, kind.shown_by]) {
                assert!(!words.is_empty(), "{}", kind.name);
            }
            assert_eq!(kind.resources.first(), Some(&"Patient"), "{}", kind.name);
            assert!(kind.times.ends_with(&["MSH-7"]), "{}", kind.name);
            assert!(kind.engine || kind.shown_by.parse::<Location>().is_ok(), "{}", kind.name);
        }
        for Unused { name, .. } in UNUSED {
            assert!(lookup(name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_is_safeguarding_is_restricted() {
        for kind in all() {
            assert_eq!(kind.restricted, kind.entity() == "safeguarding", "{}", kind.name);
        }
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
}
