//! Who a person is, and whose number is whose.

use super::{
    AS_PERSON, EventType, HAPPENED, NO_CLEARED, NO_REPLACED, PERSON_CLEARED, PERSON_REPLACED,
};

const PERSON: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient"],
    cleared: AS_PERSON,
    replaced: AS_PERSON,
    shown_by: "PID-13",
    engine: false,
    restricted: false,
    heading: "Person demographics",
};

/// What the engine itself makes known says nothing of the person but identifiers.
const IDENTITY: EventType =
    EventType { cleared: NO_CLEARED, replaced: NO_REPLACED, shown_by: "-", engine: true, ..PERSON };

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "patient.registered",
        description: "A person became known to the source.",
        trigger: "A28; A04 or A05 of class N or U, from a system that makes people known by them. \
                  Never an encounter.",
        ..PERSON
    },
    EventType {
        name: "patient.updated",
        description: "What the source holds of a person was stated again or changed.",
        trigger: "A31; A08 where PID differs from what the source stated last.",
        cleared: PERSON_CLEARED,
        replaced: PERSON_REPLACED,
        shown_by: "PID-5",
        ..PERSON
    },
    EventType {
        name: "patient.gp-changed",
        description: "Another practice or general practitioner is responsible for the person.",
        trigger: "PD1-3 or PD1-4 of any ADT differs from what the source stated last. Absent is no \
                  change.",
        cleared: "`\"\"` in PD1-3 or PD1-4: no longer registered there, \
                  `Patient.generalPractitioner.where(type='Organization')` and `'Practitioner'`.",
        replaced: "`Patient.generalPractitioner`, practice and doctor each by itself; else as in \
                   `patient.updated`.",
        shown_by: "PD1-3",
        heading: "GP practice",
        ..PERSON
    },
    EventType {
        name: "patient.deceased",
        description: "A person died.",
        trigger: "PID-29 with a time or PID-30 `Y`, in any ADT; A03 with method 4 or 5 (PV1-36) or \
                  destination 79 (PV1-37), and A08 that says so of a visit that is over; once, where the \
                  source had not stated the death in either way.",
        times: &["PID-29", "EVN-6", "EVN-2", "MSH-7"],
        shown_by: "PID-29",
        ..PERSON
    },
    EventType {
        name: "patient.death-revoked",
        description: "A death that was recorded did not happen.",
        trigger: "PID-30 `N`, or a word for it in PID-29 (`source.death_revoked`, as `RESURREC`), \
                  where the source had stated the death; or PID-29 and PID-30 `\"\"`. What a discharge \
                  alone said: A13, A11 or A23 of that visit, or another method or destination.",
        cleared: "The extension DeathNotificationStatus, unless it is stated as `U`, removed (a word in \
                  PID-29); and `Patient.deceased`, unless `deceasedBoolean` `false` is stated (PID-30 `N`, a \
                  word): `\"\"` says it, and so does the event itself.",
        shown_by: "PID-30",
        ..PERSON
    },
    EventType {
        name: "patient.identified",
        description: "The NHS Number of a person became known: earlier events of this `partitionkey` \
                      without a `subject` are about this number.",
        trigger: "The first message of a teaching source with a trusted number for a local identifier.",
        ..IDENTITY
    },
    EventType {
        name: "patient.merged",
        description: "Two records are of one person. It comes on both partitions with one \
                      `causationid`: what is held under the retired one belongs to the survivor. The \
                      survivor's has a link `replaces` to the retired record, named by an identifier of \
                      its own; the retired record's has that identifier, `active` false, a link \
                      `replaced-by`, and no `subject`: the number is the survivor's.",
        trigger: "A40, A34, A18, A36, from a source whose merges are automatic, or approved by a \
                  person.",
        ..IDENTITY
    },
    EventType {
        name: "patient.unmerged",
        description: "Two records that were merged are of two people. What subscribers moved has to be \
                      put right by hand.",
        trigger: "An operator's decision: HL7 v2 has no message for it.",
        ..IDENTITY
    },
    EventType {
        name: "patient.linked",
        description: "Two records are said to be of one person and both stay in use.",
        trigger: "A24.",
        ..IDENTITY
    },
    EventType {
        name: "patient.unlinked",
        description: "Two records are no longer said to be of one person.",
        trigger: "A37.",
        ..IDENTITY
    },
    EventType {
        name: "patient.nhsnumber-changed",
        description: "A person's NHS Number was replaced by another.",
        trigger: "A47, or a teaching source's statement of another trusted number, approved by a \
                  person; never for a pair on the do-not-link list.",
        ..IDENTITY
    },
    EventType {
        name: "patient.nhsnumber-invalidated",
        description: "A person's NHS Number is no longer to be used; there is no other.",
        trigger: "A teaching source takes the number away, or an operator's decision.",
        ..IDENTITY
    },
    EventType {
        name: "patient.sensitivity-changed",
        description: "A person's whereabouts became protected, or consent to share was refused; or no \
                      longer. It comes before every other event of its message.",
        trigger: "PV1-16, ZU8-4, ZU8-2 against what the index holds. Absent is no change.",
        heading: "Alerts",
        ..IDENTITY
    },
];
