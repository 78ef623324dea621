//! A message in, an acknowledgement back, an event out: the line from end to end.

use serde_json::Value;

use crate::harness::engine::TestEngine;
use crate::harness::message::{Adt, test_number};
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};

pub(crate) fn admission<'a>(control_id: &'a str, hospital_number: &'a str) -> Adt<'a> {
    Adt { trigger: "A01", control_id, hospital_number, nhs_number: test_number(hospital_number) }
}

/// Waits until nothing is pending but what waits behind a parked message; gives back the status.
pub(crate) fn settled(engine: &TestEngine) -> Value {
    until("settled ledger", SOON, || {
        let status = engine.get("/api/v1/status").json();
        (status["total"]["pending"] == status["held"] && status["in_flight"] == 0).then_some(status)
    })
}

/// Waits until nothing is pending, not even held: what a decision frees is held a moment longer.
pub(crate) fn drained(engine: &TestEngine) -> Value {
    until("nothing that is pending", SOON, || {
        let status = engine.get("/api/v1/status").json();
        (status["total"]["pending"] == 0 && status["in_flight"] == 0).then_some(status)
    })
}

/// Waits until all that is pending waits behind a parked message; gives back the status.
pub(crate) fn at_rest(engine: &TestEngine) -> Value {
    until("engine at rest", SOON, || {
        let status = engine.get("/api/v1/status").json();
        let waits = status["total"]["pending"] == status["held"] && status["retrying"] == 0;
        waits.then_some(status)
    })
}

pub(crate) fn events(engine: &TestEngine) -> Vec<Value> {
    engine.get("/api/v1/events?limit=10000").rows()
}

pub(crate) fn messages(engine: &TestEngine) -> Vec<Value> {
    engine.get("/api/v1/messages?limit=10000").rows()
}

#[test]
fn an_admission_becomes_an_event_keyed_by_nhs_number() {
    let engine = Setup::sample().start();
    let ack = engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", "C1"));
    let status = settled(&engine);
    assert_eq!(status["total"]["received"], 1);
    assert_eq!(status["total"]["published"], 1);
    let events = events(&engine);
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "uk.nhs.sharedrecord.encounter.admitted.v1");
    assert_eq!(event["subject"], "9990000018");
    assert_eq!(event["correlationid"], "C1");
    assert_eq!(event["time"], "2026-01-15T10:10:00+00:00");
    assert_eq!(event["data"]["resourceType"], "Bundle");
    assert_eq!(event["data"]["entry"][0]["resource"]["resourceType"], "Patient");
    let messages = messages(&engine);
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["state"], "published");
    assert_eq!(messages[0]["control_id"], "C1");
    assert_eq!(messages[0]["type"], "ADT^A01");
    assert_eq!(messages[0]["events"], 1);
}

#[test]
fn one_patient_stays_in_order_while_frames_are_pipelined() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let control_ids: Vec<String> = (0..200).map(|number| format!("P{number:04}")).collect();
    for (number, control_id) in control_ids.iter().enumerate() {
        let patient = format!("10000{:02}", number % 5);
        sender.send(admission(control_id, &patient).text());
    }
    let answered: Vec<String> = control_ids.iter().map(|_| sender.ack().control_id).collect();
    assert_eq!(answered, control_ids, "answers leave in the order of the frames");
    settled(&engine);
    let events = events(&engine);
    assert_eq!(events.len(), 200);
    for patient in 0..5 {
        let of_patient: Vec<&str> = events
            .iter()
            .filter_map(|event| event["correlationid"].as_str())
            .filter(|id| id[1..].parse::<usize>().unwrap() % 5 == patient)
            .collect();
        assert!(of_patient.is_sorted(), "patient {patient}: {of_patient:?}");
    }
}

#[test]
fn events_are_read_by_cursor_without_gap_or_repetition() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    for number in 0..7 {
        sender.ask(admission(&format!("C{number}"), "1000001").text());
    }
    settled(&engine);
    let first = engine.get("/api/v1/events?limit=3").rows();
    let all = events(&engine);
    assert_eq!(first.len(), 3);
    assert_eq!(all.len(), 7);
    assert_eq!(first[..], all[..3]);
}

#[test]
fn metrics_and_probes_answer_without_a_token_and_the_api_does_not() {
    let engine = Setup::sample().start();
    engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    settled(&engine);
    assert_eq!(engine.get("/readyz").status, 200);
    let metrics = engine.get("/metrics").body;
    assert!(
        metrics.contains("tieline_messages_received_total{channel=\"pas-adt\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("tieline_acknowledge_duration_seconds_bucket"), "{metrics}");
    let refused = ureq::get(format!("{}/api/v1/status", engine.url())).call();
    assert!(matches!(refused, Err(ureq::Error::StatusCode(401))), "{refused:?}");
}

#[test]
fn a_sender_that_wants_no_answer_gets_none_and_its_message_is_kept() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    // MSH-15 NE: never an accept acknowledgement.
    let silent = admission("QUIET", "1000001").text().replacen("|2.4|||||", "|2.4|||NE||", 1);
    sender.send(&silent);
    let next = sender.ask(admission("LOUD", "1000001").text());
    assert_eq!(next.control_id, "LOUD", "the first answer is for the second message");
    let status = settled(&engine);
    assert_eq!(status["total"]["received"], 2);
}
