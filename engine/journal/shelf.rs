//! The files of volumes that are open for reading: a few, however many volumes there are.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    contents::Contents,
    disk::Disk,
    packed::Packed,
    volume::{Place, Volume, packed_name, volume_name},
};

/// Most files kept open. Whoever reads one keeps it open for as long, on the shelf or not.
const MOST: usize = 12;

/// Opens volumes and keeps the ones used last.
#[derive(Debug)]
pub(crate) struct Shelf {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    open: Mutex<VecDeque<(u64, Arc<Contents>)>>,
}

impl Shelf {
    pub(crate) fn new(disk: Arc<dyn Disk>, folder: PathBuf) -> Shelf {
        Shelf { disk, folder, open: Mutex::default() }
    }

    /// A volume's bytes; [`io::ErrorKind::NotFound`] when it was dropped meanwhile.
    pub(crate) fn open(&self, volume: &Volume) -> io::Result<Arc<Contents>> {
        if let Some(contents) = self.known(volume.id) {
            return Ok(contents);
        }
        // Held until the file is on the shelf, so that nobody changes its form in between.
        let place = volume.place();
        let contents = Arc::new(match *place {
            Place::Raw | Place::Both => {
                Contents::Raw(self.disk.open(&self.folder.join(volume_name(volume.id)))?)
            }
            Place::Packed => {
                let file = self.disk.open(&self.folder.join(packed_name(volume.id)))?;
                Contents::Packed(Packed::open(file, volume.id)?)
            }
            Place::Gone => return Err(io::ErrorKind::NotFound.into()),
        });
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((volume.id, Arc::clone(&contents)));
        while open.len() > MOST {
            open.pop_front();
        }
        Ok(contents)
    }

    fn known(&self, id: u64) -> Option<Arc<Contents>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let at = open.iter().position(|(known, _)| *known == id)?;
        let found = open.remove(at)?;
        let contents = Arc::clone(&found.1);
        open.push_back(found);
        Some(contents)
    }

    /// Takes a volume from the shelf, whose place is about to change.
    pub(crate) fn forget(&self, id: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != id);
    }
}
