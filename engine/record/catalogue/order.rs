//! Requests for tests and services (HL7 v2 chapter 4).

use super::{EventType, NOTHING_OF_PERSON};

const ORDER: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: &["ORC-9", "EVN-2", "MSH-7"],
    resources: &["Patient", "ServiceRequest"],
    cleared: "`\"\"` in a field of ORC or OBR names the element of ServiceRequest that the field \
              becomes, as in `ServiceRequest.reasonCode`. Nothing of Patient.",
    replaced: NOTHING_OF_PERSON,
    shown_by: "OBR-31",
    engine: false,
    restricted: false,
    heading: "Investigations requested",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "order.placed",
        description: "A test or service was asked for.",
        trigger: "ORM O01, OML O21 or OMG O19 with ORC-1 `NW`, `RO` in the place of another, or `CH` as a \
                  part of another (`basedOn`); each OBR of the message.",
        ..ORDER
    },
    EventType {
        name: "order.changed",
        description: "A request was changed. It keeps its number (ORC-2, ORC-3).",
        trigger: "The same with ORC-1 `XO`, `XX` or `XR`.",
        ..ORDER
    },
    EventType {
        name: "order.cancelled",
        description: "A request was withdrawn or will not be done.",
        trigger: "The same with ORC-1 `CA`, `OC`, `CR`, `DC`, `OD`, `DR`, `RP`, `RQ`, `RU`, or `UA`, by \
                  which it is refused; or any but a new one whose ORC-5 says so.",
        ..ORDER
    },
    EventType {
        name: "order.status-changed",
        description: "A request got another state: received, held, in progress, done. Or it keeps its \
                      state, since what was asked of it cannot be done.",
        trigger: "The same with ORC-1 `SC`, `SR`, `RE`, `SN`, `NA`, `HD`, `OH`, `HR`, `RL`, `OE`, `OR`, \
                  `OK`, `RR`, of a parent `PA`, or a refusal: `UC` and `UD` (to call it off: it stands), \
                  `UH`, `UR`, `UX`, `UM`.",
        ..ORDER
    },
];
