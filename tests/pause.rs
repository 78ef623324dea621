//! A paused channel waits, over restarts too, and goes on where it was.

use serde_json::json;

use crate::command_line::ask;
use crate::harness::sender::Reply;
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{admission, drained, events};

#[test]
fn paused_delivery_takes_messages_and_lets_them_wait_over_a_kill() {
    let mut engine = Setup::sample().start();
    let ran = ask(&engine, &["pause", "pas-adt", "--delivery", "--reason", "portal is away"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("wait on disk"), "{ran:?}");
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000001").text()).code, "AA");
    engine.kill();
    engine.start_again();
    assert_eq!(engine.connect("pas-adt").ask(admission("C2", "1000001").text()).code, "AA");
    let status = until("two that wait", SOON, || {
        let status = engine.get("/api/v1/status").json();
        (status["held"] == 2).then_some(status)
    });
    assert_eq!(status["total"]["pending"], 2);
    assert!(events(&engine).is_empty());
    let screen = ask(&engine, &["status"]);
    assert_eq!(screen.code, Some(1), "{screen:?}");
    assert!(screen.out.contains("delivery is paused"), "{screen:?}");
    let ran = ask(&engine, &["resume", "pas-adt", "--delivery", "--reason", "portal is back"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    drained(&engine);
    let ids: Vec<_> = events(&engine).iter().map(|event| event["correlationid"].clone()).collect();
    assert_eq!(ids, ["C1", "C2"]);
    assert_eq!(ask(&engine, &["status"]).code, Some(0));
    let audit = engine.get("/api/v1/audit").json();
    assert_eq!(audit[1]["action"], "pause-delivery");
    assert_eq!(audit[1]["reason"], "portal is away");
}

#[test]
fn paused_intake_answers_nothing_and_then_answers() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    assert_eq!(sender.ask(admission("C1", "1000001").text()).code, "AA");
    let ran = ask(&engine, &["pause", "pas-adt", "--intake", "--reason", "upgrade"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    sender.send(admission("C2", "1000001").text());
    // Another channel goes on: what it answers comes later than an answer here would have.
    let mut other = engine.connect("social-care");
    let text = admission("C3", "1000001").text().replacen("|PAS|RXX01|", "|SOCIALCARE|900X|", 1);
    assert_eq!(other.ask(text).control_id, "C3");
    assert_eq!(sender.reply(std::time::Duration::from_millis(100)), Reply::Silence);
    let ran = ask(&engine, &["resume", "pas-adt", "--reason", "done"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(sender.ack().control_id, "C2");
}

#[test]
fn what_there_is_not_cannot_be_paused() {
    let engine = Setup::sample().start();
    let ran = ask(&engine, &["pause", "nowhere", "--reason", "upgrade"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("no channel nowhere"), "{ran:?}");
    let path = "/api/v1/channels/pas-adt/pause";
    assert_eq!(engine.post_as("ann", path, &json!({ "side": "front", "reason": "x" })).status, 422);
    assert_eq!(engine.post_as("ann", path, &json!({ "side": "intake" })).status, 400);
    assert_eq!(ask(&engine, &["status"]).code, Some(0), "nothing was paused");
}
