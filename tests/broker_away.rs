//! The broker goes away: messages are still accepted and acknowledged, and leave when it is back.

use crate::harness::amqp::TestBroker;
use crate::harness::own_broker::OwnBroker;
use crate::harness::{SOON, until};
use crate::rabbitmq::sample_with_broker;
use crate::straight_through::{admission, settled};

#[test]
fn own_broker_gone_and_back_gets_what_came_in_between() {
    let mut own = OwnBroker::start();
    let (exchange, queue) = ("events", "portal");
    let mut engine = sample_with_broker(&own.url(), exchange, queue).start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(admission("C000", "1000001").text());
    settled(&engine);
    // In good order: a node that is killed within minutes of a quorum queue's birth may bring the
    // queue back without its replica, which then confirms nothing, whoever publishes.
    own.stop();
    for number in 1..=50 {
        let ack = sender.ask(admission(&format!("C{number:03}"), "1000001").text());
        assert_eq!(ack.code, "AA", "accepted while the broker is away");
    }
    let status = until("status that shows the broker away", SOON, || {
        let status = engine.get("/api/v1/status").json();
        (status["broker"]["connected"] == false).then_some(status)
    });
    assert_eq!(status["total"]["pending"], 50, "{status}");
    assert!(!status["attention"].as_array().unwrap().is_empty());
    // A restart without the broker loses nothing either.
    engine.kill();
    engine.start_again();
    own.start_again();
    settled(&engine);
    let broker = TestBroker::at(&own.url());
    let taken = broker.take_all(queue, 51, SOON);
    let mut ids: Vec<String> = taken
        .iter()
        .map(|delivery| {
            let event: serde_json::Value = serde_json::from_slice(&delivery.data).unwrap();
            event["correlationid"].as_str().unwrap().to_owned()
        })
        .collect();
    ids.dedup();
    assert!(ids.is_sorted(), "one patient, in order: {ids:?}");
    assert_eq!(ids.len(), 51);
}
