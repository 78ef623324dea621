//! Delivery with a publisher that takes its time: order per patient, one unconfirmed event per
//! patient, different patients side by side.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use journal::disk::RealDisk;
use journal::entry::Position;
use journal::journal::Journal;
use journal::settings::Settings;
use router::config::load;
use router::config::overrides::Overrides;
use router::delivery::Delivery;
use router::entry::{self, Accepted};
use router::plan::Plan;
use router::publish::{BrokerHealth, Outgoing, PublishError, Publisher, Receipt};
use router::work::Unfinished;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Receives events into memory, each after a random number of turns.
#[derive(Default)]
struct Slow {
    state: Mutex<State>,
    received: Notify,
}

#[derive(Default)]
struct State {
    /// Patients with an event on its way.
    under_way: BTreeSet<String>,
    side_by_side: usize,
    /// Control ids in the order of their receipts, by patient.
    receipts: BTreeMap<String, Vec<String>>,
    count: usize,
}

impl Publisher for Slow {
    async fn publish(&self, event: Outgoing) -> Result<Receipt, PublishError> {
        let body: serde_json::Value = serde_json::from_slice(&event.body).unwrap();
        let control_id = body["correlationid"].as_str().unwrap().to_owned();
        let patient = control_id.split('-').next().unwrap().to_owned();
        {
            let mut state = self.state.lock().unwrap();
            let alone = state.under_way.insert(patient.clone());
            assert!(alone, "two unconfirmed events of patient {patient}");
            state.side_by_side = state.side_by_side.max(state.under_way.len());
        }
        for _ in 0..fastrand::usize(1..200) {
            tokio::task::yield_now().await;
        }
        let mut state = self.state.lock().unwrap();
        state.under_way.remove(&patient);
        state.receipts.entry(patient).or_default().push(control_id);
        state.count += 1;
        self.received.notify_one();
        Ok(Receipt)
    }

    fn health(&self) -> BrokerHealth {
        BrokerHealth::default()
    }
}

fn message(patient: usize, number: usize) -> Bytes {
    let control_id = format!("P{patient}-{number:03}");
    let text = format!(
        "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A01^ADT_A01|{control_id}|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||77{patient:04}^^^RXX01^MR||EXAMPLE^ALEX||19800229|1\r\
         PV1|1|I|^WARD1^BED2^RXX01||||||||||||||||V{patient}\r"
    );
    let head = Accepted {
        channel: "pas-adt".into(),
        peer: "127.0.0.1:9".into(),
        received: 1_768_472_100_000,
        control_id,
        message_type: "ADT^A01".into(),
        application_ack: None,
    };
    entry::encode(&head, &[text.as_bytes()])
}

fn plan() -> Arc<Plan> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let loaded = load::load(&root.join("channels.yaml"), &Overrides::default());
    let loaded = loaded.unwrap_or_else(|failure| panic!("{failure}"));
    Arc::new(Plan::assemble(&loaded).unwrap())
}

const PATIENTS: usize = 7;
const EACH: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_per_patient_at_a_time_in_order_and_patients_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovered) =
        Journal::open(Arc::new(RealDisk), Settings::new(folder.path())).unwrap();
    let publisher = Arc::new(Slow::default());
    let stop = CancellationToken::new();
    let delivery = Delivery::start(
        journal.clone(),
        plan(),
        publisher.clone(),
        stop.clone(),
        TaskTracker::new(),
        recovered.replay_from,
    )
    .unwrap();
    let reading = {
        let delivery = delivery.clone();
        std::thread::spawn(move || delivery.read(Position::START, &Unfinished::new()))
    };
    for number in 0..EACH {
        for patient in 0..PATIENTS {
            journal.append(message(patient, number)).await.unwrap();
        }
    }
    let all = async {
        while publisher.state.lock().unwrap().count < PATIENTS * EACH {
            publisher.received.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("everything is published");
    stop.cancel();
    tokio::task::spawn_blocking(move || reading.join().unwrap()).await.unwrap();
    let state = publisher.state.lock().unwrap();
    for (patient, control_ids) in &state.receipts {
        assert_eq!(control_ids.len(), EACH);
        assert!(control_ids.is_sorted(), "patient {patient}: {control_ids:?}");
    }
    assert!(state.side_by_side > 1, "patients ran side by side");
}
