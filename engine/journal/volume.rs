//! Volumes: the files that batches lie in, and the table of those in use.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    disk::{Disk, DiskFile},
    format::{UNIT, VolumeHeader},
};

/// Bytes written between two syncs while a volume is filled with zeros: small, so that a commit
/// never waits long behind them.
const STEP: usize = 1 << 20;

/// What a file that is being made is called until it is whole.
pub(crate) const UNFINISHED: &str = ".new";

/// The file name of a volume.
pub(crate) fn volume_name(id: u64) -> String {
    format!("journal-{id:020}.volume")
}

/// The volume id in a file name, if it is a volume's.
pub(crate) fn volume_id(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal-")?.strip_suffix(".volume")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// A volume in use: it has, or is about to have, batches.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) id: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) size: u64,
    pub(crate) first_batch: u64,
    pub(crate) first_id: u64,
    /// The byte behind its last known batch.
    end: AtomicU64,
    /// When its newest known batch was written, in milliseconds since 1970; 0 is not known.
    written: AtomicU64,
    /// Where ids lie, built when somebody looks for one: (next id before the batch, batch's byte).
    pub(crate) index: Mutex<Index>,
}

/// A sparse index of a volume.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) points: Vec<(u64, u64)>,
    /// Indexed up to this byte; 0 before anything is.
    pub(crate) upto: u64,
}

impl Volume {
    pub(crate) fn new(file: Arc<dyn DiskFile>, header: &VolumeHeader) -> Volume {
        Volume {
            id: header.id,
            file,
            size: header.size,
            first_batch: header.first_batch,
            first_id: header.first_id,
            end: AtomicU64::new(UNIT),
            written: AtomicU64::new(0),
            index: Mutex::default(),
        }
    }

    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Notes a batch that ends at `end` and was written at `written`.
    pub(crate) fn note(&self, end: u64, written: u64) {
        self.end.fetch_max(end, Ordering::AcqRel);
        self.written.fetch_max(written, Ordering::Relaxed);
    }
}

/// A volume filled with zeros that waits to be used.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) id: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) size: u64,
}

/// The volumes in use, by id.
#[derive(Debug, Default)]
pub(crate) struct Volumes(RwLock<BTreeMap<u64, Arc<Volume>>>);

impl Volumes {
    pub(crate) fn insert(&self, volume: Arc<Volume>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(volume.id, volume);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Volume>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The first volume with an id of at least `id`.
    pub(crate) fn from(&self, id: u64) -> Option<Arc<Volume>> {
        let volumes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        volumes.range(id..).next().map(|(_, volume)| Arc::clone(volume))
    }

    pub(crate) fn first(&self) -> Option<Arc<Volume>> {
        self.from(0)
    }

    /// The last volume for which `holds` is true.
    pub(crate) fn last_where(&self, holds: impl Fn(&Volume) -> bool) -> Option<Arc<Volume>> {
        let volumes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        volumes.values().rev().find(|volume| holds(volume)).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Volume>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Makes spare `id` in `folder`: zeros under a temporary name, synced, renamed, folder synced.
/// `pause` is called between steps and may stop the work by answering false.
pub(crate) fn prepare(
    disk: &dyn Disk,
    folder: &Path,
    id: u64,
    size: u64,
    pause: &mut dyn FnMut() -> bool,
) -> io::Result<Spare> {
    let path = folder.join(volume_name(id));
    let unfinished = unfinished(&path);
    let made = fill(disk, &unfinished, id, size, pause).and_then(|file| {
        disk.rename(&unfinished, &path)?;
        disk.sync_dir(folder)?;
        Ok(Spare { id, file, size })
    });
    if made.is_err() {
        // Gives back what a full disk took half of. The error that matters is the first one, and
        // opening the journal removes what cannot be removed now.
        disk.remove(&unfinished).ok();
    }
    made
}

fn fill(
    disk: &dyn Disk,
    path: &Path,
    id: u64,
    size: u64,
    pause: &mut dyn FnMut() -> bool,
) -> io::Result<Arc<dyn DiskFile>> {
    let file = disk.create(path)?;
    let zeros = vec![0; STEP.min(usize::try_from(size).unwrap_or(STEP))];
    let mut at = 0;
    while at < size {
        let length = (size - at).min(zeros.len() as u64);
        file.write_at(zeros.get(..usize::try_from(length).unwrap_or(0)).unwrap_or(&zeros), at)?;
        file.sync()?;
        at += length;
        if at < size && !pause() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    let header = VolumeHeader { id, first_batch: 0, first_id: 0, size };
    file.write_at(&header.encode(), 0)?;
    file.sync()?;
    Ok(file)
}

/// The temporary name of a file that is being made.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(UNFINISHED);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ids_agree() {
        assert_eq!(volume_id(&volume_name(7)), Some(7));
        assert_eq!(volume_id("journal-7.volume"), None);
        assert_eq!(volume_id("journal-00000000000000000007.volume.new"), None);
    }
}
