//! Volumes: the files that batches lie in.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{
    disk::{Disk, DiskFile},
    format::{PackHeader, UNIT, VolumeHeader},
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
    id_in(name, ".volume")
}

/// The file name of a packed volume.
pub(crate) fn packed_name(id: u64) -> String {
    format!("journal-{id:020}.packed")
}

/// The volume id in a file name, if it is a packed volume's.
pub(crate) fn packed_id(name: &str) -> Option<u64> {
    id_in(name, ".packed")
}

fn id_in(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_prefix("journal-")?.strip_suffix(ending)?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

/// A volume in use: it has, or is about to have, batches.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) id: u64,
    /// Bytes of the raw volume that can hold batches.
    pub(crate) size: u64,
    pub(crate) first_batch: u64,
    pub(crate) first_id: u64,
    /// The byte behind its last known batch.
    end: AtomicU64,
    /// When its newest known batch was written, in milliseconds since 1970; 0 is not known.
    written: AtomicU64,
    /// Bytes that its file takes.
    stored: AtomicU64,
    place: Mutex<Place>,
    /// It cannot be packed.
    stays_raw: AtomicBool,
    /// Where ids lie, built when somebody looks for one: (next id before the batch, batch's byte).
    pub(crate) index: Mutex<Index>,
}

/// The volume that is being written, and its file.
pub(crate) type Current = (Arc<Volume>, Arc<dyn DiskFile>);

/// Where a volume's bytes lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Raw,
    /// A packed file is there too, and is not verified yet.
    Both,
    Packed,
    /// It was dropped.
    Gone,
}

/// A sparse index of a volume.
#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) points: Vec<(u64, u64)>,
    /// Indexed up to this byte; 0 before anything is.
    pub(crate) upto: u64,
}

impl Volume {
    pub(crate) fn raw(header: &VolumeHeader, place: Place) -> Volume {
        Volume {
            id: header.id,
            size: header.size,
            first_batch: header.first_batch,
            first_id: header.first_id,
            end: AtomicU64::new(UNIT),
            written: AtomicU64::new(0),
            stored: AtomicU64::new(header.size),
            place: Mutex::new(place),
            stays_raw: AtomicBool::new(false),
            index: Mutex::default(),
        }
    }

    /// A packed volume whose file takes `stored` bytes.
    pub(crate) fn packed(header: &PackHeader, stored: u64) -> Volume {
        Volume {
            id: header.id,
            size: header.end,
            first_batch: header.first_batch,
            first_id: header.first_id,
            end: AtomicU64::new(header.end),
            written: AtomicU64::new(header.written),
            stored: AtomicU64::new(stored),
            place: Mutex::new(Place::Packed),
            stays_raw: AtomicBool::new(false),
            index: Mutex::default(),
        }
    }

    /// Where its bytes lie, kept from changing.
    pub(crate) fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was found that it cannot be packed.
    pub(crate) fn stays_raw(&self) -> bool {
        self.stays_raw.load(Ordering::Relaxed)
    }

    pub(crate) fn keep_raw(&self) {
        self.stays_raw.store(true, Ordering::Relaxed);
    }

    /// Bytes that its file takes.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Notes that its file takes `stored` bytes from now on.
    pub(crate) fn note_stored(&self, stored: u64) {
        self.stored.store(stored, Ordering::Relaxed);
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
        assert_eq!(packed_id(&packed_name(7)), Some(7));
        assert_eq!((volume_id(&packed_name(7)), packed_id(&volume_name(7))), (None, None));
        assert_eq!(volume_id("journal-7.volume"), None);
        assert_eq!(volume_id("journal-00000000000000000007.volume.new"), None);
    }
}
