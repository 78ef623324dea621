//! What is planned of a stay, and taken back.

use super::{CANCELLATION, EventType, HAPPENED, STAY_CLEARED, STAY_REPLACED};

const PLAN: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient", "Encounter"],
    cleared: STAY_CLEARED,
    replaced: STAY_REPLACED,
    shown_by: "PV2-8",
    engine: false,
    restricted: false,
    heading: "Admission details",
};

const CANCELLED: EventType = EventType { times: CANCELLATION, shown_by: "PV1-10", ..PLAN };

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "encounter.preadmitted",
        description: "What an admission needs was taken down before it.",
        trigger: "A05 of class P, I, R, B or E. Of class W: `waitinglist.added`; of class O: \
                  `appointment.booked`. Of class E the Encounter is the attendance, `in-progress` where \
                  the patient is there already.",
        ..PLAN
    },
    EventType {
        name: "encounter.preadmit-cancelled",
        description: "A pre-admission was recorded in error, or the admission will not take place.",
        trigger: "A38 of class P, I, R or B; of class E where the visit was stated before.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.admission-pending",
        description: "A patient is expected to be admitted.",
        trigger: "A14, except of class W. PV2-8 says when. Of class E as in `encounter.preadmitted`.",
        ..PLAN
    },
    EventType {
        name: "encounter.admission-pending-cancelled",
        description: "A patient is no longer expected to be admitted.",
        trigger: "A27, except of class W; of class E where the visit was stated before.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.transfer-pending",
        description: "A patient is expected to move to another ward.",
        trigger: "A15. PV1-42 says where to.",
        shown_by: "PV1-42",
        ..PLAN
    },
    EventType {
        name: "encounter.transfer-pending-cancelled",
        description: "A patient is no longer expected to move.",
        trigger: "A26.",
        ..CANCELLED
    },
    EventType {
        name: "encounter.discharge-pending",
        description: "A patient is expected to leave.",
        trigger: "A16. PV2-9 says when.",
        shown_by: "PV2-9",
        heading: "Discharge details",
        ..PLAN
    },
    EventType {
        name: "encounter.discharge-pending-cancelled",
        description: "A patient is no longer expected to leave.",
        trigger: "A25.",
        heading: "Discharge details",
        ..CANCELLED
    },
];
