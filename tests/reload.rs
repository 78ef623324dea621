//! SIGHUP: a changed configuration is put in force under open connections; a broken one changes
//! nothing and says so once.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::TcpListener;

use serde_json::Value;

use crate::harness::amqp::TestBroker;
use crate::harness::engine::TestEngine;
use crate::harness::sender::{Reply, TestSender};
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{admission, events, messages, settled};

const DONE: &str = "configuration reloaded";
const REFUSED: &str = "configuration not reloaded";

/// A configuration of channels that share nothing but the sender; each is a name, an address and a
/// script.
fn yaml(channels: &[(&str, &str, &str)]) -> String {
    let mut text = String::from("engine: { environment: test }\nchannels:\n");
    for (name, listen, script) in channels {
        write!(
            text,
            "  {name}:\n    listener: {{ mllp: {{ listen: \"{listen}\" }} }}\n    \
             accept: {{ types: [ADT], processing: [P] }}\n    \
             source: {{ preset: itk-2.4, organisation: RXX, test_data: true }}\n    \
             identity:\n      local: [{{ authority: RXX01, type: MR, default: true }}]\n      \
             nhs_number: {{ trust: [\"01\"] }}\n    \
             transform: {{ script: transforms/{script} }}\n"
        )
        .expect("a String takes it");
    }
    text
}

const ANY: &str = "127.0.0.1:0";

/// A script that filters everything with a reason of its own, so that one sees which one ran.
fn filtering(reason: &str) -> String {
    format!("fn transform(msg) {{ filter(\"{reason}\") }}\n")
}

fn two_channels() -> TestEngine {
    let setup = Setup::with(&yaml(&[("one", ANY, "one.rhai"), ("two", ANY, "two.rhai")]));
    setup.write("transforms/one.rhai", &filtering("one-before"));
    setup.write("transforms/two.rhai", &filtering("two-before"));
    setup.variable("TIELINE_LOG", "info").start()
}

/// The reason of each message, by control id.
fn reasons(engine: &TestEngine) -> BTreeMap<String, String> {
    settled(engine);
    let word = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    messages(engine).iter().map(|row| (word(row, "control_id"), word(row, "reason"))).collect()
}

fn ask(sender: &mut TestSender, control_id: &str) {
    let ack = sender.ask(admission(control_id, "1000001").text());
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", control_id));
}

#[test]
fn a_changed_script_is_in_force_on_connections_that_stay_open() {
    let engine = two_channels();
    let (mut one, mut two) = (engine.connect("one"), engine.connect("two"));
    ask(&mut one, "ONE-1");
    ask(&mut two, "TWO-1");
    settled(&engine);
    let before = engine.get("/api/v1/status").json()["configversion"].clone();
    engine.setup.write("transforms/one.rhai", &filtering("one-after"));
    engine.hang_up();
    let line = engine.said(DONE, 1);
    assert!(line.contains("one") && !line.contains("two"), "names what changed: {line}");
    ask(&mut one, "ONE-2");
    ask(&mut two, "TWO-2");
    let expected = [
        ("ONE-1", "one-before"),
        ("ONE-2", "one-after"),
        ("TWO-1", "two-before"),
        ("TWO-2", "two-before"),
    ];
    let expected = expected.map(|(id, reason)| (id.to_owned(), reason.to_owned()));
    assert_eq!(reasons(&engine), BTreeMap::from(expected));
    let after = engine.get("/api/v1/status").json()["configversion"].clone();
    assert_ne!(before, after);
    let kept = std::fs::read_to_string(engine.setup.data().join("activated/last-good")).unwrap();
    assert_eq!(kept.trim(), after, "a broken file at the next start falls back on this one");
}

