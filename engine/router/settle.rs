//! The second half of delivery: run the script, record the outcome, publish, settle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use identity::fact::Fact;
use identity::index::Origin;
use jiff::Timestamp;
use journal::entry::{Kind, MessageId, Position};
use journal::queue::AppendError;
use serde_json::value::to_raw_value;

use crate::backoff::Backoff;
use crate::delivery::Delivery;
use crate::entry::{self, Outcome, State, StateChange, StoredEvent};
use crate::event::Event;
use crate::facts::Facts;
use crate::identified::Identified;
use crate::process::{self, Processed};
use crate::publish::{Outgoing, PublishError, Publisher, Trouble};
use crate::retries::Retry;
use crate::scope;
use crate::teaching::asked;
use crate::unsent;
use crate::work::{Leaving, Recorded, Task, Work};

impl<P: Publisher> Delivery<P> {
    /// On a worker thread: makes the outcome, then hands over to a task that waits.
    pub(crate) fn run(self: &Arc<Self>, mut work: Work) {
        let this = self.clone();
        // Whatever may change whom it is about ran before it.
        work.find_again(&self.patients);
        match std::mem::replace(&mut work.task, Task::Done) {
            Task::Done => {}
            Task::Publish(recorded) => {
                self.spawn(async move {
                    if this.is_paused(&work.head.channel) {
                        let channel = work.head.channel.clone();
                        let retry = Retry::new(work, &recorded, Trouble::Paused);
                        return this.try_later(&channel, retry).await;
                    }
                    this.publish(work, *recorded).await;
                });
            }
            Task::Transform(identified) => {
                let Some(work) = self.unless_held(work) else { return };
                let processed = self.transform(&work, &identified);
                drop(identified);
                self.spawn(async move { this.record(work, processed).await });
            }
        }
    }

    fn transform(&self, work: &Work, identified: &Identified) -> Processed {
        let mut facts = Facts::new(work.id.0, Timestamp::now());
        facts.received = work.head.received;
        facts.repeated = work.repeated;
        facts.unmerge = work.head.unmerge.as_deref().and_then(|text| asked(text).ok());
        if let Some(edit) = &work.head.edit {
            (facts.edited, facts.out_of_order) = (true, edit.out_of_order);
        }
        if let Some(released) = &work.again {
            facts.released = true;
            facts.revision = released.again.revision;
            facts.resolution = released.again.resolution;
            facts.left.clone_from(&released.left);
            facts.out_of_order |= released.again.out_of_order;
        }
        let index = self.patients.index();
        // A defect costs its message a person's look, not the feed its worker.
        let processed = catch_unwind(AssertUnwindSafe(|| match &work.channel {
            Some(channel) => process::transform(channel, identified, &facts, index),
            None => Processed::parked("channel.unknown"),
        }));
        let mut processed = processed.unwrap_or_else(|_| {
            let mut internal = Processed::parked("internal");
            internal.withholds = identified.raises();
            internal
        });
        // Of its own outcome before, or of the message that it is an edit of.
        let own = work.again.as_ref().map(|_| work.id);
        let edited = work.head.edit.as_ref().map(|edit| MessageId(edit.of));
        let unsent = own.into_iter().chain(edited);
        let mut unsent = unsent.map(|id| unsent::of_the_engine(&self.journal, id));
        processed.carry(unsent.find(|events| !events.is_empty()).unwrap_or_default());
        for code in &work.found {
            *processed.quality.entry((*code).to_owned()).or_default() += 1;
        }
        processed
    }

