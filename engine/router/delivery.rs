//! The far side of the journal: read, identify, order by patient, transform, record, publish, settle.
//!
//! One thread reads accepted messages in journal order and finds their patients; worker threads run
//! the scripts, so that a slow one never delays an acknowledgement; one small task a message waits
//! for its outcome to be durable and for its receipts. Memory holds runnable work only: the backlog
//! is the journal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use journal::entry::{Entry, Kind, Position};
use journal::journal::Journal;
use journal::reader::ReadError;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::entry::{self, Accepted, Outcome, State};
use crate::event::Event;
use crate::order::{Order, OrderKey};
use crate::places::Places;
use crate::plan::Plan;
use crate::priority;
use crate::process::{self, Identified};
use crate::publish::{Publisher, Unroutable};
use crate::work::{Task, Unfinished, Work};

/// Messages between the journal and their settlement.
const WINDOW: usize = 2048;
/// Bytes of such messages, in KiB; a larger message runs alone.
const WINDOW_KIB: u32 = 64 * 1024;

/// Everything delivery works with.
pub struct Delivery<P> {
    /// The truth.
    pub journal: Journal,
    /// Configuration in force.
    pub plan: Arc<Plan>,
    /// Where events leave.
    pub publisher: Arc<P>,
    /// Events that found no queue and wait for one.
    pub unroutable: Unroutable,
    /// Cancelled when delivery must end.
    pub stop: CancellationToken,
    /// The tasks that wait for outcomes and receipts.
    pub tasks: TaskTracker,
    pub(crate) runtime: Handle,
    order: Mutex<Order<Work>>,
    runnable: mpsc::UnboundedSender<Work>,
    messages: Arc<Semaphore>,
    kib: Arc<Semaphore>,
    /// Where the oldest message lies that was read and is not settled.
    places: Mutex<Places>,
}

impl<P> std::fmt::Debug for Delivery<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Delivery")
    }
}

impl<P: Publisher> Delivery<P> {
    /// Builds the stage and starts its worker threads; [`Delivery::read`] feeds it, from `from` on.
    pub fn start(
        journal: Journal,
        plan: Arc<Plan>,
        publisher: Arc<P>,
        stop: CancellationToken,
        tasks: TaskTracker,
        from: Position,
    ) -> std::io::Result<Arc<Self>> {
        let (runnable, queue) = mpsc::unbounded_channel();
        let workers = plan.workers;
        let delivery = Arc::new(Self {
            journal,
            plan,
            publisher,
            unroutable: Unroutable::default(),
            stop,
            tasks,
            runtime: Handle::current(),
            order: Mutex::default(),
            runnable,
            messages: Arc::new(Semaphore::new(WINDOW)),
            kib: Arc::new(Semaphore::new(WINDOW_KIB as usize)),
            places: Mutex::new(Places::from(from)),
        });
        let queue = Arc::new(Mutex::new(queue));
        for number in 1..=workers {
            let (delivery, queue) = (delivery.clone(), queue.clone());
            std::thread::Builder::new().name(format!("transform-{number}")).spawn(move || {
                priority::give_way();
                loop {
                    // In a statement of its own, so that the lock is free while the script runs.
                    let work = queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                    let Some(work) = work else { return };
                    delivery.run(work);
                }
            })?;
        }
        Ok(delivery)
    }

