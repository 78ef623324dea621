//! What a person types and reads.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::harness::engine::TestEngine;
use crate::harness::setup::Setup;
use crate::harness::{Ran, repository, tieline};
use crate::straight_through::{admission, at_rest, settled};

/// An asking verb against a running engine.
pub(crate) fn ask(engine: &TestEngine, words: &[&str]) -> Ran {
    let (url, data) = (engine.url(), engine.setup.data());
    let data = data.to_str().unwrap();
    tieline(words.iter().copied().chain(["--url", &url, "--data", data]))
}

#[test]
fn the_demo_ends_by_itself_with_a_balanced_ledger_and_the_expected_counts() {
    let ran = tieline(["demo", "--once"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let mut ids = BTreeSet::new();
    for line in ran.out.lines() {
        let event: Value = serde_json::from_str(line).expect("one CloudEvents object per line");
        assert_eq!(event["specversion"], "1.0");
        assert!(ids.insert(event["id"].as_str().unwrap().to_owned()), "ids are unique");
    }
    assert!(ids.len() > 30, "{} events", ids.len());
    assert!(ran.err.contains("the ledger balances"), "{}", ran.err);
    assert!(ran.err.contains("identity.two-numbers"), "{}", ran.err);
}

#[test]
fn transform_says_what_of_a_message_is_in_no_event() {
    let setup = Setup::sample();
    let message = admission("U1", "1000001").text();
    setup.write("one.hl7", &format!("{}\rZXX|1|unheard of\r", message.trim_end()));
    let file = setup.path("one.hl7");
    let transform = |more: &[&str]| -> Value {
        let words = ["transform", "-n", "pas-adt", file.to_str().unwrap()];
        let ran = tieline(words.into_iter().chain(more.iter().copied()));
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_str(&ran.out).unwrap()
    };
    let told = transform(&["--explain"]);
    let listed = told["explain"]["unreached"].as_array().unwrap();
    let unheard = listed.iter().find(|one| one["at"] == "ZXX-2");
    assert_eq!(unheard.unwrap()["name"], "field 2", "{listed:?}");
    assert!(listed.iter().all(|one| one["at"] != "PID-5.1"), "{listed:?}");
    let summary = transform(&[]);
    assert_eq!(summary["unreached"].as_u64(), Some(listed.len() as u64));
    assert!(summary.get("explain").is_none());
}

#[test]
fn send_accounts_for_every_answer_and_the_asking_verbs_agree() {
    let engine = Setup::sample().start();
    let samples = repository("samples/pas-adt");
    let to = engine.listener("pas-adt");
    let ran = tieline(["send", "--to", &to, samples.to_str().unwrap(), "--format", "json"]);
    // One of the samples has an unreadable header and is refused on purpose.
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let summary: Value = serde_json::from_str(&ran.out).unwrap();
    let files = fs::read_dir(&samples).unwrap().count() as u64;
    let counted = |code: &str| summary["acknowledged"][code].as_u64().unwrap_or(0);
    assert_eq!(summary["sent"].as_u64(), Some(files));
    assert_eq!(counted("AA") + counted("AR"), files, "{summary}");
    assert_eq!(summary["unanswered"], 0);
    assert!(summary["latency_ms"]["p99"].as_f64().unwrap() > 0.0);
    let status = at_rest(&engine);
    assert_eq!(status["total"]["received"].as_u64(), Some(counted("AA")));

    let events = ask(&engine, &["events", "--format", "ndjson"]);
    assert_eq!(events.code, Some(0), "{events:?}");
    assert_eq!(events.out.lines().count() as u64, status["total"]["events"].as_u64().unwrap());
    let parked = ask(&engine, &["messages", "--state", "parked", "--format", "ndjson"]);
    assert_eq!(parked.code, Some(0), "{parked:?}");
    assert_eq!(parked.out.lines().count() as u64, status["total"]["parked"].as_u64().unwrap());
    let screen = ask(&engine, &["status"]);
    assert_eq!(screen.code, Some(1), "parked messages need a person: {screen:?}");
    assert!(screen.out.lines().all(|line| line.chars().count() <= 80), "{}", screen.out);
}

#[test]
fn send_repeats_with_fresh_control_ids_over_many_connections() {
    let engine = Setup::sample().start();
    let setup = Setup::sample();
    setup.write("one.hl7", &admission("C1", "1000001").text());
    let file = setup.path("one.hl7");
    let to = engine.listener("pas-adt");
    let words = ["send", "--to", &to, "--repeat", "500", "--connections", "8", "--window", "4"];
    let ran = tieline(words.into_iter().chain(["--format", "json", file.to_str().unwrap()]));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let summary: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(summary["acknowledged"]["AA"], 500);
    settled(&engine);
    let rows = engine.get("/api/v1/messages?limit=1000").rows();
    let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["control_id"].as_str()).collect();
    assert_eq!(ids.len(), 500);
}

#[test]
fn check_is_content_with_the_sample_configuration() {
    let ran = tieline(["check", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["channels"].as_array().unwrap().len(), 13);
    let errors = answer["problems"].as_array().unwrap();
    assert!(errors.iter().all(|problem| problem["severity"] != "error"), "{errors:?}");
}

#[test]
fn check_names_the_place_of_a_mistake() {
    let setup = Setup::sample();
    let text = fs::read_to_string(setup.path("channels.yaml")).unwrap();
    setup.write(
        "channels.yaml",
        &text.replacen("transforms/pas_adt.rhai", "transforms/pas_adl.rhai", 1),
    );
    let path = setup.path("channels.yaml");
    let ran = tieline(["check", "--config", path.to_str().unwrap(), "--format", "json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let problem = &answer["problems"][0];
    assert!(problem["line"].as_u64().unwrap() > 1, "{problem}");
    assert!(problem["column"].as_u64().unwrap() > 1, "{problem}");
}

#[test]
fn golden_cases_pass_and_a_wrong_expectation_shows_a_diff() {
    let ran = tieline(["test"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.out, ran.err);
    assert!(ran.out.trim_end().ends_with("passed, 0 failed"), "{}", ran.out);
    let setup = Setup::sample();
    let folder = setup.path("transforms/tests/pas-adt");
    let expectation = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| {
            path.to_str().unwrap().ends_with(".expect.json")
                && fs::read_to_string(path).unwrap().contains("\"published\"")
        })
        .unwrap();
    let wrong = fs::read_to_string(&expectation).unwrap().replacen("published", "filtered", 1);
    fs::write(&expectation, wrong).unwrap();
    let config = setup.path("channels.yaml");
    let ran = tieline(["test", "--config", config.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let shown = ran.out + &ran.err;
    assert!(shown.contains("-  \"state\": \"filtered\""), "{shown}");
    assert!(shown.contains("+  \"state\": \"published\""), "{shown}");
}

#[test]
fn transform_gives_the_outcome_of_one_message_without_an_engine() {
    let setup = Setup::sample();
    setup.write("one.hl7", &admission("C1", "1000001").text());
    let file = setup.path("one.hl7");
    let ran = tieline(["transform", "-n", "pas-adt", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let outcome: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(outcome["state"], "published");
    assert_eq!(outcome["events"][0]["subject"], "9990000018");
}

#[test]
fn a_patients_number_is_refused_as_an_argument() {
    let ran = tieline(["messages", "--channel", "9990000018"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(!ran.err.contains("9990000018"), "{}", ran.err);
}

#[test]
fn a_mistyped_verb_and_an_absent_engine_exit_with_two() {
    assert_eq!(tieline(["rum"]).code, Some(2));
    let ran = tieline(["status", "--url", "http://127.0.0.1:9"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("127.0.0.1:9"), "{}", ran.err);
}

#[test]
fn generated_texts_are_whole() {
    let schema: Value = serde_json::from_str(&tieline(["schema"]).out).unwrap();
    assert!(schema["properties"]["channels"].is_object());
    assert!(tieline(["completions", "bash"]).out.contains("_tieline"));
    assert!(tieline(["man"]).out.contains(".TH"));
}
