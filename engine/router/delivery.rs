//! The far side of the journal: read, identify, order by patient, transform, record, publish, settle.
//!
//! One thread reads accepted messages in journal order and finds their patients (`reading.rs`);
//! worker threads run the scripts, so that a slow one never delays an acknowledgement, and one small
//! task a message waits for its outcome to be durable and for its receipts (`settle.rs`). What must
//! wait behind a parked message leaves memory for the held index and comes back when it is free
//! (`waiting.rs`). Memory holds runnable work only: the backlog is the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::{Kind, MessageId, Position};
use journal::journal::Journal;
use journal::queue::AppendError;
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::desk::{Command, Desk};
use crate::duplicates;
use crate::entry::{self, StateChange};
use crate::event::Event;
use crate::fates::Fates;
use crate::flight::Flight;
use crate::held::Held;
use crate::lifeline::{Ended, Lifeline};
use crate::order::Order;
use crate::patients::Patients;
use crate::plan::{ChannelPlan, Current};
use crate::priority;
use crate::publish::{Publisher, Trouble, Unroutable};
use crate::retries::{RETRIES, Retries};
use crate::runnable::Runnable;
use crate::scope;
use crate::seen::{Mark, Seen};
use crate::work::{Released, Room, Work};

/// Messages between the journal and their settlement.
const WINDOW: usize = 2048;
/// Bytes of such messages, in KiB; a larger message runs alone.
const WINDOW_KIB: u32 = 64 * 1024;

/// How often the oldest of what was seen is forgotten.
const FORGET: Duration = Duration::from_mins(5);

/// What delivery begins with.
#[derive(Debug)]
pub struct Beginning {
    /// Messages in memory at once.
    pub window: usize,
    /// A folder for the held index, which is made anew at every start, and for the window of
    /// duplicates.
    pub folder: PathBuf,
    /// The mark of that window in the checkpoint.
    pub seen: Option<Mark>,
    /// Everything accepted before is in it.
    pub judged: Position,
    /// Hears of a thread that ends before its time.
    pub(crate) ended: Ended,
    /// Channels whose messages wait from the first one on.
    pub paused: BTreeSet<String>,
    /// Who waits to hear what became of a message.
    pub fates: Fates,
    /// Whom identifiers mean.
    pub patients: Arc<Patients>,
}

impl Beginning {
    /// With the usual window.
    pub fn new(
        folder: &Path,
        seen: Option<Mark>,
        judged: Position,
        patients: Arc<Patients>,
    ) -> Self {
        let (folder, paused) = (folder.to_owned(), BTreeSet::new());
        let (ended, fates) = (Ended::new(None), Fates::default());
        Self { window: WINDOW, folder, seen, judged, ended, paused, fates, patients }
    }
}

/// Everything delivery works with.
pub struct Delivery<P> {
    /// The truth.
    pub journal: Journal,
    /// Configuration in force.
    pub plan: Arc<Current>,
    /// Where events leave.
    pub publisher: Arc<P>,
    /// Events that found no queue and wait for one.
    pub unroutable: Unroutable,
    /// Cancelled when delivery must end.
    pub stop: CancellationToken,
    /// The tasks that wait for outcomes and receipts.
    pub tasks: TaskTracker,
    pub(crate) runtime: Handle,
    /// What runs, and what waits behind it in memory.
    order: Mutex<Order<Work>>,
    /// What is parked or retried, and what waits behind it on disk.
    held: Mutex<Held>,
    pub(crate) runnable: Runnable<Work>,
    /// To the thread that keeps the held index.
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) messages: Arc<Semaphore>,
    pub(crate) kib: Arc<Semaphore>,
    pub(crate) retry_slots: Arc<Semaphore>,
    pub(crate) retry_due: Notify,
    retries: Mutex<Retries>,
    flight: Mutex<Flight>,
    /// Set once the window of duplicates was taken up.
    reading: OnceLock<Mutex<Reading>>,
    beginning: Beginning,
    /// Whom identifiers mean.
    pub(crate) patients: Arc<Patients>,
    /// Messages that an operator released and that have no new outcome yet.
    released: Mutex<BTreeMap<u64, Released>>,
    /// Waiting messages that were not yet read again after they were freed.
    pub(crate) returning: AtomicU64,
    /// Set once everything that was parked at the start stands in the held index.
    pub(crate) taken_up: OnceLock<()>,
}

