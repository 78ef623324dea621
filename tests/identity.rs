//! Whom it is about: the identity index behind the real engine, from what feeds teach to what people
//! decide, through kills and losses.

use std::fs;

use serde_json::{Value, json};

use crate::finding::asked_with;
use crate::harness::engine::TestEngine;
use crate::harness::message::Adt;
use crate::harness::setup::Setup;
use crate::straight_through::{admission, drained, events, messages, settled};

const NUMBER: &str = "9990000018";
const OTHER: &str = "9990000026";

/// A result of the laboratory that has nothing but the hospital number.
fn result(control_id: &str, hospital_number: &str) -> String {
    format!(
        "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20260116090000+0000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||{hospital_number}^^^RXX01^MR||EXAMPLE^ALEX||19800229|M\r\
         OBR|1|O{control_id}|F{control_id}|FBC^Full blood count^WinPath|||20260116080000|||||||||||||||20260116085500||HM|F\r\
         OBX|1|NM|HB^Haemoglobin^WinPath||140|g/L|130-180||||F|||20260116080000\r"
    )
}

/// A message of a hospital number that comes without an NHS Number.
fn local_only(trigger: &'static str, control_id: &'static str, number: &'static str) -> String {
    Adt { trigger, control_id, hospital_number: number, nhs_number: None }.text()
}

/// The second number is retired into the first.
fn merge(control_id: &'static str, survivor: &'static str, retired: &str) -> String {
    let text = Adt { trigger: "A40", ..admission(control_id, survivor) }.text();
    let (head, _) = text.split_once("PV1|").unwrap();
    format!("{head}MRG|{retired}^^^RXX01^MR\r")
}

fn of_type<'e>(events: &'e [Value], name: &str) -> Vec<&'e Value> {
    let full = format!("uk.nhs.sharedrecord.{name}.v1");
    events.iter().filter(|event| event["type"] == full.as_str()).collect()
}

/// What an event of a message says; events of different patients leave in any order.
fn of_message<'e>(events: &'e [Value], name: &str, control_id: &str) -> &'e Value {
    let named = of_type(events, name);
    named.into_iter().find(|event| event["correlationid"] == control_id).expect(control_id)
}

fn parked_for(engine: &TestEngine, reason: &str) -> u64 {
    settled(engine);
    let found = engine.get("/api/v1/parked?class=conflict").json();
    assert_eq!(found["total"], 1, "{found} {:?}", messages(engine));
    assert_eq!(found["parked"][0]["reason"], reason, "{found}");
    found["parked"][0]["id"].as_u64().unwrap()
}

fn known(engine: &TestEngine, whom: &str) -> Value {
    let (code, out, err) = asked_with(engine, &["identity", "show", "-", "--format", "json"], whom);
    assert_eq!(code, Some(0), "{err}");
    serde_json::from_str(&out).unwrap()
}

/// Whatever was taught is known again after a kill, and after the loss of the index's own files.
fn survives(mut engine: TestEngine, whom: &str) -> TestEngine {
    let before = known(&engine, whom);
    for lost in [false, true] {
        engine.kill();
        if lost {
            fs::remove_dir_all(engine.setup.data().join("identity")).unwrap();
        }
        engine.start_again();
        assert_eq!(known(&engine, whom), before, "lost: {lost}");
    }
    engine
}

#[test]
fn a_result_with_only_the_hospital_number_reaches_the_right_patient() {
    let engine = Setup::sample().start();
    engine.connect("pas-adt").ask(admission("A1", "1000001").text());
    drained(&engine);
    engine.connect("pathology-oru").ask(result("R1", "1000001"));
    drained(&engine);
    let told = events(&engine);
    let admitted = of_type(&told, "encounter.admitted")[0];
    let available = of_type(&told, "result.available")[0];
    assert_eq!(available["subject"], NUMBER, "{available}");
    assert_eq!(available["nhsnumberstatus"], "01");
    assert_eq!(available["partitionkey"], admitted["partitionkey"]);
    let partition = admitted["partitionkey"].as_str().unwrap();
    assert!(partition.starts_with('p') && !partition.contains("1000001"), "{partition}");
    // The index knows the number; the message did not state it, so its Patient does not either.
    assert!(!available["data"].to_string().contains(NUMBER), "{available}");
    let engine = survives(engine, &format!("{NUMBER}\n"));
    engine.connect("pathology-oru").ask(result("R2", "1000001"));
    drained(&engine);
    let told = events(&engine);
    assert_eq!(of_type(&told, "result.available")[1]["partitionkey"], partition);
}

