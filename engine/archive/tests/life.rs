//! What becomes of a message, as the archive tells it.

use archive::page::Page;
use archive::patient::PatientIdentifier;
use archive::query::Query;
use archive::record::{Change, Outcome, Record, What};
use archive::state::State;
use archive::when::Clock;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::world::{
    self, DAY, HOUR, MIDNIGHT, accepted, change, decision, ids, outcome, place, record,
};

#[test]
fn an_ordinary_message_tells_its_story() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let at = MIDNIGHT + HOUR;
    archive.take(&world::ordinary(7, at), "1.64.0").unwrap();

    let story = archive.message(7).unwrap().unwrap();
    let row = &story.row;
    assert_eq!((row.id, row.received_ms, row.state), (7, at, State::Published));
    assert_eq!((row.channel.as_str(), row.message_type.as_str()), ("pas-adt", "ADT^A01"));
    assert_eq!((row.control_id.as_str(), row.sender.as_str()), ("MSG00007", "PAS/RXX01"));
    assert_eq!((row.peer.as_str(), row.size, row.events), ("10.1.2.3:40000", 1007, 2));
    assert_eq!(row.nhs_number.as_deref(), Some("9990000001"));
    assert_eq!(row.local_ids, ["0000002^^^RXX01^MR", "77^^^GP^PI"]);
    assert_eq!(row.reason, None);
    assert_eq!((story.place, story.outcome_place), (place(70), Some(place(71))));
    assert_eq!((story.configversion.as_str(), story.revision), ("c1", 0));
    assert_eq!(story.events, [world::event(7, 0), world::event(7, 1)]);
    let timeline: Vec<_> =
        story.timeline.iter().map(|it| (it.at_ms - at, it.what.as_str(), it.state)).collect();
    assert_eq!(
        timeline,
        [
            (0, "accepted", Some(State::Pending)),
            (5, "outcome", Some(State::Published)),
            (9, "state", Some(State::Published)),
        ]
    );
    assert_eq!(story.timeline[2].routes, 2);
    assert_eq!(archive.message(8).unwrap(), None);
    assert_eq!(archive.position().as_deref(), Some("1.64.0"));
}

#[test]
fn an_outcome_parks_at_once_and_publishes_only_when_settled() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let mut records = world::ordinary(1, MIDNIGHT);
    records.truncate(2);
    records.extend(world::parked(2, MIDNIGHT));
    archive.take(&records[..1], "a").unwrap();
    let queued = archive.message(1).unwrap().unwrap().row;
    assert_eq!((queued.state, queued.decided), (State::Pending, false));
    archive.take(&records[1..], "b").unwrap();
    let states: Vec<_> = world::all(&archive).iter().map(|row| (row.state, row.decided)).collect();
    assert_eq!(states, [(State::Pending, true), (State::Parked, true)]);
}

#[test]
fn a_person_releases_one_and_discards_another() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    for id in [1, 2] {
        archive.take(&world::parked(id, MIDNIGHT), "a").unwrap();
    }
    let later = MIDNIGHT + 2 * DAY;
    let act = |id, entry, action| record(id, later, entry, What::Operator(decision(action)));
    archive
        .take(&[act(1, 31, "approve"), act(1, 32, "release"), act(2, 33, "discard")], "b")
        .unwrap();
    archive.take(&[act(0, 34, "pause")], "c").unwrap();
    let rows = world::all(&archive);
    assert_eq!((rows[0].state, rows[1].state), (State::Pending, State::Discarded));
    assert_eq!(rows[1].reason.as_deref(), Some("identity.conflict"));

    let second =
        Outcome { revision: 1, events: Vec::new(), ..outcome(1, MIDNIGHT, State::Filtered) };
    let second = Outcome { local_ids: vec!["5^^^NEW".into()], ..second };
    archive
        .take(
            &[
                record(1, later + 5, 35, What::Outcome(second)),
                record(1, later + 6, 36, What::State(change(MIDNIGHT, State::Filtered))),
            ],
            "d",
        )
        .unwrap();
    let story = archive.message(1).unwrap().unwrap();
    let row = &story.row;
    assert_eq!((row.state, row.reason.as_deref(), row.events), (State::Filtered, None, 0));
    assert_eq!(row.local_ids, ["5^^^NEW"]);
    assert_eq!((story.revision, story.outcome_place), (1, Some(place(35))));
    let what: Vec<_> = story.timeline.iter().map(|moment| moment.what.as_str()).collect();
    assert_eq!(what, ["accepted", "outcome", "approve", "release", "outcome", "state"]);
    assert_eq!(story.timeline[1].note.as_deref(), Some("two numbers"));
    assert_eq!(story.timeline[3].actor.as_deref(), Some("ada"));

    // The identifier of the first outcome no longer finds it.
    let by = |text: &str| {
        let query = Query::patient(&PatientIdentifier::Local(text.into()));
        ids(&archive.messages(&query, &Page::oldest(9)).unwrap())
    };
    assert_eq!(by("5"), [1]);
    assert_eq!(by("0000001^^^RXX01"), []);
    assert_eq!(by("77"), [2]);

    let audit = archive.audit(later, 10).unwrap();
    let audit: Vec<_> = audit.iter().map(|row| (row.id, row.action.as_str())).collect();
    assert_eq!(audit, [(0, "pause"), (2, "discard"), (1, "release"), (1, "approve")]);
    assert_eq!(archive.audit(later, 1).unwrap().len(), 1);
    assert_eq!(archive.audit(later + 1, 10).unwrap(), []);
}

