//! Stays in hospital.

use super::{BEGUN, CANCELLATION, ENDED, EventType, HAPPENED, STAY_CLEARED, STAY_REPLACED};
use super::{NO_CLEARED, NO_REPLACED};

const STAY: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient", "Encounter"],
    cleared: STAY_CLEARED,
    replaced: STAY_REPLACED,
    shown_by: "PV1-3",
    engine: false,
    restricted: false,
    heading: "Admission details",
};

/// Names the visit by its number (PV1-19, PV1-50), without which nobody could tell what no longer
/// holds; such a message parks.
const CANCELLED: EventType = EventType { times: CANCELLATION, shown_by: "PV1-10", ..STAY };

const MOVED: EventType =
    EventType { cleared: NO_CLEARED, replaced: NO_REPLACED, shown_by: "-", engine: true, ..STAY };

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "encounter.admitted",
        description: "A patient was admitted to hospital.",
        trigger: "A01 of class I, R or B. Of class O: `outpatient.arrived`.",
        times: BEGUN,
        ..STAY
    },
    EventType {
        name: "encounter.admission-cancelled",
        description: "An admission was recorded in error, or did not take place.",
        trigger: "A11 of class I, R or B.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.transferred",
        description: "A patient was moved to another ward, room or bed.",
        trigger: "A02, or A10 of class I, R or B, with another location than was stated last. A17 is about \
                  two patients, of whom an event can have one, and parks (`identity.two-numbers` or \
                  `identity.two-patients`): have the system send an A02 for each.",
        ..STAY
    },
    EventType {
        name: "encounter.transfer-cancelled",
        description: "A transfer was recorded in error, or did not take place.",
        trigger: "A12.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.consultant-changed",
        description: "Another consultant is in charge: a consultant episode ended and another began.",
        trigger: "A54; A02, A08 or A61 where PV1-9 (PV1-7 without one) or PV1-50 differs from what was \
                  stated last.",
        times: &["EVN-6", "ZU1-4", "EVN-2", "MSH-7"],
        shown_by: "PV1-9",
        ..STAY
    },
    EventType {
        name: "encounter.consultant-change-cancelled",
        description: "A change of consultant was recorded in error.",
        trigger: "A55, A62.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.class-changed",
        description: "A visit became one of another class: an outpatient an inpatient, or the reverse.",
        trigger: "A06, A07; A08 with another PV1-2 than was stated last.",
        shown_by: "PV1-10",
        ..STAY
    },
    EventType {
        name: "encounter.ready-for-discharge",
        description: "A patient is medically fit and waits to leave, or no longer is.",
        trigger: "ZU1-24 or ZU1-22 of A08 or A16 that differs from what was stated last. Never of a visit \
                  that is over.",
        times: &["ZU1-24", "EVN-6", "EVN-2", "MSH-7"],
        cleared: "`\"\"` in ZU1-24, or ZU1-22 that is no longer `Y`: the patient is no longer ready.",
        shown_by: "ZU1-24",
        heading: "Discharge details",
        ..STAY
    },
    EventType {
        name: "encounter.discharged",
        description: "A patient left hospital.",
        trigger: "A03 of class I, R or B.",
        times: ENDED,
        shown_by: "PV1-37",
        heading: "Discharge details",
        ..STAY
    },
    EventType {
        name: "encounter.discharge-cancelled",
        description: "A discharge was recorded in error, or did not take place: the visit goes on.",
        trigger: "A13 of class I, R or B.",
        cleared: "Always `Encounter.period.end`, discharge method and destination, whatever PV1 still \
                  says of them; else as for an admission.",
        heading: "Discharge details",
        ..CANCELLED
    },
    EventType {
        name: "encounter.leave-started",
        description: "A patient left for a time and keeps the bed.",
        trigger: "A21.",
        ..STAY
    },
    EventType {
        name: "encounter.leave-start-cancelled",
        description: "A leave of absence was recorded in error, or did not take place.",
        trigger: "A52.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.leave-ended",
        description: "A patient came back from leave.",
        trigger: "A22.",
        ..STAY
    },
    EventType {
        name: "encounter.leave-end-cancelled",
        description: "A return from leave was recorded in error: the patient is still away.",
        trigger: "A53.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.updated",
        description: "Something else of a visit was stated again or changed.",
        trigger: "A08 of a class that has visits, where PV1 or PV2 says something that no other event \
                  of the message does; A09, and A33, which takes it back; A02 of class O. Never for class N or U. A visit that is over, \
                  planned or interrupted stays so.",
        shown_by: "PV1-10",
        ..STAY
    },
    EventType {
        name: "encounter.deleted",
        description: "A visit was recorded in error and never existed.",
        trigger: "A23.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.merged",
        description: "Two visits of one patient are one.",
        trigger: "A35, A41, A42, from a source whose merges are automatic, or approved by a person.",
        ..MOVED
    },
    EventType {
        name: "encounter.moved",
        description: "A visit belongs to another patient than was said; without an Encounter, \
                      identifiers do, with what was told under them. It comes on both partitions with \
                      one `causationid`.",
        trigger: "A44, A45; without an Encounter A43, and a person's decision that an identifier is of \
                  whoever holds the number beside it. From a source whose merges are automatic, or \
                  approved by a person.",
        resources: &["Patient"],
        ..MOVED
    },
    EventType {
        name: "encounter.renumbered",
        description: "A visit has another number.",
        trigger: "A49, A50, A51; A06 and A07 whose MRG-5 is another number than PV1-19.",
        ..MOVED
    },
];
