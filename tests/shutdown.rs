//! SIGTERM: what is in hand is answered, what was accepted is delivered, the next start is clean.

use crate::harness::sender::{Reply, TestSender};
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
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
    while let Reply::Ack(_) = sender.reply(SOON) {
        answered += 1;
    }
    engine.start_again();
    let status = settled(&engine);
    let received = status["total"]["received"].as_u64().unwrap();
    assert!(received >= answered, "{received} received, {answered} answered");
    assert!(messages(&engine).iter().all(|row| row["state"] == "published"));
}

#[test]
fn a_frame_that_had_begun_is_finished_and_answered_before_the_end() {
    let mut engine = Setup::sample().start();
    let address = engine.listener("pas-adt");
    let mut sender = engine.connect("pas-adt");
    let (whole, half) = (admission("WHOLE", "1000001").text(), admission("HALF", "1000001").text());
    let (first, rest) = half.split_at(half.len() / 2);
    // In one write: the answer to the first tells that the beginning of the second has arrived.
    sender.send_bytes(format!("\x0b{whole}\x1c\r\x0b{first}").as_bytes()).unwrap();
    sender.ack();
    engine.tell_to_terminate();
    until("closed port", SOON, || TestSender::try_connect(&address).is_err().then_some(()));
    sender.send_bytes(format!("{rest}\x1c\r").as_bytes()).unwrap();
    let ack = sender.ack();
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AA", "HALF"));
    assert_eq!(sender.reply(SOON), Reply::Closed);
    assert_eq!(engine.ended(SOON), Some(0));
    engine.start_again();
    assert_eq!(settled(&engine)["total"]["published"], 2);
}

#[test]
fn a_frame_that_never_ends_holds_the_end_up_for_a_grace_only() {
    let mut engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let whole = admission("WHOLE", "1000001").text();
    sender.send_bytes(format!("\x0b{whole}\x1c\r\x0bMSH|^~\\&|PAS").as_bytes()).unwrap();
    sender.ack();
    assert_eq!(engine.terminate(), Some(0));
    assert_eq!(sender.reply(SOON), Reply::Closed);
}

#[test]
fn the_ledger_survives_many_clean_restarts() {
    let mut engine = Setup::sample().start();
    for round in 1..=3 {
        engine.connect("pas-adt").ask(admission(&format!("C{round}"), "1000001").text());
        // A control id of its own, or it would be a copy of the one before.
        let cut = format!("MSH|^~\\&|PAS|RXX01|R|R|20260115||ADT^A01|CUT{round}|P|2.4\r");
        engine.connect("pas-adt").ask(cut);
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
