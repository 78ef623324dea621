//! Reading in order, what is durable.

use std::{io, sync::Arc};

use tokio::sync::watch;

use crate::{
    cursor::{Bound, Cursor, Turn},
    entries::{Entries, Found},
    entry::{Entry, Position},
    format::units,
    report::Corruption,
    volumes::Volumes,
};

/// Why an entry cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Entries that were durable are damaged. A reader's next call goes on behind them.
    #[error("the journal is damaged: {0}")]
    Corrupt(Corruption),
    /// Retention dropped what should be read. A reader's next call goes on at `first`.
    #[error("the journal does not go back so far, it starts at {first}")]
    Dropped {
        /// The oldest position there is.
        first: Position,
    },
    /// No entry starts at the position, or it is not durable yet.
    #[error("no journal entry starts at {0}")]
    NoEntry(Position),
    /// The disk cannot be read.
    #[error("the journal cannot be read")]
    Disk(#[source] io::Error),
}

/// A reader of durable entries in the order they were written. Reads block on the disk; wait for
/// more with [`crate::journal::Journal::durable`].
///
/// Copies that retention carried forward are left out, because a reader either met the original or
/// starts from a checkpoint that knew it. Only a reader from [`Position::START`] gets them, once,
/// when the original is gone; then a message may come after records about it.
#[derive(Debug)]
pub struct Reader {
    cursor: Cursor,
    durable: watch::Receiver<Position>,
    entries: Entries,
    position: Position,
    /// Entries of the first batch that start before this are not wanted.
    skip: u32,
    /// Copies of what lay in volumes before this one are handed out.
    floor: u64,
}

impl Reader {
    pub(crate) fn new(
        volumes: Arc<Volumes>,
        durable: watch::Receiver<Position>,
        from: Position,
    ) -> Reader {
        let floor = match volumes.first() {
            Some(first) if from == Position::START => first.id,
            _ => 0,
        };
        let cursor = Cursor::new(volumes, Position { entry: 0, ..from }, None);
        let entries = Entries::none();
        Reader { cursor, durable, entries, position: from, skip: from.entry, floor }
    }

    /// Where it stands: right behind the entry it gave last.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next entry; none when everything durable was given, for now.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] and [`ReadError::Dropped`] tell what is missing, once; the next call
    /// goes on behind it. After [`ReadError::Disk`] the next call tries the same again.
    #[expect(clippy::should_implement_trait, reason = "none is not the end here")]
    pub fn next(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            if let Some(found) = self.entries.next() {
                if let Some(entry) = self.wanted(found) {
                    return Ok(Some(entry));
                }
                continue;
            }
            let end = *self.durable.borrow();
            match self.cursor.turn(Bound::Durable(end)).map_err(ReadError::Disk)? {
                Turn::Batch { at, header, body, .. } => {
                    self.entries =
                        Entries::of(header.volume, header.written, units(at), body, true);
                }
                Turn::Lost { damage, saved } => {
                    self.entries = saved;
                    return Err(ReadError::Corrupt(damage));
                }
                Turn::Gone { first } => {
                    self.position = first;
                    self.skip = 0;
                    return Err(ReadError::Dropped { first });
                }
                Turn::End { .. } => return Ok(None),
            }
        }
    }

    fn wanted(&mut self, found: Found) -> Option<Entry> {
        let Found { entry, origin } = found;
        // Behind the first batch every entry lies at or after the starting position.
        if entry.position.entry < self.skip && entry.position < self.position {
            return None;
        }
        self.skip = 0;
        self.position = entry.after;
        origin.is_none_or(|origin| origin.volume < self.floor).then_some(entry)
    }
}
