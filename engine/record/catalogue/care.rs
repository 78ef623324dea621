//! Births, and the law on mental health.

use super::{AS_PERSON, EventType, HAPPENED, STAY_CLEARED, STAY_REPLACED};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "maternity.birth-recorded",
        description: "A child was born. `subject` is whom the message is about, mother or child. Each \
                      ZU7, and ZU6, is one Observation with a component for each field; `focus` says \
                      when it is about the other of them.",
        trigger: "ZU7 or ZU6 of an ADT that differ from what was stated last.",
        times: HAPPENED,
        resources: &["Patient"],
        cleared: AS_PERSON,
        replaced: AS_PERSON,
        shown_by: "PID-25",
        engine: false,
        restricted: false,
        heading: "Pregnancy status",
    },
    EventType {
        name: "mentalhealth.legalstatus-changed",
        description: "A patient is detained under another section of the law, or no longer.",
        trigger: "ZU5-2 or ZU5-3 of an ADT that differs from what was stated last of the visit, also after \
                  its end.",
        times: &["EVN-6", "ZU5-5", "EVN-2", "MSH-7"],
        resources: &["Patient", "Encounter"],
        cleared: STAY_CLEARED,
        replaced: STAY_REPLACED,
        shown_by: "ZU5-2",
        engine: false,
        restricted: false,
        heading: "Legal information",
    },
];
