//! Whatever happened can be found, by more than one way, and again when the archive was lost.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command_line::ask;
use crate::harness::engine::TestEngine;
use crate::harness::repository;
use crate::harness::setup::Setup;
use crate::straight_through::at_rest;

/// All samples of all sources, until nothing moves.
fn played() -> TestEngine {
    let engine = Setup::sample().start();
    for channel in ["pas-adt", "pathology-oru", "community-adt", "social-care"] {
        let mut sender = engine.connect(channel);
        let files = fs::read_dir(repository(&format!("samples/{channel}"))).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            sender.ask(fs::read(file).unwrap());
        }
    }
    at_rest(&engine);
    engine
}

fn found(engine: &TestEngine, words: &[&str]) -> Vec<Value> {
    let ran = ask(engine, &[words, &["--format", "ndjson", "--limit", "1000"]].concat());
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks with something on standard input.
pub(crate) fn asked_with(
    engine: &TestEngine,
    words: &[&str],
    input: &str,
) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tieline"));
    command.args(words).args(["--url", &engine.url(), "--data"]).arg(engine.setup.data());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Everything that is asked in these stories, in the machine forms.
fn answers(engine: &TestEngine) -> Vec<String> {
    let number = first_number(engine);
    let mut all = Vec::new();
    for words in [
        &["messages", "--limit", "1000"][..],
        &["messages", "state=parked or state=filtered since 2h", "--limit", "1000"],
        &["messages", "type~\"^ADT\\^A0[1-3]$\" and not channel=pas-adt"],
        &["trace", "PAS0100014"],
        &["show", "3", "--events"],
        &["parked"],
    ] {
        let ran = ask(engine, &[words, &["--format", "ndjson"]].concat());
        assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
        all.push(ran.out);
    }
    for words in [&["trace", "-"][..], &["messages", "--ask", "nhs"]] {
        let words = [words, &["--format", "ndjson"]].concat();
        let (code, out, err) = asked_with(engine, &words, &number);
        assert_eq!(code, Some(0), "{err}");
        all.push(out);
    }
    all
}

/// A number that keys a message of the samples.
fn first_number(engine: &TestEngine) -> String {
    let rows = found(engine, &["messages"]);
    let number = rows.iter().find_map(|row| row["nhs_number"].as_str());
    number.unwrap().to_owned()
}

#[test]
fn the_same_is_found_when_the_archive_was_lost_or_made_anew() {
    let mut engine = played();
    let before = answers(&engine);
    engine.kill();
    fs::remove_dir_all(engine.setup.data().join("archive")).unwrap();
    engine.start_again();
    at_rest(&engine);
    assert_eq!(answers(&engine), before, "fed anew from the journal");
    let ran = ask(&engine, &["archive", "rebuild"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("complete"), "{ran:?}");
    assert_eq!(answers(&engine), before, "made anew while the engine runs");
}

#[test]
fn a_query_finds_what_it_says_and_a_wrong_one_says_where() {
    let engine = played();
    let all = found(&engine, &["messages"]);
    let count = |name: &str, value: &str| all.iter().filter(|row| row[name] == value).count();
    assert!(count("state", "parked") > 1, "{all:?}");
    let parked = found(&engine, &["messages", "state=parked", "since", "1h"]);
    assert_eq!(parked.len(), count("state", "parked"));
    assert_eq!(found(&engine, &["messages", "--state", "parked"]), parked);
    let asked = engine.get("/api/v1/messages?query=state%3Dparked&limit=1000").rows();
    assert_eq!(asked, parked);
    let both = found(&engine, &["messages", "state=parked or (type=ADT^A01 and not state=parked)"]);
    let admitted = all.iter().filter(|row| row["state"] == "parked" || row["type"] == "ADT^A01");
    assert_eq!(both.iter().collect::<Vec<_>>(), admitted.collect::<Vec<_>>());
    let of_channel = found(&engine, &["messages", "--channel", "social-care"]);
    assert_eq!(of_channel.len(), count("channel", "social-care"));
    assert!(found(&engine, &["messages", "until", "2020-01-01"]).is_empty());
    let wrong = ask(&engine, &["messages", "state=lost"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("column 7") && wrong.err.contains("superseded"), "{wrong:?}");
    let screen = ask(&engine, &["messages"]).out;
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
}

#[test]
fn a_patient_is_traced_across_channels_and_never_by_an_argument() {
    let engine = played();
    let number = first_number(&engine);
    let (code, out, err) = asked_with(&engine, &["trace", "-", "--format", "ndjson"], &number);
    assert_eq!(code, Some(0), "{err}");
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().all(|row| row["nhs_number"] == number.as_str()), "{rows:?}");
    let ids: Vec<u64> = rows.iter().filter_map(|row| row["id"].as_u64()).collect();
    assert!(ids.is_sorted() && !ids.is_empty(), "in the order of receipt: {ids:?}");
    let screen = asked_with(&engine, &["trace", "-"], &number).1;
    assert!(!screen.contains(&number), "who it is about is not shown: {screen}");
    for words in [
        &["trace", &number][..],
        &["messages", &number],
        &["messages", &format!("control={number}")],
        &["messages", &format!("control = \"{number}\"")],
    ] {
        let ran = ask(&engine, words);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(!ran.err.contains(&number) && ran.err.contains("standard input"), "{ran:?}");
    }
    let (code, _, err) = asked_with(&engine, &["messages", "--ask", "nhs"], "1234567890");
    assert_eq!(code, Some(2), "{err}");
    assert!(!err.contains("1234567890"), "{err}");
    // Not in an address either, where proxies log it.
    let answer = engine.get("/api/v1/messages?patient=1");
    assert_eq!(answer.status, 400, "{answer:?}");
    let (none, ..) = asked_with(&engine, &["trace", "-"], "nobody has this identifier");
    assert_eq!(none, Some(1));
}

#[test]
fn one_message_is_shown_with_its_fields_its_events_and_what_happened() {
    let engine = played();
    let shown = ask(&engine, &["show", "1"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let lines: Vec<&str> = shown.out.lines().collect();
    let held = |text: &str| lines.iter().any(|line| line.contains(text));
    for part in ["accepted", "published, for", "patient.registered", "Patient Identifier List"] {
        assert!(held(part), "{part} in {}", shown.out);
    }
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{}", shown.out);
    let raw = ask(&engine, &["show", "1", "--raw"]);
    let mut samples: Vec<_> = fs::read_dir(repository("samples/pas-adt")).unwrap().collect();
    samples.sort_by_key(|entry| entry.as_ref().unwrap().path());
    let first = fs::read_to_string(samples[0].as_ref().unwrap().path()).unwrap();
    assert_eq!(raw.out, first, "byte for byte");
    let whole = ask(&engine, &["show", "1", "--events", "--format", "json"]);
    let whole: Value = serde_json::from_str(&whole.out).unwrap();
    assert_eq!(whole["event_bodies"][0]["id"], whole["event_list"][0]["id"]);
    assert_eq!(
        whole["tree"][0]["fields"][10]["name"], "Message Control ID",
        "{}",
        whole["tree"][0]
    );
    assert_eq!(whole["timeline"][0]["what"], "accepted");
    assert_eq!(ask(&engine, &["show", "999999"]).code, Some(1));
}

#[test]
fn the_books_agree_with_the_journal_and_the_archive() {
    let engine = played();
    let ran = ask(&engine, &["reconcile", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["archive"], true, "{found}");
    assert_eq!(found["differences"].as_array().map(Vec::len), Some(0), "{found}");
    let states =
        ["pending", "parked", "published", "filtered", "discarded", "superseded", "duplicate"];
    for sums in found["channels"].as_array().unwrap().iter().chain([&found]) {
        let sum: u64 = states.iter().filter_map(|state| sums[*state].as_u64()).sum();
        assert_eq!(sums["received"].as_u64(), Some(sum), "{sums}");
    }
    let ran = ask(&engine, &["reconcile", "--since", "24h"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("no differences"), "{ran:?}");
    assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{ran:?}");
}