#[test]
fn a_number_that_appears_later_is_told() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(local_only("A01", "A1", "1000001"));
    drained(&engine);
    sender.ask(Adt { trigger: "A31", ..admission("A2", "1000001") }.text());
    drained(&engine);
    let told = events(&engine);
    let admitted = of_type(&told, "encounter.admitted")[0];
    assert_eq!(admitted["subject"], Value::Null);
    let identified = of_type(&told, "patient.identified");
    assert_eq!(identified.len(), 1, "{told:#?}");
    assert_eq!(identified[0]["subject"], NUMBER);
    assert_eq!(identified[0]["partitionkey"], admitted["partitionkey"]);
    let later: Vec<&Value> = told.iter().skip(1).collect();
    assert!(later.iter().all(|event| event["subject"] == NUMBER), "{later:#?}");
}

#[test]
fn a_merge_leaves_on_both_partitions_and_joins_what_follows() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    sender.ask(local_only("A01", "A2", "1000012"));
    sender.ask(merge("M1", "1000001", "1000012"));
    sender.ask(local_only("A02", "A3", "1000012").replacen("WARD1", "WARD2", 1));
    drained(&engine);
    let told = events(&engine);
    let merged = of_type(&told, "patient.merged");
    assert_eq!(merged.len(), 2, "{told:#?}");
    assert_eq!(merged[0]["causationid"], merged[1]["causationid"]);
    assert!(merged[0]["causationid"].is_string());
    assert_ne!(merged[0]["partitionkey"], merged[1]["partitionkey"]);
    let survivor = of_message(&told, "encounter.admitted", "A1");
    let retired = of_message(&told, "encounter.admitted", "A2");
    assert_ne!(survivor["partitionkey"], retired["partitionkey"]);
    // What follows under the retired number is the survivor's.
    let moved = of_type(&told, "encounter.transferred")[0];
    assert_eq!(moved["subject"], NUMBER, "{moved}");
    assert_eq!(moved["partitionkey"], survivor["partitionkey"]);
    let engine = survives(engine, "1000012^^^RXX01^MR\n");
    engine.connect("pathology-oru").ask(result("R1", "1000012"));
    drained(&engine);
    assert_eq!(of_type(&events(&engine), "result.available")[0]["subject"], NUMBER);
}

#[test]
fn a_merge_is_taken_back_by_a_person() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    sender.ask(local_only("A01", "A2", "1000012"));
    sender.ask(merge("M1", "1000001", "1000012"));
    drained(&engine);
    let words = ["identity", "unmerge", "-", "-n", "pas-adt", "--reason", "ward asked"];
    let (code, out, err) = asked_with(&engine, &words, "1000012^^^RXX01^MR\n");
    assert_eq!(code, Some(0), "{out}{err}");
    sender.ask(local_only("A02", "A3", "1000012").replacen("WARD1", "WARD2", 1));
    drained(&engine);
    let told = events(&engine);
    let apart = of_type(&told, "patient.unmerged");
    assert_eq!(apart.len(), 2, "{told:#?}");
    let moved = of_type(&told, "encounter.transferred")[0];
    assert_eq!(moved["subject"], Value::Null, "{moved}");
    let retired = of_message(&told, "encounter.admitted", "A2");
    assert_eq!(moved["partitionkey"], retired["partitionkey"]);
    let audit = engine.get("/api/v1/audit").json();
    assert!(audit.as_array().unwrap().iter().any(|row| row["action"] == "unmerge"), "{audit}");
    let again = asked_with(&engine, &words, "1000012^^^RXX01^MR\n");
    assert_eq!(again.0, Some(1), "{again:?}");
    survives(engine, "1000012^^^RXX01^MR\n");
}

