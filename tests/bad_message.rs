//! One bad message stops nothing: it becomes a state with a reason, and the feed goes on.

use serde_json::Value;

use crate::harness::engine::TestEngine;
use crate::harness::message::Adt;
use crate::harness::setup::Setup;
use crate::straight_through::{admission, events, messages, settled};

fn only_message(engine: &TestEngine) -> Value {
    settled(engine);
    let mut rows = messages(engine);
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

fn parked(message: &str) -> String {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let ack = sender.ask(message);
    assert_eq!(ack.code, "AA", "what can be stored is stored");
    let row = only_message(&engine);
    assert_eq!(row["state"], "parked", "{row}");
    assert!(events(&engine).is_empty());
    // The feed goes on.
    assert_eq!(sender.ask(admission("NEXT", "1000003").text()).code, "AA");
    let status = settled(&engine);
    assert_eq!(status["total"]["published"], 1);
    row["reason"].as_str().unwrap().to_owned()
}

fn pid_3(numbers: &str) -> String {
    admission("C1", "1000001").text().replacen("9990000018^^^NHS^NH~", numbers, 1)
}

#[test]
fn two_different_valid_numbers_park() {
    let both = pid_3("9990000018^^^NHS^NH~9990000026^^^NHS^NH~");
    assert_eq!(parked(&both), "identity.two-numbers");
}

#[test]
fn the_same_number_twice_does_not_park() {
    let engine = Setup::sample().start();
    engine.connect("pas-adt").ask(pid_3("9990000018^^^NHS^NH~9990000018^^^NHS^NH~"));
    assert_eq!(only_message(&engine)["state"], "published");
}

#[test]
fn an_unknown_trigger_parks() {
    let unknown = Adt { trigger: "A29", ..admission("C1", "1000001") };
    assert_eq!(parked(&unknown.text()), "trigger.unknown");
}

#[test]
fn a_message_cut_off_after_its_header_parks() {
    let text = admission("C1", "1000001").text();
    let header = text.split_inclusive('\r').next().unwrap();
    assert_eq!(parked(header), "structure");
}

#[test]
fn another_trusts_site_parks() {
    let elsewhere = admission("C1", "1000001").text().replacen("BED2^RXX01", "BED2^RZZ01", 1);
    assert_eq!(parked(&elsewhere), "site.unknown");
}

#[test]
fn a_number_that_may_not_key_leaves_the_event_without_subject() {
    for bad in ["9990000019^^^NHS^NH~", "9999999999^^^NHS^NH~", ""] {
        let engine = Setup::sample().start();
        engine.connect("pas-adt").ask(pid_3(bad));
        assert_eq!(only_message(&engine)["state"], "published");
        let events = events(&engine);
        assert_eq!(events[0]["subject"], Value::Null, "{bad}");
        assert!(events[0]["localid"].as_str().unwrap().contains("1000001"), "{bad}");
        assert!(engine.get("/metrics").body.contains("tieline_data_quality_total"), "{bad}");
    }
}

#[test]
fn an_unreadable_header_is_refused_and_its_bytes_are_kept() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let ack = sender.ask("hello world");
    assert_eq!(ack.code, "AR");
    assert_eq!(sender.ask(admission("NEXT", "1000001").text()).code, "AA");
    let kept = engine.get("/api/v1/refused").json();
    assert_eq!(kept[0]["reason"], "unreadable");
    assert_eq!(kept[0]["text"], "hello world");
    let status = settled(&engine);
    assert_eq!(status["refused"], 1);
    assert_eq!(status["total"]["received"], 1, "a refused frame is outside the sum");
}

#[test]
fn a_stranger_and_a_wrong_processing_id_are_refused() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let stranger = admission("C1", "1000001").text().replacen("|PAS|RXX01|", "|EVIL|RXX01|", 1);
    let ack = sender.ask(&stranger);
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AR", "C1"));
    let debugging = admission("C2", "1000001").text().replacen("|C2|P|", "|C2|D|", 1);
    let ack = sender.ask(&debugging);
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AR", "C2"));
    assert!(String::from_utf8_lossy(&ack.raw).contains("202"), "ERR names the processing id");
    assert_eq!(settled(&engine)["total"]["received"], 0);
}

#[test]
fn an_acknowledgement_is_never_acknowledged() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    sender.send("MSH|^~\\&|PAS|RXX01|T|T|20260115||ACK^A01^ACK|9|P|2.4\rMSA|AA|1\r");
    let next = sender.ask(admission("NEXT", "1000001").text());
    assert_eq!(next.control_id, "NEXT", "the acknowledgement got no answer");
}

#[test]
fn line_feeds_nulls_and_old_character_sets_are_published() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let text = admission("LF", "1000001").text();
    assert_eq!(sender.ask(text.replace('\r', "\n")).code, "AA");
    let text = admission("NULL", "1000001").text().replacen("|19800229|1|", "|\"\"|1|", 1);
    assert_eq!(sender.ask(&text).code, "AA");
    let text = admission("CP1252", "1000001").text();
    let mut bytes = text.replacen("UNICODE UTF-8", "", 1).into_bytes();
    let at = bytes.windows(7).position(|w| w == b"EXAMPLE").unwrap();
    bytes[at] = 0xc9; // É in Windows-1252
    assert_eq!(sender.ask(&bytes).code, "AA");
    assert_eq!(settled(&engine)["total"]["published"], 3);
    let events = events(&engine);
    let patient = |n: usize| events[n]["data"]["entry"][0]["resource"].clone();
    assert_eq!(patient(0)["name"][0]["family"], "EXAMPLE");
    assert!(patient(1).get("birthDate").is_none());
    assert!(events[1]["cleared"].as_str().unwrap().contains("birthDate"), "null is a deletion");
    assert_eq!(patient(2)["name"][0]["family"], "ÉXAMPLE");
}

/// A runaway script costs its own message a person's look; the next message of the feed goes on.
#[test]
fn a_script_that_does_not_end_parks_one_message() {
    let endless = "if msg[\"MSH-10\"] == \"BAD\" { loop { let x = 1; } }";
    let slow = "if msg[\"MSH-10\"] == \"BAD\" { let n = 0; while n < 40000 { n += 1; } }";
    for (body, time, reason) in [(endless, "10s", "limit.operations"), (slow, "1ms", "overloaded")]
    {
        let setup = Setup::sample().set(&format!("engine.limits.script_time={time}"));
        let script = format!(
            "fn transform(msg) {{\n    {body}\n    emit(\"encounter.admitted\", encounter(msg));\n}}\n"
        );
        setup.write("transforms/pas_adt.rhai", &script);
        let engine = setup.start();
        let mut sender = engine.connect("pas-adt");
        assert_eq!(sender.ask(admission("BAD", "1000001").text()).code, "AA");
        assert_eq!(only_message(&engine)["reason"], reason);
        // The limit of a millisecond is for the slow loop; a busy machine may need more tries.
        if reason == "limit.operations" {
            assert_eq!(sender.ask(admission("GOOD", "1000002").text()).code, "AA");
            assert_eq!(settled(&engine)["total"]["published"], 1);
        }
    }
}
