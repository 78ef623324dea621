//! What is asked: a condition on messages.

use std::fmt;

use regex::Regex;

use crate::patient::PatientIdentifier;
use crate::state::State;

/// A condition that a message meets or not. [`Query::parse`](crate::parse) reads one from text.
#[derive(Clone)]
pub struct Query {
    pub(crate) condition: Condition,
}

impl Query {
    /// Every message.
    pub fn all() -> Self {
        Self { condition: Condition::All(Vec::new()) }
    }

    /// Messages with this MSH-10, whatever the channel.
    pub fn control_id(text: &str) -> Self {
        let test = Test::Word(Word::ControlId, Pattern::Is(text.to_owned()));
        Self { condition: Condition::Test(test) }
    }

    /// Messages about this patient, as far as their identifiers say so.
    pub fn patient(identifier: &PatientIdentifier) -> Self {
        Self { condition: Condition::Test(Test::Patient(identifier.clone())) }
    }

    /// Messages in this state.
    pub fn state(state: State) -> Self {
        Self { condition: Condition::Test(Test::State(vec![state])) }
    }

    /// Messages that meet both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let (mut all, other) = (self.condition.conjuncts(), other.condition.conjuncts());
        all.extend(other);
        Self { condition: Condition::All(all) }
    }
}

/// A query may name a patient.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").finish_non_exhaustive()
    }
}

/// Conditions, and how they are joined.
#[derive(Clone)]
pub(crate) enum Condition {
    /// Each of them; without any, every message.
    All(Vec<Condition>),
    /// At least one of them.
    Any(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// One field.
    Test(Test),
}

impl Condition {
    /// What must be met together, at the top.
    pub(crate) fn conjuncts(self) -> Vec<Self> {
        match self {
            Self::All(all) => all.into_iter().flat_map(Self::conjuncts).collect(),
            other => vec![other],
        }
    }
}

/// A condition on one field.
#[derive(Clone)]
pub(crate) enum Test {
    Word(Word, Pattern),
    State(Vec<State>),
    Id(Order, u64),
    Received(Order, i64),
    Patient(PatientIdentifier),
}

/// A field that holds a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Channel,
    Type,
    ControlId,
    Reason,
    Peer,
    Sender,
    Event,
}

/// What a text must be. A message without the field has the empty text.
#[derive(Clone)]
pub(crate) enum Pattern {
    Is(String),
    Matches(Regex),
}

/// How a number must stand to the one that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Below,
    AtMost,
    Above,
    AtLeast,
}
