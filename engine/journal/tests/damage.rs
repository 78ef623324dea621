//! What a journal makes of damage: torn ends, flipped bits, old files, bad checkpoints.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use journal::{
    disk::{Disk, RealDisk},
    entry::{Entry, Kind, MessageId, Position},
    journal::Journal,
    reader::ReadError,
    recovery::OpenError,
    report::{CheckpointUsed, Recovered},
    settings::{Retention, Settings},
};

const VOLUME: u64 = 16 << 10;

fn open(folder: &Path) -> (Journal, Recovered) {
    let settings = Settings {
        volume_size: VOLUME,
        first_volume_size: VOLUME,
        compress: false,
        reserve: VOLUME,
        retain: Retention { age: None, size: Some(1) },
        ..Settings::new(folder)
    };
    Journal::open(Arc::new(RealDisk), settings).unwrap()
}

/// Appends bodies, each in a batch of its own, and answers where they lie.
fn append(journal: &Journal, bodies: &[&'static str]) -> Vec<Position> {
    let appended = bodies.iter().map(|body| journal.append(Bytes::from_static(body.as_bytes())));
    appended.map(|ticket| ticket.wait().unwrap().1).collect()
}

fn bodies(journal: &Journal, from: Position) -> Vec<Bytes> {
    let mut reader = journal.reader(from);
    let entries = std::iter::from_fn(move || reader.next().unwrap());
    entries.map(|entry: Entry| entry.body).collect()
}

fn path(folder: &Path, volume: u64) -> std::path::PathBuf {
    folder.join(format!("journal-{volume:020}.volume"))
}

/// Flips a bit of the file behind the journal's back.
fn flip(folder: &Path, volume: u64, at: u64) {
    let file = RealDisk.open(&path(folder, volume)).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn content(folder: &Path, volume: u64) -> Vec<u8> {
    let file = RealDisk.open(&path(folder, volume)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn byte_of(position: Position) -> u64 {
    u64::from(position.batch) * 64 + u64::from(position.entry)
}

#[test]
fn a_torn_end_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    let places = append(&journal, &["one", "two", "three"]);
    journal.close();
    flip(folder.path(), 1, byte_of(places[2]) + 30);
    let before = content(folder.path(), 1);

    let (journal, recovered) = open(folder.path());
    let torn = recovered.report.torn.unwrap();
    assert_eq!((torn.volume, torn.offset), (1, u64::from(places[2].batch) * 64));
    assert_eq!(recovered.report.corrupt, []);
    assert_eq!(journal.append(Bytes::from_static(b"four")).wait().unwrap().0, MessageId(3));
    assert_eq!(bodies(&journal, Position::START), ["one", "two", "four"]);
    assert_eq!(content(folder.path(), 1), before);

    // The torn bytes stay where they are, and mean nothing from then on.
    journal.close();
    let (journal, recovered) = open(folder.path());
    assert_eq!((recovered.report.torn, recovered.report.corrupt), (None, Vec::new()));
    assert_eq!(bodies(&journal, Position::START), ["one", "two", "four"]);
}

#[test]
fn a_flipped_bit_in_a_body_is_damage_and_its_neighbours_survive() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    let places = append(&journal, &["one", "two", "three"]);
    journal.close();
    flip(folder.path(), 1, byte_of(places[1]) + 25);
    let before = content(folder.path(), 1);

    let (journal, recovered) = open(folder.path());
    let [damage] = recovered.report.corrupt.as_slice() else { panic!("{recovered:?}") };
    assert_eq!((damage.volume, damage.batches.clone()), (1, 2..3));
    let bytes = u64::from(places[1].batch) * 64..u64::from(places[2].batch) * 64;
    assert_eq!(damage.bytes, bytes);
    assert_eq!(recovered.report.torn, None);

    let mut reader = journal.reader(recovered.replay_from);
    assert_eq!(reader.next().unwrap().unwrap().body, "one");
    assert!(matches!(reader.next(), Err(ReadError::Corrupt(told)) if told == *damage));
    assert_eq!(reader.next().unwrap().unwrap().body, "three");
    assert!(reader.next().unwrap().is_none());

    assert!(matches!(journal.read(places[1]), Err(ReadError::Corrupt(_))));
    assert!(journal.find(MessageId(2)).unwrap().is_none());
    assert_eq!(journal.find(MessageId(3)).unwrap().unwrap().body, "three");
    let open: Vec<MessageId> = journal.unsettled(journal.next_id()).collect();
    assert_eq!(open, [MessageId(1), MessageId(2), MessageId(3)]);
    assert_eq!(journal.append(Bytes::from_static(b"four")).wait().unwrap().0, MessageId(4));
    let (now, end) = (content(folder.path(), 1), usize::try_from(bytes.end).unwrap());
    assert_eq!(now[..end], before[..end]);
}

#[test]
fn a_flipped_bit_in_a_batch_header_is_damage_and_costs_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    let places = append(&journal, &["one", "two", "three"]);
    journal.close();
    flip(folder.path(), 1, u64::from(places[1].batch) * 64 + 17);

    let (journal, recovered) = open(folder.path());
    let [damage] = recovered.report.corrupt.as_slice() else { panic!("{recovered:?}") };
    assert_eq!((damage.batches.clone(), damage.saved), (2..3, 1));
    let mut reader = journal.reader(recovered.replay_from);
    assert_eq!(reader.next().unwrap().unwrap().body, "one");
    assert!(matches!(reader.next(), Err(ReadError::Corrupt(told)) if told == *damage));
    assert_eq!(reader.next().unwrap().unwrap().body, "two");
    assert_eq!(reader.next().unwrap().unwrap().body, "three");
    assert_eq!(journal.read(places[1]).unwrap().body, "two");
    assert_eq!(journal.find(MessageId(2)).unwrap().unwrap().body, "two");
}

#[test]
fn a_flipped_bit_in_a_volume_header_costs_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    append(&journal, &["one", "two"]);
    journal.close();
    flip(folder.path(), 1, 20);
    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt.len(), 1);
    assert_eq!(bodies(&journal, Position::START), ["one", "two"]);
    assert_eq!(journal.find(MessageId(2)).unwrap().unwrap().body, "two");
}