#[test]
fn what_the_broker_never_takes_is_found_by_that_reason() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let mut records = world::parked(1, MIDNIGHT);
    let refused =
        Change { reason: Some("publish.too-large".to_owned()), ..change(MIDNIGHT, State::Parked) };
    records.push(record(1, MIDNIGHT + HOUR, 60, What::State(refused)));
    archive.take(&records, "a").unwrap();
    let clock = Clock { now: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC };
    let query = Query::parse("state=parked and reason=publish.too-large", &clock).unwrap();
    assert_eq!(ids(&archive.messages(&query, &Page::oldest(9)).unwrap()), [1]);
    let story = archive.message(1).unwrap().unwrap();
    assert_eq!(story.timeline.last().unwrap().reason.as_deref(), Some("publish.too-large"));
}

#[test]
fn an_edit_supersedes_and_a_resend_is_a_duplicate() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let mut records = world::parked(1, MIDNIGHT);
    let edit = archive::record::Accepted { edit_of: Some(1), ..accepted(2, MIDNIGHT + DAY) };
    records.push(record(2, MIDNIGHT + DAY, 50, What::Accepted(edit)));
    let superseded = Change { superseded_by: Some(2), ..change(MIDNIGHT, State::Superseded) };
    records.push(record(1, MIDNIGHT + DAY, 51, What::State(superseded)));
    let again = accepted(3, MIDNIGHT + DAY);
    records.push(record(3, MIDNIGHT + DAY, 52, What::Accepted(again)));
    let duplicate = Change { duplicate_of: Some(1), ..change(MIDNIGHT + DAY, State::Duplicate) };
    records.push(record(3, MIDNIGHT + DAY, 53, What::State(duplicate)));
    let at_once =
        archive::record::Accepted { duplicate_of: Some(2), ..accepted(4, MIDNIGHT + DAY) };
    records.push(record(4, MIDNIGHT + DAY, 54, What::Accepted(at_once)));
    archive.take(&records, "a").unwrap();
    let rows = world::all(&archive);
    assert_eq!((rows[0].state, rows[0].superseded_by), (State::Superseded, Some(2)));
    assert_eq!((rows[1].state, rows[1].edit_of), (State::Pending, Some(1)));
    assert_eq!((rows[2].state, rows[2].duplicate_of), (State::Duplicate, Some(1)));
    assert_eq!((rows[3].state, rows[3].duplicate_of), (State::Duplicate, Some(2)));
    let parked = archive.ids_by_state(2).unwrap();
    assert_eq!(parked.get(&State::Superseded), None);
    assert_eq!(parked[&State::Duplicate].iter().collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_carried_copy_moves_places_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let mut records = world::parked(1, MIDNIGHT);
    records.push(record(1, MIDNIGHT + HOUR, 90, What::Operator(decision("propose"))));
    archive.take(&records, "a").unwrap();
    let before = archive.message(1).unwrap().unwrap();
    let copy = |original: &Record, to: u64| Record {
        place: place(to),
        copied_from: Some(original.place),
        at_ms: original.at_ms + DAY,
        ..original.clone()
    };
    let copies: Vec<Record> =
        records.iter().zip(1000..).map(|(original, to)| copy(original, to)).collect();
    archive.take(&copies, "b").unwrap();

    let after = archive.message(1).unwrap().unwrap();
    assert_eq!((after.place, after.outcome_place), (place(1000), Some(place(1001))));
    assert_eq!(after.timeline.len(), 3);
    assert_eq!(after.timeline[2].place, place(1002));
    assert_eq!(after.timeline[2].at_ms, before.timeline[2].at_ms);
    assert_eq!(archive.audit(0, 9).unwrap().len(), 1);
    assert_eq!(archive.audit(0, 9).unwrap()[0].place, place(1002));

    // Copied once more, settled, and then all of it read again from the beginning.
    let twice: Vec<Record> = copies.iter().zip(2000..).map(|(it, to)| copy(it, to)).collect();
    let settled =
        record(1, MIDNIGHT + 3 * DAY, 91, What::State(change(MIDNIGHT, State::Published)));
    archive.take(&twice, "c").unwrap();
    archive.take(std::slice::from_ref(&settled), "d").unwrap();
    let before = world::answers(&archive);
    assert_eq!(archive.message(1).unwrap().unwrap().place, place(2000));
    let everything: Vec<Record> =
        records.into_iter().chain(copies).chain(twice).chain([settled]).collect();
    for record in everything {
        archive.take(&[record], "d").unwrap();
    }
    assert_eq!(world::answers(&archive), before);
}

