//! Old days go, and free their space; what is unsettled stays.

use std::time::Duration;

use archive::archive::Archive;
use archive::opening::Settings;
use archive::page::Page;
use archive::query::Query;
use archive::record::What;
use archive::retention::Limits;
use archive::state::State;

use crate::world::{self, DAY, MIDNIGHT, change, decision, ids, record};

/// Ten messages on each of three days; the third of each day is parked.
fn feed(archive: &Archive) {
    for id in 1..=30_u64 {
        let received = MIDNIGHT + (id.cast_signed() - 1) / 10 * DAY + id.cast_signed();
        let parked = id % 10 == 3;
        let records =
            if parked { world::parked(id, received) } else { world::ordinary(id, received) };
        archive.take(&records, "a").unwrap();
    }
}

fn full(folder: &tempfile::TempDir) -> Archive {
    let archive = world::open(folder);
    feed(&archive);
    archive.take(&[record(0, MIDNIGHT, 999, What::Operator(decision("pause")))], "a").unwrap();
    archive
}

fn days(number: u64) -> Limits {
    Limits { max_age: Some(Duration::from_hours(number * 24)), max_bytes: None }
}

fn files(folder: &tempfile::TempDir) -> Vec<String> {
    let names = std::fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names
        .filter(|name| name.split_once(".db").is_some_and(|(_, rest)| rest.is_empty()))
        .collect();
    names.sort();
    names
}

#[test]
fn a_day_goes_when_its_end_is_old_enough() {
    let folder = tempfile::tempdir().unwrap();
    let archive = full(&folder);
    assert_eq!(archive.prune(&days(1), MIDNIGHT + 2 * DAY - 1).unwrap().days, 0);
    let before = archive.facts().unwrap();
    let pruned = archive.prune(&days(1), MIDNIGHT + 2 * DAY).unwrap();
    assert_eq!((pruned.days, pruned.kept), (1, 1));
    let after = archive.facts().unwrap();
    assert_eq!((after.days, after.rows), (2, 21));
    assert_eq!(before.bytes - after.bytes, pruned.bytes);
    assert_eq!(after.oldest_ms, Some(MIDNIGHT + DAY));
    assert_eq!(files(&folder), ["2026-11-21.db", "2026-11-22.db", "archive.db", "kept.db"]);
    assert_eq!(archive.message(1).unwrap(), None);
    assert_eq!(archive.audit(0, 9).unwrap().len(), 1);
}

#[test]
fn what_is_parked_outlives_its_day_and_tells_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let archive = full(&folder);
    let before = archive.message(3).unwrap();
    archive.prune(&days(1), MIDNIGHT + 3 * DAY).unwrap();
    assert_eq!(archive.message(3).unwrap(), before);
    let parked = archive.messages(&Query::state(State::Parked), &Page::oldest(9)).unwrap();
    assert_eq!(ids(&parked), [3, 13, 23]);
    let found = archive.messages(&Query::control_id("MSG00013"), &Page::newest(9)).unwrap();
    assert_eq!(ids(&found), [13]);
    assert_eq!(
        archive
            .sums(i64::MIN)
            .unwrap()
            .values()
            .filter_map(|it| it.get(&State::Parked))
            .sum::<u64>(),
        3
    );

    // Its end still finds it; and then it goes.
    let settled =
        record(3, MIDNIGHT + 4 * DAY, 500, What::State(change(MIDNIGHT, State::Published)));
    assert_eq!(archive.take(&[settled], "b").unwrap().unknown, 0);
    assert_eq!(archive.message(3).unwrap().unwrap().row.state, State::Published);
    drop(archive);
    let archive = world::open(&folder);
    let discard = record(13, MIDNIGHT + 4 * DAY, 501, What::Operator(decision("discard")));
    assert_eq!(archive.take(&[discard], "c").unwrap().unknown, 0);
    archive.prune(&days(30), MIDNIGHT + 4 * DAY).unwrap();
    assert_eq!(ids(&world::all(&archive)), (21..=30).collect::<Vec<_>>());
    assert_eq!(archive.facts().unwrap().rows, 10);
}

#[test]
fn the_oldest_days_go_while_all_take_too_much_and_the_newest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let archive = full(&folder);
    let all = archive.facts().unwrap().bytes;
    let most = |max_bytes| Limits { max_age: None, max_bytes: Some(max_bytes) };
    assert_eq!(archive.prune(&most(all), MIDNIGHT).unwrap().days, 0);
    assert_eq!(archive.prune(&most(0), MIDNIGHT).unwrap().days, 2);
    assert_eq!(archive.facts().unwrap().days, 1);
    assert_eq!(archive.prune(&most(0), MIDNIGHT).unwrap().days, 0);
}

#[test]
fn a_day_that_was_dropped_is_filled_again_by_a_rebuild_only_with_what_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let archive = full(&folder);
    archive.prune(&days(1), MIDNIGHT + 2 * DAY).unwrap();
    let before = world::answers(&archive);
    // The journal still knows the dropped day, and tells it again.
    feed(&archive);
    assert_eq!(ids(&world::all(&archive)), (1..=30).collect::<Vec<_>>());
    archive.prune(&days(1), MIDNIGHT + 2 * DAY).unwrap();
    assert_eq!(world::answers(&archive), before);
}

#[test]
fn a_crash_between_keeping_and_dropping_leaves_each_message_once() {
    let folder = tempfile::tempdir().unwrap();
    let archive = full(&folder);
    let before = world::answers(&archive);
    drop(archive);
    // What the folder holds when the engine dies after the first and before the second.
    let day = folder.path().join("2026-11-20.db");
    let copy = folder.path().join("copy");
    std::fs::copy(&day, &copy).unwrap();
    let archive = world::open(&folder);
    archive.prune(&days(1), MIDNIGHT + 2 * DAY).unwrap();
    drop(archive);
    std::fs::rename(&copy, &day).unwrap();
    let archive = world::open(&folder);
    assert_eq!(world::answers(&archive), before);
    assert_eq!(archive.prune(&days(1), MIDNIGHT + 2 * DAY).unwrap().kept, 1);
    assert_eq!(archive.message(3).unwrap().unwrap().row.state, State::Parked);
    drop(archive);
    Archive::open(folder.path(), Settings::default()).unwrap();
}
