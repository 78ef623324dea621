//! Somebody is told when something needs a person, once, and once when it does no more; and never
//! of whom it is about.

use std::fs;

use serde_json::json;

use crate::harness::engine::TestEngine;
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{admission, messages, settled};

/// Tells by writing down everything that it was told: a line for each variable, then an end.
const SCRIPT: &str = "env >> \"$1\"; echo END >> \"$1\"\n";

/// One call of the program: everything in its environment.
type Call = Vec<String>;

fn started(sets: &[&str]) -> TestEngine {
    let setup = sets.iter().fold(Setup::sample(), |setup, set| setup.set(set));
    setup.write("tell", SCRIPT);
    let (tell, out) = (setup.path("tell"), setup.path("told"));
    let exec = format!("[/bin/sh, {}, {}]", tell.display(), out.display());
    setup.set(&format!("alerts.on_alert.exec={exec}")).start()
}

/// What was told so far; a call that is not written to its end does not count yet.
fn calls(engine: &TestEngine) -> Vec<Call> {
    let text = fs::read_to_string(engine.setup.path("told")).unwrap_or_default();
    let whole = text.rfind("END\n").map_or("", |end| &text[..end]);
    let calls = whole.split("END\n").filter(|call| !call.is_empty());
    calls.map(|call| call.lines().map(str::to_owned).collect()).collect()
}

/// What was told of one channel and kind, in order: `open`, `closed`.
fn told(engine: &TestEngine, kind: &str, channel: &str) -> Vec<String> {
    let value = |call: &Call, name: &str| {
        let start = format!("TIELINE_ALERT_{name}=");
        call.iter().find_map(|line| line.strip_prefix(&start)).unwrap_or_default().to_owned()
    };
    let calls = calls(engine);
    let wanted = calls
        .iter()
        .filter(|call| value(call, "KIND") == kind && value(call, "CHANNEL") == channel);
    wanted.map(|call| value(call, "STATE")).collect()
}

#[test]
fn a_feed_that_is_not_heard_from_is_told_once_and_once_when_it_is_heard_again() {
    let engine = started(&[
        "channels.pas-adt.expect={ every: 3s }",
        "channels.social-care.expect={ every: 8s }",
    ]);
    // The other is looked at as often and found silent later: so the first was looked at again.
    until("alarm of the more patient one", SOON, || {
        (told(&engine, "silence", "social-care") == ["open"]).then_some(())
    });
    assert_eq!(told(&engine, "silence", "pas-adt"), ["open"]);
    let mut sender = engine.connect("pas-adt");
    let mut number = 0;
    until("end of the alarm", SOON, || {
        // It is heard from for as long as it takes until somebody looks.
        number += 1;
        sender.ask(admission(&format!("C{number}"), "1000001").text());
        (told(&engine, "silence", "pas-adt").len() > 1).then_some(())
    });
    assert_eq!(told(&engine, "silence", "pas-adt"), ["open", "closed"]);
    assert_eq!(told(&engine, "silence", "social-care"), ["open"], "that one is still silent");
    let opened = engine.get("/metrics").body;
    let line = "tieline_alarms_total{kind=\"silence\",channel=\"pas-adt\"} 1";
    assert!(opened.lines().any(|metric| metric == line), "{opened}");
}

#[test]
fn what_is_parked_too_long_is_told_without_a_word_of_the_patient() {
    let engine = started(&["alerts.held={ after: 1s, with_results: 1s }"]);
    let text = admission("CONTROL7", "1000001").text().replacen("ADT^A01", "ADT^A29", 1);
    engine.connect("pas-adt").ask(text);
    settled(&engine);
    until("alarm", SOON, || (told(&engine, "held", "pas-adt") == ["open"]).then_some(()));
    let id = messages(&engine)[0]["id"].clone();
    let because = json!({ "reason": "asked the ward" });
    assert_eq!(engine.post(&format!("/api/v1/messages/{id}/discard"), &because).status, 200);
    until("end of the alarm", SOON, || {
        (told(&engine, "held", "pas-adt") == ["open", "closed"]).then_some(())
    });
    assert!(told(&engine, "held-result", "pas-adt").is_empty(), "no result waits");
    for call in calls(&engine) {
        let all = call.join("\n");
        for private in ["9990000018", "1000001", "EXAMPLE", "ALEX", "CONTROL7", "19800229"] {
            assert!(!all.contains(private), "{private}: {all}");
        }
        let own = call.iter().filter(|line| line.starts_with("TIELINE_")).count();
        assert_eq!(own, 5, "{all}");
    }
}
