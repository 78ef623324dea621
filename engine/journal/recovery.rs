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
    format::{UNIT, units},
    inventory::{self, Refused},
    ledger::Ledger,
    report::{CheckpointUsed, Corruption, Recovered, Report, Torn},
    settings::Settings,
    volume::{Current, Place, Spare, UNFINISHED, Volume, volume_name},
    volumes::Volumes,
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

impl From<Refused> for OpenError {
    fn from(refused: Refused) -> OpenError {
        let Refused { doing, path, source } = refused;
        OpenError::Disk { doing, path, source }
    }
}

/// A recovered journal, ready to go on.
#[derive(Debug)]
pub(crate) struct Recovery {
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) spares: VecDeque<Spare>,
    pub(crate) ledger: Ledger,
    /// The volume to go on in, and its file; none when a new one must be begun.
    pub(crate) current: Option<Current>,
    pub(crate) next_batch: u64,
    pub(crate) next_volume: u64,
    pub(crate) durable: Position,
    pub(crate) kept: Kept,
    pub(crate) recovered: Recovered,
}

/// Reads what `folder` holds and makes sure that what it found is durable.
pub(crate) fn recover(disk: &Arc<dyn Disk>, settings: &Settings) -> Result<Recovery, OpenError> {
    let folder = &settings.folder;
    let names = disk.list(folder).map_err(OpenError::doing("list", folder))?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED)) {
        let path = folder.join(name);
        disk.remove(&path).map_err(OpenError::doing("remove", path))?;
    }
    let inventory = inventory::take(disk, folder, &names)?;
    let first_batch = inventory.volumes.first().map_or(0, |first| first.first_batch);
    let (checkpoint, kept, used) = newest_checkpoint(&**disk, folder, &names, first_batch)?;
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
    // A packed volume is the last one only when what came behind it is lost.
    let writable = |volume: &Arc<Volume>| *volume.place() == Place::Raw;
    let mut current = end.volume.clone().filter(|volume| !end.torn && writable(volume));
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
    let current = settle_disk(&**disk, folder, last.as_ref(), current)
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
/// What lies in a packed volume was made durable before the volume was packed.
fn settle_disk(
    disk: &dyn Disk,
    folder: &Path,
    last: Option<&LastBatch>,
    current: Option<Arc<Volume>>,
) -> io::Result<Option<Current>> {
    let open = |volume: &Volume| disk.open(&folder.join(volume_name(volume.id)));
    if let Some(LastBatch { volume, at, length }) = last
        && *volume.place() != Place::Packed
    {
        let file = open(volume)?;
        rewrite(&*file, *at, *length)?;
        rewrite(&*file, 0, UNIT)?;
        file.sync()?;
    }
    let Some(volume) = current else { return Ok(None) };
    let file = open(&volume)?;
    rewrite(&*file, 0, UNIT)?;
    file.sync()?;
    Ok(Some((volume, file)))
}

fn rewrite(file: &dyn DiskFile, at: u64, length: u64) -> io::Result<()> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    file.write_at(&bytes, at)
}
