//! The far side of the journal: read, identify, order by patient, transform, record, publish, settle.
//!
//! One thread reads accepted messages in journal order and finds their patients; worker threads run
//! the scripts, so that a slow one never delays an acknowledgement; one small task a message waits
//! for its outcome to be durable and for its receipts. Memory holds runnable work only: the backlog
//! is the journal.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::{Entry, Kind, MessageId, Position};
use journal::journal::Journal;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::entry::{self, Accepted, Outcome, State, StateChange, StoredEvent};
use crate::event::Event;
use crate::ledger::Open;
use crate::order::{Order, OrderKey};
use crate::plan::{ChannelPlan, Plan};
use crate::process::{self, Facts, Identified, Processed};
use crate::publish::{Outgoing, Publisher};

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
    /// Cancelled when delivery must end.
    pub stop: CancellationToken,
    /// The tasks that wait for outcomes and receipts.
    pub tasks: TaskTracker,
    runtime: Handle,
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

/// One message on its way.
struct Work {
    id: MessageId,
    /// Absent when channels.yaml no longer names the message's channel.
    channel: Option<Arc<ChannelPlan>>,
    head: Accepted,
    task: Task,
    since: Instant,
    /// Room in the window, given back when the message is settled or parked.
    _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

enum Task {
    /// Run the script.
    Transform(Identified),
    /// The outcome stands already: publish its bytes.
    Publish(Outcome, Bytes),
}

/// What was read and is not settled, by id, and how far the reader is.
#[derive(Debug, Default)]
struct Places {
    /// Where each lies, and when it was received in milliseconds since 1970 in UTC.
    in_flight: BTreeMap<u64, (Position, i64)>,
    read: Position,
}

/// What a restart found: outcomes that stand and are not settled, by message.
pub type Unfinished = BTreeMap<u64, Open>;

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
            stop,
            tasks,
            runtime: Handle::current(),
            order: Mutex::default(),
            runnable,
            messages: Arc::new(Semaphore::new(WINDOW)),
            kib: Arc::new(Semaphore::new(WINDOW_KIB as usize)),
            places: Mutex::new(Places { in_flight: BTreeMap::new(), read: from }),
        });
        let queue = Arc::new(Mutex::new(queue));
        for number in 1..=workers {
            let (delivery, queue) = (delivery.clone(), queue.clone());
            std::thread::Builder::new().name(format!("transform-{number}")).spawn(move || {
                while let Some(work) =
                    queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv()
                {
                    delivery.run(work);
                }
            })?;
        }
        Ok(delivery)
    }

    /// Reads accepted messages from `from` on, in order, until stopped. Blocks; give it a thread.
    pub fn read(self: &Arc<Self>, from: Position, unfinished: &Unfinished) {
        let mut reader = self.journal.reader(from);
        let mut durable = self.journal.durable();
        while !self.stop.is_cancelled() {
            durable.borrow_and_update();
            match reader.next() {
                Ok(Some(entry)) => {
                    // A carried copy is of a parked message: it holds nobody and waits for a person.
                    if entry.kind == Kind::Accepted
                        && !entry.carried
                        && !self.journal.is_settled(entry.id)
                    {
                        self.admit(&entry, unfinished);
                    }
                    self.places().read = reader.position();
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
                // Recovery has reported it; the reader goes on behind it.
                Err(_) => {}
            }
        }
    }

    /// How many messages are between the journal and their settlement.
    pub fn in_flight(&self) -> usize {
        self.order().len()
    }

    /// From where a restart must read: everything before is settled or has its outcome.
    pub fn low_water(&self) -> Position {
        let places = self.places();
        // Message order is journal order, so the first is the lowest.
        let first = places.in_flight.values().next().map(|(position, _)| *position);
        first.unwrap_or(places.read).min(places.read)
    }

    /// When the oldest message in memory was received, milliseconds since 1970 in UTC. Whatever is
    /// still in the backlog came later.
    pub fn oldest(&self) -> Option<i64> {
        self.places().in_flight.values().next().map(|(_, received)| *received)
    }

    fn places(&self) -> std::sync::MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn order(&self) -> std::sync::MutexGuard<'_, Order<Work>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(self: &Arc<Self>, entry: &Entry, unfinished: &Unfinished) {
        let Ok((head, frame)) = entry::decode::<Accepted>(&entry.body) else { return };
        let open = unfinished.get(&entry.id.0);
        if open.is_some_and(|open| open.state == State::Parked) {
            return;
        }
        let Some(room) = self.room(frame.len()) else { return };
        let channel = self.plan.channels.get(&head.channel).cloned();
        let identified = channel.as_ref().map_or_else(
            || Identified::of_no_channel(frame.clone()),
            |channel| process::identify(channel, frame.clone()),
        );
        let keys: Vec<OrderKey> = identified.keys.clone();
        let task = match open.and_then(|open| self.outcome(&open.outcome)) {
            Some((outcome, payload)) => Task::Publish(outcome, payload),
            None => Task::Transform(identified),
        };
        self.places().in_flight.insert(entry.id.0, (entry.position, head.received));
        let work = Work { id: entry.id, channel, head, task, since: Instant::now(), _room: room };
        let ready = self.order().admit(entry.id.0, keys, work);
        if let Some(work) = ready {
            self.enqueue(work);
        }
    }

    fn enqueue(&self, work: Work) {
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

    /// On a worker thread: makes the outcome, then hands over to a task that waits.
    fn run(self: &Arc<Self>, work: Work) {
        let this = self.clone();
        match &work.task {
            Task::Publish(outcome, payload) => {
                let (outcome, payload) = (outcome.clone(), payload.clone());
                self.spawn(async move { this.publish(work, outcome, payload).await });
            }
            Task::Transform(identified) => {
                let facts = Facts {
                    message_id: work.id.0,
                    recorded: Timestamp::now(),
                    revision: 0,
                    previous: None,
                };
                let processed = match &work.channel {
                    Some(channel) => process::transform(channel, identified, &facts),
                    None => Processed::parked("channel.unknown"),
                };
                tell(&work.head.channel, work.id, &processed);
                let outcome = outcome_of(&work, &self.plan.version, &processed);
                let bodies: Vec<&[u8]> =
                    processed.events.iter().map(|event| &event.body[..]).collect();
                let body = entry::encode(&outcome, &bodies);
                let head_length = body.len() - bodies.iter().map(|b| b.len()).sum::<usize>();
                let payload = body.slice(head_length..);
                let ticket = self.journal.record(Kind::Outcome, work.id, body, false);
                self.spawn(async move {
                    if ticket.await.is_ok() {
                        this.publish(work, outcome, payload).await;
                    }
                });
            }
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// The outcome is durable: event after event, each with its receipt, then the state.
    async fn publish(self: Arc<Self>, work: Work, outcome: Outcome, payload: Bytes) {
        let mut routes = 0;
        for (event, body) in entry::events(&outcome, &payload).unwrap_or_default() {
            let subscribers = self.plan.routes.count(&event.routing_key);
            routes += subscribers as u64;
            if subscribers > 0 {
                let outgoing = Outgoing {
                    id: event.id,
                    event_type: event.event_type,
                    routing_key: event.routing_key,
                    body,
                };
                let published = tokio::select! {
                    () = self.stop.cancelled() => return,
                    published = self.publisher.publish(outgoing) => published,
                };
                if published.is_err() {
                    return;
                }
            }
            Event::Published { subscribers }.emit();
        }
        if outcome.state != State::Parked {
            let change = StateChange { channel: outcome.channel, state: outcome.state, routes };
            let body = entry::encode(&change, &[]);
            // Not awaited: losing it costs a redelivery with equal ids, never a message.
            drop(self.journal.record(Kind::State, work.id, body, true));
        }
        self.finish(&work, outcome.state);
    }

    fn finish(self: &Arc<Self>, work: &Work, state: State) {
        if let Some(meters) = work.channel.as_ref().map(|channel| &channel.meters) {
            match state {
                State::Published => meters.published.increment(1),
                State::Filtered => meters.filtered.increment(1),
                State::Parked | State::Pending => {}
            }
            meters.delivery_seconds.record(work.since.elapsed().as_secs_f64());
        }
        self.places().in_flight.remove(&work.id.0);
        let ready = self.order().finish(work.id.0);
        for next in ready {
            self.enqueue(next);
        }
    }
}

fn outcome_of(work: &Work, version: &str, processed: &Processed) -> Outcome {
    let identity = processed.identity.as_deref();
    Outcome {
        channel: work.head.channel.clone(),
        received: work.head.received,
        control_id: work.head.control_id.clone(),
        message_type: work.head.message_type.clone(),
        state: processed.state,
        reason: processed.reason.clone(),
        detail: processed.detail.clone(),
        nhs_number: identity.and_then(|i| i.nhs_number.as_ref()).map(ToString::to_string),
        local_ids: identity
            .map(|i| i.local.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        quality: processed.quality.clone(),
        configversion: version.to_owned(),
        events: processed
            .events
            .iter()
            .map(|event| StoredEvent {
                id: event.id.to_string(),
                event_type: event.event_type.clone(),
                routing_key: event.routing_key.clone(),
                length: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
            })
            .collect(),
    }
}

/// Counts what the message showed, and warns of what was parked.
fn tell(name: &str, id: MessageId, processed: &Processed) {
    for (code, count) in &processed.quality {
        Event::Quality { channel: name, code, count: *count }.emit();
    }
    for (table, count) in &processed.table_misses {
        Event::TableMiss { channel: name, table, count: *count }.emit();
    }
    if processed.state == State::Parked {
        let reason = processed.reason.as_deref().unwrap_or("unknown");
        Event::Parked { channel: name, message: id.0, reason }.emit();
    }
}
