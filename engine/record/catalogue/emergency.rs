//! The emergency department.

use super::{BEGUN, CANCELLATION, ENDED, EventType, STAY_CLEARED, STAY_REPLACED};

const ATTENDANCE: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: BEGUN,
    resources: &["Patient", "Encounter"],
    cleared: STAY_CLEARED,
    replaced: STAY_REPLACED,
    shown_by: "PV1-3",
    engine: false,
    restricted: false,
    heading: "Attendance details",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "ed.arrived",
        description: "A patient came to the emergency department.",
        trigger: "A04 or A01 of class E.",
        ..ATTENDANCE
    },
    EventType {
        name: "ed.arrival-cancelled",
        description: "An arrival in the emergency department was recorded in error.",
        trigger: "A11 of class E.",
        times: CANCELLATION,
        shown_by: "PV1-10",
        ..ATTENDANCE
    },
    EventType {
        name: "ed.departed",
        description: "A patient left the emergency department, home or to a ward.",
        trigger: "A03 of class E.",
        times: ENDED,
        shown_by: "PV1-37",
        ..ATTENDANCE
    },
    EventType {
        name: "ed.departure-cancelled",
        description: "A departure was recorded in error: the patient is still in the department.",
        trigger: "A13 of class E.",
        times: CANCELLATION,
        cleared: "Always `Encounter.period.end`, discharge method and destination; else as for an \
                  arrival.",
        shown_by: "PV1-10",
        ..ATTENDANCE
    },
];
