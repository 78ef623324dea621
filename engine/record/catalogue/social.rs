//! Adult social care, in the words of Client Level Data: request, assessment, service, review.

use super::{CANCELLATION, EventType, HAPPENED};

const CARE: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient", "Encounter"],
    cleared: "`\"\"` in a field names the element of Encounter, EpisodeOfCare or ServiceRequest that the \
              field becomes; of Patient as in `patient.updated`.",
    replaced: "`Encounter.participant` of each role that is stated; of Patient as in `patient.updated`.",
    shown_by: "PID-13",
    engine: false,
    restricted: false,
    heading: "Services and care",
};

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "socialcare.request",
        description: "A council was asked for support for a person.",
        trigger: "REF I12 or I13 of a council.",
        times: &["RF1-7", "EVN-6", "EVN-2", "MSH-7"],
        resources: &["Patient", "ServiceRequest"],
        heading: "Referral details",
        ..CARE
    },
    EventType {
        name: "socialcare.request-cancelled",
        description: "A request was withdrawn. It keeps its number (RF1-6).",
        trigger: "REF I14 of a council.",
        resources: &["Patient", "ServiceRequest"],
        heading: "Referral details",
        ..CARE
    },
    EventType {
        name: "socialcare.assessment",
        description: "A person's needs were assessed.",
        trigger: "An ADT of a council whose visit is an assessment, as its script reads PV1.",
        heading: "Assessments",
        ..CARE
    },
    EventType {
        name: "socialcare.assessment-cancelled",
        description: "An assessment was taken back. It keeps its number.",
        trigger: "A11 of a council for an assessment, or A23: it should not have been recorded.",
        times: CANCELLATION,
        heading: "Assessments",
        ..CARE
    },
    EventType {
        name: "socialcare.service-started",
        description: "A person gets a service.",
        trigger: "A01 or A04 of a council for a service, as its script reads PV1.",
        times: &["PV1-44", "EVN-6", "EVN-2", "MSH-7"],
        resources: &["Patient", "EpisodeOfCare"],
        ..CARE
    },
    EventType {
        name: "socialcare.service-start-cancelled",
        description: "A service did not begin. It keeps its number.",
        trigger: "A11 of a council for a service, or A23: it should not have been recorded.",
        times: CANCELLATION,
        resources: &["Patient", "EpisodeOfCare"],
        ..CARE
    },
    EventType {
        name: "socialcare.service-ended",
        description: "A person no longer gets a service.",
        trigger: "A03 of a council for a service, as its script reads PV1; or A08 or A01 with a PV1-45 that \
                  has come.",
        times: &["PV1-45", "EVN-6", "EVN-2", "MSH-7"],
        resources: &["Patient", "EpisodeOfCare"],
        ..CARE
    },
    EventType {
        name: "socialcare.service-end-cancelled",
        description: "A person goes on getting a service that was said to be over.",
        trigger: "A13 of a council for a service.",
        times: CANCELLATION,
        resources: &["Patient", "EpisodeOfCare"],
        cleared: "`EpisodeOfCare.period.end`, always; of Patient as in `patient.updated`.",
        ..CARE
    },
    EventType {
        name: "socialcare.review",
        description: "What a person gets was reviewed.",
        trigger: "An ADT of a council whose visit is a review, as its script reads PV1.",
        heading: "Assessments",
        ..CARE
    },
    EventType {
        name: "socialcare.review-cancelled",
        description: "A review was taken back. It keeps its number.",
        trigger: "A11 of a council for a review, or A23: it should not have been recorded.",
        times: CANCELLATION,
        heading: "Assessments",
        ..CARE
    },
    EventType {
        name: "socialcare.contact",
        description: "Somebody of the council was in touch with a person.",
        trigger: "An ADT of a council whose visit is a contact, as its script reads PV1.",
        heading: "Contacts with professionals",
        ..CARE
    },
    EventType {
        name: "socialcare.contact-cancelled",
        description: "A contact was taken back. It keeps its number.",
        trigger: "A11 of a council for a contact, or A23: it should not have been recorded.",
        times: CANCELLATION,
        heading: "Contacts with professionals",
        ..CARE
    },
    EventType {
        name: "socialcare.keyworker-changed",
        description: "Another worker is responsible for a person.",
        trigger: "PV1-9 or PV1-7, or ROL, of a council that differs from what was stated last.",
        resources: &["Patient", "EpisodeOfCare"],
        heading: "Contacts with professionals",
        ..CARE
    },
];
