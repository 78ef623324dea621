//! The engine's own accounts, as its API tells them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::facts::{History, Row};
use super::faults::Stage;
use crate::harness::engine::TestEngine;

/// Rows of one answer.
const PAGE: usize = 10_000;

/// Until nothing is pending but what is held.
pub(crate) fn is_settled(engine: &TestEngine) -> bool {
    let status = engine.get("/api/v1/status").json();
    status["total"]["pending"] == status["held"] && status["in_flight"] == 0
}

/// Writes rows and sums into the history.
pub(crate) fn ask(engine: &TestEngine, history: &mut History) {
    let status = engine.get("/api/v1/status").json();
    history.sums = sums(&status["total"]);
    history.rows = rows(engine);
}

/// What the engine says when it compares its ledger with its volumes and its archive.
pub(crate) fn reconcile(engine: &TestEngine, history: &mut History) {
    let answer = engine.get("/api/v1/reconcile");
    assert_eq!(answer.status, 200, "{answer:?}");
    let found = answer.json();
    let differences = found["differences"].as_array().expect("a list");
    history.differences = differences.iter().map(ToString::to_string).collect();
}

fn sums(total: &Value) -> BTreeMap<String, u64> {
    let sums = total.as_object().expect("the sums of all channels");
    sums.iter().filter_map(|(name, value)| Some((name.clone(), value.as_u64()?))).collect()
}

/// Every message, the newest page first.
fn rows(engine: &TestEngine) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut before = String::new();
    loop {
        let answer = engine.get(&format!("/api/v1/messages?limit={PAGE}{before}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.rows();
        rows.extend(page.iter().map(|row| Row {
            id: row["id"].as_u64().expect("a message has an id"),
            control_id: row["control_id"].as_str().unwrap_or_default().to_owned(),
            state: row["state"].as_str().unwrap_or_default().to_owned(),
            held: row["state"] == "pending" && row["detail"] == "held",
        }));
        if page.len() < PAGE {
            return rows;
        }
        before = format!("&before={}", page[0]["id"]);
    }
}

/// Mends the script, then decides about every message that holds others back: half of the patients
/// get theirs released, the others discarded. Halfway the engine is killed.
pub(crate) fn decide(stage: &mut Stage, history: &History) {
    stage.change_script(true);
    stage.restart_engine();
    let holding: BTreeMap<&str, &str> = history
        .parcels
        .iter()
        .filter(|parcel| parcel.kind.holds())
        .map(|parcel| (parcel.control_id.as_str(), parcel.patient.as_str()))
        .collect();
    let parked = history.rows.iter().filter(|row| row.state == "parked");
    let parked: BTreeSet<(u64, &str)> =
        parked.filter_map(|row| Some((row.id, *holding.get(row.control_id.as_str())?))).collect();
    for (number, (id, patient)) in parked.iter().enumerate() {
        if number == parked.len() / 2 {
            stage.kill_engine();
            stage.start_engine();
        }
        let decision =
            if patient.ends_with(['0', '2', '4', '6', '8']) { "release" } else { "discard" };
        let reason = json!({ "reason": "the script is mended" });
        let answer = stage.engine.post(&format!("/api/v1/messages/{id}/{decision}"), &reason);
        assert_eq!(answer.status, 200, "{answer:?}");
        stage.decisions += 1;
    }
}
