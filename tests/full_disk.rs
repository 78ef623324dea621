//! The disk is full to its last byte: nothing new is acknowledged, everything that was goes out, and
//! once there is room the senders go on by themselves.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use crate::command_line::ask;
use crate::harness::engine::TestEngine;
use crate::harness::message::Adt;
use crate::harness::sender::{Reply, TestSender};
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::messages;

/// Messages that wait before the disk fills up.
const PENDING: usize = 10_000;
/// Frames on their way before their answers are read.
const WINDOW: usize = 500;
/// Ten thousand messages through a script, on a busy machine.
const DRAINED: Duration = Duration::from_mins(3);
/// Nothing is answered in this time. An answer of an open engine takes a hundredth of it.
const NO_ANSWER: Duration = Duration::from_millis(500);

const CONTROL: &str = "disk.faults";

/// On a disk that is steered, whose unsynced writes are lost with the process.
pub(crate) fn steered(setup: Setup) -> Setup {
    let control = setup.path(CONTROL);
    setup.variable("TIELINE_FAULTS", control.to_str().expect("a path of the temporary folder"))
}

/// Tells the disk what it is now, in one step, so that nobody reads half of it.
fn tell_disk(engine: &TestEngine, text: &str) {
    let new = engine.setup.path("disk.faults.new");
    fs::write(&new, text).expect("the temporary folder can be written");
    fs::rename(new, engine.setup.path(CONTROL)).expect("the temporary folder can be written");
}

fn admission(number: usize) -> (String, String) {
    let control_id = format!("C{number:06}");
    let patient = format!("{}", 1_000_000 + number % 700);
    let adt = Adt {
        trigger: "A01",
        control_id: &control_id,
        hospital_number: &patient,
        nhs_number: None,
    };
    let text = adt.text();
    (control_id, text)
}

/// Sends so many and reads every answer.
fn fill(sender: &mut TestSender) {
    for first in (0..PENDING).step_by(WINDOW) {
        for number in first..first + WINDOW {
            sender.send(admission(number).1);
        }
        for number in first..first + WINDOW {
            let ack = sender.ack();
            assert_eq!((ack.code.as_str(), ack.control_id), ("AA", admission(number).0));
        }
    }
}

fn turn(engine: &TestEngine, verb: &str) {
    let path = format!("/api/v1/channels/pas-adt/{verb}");
    let answer = engine.post(&path, &json!({ "side": "delivery", "reason": "a story" }));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn total(engine: &TestEngine) -> Value {
    engine.get("/api/v1/status").json()["total"].clone()
}

#[test]
fn a_full_disk_stops_intake_only_and_what_was_accepted_drains() {
    // Small volumes, so that the last of the room for new messages is soon used up.
    let setup = steered(Setup::sample()).set("engine.journal.volume=1MiB");
    let engine = setup.start();
    turn(&engine, "pause");
    let mut sender = engine.connect("pas-adt");
    fill(&mut sender);

    tell_disk(&engine, "full=true\n");
    // What room there is left is used; then comes no answer at all, neither a yes nor a no.
    let mut accepted = PENDING;
    let unanswered = loop {
        let (control_id, text) = admission(accepted);
        sender.send(text);
        match sender.reply(NO_ANSWER) {
            Reply::Ack(ack) => {
                assert_eq!((ack.code.as_str(), ack.control_id), ("AA", control_id));
                accepted += 1;
            }
            Reply::Closed | Reply::Silence => break control_id,
        }
    };
    let refused = engine.get("/readyz");
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("disk is full"), "{refused:?}");
    assert_eq!(total(&engine)["pending"], accepted);
    assert_eq!(engine.connect("pas-adt").reply(Duration::ZERO), Reply::Silence, "the port is open");

    turn(&engine, "resume");
    until("ledger with nothing pending", DRAINED, || {
        (total(&engine)["pending"] == 0).then_some(())
    });
    assert_eq!(total(&engine)["published"], accepted, "from the reserve");
    assert_eq!(engine.get("/readyz").status, 503, "still full");
    let mut waiting = engine.connect("pas-adt");
    let (waits_for, text) = admission(accepted + 1);
    waiting.send(text);
    assert_eq!(waiting.reply(NO_ANSWER), Reply::Silence);

    tell_disk(&engine, "");
    assert_eq!(waiting.ack().control_id, waits_for, "it goes on by itself");
    // A sender that waits longer than the engine lets it is cut off; one that did not is answered.
    let copies = u64::from(matches!(sender.reply(SOON), Reply::Ack(ack) if ack.code == "AA"));
    let ack = engine.connect("pas-adt").ask(admission(accepted).1);
    assert_eq!((ack.code.as_str(), ack.control_id), ("AA", unanswered), "sent again");
    assert_eq!(engine.get("/readyz").status, 200);
    let total = until("settled ledger", SOON, || {
        let total = total(&engine);
        (total["pending"] == 0).then_some(total)
    });
    assert_eq!((&total["published"], &total["duplicate"]), (&json!(accepted + 2), &json!(copies)));
    assert_eq!(total["received"].as_u64(), Some(accepted as u64 + 2 + copies), "{total}");

    let ran = ask(&engine, &["reconcile", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!((&found["differences"], &found["archive"]), (&json!([]), &json!(true)), "{found}");
    assert_eq!((&found["received"], &found["refused"]), (&total["received"], &json!(0)), "{found}");
    let rows = messages(&engine);
    let told = rows.iter().filter(|row| row["state"] == "published");
    let told: Vec<&str> = told.filter_map(|row| row["control_id"].as_str()).collect();
    assert_eq!(told.iter().collect::<BTreeSet<_>>().len(), told.len(), "none is told twice");

    let written = engine.written();
    let lines = |words: &str| written.lines().filter(|line| line.contains(words)).count();
    assert_eq!(lines("disk is full: nothing more is acknowledged"), 1);
    assert_eq!(lines("there is room on disk again"), 1);
}
