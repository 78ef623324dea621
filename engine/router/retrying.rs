//! Trying again what the broker did not take.

use std::sync::Arc;

use journal::entry::MessageId;
use tokio::time::Instant;

use crate::config::channel::Order;
use crate::delivery::Delivery;
use crate::entry::Outcome;
use crate::event::Event;
use crate::found;
use crate::hold::HoldKey;
use crate::publish::{PublishError, Publisher, Trouble};
use crate::retries::Retry;
use crate::scope;
use crate::work::Recorded;

impl<P: Publisher> Delivery<P> {
    /// Whether the events of a channel wait. What stood before the pause may have its outcome, and
    /// lost its receipts with the last process: it waits like all others.
    pub(crate) fn is_paused(&self, channel: &str) -> bool {
        self.held().is_stopped_by(MessageId::NONE.0, &HoldKey::Channel(channel.into()))
    }

    /// Puts a message of the channel aside that does not leave now.
    pub(crate) async fn try_later(self: &Arc<Self>, channel: &str, mut retry: Retry) {
        let id = retry.leaving.id;
        Event::PublishRetried { reason: retry.trouble.as_str() }.emit();
        self.unroutable.changed(None, Some(retry.trouble));
        if let Ok(slot) = self.retry_slots.clone().try_acquire_owned() {
            retry.slot = Some(slot);
            retry.leaving.room = None;
        }
        let mut holds = scope::everywhere(&retry.leaving.patients);
        if let Some(channel) = &retry.leaving.channel
            && channel.order == Order::Channel
        {
            holds.push(HoldKey::Channel(channel.name.as_str().into()));
        }
        self.block(id, retry.leaving.place, &holds).await;
        self.leave(id);
        self.retries().note(channel, &retry);
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
        let (this, at, id) = (self.clone(), retry.at, retry.leaving.id);
        // The bytes were let go of meanwhile.
        let read =
            tokio::task::spawn_blocking(move || found::outcome(&this.journal, id, &at.to_string()));
        let Ok(Some((outcome, payload))) = read.await else {
            Event::OutcomeUnreadable { message: retry.leaving.id.0 }.emit();
            self.schedule(retry);
            return;
        };
        let mut recorded = Recorded { outcome, payload, at, receipts: retry.receipts };
        let published = if self.is_paused(&recorded.outcome.channel) {
            Err(PublishError::Transient(Trouble::Paused))
        } else {
            self.receipts(&mut recorded).await
        };
        let before = Some(retry.trouble);
        let after = match published {
            Err(PublishError::Transient(trouble)) => Some(trouble),
            Ok(_) | Err(PublishError::Permanent(_) | PublishError::Stopping) => None,
        };
        self.unroutable.changed(before, after);
        if let Some(trouble) = after {
            (retry.trouble, retry.receipts) = (trouble, recorded.receipts);
            Event::PublishRetried { reason: trouble.as_str() }.emit();
            self.retries().note(&recorded.outcome.channel, &retry);
            self.schedule(retry);
            return;
        }
        self.retries().tried.remove(&id.0);
        // In memory once more: a decision about what is parked now waits until it is done here.
        let Outcome { channel, received, .. } = &recorded.outcome;
        self.flight().enter(id.0, channel, *received);
        match published {
            Ok(routes) => self.conclude(retry.leaving, recorded.outcome, routes).await,
            Err(PublishError::Permanent(reason)) => {
                self.park(retry.leaving, recorded, reason).await;
            }
            Err(_) => {}
        }
    }
}
