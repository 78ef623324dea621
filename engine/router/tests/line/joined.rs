//! Two records become one while what was read before that is still on its way.

use std::sync::Arc;
use std::time::Duration;

use crate::line::bench::{Line, accepted};
use crate::line::broker::Memory;

const ONE: &str = "77000001";
const OTHER: &str = "77000002";
const THIRD: &str = "77000003";

/// A line that knows both records, and a broker.
async fn line(folder: &std::path::Path) -> (Line, Arc<Memory>) {
    let broker = Arc::new(Memory::default());
    let line = start(folder, &broker);
    send(&line, "A-1", ONE, "I").await;
    send(&line, "B-1", OTHER, "I").await;
    soon(line.until(|ledger| ledger.total().counts.published == 2)).await;
    (line, broker)
}

fn start(folder: &std::path::Path, broker: &Arc<Memory>) -> Line {
    Line::start_set(folder, broker, 100, &["channels.pas-adt.identity.merges=automatic"])
}

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it happens");
}

/// Waits until it is so.
async fn once(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn send(line: &Line, control: &str, number: &str, class: &str) {
    let text = format!(
        "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A01|{control}|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||{number}^^^RXX01^MR||EXAMPLE^ALEX||19800229|1\r\
         PV1|1|{class}|^WARD1^BED2^RXX01||||||||||||||||V{control}\r"
    );
    let body = accepted("pas-adt", "ADT^A01", control, &text);
    line.journal.append(body).await.unwrap();
}

/// `ONE` is the other record's from now on, by a merge (A40) or alone (A43).
async fn about_two(line: &Line, trigger: &str) {
    let text = format!(
        "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^{trigger}|M-1|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||{OTHER}^^^RXX01^MR||EXAMPLE^ALEX||19800229|1\r\
         MRG|{ONE}^^^RXX01^MR\r"
    );
    let kind = format!("ADT^{trigger}");
    line.journal.append(accepted("pas-adt", &kind, "M-1", &text)).await.unwrap();
}

/// The messages whose events left, in that order, without those that came before the merge.
fn left(broker: &Memory) -> Vec<String> {
    let state = broker.state();
    let mut left: Vec<String> = state
        .told
        .iter()
        .map(|event| event["correlationid"].as_str().unwrap().to_owned())
        .filter(|control| !control.starts_with(['A', 'B']))
        .collect();
    left.dedup();
    left
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_tried_again_holds_back_what_came_under_the_other_name() {
    let folder = tempfile::tempdir().unwrap();
    let (line, broker) = line(folder.path()).await;
    broker.state().gated.insert("A".into());
    send(&line, "A-2", ONE, "I").await;
    about_two(&line, "A40").await;
    send(&line, "S-1", ONE, "I").await;
    send(&line, "U-1", OTHER, "I").await;
    // Both were read when these were two records.
    once(|| line.delivery.moving().in_flight == 4).await;
    broker.state().unroutable.insert("S".into());
    broker.open("A");
    once(|| line.delivery.moving().retrying == 1 && line.delivery.moving().in_flight == 0).await;
    assert_eq!(left(&broker), ["M-1"]);
    broker.state().unroutable.clear();
    soon(line.until(|ledger| ledger.total().counts.published == 6)).await;
    assert_eq!(left(&broker), ["M-1", "S-1", "U-1"]);
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_parked_holds_back_what_came_under_the_other_name() {
    let folder = tempfile::tempdir().unwrap();
    let (line, broker) = line(folder.path()).await;
    broker.state().gated.insert("A".into());
    send(&line, "A-2", ONE, "I").await;
    about_two(&line, "A40").await;
    send(&line, "S-1", ONE, "?").await;
    send(&line, "U-1", OTHER, "I").await;
    once(|| line.delivery.moving().in_flight == 4).await;
    broker.open("A");
    soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
    once(|| line.delivery.moving().in_flight == 0).await;
    assert_eq!(left(&broker), ["M-1"]);
    assert_eq!(line.delivery.moving().held, 1);
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_behind_a_merge_comes_back_as_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let (line, broker) = line(folder.path()).await;
    broker.state().unroutable.insert("A".into());
    send(&line, "A-2", ONE, "I").await;
    about_two(&line, "A40").await;
    for number in 1..=5 {
        send(&line, &format!("S-{number}"), ONE, "I").await;
    }
    send(&line, "U-1", OTHER, "I").await;
    once(|| line.delivery.moving().held == 7).await;
    broker.state().unroutable.clear();
    soon(line.until(|ledger| ledger.total().counts.published == 10)).await;
    assert_eq!(left(&broker), ["M-1", "S-1", "S-2", "S-3", "S-4", "S-5", "U-1"]);
    line.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_left_nothing_yet_holds_back_those_it_was_about_after_a_restart_too() {
    let folder = tempfile::tempdir().unwrap();
    let (line, broker) = line(folder.path()).await;
    // The first record has another name, which stays when the one goes to the second record.
    send(&line, "A-2", &format!("{THIRD}^^^RXX01^MR~{ONE}"), "I").await;
    soon(line.until(|ledger| ledger.total().counts.published == 3)).await;
    broker.state().unroutable.insert("M".into());
    about_two(&line, "A43").await;
    once(|| line.delivery.moving().retrying == 1).await;
    line.stop().await;
    let line = start(folder.path(), &broker);
    once(|| line.delivery.moving().retrying == 1).await;
    send(&line, "U-1", THIRD, "I").await;
    once(|| line.delivery.moving().held == 1).await;
    assert_eq!(left(&broker), [""; 0]);
    broker.state().unroutable.clear();
    soon(line.until(|ledger| ledger.total().counts.published == 5)).await;
    assert_eq!(left(&broker), ["M-1", "U-1"]);
    line.stop().await;
}
