//! Nothing of a patient goes before a message that says that the patient is protected, whatever that
//! message is parked for.

use std::sync::Arc;
use std::time::Duration;

use router::entry::{self, Accepted};

use crate::line::bench::{Line, accepted, actor};
use crate::line::broker::Memory;
use crate::line::guarded::entitled;

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

/// A person as a hospital's own system knows them, by everything that could tell where they are.
fn person(control: &str, flag: &str, at: [&str; 4]) -> String {
    let [address, ward, gp, kin] = at;
    format!(
        "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A08|{control}|P|2.4\r\
         EVN||20260115101500\r\
         PID|1||{LOCAL}||EXAMPLE^ALEX||19800229|1|||{address}\rPD1|||{gp}\rNK1|1|{kin}\r\
         PV1|1|I|{ward}|||||||||||||{flag}|||V1\r"
    )
}

fn report(control: &str, words: &str) -> String {
    format!(
        "MSH|^~\\&|LIMS|RXX01|R|R|20260115101500||ORU^R01^ORU_R01|{control}|P|2.5.1\r\
         PID|1||{LOCAL}||EXAMPLE^ALEX||19800229|1\rORC|RE|A1|L1\r\
         OBR|1|A1|L1|FBC^Full blood count^WinPath|||202601151000||||||||||||||||||F\r\
         OBX|1|TX|NOTE^Note^WinPath||{words}||||||F\r"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_somebody_protected_tells_nothing_that_another_source_knows() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Arc::new(Memory::default());
    let line = Line::start_set(folder.path(), &broker, 100, &[&entitled()]);
    let places =
        ["3 ROSE ROAD^^TOWN^^ZZ99 3WZ", "RXX^W12^4", "ROSE SURGERY^^Y06601", "MOTHER^JANE^^^MRS"];
    let words = "Seen at 3 Rose Road, ZZ99 3WZ on w12 by Rose Surgery with Jane Mother";
    let blank = ["\"\"", "\"\"", "\"\"", "\"\""];
    let bodies = [
        ("pas-adt", person("P1-001", "", places)),
        ("pathology-oru", report("P1-002", words)),
        ("pas-adt", person("P1-003", "S", places)),
        ("pathology-oru", report("P1-004", words)),
        // Whoever is protected is blanked, too, and the laboratory still has it in its texts.
        ("pas-adt", person("P1-005", "S", blank)),
        ("pathology-oru", report("P1-006", words)),
    ];
    for (number, (channel, body)) in bodies.iter().enumerate() {
        line.journal.append(accepted(channel, "X", "P1-x", body)).await.unwrap();
        soon(line.until(|ledger| {
            let counts = ledger.total().counts;
            counts.published + counts.filtered + counts.parked > number as u64
        }))
        .await;
    }
    let told = |control: &str| {
        let state = broker.state();
        let of = state.told.iter().filter(|event| event["correlationid"] == control);
        of.map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(told("P1-002").contains(words), "{}", told("P1-002"));
    assert!(told("P1-004").contains("\"restricted\""), "{}", told("P1-004"));
    for control in ["P1-004", "P1-006"] {
        let told = told(control).to_lowercase();
        assert!(told.contains("seen at [withheld]"), "{told}");
        for word in ["rose", "zz99", "w12", "jane"] {
            assert!(!told.contains(word), "{control} {word}: {told}");
        }
    }
    line.stop().await;
}