#[test]
fn a_broken_configuration_changes_nothing_and_says_so_once() {
    let engine = two_channels();
    let mut one = engine.connect("one");
    let version = engine.get("/api/v1/status").json()["configversion"].clone();
    engine.setup.write("channels.yaml", "channels: [\n");
    engine.hang_up();
    let line = engine.said(REFUSED, 1);
    assert!(line.contains("channels.yaml:"), "names the place: {line}");
    ask(&mut one, "ONE-1");
    engine
        .setup
        .write("channels.yaml", &yaml(&[("one", ANY, "one.rhai"), ("two", ANY, "two.rhai")]));
    engine.setup.write("transforms/two.rhai", "fn transform(msg) { filter(\n");
    engine.hang_up();
    let line = engine.said(REFUSED, 2);
    assert!(line.contains("two.rhai:"), "names the place: {line}");
    ask(&mut one, "ONE-2");
    assert_eq!(engine.get("/api/v1/status").json()["configversion"], version);
    let errors = engine.written().lines().filter(|line| line.contains("ERROR")).count();
    assert_eq!(errors, 2, "one for each");
    engine.setup.write("transforms/two.rhai", &filtering("mended"));
    engine.hang_up();
    engine.said(DONE, 1);
    ask(&mut one, "ONE-3");
    assert_eq!(reasons(&engine)["ONE-3"], "one-before");
}

#[test]
fn an_address_that_is_taken_changes_nothing_either() {
    let engine = two_channels();
    let mut two = engine.connect("two");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    engine.setup.write("transforms/new.rhai", &filtering("new"));
    let free = free_address();
    let changed = yaml(&[
        ("one", ANY, "new.rhai"),
        ("free", &free, "new.rhai"),
        ("new", &address, "new.rhai"),
    ]);
    engine.setup.write("channels.yaml", &changed);
    engine.hang_up();
    let line = engine.said(REFUSED, 1);
    assert!(line.contains("channel new cannot listen on") && line.contains(&address), "{line}");
    ask(&mut two, "TWO-1");
    ask(&mut engine.connect("one"), "ONE-1");
    let reasons = reasons(&engine);
    assert_eq!((&*reasons["ONE-1"], &*reasons["TWO-1"]), ("one-before", "two-before"));
    let open = std::net::TcpStream::connect(&free);
    assert!(open.is_err(), "what could be bound was given back");
}

/// An address that was free a moment ago.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_new_channel_listens_and_a_removed_one_finishes_the_frame_in_hand_and_closes() {
    let engine = two_channels();
    let (mut one, mut two) = (engine.connect("one"), engine.connect("two"));
    let (whole, half) = (admission("WHOLE", "1000001").text(), admission("HALF", "1000001").text());
    let (first, rest) = half.split_at(half.len() / 2);
    // In one write: the answer to the first tells that the beginning of the second has arrived.
    two.send_bytes(format!("\x0b{whole}\x1c\r\x0b{first}").as_bytes()).unwrap();
    two.ack();
    settled(&engine);
    let new = free_address();
    engine.setup.write("transforms/new.rhai", &filtering("new"));
    engine
        .setup
        .write("channels.yaml", &yaml(&[("one", ANY, "one.rhai"), ("new", &new, "new.rhai")]));
    let former = engine.listener("two");
    engine.hang_up();
    let line = engine.said(DONE, 1);
    assert!(line.contains("added") && line.contains("removed"), "{line}");
    // The frame that had begun is finished, kept and answered, then the connection ends.
    two.send_bytes(format!("{rest}\x1c\r").as_bytes()).unwrap();
    assert_eq!(two.ack().control_id, "HALF");
    assert_eq!(two.reply(SOON), Reply::Closed);
    until("closed port", SOON, || TestSender::try_connect(&former).is_err().then_some(()));
    ask(&mut TestSender::connect(&new), "NEW-1");
    ask(&mut one, "ONE-1");
    let reasons = reasons(&engine);
    assert_eq!((&*reasons["NEW-1"], &*reasons["ONE-1"]), ("new", "one-before"));
    assert_eq!(reasons["HALF"], "channel.unknown", "kept for a person, not lost");
}

