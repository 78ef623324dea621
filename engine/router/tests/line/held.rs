use std::sync::Arc;
use std::time::Duration;

use router::operators::{Actor, Edited};

use crate::line::bench::{Line, actor, text};
use crate::line::broker::Memory;

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(10), what).await.expect("it happens");
}

/// From the environment, for a run of full size: `TIELINE_HELD_PARKED=10000 TIELINE_HELD_EACH=100`.
fn asked(name: &str, otherwise: usize) -> usize {
    let value = std::env::var(format!("TIELINE_HELD_{name}"));
    value.ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_parked_patients_do_not_stop_a_free_one() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    // Far more wait than the window holds.
    let line = Line::start(folder.path(), &broker, 100);
    let (parked, each) = (asked("PARKED", 1_000), asked("EACH", 10));
    let mut first = 0;
    for patient in 0..parked {
        let id = line.send_bad(patient, 0).await;
        first = if patient == 0 { id } else { first };
    }
    soon(line.until(|ledger| ledger.total().counts.parked == parked as u64)).await;
    let mut tickets = Vec::new();
    for number in 1..=each {
        for patient in 0..parked {
            let body = crate::line::bench::message(patient, number, "I");
            tickets.push(line.journal.append(body));
        }
    }
    for ticket in tickets {
        ticket.await.unwrap();
    }
    line.send(parked, 0).await;
    soon(broker.wait_for(1)).await;
    assert_eq!(broker.state().receipts.len(), 1, "only the free patient's message went");
    assert_eq!(line.delivery.moving().held, (parked * each) as u64);

    line.operators.discard(first, &actor()).await.unwrap();
    soon(broker.wait_for(1 + each)).await;
    let receipts = broker.state().receipts["P0"].clone();
    assert_eq!(receipts.len(), each);
    assert!(receipts.is_sorted(), "{receipts:?}");
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_goes_first_and_what_waited_follows() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let id = line.send_bad(1, 0).await;
    line.send(1, 1).await;
    line.send(1, 2).await;
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    let edit = line.operators.edit(id, text(1, 0, "I").into(), &actor()).await.unwrap();
    assert!(matches!(edit, Edited::Accepted(new) if new > id + 2));
    soon(broker.wait_for(3)).await;
    assert_eq!(broker.state().receipts["P1"], ["P1-000", "P1-001", "P1-002"]);
    soon(line.until(|ledger| ledger.total().counts.pending == 0)).await;
    let counts = line.books.ask(|ledger| ledger.total().counts);
    assert_eq!((counts.received, counts.superseded, counts.published), (4, 1, 3));
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_of_whom_it_is_about_waits_for_a_second_person() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let id = line.send_bad(1, 0).await;
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    let other = text(2, 0, "I");
    let edit = line.operators.edit(id, other.into(), &actor()).await.unwrap();
    let Edited::NeedsApproval(first) = edit else { panic!("{edit:?}") };
    line.operators.approve(id, &first, &actor()).await.expect_err("the same person");
    let shouting = Actor { name: actor().name.to_uppercase(), reason: "agreed".into() };
    line.operators.approve(id, &first, &shouting).await.expect_err("still the same person");
    let second = Actor { name: "sam".into(), reason: "agreed".into() };
    // Meanwhile the editor had another thought, which sam has not seen.
    let edit = line.operators.edit(id, text(3, 0, "I").into(), &actor()).await.unwrap();
    let Edited::NeedsApproval(newer) = edit else { panic!("{edit:?}") };
    let unseen = line.operators.approve(id, &first, &second).await.expect_err("not what was seen");
    assert!(unseen.to_string().contains(&newer), "{unseen}");
    line.operators.approve(id, &newer, &second).await.unwrap();
    soon(broker.wait_for(1)).await;
    line.operators.approve(id, &newer, &second).await.expect_err("only once");
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_without_a_queue_holds_its_patient_only_and_goes_when_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    broker.state().unroutable.insert("P1".into());
    let line = Line::start(folder.path(), &broker, 10);
    for number in 0..50 {
        line.send(1, number).await;
    }
    line.send(2, 0).await;
    soon(broker.wait_for(1)).await;
    assert_eq!(line.delivery.moving().retrying, 1);
    broker.state().unroutable.clear();
    soon(broker.wait_for(51)).await;
    let receipts = broker.state().receipts["P1"].clone();
    assert!(receipts.is_sorted() && receipts.len() == 50, "{receipts:?}");
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_counted_and_not_delivered() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    for _ in 0..3 {
        line.send(1, 0).await;
    }
    line.send(1, 1).await;
    soon(line.until(|ledger| ledger.total().counts.pending == 0 && ledger.newest == 4)).await;
    let counts = line.books.ask(|ledger| ledger.total().counts);
    assert_eq!((counts.duplicate, counts.published), (2, 2));
    assert_eq!(broker.state().receipts["P1"], ["P1-000", "P1-001"]);
    line.stop().await;
}
