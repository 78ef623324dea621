//! Attendances in clinics.

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
        name: "outpatient.arrived",
        description: "A patient arrived for an outpatient attendance, or for one without a bed.",
        trigger: "A04, A10 or A01 of class O or C; A04 of class R or B, A10 of class R that has no bed.",
        ..ATTENDANCE
    },
    EventType {
        name: "outpatient.arrival-cancelled",
        description: "An outpatient arrival was recorded in error, or did not take place.",
        trigger: "A11 or A32 of class O, or of what arrived by A04.",
        times: CANCELLATION,
        shown_by: "PV1-10",
        ..ATTENDANCE
    },
    EventType {
        name: "outpatient.attended",
        description: "An outpatient attendance ended: the patient was seen.",
        trigger: "A03 of class O, or of what arrived by A04; where ZU3-3 is sent, 5 (on time) or 6 (late, but seen).",
        times: ENDED,
        shown_by: "PV1-45",
        ..ATTENDANCE
    },
    EventType {
        name: "outpatient.attendance-cancelled",
        description: "The end of an outpatient attendance was recorded in error.",
        trigger: "A13 of class O.",
        times: CANCELLATION,
        cleared: "Always `Encounter.period.end`, discharge method and destination; else as for an \
                  arrival.",
        shown_by: "PV1-10",
        ..ATTENDANCE
    },
    EventType {
        name: "outpatient.not-attended",
        description: "A patient was not seen: did not come, came too late, or it was called off.",
        trigger: "A03, A04, A10 or A08 of class O with ZU3-3 3 (did not attend), 7 (late, not seen), 2 \
                  (cancelled by patient) or 4 (by the provider).",
        ..ATTENDANCE
    },
];
