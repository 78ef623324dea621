//! The seam where an event leaves: one verb, and a receipt only for what somebody durably holds.

use bytes::Bytes;
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
}

/// Where events leave. Two live here: [`crate::embedded::Embedded`] and [`crate::amqp::Amqp`].
pub trait Publisher: Send + Sync + 'static {
    /// Publishes one event and waits for its receipt, retrying whatever is transient.
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
