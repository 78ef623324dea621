//! SIGKILL in the middle of a feed: every positive answer the sender saw is there afterwards, in
//! exactly one state.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::sender::{Reply, TestSender};
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{admission, events, messages, settled};

/// Sends on several connections at once until the engine is gone; gives back what was answered AA.
fn feed(senders: Vec<TestSender>, run: usize) -> BTreeSet<String> {
    let threads: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(line, mut sender)| {
            std::thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let control_id = format!("R{run}L{line}N{number:05}");
                    let patient = format!("2{line}0000{}", number % 7);
                    let text = admission(&control_id, &patient).text();
                    if sender.send_bytes(format!("\x0b{text}\x1c\r").as_bytes()).is_err() {
                        break;
                    }
                    match sender.reply(SOON) {
                        Reply::Ack(ack) if ack.code == "AA" => acknowledged.push(ack.control_id),
                        _ => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn every_acknowledged_message_survives_in_exactly_one_state() {
    let mut engine = Setup::sample().start();
    let mut obligations = BTreeSet::new();
    for run in 0..4 {
        let senders: Vec<TestSender> = (0..6).map(|_| engine.connect("pas-adt")).collect();
        let feeding = std::thread::spawn(move || feed(senders, run));
        until("three hundred more messages", SOON, || {
            let received = engine.get("/api/v1/status").json()["total"]["received"].as_u64()?;
            (received > (run as u64 + 1) * 300).then_some(())
        });
        engine.kill();
        obligations.extend(feeding.join().unwrap());
        engine.start_again();
    }
    let status = settled(&engine);
    let total = |name: &str| status["total"][name].as_u64().unwrap();
    assert_eq!(total("received"), total("published"), "{status}");
    let rows = messages(&engine);
    assert_eq!(rows.len() as u64, total("received"));
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for row in &rows {
        assert_eq!(row["state"], "published", "{row}");
        *states.entry(row["control_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    for control_id in &obligations {
        assert_eq!(states.get(control_id), Some(&1), "{control_id} was answered AA");
    }
    // One event per message: an outcome is made once, whatever was killed in between.
    let events = events(&engine);
    let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!(ids.len(), rows.len());
    assert_eq!(events.len(), rows.len());
}

#[test]
fn order_per_patient_holds_over_a_kill() {
    let mut engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    for number in 0..400 {
        sender.send(admission(&format!("N{number:04}"), &format!("30000{}", number % 3)).text());
    }
    for _ in 0..400 {
        sender.ack();
    }
    engine.kill();
    engine.start_again();
    settled(&engine);
    let events = events(&engine);
    assert_eq!(events.len(), 400);
    for patient in 0..3 {
        let ids: Vec<&str> = events
            .iter()
            .filter_map(|event| event["correlationid"].as_str())
            .filter(|id| id[1..].parse::<usize>().unwrap() % 3 == patient)
            .collect();
        assert!(ids.is_sorted(), "patient {patient}");
    }
}