/// How far the journal was read, and what was seen on the way.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) seen: Seen,
    pub(crate) position: Position,
    /// When the oldest of what was seen was last forgotten.
    forgotten: Instant,
}

impl<P> std::fmt::Debug for Delivery<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delivery")
    }
}

/// What is under way, for the status page.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Moving {
    /// Messages in memory.
    pub in_flight: usize,
    /// Messages that wait on disk behind a parked one.
    pub held: u64,
    /// Messages with an event that finds no queue, or that the broker refuses.
    pub retrying: usize,
    /// Since when the oldest of them is tried, milliseconds since 1970 in UTC.
    pub retrying_since: Option<i64>,
    /// When the oldest message in memory was received, or since when the oldest of those that the
    /// broker does not take is tried, by channel, in the same unit.
    #[serde(skip)]
    pub oldest: BTreeMap<String, i64>,
    /// Results and documents among the held.
    #[serde(skip)]
    pub held_results: u64,
    /// Held messages by channel.
    #[serde(skip)]
    pub held_by_channel: BTreeMap<String, u64>,
}

impl<P: Publisher> Delivery<P> {
    /// Builds the stage and starts its threads; [`Delivery::read`] feeds it.
    pub fn start(
        journal: Journal,
        plan: Arc<Current>,
        publisher: Arc<P>,
        stop: CancellationToken,
        tasks: TaskTracker,
        beginning: Beginning,
    ) -> std::io::Result<Arc<Self>> {
        let (commands, obeyed) = mpsc::unbounded_channel();
        let workers = plan.get().workers;
        std::fs::create_dir_all(&beginning.folder)?;
        let paused = beginning.paused.clone();
        let mut held = Held::create(&beginning.folder.join("held"))?;
        if !paused.is_empty() {
            held.block(MessageId::NONE.0, Position::START.to_bytes(), &scope::paused(&paused))?;
        }
        let delivery = Arc::new(Self {
            journal,
            plan,
            publisher,
            unroutable: Unroutable::default(),
            stop,
            tasks,
            runtime: Handle::current(),
            order: Mutex::default(),
            held: Mutex::new(held),
            runnable: Runnable::default(),
            commands,
            messages: Arc::new(Semaphore::new(beginning.window)),
            kib: Arc::new(Semaphore::new(WINDOW_KIB as usize)),
            retry_slots: Arc::new(Semaphore::new(RETRIES)),
            retry_due: Notify::new(),
            retries: Mutex::default(),
            flight: Mutex::default(),
            reading: OnceLock::new(),
            released: Mutex::default(),
            returning: AtomicU64::new(0),
            patients: beginning.patients.clone(),
            beginning,
            taken_up: OnceLock::new(),
        });
        let ended = delivery.beginning.ended.clone();
        for number in 1..=workers {
            let delivery = delivery.clone();
            let lifeline = Lifeline::new("transform", &delivery.stop, &ended);
            std::thread::Builder::new().name(format!("transform-{number}")).spawn(move || {
                let _lifeline = lifeline;
                priority::give_way();
                while let Some(work) = delivery.runnable.take() {
                    delivery.run(work);
                }
            })?;
        }
        let reader = delivery.clone();
        let lifeline = Lifeline::new("held", &delivery.stop, &ended);
        std::thread::Builder::new().name("held".to_owned()).spawn(move || {
            let _lifeline = lifeline;
            reader.obey(obeyed, paused);
        })?;
        delivery.tasks.spawn(delivery.clone().retry());
        let (closing, stop) = (delivery.clone(), delivery.stop.clone());
        delivery.runtime.spawn(async move {
            stop.cancelled().await;
            closing.runnable.close();
        });
        Ok(delivery)
    }

    /// Where decisions about parked messages and channels take effect.
    pub fn desk(&self) -> Desk {
        Desk::new(self.commands.clone())
    }

    /// What is under way.
    pub fn moving(&self) -> Moving {
        let held = self.held().waiting();
        let (held_by_channel, held_results, mut oldest) = {
            let flight = self.flight();
            (flight.held.clone(), flight.held_results, flight.oldest())
        };
        let (retrying, retrying_since, paused) = {
            let retries = self.retries();
            retries.add_oldest(&mut oldest);
            (retries.len(), retries.oldest(), retries.paused() as u64)
        };
        Moving {
            in_flight: self.order().len(),
            held: held + paused + self.returning.load(Ordering::Relaxed),
            retrying,
            retrying_since,
            oldest,
            held_results,
            held_by_channel,
        }
    }

