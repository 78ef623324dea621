//! Opening a journal: what is there, what of it is true, and where to go on.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    checkpoint::{Checkpoint, Kept, checkpoint_name, checkpoint_number},
    cursor::{Bound, Cursor, Turn},
    disk::{Disk, DiskFile},
    entries::Entries,
    entry::Position,
    format::{HEADER, UNIT, VolumeHeader, units},
    ledger::Ledger,
    report::{CheckpointUsed, Corruption, Recovered, Report, Torn},
    settings::Settings,
    volume::{Spare, UNFINISHED, Volume, Volumes, volume_id, volume_name},
    walk::Walk,
};

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the journal in {} is in use by another process", folder.display())]
    InUse {
        /// Where it is.
        folder: PathBuf,
    },
    /// The disk refused something; nothing was lost by asking.
    #[error("the journal cannot {doing} {}", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
}

impl OpenError {
    /// Says what was being done, and on what, when `source` came.
    pub(crate) fn doing(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Disk { doing, path, source }
    }
}

/// A recovered journal, ready to go on.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) spares: VecDeque<Spare>,
    pub(crate) ledger: Ledger,
    /// The volume to go on in; none when a new one must be begun.
    pub(crate) current: Option<Arc<Volume>>,
    pub(crate) next_batch: u64,
    pub(crate) next_volume: u64,
    pub(crate) durable: Position,
    pub(crate) kept: Kept,
    pub(crate) recovered: Recovered,
}

/// The files of the folder.
#[derive(Debug)]
struct Inventory {
    volumes: Arc<Volumes>,
    spares: VecDeque<Spare>,
    /// Above the id of every file there is.
    next_volume: u64,
    damaged: Vec<Corruption>,
}

/// Reads what `folder` holds and makes sure that what it found is durable.
pub(crate) fn recover(disk: &dyn Disk, settings: &Settings) -> Result<Recovery, OpenError> {
    let folder = &settings.folder;
    let names = disk.list(folder).map_err(OpenError::doing("list", folder))?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
        let path = folder.join(name);
        disk.remove(&path).map_err(OpenError::doing("remove", path))?;
    }
    let inventory = inventory(disk, folder, &names)?;
    let first_batch = inventory.volumes.first().map_or(0, |first| first.first_batch);
    let (checkpoint, kept, used) = newest_checkpoint(disk, folder, &names, first_batch)?;
    let first_id = inventory.volumes.first().map_or(1, |first| first.first_id);
    let mut scan = Scan {
        ledger: checkpoint
            .as_ref()
            .map_or_else(|| Ledger::starting_at(first_id), |checkpoint| checkpoint.ledger.clone()),
        report: Report { checkpoint: used, corrupt: inventory.damaged, ..Report::default() },
        last: None,
    };
    let replay_from = checkpoint
        .as_ref()
        .map_or(Position::START, |known| starting_point(known, &inventory.volumes));
    let expected = checkpoint.as_ref().map(|known| known.covered_batch);
    let from = Position { entry: 0, ..replay_from };
    let mut cursor = Cursor::new(Arc::clone(&inventory.volumes), from, expected);
    let end = scan.run(&mut cursor, settings).map_err(OpenError::doing("read", folder))?;
    let Scan { mut ledger, mut report, last } = scan;
    // A checkpoint may know copies whose volume was dropped after it was taken.
    ledger.carried.retain(|_, position| inventory.volumes.get(position.volume).is_some());

    let mut next_batch = cursor.expected.unwrap_or(1);
    let mut current = end.volume.clone().filter(|_| !end.torn);
    let lost = |known: &&Checkpoint| {
        known.next_batch > next_batch || (end.volume.is_none() && known.covered.volume > 0)
    };
    if let Some(known) = checkpoint.as_ref().filter(lost) {
        // The checkpoint saw batches durable that are not there: the end is not torn, it is lost.
        // What follows must lie behind every position the checkpoint may name.
        report.corrupt.push(Corruption {
            volume: end.volume.as_ref().map_or(0, |volume| volume.id),
            bytes: end.at..end.at,
            batches: next_batch..known.next_batch,
            saved: 0,
        });
        next_batch = known.next_batch;
        current = None;
    } else if let Some(volume) = end.volume.as_ref().filter(|_| end.torn) {
        report.torn = Some(Torn { volume: volume.id, offset: end.at });
    }
    if let Some(volume) = &current {
        volume.note(end.at, 0);
    }
    settle_disk(last.as_ref(), current.as_ref())
        .map_err(OpenError::doing("make durable the end of", folder))?;
    let durable = end.volume.map_or(Position::START, |volume| Position {
        volume: volume.id,
        batch: units(end.at),
        entry: 0,
    });
    let body = checkpoint.map(|known| known.body);
    Ok(Recovery {
        volumes: inventory.volumes,
        spares: inventory.spares,
        ledger,
        current,
        next_batch,
        next_volume: inventory.next_volume.max(replay_from.volume + 1),
        durable: durable.max(from),
        kept,
        recovered: Recovered { report, checkpoint: body, replay_from },
    })
}

