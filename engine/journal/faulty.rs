//! A disk that fails on purpose, for tests (cargo feature `faults`).
//!
//! What was not synced lives in this process only: writes in a list over the real file, names as
//! work that can be undone. So when the process is killed its writes are lost as if the power had
//! gone, and [`FaultyDisk::crash`] does that, and worse, without killing anything. What was synced
//! is handed to the operating system, which outlives every test.
//!
//! [`FaultyDisk::controlled`] makes one for a whole program, which another process steers through a
//! file (`control.rs` says what stands in it), and whose SIGKILL is a power cut: unsynced writes are
//! lost and unsynced removals undone. Files that were made or renamed keep their new names.

use std::{
    collections::BTreeMap,
    io, mem,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    control::{Control, Orders},
    disk::{Disk, DiskFile, Lock, RealDisk},
    unsynced::{Chance, Fate, Write},
};

/// How a removed file is called until its removal is durable.
const GRAVE: &str = ".removed";

/// A disk over another one that loses, refuses and delays as told.
#[derive(Clone, Debug)]
pub struct FaultyDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    inner: Arc<dyn Disk>,
    state: Mutex<State>,
    pause: Condvar,
    locked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    chance: Chance,
    files: BTreeMap<PathBuf, Arc<Node>>,
    /// Changes of names since the last sync of the folder, oldest first.
    names: Vec<Name>,
    graves: u64,
    capacity: Option<u64>,
    syncs_left: Option<u32>,
    delay: Option<Duration>,
    power_left: Option<u32>,
    /// No file grows and none is made.
    full: bool,
    control: Option<Control>,
    /// Power is off: nothing works any more.
    dead: bool,
}

/// A file, whatever its name is now. Its writes are only touched under the lock of the state.
#[derive(Debug)]
struct Node {
    inner: Arc<dyn DiskFile>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    length: u64,
    writes: Vec<Write>,
}

#[derive(Debug)]
enum Name {
    Created(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    /// Removed files wait under another name until the folder is synced.
    Removed {
        path: PathBuf,
        grave: PathBuf,
    },
}

impl FaultyDisk {
    /// A disk over `inner` that behaves until it is told otherwise; `seed` decides what a crash
    /// tears.
    pub fn new(inner: Arc<dyn Disk>, seed: u64) -> FaultyDisk {
        FaultyDisk::over(inner, State { chance: Chance(seed), ..State::default() })
    }

    /// The machine's own disk, as the control `file` says, which may come later and change at any
    /// time. What a killed process had removed without syncing is there again.
    pub fn controlled(file: PathBuf) -> FaultyDisk {
        let control = Some(Control::new(file));
        FaultyDisk::over(Arc::new(RealDisk), State { control, ..State::default() })
    }

    fn over(inner: Arc<dyn Disk>, state: State) -> FaultyDisk {
        FaultyDisk(Arc::new(Shared {
            inner,
            state: Mutex::new(state),
            pause: Condvar::new(),
            locked: Arc::default(),
        }))
    }

    /// The files it made or opened may have this many bytes together; more is refused as a full
    /// disk would.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.state().capacity = bytes;
    }

    /// Bytes of the files it made or opened.
    pub fn used(&self) -> u64 {
        self.0.state().used()
    }

    /// Lets this many more syncs of files succeed, then one fail.
    pub fn fail_sync_after(&self, syncs: u32) {
        self.0.state().syncs_left = Some(syncs);
    }

    /// Makes every sync of a file take so long.
    pub fn set_delay(&self, delay: Option<Duration>) {
        self.0.state().delay = delay;
    }

    /// Lets this many more writes, syncs and changes of names happen, then cuts the power: from
    /// there everything fails and nothing changes.
    pub fn power_off_after(&self, operations: u32) {
        self.0.state().power_left = Some(operations);
    }

    /// Cuts the power and gives the disk as it is found afterwards: any part of what was not
    /// synced is lost, in sectors; of unsynced names the newest ones. This disk works no more.
    ///
    /// # Errors
    /// Those of the disk below.
    pub fn crash(&self) -> io::Result<FaultyDisk> {
        let mut state = self.0.state();
        let state = &mut *state;
        state.dead = true;
        let names = mem::take(&mut state.names);
        let kept = usize::try_from(state.chance.below(names.len() as u64 + 1)).unwrap_or(0);
        for (place, name) in names.into_iter().enumerate().rev() {
            // Newest first, because names build on each other.
            if place >= kept {
                state.undo(name, &*self.0.inner)?;
            } else {
                state.settle(name, &*self.0.inner)?;
            }
        }
        for node in state.files.values() {
            for write in node.memory().writes.iter().filter(|write| write.fate == Fate::Unsynced) {
                write.tear(&*node.inner, &mut state.chance)?;
            }
        }
        Ok(FaultyDisk::new(Arc::clone(&self.0.inner), state.chance.draw()))
    }
}

