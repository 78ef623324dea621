//! An invented world: records about messages, and an archive in a folder of its own.

use archive::archive::Archive;
use archive::opening::Settings;
use archive::page::Page;
use archive::query::Query;
use archive::record::{Accepted, Change, Decision, EventRow, Outcome, Place, Record, What};
use archive::row::{Row, Story};
use archive::state::State;

/// 2026-11-20T00:00:00Z.
pub(crate) const MIDNIGHT: i64 = 1_795_132_800_000;
pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;

pub(crate) fn open(folder: &tempfile::TempDir) -> Archive {
    let opened = Archive::open(folder.path(), Settings::default()).unwrap();
    assert_eq!(opened.findings, []);
    opened.archive
}

pub(crate) fn place(number: u64) -> Place {
    let mut place = [0; 16];
    place[..8].copy_from_slice(&number.to_le_bytes());
    place
}

pub(crate) fn record(id: u64, at_ms: i64, entry: u64, what: What) -> Record {
    Record { id, at_ms, place: place(entry), copied_from: None, what }
}

pub(crate) fn accepted(id: u64, received_ms: i64) -> Accepted {
    Accepted {
        channel: "pas-adt".into(),
        received_ms,
        peer: "10.1.2.3:40000".into(),
        control_id: format!("MSG{id:05}"),
        sender: "PAS/RXX01".into(),
        message_type: "ADT^A01".into(),
        size: 1000 + id,
        ..Accepted::default()
    }
}

pub(crate) fn outcome(id: u64, received_ms: i64, state: State) -> Outcome {
    Outcome {
        received_ms,
        state,
        reason: (state == State::Parked).then(|| "identity.conflict".into()),
        detail: (state == State::Parked).then(|| "two numbers".into()),
        nhs_number: Some(format!("999000{:04}", id % 3)),
        local_ids: vec![format!("{:07}^^^RXX01^MR", id % 5), "77^^^GP^PI".into()],
        configversion: "c1".into(),
        revision: 0,
        events: vec![event(id, 0), event(id, 1)],
    }
}

pub(crate) fn event(id: u64, number: u64) -> EventRow {
    EventRow {
        event_id: format!("00000000-0000-5000-8000-{:012x}", id * 10 + number),
        event_type: if number == 0 { "patient.admitted.v1" } else { "result.published.v1" }.into(),
        routing_key: "rxx01.patient.admitted.normal".into(),
        length: 2000 + number,
    }
}

pub(crate) fn change(received_ms: i64, state: State) -> Change {
    Change { received_ms, state, reason: None, routes: 2, duplicate_of: None, superseded_by: None }
}

pub(crate) fn decision(action: &str) -> Decision {
    Decision {
        channel: "pas-adt".into(),
        action: action.into(),
        actor: "ada".into(),
        reason: "looked at it".into(),
        note: None,
    }
}

/// The whole life of an ordinary message: accepted, decided, published.
pub(crate) fn ordinary(id: u64, received_ms: i64) -> Vec<Record> {
    vec![
        record(id, received_ms + 1, id * 10, What::Accepted(accepted(id, received_ms))),
        record(
            id,
            received_ms + 5,
            id * 10 + 1,
            What::Outcome(outcome(id, received_ms, State::Published)),
        ),
        record(
            id,
            received_ms + 9,
            id * 10 + 2,
            What::State(change(received_ms, State::Published)),
        ),
    ]
}

/// A message that is parked, and stays so.
pub(crate) fn parked(id: u64, received_ms: i64) -> Vec<Record> {
    let mut records = ordinary(id, received_ms);
    records.truncate(1);
    let outcome = outcome(id, received_ms, State::Parked);
    records.push(record(id, received_ms + 5, id * 10 + 1, What::Outcome(outcome)));
    records
}

pub(crate) fn ids(rows: &[Row]) -> Vec<u64> {
    rows.iter().map(|row| row.id).collect()
}

pub(crate) fn all(archive: &Archive) -> Vec<Row> {
    archive.messages(&Query::all(), &Page::oldest(100_000)).unwrap()
}

/// Everything that an archive answers, to be compared.
#[derive(PartialEq, Debug)]
pub(crate) struct Answers {
    rows: Vec<Row>,
    stories: Vec<Story>,
    sums: archive::row::Sums,
    ids: std::collections::BTreeMap<State, roaring::RoaringTreemap>,
    audit: Vec<archive::row::AuditRow>,
    position: Option<String>,
    count: u64,
}

pub(crate) fn answers(archive: &Archive) -> Answers {
    let rows = all(archive);
    Answers {
        stories: rows.iter().map(|row| archive.message(row.id).unwrap().unwrap()).collect(),
        sums: archive.sums(i64::MIN).unwrap(),
        ids: archive.ids_by_state(0).unwrap(),
        audit: archive.audit(i64::MIN, 1000).unwrap(),
        position: archive.position(),
        count: archive.facts().unwrap().rows,
        rows,
    }
}
