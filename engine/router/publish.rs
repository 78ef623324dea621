//! The seam where an event leaves: one verb, and a receipt only for what somebody durably holds.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use metrics::gauge;
use thiserror::Error;

/// An event on its way out. Its `Debug` names no patient: the body is not shown.
#[derive(Clone)]
pub struct Outgoing {
    /// CloudEvents `id`.
    pub id: String,
    /// Full CloudEvents `type`.
    pub event_type: String,
    /// `<ods>.<entity>.<verb>.<sensitivity>`.
    pub routing_key: String,
    /// When its message was received, seconds since 1970 in UTC.
    pub timestamp: u64,
    /// The final bytes; equal at every attempt.
    pub body: Bytes,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("id", &self.id)
            .field("routing_key", &self.routing_key)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// The broker's word that it holds the event: *confirmed and not returned*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt;

/// Why there is no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PublishError {
    /// The engine stops; the event stays pending and leaves after the next start.
    #[error("the engine is stopping")]
    Stopping,
    /// Not now; the same bytes may succeed later.
    #[error("not published yet: {0}")]
    Transient(Trouble),
    /// Never with these bytes; the word is the reason code to park with.
    #[error("cannot be published: {0}")]
    Permanent(&'static str),
}

/// What stands between an event and its receipt while the broker itself is there. Only the one event
/// is concerned: others may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
pub enum Trouble {
    /// It was confirmed and returned: no queue is bound for it.
    #[error("no queue is bound for it")]
    Unroutable,
    /// The exchange is gone, or the queue of a subscriber that should get it is not what
    /// channels.yaml asks for: it would reach some and miss others.
    #[error("a subscriber's queue or the exchange is missing or differs")]
    Missing,
    /// The broker confirmed it negatively.
    #[error("the broker refuses it")]
    Refused,
    /// The user in the broker's address may not write to the exchange.
    #[error("the broker's user may not publish it")]
    Forbidden,
    /// Delivery of its channel is paused.
    #[error("its channel is paused")]
    Paused,
}

impl Trouble {
    /// One word, for metrics and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unroutable => "unroutable",
            Self::Missing => "missing",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Paused => "paused",
        }
    }

    /// Whether a subscriber should get the event and no queue is there to take it.
    pub fn is_unroutable(self) -> bool {
        matches!(self, Self::Unroutable | Self::Missing)
    }
}

/// Where events leave. Two live here: [`crate::embedded::Embedded`] and [`crate::amqp::Amqp`].
pub trait Publisher: Send + Sync + 'static {
    /// Publishes one event and waits for its receipt, also while the broker is away: what a lost
    /// connection left without a receipt is sent again on the next one. What the broker says of the
    /// event itself comes back at once; trying again, and how often, is the caller's.
    fn publish(
        &self,
        event: Outgoing,
    ) -> impl Future<Output = Result<Receipt, PublishError>> + Send;

    /// How the broker is, for the status page.
    fn health(&self) -> BrokerHealth;
}

/// How the broker is.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct BrokerHealth {
    /// `embedded` or `amqp`.
    pub kind: &'static str,
    /// Address without user or password; absent when embedded.
    pub address: Option<String>,
    /// Whether events can leave now.
    pub connected: bool,
    /// Events sent and not yet confirmed.
    pub unconfirmed: u64,
    /// Events that should reach a subscriber and found no queue; each is being retried.
    pub unroutable: u64,
    /// Last trouble, in words that hold no patient data.
    pub trouble: Option<String>,
}

/// How many events found no queue at their last attempt and still have no receipt. Kept by whoever
/// tries again, since only that side knows what is given up.
#[derive(Debug, Default)]
pub struct Unroutable(AtomicU64);

impl Unroutable {
    /// One event's trouble was `before` and is `after`; nothing once it has its receipt, is parked
    /// or is discarded.
    pub fn changed(&self, before: Option<Trouble>, after: Option<Trouble>) {
        let unroutable = |trouble: Option<Trouble>| trouble.is_some_and(Trouble::is_unroutable);
        let count = match (unroutable(before), unroutable(after)) {
            (false, true) => self.0.fetch_add(1, Ordering::Relaxed) + 1,
            (true, false) => self.0.fetch_sub(1, Ordering::Relaxed) - 1,
            (true, true) | (false, false) => return,
        };
        #[expect(clippy::cast_precision_loss, reason = "a gauge of events that wait")]
        gauge!("tieline_unroutable_events").set(count as f64);
    }

    /// Now.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_counted_as_unroutable_once_and_until_it_is_not() {
        let unroutable = Unroutable::default();
        let (returned, missing) = (Some(Trouble::Unroutable), Some(Trouble::Missing));
        unroutable.changed(None, returned);
        unroutable.changed(returned, returned);
        unroutable.changed(returned, missing);
        unroutable.changed(None, Some(Trouble::Refused));
        assert_eq!(unroutable.count(), 1);
        unroutable.changed(missing, None);
        assert_eq!(unroutable.count(), 0);
    }
}
