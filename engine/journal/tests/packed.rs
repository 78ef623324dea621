//! Packed volumes: the same journal in less room, also when one of them is damaged or half made.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use bytes::Bytes;
use journal::{
    disk::{Disk, RealDisk},
    entry::{Entry, Kind, MessageId, Position},
    faulty::FaultyDisk,
    journal::Journal,
    reader::ReadError,
    report::{Recovered, VolumeState},
    settings::{Retention, Settings},
};

/// Larger than a frame, so that a volume has several.
const VOLUME: u64 = 2 << 20;

fn settings(folder: &Path) -> Settings {
    Settings {
        volume_size: VOLUME,
        first_volume_size: VOLUME,
        reserve: VOLUME,
        // Nothing is packed behind a test's back.
        compress: false,
        retain: Retention { age: None, size: Some(1) },
        ..Settings::new(folder)
    }
}

fn open(folder: &Path) -> (Journal, Recovered) {
    Journal::open(Arc::new(RealDisk), settings(folder)).unwrap()
}

/// Opens it, packs what is sealed, and closes it.
fn pack(folder: &Path) -> u64 {
    let settings = Settings { compress: true, ..settings(folder) };
    let (journal, _) = Journal::open(Arc::new(RealDisk), settings).unwrap();
    journal.pack().unwrap();
    let packed = |volume: &journal::report::VolumeFacts| volume.state == VolumeState::Packed;
    let count = journal.volumes().into_iter().filter(packed).count() as u64;
    journal.close();
    count
}

/// The body of message `id`: 6 KB that repeat, and so pack well.
fn body(id: u64) -> Bytes {
    format!("message {id} of 1000 ").repeat(300).into()
}

/// Appends messages up to `last`, every tenth of which stays unsettled.
fn fill(journal: &Journal, last: u64) {
    let mut tickets = Vec::new();
    for id in journal.next_id().0..=last {
        tickets.push(journal.append(body(id)));
        if id % 100 == 0 || id == last {
            tickets.drain(..).for_each(|ticket| {
                let (id, _) = ticket.wait().unwrap();
                let outcome = format!("outcome of {id}").repeat(20).into();
                let outcome = journal.record(Kind::Outcome, id, outcome, false);
                let settle = journal.record(Kind::State, id, Bytes::new(), id.0 % 10 != 0);
                outcome.wait().and(settle.wait()).unwrap();
            });
        }
    }
}

fn all(journal: &Journal) -> Vec<(MessageId, Kind, Position, u64, Bytes)> {
    let mut reader = journal.reader(Position::START);
    let entries = std::iter::from_fn(|| reader.next().unwrap());
    entries.map(|entry| (entry.id, entry.kind, entry.position, entry.written, entry.body)).collect()
}

fn path(folder: &Path, volume: u64, ending: &str) -> std::path::PathBuf {
    folder.join(format!("journal-{volume:020}.{ending}"))
}

fn is_there(path: &Path) -> bool {
    path.try_exists().unwrap()
}

fn flip(path: &Path, at: u64) {
    let file = RealDisk.open(path).unwrap();
    let mut byte = [0];
    file.read_at(&mut byte, at).unwrap();
    file.write_at(&[byte[0] ^ 0x10], at).unwrap();
}

#[test]
fn a_packed_journal_reads_the_same_in_a_tenth_of_the_room() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    fill(&journal, 1000);
    let before = all(&journal);
    journal.close();
    let raw = pack(folder.path());
    assert!(raw >= 2, "{raw}");

    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt, []);
    assert_eq!(all(&journal), before);
    for (id, kind, position, written, body) in &before {
        let read = journal.read(*position).unwrap();
        assert_eq!((read.id, read.kind, read.written, &read.body), (*id, *kind, *written, body));
    }
    // In no order, rising, falling.
    for id in (1..=1000).map(|n| n * 7 % 1001).chain(1..=1000).chain((1..=1000).rev()) {
        let found = journal.find(MessageId(id)).unwrap();
        assert_eq!(found.map(|entry| entry.body), (id > 0).then(|| body(id)));
    }
    for volume in journal.volumes().iter().filter(|volume| volume.state == VolumeState::Packed) {
        let there = fs::metadata(path(folder.path(), volume.id, "packed")).unwrap().len();
        assert_eq!(volume.size, there);
        assert!(volume.size * 10 < volume.used, "{volume:?}");
        assert!(!is_there(&path(folder.path(), volume.id, "volume")));
    }
    // Readers from any place go on from one to the other.
    let (_, _, middle, ..) = before[before.len() / 2];
    let mut reader = journal.reader(middle);
    assert_eq!(reader.next().unwrap().unwrap().position, middle);
}

