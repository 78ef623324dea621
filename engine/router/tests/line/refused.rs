//! Events that the broker will never take as they are: what the engine had to say is not lost by it,
//! and a person can give up one event and let everything else go on.

use std::sync::Arc;
use std::time::Duration;

use router::operators::{Edited, OperatorError};
use serde_json::Value;

use crate::line::bench::{Line, accepted, actor};
use crate::line::broker::Memory;

const MERGE: &str = "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A40|P1-001|P|2.4\r\
     EVN||20260115101500||||20260115101000\r\
     PID|1||77000001^^^RXX01^MR||EXAMPLE^ALEX||19800229|1\rMRG|77000002^^^RXX01^MR\r";
const MERGED: &str = ".patient.merged.";

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it happens");
}

async fn rests(line: &Line) {
    soon(line.until(|ledger| ledger.total().counts.pending == 0)).await;
}

async fn parks(line: &Line) {
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
}

/// Two people become one; the number of the message.
async fn merge(line: &Line) -> u64 {
    line.send(1, 0).await;
    line.send(2, 0).await;
    rests(line).await;
    line.journal.append(accepted("pas-adt", "ADT^A40", "P1-001", MERGE)).await.unwrap().0.0
}

fn told(broker: &Memory, what: &str) -> Vec<Value> {
    let state = broker.state();
    let told = state.told.iter();
    told.filter(|event| event["type"].as_str().unwrap().contains(what)).cloned().collect()
}

fn refuse(broker: &Memory, what: &str) {
    broker.state().refused.insert(what.to_owned());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_engine_had_to_say_leaves_when_the_message_is_released() {
    for restarts in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let broker = Arc::new(Memory::default());
        let mut line = Line::start(folder.path(), &broker, 100);
        refuse(&broker, MERGED);
        let id = merge(&line).await;
        parks(&line).await;
        // Once in vain: the index knows of the merge by now, and nobody says it again.
        line.operators.release(id, &actor()).await.unwrap();
        rests(&line).await;
        parks(&line).await;
        assert!(told(&broker, MERGED).is_empty());
        if restarts {
            line.stop().await;
            broker.cut();
            line = Line::start(folder.path(), &broker, 100);
        }
        broker.state().refused.clear();
        line.operators.release(id, &actor()).await.unwrap();
        soon(line.until(|ledger| ledger.open.is_empty() && ledger.again.is_empty())).await;
        rests(&line).await;
        let merged = told(&broker, MERGED);
        assert_eq!(merged.len(), 2, "{merged:#?}");
        assert_ne!(merged[0]["partitionkey"], merged[1]["partitionkey"]);
        assert_eq!(merged[0]["causationid"], merged[1]["causationid"]);
        line.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_engine_had_to_say_leaves_when_the_message_is_edited() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let mut line = Line::start(folder.path(), &broker, 100);
    refuse(&broker, MERGED);
    let id = merge(&line).await;
    parks(&line).await;
    let edited = MERGE.replacen("20260115101000", "20260115101100", 1);
    let accepted = line.operators.edit(id, edited.into(), &actor()).await.unwrap();
    assert!(matches!(accepted, Edited::Accepted(_)), "{accepted:?}");
    // Once in vain, and over a restart: it is taken along from the original to the edit, and kept.
    rests(&line).await;
    parks(&line).await;
    assert!(told(&broker, MERGED).is_empty());
    line.stop().await;
    broker.cut();
    line = Line::start(folder.path(), &broker, 100);
    broker.state().refused.clear();
    let parked = line.books.ask(|ledger| ledger.parked().map(|(id, _)| id).next().unwrap());
    line.operators.release(parked, &actor()).await.unwrap();
    soon(line.until(|ledger| ledger.open.is_empty() && ledger.again.is_empty())).await;
    rests(&line).await;
    let merged = told(&broker, MERGED);
    assert_eq!(merged.len(), 2, "{merged:#?}");
    assert_ne!(merged[0]["partitionkey"], merged[1]["partitionkey"]);
    assert_eq!(line.books.ask(|ledger| ledger.total().counts.superseded), 1);
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_gives_up_one_event_and_everything_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let mut line = Line::start(folder.path(), &broker, 100);
    refuse(&broker, MERGED);
    let id = merge(&line).await;
    parks(&line).await;
    line.send(1, 2).await;
    // Of the two, one after the other.
    assert_eq!(line.operators.skip(id, &actor()).await.unwrap().0, 1);
    soon(line.until(|ledger| ledger.parked().any(|(_, open)| open.receipts == 1))).await;
    line.stop().await;
    broker.cut();
    line = Line::start(folder.path(), &broker, 100);
    // What was given up is not sent again, whatever the broker takes by now.
    broker.state().refused.clear();
    refuse(&broker, ".nothing.");
    let (event, of) = line.operators.skip(id, &actor()).await.unwrap();
    assert_eq!(event, 2);
    assert!(of >= 2);
    soon(line.until(|ledger| ledger.open.is_empty())).await;
    rests(&line).await;
    assert!(told(&broker, MERGED).is_empty());
    assert_eq!(told(&broker, ".patient.updated.").len(), usize::from(of > 2));
    let last = broker.state().told.last().unwrap()["correlationid"].clone();
    assert_eq!(last, "P1-002", "what waited behind it");
    let settled = line.operators.skip(id, &actor()).await;
    assert!(matches!(settled, Err(OperatorError::NotParked { .. })), "{settled:?}");
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_an_event_that_the_broker_refuses_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let id = line.send_bad(1, 0).await;
    parks(&line).await;
    let refused = line.operators.skip(id, &actor()).await;
    assert!(matches!(refused, Err(OperatorError::NothingRefused { .. })), "{refused:?}");
    line.stop().await;
}
