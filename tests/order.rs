//! Who waits behind a parked message, and who does not: by the class of its reason, and as the
//! channel says.

use serde_json::{Value, json};

use crate::harness::engine::TestEngine;
use crate::harness::message::Adt;
use crate::harness::repository;
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{events, messages};

/// Parks what comes from a closed ward; what comes from a slow one takes a while.
const SCRIPT: &str = "fn transform(msg) {
    if msg[\"PV1-3.2\"] == \"CLOSED\" { park(\"ward.closed\") }
    if msg[\"PV1-3.2\"] == \"SLOW\" { let n = 0; while n < 100000 { n += 1; } }
    emit(\"encounter.admitted\", encounter(msg))
}
";

fn started(sets: &[&str]) -> TestEngine {
    let setup = sets.iter().fold(Setup::sample(), |setup, set| setup.set(set));
    setup.write("transforms/pas_adt.rhai", SCRIPT);
    setup.start()
}

/// An admission; patients are told apart by their hospital number alone.
fn admission(control_id: &str, hospital_number: &str) -> String {
    Adt { trigger: "A01", control_id, hospital_number, nhs_number: None }.text()
}

/// The same from a closed ward.
fn bad(control_id: &str, hospital_number: &str) -> String {
    admission(control_id, hospital_number).replacen("WARD1", "CLOSED", 1)
}

fn send(engine: &TestEngine, text: impl AsRef<[u8]>) {
    assert_eq!(engine.connect("pas-adt").ask(text).code, "AA");
}

/// A result of the sample world, of one of our patients.
fn send_result(engine: &TestEngine, hospital_number: &str) {
    let sample = std::fs::read(repository("samples/pathology-oru/006-glucose.hl7")).unwrap();
    let text = String::from_utf8(sample).unwrap();
    let text = text.replacen("LIM0200006", "RESULT", 1);
    let text = text.replacen("4405518^^^RXX01^MR~9990166137^^^NHS^NH", hospital_number, 1);
    let text = text.replacen(hospital_number, &format!("{hospital_number}^^^RXX01^MR"), 1);
    let text = text.replacen("CHOWDHURY^NASREEN^BEGUM||19920614|F", "EXAMPLE^ALEX||19800229|M", 1);
    assert_eq!(engine.connect("pathology-oru").ask(text).code, "AA");
}

/// Waits until so many are parked and so many wait behind them, and nothing else is pending.
fn rests_with(engine: &TestEngine, parked: u64, held: u64) {
    until("engine at rest", SOON, || {
        let status = engine.get("/api/v1/status").json();
        let total = &status["total"];
        let so = total["parked"] == parked && status["held"] == held;
        (so && total["pending"] == held && status["in_flight"] == 0).then_some(())
    });
}

/// Which messages were told, in that order.
fn told(engine: &TestEngine) -> Vec<String> {
    let mut ids: Vec<String> = events(engine)
        .iter()
        .map(|event| event["correlationid"].as_str().expect("MSH-10").to_owned())
        .collect();
    // A message may have several events, one after another.
    ids.dedup();
    ids
}

fn decide(engine: &TestEngine, verb: &str, control_id: &str) {
    let rows = messages(engine);
    let row = rows.iter().find(|row| row["control_id"] == control_id).expect(control_id);
    let path = format!("/api/v1/messages/{}/{verb}", row["id"]);
    let answer = engine.post(&path, &json!({ "reason": "asked the ward" }));
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Lets what comes from a closed ward through from now on.
fn mend(engine: &TestEngine) {
    engine.setup.write("transforms/pas_adt.rhai", &SCRIPT.replacen("CLOSED", "NOWHERE", 1));
    engine.hang_up();
    engine.said("configuration reloaded", 1);
}

fn event_of(engine: &TestEngine, control_id: &str) -> Value {
    let events = events(engine);
    events.into_iter().find(|event| event["correlationid"] == control_id).expect(control_id)
}

#[test]
fn what_a_script_could_not_do_holds_its_patient_on_its_channel_only() {
    let engine = started(&[]);
    send(&engine, bad("BAD", "1000001"));
    rests_with(&engine, 1, 0);
    send(&engine, admission("NEXT", "1000001"));
    send(&engine, admission("OTHER", "1000002"));
    rests_with(&engine, 1, 1);
    send_result(&engine, "1000001");
    rests_with(&engine, 1, 1);
    assert_eq!(told(&engine), ["OTHER", "RESULT"]);
    decide(&engine, "discard", "BAD");
    rests_with(&engine, 0, 0);
    assert_eq!(told(&engine), ["OTHER", "RESULT", "NEXT"]);
}

#[test]
fn what_is_unclear_about_a_person_holds_that_person_on_all_channels() {
    let engine = started(&[]);
    let two = admission("WHO", "1000001").replacen(
        "1000001^^^RXX01^MR",
        "1000001^^^RXX01^MR~9990000018^^^NHS^NH~9990000026^^^NHS^NH",
        1,
    );
    send(&engine, two);
    rests_with(&engine, 1, 0);
    assert_eq!(messages(&engine)[0]["reason"], "identity.two-numbers");
    send_result(&engine, "1000001");
    send(&engine, admission("NEXT", "1000001"));
    rests_with(&engine, 1, 2);
    send(&engine, admission("OTHER", "1000002"));
    send_result(&engine, "1000003");
    rests_with(&engine, 1, 2);
    let free = told(&engine);
    assert_eq!(free.len(), 2, "{free:?}");
    let rows = messages(&engine);
    assert_eq!((&rows[1]["detail"], &rows[2]["detail"]), (&json!("held"), &json!("held")));
    decide(&engine, "discard", "WHO");
    rests_with(&engine, 0, 0);
    assert_eq!(messages(&engine)[1]["state"], "published");
    assert_eq!(messages(&engine)[2]["state"], "published");
}

#[test]
fn park_only_holds_nobody_and_what_is_released_later_says_so() {
    let engine = started(&["channels.pas-adt.on_error=park-only"]);
    send(&engine, bad("BAD", "1000001"));
    rests_with(&engine, 1, 0);
    send(&engine, admission("NEXT", "1000001"));
    rests_with(&engine, 1, 0);
    assert_eq!(told(&engine), ["NEXT"]);
    mend(&engine);
    decide(&engine, "release", "BAD");
    rests_with(&engine, 0, 0);
    assert_eq!(told(&engine), ["NEXT", "BAD"]);
    assert_eq!(event_of(&engine, "BAD")["outoforder"], true);
    assert_eq!(event_of(&engine, "NEXT")["outoforder"], Value::Null);
}

#[test]
fn stop_channel_stops_everybody_on_it_until_somebody_decides() {
    for verb in ["release", "discard"] {
        let engine = started(&["channels.pas-adt.on_error=stop-channel"]);
        send(&engine, bad("BAD", "1000001"));
        rests_with(&engine, 1, 0);
        send(&engine, admission("NEXT", "1000001"));
        send(&engine, admission("OTHER", "1000002"));
        send_result(&engine, "1000001");
        rests_with(&engine, 1, 2);
        assert_eq!(told(&engine), ["RESULT"], "another channel goes on");
        mend(&engine);
        decide(&engine, verb, "BAD");
        rests_with(&engine, 0, 0);
        let mut told = told(&engine);
        // No order holds between OTHER, of another patient, and these.
        let mut patient: Vec<_> = told.iter().filter(|id| *id != "OTHER").cloned().collect();
        if verb == "release" {
            assert_eq!(patient.remove(1), "BAD", "it goes before what waited: {told:?}");
            told.retain(|id| *id != "BAD");
        }
        assert_eq!(patient, ["RESULT", "NEXT"]);
        told.sort();
        assert_eq!(told, ["NEXT", "OTHER", "RESULT"]);
    }
}

#[test]
fn order_of_the_channel_is_order_over_all_its_patients() {
    let engine = started(&[
        "channels.pas-adt.order=channel",
        "engine.limits.script_time=30s",
        "engine.limits.script_operations=10000000",
        "engine.limits.workers=4",
    ]);
    let mut sender = engine.connect("pas-adt");
    let mut sent = Vec::new();
    for number in 0..12 {
        let control_id = format!("C{number:02}");
        let text = admission(&control_id, &format!("{}", 1_000_000 + number));
        let slow = if number % 3 == 0 { "SLOW" } else { "WARD1" };
        sender.send(text.replacen("WARD1", slow, 1));
        sent.push(control_id);
    }
    for _ in 0..12 {
        assert_eq!(sender.ack().code, "AA");
    }
    rests_with(&engine, 0, 0);
    assert_eq!(told(&engine), sent);
}

#[test]
fn without_any_order_nobody_waits_and_what_is_released_later_says_so() {
    let engine = started(&["channels.pas-adt.order=none"]);
    send(&engine, bad("BAD", "1000001"));
    rests_with(&engine, 1, 0);
    send(&engine, admission("NEXT", "1000001"));
    rests_with(&engine, 1, 0);
    assert_eq!(told(&engine), ["NEXT"]);
    mend(&engine);
    decide(&engine, "release", "BAD");
    rests_with(&engine, 0, 0);
    assert_eq!(event_of(&engine, "BAD")["outoforder"], true);
}
