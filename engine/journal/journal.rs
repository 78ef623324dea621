//! The journal as its owner sees it.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use tokio::sync::watch;

use crate::{
    checkpoint::{Checkpoint, CheckpointError, Kept, checkpoint_number},
    cursor::{Bound, Cursor, Turn},
    disk::{Disk, Lock},
    entries::Draft,
    entry::{Entry, Kind, MessageId, Position},
    find::{self, UnsettledEntries},
    packing,
    queue::{AppendError, Job, Ticket, Whose},
    reader::{ReadError, Reader},
    recovery::{OpenError, Recovery, recover},
    report::{Failure, Recovered, Retained, VolumeFacts, VolumeState},
    retention::{self, RetainError},
    settings::Settings,
    settlement::Unsettled,
    space::Space,
    store::{Frontier, Start, Store},
    volume::{Current, Place, Volume},
    writer::Writer,
};

/// The name of the file that a process holds while it has the journal open.
const LOCK: &str = "lock";
/// The smallest volume that makes sense.
const SMALLEST: u64 = 4096;
/// No entry is larger, whatever the settings say: lengths on disk have 32 bits.
const LARGEST: usize = 1 << 30;

/// An open journal. Clones are handles to the same one; it is closed by [`Journal::close`] or with
/// its last handle.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    store: Arc<Store>,
    open: Mutex<Option<Running>>,
}

/// What ends when a journal is closed.
#[derive(Debug)]
struct Running {
    writer: JoinHandle<()>,
    preparer: JoinHandle<()>,
    packer: JoinHandle<()>,
    _lock: Lock,
}

