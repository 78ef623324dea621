//! A broker that confirms an event no queue took: visible as unroutable, retried, never lost.

use serde_json::{Value, json};

use crate::command_line::ask;
use crate::harness::amqp::TestBroker;
use crate::harness::message::Adt;
use crate::harness::own_broker::OwnBroker;
use crate::harness::{SOON, until};
use crate::rabbitmq::sample_with_broker;
use crate::straight_through::{admission, settled};

#[test]
fn unbound_queues_make_events_visible_as_unroutable_and_lose_none() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    broker.name("events.restricted");
    let engine = sample_with_broker(broker.url(), &exchange, &queue).start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("C1", "1000001").text());
    settled(&engine);
    broker.unbind(&queue, &exchange, "*.*.*.*");
    sender.ask(admission("C2", "1000001").text());
    until("unroutable event in the metrics", SOON, || {
        engine.get("/metrics").body.contains("tieline_events_unroutable_total 1").then_some(())
    });
    // The topology is declared again and the event follows.
    settled(&engine);
    let taken = broker.take_all(&queue, 2, SOON);
    let ids: Vec<String> = taken
        .iter()
        .map(|delivery| {
            let event: Value = serde_json::from_slice(&delivery.data).unwrap();
            event["correlationid"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids, ["C1", "C2"]);
}

#[test]
fn a_deleted_queue_and_a_deleted_exchange_come_back() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    broker.name("events.restricted");
    let engine = sample_with_broker(broker.url(), &exchange, &queue).start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("C1", "1000001").text());
    settled(&engine);
    broker.take_all(&queue, 1, SOON);
    broker.delete_queue(&queue);
    sender.ask(admission("C2", "1000001").text());
    settled(&engine);
    broker.take_all(&queue, 1, SOON);
    broker.delete_exchange(&exchange);
    sender.ask(admission("C3", "1000001").text());
    settled(&engine);
    assert_eq!(broker.take_all(&queue, 1, SOON).len(), 1);
}

/// A returned event names no delivery: with many under way, none may get the receipt of another.
#[test]
fn of_many_under_way_each_gets_its_own_verdict() {
    let broker = TestBroker::shared();
    let exchange = broker.name("events");
    broker.name("events.restricted");
    let (admissions, discharges) = (broker.name("admissions"), broker.name("discharges"));
    let subscribers = format!(
        "subscribers={{one: {{receives: [encounter.admitted], queue: {admissions}}}, \
         two: {{receives: [encounter.discharged], queue: {discharges}}}}}"
    );
    let engine = sample_with_broker(broker.url(), &exchange, "unused").set(&subscribers).start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("FIRST", "1999999").text());
    settled(&engine);
    broker.unbind(&discharges, &exchange, "*.encounter.discharged.*");
    let mut expected = Vec::new();
    for number in 0..300 {
        let control_id = format!("C{number:04}");
        let trigger = if number % 2 == 0 { "A01" } else { "A03" };
        let patient = format!("1{number:06}");
        sender.send(Adt { trigger, ..admission(&control_id, &patient) }.text());
        if number % 2 == 1 {
            expected.push(control_id);
        }
    }
    for _ in 0..300 {
        sender.ack();
    }
    settled(&engine);
    let taken = broker.take_all(&discharges, expected.len(), SOON);
    let mut ids: Vec<String> = taken
        .iter()
        .map(|delivery| {
            let event: Value = serde_json::from_slice(&delivery.data).unwrap();
            event["correlationid"].as_str().unwrap().to_owned()
        })
        .collect();
    ids.sort();
    assert_eq!(ids, expected, "every discharge reached its subscriber, once");
    assert_eq!(broker.take_all(&admissions, 151, SOON).len(), 151);
}

/// The broker closes a channel over what it will never take: that is one event's trouble.
#[test]
fn own_broker_that_will_not_take_a_large_event_gets_all_others() {
    let own = OwnBroker::start_with("max_message_size = 16384");
    let engine = sample_with_broker(&own.url(), "events", "portal").start();
    let mut sender = engine.connect("pas-adt");
    let long = format!("EXAMPLE-{}^ALEX", "A".repeat(20_000));
    let large = admission("LARGE", "1000001").text().replacen("EXAMPLE^ALEX", &long, 1);
    sender.ask(&large);
    for number in 2..=30 {
        sender.ask(admission(&format!("C{number}"), &format!("10000{number:02}")).text());
    }
    until("events of everybody else", SOON, || {
        let status = engine.get("/api/v1/status").json();
        (status["total"]["published"] == 29).then_some(())
    });
    let metrics = engine.get("/metrics").body;
    let refused = "tieline_publish_refusals_total{reason=\"publish.too-large\"}";
    assert!(metrics.contains(refused), "{metrics}");
    assert!(!metrics.contains("tieline_broker_failures_total"), "the connection stayed: {metrics}");
    assert_eq!(TestBroker::at(&own.url()).take_all("portal", 29, SOON).len(), 29);
}

#[test]
fn own_broker_what_it_never_takes_is_given_up_by_a_person_and_the_patient_goes_on() {
    let own = OwnBroker::start_with("max_message_size = 16384");
    let mut engine = sample_with_broker(&own.url(), "events", "portal").start();
    let mut sender = engine.connect("pas-adt");
    let long = format!("EXAMPLE-{}^ALEX", "A".repeat(20_000));
    sender.ask(admission("LARGE", "1000001").text().replacen("EXAMPLE^ALEX", &long, 1));
    sender.ask(admission("NEXT", "1000001").text());
    let parked = until("one that is parked, and one behind it", SOON, || {
        let found = engine.get("/api/v1/parked").json();
        (found["total"] == 1 && found["parked"][0]["held"] == 1).then_some(found)
    });
    assert_eq!(parked["parked"][0]["reason"], "publish.too-large", "{parked}");
    let id = parked["parked"][0]["id"].to_string();
    let because = json!({ "reason": " " });
    let path = format!("/api/v1/messages/{id}/skip");
    assert_eq!(engine.post_as("ann", &path, &because).status, 400, "a decision says why");
    let ran = ask(&engine, &["parked", "skip", &id, "--reason", "a scan, sent by post"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("event 1 of the 1 of"), "{ran:?}");
    assert!(ran.out.contains("1 message that waited behind it follows"), "{ran:?}");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{ran:?}");
    // The decision is durable: it is not sent again.
    engine.kill();
    engine.start_again();
    settled(&engine);
    let taken = TestBroker::at(&own.url()).take_all("portal", 1, SOON);
    let event: Value = serde_json::from_slice(&taken[0].data).unwrap();
    assert_eq!(event["correlationid"], "NEXT");
    let audit = engine.get("/api/v1/audit").json();
    assert_eq!(audit[0]["action"], "skip", "{audit}");
    assert_eq!(audit[0]["reason"], "a scan, sent by post");
    let again = engine.post_as("ann", &path, &json!({ "reason": "once more" }));
    assert_eq!(again.status, 409, "{again:?}");
}
