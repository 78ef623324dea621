//! How far the engine has delivered to one subscriber, kept in the data folder: whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use journal::entry::Position;
use serde::{Deserialize, Serialize};

use crate::feed::Cursor;

/// The file of one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

/// What it holds.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// Everything before is delivered.
    cursor: String,
    /// Events delivered since the subscriber was new.
    delivered: u64,
}

impl Place {
    pub(crate) fn of(folder: &Path, subscriber: &str) -> Self {
        Self(folder.join(format!("{subscriber}.json")))
    }

    /// How far it is. A subscriber that is new begins at `end`. What cannot be read has everything
    /// delivered again that there is: an event that comes twice has the same id, one that never comes
    /// is lost.
    pub(crate) fn open(&self, end: Position) -> io::Result<(Cursor, u64)> {
        match fs::read(&self.0) {
            Ok(bytes) => {
                let kept: Option<Kept> = serde_json::from_slice(&bytes).ok();
                let cursor = kept.as_ref().and_then(|kept| kept.cursor.parse().ok());
                let delivered = kept.map_or(0, |kept| kept.delivered);
                Ok((cursor.unwrap_or(Cursor::START), delivered))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let cursor = Cursor::behind(end);
                self.keep(cursor, 0)?;
                // Without its name in the folder it would be new once more, and begin too late.
                // Later ones need no such care: an older place has events delivered twice.
                self.sync_folders()?;
                Ok((cursor, 0))
            }
            Err(error) => Err(error),
        }
    }

    pub(crate) fn keep(&self, cursor: Cursor, delivered: u64) -> io::Result<()> {
        let unfinished = self.0.with_extension("unfinished");
        let mut file = File::create(&unfinished)?;
        let kept = Kept { cursor: cursor.to_string(), delivered };
        file.write_all(&serde_json::to_vec(&kept)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.0)
    }

    /// The folder, and its own name in the data folder.
    fn sync_folders(&self) -> io::Result<()> {
        for folder in self.0.ancestors().skip(1).take(2) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }

    /// The subscriber is no longer delivered to.
    pub(crate) fn forget(&self) {
        // One that stays is found, and too far back, only if the subscriber comes back by that name.
        fs::remove_file(&self.0).ok();
    }
}

/// Forgets everybody else's.
pub(crate) fn forget_all_but(folder: &Path, known: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        if !known(name) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_where_it_was_kept_and_damage_begins_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let place = Place::of(folder.path(), "hub");
        let end: Position = "3.40.64".parse().expect("a position");
        assert_eq!(place.open(end).expect("opens"), (Cursor::behind(end), 0));
        let further: Cursor = "4.1.0+2".parse().expect("a cursor");
        place.keep(further, 7).expect("keeps");
        assert_eq!(place.open(end).expect("opens"), (further, 7));
        forget_all_but(folder.path(), |name| name == "hub").expect("forgets");
        assert_eq!(place.open(end).expect("opens"), (further, 7));
        fs::write(folder.path().join("hub.json"), b"{").expect("write");
        assert_eq!(place.open(end).expect("opens"), (Cursor::START, 0));
        forget_all_but(folder.path(), |_| false).expect("forgets");
        assert_eq!(place.open(end).expect("opens"), (Cursor::behind(end), 0));
    }
}
