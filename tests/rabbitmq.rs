//! The same events in a RabbitMQ queue: persistent, confirmed, with no NHS Number outside the body.

use crate::harness::SOON;
use crate::harness::amqp::TestBroker;
use crate::harness::setup::Setup;
use crate::straight_through::{admission, events, settled};

/// The sample world, publishing to one subscriber's queue on a broker.
pub(crate) fn sample_with_broker(url: &str, exchange: &str, queue: &str) -> Setup {
    Setup::sample()
        .variable("TEST_BROKER_URL", url)
        .set("broker.amqp.url.env=TEST_BROKER_URL")
        .set(&format!("broker.amqp.exchange={exchange}"))
        .set(&format!("subscribers={{portal: {{receives: ['*'], queue: {queue}}}}}"))
}

#[test]
fn events_stand_in_the_subscribers_queue_as_they_stand_on_disk() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    let restricted = broker.name("events.restricted");
    assert_eq!(restricted, format!("{exchange}.restricted"));
    let engine = sample_with_broker(broker.url(), &exchange, &queue).start();
    let mut sender = engine.connect("pas-adt");
    for number in 0..50 {
        sender.ask(admission(&format!("C{number:02}"), &format!("10000{:02}", number % 10)).text());
    }
    settled(&engine);
    let taken = broker.take_all(&queue, 50, SOON);
    let kept = events(&engine);
    for delivery in &taken {
        let body: serde_json::Value = serde_json::from_slice(&delivery.data).unwrap();
        assert!(kept.contains(&body), "the same bytes mean the same event");
        assert_eq!(delivery.routing_key.as_str(), "RXX.encounter.admitted.normal");
        let properties = &delivery.properties;
        assert_eq!(*properties.delivery_mode(), Some(2), "persistent");
        assert_eq!(
            properties.message_id().as_ref().unwrap().as_str(),
            body["id"].as_str().unwrap()
        );
        let outside = format!("{:?} {properties:?}", delivery.routing_key);
        assert!(!outside.contains("999000"), "{outside}");
    }
}

#[test]
fn an_event_that_nobody_wants_is_counted_and_not_sent() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    broker.name("events.restricted");
    let engine = sample_with_broker(broker.url(), &exchange, &queue)
        .set(&format!("subscribers={{portal: {{receives: ['result.*'], queue: {queue}}}}}"))
        .start();
    engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    assert_eq!(settled(&engine)["total"]["published"], 1);
    assert_eq!(broker.count(&queue), 0);
    let metrics = engine.get("/metrics").body;
    assert!(
        metrics.contains("tieline_events_published_total{subscribers=\"none\"} 1"),
        "{metrics}"
    );
}

#[test]
fn a_queue_of_another_kind_is_an_error_that_shows_the_difference() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    broker.name("events.restricted");
    broker.declare_queue(&queue);
    let engine = sample_with_broker(broker.url(), &exchange, &queue).start();
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000001").text()).code, "AA");
    let trouble = crate::harness::until("trouble with the queue", SOON, || {
        let status = engine.get("/api/v1/status").json();
        status["broker"]["trouble"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains(&queue) && trouble.contains("inequivalent"), "{trouble}");
    broker.delete_queue(&queue);
    settled(&engine);
    assert_eq!(broker.take_all(&queue, 1, SOON).len(), 1);
}

#[test]
fn a_subscriber_that_asks_for_less_gets_less_and_one_that_is_gone_gets_nothing() {
    let broker = TestBroker::shared();
    let exchange = broker.name("events");
    broker.name("events.restricted");
    let (all, some, none) = (broker.name("all"), broker.name("some"), broker.name("none"));
    broker.declare_exchange(&exchange);
    let everything =
        |name: &str, queue: &str| format!("{name}: {{receives: ['*'], queue: {queue}}}");
    let portal = everything("portal", &all);
    let before = [portal.clone(), everything("some", &some), everything("none", &none)].join(", ");
    let mut engine = sample_with_broker(broker.url(), &exchange, "unused")
        .set(&format!("subscribers={{{before}}}"))
        .start();
    engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    settled(&engine);
    // Somebody else's binding is theirs.
    let theirs = broker.name("theirs");
    broker.declare_queue(&theirs);
    broker.bind(&theirs, &exchange, "*.*.*.*");
    assert_eq!(engine.terminate(), Some(0));
    let after = format!("{portal}, some: {{receives: ['result.*'], queue: {some}}}");
    engine.setup.replace_set(&format!("subscribers={{{after}}}"));
    engine.start_again();
    engine.connect("pas-adt").ask(admission("C2", "1000001").text());
    settled(&engine);
    assert_eq!(broker.take_all(&all, 2, SOON).len(), 2);
    assert_eq!(broker.take_all(&theirs, 1, SOON).len(), 1);
    assert_eq!((broker.count(&some), broker.count(&none)), (1, 1), "C1 and no more");
}
