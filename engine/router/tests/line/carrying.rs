//! What is found by an identifier is what carried it.

use std::sync::Arc;
use std::time::Duration;

use journal::entry::{Kind, MessageId};
use router::entry::{self, Outcome};

use crate::line::bench::{Line, accepted};
use crate::line::broker::Memory;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_kept_under_the_identifiers_that_it_carried() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start(folder.path(), &broker, 100);
    let stated = |control: &str, number: &str, status: &str| {
        let pad = "|".repeat(24);
        let text = format!(
            "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A01|{control}|P|2.4\r\
             EVN||20260115101500||||20260115101000\r\
             PID|1||77000001^^^RXX01^MR{number}||EXAMPLE^ALEX||19800229|1{pad}{status}\r\
             PV1|1|I|^WARD1^BED2^RXX01||||||||||||||||V1\r"
        );
        accepted("pas-adt", "ADT^A01", control, &text)
    };
    for body in [stated("P1-000", "~9990000018^^^NHS^NH", "NSTS01"), stated("P1-001", "", "")] {
        line.journal.append(body).await.unwrap();
    }
    let settled = line.until(|ledger| ledger.total().counts.published == 2);
    tokio::time::timeout(Duration::from_mins(1), settled).await.expect("both are published");
    let kept = |id| {
        let about = line.journal.records_about(MessageId(id), None).unwrap();
        let outcome = about.into_iter().find(|entry| entry.kind == Kind::Outcome).unwrap();
        entry::decode::<Outcome>(&outcome.body).unwrap().0
    };
    assert_eq!(kept(1).nhs_number.as_deref(), Some("9990000018"));
    assert_eq!(kept(2).nhs_number, None, "the index knows it, the message did not carry it");
    assert_eq!(kept(2).local_ids, ["77000001^^^RXX01^MR"]);
    let subjects: Vec<_> =
        broker.state().told.iter().map(|event| event["subject"].clone()).collect();
    assert!(subjects.iter().all(|subject| subject == "9990000018"), "its events are keyed by it");
    line.stop().await;
}
