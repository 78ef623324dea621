//! A file of SQLite's together with those that stand beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::mark_of;

const ENDINGS: [&str; 3] = ["", "-wal", "-shm"];

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Removes a file, and at last the file itself: what is left after a crash still says what it was.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    for ending in ENDINGS.iter().rev() {
        if_there(fs::remove_file(with_ending(path, ending)))?;
    }
    if_there(fs::remove_file(mark_of(path)))
}

/// Moves a file to another path.
pub(crate) fn rename(path: &Path, to: &Path) -> io::Result<()> {
    for ending in ENDINGS {
        if_there(fs::rename(with_ending(path, ending), with_ending(to, ending)))?;
    }
    if_there(fs::remove_file(mark_of(path)))
}

/// Moves a file out of the way, to the first free of `<file>.set-aside-1`, `-2` ...
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut number = 1;
    loop {
        let to = with_ending(path, &format!(".set-aside-{number}"));
        if !to.try_exists()? {
            rename(path, &to)?;
            return Ok(to);
        }
        number += 1;
    }
}

/// The bytes it takes.
pub(crate) fn size(path: &Path) -> u64 {
    let sizes = ENDINGS.map(|ending| fs::metadata(with_ending(path, ending)));
    sizes.into_iter().flatten().map(|metadata| metadata.len()).sum()
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
