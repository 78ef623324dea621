//! A parked message and the people who decide about it: what waits behind it waits, what they decide
//! survives a kill in between, and nothing overtakes.

use serde_json::{Value, json};

use crate::command_line::ask;
use crate::harness::engine::TestEngine;
use crate::harness::setup::Setup;
use crate::harness::{Ran, SOON, until};
use crate::straight_through::{admission, drained, events, messages};

/// Parks what comes from one ward, which holds the patient's later messages of the channel.
const SCRIPT: &str = "fn transform(msg) {
    if msg[\"PV1-3.2\"] == \"CLOSED\" { park(\"ward.closed\") }
    else { emit(\"encounter.admitted\", encounter(msg)) }
}
";

/// The same without the condition: what a person would mend.
const MENDED: &str = "fn transform(msg) { emit(\"encounter.admitted\", encounter(msg)) }\n";

/// One message parked, two of its patient behind it, and one of somebody else.
fn parked() -> TestEngine {
    let setup = Setup::sample();
    setup.write("transforms/pas_adt.rhai", SCRIPT);
    let engine = setup.start();
    let mut sender = engine.connect("pas-adt");
    sender.ask(bad());
    for control_id in ["NEXT1", "NEXT2"] {
        sender.ask(admission(control_id, "1000001").text());
    }
    let other = admission("OTHER", "1000002").text();
    sender.ask(other.replacen("9990000018", "9990000026", 1));
    waits(&engine);
    engine
}

/// A message of a closed ward.
fn bad() -> String {
    admission("BAD", "1000001").text().replacen("WARD1", "CLOSED", 1)
}

/// The parked message holds two, and nobody else.
fn waits(engine: &TestEngine) {
    until("two that wait behind one that is parked", SOON, || {
        let status = engine.get("/api/v1/status").json();
        let total = &status["total"];
        let so = total["parked"] == 1 && status["held"] == 2 && total["published"] == 1;
        (so && total["pending"] == 2).then_some(())
    });
}

fn restarted(mut engine: TestEngine) -> TestEngine {
    engine.kill();
    engine.start_again();
    engine
}

/// The message that is parked.
fn only_parked(engine: &TestEngine) -> u64 {
    let found = engine.get("/api/v1/parked").json();
    assert_eq!(found["total"], 1, "{found}");
    found["parked"][0]["id"].as_u64().unwrap()
}

fn decide(engine: &TestEngine, verb: &str, id: u64) -> Ran {
    let id = id.to_string();
    ask(engine, &["parked", verb, &id, "--reason", "asked the ward"])
}

/// Control ids of the patient's events, in their order.
fn order(engine: &TestEngine) -> Vec<String> {
    let events = events(engine).into_iter();
    let ids = events.map(|event| event["correlationid"].as_str().unwrap().to_owned());
    ids.filter(|id| id != "OTHER").collect()
}

fn state_of(engine: &TestEngine, control_id: &str) -> Value {
    let rows = messages(engine);
    let mut found = rows.iter().filter(|row| row["control_id"] == control_id);
    let row = found.next().unwrap_or_else(|| panic!("no {control_id} in {rows:?}"));
    assert!(found.next().is_none(), "one {control_id}");
    row["state"].clone()
}

#[test]
fn the_list_says_why_and_what_waits_also_after_a_kill() {
    let engine = restarted(parked());
    waits(&engine);
    let ran = ask(&engine, &["parked", "--format", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(found["reasons"], json!({ "ward.closed": 1 }));
    assert_eq!(found["parked"][0]["control_id"], "BAD");
    assert_eq!(found["parked"][0]["held"], 2);
    let screen = ask(&engine, &["parked", "--reason", "ward.closed", "--channel", "pas-adt"]).out;
    assert!(screen.contains("2 messages wait behind them"), "{screen}");
    assert!(screen.lines().all(|line| line.chars().count() <= 80), "{screen}");
    assert!(!screen.contains("9990000018"), "{screen}");
    let none = ask(&engine, &["parked", "--reason", "another.reason"]);
    assert_eq!(none.out, "nothing is parked\n");
    let shown = ask(&engine, &["parked", "show", &only_parked(&engine).to_string()]);
    assert!(shown.out.contains("parked: ward.closed"), "{shown:?}");
    assert!(shown.out.contains("behind it       2 messages"), "{shown:?}");
    assert_eq!(ask(&engine, &["status"]).code, Some(1), "a parked message needs a person");
}

#[test]
fn what_is_released_goes_first_and_what_waited_follows_in_order() {
    let mut engine = parked();
    engine.kill();
    engine.setup.write("transforms/pas_adt.rhai", MENDED);
    engine.start_again();
    let id = only_parked(&engine);
    let ran = decide(&engine, "release", id);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("2 messages that waited behind it follow in order"), "{ran:?}");
    // The decision is durable: whatever of it was done before the kill, the rest comes after.
    let engine = restarted(engine);
    drained(&engine);
    assert_eq!(order(&engine), ["BAD", "NEXT1", "NEXT2"]);
    let again = decide(&engine, "release", id);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.err.contains("not parked"), "{again:?}");
    let audit = engine.get("/api/v1/audit").json();
    assert_eq!(audit.as_array().unwrap().len(), 1, "{audit}");
    assert_eq!(audit[0]["action"], "release");
    assert_eq!(audit[0]["reason"], "asked the ward");
}

#[test]
fn an_edit_takes_the_place_of_the_original_which_is_kept() {
    let engine = parked();
    let id = only_parked(&engine);
    engine.setup.write("edited.hl7", &bad().replacen("CLOSED", "OPEN", 1).replace('\r', "\n"));
    let file = engine.setup.path("edited.hl7");
    let (id_text, file) = (id.to_string(), file.to_str().unwrap().to_owned());
    let edit = ["parked", "edit", &id_text, "--file", &file, "--reason", "ward has moved"];
    let ran = ask(&engine, &edit);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("takes its place, the original is kept"), "{ran:?}");
    let engine = restarted(engine);
    let status = drained(&engine);
    let total = &status["total"];
    assert_eq!((&total["superseded"], &total["received"]), (&json!(1), &json!(5)), "{status}");
    assert_eq!(order(&engine), ["BAD", "NEXT1", "NEXT2"]);
    let edited = events(&engine).into_iter().find(|event| event["correlationid"] == "BAD").unwrap();
    assert_eq!(edited["edited"], true, "{edited}");
    let original = engine.get(&format!("/api/v1/messages/{id}/raw"));
    assert_eq!(original.body, bad());
    let shown = ask(&engine, &["show", &id_text]);
    assert!(shown.out.contains("edited as message"), "{shown:?}");
    assert!(shown.out.contains("ward has moved"), "who edited and why: {shown:?}");
}

#[test]
fn an_edit_of_who_it_is_about_needs_a_second_person() {
    let engine = parked();
    let id = only_parked(&engine);
    let edited = bad().replacen("CLOSED", "OPEN", 1).replacen("EXAMPLE^ALEX", "SAMPLE^ALEX", 1);
    let path = |verb: &str| format!("/api/v1/messages/{id}/{verb}");
    let answer = engine.edit_as("ann", &path("edit"), "married", &edited);
    assert_eq!(answer.json()["approval"], true, "{answer:?}");
    let mark = answer.json()["edit"].as_str().expect("its name").to_owned();
    let engine = restarted(engine);
    waits(&engine);
    let list = ask(&engine, &["parked"]).out;
    assert!(list.contains("an edit by ann waits"), "{list}");
    let shown = ask(&engine, &["parked", "show", &id.to_string()]).out;
    assert!(shown.contains("-PID|1||") && shown.contains("+PID|1||"), "{shown}");
    assert!(shown.contains(&format!("--edit {mark}")), "{shown}");
    let because = json!({ "reason": "looked it up", "edit": mark });
    let same = engine.post_as("ann", &path("approve"), &because);
    assert_eq!(same.status, 409, "{same:?}");
    let another = json!({ "reason": "looked it up", "edit": "00000000" });
    let unseen = engine.post_as("ben", &path("approve"), &another);
    assert_eq!(unseen.status, 409, "{unseen:?}");
    let approved = engine.post_as("ben", &path("approve"), &because);
    assert_eq!((approved.status, &approved.json()["of"]), (200, &json!(id)), "{approved:?}");
    let engine = restarted(engine);
    drained(&engine);
    assert_eq!(order(&engine), ["BAD", "NEXT1", "NEXT2"]);
    let audit = engine.get("/api/v1/audit").json();
    let edit = audit.as_array().unwrap().iter().find(|row| row["action"] == "edit").unwrap();
    assert_eq!((&edit["actor"], &edit["reason"]), (&json!("ann"), &json!("married")), "{audit}");
    assert_eq!(edit["note"], "approved by ben: looked it up", "{audit}");
}

#[test]
fn an_edit_that_was_taken_back_can_no_longer_be_approved() {
    let engine = parked();
    let id = only_parked(&engine);
    let edited = bad().replacen("EXAMPLE^ALEX", "SAMPLE^ALEX", 1);
    engine.edit_as("ann", &format!("/api/v1/messages/{id}/edit"), "married", &edited);
    let ran = decide(&engine, "withdraw", id);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let approve = format!("/api/v1/messages/{id}/approve");
    let approval = json!({ "reason": "looked it up", "edit": "00000000" });
    let answer = engine.post_as("ben", &approve, &approval);
    assert_eq!(answer.status, 409, "{answer:?}");
    waits(&engine);
}

#[test]
fn what_is_discarded_is_never_delivered_and_the_others_go_on() {
    let engine = parked();
    let id = only_parked(&engine);
    let ran = decide(&engine, "discard", id);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let engine = restarted(engine);
    let status = drained(&engine);
    assert_eq!((&status["total"]["discarded"], &status["total"]["parked"]), (&json!(1), &json!(0)));
    assert_eq!(order(&engine), ["NEXT1", "NEXT2"]);
    assert_eq!(state_of(&engine, "BAD"), "discarded");
    assert_eq!(ask(&engine, &["status"]).code, Some(0));
}

#[test]
fn only_what_the_broker_refuses_is_given_up() {
    let engine = parked();
    let ran = decide(&engine, "skip", only_parked(&engine));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("not for an event that the broker refuses"), "{ran:?}");
    waits(&engine);
}

#[test]
fn a_decision_says_who_and_why_or_is_not_made() {
    let engine = parked();
    let id = only_parked(&engine);
    let path = format!("/api/v1/messages/{id}/discard");
    let because = json!({ "reason": "a reason" });
    assert_eq!(engine.post_as("", &path, &because).status, 400);
    assert_eq!(engine.post_as("ann", &path, &json!({ "reason": " " })).status, 400);
    assert_eq!(engine.post_as("ann", "/api/v1/messages/999/discard", &because).status, 404);
    let words = ["parked", "discard", &id.to_string(), "--reason", "is 9990000018"];
    let ran = ask(&engine, &words);
    assert_eq!(ran.code, Some(2), "a reason names no patient: {ran:?}");
    assert!(!ran.err.contains("9990000018"), "{ran:?}");
    waits(&engine);
}
