//! What a source may do, and what a person decided about one of its messages.

use serde::{Deserialize, Serialize};

/// What the source of a message may do to the index.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Its name, under which its statements are kept.
    pub source: &'a str,
    /// Whether it binds local identifiers to numbers and patients, and says who they are.
    pub teaches: bool,
    /// Whether its merges and moves wait for a person.
    pub merges: Merges,
    /// Whether it may say that a patient is protected no more.
    pub may_lower_sensitivity: bool,
    /// What a person decided about this message, which was parked.
    pub resolution: Option<Resolution>,
}

/// What becomes of merges and moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merges {
    /// They take place.
    Automatic,
    /// They wait for a person.
    Approve,
}

/// Who is right, in a person's judgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The message: the number changes, the merge takes place, the names are the patient's.
    Message,
    /// The index: the message counts without the number, the names or the merge that contradict it.
    Index,
}