    /// Makes the outcome durable before the first event leaves.
    async fn record(self: Arc<Self>, work: Work, processed: Processed) {
        let outcome = self.outcome_of(&work, &processed);
        let carried = processed.carried.iter().map(|(_, body)| &body[..]);
        let own = processed.events.iter().map(|event| &event.body[..]);
        let bodies: Vec<&[u8]> = carried.chain(own).collect();
        let body = entry::encode(&outcome, &bodies);
        let head_length = body.len() - bodies.iter().map(|b| b.len()).sum::<usize>();
        let payload = body.slice(head_length..);
        let (outcome, payload, at) = match self.store(Kind::Outcome, work.id, body, false).await {
            Ok(at) => {
                let Work { id, head, .. } = &work;
                let (source, actor) = (head.channel.as_str(), None);
                let origin = Origin { at_ms: head.received, source, message_id: id.0, actor };
                if !self.learn(at, &origin, &processed.learned).await {
                    return;
                }
                tell(&work.head.channel, work.id, &processed);
                let conformance =
                    work.channel.as_ref().and_then(|channel| channel.profile.as_ref());
                if let Some((conformance, breaches)) = conformance.zip(processed.breaches.as_ref())
                {
                    conformance.note(work.id.0, breaches);
                }
                (outcome, payload, at)
            }
            Err(AppendError::TooLarge) => {
                let processed = processed.too_large();
                let outcome = self.outcome_of(&work, &processed);
                let body = entry::encode(&outcome, &[]);
                let Ok(at) = self.store(Kind::Outcome, work.id, body, false).await else { return };
                tell(&work.head.channel, work.id, &processed);
                (outcome, bytes::Bytes::new(), at)
            }
            // The engine stops; the message is pending and runs after the next start.
            Err(_) => return,
        };
        self.released().remove(&work.id.0);
        self.publish(work, Recorded { outcome, payload, at, receipts: 0 }).await;
    }

    /// What an outcome teaches is known before an event of it leaves, and before the next message of
    /// its patients is decided about: while the index cannot be read they wait. False when stopped.
    async fn learn(&self, at: Position, origin: &Origin<'_>, facts: &[Fact]) -> bool {
        let mut backoff = Backoff::default();
        while self.patients.learn(at, origin, facts).is_err_and(|error| error.may_pass()) {
            tokio::select! {
                () = self.stop.cancelled() => return false,
                () = tokio::time::sleep(backoff.wait()) => {}
            }
        }
        true
    }

    /// The outcome is durable: event after event, each with its receipt, then the state.
    async fn publish(self: Arc<Self>, work: Work, mut recorded: Recorded) {
        match self.receipts(&mut recorded).await {
            Ok(routes) => self.conclude(work.leaving(), recorded.outcome, routes).await,
            Err(PublishError::Transient(trouble)) => {
                let retry = Retry::new(work, &recorded, trouble);
                self.try_later(&recorded.outcome.channel, retry).await;
            }
            Err(PublishError::Permanent(reason)) => {
                self.park(work.leaving(), recorded, reason).await;
            }
            Err(PublishError::Stopping) => {}
        }
    }

    /// Publishes the events that have no receipt yet; gives back how many subscribers get them all.
    pub(crate) async fn receipts(&self, recorded: &mut Recorded) -> Result<u64, PublishError> {
        let outcome = &recorded.outcome;
        let Ok(events) = entry::events(outcome, &recorded.payload) else {
            // Never run again, never settle: one id must not have two contents.
            return Err(PublishError::Permanent("publish.damaged"));
        };
        let plan = self.plan.get();
        let mut routes = 0;
        for (number, (event, body)) in events.into_iter().enumerate() {
            let wanted = plan.routes.count(&event.routing_key, Timestamp::now());
            routes += wanted.subscribers as u64;
            if number < recorded.receipts {
                continue;
            }
            if wanted.queues > 0 {
                let outgoing = Outgoing {
                    id: event.id,
                    event_type: event.event_type,
                    routing_key: event.routing_key,
                    timestamp: u64::try_from(outcome.received / 1000).unwrap_or_default(),
                    body,
                };
                tokio::select! {
                    // Once stopped nothing more leaves, not even the first bytes of it.
                    biased;
                    () = self.stop.cancelled() => return Err(PublishError::Stopping),
                    published = self.publisher.publish(outgoing) => published?,
                };
            }
            recorded.receipts = number + 1;
            Event::Published { subscribers: wanted.subscribers }.emit();
        }
        Ok(routes)
    }

    /// All receipts are in: the patient's next message may run, and the state is recorded.
    pub(crate) async fn conclude(&self, leaving: Leaving, outcome: Outcome, routes: u64) {
        let id = leaving.id;
        if outcome.state == State::Parked {
            return self.keep_parked(leaving, outcome, routes).await;
        }
        self.leave(id);
        self.free(id).await;
        let mut change = StateChange::new(outcome.channel, outcome.received, outcome.state);
        change.routes = routes;
        if self.settle(id, &change).await.is_err() {
            // A restart finds the outcome and publishes its bytes again, with equal ids.
            return;
        }
        self.tell_fate(id, leaving.channel.as_deref());
        if let Some(meters) = leaving.channel.as_ref().map(|channel| &channel.meters) {
            match change.state {
                State::Published => meters.published.increment(1),
                State::Filtered => meters.filtered.increment(1),
                _ => {}
            }
            let took = Timestamp::now().as_millisecond() - change.received;
            meters
                .delivery_seconds
                .record(Duration::from_millis(took.max(0).unsigned_abs()).as_secs_f64());
        }
    }