impl Journal {
    /// Opens the journal in the settings' folder, made when absent, and recovers it. Blocks for as
    /// long as it takes to read what was written since the last checkpoint.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process has it, [`OpenError::Disk`] when the disk refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        mut settings: Settings,
    ) -> Result<(Journal, Recovered), OpenError> {
        settings.volume_size = settings.volume_size.max(SMALLEST).next_multiple_of(64);
        settings.first_volume_size = settings.first_volume_size.max(SMALLEST).next_multiple_of(64);
        settings.max_entry = settings.max_entry.min(LARGEST);
        let folder = settings.folder.clone();
        disk.create_folder(&folder).map_err(OpenError::doing("make", &folder))?;
        let path = folder.join(LOCK);
        let lock = disk.lock(&path).map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => OpenError::InUse { folder: folder.clone() },
            _ => OpenError::doing("lock", path)(source),
        })?;
        let recovery = recover(&disk, &settings)?;
        let recovered = recovery.recovered.clone();
        let (store, current) = assemble(disk, settings, recovery)?;
        let running = Running {
            writer: spawn("journal-writer", {
                let writer = Writer::new(Arc::clone(&store), current);
                move || writer.run()
            })
            .map_err(OpenError::doing("start the writer of", &folder))?,
            preparer: spawn("journal-space", {
                let store = Arc::clone(&store);
                move || store.space.run()
            })
            .map_err(OpenError::doing("start the thread that makes room in", &folder))?,
            packer: spawn("journal-packing", {
                let store = Arc::clone(&store);
                move || packing::run(&store)
            })
            .map_err(OpenError::doing("start the thread that packs volumes in", &folder))?,
            _lock: lock,
        };
        let journal = Journal(Arc::new(Handle { store, open: Mutex::new(Some(running)) }));
        Ok((journal, recovered))
    }

    /// Appends an accepted message, which gets the next id. The ticket resolves when it is durable.
    pub fn append(&self, body: Bytes) -> Ticket {
        let store = &self.0.store;
        if body.len() > store.settings.max_entry {
            return Ticket::refused(AppendError::TooLarge);
        }
        if !store.space.intake_is_open() && store.failed.borrow().is_none() {
            return Ticket::refused(AppendError::Full);
        }
        let draft = Draft { kind: Kind::Accepted, settles: false, origin: None, body };
        store.queue.push(Job { whose: Whose::New, draft })
    }

    /// Appends a record about message `id` ([`MessageId::NONE`] when about none); `settles` says
    /// that nothing more will become of the message. May use the reserve.
    pub fn record(&self, kind: Kind, id: MessageId, body: Bytes, settles: bool) -> Ticket {
        let store = &self.0.store;
        if body.len() > store.settings.max_entry {
            return Ticket::refused(AppendError::TooLarge);
        }
        if id.0 >= store.next_id() || kind == Kind::Accepted {
            return Ticket::refused(AppendError::UnknownMessage);
        }
        let draft = Draft { kind, settles, origin: None, body };
        store.queue.push(Job { whose: Whose::Record(id), draft })
    }

    /// The entry at `position`, checked. Blocks on the disk.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(&self, position: Position) -> Result<Entry, ReadError> {
        find::read(&self.0.store, position)
    }

    /// A reader of what is durable, from `from` on.
    pub fn reader(&self, from: Position) -> Reader {
        let store = &self.0.store;
        Reader::new(Arc::clone(&store.volumes), store.durable.subscribe(), from)
    }

    /// The end of what is durable; changes when there is more to read.
    pub fn durable(&self) -> watch::Receiver<Position> {
        self.0.store.durable.subscribe()
    }

    /// The accepted entry of a message; none when it was never accepted or is settled and dropped.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn find(&self, id: MessageId) -> Result<Option<Entry>, ReadError> {
        find::find(&self.0.store, id)
    }

    /// The accepted entries (originals or carried copies) of the messages with an id below `below`
    /// that are not settled, rising. Which ones is decided now; those that are settled before their
    /// turn are left out, and so are those whose entry is lost. Blocks on the disk: reads every
    /// volume that holds any of them once, in large pieces, of which it keeps one.
    ///
    /// # Errors
    /// [`ReadError::Corrupt`] tells damage that was met on the way, and the next one goes on behind
    /// it. After [`ReadError::Disk`] it ends.
    pub fn unsettled_entries(&self, below: MessageId) -> UnsettledEntries {
        UnsettledEntries::new(Arc::clone(&self.0.store), below)
    }

    /// Everything durable about message `id` in the order of the journal: its accepted entry,
    /// outcomes, states, decisions; of what retention dropped, the copies that it carried forward
    /// (then the message may come after records about it). Damaged entries are left out.
    ///
    /// Blocks, and is slow: nothing says where records lie, so everything is read from the message
    /// to `upto` (not including it), or to the end; a second or more for every gigabyte. Who knows
    /// the positions asks [`Journal::read`] for them.
    ///
    /// # Errors
    /// [`ReadError::Disk`]
    pub fn records_about(
        &self,
        id: MessageId,
        upto: Option<Position>,
    ) -> Result<Vec<Entry>, ReadError> {
        find::records_about(&self.0.store, id, upto)
    }

    /// Packs every sealed volume now, on the caller's thread, that was not packed yet and can be,
    /// and answers how many. It happens by itself too, soon after a volume is full.
    ///
    /// # Errors
    /// What the disk answered; what was not packed stays as it is, and is tried again by itself.
    pub fn pack(&self) -> io::Result<u64> {
        packing::pack_all(&self.0.store, &mut || true)
    }

    /// Whether the message was accepted and nothing more will become of it.
    pub fn is_settled(&self, id: MessageId) -> bool {
        self.0.store.ledger().is_settled(id)
    }

    /// The unsettled messages with an id below `below`, rising, as of now.
    pub fn unsettled(&self, below: MessageId) -> Unsettled {
        let ledger = self.0.store.ledger();
        ledger.settlement.unsettled(below.0)
    }

    /// How many accepted messages are not settled.
    pub fn unsettled_count(&self) -> u64 {
        self.0.store.ledger().settlement.count()
    }

    /// The id that the next accepted message gets.
    pub fn next_id(&self) -> MessageId {
        MessageId(self.0.store.next_id())
    }

    /// Takes a checkpoint: the owner has taken in every entry before `covered` and gets `body` back
    /// when the journal is opened next. Blocks until it is durable and was read back.
    ///
    /// # Errors
    /// See [`CheckpointError`]; the checkpoints before stay good.
    pub fn checkpoint(&self, body: Bytes, covered: Position) -> Result<(), CheckpointError> {
        let store = &self.0.store;
        let mut kept = store.kept();
        let frontier = store.frontier();
        if covered > frontier.durable {
            return Err(CheckpointError::NotDurable { covered, durable: frontier.durable });
        }
        if let Some((_, before)) = kept.newest.filter(|(_, before)| covered < *before) {
            return Err(CheckpointError::Backwards { covered, before });
        }
        let covered_batch = self.batch_at(covered).map_err(CheckpointError::Disk)?;
        let (next_batch, ledger) = (frontier.next_batch, store.ledger().clone());
        let checkpoint = Checkpoint { covered, covered_batch, next_batch, ledger, body };
        // A number is used once, whatever becomes of the file.
        let number = kept.last_number + 1;
        kept.last_number = number;
        store
            .space
            .make_way(|| checkpoint.save(&*store.disk, &store.settings.folder, number))
            .map_err(CheckpointError::Disk)?;
        kept.push(number, covered);
        self.remove_old_checkpoints(&kept);
        Ok(())
    }

    /// The number of the batch that `position` lies in or before.
    fn batch_at(&self, position: Position) -> io::Result<u64> {
        let store = &self.0.store;
        let frontier = store.frontier();
        let volumes = Arc::clone(&store.volumes);
        let mut cursor = Cursor::new(volumes, Position { entry: 0, ..position }, None);
        Ok(match cursor.turn(Bound::Durable(frontier.durable))? {
            Turn::Batch { header, .. } => header.number,
            Turn::Lost { damage, .. } => damage.batches.start,
            // Everything before the oldest volume is covered; its first batch is the next one.
            Turn::Gone { first } => {
                store.volumes.get(first.volume).map_or(frontier.next_batch, |v| v.first_batch)
            }
            Turn::End { .. } => frontier.next_batch,
        })
    }

    fn remove_old_checkpoints(&self, kept: &Kept) {
        let Store { disk, settings, .. } = &*self.0.store;
        let old = disk
            .list(&settings.folder)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| checkpoint_number(name).is_some_and(|number| !kept.has(number)));
        for name in old {
            // Tried again after the next checkpoint; until then it only takes room.
            if let Err(error) = disk.remove(&settings.folder.join(&name)) {
                tracing::warn!(name, %error, "an old journal checkpoint cannot be removed");
            }
        }
    }

    /// Drops whole volumes, oldest first, that are older or more than the settings keep, as far as
    /// both kept checkpoints cover them. What is unsettled in them is carried forward: appended
    /// again with its id, together with the records about it. Blocks on the disk.
    ///
    /// # Errors
    /// See [`RetainError`]; what was not dropped is all there.
    pub fn retain(&self, now: SystemTime) -> Result<Retained, RetainError> {
        self.retain_before(now, Position::END)
    }

    /// The same, of the volumes before this position only: somebody else still needs what follows.
    ///
    /// # Errors
    /// See [`RetainError`].
    pub fn retain_before(
        &self,
        now: SystemTime,
        before: Position,
    ) -> Result<Retained, RetainError> {
        retention::retain(&self.0.store, now, before)
    }

    /// Whether new messages are taken. Turns false when the disk cannot give more room than the
    /// reserve, and true when it can again.
    pub fn intake_open(&self) -> watch::Receiver<bool> {
        self.0.store.space.intake()
    }

    /// Looks for room at once instead of when the next look is due.
    pub fn look_for_room(&self) {
        self.0.store.space.try_now();
    }

    /// Turns to a failure when the disk failed: then the process must stop, and recover from disk.
    pub fn failed(&self) -> watch::Receiver<Option<Failure>> {
        self.0.store.failed.subscribe()
    }

    /// The volumes there are, oldest first.
    pub fn volumes(&self) -> Vec<VolumeFacts> {
        let store = &self.0.store;
        let in_use = store.volumes.all();
        let last = in_use.last().map(|volume| volume.id);
        let spares = store.space.spares().into_iter().map(|(id, size)| VolumeFacts {
            id,
            size,
            used: 0,
            state: VolumeState::Spare,
            first_id: None,
            written: None,
        });
        in_use.iter().map(|volume| facts(volume, last == Some(volume.id))).chain(spares).collect()
    }

    /// Writes what waits, stops the threads and gives the folder free. Later appends are refused as
    /// [`AppendError::Closed`]; reading goes on working. Blocks until all that is done.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Handle {
    fn close(&self) {
        let running = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { writer, preparer, packer, _lock }) = running else { return };
        self.store.queue.close(AppendError::Closed);
        self.store.packing.stop();
        // A writer that panicked has failed the journal, which says so by itself.
        writer.join().ok();
        self.store.space.stop();
        preparer.join().ok();
        packer.join().ok();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.into()).spawn(body)
}

