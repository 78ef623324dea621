//! The archive's files: written twice, cut off, foreign, gone.

use std::fs;
use std::path::Path;
use std::time::Duration;

use archive::archive::Archive;
use archive::opening::{Opened, Settings, Trouble};
use archive::record::{Record, What};
use archive::retention::Limits;

use crate::world::{self, DAY, HOUR, MIDNIGHT, answers, decision, record};

fn open(folder: &Path) -> Opened {
    Archive::open(folder, Settings::default()).unwrap()
}

/// Messages of three days, one of them parked, and decisions about one and about a channel.
fn history() -> Vec<Record> {
    let mut records = Vec::new();
    for id in 1..=30_u64 {
        let received = MIDNIGHT + (id.cast_signed() / 10) * DAY + id.cast_signed() * HOUR / 4;
        records.extend(if id == 4 {
            world::parked(id, received)
        } else {
            world::ordinary(id, received)
        });
    }
    records.push(record(4, MIDNIGHT + 3 * DAY, 900, What::Operator(decision("propose"))));
    records.push(record(0, MIDNIGHT + 3 * DAY, 901, What::Operator(decision("pause"))));
    records
}

fn feed(archive: &Archive, records: &[Record], batch: usize) {
    for (number, batch) in records.chunks(batch).enumerate() {
        archive.take(batch, &format!("1.{number}.0")).unwrap();
    }
    archive.take(&[], "end").unwrap();
}

#[test]
fn a_fresh_folder_has_no_position_and_a_used_one_has() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("archive");
    let opened = open(&folder);
    assert_eq!((opened.position, opened.findings), (None, vec![]));
    feed(&opened.archive, &history(), 7);
    let before = answers(&opened.archive);
    drop(opened.archive);
    let opened = open(&folder);
    assert_eq!((opened.position.as_deref(), opened.findings), (Some("end"), vec![]));
    assert_eq!(answers(&opened.archive), before);
    let facts = opened.archive.facts().unwrap();
    assert_eq!((facts.days, facts.rows, facts.oldest_ms), (4, 30, Some(MIDNIGHT)));
}

#[test]
fn records_that_come_again_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let records = history();
    feed(&archive, &records, 1000);
    let before = answers(&archive);
    for from in [0, 1, 17, 60, records.len() - 1] {
        for batch in [1, 5, 1000] {
            feed(&archive, &records[from..], batch);
            assert_eq!(answers(&archive), before, "from {from} by {batch}");
        }
    }
}

#[test]
fn however_records_are_cut_into_batches_the_answers_are_the_same() {
    let whole = tempfile::tempdir().unwrap();
    let whole = world::open(&whole);
    feed(&whole, &history(), 1000);
    for batch in [1, 2, 13] {
        let folder = tempfile::tempdir().unwrap();
        let archive = world::open(&folder);
        feed(&archive, &history(), batch);
        assert_eq!(answers(&archive), answers(&whole), "by {batch}");
    }
}

#[test]
fn a_batch_that_cannot_be_written_leaves_the_position_and_may_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let records = history();
    archive.take(&records[..3], "a").unwrap();
    // The second day's file cannot be made: a folder stands in its place.
    let blocked = folder.path().join("2026-11-21.db");
    fs::create_dir(&blocked).unwrap();
    let error = archive.take(&records, "b").unwrap_err().to_string();
    assert!(error.contains("2026-11-21.db"), "{error}");
    assert_eq!(archive.position().as_deref(), Some("a"));
    fs::remove_dir(&blocked).unwrap();
    feed(&archive, &records, 1000);

    let other = tempfile::tempdir().unwrap();
    let other = world::open(&other);
    feed(&other, &records, 1000);
    assert_eq!(answers(&archive), answers(&other));
}

/// Spoils a file of a full archive, opens it, and feeds it again.
fn spoil(file: &str, spoil: impl Fn(&Path), trouble: Trouble) {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    feed(&archive, &history(), 50);
    let before = answers(&archive);
    drop(archive);
    let path = folder.path().join(file);
    spoil(&path);

    let opened = open(folder.path());
    assert_eq!(opened.position, None, "{file}");
    assert_eq!(opened.findings.len(), 1, "{file}: {:?}", opened.findings);
    let finding = &opened.findings[0];
    assert_eq!((&finding.path, finding.trouble), (&path, trouble));
    let moved = finding.set_aside.as_ref();
    assert_eq!(moved.is_some(), trouble != Trouble::Missing);
    assert!(moved.is_none_or(|path| path.try_exists().unwrap()));
    assert!(finding.to_string().contains(file));
    feed(&opened.archive, &history(), 50);
    assert_eq!(answers(&opened.archive), before, "{file}");
    drop(opened.archive);
    assert_eq!(open(folder.path()).findings, []);
}

#[test]
fn a_file_that_is_gone_is_told_and_made_again() {
    for file in ["2026-11-21.db", "archive.db"] {
        spoil(file, |path| fs::remove_file(path).unwrap(), Trouble::Missing);
    }
}

