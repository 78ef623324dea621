//! What opening and reading cost, counted in work and not in time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use journal::{
    disk::{Disk, DiskFile, Lock, RealDisk},
    entry::{Entry, Kind, MessageId},
    journal::Journal,
    settings::Settings,
};

/// What was done with a disk.
#[derive(Debug, Default)]
struct Counts {
    opened: AtomicU64,
    open: AtomicI64,
    most_open: AtomicI64,
    read: AtomicU64,
}

/// The real disk, counted.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<Counts>);

#[derive(Debug)]
struct CountedFile {
    inner: Arc<dyn DiskFile>,
    counts: Arc<Counts>,
}

impl Counting {
    fn counted(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        let open = self.0.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.most_open.fetch_max(open, Ordering::Relaxed);
        Arc::new(CountedFile { inner, counts: Arc::clone(&self.0) })
    }

    fn read(&self) -> u64 {
        self.0.read.load(Ordering::Relaxed)
    }
}

impl Drop for CountedFile {
    fn drop(&mut self) {
        self.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Disk for Counting {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        RealDisk.create_folder(folder)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.counted(RealDisk.create(path)?))
    }
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.counted(RealDisk.open(path)?))
    }
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        RealDisk.sync_dir(folder)
    }
    fn lock(&self, path: &Path) -> io::Result<Lock> {
        RealDisk.lock(path)
    }
}

impl DiskFile for CountedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let read = self.inner.read_at(buffer, offset)?;
        self.counts.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.inner.write_at(bytes, offset)
    }
    // Nothing here is about power cuts, and the test would wait for the disk all day.
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }
}

const VOLUME: u64 = 256 << 10;

fn settings(folder: &Path, compress: bool) -> Settings {
    Settings {
        volume_size: VOLUME,
        first_volume_size: VOLUME,
        reserve: VOLUME,
        compress,
        ..Settings::new(folder)
    }
}

fn body(id: u64) -> Bytes {
    format!("message {id} ").repeat(40).into()
}

/// Appends messages up to `last`; every second one is settled.
fn fill(journal: &Journal, last: u64) {
    let first = journal.next_id().0;
    let tickets: Vec<_> = (first..=last).map(|id| journal.append(body(id))).collect();
    let ids = tickets.into_iter().map(|ticket| ticket.wait().unwrap().0);
    let settled: Vec<_> = ids
        .filter(|id| id.0 % 2 == 0)
        .map(|id| journal.record(Kind::State, id, Bytes::new(), true))
        .collect();
    for ticket in settled {
        ticket.wait().unwrap();
    }
}

#[test]
fn opening_costs_what_was_written_since_the_checkpoint_however_much_there_is() {
    let mut costs = Vec::new();
    for messages in [6000, 30_000] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Counting::default();
        let settings = settings(folder.path(), false);
        let (journal, _) = Journal::open(Arc::new(disk.clone()), settings.clone()).unwrap();
        fill(&journal, messages);
        let end = *journal.durable().borrow();
        journal.checkpoint(Bytes::new(), end).unwrap();
        fill(&journal, messages + 200);
        journal.close();
        let volumes = journal.volumes().len() as u64;
        drop(journal);

        let disk = Counting::default();
        let (journal, recovered) = Journal::open(Arc::new(disk.clone()), settings).unwrap();
        assert!(recovered.report.scanned < 400 << 10, "{:?}", recovered.report);
        assert_eq!(recovered.report.entries, 300);
        // Every volume's header, the checkpoint, what came behind it, and the rest of a volume.
        let read = disk.read();
        assert!(read < (400 << 10) + 4 * VOLUME + 64 * volumes, "{read} of {volumes} volumes");
        let opened = disk.0.opened.load(Ordering::Relaxed);
        assert!(opened <= volumes + 12, "{opened} of {volumes} volumes");
        let most = disk.0.most_open.load(Ordering::Relaxed);
        assert!(most <= 20, "{most} files open at once");
        assert_eq!(journal.unsettled_count(), messages / 2 + 100);
        costs.push((volumes, read));
    }
    let [(few, little), (many, much)] = costs[..] else { unreachable!() };
    assert!(many > 4 * few && much < little + (300 << 10), "{costs:?}");
}

#[test]
fn unsettled_messages_and_rising_ids_are_read_in_one_pass_with_few_files_open() {
    for compress in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let disk = Counting::default();
        let settings = settings(folder.path(), compress);
        let (journal, _) = Journal::open(Arc::new(disk.clone()), settings).unwrap();
        fill(&journal, 20_000);
        journal.pack().unwrap();
        let volumes = journal.volumes();
        let stored: u64 = volumes.iter().map(|volume| volume.size).sum();
        assert!(volumes.len() > if compress { 30 } else { 40 }, "{}", volumes.len());

        let before = disk.read();
        let held: Vec<Entry> =
            journal.unsettled_entries(journal.next_id()).collect::<Result<_, _>>().unwrap();
        let ids = held.iter().map(|entry| entry.id.0);
        assert!(ids.eq((1..20_000).step_by(2)));
        assert!(held.iter().all(|entry| entry.body == body(entry.id.0)));
        let read = disk.read() - before;
        // Once for the headers of batches in raw volumes, and once for what is in them.
        assert!(read < stored * 5 / 2, "{read} bytes read of {stored}");

        let before = disk.read();
        for id in 1..=20_000 {
            assert_eq!(journal.find(MessageId(id)).unwrap().unwrap().id.0, id);
        }
        let read = disk.read() - before;
        assert!(read < stored * 5 / 2, "{read} bytes read of {stored}");
        let most = disk.0.most_open.load(Ordering::Relaxed);
        assert!(most <= 24, "{most} files open at once");
    }
}
