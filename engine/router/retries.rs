//! Messages with an event that the broker does not take now, although it is there: an event without
//! a queue, a negative confirm. They are tried again with growing waits, without limit, and meanwhile
//! hold back their own patients only.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use journal::entry::Position;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::delivery::Delivery;
use crate::entry::{self, Outcome};
use crate::event::Event;
use crate::publish::{PublishError, Publisher, Trouble};
use crate::scope;
use crate::work::{Leaving, Recorded, Work};

/// Messages that are retried outside the window; more of them stop the reading of the journal.
pub(crate) const RETRIES: usize = 4096;

/// One message that is tried again.
#[derive(Debug)]
pub(crate) struct Retry {
    leaving: Leaving,
    /// Where its outcome lies.
    at: Position,
    receipts: usize,
    trouble: Trouble,
    /// Since when, milliseconds since 1970 in UTC.
    since: i64,
    backoff: Backoff,
    /// One of [`RETRIES`]; without one it keeps its place in the window.
    slot: Option<OwnedSemaphorePermit>,
}

impl Retry {
    pub(crate) fn new(work: Work, recorded: &Recorded, trouble: Trouble) -> Self {
        Self {
            leaving: work.leaving(),
            at: recorded.at,
            receipts: recorded.receipts,
            trouble,
            since: Timestamp::now().as_millisecond(),
            backoff: Backoff::default(),
            slot: None,
        }
    }
}

/// By the time of the next attempt.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    due: BTreeMap<(Instant, u64), Retry>,
    /// Since when each is tried, those under way included.
    since: BTreeMap<u64, i64>,
}

impl Retries {
    pub(crate) fn len(&self) -> usize {
        self.since.len()
    }

    /// Since when the oldest is tried.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.since.values().min().copied()
    }

    /// Since when this one is tried.
    pub(crate) fn since(&self, id: u64) -> Option<i64> {
        self.since.get(&id).copied()
    }
}

impl<P: Publisher> Delivery<P> {
    /// Puts a message aside that the broker does not take now.
    pub(crate) async fn try_later(self: &Arc<Self>, mut retry: Retry) {
        let id = retry.leaving.id;
        Event::PublishRetried { reason: retry.trouble.as_str() }.emit();
        self.unroutable.changed(None, Some(retry.trouble));
        if let Ok(slot) = self.retry_slots.clone().try_acquire_owned() {
            retry.slot = Some(slot);
            retry.leaving._room = None;
        }
        let holds = scope::everywhere(&retry.leaving.patients);
        self.block(id, retry.leaving.place, &holds).await;
        self.leave(id);
        self.retries().since.insert(id.0, retry.since);
        self.schedule(retry);
    }

    fn schedule(&self, mut retry: Retry) {
        let at = Instant::now() + retry.backoff.wait();
        self.retries().due.insert((at, retry.leaving.id.0), retry);
        self.retry_due.notify_one();
    }

    /// Starts each retry when it is due, until stopped.
    pub(crate) async fn retry(self: Arc<Self>) {
        loop {
            let next = self.retries().due.first_key_value().map(|((at, _), _)| *at);
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.retry_due.notified() => {}
                () = due => {
                    let first = self.retries().due.pop_first();
                    if let Some((_, retry)) = first {
                        let this = self.clone();
                        self.spawn(async move { this.attempt(retry).await });
                    }
                }
            }
        }
    }

    async fn attempt(self: Arc<Self>, mut retry: Retry) {
        let (this, at) = (self.clone(), retry.at);
        // The bytes were let go of meanwhile.
        let read = tokio::task::spawn_blocking(move || this.journal.read(at).ok()).await;
        let entry = read.ok().flatten();
        let decoded = entry.as_ref().and_then(|e| entry::decode::<Outcome>(&e.body).ok());
        let Some((outcome, payload)) = decoded else {
            Event::OutcomeUnreadable { message: retry.leaving.id.0 }.emit();
            self.schedule(retry);
            return;
        };
        let mut recorded = Recorded { outcome, payload, at, receipts: retry.receipts };
        let published = self.receipts(&mut recorded).await;
        let before = Some(retry.trouble);
        let after = match published {
            Err(PublishError::Transient(trouble)) => Some(trouble),
            Ok(_) | Err(PublishError::Permanent(_) | PublishError::Stopping) => None,
        };
        self.unroutable.changed(before, after);
        if let Some(trouble) = after {
            (retry.trouble, retry.receipts) = (trouble, recorded.receipts);
            Event::PublishRetried { reason: trouble.as_str() }.emit();
            self.schedule(retry);
            return;
        }
        self.retries().since.remove(&retry.leaving.id.0);
        match published {
            Ok(routes) => self.conclude(retry.leaving, recorded.outcome, routes).await,
            Err(PublishError::Permanent(reason)) => {
                self.park(retry.leaving, recorded.outcome, reason).await;
            }
            Err(_) => {}
        }
    }
}
