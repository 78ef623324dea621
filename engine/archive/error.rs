//! What can go wrong with the archive's files.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the archive did not do what was asked. None of them quotes what is in a row.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The folder, or a file in it, cannot be used.
    #[error("archive: cannot use {}: {source}; check that the engine's user may write there", path.display())]
    Folder {
        /// What could not be used.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is damaged. Others still answer.
    #[error("archive: {} is damaged; restart the engine: it sets the file aside and fills the gap from the journal", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// SQLite could not do it: full disk, no permission, a lock held by another program.
    #[error("archive: {}: {source}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A message id beyond 2^47.
    #[error("archive: message id {id} is beyond what it can hold")]
    IdTooLarge {
        /// The id.
        id: u64,
    },
}

impl ArchiveError {
    /// What a failure of the folder or a file in it is.
    pub(crate) fn folder<P: Into<PathBuf>>(path: P) -> impl FnOnce(io::Error) -> Self + use<P> {
        let path = path.into();
        move |source| Self::Folder { path, source }
    }

    /// What a failure of SQLite with a file is.
    ///
    /// A damaged file gets a companion `<file>.damaged`, so that the next start sets it aside even
    /// where the damage lies too deep to be seen by then.
    pub(crate) fn storage<P: Into<PathBuf>>(
        path: P,
    ) -> impl FnOnce(rusqlite::Error) -> Self + use<P> {
        let path = path.into();
        move |source| {
            if !is_damage(&source) {
                return Self::Storage { path, source };
            }
            // Nothing more can be done where even this cannot be written.
            std::fs::write(mark_of(&path), []).unwrap_or_default();
            Self::Damaged { path }
        }
    }
}

/// Whether SQLite says that what it read makes no sense.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// The companion that says that a file is damaged.
pub(crate) fn mark_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    PathBuf::from(name)
}