#[test]
fn records_about_unknown_messages_are_counted_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let orphans = &world::ordinary(5, MIDNIGHT)[1..];
    assert_eq!(archive.take(orphans, "a").unwrap().unknown, 2);
    assert_eq!(world::all(&archive), []);
    archive.take(&world::ordinary(9, MIDNIGHT), "b").unwrap();
    archive.take(&world::ordinary(2, MIDNIGHT), "c").unwrap();
    assert_eq!(archive.take(orphans, "d").unwrap().unknown, 2);
    assert_eq!(ids(&world::all(&archive)), [2, 9]);
}

#[test]
fn a_message_is_found_though_the_clock_jumped() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    // Forward by a year, back by two days, and on.
    let clock =
        [0, HOUR, 365 * DAY, 365 * DAY + HOUR, -2 * DAY, -2 * DAY + HOUR, 2 * HOUR, 3 * HOUR];
    for (id, at) in (1..).zip(clock) {
        archive.take(&world::ordinary(id, MIDNIGHT + at)[..2], "a").unwrap();
    }
    for (id, at) in (1..).zip(clock) {
        let discard = record(id, MIDNIGHT, id * 10 + 5, What::Operator(decision("discard")));
        assert_eq!(archive.take(&[discard], "b").unwrap().unknown, 0);
        let story = archive.message(id).unwrap().unwrap();
        assert_eq!((story.row.received_ms, story.row.state), (MIDNIGHT + at, State::Discarded));
    }
    let newest = archive.messages(&Query::all(), &Page::newest(3)).unwrap();
    assert_eq!(ids(&newest), [8, 7, 6]);
    let next = archive.messages(&Query::all(), &Page::newest(3).after(6)).unwrap();
    assert_eq!(ids(&next), [5, 4, 3]);
    let oldest = archive.messages(&Query::all(), &Page::oldest(3).after(3)).unwrap();
    assert_eq!(ids(&oldest), [4, 5, 6]);
    assert_eq!(archive.facts().unwrap().days, 3);
}

#[test]
fn what_is_shown_of_a_row_names_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let mut records = world::parked(1, MIDNIGHT);
    let said = archive::record::Decision { note: Some("secret".into()), ..decision("secret-free") };
    records.push(record(1, MIDNIGHT, 60, What::Operator(said)));
    archive.take(&records, "a").unwrap();
    let query = Query::patient(&PatientIdentifier::NhsNumber("9990000001".into()));
    let shown = format!(
        "{records:?} {:?} {:?} {:?} {query:?}",
        world::all(&archive),
        archive.message(1).unwrap(),
        archive.audit(0, 9).unwrap(),
    );
    for secret in ["9990000001", "0000001", "MSG0", "two numbers", "looked at", "\"secret\""] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
