//! Documents (HL7 v2 chapter 9).

use super::{EventType, HAPPENED, NOTHING_OF_PERSON};

/// When a document was made.
const MADE: &[&str] = &["TXA-6", "EVN-6", "EVN-2", "MSH-7"];

const DOCUMENT: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: MADE,
    resources: &["Patient", "DocumentReference"],
    cleared: "`\"\"` in TXA-17 to TXA-21 names the element of DocumentReference that the field becomes, \
              as in `DocumentReference.docStatus`. Nothing of Patient.",
    replaced: NOTHING_OF_PERSON,
    shown_by: "TXA-18",
    engine: false,
    restricted: false,
    heading: "Documents",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "document.available",
        description: "There is a document, with its content or a pointer to it.",
        trigger: "MDM T01, T02; key TXA-12.",
        ..DOCUMENT
    },
    EventType {
        name: "document.addendum",
        description: "There is an addendum to a document (TXA-13).",
        trigger: "MDM T05, T06.",
        ..DOCUMENT
    },
    EventType {
        name: "document.edited",
        description: "The content of a document that nobody had signed yet changed.",
        trigger: "MDM T07, T08.",
        times: &["TXA-8", "EVN-6", "EVN-2", "MSH-7"],
        ..DOCUMENT
    },
    EventType {
        name: "document.replaced",
        description: "A document takes the place of another (TXA-13), which must no longer be shown as \
                      the current one.",
        trigger: "MDM T09, T10.",
        ..DOCUMENT
    },
    EventType {
        name: "document.status-changed",
        description: "A document was signed, or got another state.",
        trigger: "MDM T03, T04.",
        times: HAPPENED,
        ..DOCUMENT
    },
    EventType {
        name: "document.withdrawn",
        description: "A document must no longer be relied on.",
        trigger: "MDM T11, and any other whose TXA-19 is `CA`.",
        times: super::CANCELLATION,
        ..DOCUMENT
    },
];
