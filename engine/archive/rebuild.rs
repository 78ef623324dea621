//! Starting anew, to be filled from the journal.

use std::fs;
use std::path::Path;

use crate::archive::Archive;
use crate::catalogue::{Catalogue, FILE};
use crate::companions;
use crate::day::{Day, Shelf};
use crate::error::ArchiveError;
use crate::opening::{Settings, names_in};

/// The folder for what was replaced, in the archive's own.
const REPLACED: &str = "replaced";

impl Archive {
    /// An archive that holds only what the journal can no longer tell; feed it from the journal's
    /// beginning. Nobody may have the old one open.
    ///
    /// `journal_begins_ms` is when the first entry of the journal was written, milliseconds since
    /// 1970. Days before it, its own day, kept messages and earlier decisions of operators stay;
    /// without it nothing stays. What is replaced lies in the folder `replaced` until the next
    /// rebuild, or until [`Archive::forget_replaced`].
    pub fn rebuild(
        folder: &Path,
        settings: Settings,
        journal_begins_ms: Option<i64>,
    ) -> Result<Self, ArchiveError> {
        Self::forget_replaced(folder)?;
        let replaced = folder.join(REPLACED);
        fs::create_dir_all(&replaced).map_err(ArchiveError::folder(&replaced))?;
        for name in names_in(folder)? {
            let moves = match (Shelf::from_file_name(&name), journal_begins_ms) {
                (None, _) => name == FILE,
                (_, None) => true,
                (Some(Shelf::Kept), _) => false,
                (Some(Shelf::Day(day)), Some(begins)) => day > Day::of(begins),
            };
            if moves {
                let path = folder.join(&name);
                let moved = companions::rename(&path, &replaced.join(&name));
                moved.map_err(ArchiveError::folder(&path))?;
            }
        }
        let old = replaced.join(FILE);
        if let Some(begins) = journal_begins_ms
            && old.try_exists().unwrap_or_default()
        {
            let path = folder.join(FILE);
            let inherited = Catalogue::open(folder).and_then(|mut new| new.inherit(&old, begins));
            inherited.map_err(ArchiveError::storage(&path))?;
        }
        Ok(Self::open(folder, settings)?.archive)
    }

    /// Removes what the last rebuild replaced.
    pub fn forget_replaced(folder: &Path) -> Result<(), ArchiveError> {
        let replaced = folder.join(REPLACED);
        match fs::remove_dir_all(&replaced) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ArchiveError::folder(&replaced)(error))
            }
            _ => Ok(()),
        }
    }
}
