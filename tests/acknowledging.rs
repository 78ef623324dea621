//! What a sender's AA waits for, and what it is told when it cannot have one.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::command_line::ask;
use crate::harness::engine::TestEngine;
use crate::harness::sender::Reply;
use crate::harness::setup::Setup;
use crate::harness::{SOON, repository, until};
use crate::rabbitmq::sample_with_broker;
use crate::straight_through::{admission, messages, settled};

/// The sample world, whose `pas-adt` answers when a message is published.
fn published_within(setup: Setup, within: &str) -> Setup {
    setup
        .set("channels.pas-adt.acknowledge.when=published")
        .set(&format!("channels.pas-adt.acknowledge.within={within}"))
}

/// A broker's address where none listens.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("amqp://{}", listener.local_addr().expect("an address"))
}

fn row(engine: &TestEngine, control_id: &str) -> Value {
    let rows = messages(engine);
    let mut found = rows.into_iter().filter(|row| row["control_id"] == control_id);
    found.next().unwrap_or_else(|| panic!("no {control_id}"))
}

/// What no script can do anything with: it parks, and its patient's later messages wait.
fn cut_short(control_id: &str) -> String {
    let text = admission(control_id, "1000001").text();
    text.split_inclusive('\r').filter(|segment| !segment.starts_with("PV1")).collect()
}

#[test]
fn aa_says_that_a_message_was_published_parked_or_held() {
    // Were it not told, each would take an hour.
    let engine = published_within(Setup::sample(), "1h").start();
    let mut sender = engine.connect("pas-adt");
    for control_id in ["C1", "C2", "C3"] {
        let ack = sender.ask(admission(control_id, "1000002").text());
        assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", control_id));
        assert_eq!(row(&engine, control_id)["state"], "published", "as soon as it is answered");
    }
    assert_eq!(sender.ask(admission("C1", "1000002").text()).code, "AA", "a copy");
    let bad = cut_short("BAD");
    assert_eq!(sender.ask(&bad).code, "AA");
    assert_eq!(row(&engine, "BAD")["state"], "parked");
    let other = admission("HELD", "1000001").text();
    assert_eq!(sender.ask(other).code, "AA");
    assert_eq!(row(&engine, "HELD")["detail"], "held");
}

#[test]
fn without_a_broker_aa_leaves_after_a_while_because_the_message_is_stored() {
    let setup = sample_with_broker(&nowhere(), "events", "portal");
    let mut engine = published_within(setup, "400ms").start();
    let mut sender = engine.connect("pas-adt");
    let began = Instant::now();
    sender.send(admission("C1", "1000001").text());
    // A stranger's message is refused at once, and its answer waits for its turn all the same.
    sender.send(admission("C2", "1000001").text().replacen("|PAS|", "|STRANGER|", 1));
    sender.send(admission("C3", "1000002").text());
    let answers = [sender.ack(), sender.ack(), sender.ack()];
    let answers = answers.map(|ack| (ack.control_id, ack.code));
    let expected = [("C1", "AA"), ("C2", "AR"), ("C3", "AA")];
    assert_eq!(answers, expected.map(|(id, code)| (id.to_owned(), code.to_owned())));
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    // Other channels do not wait for anything.
    let text = admission("C4", "1000003").text().replacen("|PAS|RXX01|", "|SOCIALCARE|900X|", 1);
    assert_eq!(engine.connect("social-care").ask(text).code, "AA");
    let metrics = engine.get("/metrics").body;
    let counted = "tieline_acknowledgements_unpublished_total{channel=\"pas-adt\"} 2";
    assert!(metrics.contains(counted), "{metrics}");
    assert_eq!(row(&engine, "C1")["state"], "pending");
    assert_eq!(engine.terminate(), Some(0));
}

