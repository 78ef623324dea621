//! The table of the volumes in use.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use crate::{contents::Contents, disk::Disk, shelf::Shelf, volume::Volume};

/// The volumes in use, by id, and those of their files that are open.
#[derive(Debug)]
pub(crate) struct Volumes {
    table: RwLock<BTreeMap<u64, Arc<Volume>>>,
    pub(crate) shelf: Shelf,
}

impl Volumes {
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Volumes {
        Volumes { table: RwLock::default(), shelf: Shelf::new(disk, folder) }
    }

    pub(crate) fn insert(&self, volume: Arc<Volume>) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).insert(volume.id, volume);
    }

    pub(crate) fn remove(&self, id: u64) {
        self.table.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.shelf.forget(id);
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Volume>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The first volume with an id of at least `id`.
    pub(crate) fn from(&self, id: u64) -> Option<Arc<Volume>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.range(id..).next().map(|(_, volume)| Arc::clone(volume))
    }

    pub(crate) fn first(&self) -> Option<Arc<Volume>> {
        self.from(0)
    }

    /// The last volume for which `holds` is true.
    pub(crate) fn last_where(&self, holds: impl Fn(&Volume) -> bool) -> Option<Arc<Volume>> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.values().rev().find(|volume| holds(volume)).cloned()
    }

    /// The volume that holds the original of message `id`, if it is there still.
    pub(crate) fn of_message(&self, id: u64) -> Option<Arc<Volume>> {
        self.last_where(|volume| volume.first_id <= id)
    }

    pub(crate) fn all(&self) -> Vec<Arc<Volume>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The bytes of a volume; none when it was dropped meanwhile.
    pub(crate) fn open(&self, volume: &Volume) -> io::Result<Option<Arc<Contents>>> {
        match self.shelf.open(volume) {
            Ok(contents) => Ok(Some(contents)),
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.get(volume.id).is_none() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
