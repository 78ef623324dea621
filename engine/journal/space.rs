//! Room on disk: spares are filled with zeros ahead on a thread of their own, and intake is shut
//! when they cannot be.

use std::{
    collections::VecDeque,
    io, mem,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::watch;

use crate::{
    disk::Disk,
    format::UNIT,
    settings::Settings,
    volume::{Spare, prepare, volume_name},
};

/// The room there is, shared by the writer and the thread that makes more.
#[derive(Debug)]
pub(crate) struct Space {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    volume_size: u64,
    reserve: u64,
    retry: Duration,
    pool: Mutex<Pool>,
    changed: Condvar,
    intake: watch::Sender<bool>,
}

#[derive(Debug)]
struct Pool {
    spares: VecDeque<Spare>,
    next_id: u64,
    /// Free bytes of the volume being written.
    current: u64,
    /// The writer waits for a spare of at least this size.
    wanted: Option<u64>,
    /// The last try to make a spare failed.
    failing: bool,
    /// Intake was refused since the last spare was made.
    refused: bool,
    /// Try at once, whatever the pace.
    hurry: bool,
    /// So many ask that nothing is made for the moment.
    held: u32,
    /// A spare is being made.
    busy: bool,
    stop: bool,
}

impl Pool {
    fn spare_bytes(&self) -> u64 {
        self.spares.iter().map(|spare| spare.size - UNIT).sum()
    }
}

impl Space {
    /// `next_id` is above the id of every volume there ever was.
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        settings: &Settings,
        spares: VecDeque<Spare>,
        next_id: u64,
    ) -> Space {
        let pool = Pool {
            spares,
            next_id,
            current: 0,
            wanted: None,
            failing: false,
            refused: false,
            hurry: false,
            held: 0,
            busy: false,
            stop: false,
        };
        Space {
            disk,
            folder: settings.folder.clone(),
            volume_size: settings.volume_size,
            reserve: settings.reserve,
            retry: settings.space_check,
            pool: Mutex::new(pool),
            changed: Condvar::new(),
            intake: watch::Sender::new(true),
        }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether new messages are taken, told to whoever watches.
    pub(crate) fn intake(&self) -> watch::Receiver<bool> {
        self.intake.subscribe()
    }

    pub(crate) fn intake_is_open(&self) -> bool {
        *self.intake.borrow()
    }

    fn announce(&self, pool: &Pool) {
        let open = !pool.failing || (!pool.refused && intake_room(pool, self.reserve) > 0);
        self.intake.send_if_modified(|known| mem::replace(known, open) != open);
    }

    /// Bytes that new messages may still use.
    pub(crate) fn intake_room(&self) -> u64 {
        let pool = self.pool();
        if pool.failing { intake_room(&pool, self.reserve) } else { u64::MAX }
    }

    /// Shuts intake until there is more room; more room may have come meanwhile, and then it stays
    /// open.
    pub(crate) fn refuse_intake(&self) {
        let mut pool = self.pool();
        pool.refused = pool.failing;
        self.announce(&pool);
    }

    /// Notes the free bytes of the volume being written.
    pub(crate) fn note_current(&self, room: u64) {
        let mut pool = self.pool();
        pool.current = room;
        if pool.failing {
            self.announce(&pool);
        }
    }

    /// The sizes of the spares, for those who watch the disk.
    pub(crate) fn spares(&self) -> Vec<(u64, u64)> {
        self.pool().spares.iter().map(|spare| (spare.id, spare.size)).collect()
    }

    /// A spare of at least `size` bytes; waits while one is being made, and is none when there is
    /// no room for one. For new messages (`intake`) the last spare is never taken: while another
    /// is being made nobody knows yet whether the disk has room for it.
    pub(crate) fn take(&self, size: u64, intake: bool) -> Option<Spare> {
        let leave = usize::from(intake && self.volumes_in_reserve() > 1);
        let mut pool = self.pool();
        loop {
            let fits = pool.spares.front().is_some_and(|spare| spare.size >= size);
            if fits && pool.spares.len() > leave {
                pool.wanted = None;
                self.changed.notify_all();
                return pool.spares.pop_front();
            }
            if pool.failing || pool.stop {
                pool.wanted = None;
                return None;
            }
            // Volumes are used in the order of their ids, so spares that are too small for this
            // batch could never be used after it.
            while let Some(spare) = pool.spares.pop_front_if(|spare| spare.size < size) {
                self.give_back(&spare);
            }
            pool.wanted = Some(size);
            self.changed.notify_all();
            pool = self.changed.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Keeps spares from being made while `work` needs the disk's room, which is tried again without
    /// them, and then in the place of one: a checkpoint that finds no room comes before spares,
    /// because without checkpoints nothing can ever be dropped.
    pub(crate) fn make_way(&self, mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let first = work();
        if !is_full(&first) {
            return first;
        }
        self.without_making(|| {
            let done = work();
            if is_full(&done) && self.sacrifice() { work() } else { done }
        })
    }

    /// Tries `work` once more when the disk is full, without spares being made beside it, which
    /// cannot be made then anyway. Nobody is kept waiting for one.
    pub(crate) fn stand_aside<T>(&self, work: &mut dyn FnMut() -> io::Result<T>) -> io::Result<T> {
        let first = work();
        if is_full(&first) && self.pool().failing { self.without_making(work) } else { first }
    }

    fn without_making<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut pool = self.pool();
        pool.held += 1;
        self.changed.notify_all();
        let pool = self.changed.wait_while(pool, |pool| pool.busy);
        drop(pool.unwrap_or_else(PoisonError::into_inner));
        let done = work();
        self.pool().held -= 1;
        self.changed.notify_all();
        done
    }

    /// Gives the disk one spare back, if enough room stays for records.
    fn sacrifice(&self) -> bool {
        let mut pool = self.pool();
        if pool.spares.len() < 2 && pool.current < self.volume_size / 4 {
            return false;
        }
        let last = pool.spares.pop_back();
        last.is_some_and(|spare| {
            self.give_back(&spare);
            true
        })
    }

    fn give_back(&self, spare: &Spare) {
        let path = self.folder.join(volume_name(spare.id));
        if let Err(error) = self.disk.remove(&path) {
            tracing::warn!(volume = spare.id, %error, "an unused journal volume cannot be removed");
        }
    }

    /// Tries at once to make what is missing.
    pub(crate) fn try_now(&self) {
        self.pool().hurry = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.pool().stop = true;
        self.changed.notify_all();
    }

    /// Makes spares until told to stop; the body of the thread.
    pub(crate) fn run(&self) {
        while let Some((id, size)) = self.next_task() {
            let made = prepare(&*self.disk, &self.folder, id, size, &mut self.pacer());
            let mut pool = self.pool();
            pool.busy = false;
            match made {
                Ok(spare) => {
                    if mem::take(&mut pool.failing) {
                        tracing::info!("the journal has room again");
                    }
                    pool.refused = false;
                    pool.wanted = None;
                    pool.spares.push_back(spare);
                }
                // Given up half-way because somebody said so, which says nothing about the disk.
                Err(_) if pool.stop || pool.held > 0 => {}
                Err(error) => {
                    if !mem::replace(&mut pool.failing, true) {
                        tracing::warn!(%error, "the journal cannot make its next volume");
                    }
                }
            }
            self.announce(&pool);
            drop(pool);
            self.changed.notify_all();
        }
    }

    /// Waits until a spare is to be made: its id and size. None when told to stop.
    fn next_task(&self) -> Option<(u64, u64)> {
        let mut pool = self.pool();
        let mut waited = false;
        loop {
            if pool.stop {
                return None;
            }
            let missing = pool.wanted.is_some() || pool.spare_bytes() < self.reserve_sum();
            let missing = missing && pool.held == 0;
            if missing && (!pool.failing || waited || pool.hurry) {
                pool.hurry = false;
                pool.busy = true;
                let id = pool.next_id;
                pool.next_id += 1;
                return Some((id, self.volume_size.max(pool.wanted.unwrap_or(0))));
            }
            pool.hurry = false;
            if missing {
                let (back, timeout) = self
                    .changed
                    .wait_timeout(pool, self.retry)
                    .unwrap_or_else(PoisonError::into_inner);
                pool = back;
                waited = timeout.timed_out();
            } else {
                pool = self.changed.wait(pool).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Bytes that spares must have: the reserve, and never less than one volume.
    fn reserve_sum(&self) -> u64 {
        self.volumes_in_reserve() * (self.volume_size - UNIT)
    }

    fn volumes_in_reserve(&self) -> u64 {
        self.reserve.div_ceil(self.volume_size).max(1)
    }

    /// A pause between two steps of filling: three times as long as the step took, so that at most a
    /// quarter of the disk's time goes into zeros, unless somebody waits for them.
    fn pacer(&self) -> impl FnMut() -> bool {
        let mut since = Instant::now();
        move || {
            let pool = self.pool();
            let took = since.elapsed();
            let calm = |pool: &mut Pool| pool.wanted.is_none() && !pool.stop && pool.held == 0;
            let (pool, _) = self
                .changed
                .wait_timeout_while(pool, (took * 3).min(Duration::from_millis(50)), calm)
                .unwrap_or_else(PoisonError::into_inner);
            since = Instant::now();
            !pool.stop && pool.held == 0
        }
    }

    /// Makes a spare of this size on the caller's thread, before anything else runs.
    pub(crate) fn make_now(&self, size: u64) -> io::Result<()> {
        let mut pool = self.pool();
        let id = pool.next_id;
        pool.next_id += 1;
        let spare = prepare(&*self.disk, &self.folder, id, size, &mut || true)?;
        pool.spares.push_back(spare);
        Ok(())
    }
}

fn is_full<T>(done: &io::Result<T>) -> bool {
    done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
}

fn intake_room(pool: &Pool, reserve: u64) -> u64 {
    (pool.current + pool.spare_bytes()).saturating_sub(reserve)
}
