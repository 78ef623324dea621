//! The failing disk of a whole program, steered by a file as another process would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use journal::{
    disk::{Disk, RealDisk},
    entry::Position,
    faulty::FaultyDisk,
    journal::Journal,
    queue::AppendError,
    settings::Settings,
};

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        World { folder: tempfile::tempdir().unwrap() }
    }

    fn control(&self) -> PathBuf {
        self.folder.path().join("control")
    }

    fn order(&self, text: &str) {
        let unfinished = self.folder.path().join("control.new");
        fs::write(&unfinished, text).unwrap();
        fs::rename(unfinished, self.control()).unwrap();
    }

    fn journal_folder(&self) -> PathBuf {
        self.folder.path().join("journal")
    }

    fn settings(&self) -> Settings {
        Settings {
            volume_size: 16 << 10,
            first_volume_size: 16 << 10,
            reserve: 32 << 10,
            space_check: Duration::from_millis(1),
            compress: false,
            ..Settings::new(self.journal_folder())
        }
    }

    fn open(&self) -> Journal {
        let disk = Arc::new(FaultyDisk::controlled(self.control()));
        Journal::open(disk, self.settings()).unwrap().0
    }
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

#[test]
fn a_disk_that_is_said_to_be_full_shuts_intake_until_it_is_not() {
    for full in ["full=true\n", "free_bytes=1000\n"] {
        let world = World::new();
        let journal = world.open();
        journal.append(filler()).wait().unwrap();
        world.order(full);
        until(|| journal.append(filler()).wait() == Err(AppendError::Full));
        world.order("# well again\n");
        until(|| journal.append(filler()).wait().is_ok());
        assert!(journal.failed().borrow().is_none());
    }
}

#[test]
fn the_sync_that_is_named_fails() {
    let world = World::new();
    let journal = world.open();
    journal.append(filler()).wait().unwrap();
    let name = |sync: u32| world.order(&format!("fail_sync={sync}\ndelay_ms=1\n"));
    let (failed, mut named) = (world.folder.path().join("control.failed"), 3);
    name(named);
    until(|| {
        // Over a file that it can make anew a journal does not fail: then another sync is named.
        if fs::remove_file(&failed).is_ok() {
            named += 1;
            name(named);
        }
        journal.append(Bytes::from_static(b"one")).wait() == Err(AppendError::Failed)
    });
    drop(journal);
    // A new process of the same journal, on a disk that is well.
    world.order("");
    world.open().append(filler()).wait().unwrap();
}

#[test]
fn what_was_not_synced_dies_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let (kept, lost) = (folder.path().join("kept"), folder.path().join("lost"));
    {
        let disk = FaultyDisk::controlled(folder.path().join("control"));
        disk.create_folder(folder.path()).unwrap();
        let (first, second) = (disk.create(&kept).unwrap(), disk.create(&lost).unwrap());
        first.write_at(b"kept", 0).unwrap();
        first.sync().unwrap();
        first.write_at(b"more", 4).unwrap();
        second.write_at(b"lost", 0).unwrap();
        disk.sync_dir(folder.path()).unwrap();
        disk.remove(&kept).unwrap();
        assert!(disk.open(&kept).is_err());
        let names = disk.list(folder.path()).unwrap();
        assert!(!names.iter().any(|name| name.starts_with("kept")), "{names:?}");
    }
    let disk = FaultyDisk::controlled(folder.path().join("control"));
    disk.create_folder(folder.path()).unwrap();
    let read = |path: &Path| {
        let file = disk.open(path).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_at(&mut bytes, 0).unwrap();
        bytes
    };
    assert_eq!((read(&kept), read(&lost)), (b"kept".to_vec(), Vec::new()));
}

/// A process that is killed loses what was not promised, and nothing else.
#[test]
fn a_journal_survives_the_death_of_its_process() {
    let world = World::new();
    let journal = world.open();
    let promised: Vec<_> = (0..20).map(|_| journal.append(filler()).wait().unwrap()).collect();
    // Nothing of the first journal is closed: what it kept in memory is simply not there.
    let copy = tempfile::tempdir().unwrap();
    for name in RealDisk.list(&world.journal_folder()).unwrap() {
        fs::copy(world.journal_folder().join(&name), copy.path().join(&name)).unwrap();
    }
    let settings = Settings { folder: copy.path().to_owned(), ..world.settings() };
    let (found, recovered) = Journal::open(Arc::new(RealDisk), settings).unwrap();
    assert_eq!(recovered.report.corrupt, []);
    let mut reader = found.reader(Position::START);
    let read: Vec<_> = std::iter::from_fn(|| reader.next().unwrap()).collect();
    assert_eq!(read.iter().map(|e| (e.id, e.position)).collect::<Vec<_>>(), promised);
}
