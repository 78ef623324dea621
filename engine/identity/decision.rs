//! What the index says about one message.

use std::fmt;
use std::sync::Arc;

use record::nhs_number::{NhsNumber, Status};
use record::whereabouts::Told;

use crate::event::EngineEvent;
use crate::fact::Fact;
use crate::patient::PatientId;
use crate::statement::Statement;

/// Whom a message is about, and what it changes. Nothing is changed until its facts are applied.
#[derive(Clone, Default, PartialEq)]
pub struct Decision {
    /// The patient; nobody when the message names none.
    pub patient: Option<PatientId>,
    /// Everybody else whom it concerns: the retired side, the linked side.
    pub others: Vec<PatientId>,
    /// The number that keys its events: the message's own trusted one, else the one held.
    pub number: Option<(NhsNumber, Option<Status>)>,
    /// What changes.
    pub facts: Vec<Fact>,
    /// What subscribers are told of that, in order, before the events of the script.
    pub events: Vec<EngineEvent>,
    /// What the source had stated of the patient; nothing when it had not.
    pub previous: Option<Arc<Statement>>,
    /// What it states from now on: what the message leaves out is as before, what it nulls is gone.
    pub stated: Arc<Statement>,
    /// Whether anybody concerned is protected, once the facts are applied.
    pub protected: bool,
    /// Of somebody protected, what any source stated of where they are and who knows it: of everybody
    /// concerned, once the facts are applied.
    pub told: Vec<Told>,
    /// Whether anybody concerned dissents from sharing, once the facts are applied.
    pub dissent: bool,
    /// Set when a person has to decide; there are no facts and no events then.
    pub parked: Option<Parked>,
    /// Findings, to be counted.
    pub quality: Vec<&'static str>,
}

/// Why a person has to decide. It names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parked {
    /// The reason code.
    pub code: &'static str,
    /// What contradicts what.
    pub detail: &'static str,
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision")
            .field("patient", &self.patient)
            .field("others", &self.others)
            .field("keyed", &self.number.is_some())
            .field("facts", &self.facts)
            .field("events", &self.events)
            .field("protected", &self.protected)
            .field("dissent", &self.dissent)
            .field("parked", &self.parked)
            .field("quality", &self.quality)
            .finish_non_exhaustive()
    }
}
