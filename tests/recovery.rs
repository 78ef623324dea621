//! What a start finds: the same states, the same answers, the same duplicates, whatever of the data
//! folder was lost or damaged meanwhile and can be derived from the journal.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::amqp::TestBroker;
use crate::harness::engine::TestEngine;
use crate::harness::message::Adt;
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::rabbitmq::sample_with_broker;
use crate::straight_through::{drained, events, messages, settled};

/// Parks what comes from a closed ward, filters what comes from one that nobody asks for.
const SCRIPT: &str = "fn transform(msg) {
    switch msg[\"PV1-3.2\"] {
        \"CLOSED\" => park(\"ward.closed\"),
        \"UNUSED\" => filter(\"not-used\"),
        _ => emit(\"encounter.admitted\", encounter(msg)),
    }
}
";

fn setup() -> Setup {
    let setup = Setup::sample();
    setup.write("transforms/pas_adt.rhai", SCRIPT);
    setup
}

/// An admission to a ward; patients are told apart by their hospital number alone.
fn admission(control_id: &str, hospital_number: &str, ward: &str) -> String {
    let adt = Adt { trigger: "A01", control_id, hospital_number, nhs_number: None };
    adt.text().replacen("WARD1", ward, 1)
}

fn send(engine: &TestEngine, text: &str) {
    assert_eq!(engine.connect("pas-adt").ask(text).code, "AA");
}

/// Somebody who moves into the council's care.
fn council(control_id: &str) -> String {
    let text = admission(control_id, "2000001", "WARD1").replacen("ADT^A01", "ADT^A28", 1);
    text.replacen("|PAS|RXX01|", "|SOCIALCARE|900X|", 1)
        .replacen("^^^RXX01^MR", "^^^900X^PI", 1)
        .replacen("^BED2^RXX01", "^BED2^900X", 1)
}

/// One message of every state that a message can come to without an operator's edit, two that are
/// held, and on another channel two that wait because its delivery is paused.
fn every_state() -> TestEngine {
    let engine = setup().start();
    let pause = json!({ "side": "delivery", "reason": "portal is away" });
    assert_eq!(engine.post("/api/v1/channels/social-care/pause", &pause).status, 200);
    send(&engine, &admission("FILTERED", "1000001", "UNUSED"));
    send(&engine, &admission("PUBLISHED", "1000001", "WARD1"));
    send(&engine, &admission("PUBLISHED", "1000001", "WARD1"));
    send(&engine, &admission("DISCARDED", "1000002", "CLOSED"));
    let id = until("parked message", SOON, || {
        engine.get("/api/v1/parked").json()["parked"][0]["id"].as_u64()
    });
    let because = json!({ "reason": "asked the ward" });
    assert_eq!(engine.post(&format!("/api/v1/messages/{id}/discard"), &because).status, 200);
    send(&engine, &admission("PARKED", "1000001", "CLOSED"));
    for control_id in ["HELD1", "HELD2"] {
        send(&engine, &admission(control_id, "1000001", "WARD1"));
    }
    for control_id in ["PENDING1", "PENDING2"] {
        assert_eq!(engine.connect("social-care").ask(council(control_id)).code, "AA");
    }
    rests(&engine);
    engine
}

/// Waits until one is parked, two wait behind it and two for their channel.
fn rests(engine: &TestEngine) {
    until("engine at rest", SOON, || {
        let status = engine.get("/api/v1/status").json();
        let total = &status["total"];
        let so = total["parked"] == 1 && total["pending"] == 4 && status["held"] == 4;
        (so && status["in_flight"] == 0).then_some(())
    });
}