impl FaultyDisk {
    /// Takes back the removals that a killed process did not sync.
    fn rise(&self, folder: &Path) -> io::Result<()> {
        for grave in self.0.inner.list(folder)?.iter().filter(|name| name.ends_with(GRAVE)) {
            // `name.<number>.removed`
            let name = grave.trim_end_matches(GRAVE).rsplit_once('.').map_or("", |(name, _)| name);
            let (grave, path) = (folder.join(grave), folder.join(name));
            if name.is_empty() || path.try_exists()? {
                self.0.inner.remove(&grave)?;
            } else {
                self.0.inner.rename(&grave, &path)?;
            }
        }
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, orders)) = state.control.as_mut().and_then(Control::look) {
            state.obey(before, orders);
        }
        state
    }

    /// The state, for an operation that only looks.
    fn look(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.dead { Err(io::Error::other("the power is off")) } else { Ok(state) }
    }

    /// The state, for an operation that changes the disk.
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.look()?;
        if let Some(left) = state.power_left {
            state.dead = left == 0;
            state.power_left = Some(left.saturating_sub(1));
        }
        if state.dead { Err(io::Error::other("the power went off")) } else { Ok(state) }
    }
}

impl State {
    fn used(&self) -> u64 {
        let buried = |path: &PathBuf| path.to_string_lossy().ends_with(GRAVE);
        let files = self.files.iter().filter(|(path, _)| !buried(path));
        files.map(|(_, node)| node.memory().length).sum()
    }

    /// Does what is ordered now and was not before.
    fn obey(&mut self, before: Orders, orders: Orders) {
        self.full = orders.full;
        self.delay = orders.delay;
        if orders.free_bytes != before.free_bytes {
            self.capacity = orders.free_bytes.map(|free| self.used() + free);
        }
        if orders.fail_sync != before.fail_sync {
            self.syncs_left = orders.fail_sync.map(|sync| sync.saturating_sub(1));
        }
    }

    /// Tells whoever steers it which file's sync failed on purpose.
    fn tell_failed(&self, failed: &Arc<Node>) {
        let path =
            self.files.iter().find(|(_, node)| Arc::ptr_eq(node, failed)).map(|(path, _)| path);
        if let (Some(control), Some(path)) = (&self.control, path) {
            control.tell_failed(path);
        }
    }

    /// Whether there is no room for so many bytes more.
    fn has_no_room(&self, bytes: u64) -> bool {
        self.full || self.capacity.is_some_and(|capacity| self.used() + bytes > capacity)
    }

    fn add(&mut self, path: &Path, inner: Arc<dyn DiskFile>, length: u64) -> Arc<Node> {
        let memory = Mutex::new(Memory { length, writes: Vec::new() });
        let node = Arc::new(Node { inner, memory });
        self.files.insert(path.to_owned(), Arc::clone(&node));
        node
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(node) = self.files.remove(from) {
            self.files.insert(to.to_owned(), node);
        }
    }

    /// Takes a change of names back.
    fn undo(&mut self, name: Name, inner: &dyn Disk) -> io::Result<()> {
        let (from, to) = match name {
            Name::Created(path) => {
                self.files.remove(&path);
                return inner.remove(&path);
            }
            Name::Renamed { from, to } => (to, from),
            Name::Removed { path, grave } => (grave, path),
        };
        self.rename(&from, &to);
        inner.rename(&from, &to)
    }