#[test]
fn a_damaged_batch_of_many_entries_gives_up_one() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    append(&journal, &["zero"]);
    // The writer is busy with the first, so that most of the others share a batch.
    let tickets: Vec<_> = (0_u8..100).map(|n| journal.append(Bytes::from(vec![n; 40]))).collect();
    let places: Vec<Position> = tickets.into_iter().map(|t| t.wait().unwrap().1).collect();
    append(&journal, &["last"]);
    journal.close();
    flip(folder.path(), 1, byte_of(places[50]) + 30);

    let (journal, recovered) = open(folder.path());
    let in_batch = places.iter().filter(|place| place.batch == places[50].batch).count() as u64;
    assert_eq!(recovered.report.corrupt[0].saved, in_batch - 1);
    for (place, id) in places.iter().zip(2..) {
        let found = journal.find(MessageId(id)).unwrap();
        assert_eq!(found.is_some(), *place != places[50]);
    }
}

#[test]
fn a_reused_file_revives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    append(&journal, &["one", "two"]);
    journal.close();
    // The old volume under the name of a later one, as if its file had been used again.
    let copy = RealDisk.create(&path(folder.path(), 9)).unwrap();
    copy.write_at(&content(folder.path(), 1), 0).unwrap();

    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt.len(), 1);
    assert_eq!(recovered.report.corrupt[0].volume, 9);
    assert_eq!(append(&journal, &["three"]).len(), 1);
    assert_eq!(bodies(&journal, Position::START), ["one", "two", "three"]);
    assert_eq!(journal.next_id(), MessageId(4));
}

