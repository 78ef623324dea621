//! Feeds the archive: follows the journal and writes down what it says, so that it can be found.
//!
//! The archive is never needed to deliver: it lags behind as long as it must, says how far it is, and
//! is fed anew from the journal when it is lost.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use archive::archive::Archive;
use archive::error::ArchiveError;
use archive::record::{self as written, Record, What};
use archive::state;
use journal::entry::{Entry, Kind, Position};
use journal::journal::Journal;
use journal::reader::{ReadError, Reader};
use metrics::gauge;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::archive_home::ArchiveHome;
use crate::backoff::Backoff;
use crate::entry::{
    self, Accepted, Action, Decision, EditOf, EntryError, Outcome, State, StateChange,
};
use crate::event::Event;
use crate::plan::ArchivePlan;

/// Records written together.
const BATCH: usize = 1000;
/// How long an incomplete batch waits for more.
const LINGER: Duration = Duration::from_millis(200);
/// How often old days are looked for.
const PRUNE: Duration = Duration::from_mins(1);

/// One archive and how far it is.
#[derive(Debug)]
pub struct Chronicle {
    journal: Journal,
    archive: ArchiveHome,
    /// Somebody wants it made anew.
    rebuild: AtomicBool,
    /// Where the journal is read from.
    from: Position,
    /// When the last entry taken in was written, milliseconds since 1970 in UTC.
    written: AtomicU64,
    caught_up: AtomicBool,
    reached: Mutex<Position>,
    further: Condvar,
    /// Somebody waits for the newest.
    asked: Notify,
}

impl Chronicle {
    /// The archive of a folder, that was fed up to `position`, or not at all.
    pub fn new(
        journal: Journal,
        folder: &Path,
        archive: Archive,
        position: Option<&str>,
    ) -> Arc<Self> {
        let from = position.and_then(|at| at.parse().ok()).unwrap_or(Position::START);
        Arc::new(Self {
            journal,
            archive: ArchiveHome::new(folder, archive),
            rebuild: AtomicBool::new(false),
            from,
            written: AtomicU64::new(0),
            caught_up: AtomicBool::new(false),
            reached: Mutex::new(from),
            further: Condvar::new(),
            asked: Notify::new(),
        })
    }

    /// Asks the archive something.
    pub fn ask<T>(
        &self,
        question: impl FnOnce(&Archive) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        self.archive.ask(question)
    }

    /// Has the archive made anew from the journal. Until it has caught up it says how far it is.
    pub fn rebuild(&self) {
        self.rebuild.store(true, Ordering::Release);
        self.begin_again();
        self.asked.notify_one();
    }

    /// Nothing of the journal may be dropped before it was taken in again.
    fn begin_again(&self) {
        self.caught_up.store(false, Ordering::Relaxed);
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Position::START;
    }

    /// Makes it anew; true when it has to be fed from the beginning.
    fn rebuilt(&self) -> bool {
        if !self.rebuild.swap(false, Ordering::Acquire) {
            return false;
        }
        let first = self.journal.reader(Position::START).next().ok().flatten();
        let begins = first.and_then(|entry| i64::try_from(entry.written).ok());
        if let Err(error) = self.archive.rebuild(begins) {
            Event::ArchiveUnwritable { error: &error }.emit();
        }
        self.begin_again();
        self.written.store(0, Ordering::Relaxed);
        true
    }

