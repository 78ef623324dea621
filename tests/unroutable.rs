//! A broker that confirms an event no queue took: visible as unroutable, retried, never lost.

use crate::harness::amqp::TestBroker;
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
            let event: serde_json::Value = serde_json::from_slice(&delivery.data).unwrap();
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
