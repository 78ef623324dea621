//! The states of the ledger, as the archive knows them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The state of a message: every accepted message is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Accepted, and not yet in any state below.
    Pending,
    /// Kept back with a reason code until a person decides.
    Parked,
    /// All its events have their receipts.
    Published,
    /// The script said that no event follows.
    Filtered,
    /// A person decided that nothing becomes of it.
    Discarded,
    /// An edited copy took its place.
    Superseded,
    /// The same message came before.
    Duplicate,
}

impl State {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Parked,
        Self::Published,
        Self::Filtered,
        Self::Discarded,
        Self::Superseded,
        Self::Duplicate,
    ];

    /// The word used everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Published => "published",
            Self::Filtered => "filtered",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether something is still to become of the message.
    pub fn is_unsettled(self) -> bool {
        matches!(self, Self::Pending | Self::Parked)
    }

    /// The number that stands in the files; never change one. 1 costs no byte in a row.
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Pending => 0,
            Self::Published => 1,
            Self::Parked => 2,
            Self::Filtered => 3,
            Self::Discarded => 4,
            Self::Superseded => 5,
            Self::Duplicate => 6,
        }
    }

    /// The state with that number.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is not the name of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such state; they are pending, parked, published, filtered, discarded, superseded and duplicate"
)]
pub struct StateError;

impl FromStr for State {
    type Err = StateError;

    fn from_str(text: &str) -> Result<Self, StateError> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(StateError)
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_reads_back_from_word_and_number() {
        for state in State::ALL {
            assert_eq!(state.as_str().parse(), Ok(state));
            assert_eq!(State::from_number(state.number()), Some(state));
        }
        assert_eq!("lost".parse::<State>(), Err(StateError));
        assert_eq!(State::from_number(7), None);
    }
}
