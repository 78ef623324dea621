//! SIGTERM: what is in hand is answered, what was accepted is delivered, the next start is clean.

use crate::harness::setup::Setup;
use crate::straight_through::{admission, messages, settled};

#[test]
fn a_clean_stop_answers_what_it_has_and_forgets_nothing() {
    let mut engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    for number in 0..100 {
        sender.send(admission(&format!("C{number}"), "1000001").text());
    }
    sender.ack();
    assert_eq!(engine.terminate(), Some(0));
    // Whatever else was answered before the connection closed is an obligation too.
    let mut answered = 1;
    while let crate::harness::sender::Reply::Ack(_) = sender.reply(crate::harness::SOON) {
        answered += 1;
    }
    engine.start_again();
    let status = settled(&engine);
    let received = status["total"]["received"].as_u64().unwrap();
    assert!(received >= answered, "{received} received, {answered} answered");
    assert!(messages(&engine).iter().all(|row| row["state"] == "published"));
}

#[test]
fn the_ledger_survives_many_clean_restarts() {
    let mut engine = Setup::sample().start();
    for round in 1..=3 {
        engine.connect("pas-adt").ask(admission(&format!("C{round}"), "1000001").text());
        engine.connect("pas-adt").ask("MSH|^~\\&|PAS|RXX01|R|R|20260115||ADT^A01|CUT|P|2.4\r");
        let status = settled(&engine);
        assert_eq!(status["total"]["received"], round * 2);
        assert_eq!(status["total"]["published"], round);
        assert_eq!(status["total"]["parked"], round);
        assert_eq!(engine.terminate(), Some(0));
        engine.start_again();
    }
    let status = settled(&engine);
    assert_eq!(status["total"]["parked"], 3);
    let channels = status["channels"].as_array().unwrap();
    let pas = channels.iter().find(|channel| channel["name"] == "pas-adt").unwrap();
    assert_eq!(pas["reasons"]["structure"], 3, "{status}");
}
