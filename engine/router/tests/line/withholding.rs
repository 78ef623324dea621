//! Nothing of a patient goes before a message that says that the patient is protected, whatever that
//! message is parked for.

use std::sync::Arc;
use std::time::Duration;

use router::entry::{self, Accepted};

use crate::line::bench::{Line, accepted, actor};
use crate::line::broker::Memory;

const LOCAL: &str = "77000001^^^RXX01^MR";
const NUMBER: &str = "9990000018^^^NHS^NH";

async fn soon(what: impl Future<Output = ()>) {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it happens");
}

fn text(sender: &str, kind: &str, control: &str, who: &str, status: &str, class: &str) -> String {
    let pad = "|".repeat(24);
    format!(
        "MSH|^~\\&|{sender}|RXX01|R|R|20260115101500||{kind}|{control}|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||{who}||EXAMPLE^ALEX||19800229|1{pad}{status}\r\
         PV1|1|I|^WARD1^BED2^RXX01|||||||||||||{class}|||V1\r"
    )
}

/// The same, kept after it had been refused again and again.
fn refused(body: &bytes::Bytes) -> bytes::Bytes {
    let (head, payload) = entry::decode::<Accepted>(body).unwrap();
    entry::encode(&Accepted { refused: true, ..head }, &[&payload])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_waits_behind_protection_that_is_parked_for_whatever_reason() {
    let unnamed = text("PAS", "ADT^A31", "P1-001", NUMBER, "NSTS02", "S");
    let unexpected = text("PAS", "ORU^R01", "P1-001", LOCAL, "", "S");
    let stranger = text("ELSE", "ADT^A01", "P1-001", LOCAL, "", "S");
    let cases = [
        ("identity.none", accepted("pas-adt", "ADT^A31", "P1-001", &unnamed)),
        ("trigger.unknown", accepted("pas-adt", "ORU^R01", "P1-001", &unexpected)),
        ("refused.sender", refused(&accepted("pas-adt", "ADT^A01", "P1-001", &stranger))),
    ];
    for (reason, body) in cases {
        let folder = tempfile::tempdir().unwrap();
        let broker = Arc::new(Memory::default());
        let line = Line::start(folder.path(), &broker, 100);
        let known = format!("{LOCAL}~{NUMBER}");
        let known = text("PAS", "ADT^A01", "P1-000", &known, "NSTS01", "");
        line.journal.append(accepted("pas-adt", "ADT^A01", "P1-000", &known)).await.unwrap();
        let settled = |ledger: &router::ledger::Ledger| ledger.total().counts.published == 1;
        soon(line.until(settled)).await;
        let before = broker.state().count;

        let id = line.journal.append(body).await.unwrap().0.0;
        soon(line.until(|ledger| ledger.total().counts.parked == 1)).await;
        let why = line.books.ask(|ledger| ledger.open[&id].reason.clone());
        assert_eq!(why.as_deref(), Some(reason));
        let result = text("LIMS", "ORU^R01", "P1-002", LOCAL, "", "");
        line.journal.append(accepted("pathology-oru", "ORU^R01", "P1-002", &result)).await.unwrap();
        let waits = async {
            while line.delivery.moving().held == 0 {
                tokio::task::yield_now().await;
            }
        };
        soon(waits).await;
        assert_eq!(broker.state().count, before, "{reason}");

        line.operators.discard(id, &actor()).await.unwrap();
        soon(line.until(|ledger| ledger.total().counts.pending == 0)).await;
        let counts = line.books.ask(|ledger| ledger.total().counts);
        assert_eq!((counts.pending, counts.discarded), (0, 1), "{reason}");
        line.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_merge_brings_and_the_same_message_lowers_is_lowered() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let other = "77000002^^^RXX01^MR";
    let merge = text("PAS", "ADT^A40", "P1-002", LOCAL, "", "N")
        .replace("PV1|1|I", &format!("MRG|{other}\rPV1|1|I"));
    let bodies = [
        text("PAS", "ADT^A01", "P1-000", LOCAL, "", ""),
        text("PAS", "ADT^A01", "P2-001", other, "", "S"),
        merge,
        text("PAS", "ADT^A02", "P1-003", LOCAL, "", ""),
    ];
    for (number, body) in bodies.iter().enumerate() {
        let id = line.journal.append(accepted("pas-adt", "ADT", "P1-x", body)).await.unwrap().0;
        assert_eq!(id.0, number as u64 + 1);
        soon(line.until(|ledger| ledger.total().counts.published > number as u64)).await;
    }
    let last = broker.state().told.last().unwrap().clone();
    assert_eq!(
        (&last["correlationid"], &last["sensitivity"]),
        (&"P1-003".into(), &"normal".into())
    );
    line.stop().await;
}