#[test]
fn old_batches_behind_a_new_header_revive_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    append(&journal, &["one"]);
    journal.close();
    let old = content(folder.path(), 1);
    drop(journal);
    // What a spare would be if its file were not blank.
    let spare = RealDisk.open(&path(folder.path(), 2));
    if let Ok(spare) = spare {
        spare.write_at(&old[64..], 64).unwrap();
    }
    let (journal, _) = open(folder.path());
    let filler = Bytes::from(vec![7; 9000]);
    journal.append(filler.clone()).wait().unwrap();
    journal.append(filler.clone()).wait().unwrap();
    journal.close();
    let (journal, _) = open(folder.path());
    assert_eq!(
        bodies(&journal, Position::START),
        [Bytes::from_static(b"one"), filler.clone(), filler]
    );
}

#[test]
fn with_both_checkpoints_bad_everything_is_scanned() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    append(&journal, &["kept", "settled"]);
    journal
        .record(Kind::Outcome, MessageId(1), Bytes::from_static(b"tried"), false)
        .wait()
        .unwrap();
    let settle = journal.record(Kind::State, MessageId(2), Bytes::new(), true);
    settle.wait().unwrap();
    let filler = Bytes::from(vec![7; 9000]);
    for id in 3..7 {
        journal.append(filler.clone()).wait().unwrap();
        journal.record(Kind::State, MessageId(id), Bytes::new(), true).wait().unwrap();
    }
    for body in [b"a", b"b"] {
        let end = *journal.durable().borrow();
        journal.checkpoint(Bytes::from_static(body), end).unwrap();
    }
    let retained = journal.retain(std::time::SystemTime::now()).unwrap();
    assert!(retained.volumes >= 2 && retained.carried == 2, "{retained:?}");
    assert!(!path(folder.path(), 1).try_exists().unwrap());
    assert_eq!(journal.find(MessageId(1)).unwrap().unwrap().body, "kept");
    journal.close();

    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.checkpoint, CheckpointUsed::Newest);
    assert_eq!(recovered.checkpoint.as_deref(), Some(b"b".as_slice()));
    // The owner knows the message already: its copy is not handed out.
    assert_eq!(bodies(&journal, recovered.replay_from).len(), 0);
    assert_eq!(journal.find(MessageId(1)).unwrap().unwrap().body, "kept");
    journal.close();

    for name in RealDisk.list(folder.path()).unwrap() {
        if name.starts_with("checkpoint-") {
            RealDisk.open(&folder.path().join(name)).unwrap().write_at(b"x", 40).unwrap();
        }
    }
    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.checkpoint, CheckpointUsed::AllBad);
    assert_eq!((recovered.checkpoint, recovered.replay_from), (None, Position::START));
    let kept = bodies(&journal, Position::START);
    assert_eq!(kept.iter().filter(|body| **body == "kept").count(), 1);
    assert_eq!(kept.iter().filter(|body| **body == "tried").count(), 1);
    assert_eq!(journal.unsettled(journal.next_id()).collect::<Vec<_>>(), [MessageId(1)]);
    assert_eq!(journal.find(MessageId(1)).unwrap().unwrap().body, "kept");
}

#[test]
fn a_journal_behind_its_checkpoint_says_so_and_reuses_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    append(&journal, &["one", "two"]);
    let end = *journal.durable().borrow();
    journal.checkpoint(Bytes::new(), end).unwrap();
    journal.close();
    RealDisk.remove(&path(folder.path(), 1)).unwrap();
    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt.len(), 1);
    assert_eq!(journal.append(Bytes::from_static(b"new")).wait().unwrap().0, MessageId(3));
    journal.close();
    let (journal, recovered) = open(folder.path());
    assert_eq!(bodies(&journal, recovered.replay_from), ["new"]);
}

#[test]
fn a_second_process_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    let refused = Journal::open(Arc::new(RealDisk), Settings::new(folder.path())).unwrap_err();
    assert!(matches!(refused, OpenError::InUse { .. }));
    assert!(refused.to_string().ends_with("is in use by another process"));
    journal.close();
    drop(open(folder.path()));
}