/// Where to read on from a checkpoint: what it covers, or the start of the oldest volume when that
/// is the very same place under another name.
fn starting_point(checkpoint: &Checkpoint, volumes: &Volumes) -> Position {
    match volumes.first() {
        Some(first)
            if checkpoint.covered.volume < first.id
                && checkpoint.covered_batch == first.first_batch =>
        {
            Position { volume: first.id, batch: 1, entry: 0 }
        }
        _ => checkpoint.covered,
    }
}

/// Sorts the volumes into those in use and spares.
fn inventory(disk: &dyn Disk, folder: &Path, names: &[String]) -> Result<Inventory, OpenError> {
    let mut ids: Vec<u64> = names.iter().filter_map(|name| volume_id(name)).collect();
    ids.sort_unstable();
    let mut inventory = Inventory {
        volumes: Arc::default(),
        spares: VecDeque::new(),
        next_volume: ids.last().map_or(1, |last| last + 1),
        damaged: Vec::new(),
    };
    for id in ids {
        let path = folder.join(volume_name(id));
        let file = disk.open(&path).map_err(OpenError::doing("open", &path))?;
        let read = header(&*file, id).map_err(OpenError::doing("read", &path))?;
        let header = match read {
            Some(header) => header,
            None => match derive(&file, id).map_err(OpenError::doing("read", &path))? {
                Derived::Header(header, damage) => {
                    inventory.damaged.push(damage);
                    header
                }
                Derived::Nothing(damage) => {
                    inventory.damaged.push(damage);
                    continue;
                }
            },
        };
        if header.first_batch == 0 {
            inventory.spares.push_back(Spare { id, file, size: header.size });
        } else {
            // Spares are used in order: one before a volume in use was passed over.
            for spare in inventory.spares.drain(..) {
                let path = folder.join(volume_name(spare.id));
                disk.remove(&path).map_err(OpenError::doing("remove", path))?;
            }
            inventory.volumes.insert(Arc::new(Volume::new(file, &header)));
        }
    }
    Ok(inventory)
}

/// The header of volume `id`, if it is whole and the file's own.
fn header(file: &dyn DiskFile, id: u64) -> io::Result<Option<VolumeHeader>> {
    let mut bytes = [0; HEADER];
    file.read_at(&mut bytes, 0)?;
    let length = file.len()?;
    Ok(VolumeHeader::decode(&bytes)
        .filter(|header| header.id == id)
        .map(|header| VolumeHeader { size: header.size.min(length), ..header }))
}

/// What stands in for a damaged volume header.
enum Derived {
    Header(VolumeHeader, Corruption),
    Nothing(Corruption),
}

/// Makes out a volume's header from the first batch that can be read in it. A volume in which
/// nothing can be read is left alone.
fn derive(file: &Arc<dyn DiskFile>, id: u64) -> io::Result<Derived> {
    let size = file.len()?;
    let damage = |end: u64| Corruption { volume: id, bytes: 0..end, batches: 0..0, saved: 0 };
    // From the header's own place, so that the first look is at the first batch.
    let mut walk = Walk::new(Arc::clone(file), id, 0, size);
    Ok(match walk.look_ahead(0..u64::MAX)? {
        Some((_, first)) => {
            let (first_batch, first_id) = (first.number, first.first_id);
            Derived::Header(VolumeHeader { id, first_batch, first_id, size }, damage(UNIT))
        }
        None => Derived::Nothing(damage(size)),
    })
}