/// What anybody may ask of the messages: their list, each of them with its events, the sums.
fn answers(engine: &TestEngine) -> BTreeMap<String, Value> {
    let rows = messages(engine);
    let mut all = BTreeMap::from([("list".to_owned(), json!(rows))]);
    for row in &rows {
        let path = format!("/api/v1/messages/{}", row["id"]);
        all.insert(path.clone(), engine.get(&path).json());
        let path = format!("{path}/events");
        all.insert(path.clone(), json!(engine.get(&path).rows()));
    }
    let status = engine.get("/api/v1/status").json();
    for channel in status["channels"].as_array().expect("channels") {
        let counts = ["received", "pending", "parked", "published", "filtered", "discarded"];
        let counts = counts.iter().chain(&["superseded", "duplicate", "events", "held", "paused"]);
        let sums: Vec<&Value> = counts.map(|count| &channel[*count]).collect();
        all.insert(format!("sums of {}", channel["name"]), json!(sums));
    }
    all.insert("audit".to_owned(), engine.get("/api/v1/audit").json());
    all
}

fn reconciled(engine: &TestEngine) {
    let found = engine.get("/api/v1/reconcile").json();
    assert_eq!((&found["differences"], &found["archive"]), (&json!([]), &json!(true)), "{found}");
}

/// The files of the journal whose name begins so.
fn journal_files(engine: &TestEngine, start: &str) -> Vec<PathBuf> {
    let folder = fs::read_dir(engine.setup.data().join("journal")).expect("a journal");
    let paths = folder.map(|entry| entry.expect("an entry of that folder").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start)))
        .collect();
    files.sort();
    files
}

fn remove_checkpoints(engine: &TestEngine) -> usize {
    let checkpoints = journal_files(engine, "checkpoint-");
    for file in &checkpoints {
        fs::remove_file(file).expect("the temporary folder can be written");
    }
    checkpoints.len()
}

#[test]
fn a_kill_changes_no_state_and_what_was_held_drains_when_it_may() {
    let mut engine = every_state();
    let before = answers(&engine);
    engine.kill();
    engine.start_again();
    rests(&engine);
    assert_eq!(answers(&engine), before);
    let parked = engine.get("/api/v1/parked").json();
    assert_eq!(
        (&parked["total"], &parked["parked"][0]["held"]),
        (&json!(1), &json!(2)),
        "{parked}"
    );
    let path = format!("/api/v1/messages/{}/discard", parked["parked"][0]["id"]);
    assert_eq!(engine.post(&path, &json!({ "reason": "asked the ward" })).status, 200);
    let resume = json!({ "side": "delivery", "reason": "portal is back" });
    assert_eq!(engine.post("/api/v1/channels/social-care/resume", &resume).status, 200);
    drained(&engine);
    let events = events(&engine);
    let told: Vec<&str> = events.iter().filter_map(|e| e["correlationid"].as_str()).collect();
    let of = |start: &str| told.iter().filter(|id| id.starts_with(start)).collect::<Vec<_>>();
    assert_eq!(of("HELD"), [&"HELD1", &"HELD2"]);
    assert_eq!(of("PENDING"), [&"PENDING1", &"PENDING2"]);
    assert_eq!(of("P"), [&"PUBLISHED", &"PENDING1", &"PENDING2"]);
    reconciled(&engine);
}

/// Flips a bit of the first such word; gives back its place.
fn flip(file: &Path, word: &[u8]) -> usize {
    let mut bytes = fs::read(file).unwrap();
    let place = bytes.windows(word.len()).position(|window| window == word).unwrap();
    bytes[place] ^= 0x10;
    fs::write(file, bytes).unwrap();
    place
}

