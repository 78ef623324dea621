//! Where the archive lies, so that it can be made anew while the engine runs.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use archive::archive::Archive;
use archive::error::ArchiveError;
use archive::opening::Settings;

/// The archive of a folder. Those who ask share it; to make it anew is to wait for all of them.
#[derive(Debug)]
pub(crate) struct ArchiveHome {
    folder: PathBuf,
    /// Absent when making it anew failed.
    archive: RwLock<Option<Archive>>,
}

impl ArchiveHome {
    pub(crate) fn new(folder: &Path, archive: Archive) -> Self {
        Self { folder: folder.to_owned(), archive: RwLock::new(Some(archive)) }
    }

    /// Asks the archive something.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&Archive) -> Result<T, ArchiveError>,
    ) -> Result<T, ArchiveError> {
        let archive = self.archive.read().unwrap_or_else(PoisonError::into_inner);
        match &*archive {
            Some(archive) => question(archive),
            None => Err(ArchiveError::Folder {
                path: self.folder.clone(),
                source: io::Error::other("it could not be made anew"),
            }),
        }
    }

    /// Makes it anew. It then holds only what the journal, whose first entry was written at
    /// `journal_begins_ms`, can no longer tell. After an error what can be opened is there.
    pub(crate) fn rebuild(&self, journal_begins_ms: Option<i64>) -> Result<(), ArchiveError> {
        let mut archive = self.archive.write().unwrap_or_else(PoisonError::into_inner);
        // Its files are about to be moved: nobody may hold them.
        drop(archive.take());
        let made = Archive::rebuild(&self.folder, Settings::default(), journal_begins_ms);
        let failure = match made {
            Ok(made) => {
                *archive = Some(made);
                return Ok(());
            }
            Err(error) => error,
        };
        *archive = Archive::open(&self.folder, Settings::default()).ok().map(|found| found.archive);
        Err(failure)
    }
}
