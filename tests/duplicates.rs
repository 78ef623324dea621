//! A sender that got no answer sends again: it is answered, and what it means is told once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::engine::TestEngine;
use crate::harness::setup::Setup;
use crate::straight_through::{admission, events, messages, settled};

/// Filters what comes from one ward.
const SCRIPT: &str = "fn transform(msg) {
    if msg[\"PV1-3.2\"] == \"UNUSED\" { filter(\"not-used\") }
    else { emit(\"encounter.admitted\", encounter(msg)) }
}
";

/// Sends, wants a yes for it, and waits until nothing is pending.
fn sent(engine: &TestEngine, text: &str) -> Value {
    let ack = engine.connect("pas-adt").ask(text);
    assert_eq!(ack.code, "AA");
    settled(engine)
}

/// The state of each message, in their order.
fn states(engine: &TestEngine) -> Vec<String> {
    let rows = messages(engine);
    rows.iter().map(|row| row["state"].as_str().expect("a state").to_owned()).collect()
}

fn ids(engine: &TestEngine) -> BTreeSet<String> {
    events(engine).iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
}

fn counted(engine: &TestEngine, metric: &str) -> bool {
    engine.get("/metrics").body.lines().any(|line| line == metric)
}

#[test]
fn a_message_sent_again_is_answered_again_and_told_once_over_restarts_too() {
    let mut engine = Setup::sample().start();
    let text = admission("C1", "1000001").text();
    sent(&engine, &text);
    sent(&engine, &text);
    engine.kill();
    engine.start_again();
    // Whether the window of duplicates was in a checkpoint or not.
    sent(&engine, &text);
    assert_eq!(engine.terminate(), Some(0));
    engine.start_again();
    let status = sent(&engine, &text);
    let total = &status["total"];
    assert_eq!(
        (&total["received"], &total["published"], &total["duplicate"]),
        (&json!(4), &json!(1), &json!(3)),
        "{status}"
    );
    assert_eq!(states(&engine), ["published", "duplicate", "duplicate", "duplicate"]);
    let rows = messages(&engine);
    assert!(rows[1..].iter().all(|row| row["duplicate_of"] == rows[0]["id"]), "{rows:?}");
    assert_eq!(events(&engine).len(), 1);
}

#[test]
fn a_copy_of_what_was_filtered_is_processed_anew() {
    let setup = Setup::sample();
    setup.write("transforms/pas_adt.rhai", SCRIPT);
    let mut engine = setup.start();
    let text = admission("C1", "1000001").text().replacen("WARD1", "UNUSED", 1);
    sent(&engine, &text);
    sent(&engine, &text);
    assert_eq!(states(&engine), ["filtered", "filtered"]);
    // The script has been mended: the same bytes now mean something, also after a restart.
    engine.kill();
    engine.setup.write("transforms/pas_adt.rhai", &SCRIPT.replacen("UNUSED", "CLOSED", 1));
    engine.start_again();
    sent(&engine, &text);
    sent(&engine, &text);
    assert_eq!(states(&engine), ["filtered", "filtered", "published", "duplicate"]);
    let rows = messages(&engine);
    assert_eq!(rows[3]["duplicate_of"], rows[2]["id"]);
    assert_eq!(events(&engine).len(), 1);
}

#[test]
fn a_copy_of_what_an_operator_discarded_is_processed_anew() {
    let mut engine = Setup::sample().start();
    let unknown = admission("C1", "1000001").text().replacen("ADT^A01", "ADT^A29", 1);
    sent(&engine, &unknown);
    let id = messages(&engine)[0]["id"].clone();
    let because = json!({ "reason": "asked the ward" });
    assert_eq!(engine.post(&format!("/api/v1/messages/{id}/discard"), &because).status, 200);
    engine.kill();
    engine.start_again();
    sent(&engine, &unknown);
    sent(&engine, &unknown);
    assert_eq!(states(&engine), ["discarded", "parked", "duplicate"]);
}

#[test]
fn the_same_control_id_with_other_bytes_is_another_message_and_is_flagged() {
    let engine = Setup::sample().start();
    let metric = "tieline_data_quality_total{channel=\"pas-adt\",code=\"control-id.reused\"} 1";
    sent(&engine, &admission("C1", "1000001").text());
    assert!(!counted(&engine, metric));
    sent(&engine, &admission("C1", "1000002").text());
    assert_eq!(states(&engine), ["published", "published"]);
    assert_eq!(ids(&engine).len(), 2, "one id never has two contents");
    assert!(counted(&engine, metric), "{}", engine.get("/metrics").body);
}

#[test]
fn messages_without_control_id_are_never_copies_and_their_events_differ() {
    let engine = Setup::sample().start();
    let nameless = admission("", "1000001").text();
    sent(&engine, &nameless);
    sent(&engine, &nameless);
    assert_eq!(states(&engine), ["published", "published"]);
    assert_eq!(events(&engine).len(), 2);
    assert_eq!(ids(&engine).len(), 2);
}

#[test]
fn a_channel_may_pass_over_fields_that_a_sender_writes_anew() {
    let setup = Setup::sample().set("channels.pas-adt.duplicates.ignore=[MSH-7]");
    let mut engine = setup.start();
    let text = admission("C1", "1000001").text();
    let at = |time: &str| text.replacen("20260115101500", time, 1);
    sent(&engine, &text);
    sent(&engine, &at("20260115101800"));
    engine.kill();
    engine.start_again();
    // The bytes of the copy once more, then others.
    sent(&engine, &at("20260115101800"));
    sent(&engine, &at("20260115102100"));
    assert_eq!(states(&engine), ["published", "duplicate", "duplicate", "duplicate"]);
    let rows = messages(&engine);
    assert!(rows[1..].iter().all(|row| row["duplicate_of"] == rows[0]["id"]), "{rows:?}");
    // It is a copy only when it follows its original directly.
    sent(&engine, &admission("C2", "1000002").text());
    sent(&engine, &at("20260115102400"));
    assert_eq!(states(&engine)[4..], ["published", "published"]);
    assert_eq!(ids(&engine).len(), 3);
}
