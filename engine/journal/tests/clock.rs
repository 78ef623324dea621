//! Retention by age with a clock that jumps.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use journal::{
    disk::RealDisk,
    entry::{Kind, MessageId},
    journal::Journal,
    settings::{Clock, Retention, Settings},
};

const HOUR: u64 = 3600;
const TEN_YEARS: u64 = 10 * 365 * 24 * HOUR;

/// Seconds since 1970, set by the test.
#[derive(Clone, Debug)]
struct Time(Arc<AtomicU64>);

impl Time {
    fn set(&self, seconds: u64) {
        self.0.store(seconds, Ordering::Relaxed);
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

/// A journal that keeps ten hours, in volumes of three messages.
fn open(folder: &Path, time: &Time, compress: bool) -> Journal {
    let shown = time.clone();
    let settings = Settings {
        volume_size: 16 << 10,
        first_volume_size: 16 << 10,
        reserve: 16 << 10,
        compress,
        clock: Clock::new(move || shown.now()),
        retain: Retention { age: Some(Duration::from_secs(10 * HOUR)), size: None },
        ..Settings::new(folder)
    };
    Journal::open(Arc::new(RealDisk), settings).unwrap().0
}

/// Appends a message at `seconds` and settles it.
fn append(journal: &Journal, time: &Time, seconds: u64) -> MessageId {
    time.set(seconds);
    let (id, _) = journal.append(Bytes::from(vec![7; 5000])).wait().unwrap();
    journal.record(Kind::State, id, Bytes::new(), true).wait().unwrap();
    id
}

fn cover(journal: &Journal) {
    for _ in 0..2 {
        let end = *journal.durable().borrow();
        journal.checkpoint(Bytes::new(), end).unwrap();
    }
}

/// The oldest message that is still there, looked at when the clock shows `seconds`.
fn oldest(journal: &Journal, time: &Time, seconds: u64) -> u64 {
    time.set(seconds);
    journal.retain(time.now()).unwrap();
    (1..journal.next_id().0).find(|id| journal.find(MessageId(*id)).unwrap().is_some()).unwrap()
}

/// One message an hour, and what one of them states instead of its hour.
fn world(journal: &Journal, time: &Time, strange: u64, states: u64) {
    for hour in 100..130 {
        let seconds = if hour == strange { states } else { hour * HOUR };
        append(journal, time, seconds);
    }
    cover(journal);
}

#[test]
fn one_batch_from_the_future_or_the_past_changes_next_to_nothing() {
    for compress in [false, true] {
        let mut oldest_of = Vec::new();
        for states in [105 * HOUR, TEN_YEARS, 0] {
            let folder = tempfile::tempdir().unwrap();
            let time = Time(Arc::default());
            let journal = open(folder.path(), &time, compress);
            world(&journal, &time, 105, states);
            journal.pack().unwrap();
            // Also when nothing is known but what stands on the disk.
            journal.close();
            let journal = open(folder.path(), &time, compress);
            assert_eq!(oldest(&journal, &time, 110 * HOUR), 1, "{states}");
            let found = oldest(&journal, &time, 125 * HOUR);
            assert!((13..=16).contains(&found), "{found} with {states}");
            oldest_of.push(found);
        }
        let spread = oldest_of.iter().max().unwrap() - oldest_of.iter().min().unwrap();
        assert!(spread <= 3, "{oldest_of:?}");
    }
}

#[test]
fn hours_with_a_clock_set_back_make_nothing_older() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time(Arc::default());
    let journal = open(folder.path(), &time, false);
    for hour in 100..110 {
        append(&journal, &time, hour * HOUR);
    }
    // Several whole volumes.
    for hour in 0..10 {
        append(&journal, &time, hour * HOUR);
    }
    for hour in 120..125 {
        append(&journal, &time, hour * HOUR);
    }
    cover(&journal);
    journal.close();
    let journal = open(folder.path(), &time, false);
    assert_eq!(oldest(&journal, &time, 110 * HOUR), 1);
    assert_eq!(oldest(&journal, &time, 115 * HOUR), 4);
    // What was written with the clock set back lies behind, and goes no sooner.
    assert_eq!(oldest(&journal, &time, 119 * HOUR), 10);
}

#[test]
fn a_look_at_a_clock_that_leapt_drops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let time = Time(Arc::default());
    let journal = open(folder.path(), &time, false);
    world(&journal, &time, 0, 0);
    assert_eq!(oldest(&journal, &time, 109 * HOUR), 1);
    assert_eq!(oldest(&journal, &time, TEN_YEARS), 1);
    assert_eq!(oldest(&journal, &time, 109 * HOUR), 1);
    // It stays: then it is right.
    assert_eq!(oldest(&journal, &time, TEN_YEARS), 1);
    assert!(oldest(&journal, &time, TEN_YEARS + 1) > 20);
}
