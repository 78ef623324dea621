//! A merge is taken back whatever the channel accepts of its senders.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::entry::{Kind, MessageId};
use router::entry::{self, Accepted, Outcome, State, StoredEvent};
use router::operators::OperatorError;

use crate::line::bench::{Line, accepted, actor};
use crate::line::broker::Memory;

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it happens");
}

fn text(kind: &str, control: &str, who: &str, rest: &str) -> String {
    format!(
        "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||{kind}|{control}|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||{who}||EXAMPLE^ALEX||19800229|1\r{rest}"
    )
}

fn local(person: usize) -> String {
    format!("77{person:06}^^^RXX01^MR")
}

/// What a person's decision becomes.
fn unmerge(channel: &str, control: &str, retired: &str) -> Bytes {
    let text = format!(
        "MSH|^~\\&|TIELINE|RXX|||20260115101500+0000||ADT^A37|{control}|P|2.4\r\
         EVN||20260115101500+0000\rPID|1||{retired}\r"
    );
    let (head, payload) =
        entry::decode::<Accepted>(&accepted(channel, "ADT^A37", control, &text)).unwrap();
    entry::encode(&Accepted { unmerge: Some(retired.to_owned()), ..head }, &[&payload])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_is_taken_back_though_the_channel_accepts_no_such_message() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    // One takes results only, the other has patients of another authority.
    for (number, channel) in [(0, "pathology-oru"), (1, "social-care")] {
        let (one, other) = (2 * number, 2 * number + 1);
        for person in [one, other] {
            line.send(person, 0).await;
        }
        let merged =
            text("ADT^A40", &format!("M{one}-x"), &local(one), &format!("MRG|{}\r", local(other)));
        let body = accepted("pas-adt", "ADT^A40", &format!("M{one}-x"), &merged);
        line.journal.append(body).await.unwrap();
        soon(line.until(|ledger| ledger.total().counts.pending == 0)).await;

        let body = unmerge(channel, &format!("U{one}-x"), &local(other));
        let id = line.journal.append(body).await.unwrap().0.0;
        soon(line.until(|ledger| ledger.total().counts.pending == 0)).await;
        let about = line.journal.records_about(MessageId(id), None).unwrap();
        let outcome = about.into_iter().find(|entry| entry.kind == Kind::Outcome).unwrap();
        let (outcome, _) = entry::decode::<Outcome>(&outcome.body).unwrap();
        assert_eq!((outcome.state, outcome.reason), (State::Published, None), "{channel}");
        let apart = |event: &StoredEvent| event.event_type.contains(".unmerged.");
        assert_eq!(outcome.events.iter().filter(|event| apart(event)).count(), 2, "{channel}");
    }
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_a_merge_back_is_not_edited() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    line.send(1, 0).await;
    // Nothing was merged.
    let id = line.journal.append(unmerge("pas-adt", "U1-x", &local(1))).await.unwrap().0.0;
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    let edited = text("ADT^A37", "U1-x", &local(1), "");
    let refused = line.operators.edit(id, edited.into(), &actor()).await;
    assert!(matches!(refused, Err(OperatorError::NotByText(_))), "{refused:?}");
    line.operators.discard(id, &actor()).await.unwrap();
    line.stop().await;
}