#[test]
fn another_number_for_a_known_identifier_waits_for_a_person_on_all_channels() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    drained(&engine);
    sender.ask(admission("A2", "1000001").text().replacen(NUMBER, OTHER, 1));
    settled(&engine);
    engine.connect("pathology-oru").ask(result("R1", "1000001"));
    engine.connect("pathology-oru").ask(result("R2", "1000002"));
    let id = parked_for(&engine, "identity.number-conflict");
    let told = events(&engine);
    assert_eq!(of_type(&told, "encounter.admitted").len(), 1);
    assert_eq!(of_type(&told, "result.available").len(), 1, "somebody else's goes on: {told:#?}");
    let id = id.to_string();
    let words = ["identity", "resolve", &id, "--take", "message", "--reason", "checked with PDS"];
    let (code, out, err) = asked_with(&engine, &words, "");
    assert_eq!(code, Some(0), "{out}{err}");
    drained(&engine);
    let told = events(&engine);
    let available = of_type(&told, "result.available");
    assert_eq!(available[1]["subject"], OTHER, "{available:#?}");
    let audit = engine.get("/api/v1/audit").json();
    assert_eq!(audit[0]["action"], "resolve-message", "{audit}");
    let conflicts = asked_with(&engine, &["identity", "conflicts"], "");
    assert_eq!(conflicts.0, Some(0), "{conflicts:?}");
    survives(engine, &format!("{OTHER}\n"));
}

#[test]
fn a_number_of_somebody_else_waits_and_the_index_may_be_right() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    drained(&engine);
    sender.ask(admission("A2", "1000002").text().replacen(OTHER, NUMBER, 1));
    let id = parked_for(&engine, "identity.shared-number");
    let words = json!({ "take": "index", "reason": "typed wrongly" });
    let path = format!("/api/v1/messages/{id}/resolve");
    assert_eq!(engine.post(&path, &words).status, 200);
    drained(&engine);
    let told = events(&engine);
    let admitted = of_type(&told, "encounter.admitted");
    assert_eq!(admitted.len(), 2, "{told:#?}");
    assert_ne!(admitted[1]["subject"], NUMBER, "{:#?}", admitted[1]);
}

#[test]
fn other_names_for_a_known_number_wait() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    drained(&engine);
    let other = admission("A2", "1000001").text().replacen("EXAMPLE^ALEX", "SMITHSON^PRIYA", 1);
    sender.ask(&other);
    parked_for(&engine, "identity.demographics");
}

#[test]
fn a_merge_of_two_numbers_never_happens_by_itself() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    sender.ask(admission("A2", "1000002").text());
    sender.ask(merge("M1", "1000001", "1000002"));
    parked_for(&engine, "merge.different-numbers");
    assert!(of_type(&events(&engine), "patient.merged").is_empty());
}

#[test]
fn a_protected_patient_is_protected_on_every_channel() {
    let engine = Setup::sample().start();
    let text = admission("A1", "1000001").text();
    // PV1-16 is thirteen fields behind PV1-3.
    let sensitive = text.replacen("|||||||||||||||V1000001", "||||||||||||S|||V1000001", 1);
    assert_ne!(text, sensitive, "PV1-16 was set");
    engine.connect("pas-adt").ask(&sensitive);
    drained(&engine);
    engine.connect("pathology-oru").ask(result("R1", "1000001"));
    // It says nothing of protection: absent is not normal.
    engine.connect("pas-adt").ask(admission("A2", "1000001").text());
    drained(&engine);
    let told = events(&engine);
    assert_eq!(of_type(&told, "patient.sensitivity-changed").len(), 1, "{told:#?}");
    assert_eq!(told[0]["type"], "uk.nhs.sharedrecord.patient.sensitivity-changed.v1");
    for event in &told {
        assert_eq!(event["sensitivity"], "restricted", "{event}");
        let data = event["data"].to_string();
        for telling in ["SAMPLE STREET", "WARD1", "BED2", "ZZ99"] {
            assert!(!data.contains(telling), "{telling}: {event}");
        }
        assert_eq!(event["site"], Value::Null);
    }
    survives(engine, &format!("{NUMBER}\n"));
}