#[test]
fn a_damaged_frame_is_named_and_costs_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    fill(&journal, 1000);
    journal.close();
    pack(folder.path());
    let packed = path(folder.path(), 1, "packed");
    // In the body of the largest frame but the first: how the messages shared batches, and so which
    // frame has how many, is the writer's to say.
    let bytes = fs::read(&packed).unwrap();
    let starts: Vec<usize> =
        (0..bytes.len()).step_by(64).filter(|at| bytes[*at..].starts_with(b"TLNFRAME")).collect();
    // Each frame has its header before it, and once more in the index.
    let frames = starts.len() / 2;
    assert!(frames >= 3, "{starts:?}");
    let raw_length = |at: &usize| u32::from_le_bytes(bytes[at + 40..at + 44].try_into().unwrap());
    let largest = starts[1..frames].iter().copied().max_by_key(raw_length).unwrap();
    flip(&packed, largest as u64 + 100);

    let (journal, recovered) = open(folder.path());
    let [damage] = recovered.report.corrupt.as_slice() else { panic!("{recovered:?}") };
    assert_eq!(damage.volume, 1);
    let length = damage.bytes.end - damage.bytes.start;
    assert!(length <= 1 << 20 && !damage.batches.is_empty(), "{damage}");
    let mut reader = journal.reader(Position::START);
    let (mut seen, mut told) = (Vec::new(), Vec::new());
    loop {
        match reader.next() {
            Ok(Some(Entry { kind: Kind::Accepted, id, .. })) => seen.push(id.0),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(ReadError::Corrupt(damage)) => told.push(damage),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(told, *recovered.report.corrupt);
    let missing: Vec<u64> = (1..=1000).filter(|id| !seen.contains(id)).collect();
    assert!((20..200).contains(&missing.len()), "{missing:?}");
    for id in 1..=1000 {
        let found = journal.find(MessageId(id)).unwrap();
        assert_eq!(found.is_some(), !missing.contains(&id), "{id}");
    }
    let held: Vec<_> = journal.unsettled_entries(journal.next_id()).collect();
    let damaged = held.iter().filter(|one| matches!(one, Err(ReadError::Corrupt(_)))).count();
    assert_eq!(damaged, 1);
    let there = held.iter().flatten().filter(|entry| entry.id.0 % 10 == 0).count();
    assert_eq!(there, (1..=1000).filter(|id| id % 10 == 0 && !missing.contains(id)).count());
}

#[test]
fn a_damaged_header_or_index_of_a_packed_volume_costs_no_entry() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    fill(&journal, 700);
    let before = all(&journal);
    journal.close();
    pack(folder.path());
    let packed = path(folder.path(), 1, "packed");
    let end = fs::metadata(&packed).unwrap().len();
    flip(&packed, end - 30);
    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt, []);
    assert_eq!(all(&journal), before);
    journal.close();
    flip(&packed, 20);
    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt.len(), 1);
    assert_eq!(all(&journal), before);
}

#[test]
fn a_volume_with_damage_or_a_torn_end_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    fill(&journal, 1000);
    journal.close();
    flip(&path(folder.path(), 1, "volume"), 70_000);
    let damaged = fs::read(path(folder.path(), 1, "volume")).unwrap();
    assert!(pack(folder.path()) >= 1);
    assert_eq!(fs::read(path(folder.path(), 1, "volume")).unwrap(), damaged);
    assert!(is_there(&path(folder.path(), 2, "packed")));
    let names = RealDisk.list(folder.path()).unwrap();
    assert!(!names.iter().any(|name| name.contains(".new")), "{names:?}");
}

#[test]
fn what_a_crash_left_of_packing_is_cleared_up() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    fill(&journal, 700);
    let before = all(&journal);
    journal.close();
    let (raw, packed) = (path(folder.path(), 1, "volume"), path(folder.path(), 1, "packed"));
    let kept = fs::read(&raw).unwrap();
    pack(folder.path());
    // Both are there: the packed one is verified, and takes the place.
    fs::write(&raw, &kept).unwrap();
    pack(folder.path());
    assert!(!is_there(&raw) && is_there(&packed));
    // Both are there and the packed one is damaged: it is made anew.
    fs::write(&raw, &kept).unwrap();
    flip(&packed, 5000);
    fs::write(folder.path().join("journal-00000000000000000001.packed.new"), "half").unwrap();
    pack(folder.path());
    assert!(!is_there(&raw) && is_there(&packed));
    let (journal, recovered) = open(folder.path());
    assert_eq!(recovered.report.corrupt, []);
    assert_eq!(all(&journal), before);
}