    /// Its events can never leave as they are: a person has to look.
    pub(crate) async fn park(&self, leaving: Leaving, recorded: Recorded, reason: &'static str) {
        let Recorded { outcome, receipts, .. } = recorded;
        let (channel, name) = (leaving.channel.as_deref(), &outcome.channel);
        // What it says of its patients is known since its outcome.
        let holds = scope::holds(channel, name, reason, &leaving.patients, false);
        let mut change = StateChange::new(outcome.channel, outcome.received, State::Parked);
        change.reason = Some(reason.to_owned());
        change.holds.clone_from(&holds);
        change.receipts = u32::try_from(receipts).unwrap_or(u32::MAX);
        if self.settle(leaving.id, &change).await.is_ok() {
            Event::Parked { channel: &change.channel, message: leaving.id.0, reason }.emit();
            // While it was tried again it held back more.
            self.block_only(leaving.id, leaving.place, &holds).await;
            self.leave(leaving.id);
            self.tell_fate(leaving.id, leaving.channel.as_deref());
        }
    }

    /// A parked message leaves memory and holds back what must not pass it. What the engine had to
    /// say of its patient has left, and nobody may decide about it before that is durable: what is
    /// released or discarded is never published any more.
    async fn keep_parked(&self, leaving: Leaving, outcome: Outcome, routes: u64) {
        let Leaving { id, place, channel, .. } = leaving;
        if outcome.holds.is_empty() {
            self.free(id).await;
        } else {
            self.block_only(id, place, &outcome.holds).await;
        }
        if !outcome.events.is_empty() {
            let mut change = StateChange::new(outcome.channel, outcome.received, State::Parked);
            (change.reason, change.holds) = (outcome.reason, outcome.holds);
            change.routes = routes;
            if self.settle(id, &change).await.is_err() {
                // A restart publishes its bytes again, with equal ids.
                return;
            }
            let reason = change.reason.as_deref().unwrap_or("unknown");
            Event::Parked { channel: &change.channel, message: id.0, reason }.emit();
        }
        self.leave(id);
        self.tell_fate(id, channel.as_deref());
    }

    fn outcome_of(&self, work: &Work, processed: &Processed) -> Outcome {
        let identity = processed.identity.as_deref();
        let holds = match (&processed.state, &processed.reason) {
            (State::Parked, Some(reason)) => {
                let channel = work.channel.as_deref();
                let (name, patients) = (&work.head.channel, &work.patients);
                scope::holds(channel, name, reason, patients, processed.withholds)
            }
            _ => Vec::new(),
        };
        Outcome {
            channel: work.head.channel.clone(),
            received: work.head.received,
            control_id: work.head.control_id.clone(),
            message_type: work.head.message_type.clone(),
            state: processed.state,
            reason: processed.reason.clone(),
            detail: processed.detail.clone(),
            // Not what the index knows besides: it must not be found by what it did not carry.
            nhs_number: identity.and_then(|i| i.valid.as_ref()).map(ToString::to_string),
            local_ids: identity
                .map(|i| i.local.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            quality: processed.quality.clone(),
            // The one that made the events, though another may be in force by now.
            configversion: match &work.channel {
                Some(channel) => channel.version.clone(),
                None => self.plan.get().version.clone(),
            },
            revision: work.again.as_ref().map_or(0, |released| released.again.revision),
            holds,
            learned: (!processed.learned.is_empty())
                .then(|| to_raw_value(&processed.learned).ok())
                .flatten(),
            events: processed
                .carried
                .iter()
                .map(|(event, _)| event.clone())
                .chain(processed.events.iter().map(|event| StoredEvent {
                    id: event.id.to_string(),
                    event_type: event.event_type.clone(),
                    routing_key: event.routing_key.clone(),
                    length: u32::try_from(event.body.len()).unwrap_or(u32::MAX),
                }))
                .collect(),
        }
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
    // What still has events to leave is told of when they have.
    if processed.state == State::Parked && processed.leaves_nothing() {
        let reason = processed.reason.as_deref().unwrap_or("unknown");
        Event::Parked { channel: name, message: id.0, reason }.emit();
    }
}
