use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use router::fates::Awaited;

use crate::line::bench::{Line, message};
use crate::line::broker::Memory;

async fn sent(line: &Line, body: Bytes) -> Awaited {
    let coming = line.fates.expect(line.journal.next_id());
    let (id, _) = line.journal.append(body).await.unwrap();
    coming.of(id)
}

async fn soon(awaited: &mut Awaited) {
    tokio::time::timeout(Duration::from_mins(1), awaited.told()).await.expect("it is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_message_is_told_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let mut published = sent(&line, message(1, 0, "I")).await;
    soon(&mut published).await;
    assert_eq!(broker.state().receipts["P1"], ["P1-000"], "not before it has left");
    let mut copy = sent(&line, message(1, 0, "I")).await;
    soon(&mut copy).await;
    let mut parked = sent(&line, message(2, 0, "?")).await;
    soon(&mut parked).await;
    let mut held = sent(&line, message(2, 1, "I")).await;
    soon(&mut held).await;
    // What the broker does not take now may leave in a moment.
    broker.state().unroutable.insert("P3".to_owned());
    let mut retried = sent(&line, message(3, 0, "I")).await;
    let mut other = sent(&line, message(4, 0, "I")).await;
    soon(&mut other).await;
    while line.delivery.moving().retrying == 0 {
        tokio::task::yield_now().await;
    }
    assert!(retried.told().now_or_never().is_none());
    broker.state().unroutable.clear();
    soon(&mut retried).await;
    let counts = line.books.ask(|ledger| ledger.total().counts);
    assert_eq!((counts.published, counts.parked, counts.duplicate), (3, 1, 1));
    line.stop().await;
}