    /// Whether everything durable when it was last asked for had been taken in.
    pub fn caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }

    /// How far behind it is, in milliseconds; nothing when it has caught up.
    pub fn lag(&self, now_ms: i64) -> Option<i64> {
        if self.caught_up() {
            return None;
        }
        match i64::try_from(self.written.load(Ordering::Relaxed)).unwrap_or(i64::MAX) {
            // Nothing was read yet.
            0 => Some(0),
            written => Some((now_ms - written).max(0)),
        }
    }

    /// Waits until everything that is durable now was taken in; false when that takes longer than
    /// `most`. Blocks.
    pub fn catch_up(&self, most: Duration) -> bool {
        let wanted = *self.journal.durable().borrow();
        self.asked.notify_one();
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.further.wait_timeout_while(reached, most, |reached| *reached < wanted);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Follows the journal until stopped. Blocks; give it a thread.
    pub fn follow(
        &self,
        runtime: &Handle,
        stop: &CancellationToken,
        limits: &dyn Fn() -> ArchivePlan,
    ) {
        let mut durable = self.journal.durable();
        let mut reader = self.journal.reader(self.from);
        let mut backoff = Backoff::default();
        let mut pruned = Instant::now();
        loop {
            let end = *durable.borrow_and_update();
            if self.rebuilt() {
                reader = self.journal.reader(Position::START);
            }
            let (batch, further) = self.batch(&mut reader);
            let more = further == Further::More;
            let at = reader.position().to_string();
            if !batch.is_empty() {
                self.caught_up.store(false, Ordering::Relaxed);
                // Whatever is wrong with the archive, the journal has it all.
                while let Err(error) = self.ask(|archive| archive.take(&batch, &at)) {
                    Event::ArchiveUnwritable { error: &error }.emit();
                    if !sleep(runtime, stop, backoff.wait()) {
                        return;
                    }
                }
                backoff.reset();
            }
            // Behind its last entry the reader stands before the end of what is durable.
            let read = reader.position();
            let reached = if further == Further::Nothing { read.max(end) } else { read };
            *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = reached;
            self.further.notify_all();
            if pruned.elapsed() >= PRUNE {
                pruned = Instant::now();
                self.prune(limits());
            }
            self.caught_up.store(further == Further::Nothing, Ordering::Relaxed);
            let lag = self.lag(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
            #[expect(clippy::cast_precision_loss, reason = "a gauge for people")]
            gauge!("tieline_archive_lag_seconds").set(lag as f64 / 1000.0);
            if more {
                if stop.is_cancelled() {
                    return;
                }
                continue;
            }
            let alive = runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => return false,
                    () = self.asked.notified() => return true,
                    changed = durable.changed() => if changed.is_err() { return false },
                    () = tokio::time::sleep(PRUNE) => {}
                }
                // A little later there is more to write at once, unless somebody waits for it.
                tokio::select! {
                    () = stop.cancelled() => false,
                    () = self.asked.notified() => true,
                    () = tokio::time::sleep(LINGER) => true,
                }
            });
            if !alive {
                return;
            }
        }
    }

    /// The next records, and whether there may be more now.
    fn batch(&self, reader: &mut Reader) -> (Vec<Record>, Further) {
        let mut batch = Vec::with_capacity(BATCH);
        while batch.len() < BATCH {
            let entry = match reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => return (batch, Further::Nothing),
                // Told by others who read it.
                Err(ReadError::Disk(_)) => return (batch, Further::Unknown),
                Err(_) => continue,
            };
            self.written.store(entry.written, Ordering::Relaxed);
            match records_of(&entry) {
                Ok(records) => batch.extend(records),
                Err(_) => Event::OutcomeUnreadable { message: entry.id.0 }.emit(),
            }
        }
        (batch, Further::More)
    }

    fn prune(&self, limits: ArchivePlan) {
        let limits = archive::retention::Limits { max_age: limits.age, max_bytes: limits.size };
        let now = jiff::Timestamp::now().as_millisecond();
        match self.ask(|archive| archive.prune(&limits, now)) {
            Ok(pruned) if pruned.days > 0 => {
                Event::ArchivePruned { days: pruned.days, bytes: pruned.bytes }.emit();
            }
            Ok(_) => {}
            Err(error) => Event::ArchiveUnwritable { error: &error }.emit(),
        }
    }
}

fn sleep(runtime: &Handle, stop: &CancellationToken, length: Duration) -> bool {
    runtime.block_on(async {
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(length) => true,
        }
    })
}

/// Whether the journal may hold more than was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Further {
    More,
    /// Everything that is durable was read.
    Nothing,
    /// The disk did not say.
    Unknown,
}

