//! A broker in memory that takes its time and has its moods.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use router::publish::{BrokerHealth, Outgoing, PublishError, Publisher, Receipt, Trouble};
use serde_json::Value;
use tokio::sync::Notify;

/// Receives events into memory, each after a random number of turns.
#[derive(Default)]
pub(crate) struct Memory {
    state: Mutex<State>,
    received: Notify,
    opened: Notify,
    /// Turns an event takes at most.
    turns: usize,
}

#[derive(Default)]
pub(crate) struct State {
    /// Patients with an event on its way.
    under_way: BTreeSet<String>,
    pub(crate) side_by_side: usize,
    /// Control ids in the order of their receipts, by patient.
    pub receipts: BTreeMap<String, Vec<String>>,
    /// Bytes by event id: one id never has two contents.
    bodies: BTreeMap<String, Vec<u8>>,
    pub(crate) count: usize,
    /// Routing keys by event id.
    pub(crate) keys: BTreeMap<String, String>,
    /// Everything that was received, in the order of receipts.
    pub(crate) told: Vec<Value>,
    /// Partitions with an event on its way.
    partitions: BTreeSet<String>,
    /// Parts of the types of events that are refused for good.
    pub(crate) refused: BTreeSet<String>,
    /// Patients whose events find no queue.
    pub(crate) unroutable: BTreeSet<String>,
    /// Patients whose events the broker sits on until they are let through.
    pub(crate) gated: BTreeSet<String>,
}

impl Memory {
    /// One whose events take up to so many turns.
    pub(crate) fn slow(turns: usize) -> Self {
        Self { turns, ..Self::default() }
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker takes this patient's events again.
    pub(crate) fn open(&self, patient: &str) {
        self.state().gated.remove(patient);
        self.opened.notify_waiters();
    }

    /// Whoever published is gone, and with it what was on its way.
    pub(crate) fn cut(&self) {
        let mut state = self.state();
        state.under_way.clear();
        state.partitions.clear();
    }

    /// Waits until so many events have receipts.
    pub(crate) async fn wait_for(&self, count: usize) {
        while self.state().count < count {
            self.received.notified().await;
        }
    }
}

impl Publisher for Memory {
    async fn publish(&self, event: Outgoing) -> Result<Receipt, PublishError> {
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        let partition = body["partitionkey"].as_str().map(str::to_owned);
        let control_id = body["correlationid"].as_str().unwrap().to_owned();
        let patient = control_id.split('-').next().unwrap().to_owned();
        loop {
            let opened = self.opened.notified();
            if !self.state().gated.contains(&patient) {
                break;
            }
            opened.await;
        }
        {
            let mut state = self.state();
            if state.refused.iter().any(|part| event.event_type.contains(part)) {
                return Err(PublishError::Permanent("publish.refused"));
            }
            if state.unroutable.contains(&patient) {
                return Err(PublishError::Transient(Trouble::Unroutable));
            }
            let alone = state.under_way.insert(patient.clone());
            assert!(alone, "two unconfirmed events of patient {patient}");
            if let Some(partition) = &partition {
                let alone = state.partitions.insert(partition.clone());
                assert!(alone, "two unconfirmed events of partition {partition}");
            }
            state.side_by_side = state.side_by_side.max(state.under_way.len());
        }
        for _ in 0..fastrand::usize(0..=self.turns) {
            tokio::task::yield_now().await;
        }
        let mut state = self.state();
        state.under_way.remove(&patient);
        if let Some(partition) = &partition {
            state.partitions.remove(partition);
        }
        state.told.push(body);
        state.keys.insert(event.id.clone(), event.routing_key.clone());
        let known = state.bodies.entry(event.id).or_insert_with(|| event.body.to_vec());
        assert_eq!(*known, event.body, "one id never has two contents");
        state.receipts.entry(patient).or_default().push(control_id);
        state.count += 1;
        self.received.notify_one();
        Ok(Receipt)
    }

    fn health(&self) -> BrokerHealth {
        BrokerHealth::default()
    }
}
