//! What stands in the journal: an entry, whose it is, and where it lies.

use std::{fmt, str::FromStr};

use bytes::Bytes;

/// Identity and order of an accepted message: assigned once, rising from 1, never used again, and
/// independent of any clock. `MessageId(0)` in a record means "about no single message".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

impl MessageId {
    /// The id of records that are about no single message.
    pub const NONE: MessageId = MessageId(0);
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an entry is. The journal itself only treats [`Kind::Accepted`] specially.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The bytes of a message, as received; the entry that gives a message its id.
    Accepted = 1,
    /// What became of a message: final bytes that may be sent again, never computed again.
    Outcome = 2,
    /// A change of a message's state.
    State = 3,
    /// A fact the identity index learned.
    Identity = 4,
    /// A decision of an operator.
    Operator = 5,
    /// An activated configuration.
    Configuration = 6,
    /// A note of the owner about its own checkpoints.
    Checkpoint = 7,
}

impl Kind {
    /// The kind that `byte` stands for on disk.
    pub(crate) fn from_byte(byte: u8) -> Option<Kind> {
        Some(match byte {
            1 => Kind::Accepted,
            2 => Kind::Outcome,
            3 => Kind::State,
            4 => Kind::Identity,
            5 => Kind::Operator,
            6 => Kind::Configuration,
            7 => Kind::Checkpoint,
            _ => return None,
        })
    }
}

/// Where an entry lies. Positions are ordered as the entries were written. A position is only a
/// location: the same message may lie at another one after retention carried it forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The volume's id, from 1.
    pub volume: u64,
    /// Where the batch starts in the volume, in units of 64 bytes.
    pub batch: u32,
    /// Where the entry starts in the batch, in bytes; 0 is the batch itself.
    pub entry: u32,
}

impl Position {
    /// Before everything there is. A reader that starts here sees every message once, also those
    /// that exist only as a carried copy.
    pub const START: Position = Position { volume: 0, batch: 0, entry: 0 };

    /// Behind everything that can be.
    pub const END: Position = Position { volume: u64::MAX, batch: u32::MAX, entry: u32::MAX };

    /// Sixteen bytes, little endian: volume, batch, entry.
    pub fn to_bytes(self) -> [u8; 16] {
        let all =
            u128::from(self.volume) | u128::from(self.batch) << 64 | u128::from(self.entry) << 96;
        all.to_le_bytes()
    }

    /// The position that [`Position::to_bytes`] wrote.
    pub fn from_bytes(bytes: [u8; 16]) -> Position {
        let all = u128::from_le_bytes(bytes);
        let part = |shift: u32| (all >> shift) & u128::from(u32::MAX);
        let low = |part: u128| u32::try_from(part).unwrap_or(u32::MAX);
        Position {
            volume: u64::from(low(part(32))) << 32 | u64::from(low(part(0))),
            batch: low(part(64)),
            entry: low(part(96)),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.volume, self.batch, self.entry)
    }
}

/// A text that is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a journal position is three numbers with dots between them, as in 7.40.64")]
pub struct PositionError;

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Position, PositionError> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(PositionError);
        let (volume, batch, entry) = (part()?, part()?, part()?);
        Ok(Position {
            volume: volume.parse().map_err(|_| PositionError)?,
            batch: batch.parse().map_err(|_| PositionError)?,
            entry: entry.parse().map_err(|_| PositionError)?,
        })
    }
}

/// One entry, read back. Its body shares memory with its neighbours: copy what is kept for long.
#[derive(Clone)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The message it belongs to.
    pub id: MessageId,
    /// Whether it settled its message.
    pub settles: bool,
    /// Whether it is a copy that retention carried forward from a dropped volume.
    pub carried: bool,
    /// Where it lies.
    pub position: Position,
    /// Right behind it: where to read on, and what a checkpoint that includes it covers.
    pub after: Position,
    /// When its batch was written, in milliseconds since 1970, by the writing machine's clock.
    pub written: u64,
    /// The bytes, as given.
    pub body: Bytes,
}

impl fmt::Debug for Entry {
    /// Never shows the body, which may be a patient's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("kind", &self.kind)
            .field("id", &self.id.0)
            .field("settles", &self.settles)
            .field("carried", &self.carried)
            .field("position", &format_args!("{}", self.position))
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_text_and_its_bytes() {
        let position = Position { volume: u64::MAX, batch: 40, entry: 64 };
        assert_eq!(position.to_string().parse(), Ok(position));
        assert_eq!(Position::from_bytes(position.to_bytes()), position);
        assert_eq!("7.40".parse::<Position>(), Err(PositionError));
        assert_eq!("7.40.1.2".parse::<Position>(), Err(PositionError));
    }

    #[test]
    fn an_entry_never_shows_its_body() {
        let entry = Entry {
            kind: Kind::Accepted,
            id: MessageId(1),
            settles: false,
            carried: false,
            position: Position::START,
            after: Position::START,
            written: 0,
            body: Bytes::from_static(b"PID|1||SECRET"),
        };
        assert!(!format!("{entry:?}").contains("SECRET"));
    }
}