/// What the archive keeps of an entry. An edit is a message of its own, and what somebody did to
/// the message whose place it takes.
fn records_of(entry: &Entry) -> Result<Vec<Record>, EntryError> {
    let about = |id, what| Record {
        id,
        at_ms: i64::try_from(entry.written).unwrap_or(i64::MAX),
        place: entry.position.to_bytes(),
        copied_from: None,
        what,
    };
    let mut records = Vec::new();
    let what = match entry.kind {
        Kind::Accepted => {
            let (head, frame): (Accepted, _) = entry::decode(&entry.body)?;
            if let Some(edit) = &head.edit {
                let decision = edited(&head.channel, edit);
                records.push(about(edit.of, What::Operator(decision)));
            }
            What::Accepted(written::Accepted {
                channel: head.channel,
                received_ms: head.received,
                peer: head.peer,
                control_id: head.control_id,
                sender: head.sender,
                message_type: head.message_type,
                size: frame.len() as u64,
                edit_of: head.edit.map(|edit| edit.of),
                duplicate_of: None,
            })
        }
        Kind::Outcome => {
            let (head, _): (Outcome, _) = entry::decode(&entry.body)?;
            let state = match head.state {
                State::Parked => head.state_now(),
                follows => follows,
            };
            What::Outcome(written::Outcome {
                received_ms: head.received,
                state: state_of(state),
                reason: head.reason,
                detail: head.detail,
                nhs_number: head.nhs_number,
                local_ids: head.local_ids,
                configversion: head.configversion,
                revision: head.revision.into(),
                events: head
                    .events
                    .into_iter()
                    .map(|event| written::EventRow {
                        event_id: event.id,
                        event_type: event.event_type,
                        routing_key: event.routing_key,
                        length: event.length.into(),
                    })
                    .collect(),
            })
        }
        Kind::State => {
            let (head, _): (StateChange, _) = entry::decode(&entry.body)?;
            What::State(written::Change {
                received_ms: head.received,
                state: state_of(head.state),
                reason: head.reason,
                routes: head.routes,
                duplicate_of: head.duplicate_of,
                superseded_by: head.superseded_by,
            })
        }
        Kind::Operator => {
            let (head, _): (Decision, _) = entry::decode(&entry.body)?;
            What::Operator(written::Decision {
                channel: head.channel,
                action: head.action.as_str().to_owned(),
                actor: head.actor,
                reason: head.reason,
                note: None,
            })
        }
        Kind::Identity | Kind::Configuration | Kind::Checkpoint => return Ok(records),
    };
    records.push(about(entry.id.0, what));
    Ok(records)
}

/// Who edited, why, and who approved it.
fn edited(channel: &str, edit: &EditOf) -> written::Decision {
    let why = edit.approval.as_deref().unwrap_or_default();
    written::Decision {
        channel: channel.to_owned(),
        action: "edit".to_owned(),
        actor: edit.actor.clone(),
        reason: edit.reason.clone(),
        note: edit.approved_by.as_ref().map(|by| format!("approved by {by}: {why}")),
    }
}

/// The state that an entry settles its message in.
pub(crate) fn settled_state(entry: &Entry) -> Option<State> {
    match entry.kind {
        Kind::State => {
            let (change, _): (StateChange, _) = entry::decode(&entry.body).ok()?;
            Some(change.state)
        }
        Kind::Operator => {
            let (decision, _): (Decision, _) = entry::decode(&entry.body).ok()?;
            (decision.action == Action::Discard).then_some(State::Discarded)
        }
        _ => None,
    }
}

/// The archive's word for a state.
pub(crate) fn state_of(state: State) -> state::State {
    match state {
        State::Pending => state::State::Pending,
        State::Parked => state::State::Parked,
        State::Published => state::State::Published,
        State::Filtered => state::State::Filtered,
        State::Discarded => state::State::Discarded,
        State::Superseded => state::State::Superseded,
        State::Duplicate => state::State::Duplicate,
    }
}
