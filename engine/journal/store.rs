//! What the threads of a journal share.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::watch;

use crate::{
    age::LastLook,
    bell::Bell,
    checkpoint::Kept,
    disk::Disk,
    entry::Position,
    finder::Finder,
    ledger::Ledger,
    queue::{AppendError, Queue},
    report::Failure,
    settings::Settings,
    space::Space,
    volumes::Volumes,
};

/// The parts of an open journal.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) settings: Settings,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) space: Space,
    pub(crate) queue: Queue,
    pub(crate) durable: watch::Sender<Position>,
    pub(crate) failed: watch::Sender<Option<Failure>>,
    /// Held while a checkpoint is taken or volumes are dropped: one at a time.
    pub(crate) kept: Mutex<Kept>,
    /// When retention last looked at the clock.
    pub(crate) look: Mutex<LastLook>,
    pub(crate) packing: Bell,
    /// Where a message was found last.
    pub(crate) finder: Mutex<Finder>,
    ledger: Mutex<Ledger>,
    /// The ledger's, to be read without its lock.
    next_id: AtomicU64,
    frontier: Mutex<Frontier>,
}

/// The end of what is durable, as one fact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frontier {
    /// The number of the next batch.
    pub(crate) next_batch: u64,
    /// Where the last one ends.
    pub(crate) durable: Position,
}

/// What a store starts from, beside its settings.
pub(crate) struct Start {
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) space: Space,
    pub(crate) ledger: Ledger,
    pub(crate) frontier: Frontier,
    pub(crate) kept: Kept,
}

impl Store {
    pub(crate) fn new(disk: Arc<dyn Disk>, settings: Settings, start: Start) -> Store {
        // A group must fit into a volume with room to spare, or each would get one of its own.
        let half = usize::try_from(settings.volume_size / 2).unwrap_or(usize::MAX);
        let queue = Queue::new(settings.batch_bytes.min(half), settings.batch_entries.max(1));
        Store {
            disk,
            volumes: start.volumes,
            space: start.space,
            queue,
            durable: watch::Sender::new(start.frontier.durable),
            failed: watch::Sender::new(None),
            kept: Mutex::new(start.kept),
            look: Mutex::default(),
            packing: Bell::default(),
            finder: Mutex::default(),
            next_id: AtomicU64::new(start.ledger.next_id),
            ledger: Mutex::new(start.ledger),
            frontier: Mutex::new(start.frontier),
            settings,
        }
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id that the next message gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.load(Ordering::Acquire)
    }

    /// The end of what is durable.
    pub(crate) fn frontier(&self) -> Frontier {
        *self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes known that a batch is durable, which the ledger has taken in already.
    pub(crate) fn publish(&self, next_id: u64, frontier: Frontier) {
        self.next_id.store(next_id, Ordering::Release);
        *self.frontier.lock().unwrap_or_else(PoisonError::into_inner) = frontier;
        self.durable.send_replace(frontier.durable);
    }

    /// Stops everything for good: nobody who waits gets an answer that could be taken for success.
    pub(crate) fn fail(&self, failure: Failure) {
        tracing::error!(%failure, "the journal stops");
        self.failed.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(failure);
            first
        });
        self.queue.close(AppendError::Failed);
        self.space.stop();
    }
}
