//! Opening the archive: what is there, what is not ours or damaged, how far the journal was taken.

use std::fs;
use std::path::{Path, PathBuf};

use roaring::RoaringTreemap;
use rusqlite::Connection;

use crate::archive::Archive;
use crate::binder::Binder;
use crate::catalogue::{Catalogue, FILE};
use crate::companions;
use crate::day::Shelf;
use crate::error::{ArchiveError, is_damage, mark_of};
use crate::schema::{APPLICATION, VERSION};
use crate::spans::{Span, Spans};

/// How an archive is used.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Connections for those who ask that stay open while nobody asks; three file handles each.
    pub readers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { readers: 48 }
    }
}

/// An archive that was opened.
#[derive(Debug)]
pub struct Opened {
    /// It.
    pub archive: Archive,
    /// How far the journal was taken; none if it must be read from its beginning.
    pub position: Option<String>,
    /// What was not as it should be. Not empty means that the archive has gaps until the journal
    /// was read from its beginning; `position` is none then.
    pub findings: Vec<Finding>,
}

/// A file that was not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// Where it was moved to.
    pub set_aside: Option<PathBuf>,
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
            Trouble::Foreign => "is not a file of the archive",
            Trouble::OtherVersion => "was written by another version",
        };
        write!(f, "archive: {} {what}", self.path.display())?;
        match &self.set_aside {
            Some(path) => write!(f, "; set aside as {}", path.display()),
            None => Ok(()),
        }
    }
}

impl Archive {
    /// Opens the archive in a folder, making both if need be.
    ///
    /// A file that cannot be used is moved out of the way and named; the archive is then to be
    /// filled from the journal's beginning, which changes nothing where rows are still there.
    pub fn open(folder: &Path, settings: Settings) -> Result<Opened, ArchiveError> {
        fs::create_dir_all(folder).map_err(ArchiveError::folder(folder))?;
        let mut findings = Vec::new();
        let mut spans = Vec::new();
        let mut has_catalogue = false;
        for name in names_in(folder)? {
            let shelf = Shelf::from_file_name(&name);
            if shelf.is_none() && name != FILE {
                continue;
            }
            let path = folder.join(&name);
            match (look(&path)?, shelf) {
                (Look::Trouble(trouble), _) => {
                    let moved = companions::set_aside(&path);
                    let set_aside = Some(moved.map_err(ArchiveError::folder(&path))?);
                    findings.push(Finding { path, trouble, set_aside });
                }
                (Look::Unfinished, _) => {
                    companions::remove(&path).map_err(ArchiveError::folder(&path))?;
                }
                (Look::Good(_), None) => has_catalogue = true,
                (Look::Good(span), Some(shelf)) => spans.push((shelf, span)),
            }
        }
        let path = folder.join(FILE);
        if !has_catalogue && !spans.is_empty() && !findings.iter().any(|found| found.path == path) {
            findings.push(Finding {
                path: path.clone(),
                trouble: Trouble::Missing,
                set_aside: None,
            });
        }
        let catalogue = Catalogue::open(folder).map_err(ArchiveError::storage(&path))?;
        reconcile(&catalogue, folder, &spans, &mut findings)?;
        let kept = keep(folder, &mut spans)?;
        let known = Spans::default();
        for (shelf, span) in spans {
            if let Some(span) = span {
                known.add(shelf, span);
            }
        }
        drop(catalogue);
        let archive = Self::assemble(folder, settings.readers, known, kept)?;
        Ok(Opened { position: archive.position(), archive, findings })
    }
}

