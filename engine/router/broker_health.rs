//! How the broker is: written by the supervisor of its connection, read by the status page.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapin::ConnectionStatus;
use metrics::gauge;

use crate::publish::BrokerHealth;

/// Shared by both.
pub(crate) struct Health {
    connected: AtomicBool,
    unconfirmed: AtomicU64,
    words: Mutex<Words>,
}

struct Words {
    address: String,
    trouble: Option<String>,
    /// Of the connection there is; says whether the broker blocks it.
    status: Option<ConnectionStatus>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

impl Health {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            connected: AtomicBool::new(false),
            unconfirmed: AtomicU64::new(0),
            words: Mutex::new(Words { address: address.to_owned(), trouble: None, status: None }),
        }
    }

    fn words(&self) -> MutexGuard<'_, Words> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn address(&self, address: &str) {
        address.clone_into(&mut self.words().address);
    }

    /// What is wrong, in words; nothing when nothing is.
    pub(crate) fn trouble(&self, trouble: Option<String>) {
        self.words().trouble = trouble;
    }

    pub(crate) fn unconfirmed(&self, count: usize) {
        self.unconfirmed.store(count as u64, Ordering::Relaxed);
    }

    /// A connection stands, or none does.
    pub(crate) fn connected(&self, status: Option<ConnectionStatus>) {
        self.connected.store(status.is_some(), Ordering::Relaxed);
        gauge!("tieline_broker_connected").set(if status.is_some() { 1.0 } else { 0.0 });
        self.words().status = status;
    }

    /// For the status page.
    pub(crate) fn told(&self) -> BrokerHealth {
        let words = self.words();
        let blocked = words.status.as_ref().is_some_and(ConnectionStatus::blocked);
        let trouble = if blocked {
            Some("the broker takes nothing: low on memory or disk".to_owned())
        } else {
            words.trouble.clone()
        };
        BrokerHealth {
            kind: "amqp",
            address: Some(words.address.clone()),
            connected: self.connected.load(Ordering::Relaxed),
            unconfirmed: self.unconfirmed.load(Ordering::Relaxed),
            unroutable: 0,
            trouble,
        }
    }
}