#[test]
fn a_clean_stop_answers_what_waits_for_the_broker() {
    let setup = sample_with_broker(&nowhere(), "events", "portal");
    let mut engine = published_within(setup, "1h").start();
    let mut sender = engine.connect("pas-adt");
    for control_id in ["C1", "C2", "C3"] {
        sender.send(admission(control_id, "1000001").text());
    }
    until("three that are stored", SOON, || {
        (engine.get("/api/v1/status").json()["total"]["pending"] == 3).then_some(())
    });
    engine.tell_to_terminate();
    for control_id in ["C1", "C2", "C3"] {
        let ack = sender.ack();
        assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", control_id));
    }
    assert_eq!(sender.reply(SOON), Reply::Closed);
    assert_eq!(engine.ended(SOON), Some(0));
}

#[test]
fn sequence_numbers_go_on_after_a_kill() {
    let setup = Setup::sample().set("channels.pas-adt.acknowledge.sequence_numbers=true");
    let mut engine = setup.start();
    let numbered = |control_id: &str, number: &str| {
        let text = admission(control_id, "1000001").text();
        text.replacen("|P|2.4||", &format!("|P|2.4|{number}|"), 1)
    };
    let msa = |engine: &TestEngine, control_id: &str, number: &str| {
        let ack = engine.connect("pas-adt").ask(numbered(control_id, number));
        let text = String::from_utf8(ack.raw).expect("ASCII");
        let msa = text.split('\r').find(|segment| segment.starts_with("MSA")).expect("an MSA");
        let fields: Vec<_> = msa.split('|').collect();
        (fields[1].to_owned(), fields.get(4).copied().unwrap_or_default().to_owned())
    };
    let said = |code: &str, expected: &str| (code.to_owned(), expected.to_owned());
    assert_eq!(msa(&engine, "C1", "41"), said("AA", "41"));
    assert_eq!(msa(&engine, "C2", "42"), said("AA", "42"));
    engine.kill();
    engine.start_again();
    assert_eq!(msa(&engine, "C4", "44"), said("AR", "43"));
    assert_eq!(msa(&engine, "C2", "42"), said("AA", "43"), "its answer may have been lost");
    assert_eq!(msa(&engine, "C3", "43"), said("AA", "43"));
    let total = &settled(&engine)["total"];
    assert_eq!((&total["published"], &total["duplicate"]), (&json!(3), &json!(1)));
}

#[test]
fn what_is_refused_for_ever_can_be_parked_and_is_delivered_once_it_is_accepted() {
    let setup = Setup::sample()
        .set("channels.pas-adt.accept.repeated_reject={park_after: 2}")
        .variable("TIELINE_LOG", "info");
    let engine = setup.start();
    let mut sender = engine.connect("pas-adt");
    let text = admission("C1", "1000001").text().replacen("|PAS|RXX01|", "|NEWPAS|RXX01|", 1);
    let codes = [(); 4].map(|()| sender.ask(&text).code);
    assert_eq!(codes, ["AR", "AR", "AA", "AA"], "the sender goes on; the last is a copy");
    let status = settled(&engine);
    let total = &status["total"];
    assert_eq!((&total["parked"], &total["duplicate"]), (&json!(1), &json!(1)), "{status}");
    let parked = engine.get("/api/v1/parked").json()["parked"][0].clone();
    assert_eq!(parked["reason"], "refused.sender", "{parked}");
    let release = || {
        let id = parked["id"].to_string();
        let ran = ask(&engine, &["parked", "release", &id, "--reason", "the sender is known"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        settled(&engine)
    };
    let status = release();
    assert_eq!(status["total"]["parked"], 1, "the rules still refuse it: {status}");
    let yaml = std::fs::read_to_string(repository("channels.yaml")).expect("the sample");
    let accepting = yaml.replacen("senders: [PAS/RXX01]", "senders: [PAS/RXX01, NEWPAS/RXX01]", 1);
    engine.setup.write("channels.yaml", &accepting);
    engine.hang_up();
    engine.said("configuration reloaded", 1);
    let status = release();
    assert_eq!(status["total"]["published"], 1, "{status}");
}