#[test]
fn the_index_is_filled_without_publishing() {
    let engine = Setup::sample().start();
    engine.connect("pas-adt").ask(admission("A1", "1000001").text());
    drained(&engine);
    let before = events(&engine).len();
    engine.setup.write(
        "patients.csv",
        "authority,type,local_id,nhs_number,status,family,given,birth_date\n\
         RXX01,MR,1000002,9990000026,01,EXAMPLE,ALEX,19800229\n\
         RXX01,MR,1000001,9990000026,01,EXAMPLE,ALEX,19800229\n",
    );
    let file = engine.setup.path("patients.csv");
    let load = |more: &[&str]| {
        let file = file.to_str().unwrap();
        let words = ["identity", "load", file, "-n", "pas-adt", "--reason", "go-live"];
        let words = [&words[..], more, &["--format", "json"]].concat();
        let (code, out, err) = asked_with(&engine, &words, "");
        assert_eq!(code, Some(1), "the second line contradicts the index: {out}{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let rehearsed = load(&["--dry-run"]);
    assert_eq!(rehearsed["taken"], 1, "{rehearsed}");
    assert_eq!(rehearsed["conflicts"][0]["line"], 3, "{rehearsed}");
    let unknown = asked_with(&engine, &["identity", "show", "-"], "9990000026\n");
    assert_eq!(unknown.0, Some(1), "a dry run changes nothing: {unknown:?}");
    assert_eq!(load(&[])["taken"], 1);
    assert_eq!(load(&[])["unchanged"], 1, "given again it is passed over");
    assert_eq!(events(&engine).len(), before);
    let engine = survives(engine, "9990000026\n");
    engine.connect("pathology-oru").ask(result("R1", "1000002"));
    drained(&engine);
    assert_eq!(of_type(&events(&engine), "result.available")[0]["subject"], "9990000026");
}

#[test]
fn what_must_not_be_linked_is_neither_merged_nor_shown() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("A1", "1000001").text());
    sender.ask(local_only("A01", "A2", "1000012"));
    drained(&engine);
    let two = "1000001^^^RXX01^MR\n1000012^^^RXX01^MR\n";
    let words = ["identity", "do-not-link", "-", "--reason", "privacy officer, case 7"];
    let (code, out, err) = asked_with(&engine, &words, two);
    assert_eq!(code, Some(0), "{out}{err}");
    sender.ask(merge("M1", "1000001", "1000012"));
    let id = parked_for(&engine, "identity.do-not-link");
    let written = engine.get("/api/v1/audit").body;
    assert!(!written.contains("1000012"), "{written}");
    seen_only_by_who_says_why(&engine, id);
    survives(engine, "1000012^^^RXX01^MR\n");
}

#[test]
fn who_looked_like_one_before_is_not_shown_as_one() {
    let engine = Setup::sample().start();
    let text = local_only("A31", "M1", "1000001");
    let both = text.replace("1000001^^^RXX01^MR", "1000001^^^RXX01^MR~1000012^^^RXX01^MR");
    engine.connect("pas-adt").ask(both);
    drained(&engine);
    let two = "1000001^^^RXX01^MR\n1000012^^^RXX01^MR\n";
    let words = ["identity", "do-not-link", "-", "--reason", "privacy officer, case 8"];
    let (code, out, err) = asked_with(&engine, &words, two);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("Both are held for one patient"), "{out}");
    seen_only_by_who_says_why(&engine, 1);
}

/// A message that names both is listed under each of them, and shows neither.
fn seen_only_by_who_says_why(engine: &TestEngine, id: u64) {
    let (one, other) = ("1000001", "1000012");
    let id = &*id.to_string();
    let [patient, nothing] = [&*format!("{other}^^^RXX01^MR\n"), ""];
    for (words, input) in [
        (&["trace", "M1", "--format", "json"][..], nothing),
        (&["trace", "-", "--format", "json"], patient),
        (&["messages", "--format", "json"], nothing),
        (&["show", id, "--events", "--format", "json"], nothing),
        (&["show", id], nothing),
        (&["show", id, "--raw"], nothing),
        (&["parked", "show", id, "--format", "json"], nothing),
    ] {
        let (_, out, err) = asked_with(engine, words, input);
        let of_it: Vec<&str> = out.lines().filter(|line| !line.contains("\"A")).collect();
        let both = of_it.iter().any(|line| line.contains(one) && line.contains(other));
        assert!(!both && !err.contains(one), "{words:?}: {out}{err}");
    }
    let listed = engine.get("/api/v1/messages?limit=1").json();
    assert_eq!((&listed["withheld"], &listed["local_ids"]), (&json!(true), &json!([])), "{listed}");
    for path in ["raw", "tree", "events", "proposed"] {
        let answer = engine.get(&format!("/api/v1/messages/{id}/{path}"));
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("--reason") && !answer.body.contains(one), "{path}");
    }
    let before = engine.get("/api/v1/audit").body;
    assert!(!before.contains("\"look\""), "{before}");
    for more in ["--raw", "--events"] {
        let words = ["show", id, more, "--reason", "who is right, case 7"];
        let (code, out, err) = asked_with(engine, &words, "");
        assert_eq!(code, Some(0), "{err}");
        assert!(out.contains(one) && out.contains(other), "{out}");
    }
    let kept = engine.get("/api/v1/audit").body;
    assert_eq!(kept.matches("\"look\"").count(), 2, "{kept}");
    assert!(kept.contains("who is right, case 7"), "{kept}");
}