#[test]
fn every_message_of_a_stream_through_ten_reloads_is_answered_once_and_in_order() {
    let engine = two_channels();
    let mut sender = engine.connect("one");
    let mut number = 0;
    let mut unanswered = std::collections::VecDeque::new();
    for (round, letter) in (1..=10).zip('a'..) {
        engine.setup.write("transforms/one.rhai", &filtering(&format!("round-{letter}")));
        engine.hang_up();
        let mut done = false;
        while !done {
            assert!(number < 200_000, "reload {round} never ends");
            for _ in 0..50 {
                let control_id = format!("C{number:06}");
                let patient = format!("10000{:02}", number % 50);
                sender.send(admission(&control_id, &patient).text());
                unanswered.push_back(control_id);
                number += 1;
            }
            while unanswered.len() > 100 {
                let ack = sender.ack();
                assert_eq!((ack.code, Some(ack.control_id)), ("AA".into(), unanswered.pop_front()));
            }
            done = engine.written().matches(DONE).count() >= round;
        }
    }
    while let Some(control_id) = unanswered.pop_front() {
        let ack = sender.ack();
        assert_eq!((ack.code, ack.control_id), ("AA".into(), control_id));
    }
    let status = settled(&engine);
    assert_eq!(status["total"]["received"], number);
    assert_eq!(status["total"]["filtered"], number);
    assert!(events(&engine).is_empty());
}

/// A feed to a broker whose address stands in a file.
fn with_broker(exchange: &str, subscribers: &[(&str, &str)]) -> String {
    let mut text = yaml(&[("pas-adt", ANY, "pas_adt.rhai")])
        .replace("pas_adt.rhai }", "pas_adt.rhai, settings: { site: RXX01 } }");
    writeln!(
        text,
        "broker: {{ amqp: {{ url: {{ file: broker.url }}, exchange: {exchange} }} }}\nsubscribers:"
    )
    .expect("a String takes it");
    for (queue, receives) in subscribers {
        writeln!(text, "  {queue}: {{ receives: [\"{receives}\"], queue: {queue} }}")
            .expect("a String takes it");
    }
    text
}

#[test]
fn broker_and_subscribers_are_changed_without_a_restart_and_nothing_is_lost() {
    let broker = TestBroker::shared();
    let exchange = broker.name("events");
    broker.name("events.restricted");
    let (portal, second) = (broker.name("portal"), broker.name("second"));
    let setup = Setup::with(&with_broker(&exchange, &[(&portal, "*")]));
    // Nobody is there.
    setup.write("broker.url", &format!("amqp://guest:guest@{}/%2f", free_address()));
    let engine = setup.variable("TIELINE_LOG", "info").start();
    let mut sender = engine.connect("pas-adt");
    ask(&mut sender, "C1");
    engine.setup.write("broker.url", broker.url());
    engine.hang_up();
    engine.said(DONE, 1);
    settled(&engine);
    engine.setup.write("channels.yaml", &with_broker(&exchange, &[(&portal, "*"), (&second, "*")]));
    engine.hang_up();
    engine.said(DONE, 2);
    ask(&mut sender, "C2");
    settled(&engine);
    let narrow = with_broker(&exchange, &[(&portal, "*"), (&second, "result.*")]);
    engine.setup.write("channels.yaml", &narrow);
    engine.hang_up();
    engine.said(DONE, 3);
    ask(&mut sender, "C3");
    settled(&engine);
    assert_eq!(broker.take_all(&portal, 3, SOON).len(), 3);
    assert_eq!(broker.count(&second), 1, "C2 and no more");
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_in_force() {
    let engine = two_channels();
    let changed = yaml(&[("one", ANY, "one.rhai"), ("two", ANY, "two.rhai")])
        .replace("environment: test", "environment: test, limits: { workers: 7 }");
    engine.setup.write("channels.yaml", &changed);
    engine.setup.write("transforms/one.rhai", &filtering("one-after"));
    engine.hang_up();
    engine.said(DONE, 1);
    assert!(engine.said("need a restart", 1).contains("engine.limits.workers"));
    ask(&mut engine.connect("one"), "ONE-1");
    assert_eq!(reasons(&engine)["ONE-1"], "one-after");
}
