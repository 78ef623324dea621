//! The identity index in the line: what outcomes teach it, and how it survives.
//!
//! What a message teaches is part of its outcome, so that it is durable before any event that
//! depends on it, and known at once to the patient's next message. One thread follows the journal
//! and writes what was taught to the index's own files, behind the line; another keeps verified
//! copies of them. A start takes up the files and reads on in the journal: nothing is ever worked
//! out again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use identity::error::IndexError;
use identity::fact::Fact;
use identity::index::{Index, Origin, Settings};
use identity::opening::Opened;
use journal::entry::{Entry, Kind, Position};
use journal::journal::Journal;
use journal::reader::{ReadError, Reader};
use serde::Deserialize;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::entry;
use crate::event::Event;

/// How long what was taught may wait to be written to the index's files.
const FLUSH: Duration = Duration::from_secs(1);
/// Patients after whom it does not wait.
const FLUSH_PATIENTS: usize = 20_000;
/// How often it is asked whether a copy is due.
const LOOK: Duration = Duration::from_secs(2);
/// Age of the newest copy after which another one is due in any case.
const COPY: Duration = Duration::from_hours(1);
/// While retention may be waiting for one, copying takes at most one part in so many of the time.
const COPY_SHARE: u32 = 20;
/// Copies kept.
const COPIES: usize = 2;

/// The identity index of one engine.
pub struct Patients {
    index: Index,
    journal: Journal,
    taught: Mutex<Taught>,
}

/// How far the journal was read, and what is known already of what lies behind.
struct Taught {
    /// Every entry before it was applied.
    position: Position,
    /// Outcomes applied by one of the two who do, and not yet met by the other.
    early: BTreeSet<Position>,
    /// Something could not be applied: the position stays before it, so that the next start tries
    /// again.
    stuck: bool,
}

/// Why the index cannot be taken up.
#[derive(Debug, Error)]
pub enum PatientsError {
    /// Its files cannot be read or written.
    #[error("the identity index cannot be opened")]
    Index(#[from] IndexError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[source] io::Error),
}

impl std::fmt::Debug for Patients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patients")
    }
}

/// What an outcome or an operator's entry teaches; the rest of its head is passed over.
#[derive(Deserialize)]
struct Teaching {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    received: i64,
    #[serde(default)]
    at: i64,
    #[serde(default)]
    learned: Vec<Fact>,
}

impl Patients {
    /// Takes up the index in `folder` and reads what the journal knows besides. Blocks.
    pub fn open(journal: Journal, folder: &Path) -> Result<Patients, PatientsError> {
        let Opened { index, position, findings } = Index::open(folder, Settings::default())?;
        for finding in &findings {
            Event::IdentitySetAside { finding: &finding.to_string() }.emit();
        }
        let position = position.map_or(Position::START, Position::from_bytes);
        let taught = Mutex::new(Taught { position, early: BTreeSet::new(), stuck: false });
        let patients = Self { index, journal, taught };
        let mut reader = patients.journal.reader(position);
        while patients.step(&mut reader).map_err(PatientsError::Journal)? {
            if patients.index.unflushed() > FLUSH_PATIENTS {
                patients.index.flush()?;
            }
        }
        // Nobody else will meet these.
        patients.taught().early.clear();
        Ok(patients)
    }

    /// The index, to be asked.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// What the outcome at `at` teaches is known from now on; call when it is durable, and before
    /// the patient's next message runs.
    pub(crate) fn learn(&self, at: Position, origin: &Origin<'_>, facts: &[Fact]) {
        if !facts.is_empty() {
            let mut taught = self.taught();
            self.apply(&mut taught, at, origin, facts);
        }
    }

    /// Whether something that was taught could not be applied: nothing more is to be built on it
    /// before the next start, which tries again.
    pub(crate) fn is_stuck(&self) -> bool {
        self.taught().stuck
    }

    /// Each outcome is met twice: by the task that recorded it and by the thread that follows the
    /// journal. Whoever comes first applies it; for the other it is too late, since later ones of
    /// the patient may have been applied by then.
    fn apply(&self, taught: &mut Taught, at: Position, origin: &Origin<'_>, facts: &[Fact]) {
        if taught.early.remove(&at) {
            return;
        }
        taught.early.insert(at);
        if let Err(error) = self.index.apply(taught.position.to_bytes(), origin, facts) {
            taught.stuck = true;
            Event::IdentityUnwritable { error: &error }.emit();
        }
    }