    /// How many wait behind a parked message.
    pub fn behind(&self, id: u64) -> u64 {
        self.held().behind(id)
    }

    /// What a pending message waits for.
    pub fn waits_for(&self, id: u64) -> &'static str {
        match self.retries().trouble(id) {
            Some(Trouble::Paused) => "held",
            Some(_) => "retrying",
            None if self.held().is_waiting(id) => "held",
            None => "queued",
        }
    }

    /// How far the journal was read, and a durable mark of what was seen until then; nothing while
    /// the window of duplicates is still taken up.
    pub fn mark(&self) -> std::io::Result<Option<(Position, Mark)>> {
        if self.reading.get().is_none() {
            return Ok(None);
        }
        let plan = self.plan.get();
        let windows = plan.channels.values().map(|channel| channel.duplicates.window);
        let longest = windows.max().unwrap_or_default();
        let longest = i64::try_from(longest.as_millis()).unwrap_or(i64::MAX);
        let mut reading = self.reading();
        // It goes through everything, so not every time.
        if reading.forgotten.elapsed() >= FORGET {
            reading.forgotten = Instant::now();
            reading.seen.forget(Timestamp::now().as_millisecond().saturating_sub(longest));
        }
        let mark = reading.seen.save()?;
        Ok(Some((reading.position, mark)))
    }

    /// Takes up the window of duplicates; false when that cannot be.
    pub(crate) fn take_up_seen(&self, position: Position) -> bool {
        let Beginning { folder, seen, judged, .. } = &self.beginning;
        let folder = folder.join("seen");
        let plan = self.plan.get();
        match duplicates::recover(&self.journal, &folder, seen.as_ref(), *judged, position, &plan) {
            Ok(seen) => {
                let reading = Reading { seen, position, forgotten: Instant::now() };
                self.reading.set(Mutex::new(reading)).is_ok()
            }
            Err(error) => {
                Event::SeenUnwritable { error: &error }.emit();
                false
            }
        }
    }

    pub(crate) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn order(&self) -> MutexGuard<'_, Order<Work>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn retries(&self) -> MutexGuard<'_, Retries> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reading(&self) -> MutexGuard<'_, Reading> {
        self.reading.wait().lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn released(&self) -> MutexGuard<'_, BTreeMap<u64, Released>> {
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room in the window; nothing when stopped.
    pub(crate) async fn room(&self, bytes: usize) -> Option<Room> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, WINDOW_KIB);
        tokio::select! {
            () = self.stop.cancelled() => None,
            room = async {
                let message = self.messages.clone().acquire_owned().await.ok()?;
                let kib = self.kib.clone().acquire_many_owned(kib).await.ok()?;
                Some((message, kib))
            } => room,
        }
    }

    /// Writes a record, waiting for room as long as it takes: what was accepted must drain.
    pub(crate) async fn store(
        &self,
        kind: Kind,
        id: MessageId,
        body: Bytes,
        settles: bool,
    ) -> Result<Position, AppendError> {
        let mut backoff = Backoff::default();
        loop {
            match self.journal.record(kind, id, body.clone(), settles).await {
                Ok((_, at)) => return Ok(at),
                Err(AppendError::Full) => {
                    Event::RecordWaits.emit();
                    tokio::select! {
                        () = self.stop.cancelled() => return Err(AppendError::Closed),
                        () = tokio::time::sleep(backoff.wait()) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Records a state that settles a message.
    pub(crate) async fn settle(
        &self,
        id: MessageId,
        change: &StateChange,
    ) -> Result<(), AppendError> {
        let body = entry::encode(change, &[]);
        self.store(Kind::State, id, body, change.state.is_final()).await?;
        Ok(())
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Tells who waits for the message, on a channel whose senders do.
    pub(crate) fn tell_fate(&self, id: MessageId, channel: Option<&ChannelPlan>) {
        if channel.is_some_and(|channel| channel.acknowledge.published_within.is_some()) {
            self.beginning.fates.tell(id);
        }
    }

    /// A message leaves memory and its keys: what waited behind it in memory may run.
    pub(crate) fn leave(&self, id: MessageId) {
        let ready = self.order().finish(id.0);
        self.flight().leave(id.0);
        for next in ready {
            self.enqueue(next);
        }
    }

    pub(crate) fn enqueue(&self, work: Work) {
        let (channel, lane) = (work.head.channel.clone(), work.lane);
        self.runnable.push(&channel, lane, work);
    }
}