    /// Makes a change of names final.
    fn settle(&mut self, name: Name, inner: &dyn Disk) -> io::Result<()> {
        match name {
            Name::Removed { grave, .. } => {
                self.files.remove(&grave);
                inner.remove(&grave)
            }
            Name::Created(_) | Name::Renamed { .. } => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        self.0.inner.create_folder(folder)?;
        if self.0.state().control.is_some() { self.rise(folder) } else { Ok(()) }
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.change()?;
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let node = state.add(path, self.0.inner.create(path)?, 0);
        state.names.push(Name::Created(path.to_owned()));
        Ok(Arc::new(FaultyFile { disk: Arc::clone(&self.0), node }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.0.look()?;
        let node = if let Some(node) = state.files.get(path) {
            Arc::clone(node)
        } else {
            let inner = self.0.inner.open(path)?;
            let length = inner.len()?;
            // It took that room before anybody looked.
            state.capacity = state.capacity.map(|capacity| capacity.saturating_add(length));
            state.add(path, inner, length)
        };
        Ok(Arc::new(FaultyFile { disk: Arc::clone(&self.0), node }))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let _state = self.0.look()?;
        let names = self.0.inner.list(folder)?;
        Ok(names.into_iter().filter(|name| !name.ends_with(GRAVE)).collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        // Known to the end, so that its room counts as given back.
        let _file = self.open(path)?;
        let mut state = self.0.change()?;
        state.graves += 1;
        let grave = PathBuf::from(format!("{}.{}{GRAVE}", path.display(), state.graves));
        self.0.inner.rename(path, &grave)?;
        state.rename(path, &grave);
        state.names.push(Name::Removed { path: path.to_owned(), grave });
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.change()?;
        self.0.inner.rename(from, to)?;
        state.rename(from, to);
        state.names.push(Name::Renamed { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn sync_dir(&self, _folder: &Path) -> io::Result<()> {
        let mut state = self.0.change()?;
        for name in mem::take(&mut state.names) {
            state.settle(name, &*self.0.inner)?;
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        // The real lock too, for the sake of other processes.
        let inner = self.0.inner.lock(path)?;
        if self.0.locked.swap(true, Ordering::AcqRel) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new((Held(Arc::clone(&self.0.locked)), inner)))
    }
}

/// Gives the lock back.
#[derive(Debug)]
struct Held(Arc<AtomicBool>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// An open file of a faulty disk.
#[derive(Debug)]
struct FaultyFile {
    disk: Arc<Shared>,
    node: Arc<Node>,
}

impl Drop for FaultyFile {
    /// A whole program opens many files in its time: those without unsynced writes that nobody has
    /// open any more are closed, and their room stays as it was.
    fn drop(&mut self) {
        let mut state = self.disk.state.lock().unwrap_or_else(PoisonError::into_inner);
        let others = Arc::strong_count(&self.node) > 2;
        if state.control.is_none() || others || !self.node.memory().writes.is_empty() {
            return;
        }
        let is_this = |(_, node): &(&PathBuf, &Arc<Node>)| Arc::ptr_eq(node, &self.node);
        let Some(path) = state.files.iter().find(is_this).map(|(path, _)| path.clone()) else {
            return;
        };
        let used = state.used();
        state.files.remove(&path);
        let gone = used - state.used();
        state.capacity = state.capacity.map(|capacity| capacity.saturating_sub(gone));
    }
}

impl Node {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DiskFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let _state = self.disk.look()?;
        let memory = self.node.memory();
        let read = self.node.inner.read_at(buffer, offset)?;
        let length = usize::try_from(memory.length.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(buffer.len());
        let buffer = buffer.get_mut(..length).unwrap_or_default();
        buffer.get_mut(read..).unwrap_or_default().fill(0);
        for write in &memory.writes {
            write.show(buffer, offset);
        }
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let state = self.disk.change()?;
        let end = offset + bytes.len() as u64;
        let grows = end.saturating_sub(self.node.memory().length);
        if grows > 0 && state.has_no_room(grows) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut memory = self.node.memory();
        memory.length = memory.length.max(end);
        memory.writes.push(Write { offset, bytes: bytes.to_owned(), fate: Fate::Unsynced });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let state = self.disk.change()?;
        let delay = state.delay.unwrap_or_default();
        let mut state = self
            .disk
            .pause
            .wait_timeout_while(state, delay, |state| !delay.is_zero() && !state.dead)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        if state.dead {
            return Err(io::Error::other("the power went off"));
        }
        let fails = state.syncs_left == Some(0);
        state.syncs_left = if fails { None } else { state.syncs_left.map(|left| left - 1) };
        if fails {
            state.tell_failed(&self.node);
        }
        let mut memory = self.node.memory();
        for write in memory.writes.iter_mut().filter(|write| write.fate == Fate::Unsynced) {
            write.fate = Fate::GivenUp;
            if !fails {
                self.node.inner.write_at(&write.bytes, write.offset)?;
                write.fate = Fate::Synced;
            }
        }
        if memory.writes.iter().all(|write| write.fate == Fate::Synced) {
            memory.writes.clear();
        }
        if fails { Err(io::Error::other("the disk lost the writes")) } else { Ok(()) }
    }

    fn len(&self) -> io::Result<u64> {
        let _state = self.disk.look()?;
        Ok(self.node.memory().length)
    }
}
