use std::sync::Arc;
use std::time::Duration;

use crate::line::bench::{Line, actor};
use crate::line::broker::Memory;

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it happens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_still_waits_after_a_restart_and_follows_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let id = line.send_bad(1, 0).await;
    for number in 1..=5 {
        line.send(1, number).await;
    }
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    line.stop().await;

    let line = Line::start(folder.path(), &broker, 100);
    line.send(1, 6).await;
    line.send(2, 0).await;
    soon(broker.wait_for(1)).await;
    assert_eq!(broker.state().receipts.keys().collect::<Vec<_>>(), ["P2"]);
    // It parks again: what waits goes on waiting.
    line.operators.release(id, &actor()).await.unwrap();
    let parked_again = line.until(|l| l.again.is_empty() && l.total().counts.parked == 1);
    soon(parked_again).await;
    line.stop().await;

    let line = Line::start(folder.path(), &broker, 100);
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    line.operators.discard(id, &actor()).await.unwrap();
    soon(broker.wait_for(7)).await;
    let receipts = broker.state().receipts["P1"].clone();
    assert_eq!(receipts.len(), 6);
    assert!(receipts.is_sorted(), "{receipts:?}");
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    line.send(1, 0).await;
    soon(line.until(|ledger| ledger.total().counts.published == 1)).await;
    line.stop().await;
    let line = Line::start(folder.path(), &broker, 100);
    line.send(1, 0).await;
    soon(line.until(|ledger| ledger.total().counts.duplicate == 1)).await;
    line.stop().await;
    assert_eq!(broker.state().count, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_its_outcome_waits_too_while_its_channel_is_paused() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    broker.state().unroutable.insert("P1".into());
    let line = Line::start(folder.path(), &broker, 100);
    line.send(1, 0).await;
    soon(line.until(|ledger| !ledger.open.is_empty())).await;
    line.send(1, 1).await;
    line.stop().await;

    // The queue is there again, and the channel paused.
    broker.state().unroutable.clear();
    let line = Line::start_paused(folder.path(), &broker, 100, &["pas-adt"]);
    let both_wait = async {
        while line.delivery.moving().held < 2 {
            tokio::task::yield_now().await;
        }
    };
    soon(both_wait).await;
    assert_eq!((broker.state().count, line.delivery.moving().retrying), (0, 0));
    let side = router::operators::Side::Delivery;
    line.operators.pause("pas-adt", side, false, &actor()).await.unwrap();
    soon(broker.wait_for(2)).await;
    assert_eq!(broker.state().receipts["P1"], ["P1-000", "P1-001"]);
    line.stop().await;
}
