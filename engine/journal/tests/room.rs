//! What a journal does about room, time and trouble while it runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use journal::{
    checkpoint::CheckpointError,
    disk::{Disk, RealDisk},
    entry::{Kind, MessageId, Position},
    faulty::FaultyDisk,
    journal::Journal,
    queue::AppendError,
    reader::ReadError,
    report::VolumeState,
    settings::{Clock, Progress, Retention, Settings},
};

const VOLUME: u64 = 16 << 10;

fn settings(folder: &Path) -> Settings {
    Settings {
        volume_size: VOLUME,
        first_volume_size: VOLUME,
        compress: false,
        reserve: 2 * VOLUME,
        retain: Retention { age: None, size: Some(1) },
        space_check: Duration::from_millis(1),
        ..Settings::new(folder)
    }
}

fn open(disk: &FaultyDisk, settings: Settings) -> Journal {
    Journal::open(Arc::new(disk.clone()), settings).unwrap().0
}

fn faulty() -> FaultyDisk {
    FaultyDisk::new(Arc::new(RealDisk), 1)
}

fn filler() -> Bytes {
    Bytes::from(vec![7; 5000])
}

/// Waits for something that another thread does.
fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long");
        thread::yield_now();
    }
}

fn spares(journal: &Journal) -> usize {
    journal.volumes().iter().filter(|volume| volume.state == VolumeState::Spare).count()
}

#[test]
fn a_full_disk_stops_intake_only_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    journal.append(filler()).wait().unwrap();
    until(|| spares(&journal) == 2);
    disk.set_capacity(Some(disk.used() + 1000));

    let mut accepted = 1;
    let refused = loop {
        match journal.append(filler()).wait() {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, AppendError::Full);
    assert!(!*journal.intake_open().borrow());
    // What was accepted drains through the reserve.
    for id in 1..=accepted {
        let outcome = Bytes::from(vec![8; 100]);
        journal.record(Kind::Outcome, MessageId(id), outcome, false).wait().unwrap();
        journal.record(Kind::State, MessageId(id), Bytes::new(), true).wait().unwrap();
    }
    assert_eq!(journal.unsettled_count(), 0);
    assert_eq!(journal.next_id(), MessageId(accepted + 1));

    disk.set_capacity(None);
    until(|| *journal.intake_open().borrow());
    assert_eq!(journal.append(filler()).wait().unwrap().0, MessageId(accepted + 1));
}

#[test]
fn retention_gives_a_full_disk_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    journal.append(filler()).wait().unwrap();
    until(|| spares(&journal) == 2);
    disk.set_capacity(Some(disk.used() + 1000));
    while journal.append(filler()).wait().is_ok() {}
    let all: Vec<MessageId> = journal.unsettled(journal.next_id()).collect();
    for id in all {
        journal.record(Kind::State, id, Bytes::new(), true).wait().unwrap();
    }
    for _ in 0..2 {
        let end = *journal.durable().borrow();
        journal.checkpoint(Bytes::new(), end).unwrap();
    }
    let retained = journal.retain(SystemTime::now()).unwrap();
    assert!(retained.volumes > 0 && retained.carried == 0, "{retained:?}");
    until(|| *journal.intake_open().borrow());
    journal.append(filler()).wait().unwrap();
}

#[test]
fn a_checkpoint_that_finds_no_room_takes_that_of_a_spare() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    journal.append(filler()).wait().unwrap();
    until(|| spares(&journal) == 2);
    disk.set_capacity(Some(disk.used()));
    let end = *journal.durable().borrow();
    journal.checkpoint(Bytes::from(vec![1; 3000]), end).unwrap();
    assert_eq!(spares(&journal), 1);
    journal.close();
    let settings = settings(folder.path());
    let recovered = Journal::open(Arc::new(disk), settings).unwrap().1;
    assert_eq!(recovered.checkpoint, Some(Bytes::from(vec![1; 3000])));
}

#[test]
fn records_that_find_even_the_reserve_full_are_refused_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    journal.append(filler()).wait().unwrap();
    until(|| spares(&journal) == 2);
    disk.set_capacity(Some(disk.used()));
    let mut written = 0;
    while journal.record(Kind::Outcome, MessageId(1), filler(), false).wait().is_ok() {
        written += 1;
    }
    let mut reader = journal.reader(Position::START);
    let read = std::iter::from_fn(|| reader.next().unwrap()).count();
    assert_eq!(read, written + 1);
    assert!(journal.failed().borrow().is_none());
}

