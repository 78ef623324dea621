//! What a shared record may want to know and Tieline has no event for, and why.

/// A kind of event that there is not.
#[derive(Debug)]
pub struct Unused {
    /// What it would be called.
    pub name: &'static str,
    /// Why there is none.
    pub why: &'static str,
}

/// What people look for in the catalogue and do not find.
pub const UNUSED: &[Unused] = &[
    Unused {
        name: "medication.*",
        why: "Prescriptions and administrations (RDE, RDS, RAS) are not mapped. Such messages park or \
              are filtered by name.",
    },
    Unused {
        name: "hospital-notice.*",
        why: "Assessment, discharge and withdrawal notices between hospital and council are documents \
              and FHIR messages with a person's decision in them. HL7 v2 has no message that says one; \
              a REF to a council is a `referral.received` or a `socialcare.request`.",
    },
    Unused {
        name: "identity.conflict",
        why: "It would be about a patient whom nobody may name yet. A conflict is a parked message with \
              a reason of the class `identity`, an alarm and a count.",
    },
    Unused {
        name: "feed.gap-detected, feed.stale, message.quarantined",
        why: "They are about the engine and not about a patient, so no Bundle could say them: alarms, \
              `tieline status` and metrics do.",
    },
];
