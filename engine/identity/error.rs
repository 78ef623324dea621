//! What can go wrong with the index.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the index did not do what was asked. None of them quotes what it holds.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder, or a file in it, cannot be used.
    #[error("identity: cannot use {}: {source}; check that the engine's user may write there", path.display())]
    Folder {
        /// What could not be used.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The working file is damaged.
    #[error("identity: {} is damaged; restart the engine: it sets the file aside and takes the newest snapshot", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// SQLite could not do it: full disk, no permission, a lock held by another program.
    #[error("identity: {}: {source}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A copy did not turn out equal to its original, and was removed.
    #[error("identity: snapshot {} differs from the index in {what}; check the disk", path.display())]
    Unequal {
        /// The copy.
        path: PathBuf,
        /// What differs.
        what: &'static str,
    },
    /// More sources and kinds of identifiers than can be told apart.
    #[error(
        "identity: more than 32767 sources and kinds of local identifiers; check channels.yaml for authorities that change with every message"
    )]
    TooManyNames,
    /// The list of identifiers that must not be linked governs what was asked for.
    #[error(
        "identity: withheld, since it would link identifiers that must not be linked; ask the information governance lead"
    )]
    Withheld,
    /// Nobody is known by what was asked for.
    #[error("identity: nobody is known by that identifier")]
    Nobody,
    /// The record was not merged into another one.
    #[error("identity: that record was not merged into another one, so there is nothing to undo")]
    NotMerged,
}

impl IndexError {
    /// Whether the same may go well later, as what has to do with files may. What the index refuses it
    /// refuses at every time.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Withheld | Self::Nobody | Self::NotMerged)
    }

    pub(crate) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Folder { path, source }
    }

    /// What a failure of SQLite with a file is. A damaged file gets a companion, so that the next
    /// start sets it aside.
    pub(crate) fn storage(path: &Path) -> impl FnOnce(rusqlite::Error) -> Self + use<> {
        let path = path.to_owned();
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
        || matches!(error, rusqlite::Error::FromSqlConversionFailure(..))
}

/// Whether the system did not let SQLite do it, which says nothing of what the file holds.
pub(crate) fn is_of_system(error: &rusqlite::Error) -> bool {
    use ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    matches!(
        error.sqlite_error_code(),
        Some(
            CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | FileLockingProtocolFailed
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
                | SystemIoFailure
        )
    )
}

/// The companion that says that a file is damaged.
pub(crate) fn mark_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".damaged");
    PathBuf::from(name)
}