#[test]
fn a_failed_sync_stops_the_journal_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    journal.append(filler()).wait().unwrap();
    until(|| spares(&journal) == 2);
    disk.fail_sync_after(0);
    assert_eq!(journal.append(filler()).wait(), Err(AppendError::Failed));
    // The disk would do again; the journal must not.
    assert_eq!(journal.append(filler()).wait(), Err(AppendError::Failed));
    let settle = journal.record(Kind::State, MessageId(1), Bytes::new(), true);
    assert_eq!(settle.wait(), Err(AppendError::Failed));
    let failure = journal.failed().borrow().clone().unwrap();
    assert_eq!(failure.to_string(), "the journal cannot sync its volume: the disk lost the writes");
    assert!(!journal.is_settled(MessageId(1)));
    drop(journal);

    // What the machine still shows of the failed write is believed only after it is written anew.
    let journal = open(&disk, settings(folder.path()));
    assert_eq!(journal.next_id(), MessageId(3));
    let disk = disk.crash().unwrap();
    drop(journal);
    assert_eq!(open(&disk, settings(folder.path())).next_id(), MessageId(3));
}

#[test]
fn a_lone_sender_costs_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    journal.append(Bytes::from_static(b"one")).wait().unwrap();
    until(|| spares(&journal) == 2);
    disk.fail_sync_after(10);
    for _ in 0..10 {
        journal.append(Bytes::from_static(b"more")).wait().unwrap();
    }
    assert_eq!(journal.append(Bytes::from_static(b"end")).wait(), Err(AppendError::Failed));
}

#[test]
fn many_senders_share_syncs_and_get_their_own_ids() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    disk.set_delay(Some(Duration::from_millis(2)));
    let journal = open(&disk, settings(folder.path()));
    let mut ids: Vec<u64> = thread::scope(|scope| {
        let send = |sender: u64| {
            let journal = &journal;
            scope.spawn(move || {
                let bodies = (0..20).map(move |n| Bytes::from(format!("{sender} {n}")));
                let sent = bodies.map(|body| (journal.append(body.clone()).wait().unwrap(), body));
                sent.map(|((id, position), body)| {
                    assert_eq!(journal.read(position).unwrap().body, body);
                    assert_eq!(journal.find(id).unwrap().unwrap().body, body);
                    id.0
                })
                .collect::<Vec<u64>>()
            })
        };
        let senders: Vec<_> = (0..8).map(send).collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    ids.sort_unstable();
    assert_eq!(ids, (1..=160).collect::<Vec<u64>>());
}

#[test]
fn a_ticket_is_a_future() {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&faulty(), settings(folder.path()));
    let mut ticket = std::pin::pin!(journal.append(filler()));
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let answer = loop {
        match ticket.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => break answer,
            Poll::Pending => thread::park(),
        }
    };
    assert_eq!(answer.unwrap().0, MessageId(1));
}

#[test]
fn an_entry_larger_than_a_volume_gets_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { max_entry: 200 << 10, ..settings(folder.path()) };
    let disk = faulty();
    let journal = open(&disk, settings.clone());
    let (large, small) = (Bytes::from(vec![3; 150 << 10]), Bytes::from_static(b"small"));
    for body in [&small, &large, &small, &large, &small] {
        journal.append(body.clone()).wait().unwrap();
    }
    let too_large = journal.append(Bytes::from(vec![3; 201 << 10]));
    assert_eq!(too_large.wait(), Err(AppendError::TooLarge));
    journal.close();
    let journal = open(&disk, settings);
    let mut reader = journal.reader(Position::START);
    for body in [&small, &large, &small, &large, &small] {
        assert_eq!(reader.next().unwrap().unwrap().body, body);
    }
    assert_eq!(journal.find(MessageId(4)).unwrap().unwrap().body, large);
}

#[test]
fn a_reader_follows_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&faulty(), settings(folder.path()));
    let mut reader = journal.reader(Position::START);
    assert!(reader.next().unwrap().is_none());
    for id in 1..20 {
        let (_, position) = journal.append(filler()).wait().unwrap();
        let entry = reader.next().unwrap().unwrap();
        assert_eq!((entry.id, entry.position), (MessageId(id), position));
        assert_eq!(reader.position(), entry.after);
        assert!(reader.next().unwrap().is_none());
        // Another one that starts where this one stands sees the same.
        assert!(journal.reader(reader.position()).next().unwrap().is_none());
    }
}

#[test]
fn age_alone_drops_what_is_old_settled_and_covered() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_000_000));
    let shown = Arc::clone(&now);
    let time = move || SystemTime::UNIX_EPOCH + Duration::from_secs(shown.load(Ordering::Relaxed));
    let settings = Settings {
        clock: Clock::new(time.clone()),
        retain: Retention { age: Some(Duration::from_hours(1)), size: None },
        ..settings(folder.path())
    };
    let disk = faulty();
    let journal = open(&disk, settings.clone());
    for id in 1..10 {
        journal.append(filler()).wait().unwrap();
        if id != 2 {
            journal.record(Kind::State, MessageId(id), Bytes::new(), true).wait().unwrap();
        }
    }
    let end = *journal.durable().borrow();
    journal.checkpoint(Bytes::new(), end).unwrap();
    now.fetch_add(7200, Ordering::Relaxed);
    assert_eq!(journal.retain(time()).unwrap().volumes, 0, "one checkpoint is not enough");
    journal.checkpoint(Bytes::new(), end).unwrap();
    now.fetch_sub(7200, Ordering::Relaxed);
    assert_eq!(journal.retain(time()).unwrap().volumes, 0, "nothing is old");
    now.fetch_add(7200, Ordering::Relaxed);
    // Also after a restart, which scans none of it.
    journal.close();
    let journal = open(&disk, settings);
    let first = Position { volume: 1, batch: 1, entry: 0 };
    let needed = journal.retain_before(time(), first).unwrap();
    assert_eq!(needed.volumes, 0, "somebody still reads the first volume");
    let retained = journal.retain(time()).unwrap();
    assert!(retained.volumes > 0 && retained.carried == 1, "{retained:?}");
    assert_eq!(journal.find(MessageId(2)).unwrap().unwrap().body, filler());
    assert!(journal.find(MessageId(1)).unwrap().is_none());
    assert!(matches!(journal.reader(first).next(), Err(ReadError::Dropped { .. })));
}

