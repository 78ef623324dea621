//! Keeps the books: follows the journal, folds it into the ledger, writes checkpoints, drops old volumes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use journal::entry::Position;
use journal::journal::Journal;
use journal::report::Recovered;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::entry::EntryError;
use crate::event::Event;
use crate::ledger::Ledger;

/// Entries after which a checkpoint is due.
const CHECKPOINT_ENTRIES: u64 = 50_000;
/// Time after which one is due when anything happened at all.
const CHECKPOINT_TIME: Duration = Duration::from_secs(10);

/// The books of one engine.
#[derive(Debug)]
pub struct Books {
    journal: Journal,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    ledger: Ledger,
    /// Everything before is in the ledger.
    as_of: Position,
}

/// What a checkpoint holds of the router.
#[derive(Debug, Serialize, Deserialize)]
struct Snapshot {
    as_of: String,
    delivery: String,
    ledger: Ledger,
}

/// Why the books cannot be opened.
#[derive(Debug, Error)]
pub enum BooksError {
    /// The checkpoint is not what this version writes.
    #[error("the checkpoint in the data folder cannot be read: written by a newer version?")]
    Snapshot,
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
    /// Gives back where delivery must begin to read, and how many entries were read. Blocks.
    pub fn recover(
        journal: Journal,
        recovered: &Recovered,
    ) -> Result<(Self, Position, u64), BooksError> {
        let (ledger, as_of, delivery) = match &recovered.checkpoint {
            None => (Ledger::default(), Position::START, Position::START),
            Some(bytes) => {
                let snapshot: Snapshot =
                    serde_json::from_slice(bytes).map_err(|_| BooksError::Snapshot)?;
                let position = |text: &str| text.parse().map_err(|_| BooksError::Snapshot);
                (snapshot.ledger, position(&snapshot.as_of)?, position(&snapshot.delivery)?)
            }
        };
        let mut kept = Kept { ledger, as_of };
        let mut reader = journal.reader(kept.as_of);
        let mut count = 0;
        loop {
            match reader.next() {
                Ok(Some(entry)) => {
                    count += 1;
                    kept.ledger
                        .apply(&entry)
                        .map_err(|source| BooksError::Entry { at: entry.position, source })?;
                }
                Ok(None) => break,
                // A damaged part, which recovery has reported by name.
                Err(_) => {}
            }
        }
        kept.as_of = reader.position();
        Ok((Self { journal, kept: Mutex::new(kept) }, delivery, count))
    }

    /// The ledger as of the last durable entry that was read, which lags by microseconds.
    pub fn ledger(&self) -> Ledger {
        self.kept().ledger.clone()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the journal until stopped, then writes a last checkpoint. Blocks; give it a thread.
    /// `delivery` says from where a restart must deliver.
    pub fn follow(
        &self,
        runtime: &Handle,
        stop: &CancellationToken,
        delivery: &dyn Fn() -> Position,
    ) {
        let mut reader = self.journal.reader(self.kept().as_of);
        let mut durable = self.journal.durable();
        let mut entries = 0;
        let mut last = Instant::now();
        loop {
            durable.borrow_and_update();
            match reader.next() {
                Ok(Some(entry)) => {
                    entries += 1;
                    let mut kept = self.kept();
                    // An entry that cannot be read was reported at its writing; the sums go on.
                    drop(kept.ledger.apply(&entry));
                    kept.as_of = reader.position();
                }
                Ok(None) => {
                    if !self.wait(runtime, stop, &mut durable) {
                        self.checkpoint(delivery());
                        return;
                    }
                }
                Err(_) => {}
            }
            let due = entries >= CHECKPOINT_ENTRIES || last.elapsed() >= CHECKPOINT_TIME;
            if entries > 0 && due {
                self.checkpoint(delivery());
                self.retain();
                entries = 0;
                last = Instant::now();
            }
        }
    }

    /// Waits for more entries or for the next checkpoint; false when stopped.
    fn wait(
        &self,
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

    fn checkpoint(&self, delivery: Position) {
        let (as_of, snapshot) = {
            let kept = self.kept();
            let snapshot = Snapshot {
                as_of: kept.as_of.to_string(),
                delivery: delivery.to_string(),
                ledger: kept.ledger.clone(),
            };
            (kept.as_of, snapshot)
        };
        let body = serde_json::to_vec(&snapshot).expect("a snapshot holds only strings and numbers");
        if let Err(error) = self.journal.checkpoint(body.into(), as_of.min(delivery)) {
            // The journal itself is whole: the next start only reads more of it.
            tracing::warn!(%error, "checkpoint not written; the next start will take longer");
        }
    }

    fn retain(&self) {
        match self.journal.retain(SystemTime::now()) {
            Ok(retained) if retained.volumes > 0 => {
                let (volumes, bytes) = (retained.volumes, retained.freed);
                Event::VolumesDropped { volumes, bytes }.emit();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "old journal volumes could not be removed"),
        }
    }
}