/// The names of all files in a folder, in order.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, ArchiveError> {
    let failed = || ArchiveError::folder(folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        names.extend(entry.map_err(failed())?.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

/// What a file turned out to be.
enum Look {
    Good(Option<Span>),
    /// Nothing was written into it yet.
    Unfinished,
    Trouble(Trouble),
}

fn look(path: &Path) -> Result<Look, ArchiveError> {
    if mark_of(path).try_exists().map_err(ArchiveError::folder(path))? {
        return Ok(Look::Trouble(Trouble::Damaged));
    }
    match look_inside(path) {
        Ok(look) => Ok(look),
        Err(error) if is_damage(&error) => Ok(Look::Trouble(Trouble::Damaged)),
        Err(error) => Err(ArchiveError::storage(path)(error)),
    }
}

fn look_inside(path: &Path) -> rusqlite::Result<Look> {
    let connection = Connection::open(path)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let (application, version) = (number("application_id")?, number("user_version")?);
    Ok(match (application, version) {
        (0, 0) if tables == 0 => Look::Unfinished,
        (APPLICATION, VERSION) if path.ends_with(FILE) => Look::Good(None),
        (APPLICATION, VERSION) => {
            // A file that was cut off says so when its last pages are read.
            connection.query_row("SELECT max(id) FROM names", [], |_| Ok(()))?;
            connection.query_row("SELECT max(id), max(state) FROM messages WHERE id = (SELECT max(id) FROM messages)", [], |_| Ok(()))?;
            Look::Good(Span::read(&connection)?)
        }
        (APPLICATION, _) => Look::Trouble(Trouble::OtherVersion),
        _ => Look::Trouble(Trouble::Foreign),
    })
}

/// Compares the days that should be there with those that are.
fn reconcile(
    catalogue: &Catalogue,
    folder: &Path,
    spans: &[(Shelf, Option<Span>)],
    findings: &mut Vec<Finding>,
) -> Result<(), ArchiveError> {
    let failed = || ArchiveError::storage(&catalogue.path);
    for day in catalogue.days().map_err(failed())? {
        let shelf = Shelf::Day(day);
        if spans.iter().any(|(there, _)| *there == shelf) {
            continue;
        }
        let path = shelf.path(folder);
        if !findings.iter().any(|found| found.path == path) {
            findings.push(Finding { path, trouble: Trouble::Missing, set_aside: None });
        }
        catalogue.note_day(day, false).map_err(failed())?;
    }
    for (shelf, _) in spans {
        if let Shelf::Day(day) = shelf {
            catalogue.note_day(*day, true).map_err(failed())?;
        }
    }
    if !findings.is_empty() {
        catalogue.forget_position().map_err(failed())?;
    }
    Ok(())
}

/// The ids on the shelf of kept messages. One that is on its day too was being carried when the
/// engine died; it stays where it was.
fn keep(
    folder: &Path,
    spans: &mut [(Shelf, Option<Span>)],
) -> Result<RoaringTreemap, ArchiveError> {
    let path = Shelf::Kept.path(folder);
    let days: Vec<_> = spans.iter().filter(|(shelf, _)| *shelf != Shelf::Kept).copied().collect();
    let Some((_, kept_span)) = spans.iter_mut().find(|(shelf, _)| *shelf == Shelf::Kept) else {
        return Ok(RoaringTreemap::new());
    };
    let failed = || ArchiveError::storage(&path);
    let mut binder = Binder::open(folder, Shelf::Kept).map_err(failed())?;
    let mut kept = RoaringTreemap::new();
    for unsettled in [true, false] {
        kept.extend(binder.ids(unsettled).map_err(failed())?);
    }
    let mut twice = Vec::new();
    for (shelf, span) in days {
        let Some(span) = span else { continue };
        let both: Vec<u64> = kept.iter().filter(|id| span.holds(*id)).collect();
        if both.is_empty() {
            continue;
        }
        let failed = || ArchiveError::storage(shelf.path(folder));
        let day = Binder::open(folder, shelf).map_err(failed())?;
        for id in both {
            if day.load(id).map_err(failed())?.is_some() {
                twice.push(id);
            }
        }
    }
    if !twice.is_empty() {
        binder.remove(&twice).map_err(failed())?;
        kept -= RoaringTreemap::from_iter(twice);
        *kept_span = binder.span().map_err(failed())?;
    }
    Ok(kept)
}
