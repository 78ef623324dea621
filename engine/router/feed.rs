//! Events from the journal itself, by cursor. All functions block.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use journal::entry::{Kind, Position};
use journal::journal::Journal;
use journal::reader::ReadError;

use crate::entry::{self, Outcome, StoredEvent};

/// Bytes of events after which an answer ends.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Where a reader of events stands: an outcome entry and how many of its events were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    position: Position,
    taken: usize,
}

impl Cursor {
    /// Before the first event that is kept.
    pub const START: Self = Self { position: Position::START, taken: 0 };

    /// Behind everything before that position.
    pub(crate) fn behind(position: Position) -> Self {
        Self { position, taken: 0 }
    }

    /// Where the journal is read from.
    pub(crate) fn position(self) -> Position {
        self.position
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.position, self.taken)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (position, taken) = text.split_once('+').unwrap_or((text, "0"));
        Ok(Self {
            position: position.parse().map_err(|_| CursorError)?,
            taken: taken.parse().map_err(|_| CursorError)?,
        })
    }
}

/// A text that is not a cursor.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a cursor is what an earlier answer gave, as in 1.40.64+0")]
pub struct CursorError;

/// An event, and the cursor behind it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) message: u64,
    pub(crate) channel: Arc<str>,
    pub(crate) event: StoredEvent,
    pub(crate) body: Bytes,
    pub(crate) cursor: Cursor,
}

/// Up to `limit` events after `cursor` in publishing order, and the cursor behind them. Fewer come
/// when there are no more now, or when they are large; none means that there are no more now.
pub fn events(journal: &Journal, cursor: Cursor, limit: usize) -> (Vec<Bytes>, Cursor) {
    let (found, behind) = found(journal, cursor, limit);
    (found.into_iter().map(|each| each.body).collect(), behind)
}

/// The same, each with what is known of it. Messages without events move the cursor too.
pub(crate) fn found(journal: &Journal, cursor: Cursor, limit: usize) -> (Vec<Found>, Cursor) {
    let mut all = Vec::new();
    let mut now = cursor;
    let mut reader = journal.reader(cursor.position);
    let mut bytes = 0;
    while all.len() < limit && bytes < MOST_BYTES {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(ReadError::Disk(_)) => break,
            Err(_) => continue,
        };
        if entry.kind != Kind::Outcome || entry.carried {
            continue;
        }
        let Ok((outcome, payload)) = entry::decode::<Outcome>(&entry.body) else { continue };
        let skip = if entry.position == cursor.position { cursor.taken } else { 0 };
        now = Cursor { position: entry.position, taken: skip };
        let events = entry::events(&outcome, &payload).unwrap_or_default();
        let channel: Arc<str> = outcome.channel.as_str().into();
        for (event, body) in events.into_iter().skip(skip).take(limit - all.len()) {
            now.taken += 1;
            bytes += body.len();
            let (message, channel) = (entry.id.0, channel.clone());
            all.push(Found { message, channel, event, body, cursor: now });
        }
    }
    (all, now)
}