/// Puts the parts together, with a first volume when there is none to go on in.
fn assemble(
    disk: Arc<dyn Disk>,
    settings: Settings,
    found: Recovery,
) -> Result<(Arc<Store>, Option<Current>), OpenError> {
    let Recovery { volumes, spares, ledger, current, next_batch, next_volume, .. } = found;
    let fresh = volumes.first().is_none();
    let nothing = current.is_none() && spares.is_empty();
    let space = Space::new(Arc::clone(&disk), &settings, spares, next_volume);
    if nothing {
        // Small, so that nobody waits for it. An old journal opens without, and says it is full.
        let made = space.make_now(settings.first_volume_size);
        if fresh {
            made.map_err(OpenError::doing("make the first volume in", &settings.folder))?;
        }
    }
    if let Some((volume, _)) = &current {
        space.note_current(volume.size - volume.end());
    }
    let frontier = Frontier { next_batch, durable: found.durable };
    let start = Start { volumes, space, ledger, frontier, kept: found.kept };
    Ok((Arc::new(Store::new(disk, settings, start)), current))
}

fn facts(volume: &Volume, last: bool) -> VolumeFacts {
    let known = volume.written() > 0 && volume.written() < u64::MAX;
    let written = known.then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(volume.written()));
    VolumeFacts {
        id: volume.id,
        size: volume.stored(),
        used: volume.end(),
        state: match *volume.place() {
            Place::Packed => VolumeState::Packed,
            _ if last => VolumeState::Current,
            _ => VolumeState::Sealed,
        },
        first_id: Some(volume.first_id),
        written,
    }
}
