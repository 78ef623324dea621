//! Keeps the books: follows the journal, folds it into the ledger, writes checkpoints, drops old volumes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use journal::entry::Position;
use journal::journal::Journal;
use journal::reader::{ReadError, Reader};
use journal::report::Recovered;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::entry::{Accepted, EntryError};
use crate::event::Event;
use crate::ledger::Ledger;
use crate::rate::Rate;
use crate::seen::Mark;

/// Entries after which a checkpoint is due.
const CHECKPOINT_ENTRIES: u64 = 50_000;
/// Time after which one is due when anything happened at all.
const CHECKPOINT_TIME: Duration = Duration::from_secs(10);
/// Entries read under one lock.
const STEP: u64 = 512;

/// The books of one engine.
#[derive(Debug)]
pub struct Books {
    journal: Journal,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    ledger: Ledger,
    /// Everything before its position is in the ledger.
    reader: Reader,
    /// Entries read since the last checkpoint.
    fresh: u64,
    /// By channel, since this process started.
    rates: BTreeMap<String, Rate>,
}

impl Kept {
    /// Reads what is durable and not yet in the ledger, up to `most` entries; false at the end.
    fn advance(&mut self, most: u64) -> Result<bool, BooksError> {
        for _ in 0..most {
            match self.reader.next() {
                Ok(Some(entry)) => {
                    self.fresh += 1;
                    let accepted = self
                        .ledger
                        .apply(&entry)
                        .map_err(|source| BooksError::Entry { at: entry.position, source })?;
                    if let Some(Accepted { channel, received, .. }) = accepted {
                        self.rates.entry(channel).or_default().count(received);
                    }
                }
                Ok(None) => return Ok(false),
                // The next call goes on behind it.
                Err(ReadError::Corrupt(damage)) => Event::damage(&damage).emit(),
                Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => {}
                // The next call tries the same place again: whoever asked waits or gives up.
                Err(ReadError::Disk(source)) => return Err(BooksError::Disk(source)),
            }
        }
        Ok(true)
    }
}

/// What a checkpoint holds of the router.
#[derive(Deserialize)]
struct Snapshot {
    /// Everything before is in the ledger.
    as_of: String,
    /// Everything accepted before was judged by delivery: whether it is a duplicate.
    delivery: String,
    /// What was seen by then.
    seen: Mark,
    ledger: Ledger,
}

/// The same, as it is written.
#[derive(Serialize)]
struct SnapshotOf<'a> {
    as_of: String,
    delivery: String,
    seen: &'a Mark,
    ledger: &'a Ledger,
}

/// What a start took up.
#[derive(Debug)]
pub struct Taken {
    /// The books, read to the journal's end.
    pub books: Books,
    /// The mark of the window of duplicates in the checkpoint, if there is one.
    pub seen: Option<Mark>,
    /// Everything accepted before is in that window.
    pub judged: Position,
    /// Entries read since the checkpoint.
    pub entries: u64,
}

/// Why the books cannot be opened.
#[derive(Debug, Error)]
pub enum BooksError {
    /// The checkpoint is not what this version writes.
    #[error("the checkpoint in the data folder cannot be read: written by a newer version?")]
    Snapshot,
    /// The disk answers with an error.
    #[error("the journal cannot be read")]
    Disk(#[source] std::io::Error),
    /// An entry is not what this version writes.
    #[error("journal entry {at} cannot be read")]
    Entry {
        /// Where.
        at: Position,
        /// Why.
        #[source]
        source: EntryError,
    },
}

impl Books {
    /// Takes up the books where the last checkpoint left them and reads on to the journal's end.
    /// Blocks.
    pub fn recover(journal: Journal, recovered: &Recovered) -> Result<Taken, BooksError> {
        let snapshot: Option<Snapshot> = match &recovered.checkpoint {
            None => None,
            Some(bytes) => Some(serde_json::from_slice(bytes).map_err(|_| BooksError::Snapshot)?),
        };
        let position = |text: &str| text.parse::<Position>().map_err(|_| BooksError::Snapshot);
        let (ledger, as_of, judged, seen) = match snapshot {
            None => (Ledger::default(), Position::START, Position::START, None),
            Some(Snapshot { as_of, delivery, seen, ledger }) => {
                (ledger, position(&as_of)?, position(&delivery)?, Some(seen))
            }
        };
        let mut kept =
            Kept { ledger, reader: journal.reader(as_of), fresh: 0, rates: BTreeMap::new() };
        while kept.advance(STEP)? {}
        let entries = std::mem::take(&mut kept.fresh);
        Ok(Taken { books: Self { journal, kept: Mutex::new(kept) }, seen, judged, entries })
    }