/// Wherever the power goes, either the raw volume or the whole packed one is there.
#[test]
fn packing_cut_short_loses_nothing() {
    for operations in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(Arc::new(RealDisk), operations);
        let small = Settings {
            volume_size: 16 << 10,
            first_volume_size: 16 << 10,
            reserve: 16 << 10,
            ..settings(folder.path())
        };
        let (journal, _) = Journal::open(Arc::new(disk.clone()), small.clone()).unwrap();
        fill(&journal, 10);
        let before = all(&journal);
        journal.close();
        let packing = Settings { compress: true, ..small.clone() };
        disk.power_off_after(u32::try_from(operations).unwrap());
        if let Ok((journal, _)) = Journal::open(Arc::new(disk.clone()), packing.clone()) {
            journal.pack().ok();
            journal.close();
        }
        let disk = disk.crash().unwrap();
        let (journal, recovered) = Journal::open(Arc::new(disk.clone()), small).unwrap();
        assert_eq!(recovered.report.corrupt, [], "cut after {operations}");
        assert_eq!(all(&journal), before, "cut after {operations}");
        journal.close();
        let (journal, _) = Journal::open(Arc::new(disk), packing).unwrap();
        journal.pack().unwrap();
        assert_eq!(all(&journal), before, "cut after {operations}");
    }
}

#[test]
fn a_full_disk_puts_packing_off_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::new(Arc::new(RealDisk), 1);
    let (journal, _) = Journal::open(Arc::new(disk.clone()), settings(folder.path())).unwrap();
    fill(&journal, 700);
    let before = all(&journal);
    journal.close();
    let packing = Settings { compress: true, reserve: VOLUME, ..settings(folder.path()) };
    disk.set_capacity(Some(disk.used()));
    let (journal, _) = Journal::open(Arc::new(disk.clone()), packing).unwrap();
    assert!(journal.pack().is_err());
    assert_eq!(all(&journal), before);
    assert_eq!(journal.failed().borrow().clone(), None);
    disk.set_capacity(None);
    journal.pack().unwrap();
    assert_eq!(all(&journal), before);
    assert_eq!(journal.volumes()[0].state, VolumeState::Packed);
    journal.append(body(701)).wait().unwrap();
}

#[test]
fn packed_volumes_are_dropped_and_what_is_unsettled_in_them_is_carried() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path());
    fill(&journal, 700);
    journal.close();
    pack(folder.path());
    let (journal, _) = open(folder.path());
    for _ in 0..2 {
        let end = *journal.durable().borrow();
        journal.checkpoint(Bytes::new(), end).unwrap();
    }
    let retained = journal.retain(SystemTime::now()).unwrap();
    assert!(retained.volumes >= 1 && retained.carried > 0, "{retained:?}");
    assert!(!is_there(&path(folder.path(), 1, "packed")));
    let held: Vec<Entry> =
        journal.unsettled_entries(journal.next_id()).collect::<Result<_, _>>().unwrap();
    let ids: Vec<u64> = held.iter().map(|entry| entry.id.0).collect();
    assert_eq!(ids, (1..=700).filter(|id| id % 10 == 0).collect::<Vec<u64>>());
    assert!(held.iter().all(|entry| entry.body == body(entry.id.0)));
    assert!(held[0].carried && !held[held.len() - 1].carried);
    let below: Vec<Entry> = journal.unsettled_entries(MessageId(20)).map(Result::unwrap).collect();
    assert_eq!(below.len(), 1);
    // All about a carried message is there, once.
    let kinds = |id| {
        let about = journal.records_about(MessageId(id), None).unwrap();
        about.into_iter().map(|entry| (entry.kind, entry.carried)).collect::<Vec<_>>()
    };
    let carried = [(Kind::Accepted, true), (Kind::Outcome, true), (Kind::State, true)];
    assert_eq!(kinds(10), carried);
    assert_eq!(kinds(700), carried.map(|(kind, _)| (kind, false)));
    assert_eq!(kinds(701), []);
    let (accepted, outcome) = (held.last().unwrap(), Kind::Outcome);
    let about = journal.records_about(MessageId(700), None).unwrap();
    let place = about.iter().find(|entry| entry.kind == outcome).unwrap().position;
    let until = journal.records_about(MessageId(700), Some(place)).unwrap();
    assert_eq!(until.len(), 1);
    assert_eq!(until[0].position, accepted.position);
}