/// The newest good checkpoint, which of them are kept, and how that went. One that covers less than
/// what was dropped since is no good: an old file that was to be removed long ago.
fn newest_checkpoint(
    disk: &dyn Disk,
    folder: &Path,
    names: &[String],
    first_batch: u64,
) -> Result<(Option<Checkpoint>, Kept, CheckpointUsed), OpenError> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| checkpoint_number(name)).collect();
    numbers.sort_unstable();
    let mut kept = Kept { last_number: numbers.last().copied().unwrap_or(0), ..Kept::default() };
    let mut newest = None;
    for &number in numbers.iter().rev() {
        let path = folder.join(checkpoint_name(number));
        let loaded = Checkpoint::load(disk, &path).map_err(OpenError::doing("read", path))?;
        let Some(checkpoint) = loaded.filter(|loaded| loaded.covered_batch >= first_batch) else {
            continue;
        };
        let fact = Some((number, checkpoint.covered));
        if newest.is_none() {
            kept.newest = fact;
            newest = Some(checkpoint);
        } else {
            kept.older = fact;
            break;
        }
    }
    let used = match kept.newest {
        Some((number, _)) if number == kept.last_number => CheckpointUsed::Newest,
        Some(_) => CheckpointUsed::Older,
        None if numbers.is_empty() => CheckpointUsed::None,
        None => CheckpointUsed::AllBad,
    };
    Ok((newest, kept, used))
}

/// A scan over the batches behind the checkpoint.
#[derive(Debug)]
struct Scan {
    ledger: Ledger,
    report: Report,
    /// The last valid batch.
    last: Option<LastBatch>,
}

#[derive(Debug)]
struct LastBatch {
    volume: Arc<Volume>,
    at: u64,
    length: u64,
}

/// Where the scan ended.
struct End {
    volume: Option<Arc<Volume>>,
    at: u64,
    torn: bool,
}

impl Scan {
    fn run(&mut self, cursor: &mut Cursor, settings: &Settings) -> io::Result<End> {
        loop {
            match cursor.turn(Bound::Unknown)? {
                Turn::Batch { volume, at, header, body } => {
                    volume.note(at + header.stride(), header.written);
                    // Ids of damaged batches before this one were given out all the same.
                    self.ledger.advance(header.first_id);
                    self.take(Entries::of(header.volume, header.written, units(at), body, true));
                    self.report.batches += 1;
                    self.report.scanned += header.stride();
                    if let Some(progress) = &settings.progress {
                        let seen = self.report.scanned;
                        progress.tell(seen, seen + volume.size - volume.end());
                    }
                    self.last = Some(LastBatch { volume, at, length: header.stride() });
                }
                Turn::Lost { damage, saved } => {
                    self.take(saved);
                    self.report.corrupt.push(damage);
                }
                Turn::Gone { first } => self.report.corrupt.push(Corruption {
                    volume: first.volume,
                    bytes: 0..0,
                    batches: 0..0,
                    saved: 0,
                }),
                Turn::End { volume, at, torn } => return Ok(End { volume, at, torn }),
            }
        }
    }

    fn take(&mut self, entries: Entries) {
        for found in entries {
            let entry = found.entry;
            self.ledger.note(entry.kind, entry.id, entry.settles, entry.position, found.origin);
            self.report.entries += 1;
        }
    }
}

/// Makes durable what recovery believed. The last batch may be one whose sync failed: the machine
/// then reads it from memory, calls it clean, and would lose it at the next power cut although a
/// new sync succeeds. So the end is written again, as it is, before anybody builds on it.
fn settle_disk(last: Option<&LastBatch>, current: Option<&Arc<Volume>>) -> io::Result<()> {
    if let Some(LastBatch { volume, at, length }) = last {
        rewrite(&*volume.file, *at, *length)?;
    }
    for volume in last.map(|last| &last.volume).into_iter().chain(current) {
        rewrite(&*volume.file, 0, UNIT)?;
        volume.file.sync()?;
    }
    Ok(())
}

fn rewrite(file: &dyn DiskFile, at: u64, length: u64) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    file.write_at(&bytes, at)
}
