//! What subscribers are told about identity, before anything that a script makes of the message.

use std::fmt;

use record::fhir::known::Standing;
use record::local::LocalId;
use record::nhs_number::{NhsNumber, Status};
use serde_json::{Value, json};

use crate::patient::PatientId;

/// One event that the engine makes by itself.
#[derive(Clone, PartialEq)]
pub struct EngineEvent {
    /// What happened.
    pub what: What,
    /// Whose partition it goes to.
    pub patient: PatientId,
    /// Held as trusted for that patient once the facts are applied.
    pub number: Option<(NhsNumber, Option<Status>)>,
    /// Local identifiers of that patient, the best first.
    pub locals: Vec<LocalId>,
    /// The other patient of a merge, link or move.
    pub other: Option<Other>,
    /// Whether it may go only where protected patients' events go.
    pub restricted: bool,
}

/// The other patient of an event.
#[derive(Clone, PartialEq)]
pub struct Other {
    /// Its partition.
    pub patient: PatientId,
    /// Its number.
    pub number: Option<NhsNumber>,
    /// Its local identifiers.
    pub locals: Vec<LocalId>,
}

/// What happened.
#[derive(Clone, PartialEq, Eq)]
pub enum What {
    /// A trusted number appeared for a patient that had only local identifiers.
    Identified,
    /// Two records are of one patient.
    Merged(Role),
    /// They are not.
    Unmerged(Role),
    /// Two records belong together and stay two.
    Linked,
    /// They do so no more.
    Unlinked,
    /// The patient has another number.
    NumberChanged {
        /// The number before.
        old: NhsNumber,
        /// The number now.
        new: NhsNumber,
        /// Why.
        reason: Reason,
    },
    /// The patient has no number any more.
    NumberInvalidated {
        /// The number before.
        old: NhsNumber,
    },
    /// Protection or dissent began or ended.
    SensitivityChanged {
        /// Whether whereabouts are protected now.
        protected: bool,
        /// Whether the patient dissents now.
        dissent: bool,
    },
    /// Two accounts or visits of the patient are one.
    EncounterMerged {
        /// The one that goes.
        from: String,
        /// The one that stays.
        to: String,
        /// How it stands.
        standing: Standing,
    },
    /// An account or visit went from one patient to another.
    EncounterMoved {
        /// Its number.
        visit: String,
        /// Which of the two patients this event is about.
        role: Role,
        /// How it stands, with whom it went to.
        standing: Standing,
    },
    /// Identifiers went from one patient to another, with all that was told under them.
    IdentifiersMoved {
        /// Those of them that may be told of this patient.
        locals: Vec<LocalId>,
        /// Which of the two patients this event is about.
        role: Role,
    },
    /// An account or visit has another number.
    EncounterRenumbered {
        /// The number before.
        from: String,
        /// The number now.
        to: String,
        /// How it stands.
        standing: Standing,
    },
}

/// Which side of a merge or move an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What stays; whom a move goes to.
    Survivor,
    /// What goes, the tombstone; whom a move comes from.
    Retired,
}

/// Why a patient has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The old one was superseded and still finds the patient.
    Replaced,
    /// The old one was never this patient's.
    Corrected,
}

impl What {
    /// Whether it is about one visit.
    pub(crate) fn is_of_visit(&self) -> bool {
        matches!(
            self,
            What::EncounterMerged { .. }
                | What::EncounterMoved { .. }
                | What::EncounterRenumbered { .. }
        )
    }

    /// The name of the event type in the catalogue.
    pub fn name(&self) -> &'static str {
        match self {
            What::Identified => "patient.identified",
            What::Merged(_) => "patient.merged",
            What::Unmerged(_) => "patient.unmerged",
            What::Linked => "patient.linked",
            What::Unlinked => "patient.unlinked",
            What::NumberChanged { .. } => "patient.nhsnumber-changed",
            What::NumberInvalidated { .. } => "patient.nhsnumber-invalidated",
            What::SensitivityChanged { .. } => "patient.sensitivity-changed",
            What::EncounterMerged { .. } => "encounter.merged",
            What::EncounterMoved { .. } | What::IdentifiersMoved { .. } => "encounter.moved",
            What::EncounterRenumbered { .. } => "encounter.renumbered",
        }
    }
}

impl Role {
    /// `survivor` or `retired`.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Survivor => "survivor",
            Role::Retired => "retired",
        }
    }
}

impl Reason {
    /// `replaced` or `corrected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Replaced => "replaced",
            Reason::Corrected => "corrected",
        }
    }
}

impl EngineEvent {
    /// Everything the event says as one JSON object: `patient`, `nhsnumber`, `localids`, `other`
    /// with the same three, and `role`, `old`, `new`, `reason`, `protected`, `dissent`, `visit`,
    /// `moved`, `from`, `to` where they apply. What is not known is left out.
    pub fn details(&self) -> Value {
        let number = self.number.map(|(number, _)| number);
        let mut details = side(self.patient, number, &self.locals);
        if let Some(other) = &self.other {
            details["other"] = side(other.patient, other.number, &other.locals);
        }
        let mut say = |key: &str, value: Value| details[key] = value;
        match &self.what {
            What::Merged(role) | What::Unmerged(role) => say("role", json!(role.as_str())),
            What::NumberChanged { old, new, reason } => {
                say("old", json!(old));
                say("new", json!(new));
                say("reason", json!(reason.as_str()));
            }
            What::NumberInvalidated { old } => say("old", json!(old)),
            What::SensitivityChanged { protected, dissent } => {
                say("protected", json!(protected));
                say("dissent", json!(dissent));
            }
            What::EncounterMerged { from, to, .. } | What::EncounterRenumbered { from, to, .. } => {
                say("from", json!(from));
                say("to", json!(to));
            }
            What::EncounterMoved { visit, role, .. } => {
                say("role", json!(role.as_str()));
                say("visit", json!(visit));
            }
            What::IdentifiersMoved { locals, role } => {
                say("role", json!(role.as_str()));
                say("moved", json!(locals));
            }
            What::Identified | What::Linked | What::Unlinked => {}
        }
        details
    }
}

fn side(patient: PatientId, number: Option<NhsNumber>, locals: &[LocalId]) -> Value {
    let mut side = json!({ "patient": patient });
    if let Some(number) = number {
        side["nhsnumber"] = json!(number);
    }
    if !locals.is_empty() {
        side["localids"] = json!(locals);
    }
    side
}

impl fmt::Debug for EngineEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineEvent")
            .field("what", &self.what)
            .field("patient", &self.patient)
            .field("other", &self.other)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Other {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.patient, f)
    }
}

impl fmt::Debug for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