/// Wherever the power goes while volumes are dropped: what is unsettled is there, once.
#[test]
fn retention_cut_short_loses_nothing_and_carries_nothing_twice() {
    for operations in 0..12 {
        let folder = tempfile::tempdir().unwrap();
        let disk = faulty();
        let journal = open(&disk, settings(folder.path()));
        for id in 1..12 {
            journal.append(filler()).wait().unwrap();
            journal.record(Kind::State, MessageId(id), Bytes::new(), id % 5 != 0).wait().unwrap();
        }
        until(|| spares(&journal) == 2);
        for _ in 0..2 {
            let end = *journal.durable().borrow();
            journal.checkpoint(Bytes::new(), end).unwrap();
        }
        disk.power_off_after(operations);
        journal.retain(SystemTime::now()).ok();
        let disk = disk.crash().unwrap();
        drop(journal);

        let journal = open(&disk, settings(folder.path()));
        journal.retain(SystemTime::now()).unwrap();
        journal.close();
        for name in disk.list(folder.path()).unwrap() {
            if name.starts_with("checkpoint-") {
                disk.remove(&folder.path().join(name)).unwrap();
            }
        }
        let journal = open(&disk, settings(folder.path()));
        let open: Vec<MessageId> = journal.unsettled(journal.next_id()).collect();
        assert_eq!(open, [MessageId(5), MessageId(10)]);
        let mut reader = journal.reader(Position::START);
        let mut seen: Vec<_> = std::iter::from_fn(|| reader.next().unwrap())
            .filter(|entry| open.contains(&entry.id))
            .map(|entry| (entry.id, entry.kind))
            .collect();
        seen.sort_unstable();
        let both = |id| [(MessageId(id), Kind::Accepted), (MessageId(id), Kind::State)];
        assert_eq!(seen, [both(5), both(10)].concat(), "cut after {operations}");
    }
}

#[test]
fn records_name_messages_that_exist() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&faulty(), settings(folder.path()));
    let record = |id| journal.record(Kind::Outcome, MessageId(id), Bytes::new(), true).wait();
    assert_eq!(record(1), Err(AppendError::UnknownMessage));
    journal.append(filler()).wait().unwrap();
    record(1).unwrap();
    record(0).unwrap();
    assert!(journal.is_settled(MessageId(1)) && !journal.is_settled(MessageId(0)));
}

#[test]
fn checkpoints_cover_what_is_durable_and_never_less_than_before() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&faulty(), settings(folder.path()));
    let (_, first) = journal.append(filler()).wait().unwrap();
    let end = *journal.durable().borrow();
    let beyond = Position { volume: end.volume + 1, ..end };
    let refused = journal.checkpoint(Bytes::new(), beyond);
    assert!(matches!(refused, Err(CheckpointError::NotDurable { .. })));
    journal.checkpoint(Bytes::new(), end).unwrap();
    let refused = journal.checkpoint(Bytes::new(), first);
    assert!(matches!(refused, Err(CheckpointError::Backwards { .. })));
}

#[test]
fn a_long_recovery_tells_how_far_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let disk = faulty();
    let journal = open(&disk, settings(folder.path()));
    for _ in 0..6 {
        journal.append(filler()).wait().unwrap();
    }
    journal.close();
    let told = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&told);
    let progress = Progress::new(move |done, all| {
        assert!(done <= all && seen.swap(done, Ordering::Relaxed) < done);
    });
    let settings = Settings { progress: Some(progress), ..settings(folder.path()) };
    let journal = open(&disk, settings);
    assert!(told.load(Ordering::Relaxed) > 6 * 5000);
    drop(journal);
}

#[test]
fn a_closed_journal_takes_nothing_and_still_reads() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(&faulty(), settings(folder.path()));
    let waiting = journal.append(filler());
    journal.close();
    let (_, position) = waiting.wait().unwrap();
    assert_eq!(journal.append(filler()).wait(), Err(AppendError::Closed));
    assert_eq!(journal.read(position).unwrap().body, filler());
}