    /// Reads accepted messages from `from` on, in order, until stopped. Blocks; give it a thread.
    pub fn read(self: &Arc<Self>, from: Position, unfinished: &Unfinished) {
        self.left_behind(from, unfinished);
        let mut reader = self.journal.reader(from);
        let mut durable = self.journal.durable();
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            durable.borrow_and_update();
            match reader.next() {
                Ok(Some(entry)) => {
                    backoff.reset();
                    if !self.admit(&entry, unfinished) {
                        return;
                    }
                    self.places().read(reader.position());
                }
                Ok(None) => {
                    let stopped = self.runtime.block_on(async {
                        tokio::select! {
                            () = self.stop.cancelled() => true,
                            changed = durable.changed() => changed.is_err(),
                        }
                    });
                    if stopped {
                        return;
                    }
                }
                // The next call goes on behind it.
                Err(ReadError::Corrupt(damage)) => Event::damage(&damage).emit(),
                Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => {}
                // The next call tries the same place again.
                Err(ReadError::Disk(error)) => {
                    Event::DiskUnreadable { error: &error }.emit();
                    self.pause(backoff.wait());
                }
            }
        }
    }

    /// Messages before `from` that are neither settled nor parked: their last record was lost in a
    /// crash after a checkpoint had moved on. There are none unless that happened.
    fn left_behind(self: &Arc<Self>, from: Position, unfinished: &Unfinished) {
        for id in self.journal.unsettled(self.journal.next_id()) {
            if unfinished.get(&id.0).is_some_and(|open| open.state == State::Parked) {
                continue;
            }
            match self.journal.find(id) {
                Ok(Some(entry)) if entry.position < from => {
                    if !self.admit(&entry, unfinished) {
                        return;
                    }
                }
                // Ids rise with positions: everything from here on is read in its turn.
                Ok(Some(_)) => return,
                Ok(None) | Err(_) => {}
            }
        }
    }

    fn pause(&self, length: Duration) {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(length) => {}
            }
        });
    }

    /// How many messages are between the journal and their settlement.
    pub fn in_flight(&self) -> usize {
        self.order().len()
    }

    /// From where a restart must read: everything before is settled or parked.
    pub fn low_water(&self) -> Position {
        self.places().low_water()
    }

    /// When the oldest message in memory was received, milliseconds since 1970 in UTC. Whatever is
    /// still in the backlog came later.
    pub fn oldest(&self) -> Option<i64> {
        self.places().oldest()
    }

    pub(crate) fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn order(&self) -> MutexGuard<'_, Order<Work>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a message into the window, if it is one that must run; false when stopped before that.
    fn admit(self: &Arc<Self>, entry: &Entry, unfinished: &Unfinished) -> bool {
        // A carried copy is of a parked message: it holds nobody and waits for a person.
        if entry.kind != Kind::Accepted || entry.carried || self.journal.is_settled(entry.id) {
            return true;
        }
        let open = unfinished.get(&entry.id.0);
        if open.is_some_and(|open| open.state == State::Parked) {
            return true;
        }
        let Ok((head, frame)) = entry::decode::<Accepted>(&entry.body) else {
            Event::OutcomeUnreadable { message: entry.id.0 }.emit();
            return true;
        };
        let Some(room) = self.room(frame.len()) else { return false };
        // A copy, because the entry is a slice of a larger read that it would keep in memory.
        let frame = Bytes::copy_from_slice(&frame);
        let channel = self.plan.channels.get(&head.channel).cloned();
        let identified = match &channel {
            Some(channel) => {
                let identify = AssertUnwindSafe(|| process::identify(channel, frame.clone()));
                catch_unwind(identify).unwrap_or_else(|_| Identified::parked(frame, "internal"))
            }
            None => Identified::parked(frame, "channel.unknown"),
        };
        let keys: Vec<OrderKey> = identified.keys.clone();
        let task = match open {
            None => Task::Transform(identified),
            Some(open) => {
                let Some((outcome, payload)) = self.outcome(&open.outcome) else {
                    // Never run again, never settle: one id must not have two contents.
                    Event::OutcomeUnreadable { message: entry.id.0 }.emit();
                    return true;
                };
                Task::Publish(outcome, payload)
            }
        };
        self.places().enter(entry.id, entry.position, head.received);
        let work = Work { id: entry.id, channel, head, task, _room: room };
        let ready = self.order().admit(entry.id.0, keys, work);
        if let Some(work) = ready {
            self.enqueue(work);
        }
        true
    }

    pub(crate) fn enqueue(&self, work: Work) {
        // The workers end only after this sender: a failure means that the process ends.
        drop(self.runnable.send(work));
    }

    /// Waits for room in the window; nothing when stopped.
    fn room(&self, bytes: usize) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, WINDOW_KIB);
        self.runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => None,
                room = async {
                    let message = self.messages.clone().acquire_owned().await.ok()?;
                    let kib = self.kib.clone().acquire_many_owned(kib).await.ok()?;
                    Some((message, kib))
                } => room,
            }
        })
    }

    fn outcome(&self, at: &str) -> Option<(Outcome, Bytes)> {
        let entry = self.journal.read(at.parse().ok()?).ok()?;
        entry::decode(&entry.body).ok()
    }
}
