//! Referrals (HL7 v2 chapter 11).

use super::{EventType, HAPPENED};

const REFERRAL: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient", "ServiceRequest"],
    cleared: "`\"\"` in a field of RF1 names the element of ServiceRequest that the field becomes; of \
              Patient as in `patient.updated`.",
    replaced: "No list of ServiceRequest; of Patient as in `patient.updated`.",
    shown_by: "RF1-10",
    engine: false,
    restricted: false,
    heading: "Referral details",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "referral.received",
        description: "A patient was referred.",
        trigger: "REF I12.",
        times: &["RF1-7", "EVN-6", "EVN-2", "MSH-7"],
        ..REFERRAL
    },
    EventType {
        name: "referral.updated",
        description: "Something of a referral changed. It keeps its number (RF1-6).",
        trigger: "REF I13; RRI I12 or I13 with RF1-1 `A` (accepted) or `P` (pending).",
        ..REFERRAL
    },
    EventType {
        name: "referral.cancelled",
        description: "A referral was withdrawn by who made it.",
        trigger: "REF I14.",
        ..REFERRAL
    },
    EventType {
        name: "referral.rejected",
        description: "A referral was refused by who received it.",
        trigger: "RRI I12 to I14, or REF I13, with RF1-1 `R`.",
        ..REFERRAL
    },
];
