//! Opening the index: what is there, what is damaged, and what takes its place.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::{IndexError, is_damage, mark_of};
use crate::index::{FILE, Index, Settings};
use crate::schema::{APPLICATION, VERSION};
use crate::snapshot;

/// An index that was opened.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub index: Index,
    /// Facts up to here are in; none if they must be applied from the journal's beginning.
    pub position: Option<[u8; 16]>,
    /// What was not as it should be.
    pub findings: Vec<Finding>,
}

/// A file that was not as it should be, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// Where it was moved to.
    pub set_aside: Option<PathBuf>,
    /// The snapshot that took its place.
    pub restored: Option<PathBuf>,
}

/// What can be wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It should be there and is not.
    Missing,
    /// It is no file of SQLite's, or one that contradicts itself.
    Damaged,
    /// It is a file of SQLite's, and not one of ours.
    Foreign,
    /// It is of another version of Tieline.
    OtherVersion,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.trouble {
            Trouble::Missing => "is missing",
            Trouble::Damaged => "is damaged",
            Trouble::Foreign => "is not a file of the index",
            Trouble::OtherVersion => "was written by another version",
        };
        write!(f, "identity: {} {what}", self.path.display())?;
        if let Some(path) = &self.set_aside {
            write!(f, "; set aside as {}", path.display())?;
        }
        match &self.restored {
            Some(path) => write!(f, "; continued from snapshot {}", path.display()),
            None => write!(f, "; rebuilt from the journal's beginning"),
        }
    }
}

impl Index {
    /// Opens the index in a folder, making both if need be.
    ///
    /// A working file that cannot be used is set aside, never deleted, and the newest snapshot that
    /// proves whole takes its place; the journal behind its position then has the rest.
    pub fn open(folder: &Path, settings: Settings) -> Result<Opened, IndexError> {
        fs::create_dir_all(folder).map_err(IndexError::folder(folder))?;
        let path = folder.join(FILE);
        let mut findings = Vec::new();
        let has_copies = snapshot::is_there_any(folder)?;
        let trouble = look(&path, has_copies)?;
        if let Some(trouble) = trouble {
            // A log that is left of a file that is gone must not be taken for the next one's.
            let set_aside = set_aside(&path).map_err(IndexError::folder(&path))?;
            let restored = snapshot::restore(folder, &path)?;
            // A folder in which nothing was yet is no finding.
            if trouble != Trouble::Missing || has_copies {
                findings.push(Finding { path, trouble, set_aside, restored });
            }
        }
        let index = Self::over(folder, settings)?;
        let position = index.layers().position;
        Ok(Opened { index, position, findings })
    }
}

/// What is wrong with the working file; `has_copies`, whether the index ever held anything.
fn look(path: &Path, has_copies: bool) -> Result<Option<Trouble>, IndexError> {
    let folder = || IndexError::folder(path);
    if mark_of(path).try_exists().map_err(folder())? {
        return Ok(Some(Trouble::Damaged));
    }
    if !path.try_exists().map_err(folder())? {
        return Ok(Some(Trouble::Missing));
    }
    match look_inside(path, has_copies) {
        Ok(trouble) => Ok(trouble),
        Err(error) if is_damage(&error) => Ok(Some(Trouble::Damaged)),
        Err(error) => Err(IndexError::storage(path)(error)),
    }
}

/// Every table's first and last row: a file that was cut off says so when its last pages are read.
fn look_inside(path: &Path, has_copies: bool) -> rusqlite::Result<Option<Trouble>> {
    let connection = Connection::open(path)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        // New, unless something was in it once: what was written was lost with its log.
        (0, 0) if tables == 0 => return Ok(has_copies.then_some(Trouble::Damaged)),
        (APPLICATION, VERSION) => {}
        (APPLICATION, _) => return Ok(Some(Trouble::OtherVersion)),
        _ => return Ok(Some(Trouble::Foreign)),
    }
    for (table, key) in [
        ("patients", "id"),
        ("numbers", "number"),
        ("locals", "space"),
        ("statements", "patient"),
        ("history", "patient"),
    ] {
        for order in ["ASC", "DESC"] {
            let sql = format!("SELECT * FROM {table} ORDER BY {key} {order} LIMIT 1");
            connection.prepare(&sql)?.query([])?.next()?;
        }
    }
    Ok(None)
}

const COMPANIONS: [&str; 3] = ["", "-wal", "-shm"];

/// Moves a file of SQLite's with its companions, or what is there of them, to the first free of
/// `<file>.set-aside-1`, `-2` ...
fn set_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    let mut is_there = false;
    for ending in COMPANIONS {
        is_there |= with_ending(path, ending).try_exists()?;
    }
    if !is_there {
        return Ok(None);
    }
    let mut number = 1;
    let to = loop {
        let to = with_ending(path, &format!(".set-aside-{number}"));
        if !to.try_exists()? {
            break to;
        }
        number += 1;
    };
    for ending in COMPANIONS {
        if_there(fs::rename(with_ending(path, ending), with_ending(&to, ending)))?;
    }
    if_there(fs::remove_file(mark_of(path)))?;
    Ok(Some(to))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
