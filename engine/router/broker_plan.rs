//! RabbitMQ as channels.yaml describes it: where it is and what it must hold.

use std::path::PathBuf;
use std::time::Duration;

use crate::topology::Topology;

/// Where the broker is; the full address holds the password and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// `amqp://user:password@host:port/vhost`, secrets resolved.
    pub url: String,
    /// The same without user and password.
    pub shown: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// RabbitMQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerPlan {
    /// Where it is.
    pub address: Address,
    /// What it must hold.
    pub topology: Topology,
    /// How long it may take to confirm an event.
    pub confirm: Duration,
    /// The file that remembers which bindings are ours.
    pub remembered: PathBuf,
}