    /// Reads one entry; false at the end of what is durable.
    fn step(&self, reader: &mut Reader) -> io::Result<bool> {
        match reader.next() {
            Ok(Some(entry)) => {
                self.read(&entry, reader.position());
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(ReadError::Corrupt(damage)) => {
                Event::damage(&damage).emit();
                Ok(true)
            }
            Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => Ok(true),
            Err(ReadError::Disk(error)) => Err(error),
        }
    }

    fn read(&self, entry: &Entry, behind: Position) {
        let teaches =
            matches!(entry.kind, Kind::Outcome | Kind::Identity | Kind::Operator) && !entry.carried;
        let teaching = teaches.then(|| entry::decode::<Teaching>(&entry.body));
        let mut taught = self.taught();
        match teaching {
            Some(Ok((teaching, _))) if !teaching.learned.is_empty() => {
                let Teaching { channel, actor, received, at, learned } = teaching;
                let at_ms = if at == 0 { received } else { at };
                let (source, actor) = (channel.as_str(), actor.as_deref());
                let origin = Origin { at_ms, source, message_id: entry.id.0, actor };
                self.apply(&mut taught, entry.position, &origin, &learned);
            }
            Some(Err(_)) => Event::OutcomeUnreadable { message: entry.id.0 }.emit(),
            _ => {}
        }
        if !taught.stuck {
            taught.position = behind;
        }
    }

    /// Follows the journal until stopped and writes what it teaches. Blocks; give it a thread.
    pub(crate) fn follow(&self, runtime: &Handle, stop: &CancellationToken) {
        let mut durable = self.journal.durable();
        let mut reader = self.journal.reader(self.taught().position);
        let mut flushed = Instant::now();
        loop {
            durable.borrow_and_update();
            let more = self.step(&mut reader).unwrap_or_else(|error| {
                Event::DiskUnreadable { error: &error }.emit();
                false
            });
            let due = flushed.elapsed() >= FLUSH || self.index.unflushed() > FLUSH_PATIENTS;
            if due || (!more && stop.is_cancelled()) {
                self.flush();
                flushed = Instant::now();
            }
            if more {
                continue;
            }
            if stop.is_cancelled() {
                return;
            }
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = durable.changed() => {}
                    () = tokio::time::sleep(FLUSH) => {}
                }
            });
        }
    }

    fn flush(&self) {
        // Told too what was read and taught nothing: it need not be read again.
        let taught = self.taught();
        let origin = Origin { at_ms: 0, source: "", message_id: 0, actor: None };
        let told = self.index.apply(taught.position.to_bytes(), &origin, &[]);
        drop(taught);
        if let Err(error) = told.and_then(|()| self.index.flush().map(drop)) {
            // It stays in memory and in the journal; the next round tries again.
            Event::IdentityUnwritable { error: &error }.emit();
        }
    }

    /// Keeps verified copies until stopped. Blocks; give it a thread.
    pub(crate) fn keep_copies(&self, runtime: &Handle, stop: &CancellationToken) {
        // When the last copy was begun, how long it took, and how far it reaches.
        let mut last: Option<(Instant, Duration, Position)> = None;
        while !stop.is_cancelled() {
            let now = self.taught().position;
            let covered = self.covered();
            let wanted = covered.is_none_or(|covered| covered.volume < now.volume);
            let due = match last {
                None => wanted,
                Some((_, _, reaches)) if reaches == now => false,
                Some((begun, took, _)) if wanted => begun.elapsed() >= took * COPY_SHARE,
                Some((begun, ..)) => begun.elapsed() >= COPY,
            };
            if due && self.knows_anybody() {
                let begun = Instant::now();
                if let Err(error) = self.index.snapshot(COPIES) {
                    Event::IdentityUnwritable { error: &error }.emit();
                }
                last = Some((begun, begun.elapsed(), now));
            }
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            });
        }
    }

    /// From where on the index still needs the journal: what two verified copies hold is safe.
    pub(crate) fn needed(&self) -> Position {
        match self.covered() {
            Some(covered) => covered,
            None if self.knows_anybody() => Position::START,
            None => Position::END,
        }
    }

    fn covered(&self) -> Option<Position> {
        // What cannot be read covers nothing.
        self.index.covered().ok().flatten().map(Position::from_bytes)
    }

    /// In doubt it does.
    fn knows_anybody(&self) -> bool {
        let figures = self.index.figures();
        self.index.unflushed() > 0 || figures.is_ok_and(|figures| figures.patients > 0)
    }

    fn taught(&self) -> MutexGuard<'_, Taught> {
        self.taught.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
