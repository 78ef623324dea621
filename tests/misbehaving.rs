//! Peers that do everything wrong on purpose: our own sender against a running engine, and our own
//! receiver against our own sender. Anybody can do the same to any engine with `--misbehave`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::command_line::ask;
use crate::harness::engine::TestEngine;
use crate::harness::listener::TestListener;
use crate::harness::setup::Setup;
use crate::harness::tieline;
use crate::straight_through::{admission, messages, settled};

/// A run of `tieline send` and what it believes.
struct Sent {
    code: Option<i32>,
    summary: Value,
    /// Control ids that were positively acknowledged, in the order of the answers.
    acknowledged: Vec<String>,
}

/// Sends admissions of different patients, with control ids `PREFIX0`, `PREFIX1` and so on.
fn send(to: &str, prefix: &str, count: usize, words: &[&str]) -> Sent {
    let folder = TempDir::new().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("letters").to_owned();
    let text =
        |number| admission(&format!("{prefix}{number}"), &format!("{}", 1_000_001 + number)).text();
    let all: String = (0..count).map(text).collect();
    let (file, log) = (path("all.hl7"), path("log"));
    fs::write(&file, all).expect("the folder can be written");
    let ours = ["send", "--to", to, "--log", &log, "--format", "json"];
    let ran = tieline(ours.into_iter().chain(words.iter().copied()).chain([file.as_str()]));
    let summary = serde_json::from_str(&ran.out);
    Sent {
        code: ran.code,
        summary: summary.unwrap_or_else(|error| panic!("{error}: {ran:?}")),
        acknowledged: fs::read_to_string(log).expect("a log").lines().map(str::to_owned).collect(),
    }
}

/// How often the engine has a message of each control id, copies left out.
fn kept(engine: &TestEngine) -> BTreeMap<String, usize> {
    let mut kept = BTreeMap::new();
    for message in messages(engine).iter().filter(|message| message["state"] != "duplicate") {
        let id = message["control_id"].as_str().expect("a control id");
        *kept.entry(id.to_owned()).or_default() += 1;
    }
    kept
}

/// Every message of a sender that misbehaves is stored once and acknowledged, and nothing is
/// acknowledged that is not stored.
fn nothing_is_lost(kind: &str) {
    let engine = Setup::sample().start();
    let to = engine.listener("pas-adt");
    let words = ["--misbehave", kind, "--timeout", "5s", "--retries", "4", "--connections", "4"];
    let sent = send(&to, "M", 4, &words);
    assert_eq!(sent.code, Some(0), "{}", sent.summary);
    assert_eq!(sent.summary["misbehaved"][kind], 4, "{}", sent.summary);
    settled(&engine);
    let kept = kept(&engine);
    let acknowledged: BTreeSet<String> = sent.acknowledged.into_iter().collect();
    assert_eq!(acknowledged, kept.keys().cloned().collect(), "acknowledged and stored");
    let once: BTreeMap<String, usize> = (0..4).map(|number| (format!("M{number}"), 1)).collect();
    assert_eq!(kept, once);
    let books = ask(&engine, &["reconcile"]);
    assert_eq!(books.code, Some(0), "{books:?}");
}

#[test]
fn half_a_frame_is_no_message_and_the_whole_one_is_one() {
    nothing_is_lost("half-frame");
}

#[test]
fn a_message_byte_at_a_time_is_one_message() {
    nothing_is_lost("byte-at-a-time");
}

#[test]
fn a_message_without_its_end_byte_is_not_acknowledged_and_its_repetition_is() {
    nothing_is_lost("no-end-byte");
}

#[test]
fn two_frames_in_one_packet_are_two_messages() {
    nothing_is_lost("two-frames");
}

#[test]
fn a_connection_reset_behind_its_message_leaves_one_message() {
    nothing_is_lost("reset");
}

#[test]
fn a_wrong_clock_is_kept_as_it_was_sent() {
    nothing_is_lost("clock-skew");
}

#[test]
fn bytes_that_are_not_in_the_declared_character_set_are_kept() {
    nothing_is_lost("wrong-charset");
}

/// The same control id with other bytes is another message.
#[test]
fn a_control_id_that_is_used_twice_hides_no_message() {
    let engine = Setup::sample().start();
    let sent = send(&engine.listener("pas-adt"), "M", 4, &["--misbehave", "duplicate-control-id"]);
    assert_eq!((sent.code, sent.acknowledged.len()), (Some(0), 4), "{}", sent.summary);
    settled(&engine);
    let ids = [("M0", 2), ("M1", 1), ("M2", 1)];
    assert_eq!(kept(&engine), ids.map(|(id, count)| (id.to_owned(), count)).into());
}

/// Kinds of a receiver that leave a message without an answer of its own: none may be credited.
#[test]
fn an_answer_that_is_late_foreign_cut_or_missing_is_credited_to_nobody() {
    let unanswering =
        ["late-ack", "wrong-control-id", "no-ack", "half-frame", "no-end-byte", "reset"];
    for kind in unanswering {
        let listener = TestListener::start(&["--misbehave", kind, "--late", "1h"]);
        let words = ["--timeout", "400ms", "--retries", "1", "--connections", "3"];
        let sent = send(&listener.address, "M", 3, &words);
        assert_eq!((sent.code, sent.acknowledged.len()), (Some(1), 0), "{kind}: {}", sent.summary);
        assert_eq!(sent.summary["unanswered"], 3, "{kind}: {}", sent.summary);
    }
}

/// Kinds of a receiver whose answers are odd and still each message's own.
#[test]
fn an_answer_that_is_only_odd_is_credited_to_its_message() {
    let odd =
        ["byte-at-a-time", "two-frames", "duplicate-control-id", "clock-skew", "wrong-charset"];
    for kind in odd {
        let listener = TestListener::start(&["--misbehave", kind]);
        let sent = send(&listener.address, "M", 3, &["--retries", "3"]);
        assert_eq!(sent.code, Some(0), "{kind}: {}", sent.summary);
        assert_eq!(sent.acknowledged, ["M0", "M1", "M2"], "{kind}");
    }
}

/// Among answers of every kind, with the control ids of other connections' messages in some.
#[test]
fn what_is_believed_acknowledged_was_answered_well() {
    let kinds = "late-ack:20%,wrong-control-id:20%,no-ack:10%,two-frames:10%";
    let listener = TestListener::start(&["--misbehave", kinds, "--late", "700ms", "--seed", "3"]);
    let words = ["--timeout", "400ms", "--retries", "30", "--connections", "3"];
    let sent = send(&listener.address, "M", 30, &words);
    assert_eq!((sent.code, sent.acknowledged.len()), (Some(0), 30), "{}", sent.summary);
    let told = listener.told();
    let wrong = told.iter().filter(|row| row["misbehaviour"] == "wrong-control-id").count();
    assert!(wrong > 0, "the kinds occur");
    for id in &sent.acknowledged {
        let well = [None, Some("late-ack"), Some("two-frames")];
        let mut own = told.iter().filter(|row| row["control_id"] == id.as_str());
        let answered = own.any(|row| well.contains(&row["misbehaviour"].as_str()));
        assert!(answered, "{id} was never answered as its own");
    }
}
