//! What is known of a patient's health, and what to look out for.

use super::{AS_PERSON, EventType, HAPPENED, NOTHING_OF_PERSON, OBSERVED};

const FINDING: EventType = EventType {
    name: "",
    description: "",
    trigger: "",
    times: HAPPENED,
    resources: &["Patient"],
    cleared: AS_PERSON,
    replaced: AS_PERSON,
    shown_by: "",
    engine: false,
    restricted: false,
    heading: "",
};

const FLAG: EventType = EventType {
    resources: &["Patient", "Flag"],
    cleared: "Nothing of Flag: a flag is taken back by the event that says so. Of Patient as in \
              `patient.updated`.",
    shown_by: "ZAL-2",
    heading: "Alerts",
    ..FINDING
};

const SAFEGUARDING: EventType = EventType { restricted: true, heading: "Safeguarding", ..FLAG };

pub(super) const EVENTS: &[EventType] = &[
    EventType {
        name: "allergy.snapshot",
        description: "The whole list of a patient's allergies, as the source has it now (`List.mode` \
                      `snapshot`), or what is new of it (`changes`). None known, not asked, nothing said \
                      and taken away are four different things.",
        trigger: "AL1 in any ADT; A60 with IAM or AL1. IAM-6 `A`, `D` or `U` makes it a change: what it \
                  leaves out stays, and what it takes back is `entry.deleted` and entered in error. No \
                  AL1: no event. None known beside an allergy parks. Words of denial that are \
                  not known are an unconfirmed allergy in these words, and make it a change.",
        cleared: "`\"\"` in AL1-3 of a single AL1: `AllergyIntolerance`, all of them.",
        replaced: "`AllergyIntolerance`: the whole list, unless it says that nobody asked or is a change.",
        shown_by: "AL1-3",
        heading: "Allergies and adverse reactions",
        ..FINDING
    },
    EventType {
        name: "diagnosis.recorded",
        description: "Diagnoses were recorded or coded.",
        trigger: "DG1 of A03, A08 or another ADT. ZU1-3 says whether coding is complete.",
        times: &["DG1-5", "EVN-6", "EVN-2", "MSH-7"],
        resources: &["Patient", "Condition"],
        cleared: "A DG1 with DG1-21 `D` is there as entered in error.",
        shown_by: "DG1-4",
        heading: "Problems",
        ..FINDING
    },
    EventType {
        name: "procedure.recorded",
        description: "Procedures were recorded or coded.",
        trigger: "PR1 of A03, A08 or another ADT. ZU1-3 says whether coding is complete.",
        times: &["PR1-5", "EVN-6", "EVN-2", "MSH-7"],
        resources: &["Patient", "Procedure"],
        cleared: "A PR1 with PR1-20 `D` is there as entered in error.",
        shown_by: "PR1-4",
        heading: "Procedures and therapies",
        ..FINDING
    },
    EventType {
        name: "observation.recorded",
        description: "Something was measured at the bedside or at home.",
        trigger: "ORU R01 or R30 of a device or an observations system: its channel says so.",
        times: OBSERVED,
        resources: &["Patient", "Observation"],
        cleared: "`\"\"` in OBX-7 or OBX-8 names that element of its Observation. Nothing of Patient.",
        replaced: NOTHING_OF_PERSON,
        shown_by: "OBX-7",
        heading: "Observations",
        ..FINDING
    },
    EventType {
        name: "flag.raised",
        description: "There is something to look out for. Of a code that the source's table does not \
                      have only that there is something, and where.",
        trigger: "A local segment (ZAL), or PV2 and OBX of an ADT, as the source's script reads them. The \
                  same ZAL again is no news.",
        ..FLAG
    },
    EventType {
        name: "flag.cleared",
        description: "There is no longer something to look out for.",
        trigger: "The same, with an end that has come or the status I. An empty status clears nothing.",
        ..FLAG
    },
    EventType {
        name: "safeguarding.raised",
        description: "Somebody else holds safeguarding information: a pointer to it, never its content.",
        trigger: "A flag that the source's script knows to be about safeguarding.",
        ..SAFEGUARDING
    },
    EventType {
        name: "safeguarding.cleared",
        description: "Somebody else no longer holds the safeguarding information pointed to.",
        trigger: "The same, with an end or a status that is no longer active.",
        ..SAFEGUARDING
    },
];