#[test]
fn a_file_of_something_else_is_set_aside() {
    for file in ["2026-11-21.db", "archive.db"] {
        let foreign = |path: &Path| fs::write(path, "dear diary, ".repeat(1000)).unwrap();
        spoil(file, foreign, Trouble::Damaged);
        let other = |path: &Path| {
            fs::remove_file(path).unwrap();
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.execute_batch("CREATE TABLE recipes (name)").unwrap();
        };
        spoil(file, other, Trouble::Foreign);
        let newer = |path: &Path| {
            let connection = rusqlite::Connection::open(path).unwrap();
            connection.pragma_update(None, "user_version", 99).unwrap();
        };
        spoil(file, newer, Trouble::OtherVersion);
    }
}

#[test]
fn a_file_that_was_cut_off_is_set_aside() {
    let cut = |path: &Path| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_len(20_000).unwrap();
    };
    spoil("2026-11-21.db", cut, Trouble::Damaged);
}

#[test]
fn damage_that_is_met_while_asking_is_set_aside_at_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    feed(&archive, &history(), 50);
    let before = answers(&archive);
    drop(archive);
    // Rubbish over the page of the events, which opening does not read.
    let path = folder.path().join("2026-11-21.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'events'";
    let page: u32 = connection.query_row(sql, [], |row| row.get(0)).unwrap();
    let page = page as usize;
    drop(connection);
    let mut bytes = fs::read(&path).unwrap();
    bytes[(page - 1) * 4096..page * 4096].fill(0xee);
    fs::write(&path, bytes).unwrap();

    let opened = open(folder.path());
    assert_eq!(opened.findings, []);
    let error = opened.archive.message(12).unwrap_err().to_string();
    assert!(error.contains("2026-11-21.db is damaged"), "{error}");
    assert!(opened.archive.message(25).unwrap().is_some());
    drop(opened.archive);
    let opened = open(folder.path());
    assert_eq!(opened.findings[0].trouble, Trouble::Damaged);
    feed(&opened.archive, &history(), 50);
    assert_eq!(answers(&opened.archive), before);
}

#[test]
fn a_file_that_was_not_finished_is_made_again_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("2026-11-21.db"), []).unwrap();
    fs::write(folder.path().join("notes.txt"), "not ours").unwrap();
    let archive = world::open(&folder);
    feed(&archive, &history(), 50);
    assert_eq!(archive.facts().unwrap().rows, 30);
}

#[test]
fn an_archive_that_is_rebuilt_gives_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    feed(&archive, &history(), 50);
    let before = answers(&archive);
    drop(archive);
    let archive = Archive::rebuild(folder.path(), Settings::default(), None).unwrap();
    assert_eq!((archive.position(), world::all(&archive)), (None, vec![]));
    assert!(folder.path().join("replaced/2026-11-21.db").try_exists().unwrap());
    feed(&archive, &history(), 9);
    assert_eq!(answers(&archive), before);
    Archive::forget_replaced(folder.path()).unwrap();
    assert!(!folder.path().join("replaced").try_exists().unwrap());
}

#[test]
fn what_is_older_than_the_journal_outlives_a_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let mut records = history();
    records.insert(0, record(0, MIDNIGHT, 899, What::Operator(decision("resume"))));
    feed(&archive, &records, 50);
    let before = answers(&archive);
    drop(archive);
    // The journal begins in the middle of the third day.
    let begins = MIDNIGHT + 2 * DAY + 6 * HOUR;
    let left: Vec<Record> = records.into_iter().filter(|record| record.at_ms >= begins).collect();
    let archive = Archive::rebuild(folder.path(), Settings::default(), Some(begins)).unwrap();
    assert_eq!(archive.position(), None);
    feed(&archive, &left, 9);
    assert_eq!(answers(&archive), before);
}

#[test]
fn nobody_waits_for_one_who_reads_and_a_dropped_day_is_gone_for_those_who_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let archive = world::open(&folder);
    let records = history();
    archive.take(&records[..9], "a").unwrap();
    // Somebody reads the day's file, slowly.
    let reader = rusqlite::Connection::open(folder.path().join("2026-11-20.db")).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = |reader: &rusqlite::Connection| -> i64 {
        reader.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap()
    };
    assert_eq!(count(&reader), 3);
    feed(&archive, &records, 50);
    assert_eq!((count(&reader), world::all(&archive).len()), (3, 30));
    let limits = Limits { max_age: Some(Duration::from_hours(24)), max_bytes: None };
    assert_eq!(archive.prune(&limits, MIDNIGHT + 2 * DAY).unwrap().days, 1);
    assert_eq!((count(&reader), archive.message(1).unwrap()), (3, None));
    // The day comes again, in a new file, while the old one is still being read.
    feed(&archive, &records, 50);
    assert_eq!((count(&reader), world::all(&archive).len()), (3, 30));
}
