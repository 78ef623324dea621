//! Results of laboratories and departments.

use super::{EventType, OBSERVED};

const RESULT: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: OBSERVED,
    resources: &["Patient", "DiagnosticReport"],
    cleared: "`\"\"` in OBX-7 or OBX-8 names that element of its Observation. Nothing of Patient.",
    replaced: "No path: the whole report takes the place of the one with the same `resultkey`. Nothing \
               of Patient.",
    shown_by: "OBX-7",
    engine: false,
    restricted: false,
    heading: "Investigation results",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "result.available",
        description: "A report has results, preliminary or final.",
        trigger: "ORU R01 (R30, R31, R32; ORU alone in HL7 2.1), each OBR, unless one of the next three. None \
                  where OBR-25 is `O`, `I` or `S` and no OBX has a value.",
        ..RESULT
    },
    EventType {
        name: "result.corrected",
        description: "A report replaces one with the same resultkey: some results changed.",
        trigger: "OBR-25 `C`, or an OBX-11 `A`, `B`, `C`, `D` or `W`.",
        ..RESULT
    },
    EventType {
        name: "result.withdrawn",
        description: "A report with this resultkey must no longer be relied on: all its results \
                      were deleted or belong to another patient or specimen.",
        trigger: "Every OBX-11 is `D` or `W`, or `X` beside one of these.",
        ..RESULT
    },
    EventType {
        name: "result.cancelled",
        description: "No results will be available for this request.",
        trigger: "OBR-25 `X`, or every OBX-11 (where OBR-25 is not `C`).",
        ..RESULT
    },
];