    /// Asks the ledger as of the last durable entry. Blocks while it reads what is new.
    pub fn ask<T>(&self, question: impl FnOnce(&Ledger) -> T) -> T {
        let mut kept = self.kept();
        // What cannot be read is told by `follow`, which meets it too.
        while matches!(kept.advance(STEP), Ok(true)) {}
        question(&kept.ledger)
    }

    /// The ledger and up to where it was folded.
    pub fn as_of(&self) -> (Ledger, Position) {
        let mut kept = self.kept();
        while matches!(kept.advance(STEP), Ok(true)) {}
        (kept.ledger.clone(), kept.reader.position())
    }

    /// The ledger as of the last durable entry. Blocks while it reads what is new.
    pub fn ledger(&self) -> Ledger {
        let mut kept = self.kept();
        // What cannot be read is told by `follow`, which meets it too.
        while matches!(kept.advance(STEP), Ok(true)) {}
        kept.ledger.clone()
    }

    /// Messages of the last minute, by channel.
    pub fn rates(&self, now: Timestamp) -> BTreeMap<String, u64> {
        let now = now.as_millisecond();
        let kept = self.kept();
        kept.rates.iter().map(|(name, rate)| (name.clone(), rate.last_minute(now))).collect()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the journal until stopped, then writes a last checkpoint. Blocks; give it a thread.
    /// `seen` gives how far delivery has judged, and a durable mark of the window of duplicates;
    /// `needed` says from where on somebody still needs the journal; nothing may be dropped
    /// while it gives nothing.
    pub fn follow(
        &self,
        runtime: &Handle,
        stop: &CancellationToken,
        seen: &dyn Fn() -> std::io::Result<Option<(Position, Mark)>>,
        needed: &dyn Fn() -> Option<Position>,
    ) {
        let mut durable = self.journal.durable();
        let mut last = Instant::now();
        loop {
            durable.borrow_and_update();
            let (more, fresh) = {
                let mut kept = self.kept();
                let advanced = kept.advance(STEP);
                (advanced, kept.fresh)
            };
            match more {
                Ok(true) => {}
                Ok(false) => {
                    if !Self::wait(runtime, stop, &mut durable) {
                        self.checkpoint(seen);
                        return;
                    }
                }
                Err(BooksError::Disk(error)) => {
                    Event::DiskUnreadable { error: &error }.emit();
                    if !Self::wait(runtime, stop, &mut durable) {
                        return;
                    }
                }
                Err(error) => tracing::error!(%error, "an entry is missing from the ledger"),
            }
            let timely = last.elapsed() >= CHECKPOINT_TIME;
            if fresh >= CHECKPOINT_ENTRIES || (fresh > 0 && timely) {
                self.checkpoint(seen);
            }
            // By the clock too: on a full disk nothing new comes, and only this makes room.
            if fresh >= CHECKPOINT_ENTRIES || timely {
                if let Some(before) = needed() {
                    self.retain(before);
                }
                last = Instant::now();
            }
        }
    }

    /// Waits for more entries or for the next checkpoint; false when stopped.
    fn wait(
        runtime: &Handle,
        stop: &CancellationToken,
        durable: &mut tokio::sync::watch::Receiver<Position>,
    ) -> bool {
        runtime.block_on(async {
            tokio::select! {
                () = stop.cancelled() => false,
                changed = durable.changed() => changed.is_ok(),
                () = tokio::time::sleep(CHECKPOINT_TIME) => true,
            }
        })
    }

    fn checkpoint(&self, seen: &dyn Fn() -> std::io::Result<Option<(Position, Mark)>>) {
        // Tried again when as much has come once more, not at once.
        self.kept().fresh = 0;
        let (delivery, mark) = match seen() {
            Ok(Some(seen)) => seen,
            // Delivery has not begun.
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(%error, "checkpoint not written: the window of duplicates cannot be saved");
                return;
            }
        };
        let (as_of, body) = {
            let mut kept = self.kept();
            kept.ledger.forget_hours();
            let as_of = kept.reader.position();
            let snapshot = SnapshotOf {
                as_of: as_of.to_string(),
                delivery: delivery.to_string(),
                seen: &mark,
                ledger: &kept.ledger,
            };
            let body = serde_json::to_vec(&snapshot);
            (as_of, body.expect("a snapshot holds only strings and numbers"))
        };
        if let Err(error) = self.journal.checkpoint(body.into(), as_of.min(delivery)) {
            // The journal itself is whole: the next start only reads more of it.
            tracing::warn!(%error, "checkpoint not written; the next start will take longer");
        }
    }

    fn retain(&self, before: Position) {
        match self.journal.retain_before(SystemTime::now(), before) {
            Ok(retained) if retained.volumes > 0 => {
                let (volumes, bytes) = (retained.volumes, retained.freed);
                Event::VolumesDropped { volumes, bytes }.emit();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old journal volumes could not be removed"),
        }
    }
}
