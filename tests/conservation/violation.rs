//! How a promise can be broken.

use std::fmt;

use super::facts::SUBSCRIBERS;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Violation {
    /// An AA was given, and the event never reached the subscriber.
    Lost { label: String, subscriber: usize },
    /// A later message of the patient was delivered first.
    OutOfOrder { label: String, behind: String, subscriber: usize },
    /// One event id, two contents.
    TwoContents { event: String, label: String },
    /// One event of a message under two ids.
    TwoIds { label: String, position: u32 },
    /// An event that no accepted message accounts for.
    Invented { label: String, subscriber: usize },
    /// A message was delivered while an earlier one of its patient was parked.
    Overtook { label: String, parked: String },
    /// An event of a protected patient reached one who may not have it.
    Disclosed { label: String, subscriber: usize },
    /// It came by the exchange of restricted events and is none, or the other way round.
    WrongExchange { label: String, subscriber: usize },
    /// An event is on another partition than that of its record.
    Misfiled { label: String },
    /// A message has no answer although everything stood still at last.
    Unanswered { label: String },
    /// A good message was refused, or a bad one taken.
    WrongAnswer { label: String },
    /// Fewer rows than positive answers.
    Unaccounted { control_id: String, accepted: u32, rows: u32 },
    /// More rows than times sent, or more than one that is no duplicate.
    CountedTwice { control_id: String, sent: u32, rows: u32 },
    /// It came to rest in another state than its script decided.
    WrongState { control_id: String, state: String },
    /// Neither at rest nor held.
    Unsettled { control_id: String },
    /// `received` is not the sum of the states, or not the number of rows.
    Unbalanced { received: u64, states: u64, rows: u64 },
    /// A deleted queue or binding did not come back.
    NotMended { subscriber: usize },
    /// The engine's own reconciliation does not agree.
    Unreconciled { difference: String },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |subscriber: &usize| SUBSCRIBERS.get(*subscriber).copied().unwrap_or("?");
        match self {
            Self::Lost { label, subscriber } => {
                write!(f, "{label} never reached {}", name(subscriber))
            }
            Self::OutOfOrder { label, behind, subscriber } => {
                write!(f, "{label} came after {behind} to {}", name(subscriber))
            }
            Self::TwoContents { event, label } => {
                write!(f, "event {event} of {label} has two contents")
            }
            Self::TwoIds { label, position } => {
                write!(f, "event {position} of {label} has two ids")
            }
            Self::Invented { label, subscriber } => {
                write!(f, "{label} reached {} and should not be", name(subscriber))
            }
            Self::Overtook { label, parked } => {
                write!(f, "{label} overtook {parked}, which is parked")
            }
            Self::Disclosed { label, subscriber } => {
                write!(f, "{label} is of somebody protected and reached {}", name(subscriber))
            }
            Self::WrongExchange { label, subscriber } => {
                write!(f, "{label} reached {} by the wrong exchange", name(subscriber))
            }
            Self::Misfiled { label } => write!(f, "{label} is on another record's partition"),
            Self::Unanswered { label } => write!(f, "{label} has no answer"),
            Self::WrongAnswer { label } => write!(f, "{label} has the wrong answer"),
            Self::Unaccounted { control_id, accepted, rows } => {
                write!(f, "{control_id} was answered AA {accepted} times and has {rows} rows")
            }
            Self::CountedTwice { control_id, sent, rows } => {
                write!(f, "{control_id} was sent {sent} times and has {rows} rows")
            }
            Self::WrongState { control_id, state } => write!(f, "{control_id} is {state}"),
            Self::Unsettled { control_id } => write!(f, "{control_id} is still pending"),
            Self::Unbalanced { received, states, rows } => {
                write!(f, "{received} received, {states} in states, {rows} rows")
            }
            Self::Unreconciled { difference } => write!(f, "reconcile: {difference}"),
            Self::NotMended { subscriber } => {
                write!(f, "the queue of {} stayed broken", name(subscriber))
            }
        }
    }
}
