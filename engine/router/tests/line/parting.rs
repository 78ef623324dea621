//! What the engine says of a patient leaves, whatever the script makes of the message.

use std::sync::Arc;
use std::time::Duration;

use router::operators::OperatorError;

use crate::line::bench::{Line, accepted, actor, text};
use crate::line::broker::Memory;

const IDENTIFIED: &str = ".patient.identified.";

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it happens");
}

/// A line that knows patient 1, whose number the broker does not take now; the script parks the
/// message that says it.
async fn begun(line: &Line, broker: &Memory) -> u64 {
    line.send(1, 0).await;
    soon(broker.wait_for(1)).await;
    broker.state().unroutable.insert("P1".to_owned());
    let verified = format!("19800229|1{}NSTS01\r", "|".repeat(24));
    let text = text(1, 1, "?")
        .replace("^MR||", "^MR~9990000018^^^NHS^NH||")
        .replace("19800229|1\r", &verified);
    let body = accepted("pas-adt", "ADT^A01", "P1-001", &text);
    let id = line.journal.append(body).await.unwrap().0.0;
    let tried = async {
        while line.delivery.moving().retrying == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon(tried).await;
    id
}

fn told(broker: &Memory) -> usize {
    let state = broker.state();
    let is_it = |event: &&serde_json::Value| event["type"].as_str().unwrap().contains(IDENTIFIED);
    state.told.iter().filter(is_it).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_parked_message_leaves_after_a_restart_and_once() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let id = begun(&line, &broker).await;
    line.stop().await;
    assert_eq!(told(&broker), 0);

    broker.state().unroutable.clear();
    let line = Line::start(folder.path(), &broker, 100);
    soon(broker.wait_for(2)).await;
    assert_eq!(told(&broker), 1);
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    line.stop().await;

    // That it has left is known: nothing but what comes goes.
    let line = Line::start(folder.path(), &broker, 100);
    assert_eq!(line.books.ask(|ledger| ledger.total().counts.parked), 1);
    line.send(2, 0).await;
    soon(broker.wait_for(3)).await;
    assert_eq!(told(&broker), 1);
    line.operators.discard(id, &actor()).await.unwrap();
    line.send(1, 2).await;
    soon(broker.wait_for(4)).await;
    line.stop().await;
    assert_eq!(told(&broker), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_decides_about_a_message_before_its_events_have_left() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let id = begun(&line, &broker).await;
    let early = line.operators.discard(id, &actor()).await;
    assert!(matches!(early, Err(OperatorError::NotParked { .. })), "{early:?}");

    broker.state().unroutable.clear();
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    assert_eq!(told(&broker), 1);
    line.operators.discard(id, &actor()).await.unwrap();
    // Nothing is left behind that would hold the patient.
    line.send(1, 2).await;
    soon(broker.wait_for(3)).await;
    assert_eq!(broker.state().receipts["P1"], ["P1-000", "P1-001", "P1-002"]);
    line.stop().await;
}
