//! The second half of delivery: run the script, record the outcome, publish, settle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::{Kind, MessageId};
use journal::queue::AppendError;

use crate::backoff::Backoff;
use crate::delivery::Delivery;
use crate::entry::{self, Outcome, State, StateChange, StoredEvent};
use crate::event::Event;
use crate::process::{self, Facts, Processed};
use crate::publish::{Outgoing, PublishError, Publisher, Receipt};
use crate::work::{Task, Work};

impl<P: Publisher> Delivery<P> {
    /// On a worker thread: makes the outcome, then hands over to a task that waits.
    pub(crate) fn run(self: &Arc<Self>, mut work: Work) {
        let this = self.clone();
        let task = std::mem::replace(&mut work.task, Task::Done);
        match task {
            Task::Done => {}
            Task::Publish(outcome, payload) => {
                self.spawn(async move { this.publish(work, outcome, payload).await });
            }
            Task::Transform(identified) => {
                let facts = Facts {
                    message_id: work.id.0,
                    recorded: Timestamp::now(),
                    revision: 0,
                    previous: None,
                };
                // A defect costs its message a person's look, not the feed its worker.
                let processed = catch_unwind(AssertUnwindSafe(|| match &work.channel {
                    Some(channel) => process::transform(channel, &identified, &facts),
                    None => Processed::parked("channel.unknown"),
                }));
                drop(identified);
                let processed = processed.unwrap_or_else(|_| Processed::parked("internal"));
                self.spawn(async move { this.record(work, processed).await });
            }
        }
    }

    /// Makes the outcome durable before the first event leaves.
    async fn record(self: Arc<Self>, work: Work, processed: Processed) {
        let outcome = outcome_of(&work, &self.plan.version, &processed);
        let bodies: Vec<&[u8]> = processed.events.iter().map(|event| &event.body[..]).collect();
        let body = entry::encode(&outcome, &bodies);
        let head_length = body.len() - bodies.iter().map(|b| b.len()).sum::<usize>();
        match self.store(Kind::Outcome, work.id, body.clone(), false).await {
            Ok(()) => {
                tell(&work.head.channel, work.id, &processed);
                self.publish(work, outcome, body.slice(head_length..)).await;
            }
            Err(AppendError::TooLarge) => {
                let processed =
                    Processed { identity: processed.identity, ..Processed::parked("too-large") };
                let outcome = outcome_of(&work, &self.plan.version, &processed);
                let stored =
                    self.store(Kind::Outcome, work.id, entry::encode(&outcome, &[]), false);
                if stored.await.is_ok() {
                    tell(&work.head.channel, work.id, &processed);
                    self.publish(work, outcome, Bytes::new()).await;
                }
            }
            // The engine stops; the message is pending and runs after the next start.
            Err(_) => {}
        }
    }

    /// Writes a record, waiting for room as long as it takes: what was accepted must drain.
    async fn store(
        &self,
        kind: Kind,
        id: MessageId,
        body: Bytes,
        settles: bool,
    ) -> Result<(), AppendError> {
        let mut backoff = Backoff::default();
        loop {
            match self.journal.record(kind, id, body.clone(), settles).await {
                Ok(_) => return Ok(()),
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

    /// The outcome is durable: event after event, each with its receipt, then the state.
    async fn publish(self: Arc<Self>, work: Work, outcome: Outcome, payload: Bytes) {
        let Ok(events) = entry::events(&outcome, &payload) else {
            Event::OutcomeUnreadable { message: work.id.0 }.emit();
            return;
        };
        let mut routes = 0;
        for (event, body) in events {
            let subscribers = self.plan.routes.count(&event.routing_key);
            routes += subscribers as u64;
            if subscribers > 0 {
                let outgoing = Outgoing {
                    id: event.id,
                    event_type: event.event_type,
                    routing_key: event.routing_key,
                    timestamp: u64::try_from(outcome.received / 1000).unwrap_or_default(),
                    body,
                };
                let published = tokio::select! {
                    () = self.stop.cancelled() => return,
                    published = self.receipt(outgoing) => published,
                };
                if published.is_err() {
                    return;
                }
            }
            Event::Published { subscribers }.emit();
        }
        // All receipts are in: the patient's next message may run.
        self.free(work.id);
        if outcome.state != State::Parked {
            let change = StateChange { channel: outcome.channel, state: outcome.state, routes };
            let body = entry::encode(&change, &[]);
            if self.store(Kind::State, work.id, body, true).await.is_err() {
                // A restart finds the outcome and publishes its bytes again, with equal ids.
                return;
            }
        }
        self.places().leave(work.id);
        if let Some(meters) = work.channel.as_ref().map(|channel| &channel.meters) {
            match outcome.state {
                State::Published => meters.published.increment(1),
                State::Filtered => meters.filtered.increment(1),
                State::Parked | State::Pending => {}
            }
            let took = Timestamp::now().as_millisecond() - work.head.received;
            meters
                .delivery_seconds
                .record(Duration::from_millis(took.max(0).unsigned_abs()).as_secs_f64());
        }
    }

    /// Tries until the event has its receipt.
    async fn receipt(&self, event: Outgoing) -> Result<Receipt, PublishError> {
        let mut backoff = Backoff::default();
        let mut before = None;
        loop {
            let published = self.publisher.publish(event.clone()).await;
            let trouble = match published {
                Err(PublishError::Transient(trouble)) => Some(trouble),
                Err(PublishError::Permanent(_)) => None,
                Ok(_) | Err(PublishError::Stopping) => {
                    self.unroutable.changed(before, None);
                    return published;
                }
            };
            self.unroutable.changed(before, trouble);
            before = trouble;
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    fn free(&self, id: MessageId) {
        let ready = self.order().finish(id.0);
        for next in ready {
            self.enqueue(next);
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
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
