//! Waiting lists (PV1-2 `W`, ZU4).

use super::{CANCELLATION, EventType, HAPPENED, STAY_CLEARED, STAY_REPLACED};

const WAITING: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient", "Encounter"],
    cleared: STAY_CLEARED,
    replaced: STAY_REPLACED,
    shown_by: "PV1-10",
    engine: false,
    restricted: false,
    heading: "Services and care",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "waitinglist.added",
        description: "A patient was put on a waiting list.",
        trigger: "A05 or A14 of class W, with ZU4, not stated before.",
        times: &["ZU4-1", "EVN-6", "EVN-2", "MSH-7"],
        ..WAITING
    },
    EventType {
        name: "waitinglist.updated",
        description: "Something of a place on a waiting list changed, as the date to come in (ZU4-6).",
        trigger: "A08 of class W; A05 or A14 of class W stated before.",
        ..WAITING
    },
    EventType {
        name: "waitinglist.removed",
        description: "A patient is no longer on a waiting list.",
        trigger: "A38 or A27 of class W.",
        times: CANCELLATION,
        ..WAITING
    },
];