#[test]
fn a_flipped_bit_is_named_and_costs_no_other_message() {
    let mut engine = setup().start();
    let ids: Vec<String> = (0..6).map(|number| format!("NUMBER{number}")).collect();
    for control_id in &ids {
        send(&engine, &admission(control_id, "1000001", "WARD1"));
        // So that each lies in a batch of its own.
        settled(&engine);
    }
    engine.kill();
    // What a checkpoint covers is not read at a start; it may have been written by now or not.
    remove_checkpoints(&engine);
    let volume = &journal_files(&engine, "journal-")[0];
    let place = flip(volume, b"NUMBER2");
    engine.start_again();

    let line = engine.said("journal bytes fail their checksum", 1);
    let line: Value = serde_json::from_str(&line).expect("logs are JSON");
    let (from, length) = (line["offset"].as_u64().unwrap(), line["bytes"].as_u64().unwrap());
    let name = volume.file_name().unwrap().to_str().unwrap();
    assert!(name.ends_with(&format!("{:0>20}.volume", line["volume"].to_string())), "{line}");
    assert!((from..from + length).contains(&(place as u64)), "{place}: {line}");
    let ready = engine.get("/readyz");
    assert_eq!(ready.status, 200, "it goes on: {ready:?}");
    assert!(ready.body.starts_with("degraded"), "{ready:?}");
    let attention = engine.get("/api/v1/status").json()["attention"].to_string();
    assert!(attention.contains("damaged"), "{attention}");

    send(&engine, &admission("AFTER", "1000001", "WARD1"));
    settled(&engine);
    let rows = messages(&engine);
    let rows: BTreeMap<&str, &str> = rows
        .iter()
        .map(|row| (row["control_id"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    let others = ids.iter().filter(|id| *id != "NUMBER2").map(String::as_str);
    for control_id in others.chain(["AFTER"]) {
        assert_eq!(rows.get(control_id), Some(&"published"), "{control_id}: {rows:?}");
    }
    // The ledger has it too: what became of it says that it came. But the account is not whole.
    let found = engine.get("/api/v1/reconcile").json();
    assert_eq!((&found["received"], &found["published"]), (&json!(7), &json!(7)), "{found}");
    let differences = found["differences"].as_array().expect("a list");
    assert!(differences.iter().any(|d| d["text"].to_string().contains("damaged")), "{found}");
    // What the archive did not have when the engine was killed it cannot have now.
    let id_of_number2 = json!(3);
    let mut named = differences.iter().filter(|difference| !difference["message"].is_null());
    assert!(named.all(|difference| difference["message"] == id_of_number2), "{found}");
}

#[test]
fn a_lost_archive_is_made_anew_and_gives_the_same_answers() {
    let mut engine = every_state();
    let before = answers(&engine);
    engine.kill();
    fs::remove_dir_all(engine.setup.data().join("archive")).unwrap();
    engine.start_again();
    rests(&engine);
    assert_eq!(answers(&engine), before);
    reconciled(&engine);
}

#[test]
fn a_resend_is_known_although_the_window_of_duplicates_was_lost() {
    let mut engine = setup().start();
    let (text, filtered) =
        (admission("C1", "1000001", "WARD1"), admission("C2", "1000001", "UNUSED"));
    send(&engine, &text);
    send(&engine, &filtered);
    settled(&engine);
    // In good order, so that a checkpoint says where the window is.
    assert_eq!(engine.terminate(), Some(0));
    fs::remove_dir_all(engine.setup.data().join("seen")).unwrap();
    engine.start_again();
    engine.said("the window of duplicates is made anew", 1);
    for text in [&text, &filtered] {
        send(&engine, text);
    }
    let status = settled(&engine);
    let total = &status["total"];
    assert_eq!((&total["duplicate"], &total["filtered"]), (&json!(1), &json!(2)), "{status}");
    let rows = messages(&engine);
    assert_eq!(
        (&rows[2]["state"], &rows[2]["duplicate_of"]),
        (&json!("duplicate"), &rows[0]["id"])
    );
    assert_eq!(events(&engine).len(), 1);
}

#[test]
fn without_checkpoints_the_whole_journal_gives_the_same_ledger() {
    let mut engine = every_state();
    let before = answers(&engine);
    assert_eq!(engine.terminate(), Some(0));
    assert!(remove_checkpoints(&engine) > 0, "a clean stop writes one");
    engine.start_again();
    rests(&engine);
    assert_eq!(answers(&engine), before);
    // The window of duplicates too: its marks were in the checkpoints.
    send(&engine, &admission("PUBLISHED", "1000001", "WARD1"));
    let last = until("a duplicate", SOON, || {
        messages(&engine).pop().filter(|row| row["state"] == "duplicate")
    });
    assert_eq!(last["control_id"], "PUBLISHED");
    reconciled(&engine);
}

/// SIGKILL on the steered disk is a power cut: what was not synced is gone.
#[cfg(feature = "faults")]
#[test]
fn a_power_cut_takes_nothing_that_was_answered() {
    use crate::harness::sender::{Reply, TestSender};

    /// Several in flight, each answered AA is an obligation; until the power goes.
    fn feed(mut sender: TestSender, line: usize) -> Vec<String> {
        let id = |number: usize| format!("L{line}N{number:05}");
        let text = |number| admission(&id(number), &format!("3000{line}{}", number % 5), "WARD1");
        let mut answered = Vec::new();
        let mut sent = 0;
        loop {
            while sent < answered.len() + 8 {
                let frame = format!("\x0b{}\x1c\r", text(sent));
                if sender.send_bytes(frame.as_bytes()).is_err() {
                    return answered;
                }
                sent += 1;
            }
            match sender.reply(SOON) {
                Reply::Ack(ack) if ack.code == "AA" => answered.push(ack.control_id),
                _ => return answered,
            }
        }
    }

    let mut engine = crate::full_disk::steered(setup()).start();
    let feeds: Vec<_> = (0..4)
        .map(|line| {
            let sender = engine.connect("pas-adt");
            std::thread::spawn(move || feed(sender, line))
        })
        .collect();
    until("three hundred messages", SOON, || {
        let received = engine.get("/api/v1/status").json()["total"]["received"].as_u64()?;
        (received > 300).then_some(())
    });
    engine.kill();
    let answered: Vec<String> = feeds.into_iter().flat_map(|feed| feed.join().unwrap()).collect();
    assert!(answered.len() >= 100, "{}", answered.len());
    engine.start_again();
    settled(&engine);
    let mut states: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut row in messages(&engine) {
        let control_id = row["control_id"].as_str().unwrap().to_owned();
        states.entry(control_id).or_default().push(row["state"].take());
    }
    for control_id in &answered {
        assert_eq!(states.get(control_id), Some(&vec![json!("published")]), "{control_id}");
    }
    let told = events(&engine);
    assert_eq!(told.len(), states.len(), "each is told once");
    reconciled(&engine);
}

#[test]
fn a_message_whose_outcome_is_damaged_waits_for_a_person() {
    let broker = TestBroker::shared();
    let (exchange, queue) = (broker.name("events"), broker.name("portal"));
    broker.name("events.restricted");
    // Of another kind than asked for: its events wait, and with them their outcome.
    broker.declare_queue(&queue);
    let mut engine = sample_with_broker(broker.url(), &exchange, &queue).start();
    send(&engine, &admission("DAMAGED", "1000001", "WARD1"));
    until("a message that is retried", SOON, || {
        (engine.get("/api/v1/status").json()["retrying"] == 1).then_some(())
    });
    send(&engine, &admission("BEHIND", "1000001", "WARD1"));
    // The last checkpoint knows that there was an outcome.
    assert_eq!(engine.terminate(), Some(0));
    flip(&journal_files(&engine, "journal-")[0], b"configversion");
    engine.start_again();
    let parked = until("parked message", SOON, || {
        let parked = engine.get("/api/v1/parked").json();
        (parked["total"] == 1 && parked["parked"][0]["held"] == 1).then_some(parked)
    });
    assert_eq!(parked["parked"][0]["reason"], "journal.damaged", "{parked}");
    let path = format!("/api/v1/messages/{}/discard", parked["parked"][0]["id"]);
    assert_eq!(engine.post(&path, &json!({ "reason": "portal has it" })).status, 200);
    broker.delete_queue(&queue);
    drained(&engine);
    let taken = broker.take_all(&queue, 1, SOON);
    let event: Value = serde_json::from_slice(&taken[0].data).unwrap();
    assert_eq!((taken.len(), &event["correlationid"]), (1, &json!("BEHIND")));
}
