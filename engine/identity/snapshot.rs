//! Copies of the index that were proven equal to it. What the journal still has to keep for the
//! index is what lies behind the older of the two newest.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};

use crate::error::{IndexError, is_of_system};
use crate::index::{FILE, Index, Settings};
use crate::schema::{self, APPLICATION, VERSION};

/// One copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Its file.
    pub path: PathBuf,
    /// Facts up to here are in it.
    pub position: [u8; 16],
    /// How many rows it has in all tables.
    pub rows: u64,
}

const FOLDER: &str = "snapshots";
const ENDING: &str = ".db";
/// Under which `meta` keeps what a copy was proven to be.
const SEAL: &str = "seal";

/// What two equal files have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seal {
    rows: u64,
    sum: u64,
}

impl Index {
    /// Flushes, copies the file, reads the copy back, and removes all but the newest `keep` copies.
    /// Nothing, if no fact was ever applied. Takes minutes with millions of patients; only flushing
    /// waits for it.
    pub fn snapshot(&self, keep: usize) -> Result<Option<Snapshot>, IndexError> {
        let mut writer = self.writer();
        let Some(position) = self.flush_with(&mut writer)? else { return Ok(None) };
        let folder = self.folder.join(FOLDER);
        fs::create_dir_all(&folder).map_err(IndexError::folder(&folder))?;
        let number = names(&folder)?.last().map_or(1, |(number, _)| number + 1);
        let path = folder.join(format!("identity-{number:020}{ENDING}"));
        let unfinished = folder.join("unfinished");
        remove(&unfinished)?;
        let original = IndexError::storage(&self.path());
        let seal = Seal::of(&writer.connection).map_err(original)?;
        let failed = || IndexError::storage(&unfinished);
        let name = unfinished.to_string_lossy();
        writer.connection.execute("VACUUM INTO ?1", [&name]).map_err(failed())?;
        drop(writer);
        let rows = seal.rows;
        if let Err(what) = prove(&unfinished, seal).map_err(failed())? {
            remove(&unfinished)?;
            return Err(IndexError::Unequal { path, what });
        }
        let folder_failed = || IndexError::folder(&path);
        fs::File::open(&unfinished).and_then(|file| file.sync_all()).map_err(folder_failed())?;
        fs::rename(&unfinished, &path).map_err(folder_failed())?;
        fs::File::open(&folder).and_then(|file| file.sync_all()).map_err(folder_failed())?;
        let all = names(&folder)?;
        for (_, old) in &all[..all.len().saturating_sub(keep.max(1))] {
            remove(old)?;
        }
        Ok(Some(Snapshot { path, position, rows }))
    }

    /// A copy of the index in another folder, in which a load can be tried out.
    pub fn scratch(&self, folder: &Path, settings: Settings) -> Result<Index, IndexError> {
        fs::create_dir_all(folder).map_err(IndexError::folder(folder))?;
        let mut writer = self.writer();
        self.flush_with(&mut writer)?;
        let path = folder.join(FILE);
        let copied = writer.connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]);
        copied.map_err(IndexError::storage(&path))?;
        Index::over(folder, settings)
    }

    /// Behind what position the journal is still needed by the index: that of the older of the two
    /// newest copies. Nothing as long as there are not two; all of the journal is needed then.
    pub fn covered(&self) -> Result<Option<[u8; 16]>, IndexError> {
        let folder = self.folder.join(FOLDER);
        let all = names(&folder)?;
        let Some((_, older)) = all.len().checked_sub(2).and_then(|at| all.get(at)) else {
            return Ok(None);
        };
        let read = || -> rusqlite::Result<Option<[u8; 16]>> {
            let copy = schema::open_for_reading(older)?;
            let sql = "SELECT value FROM meta WHERE key = 'position'";
            copy.query_row(sql, [], |row| row.get(0)).map(Some)
        };
        read().map_err(IndexError::storage(older))
    }
}

/// Puts the newest copy that proves whole in the place of the working file; nothing when there is
/// none. Copies that do not are left where they are.
pub(crate) fn restore(folder: &Path, to: &Path) -> Result<Option<PathBuf>, IndexError> {
    let all = names(&folder.join(FOLDER))?;
    for (_, path) in all.into_iter().rev() {
        match sealed(&path) {
            Ok(true) => {}
            Ok(false) => continue,
            // What cannot be read now may be whole; all else proves nothing, whatever SQLite calls it.
            Err(error) if is_of_system(&error) => return Err(IndexError::storage(&path)(error)),
            Err(_) => continue,
        }
        let failed = || IndexError::folder(to);
        let unfinished = to.with_extension("restoring");
        fs::copy(&path, &unfinished).map_err(failed())?;
        fs::File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed())?;
        fs::rename(&unfinished, to).map_err(failed())?;
        return Ok(Some(path));
    }
    Ok(None)
}

/// Reads a copy whole and, if it is what the original was, seals it.
fn prove(path: &Path, seal: Seal) -> rusqlite::Result<Result<(), &'static str>> {
    let copy = Connection::open(path)?;
    if !is_sound(&copy)? {
        return Ok(Err("its integrity"));
    }
    let found = Seal::of(&copy)?;
    if found.rows != seal.rows {
        return Ok(Err("its number of rows"));
    }
    if found != seal {
        return Ok(Err("its content"));
    }
    let text = format!("{} {:016x}", seal.rows, seal.sum);
    copy.execute("INSERT OR REPLACE INTO meta VALUES (?1, ?2)", params![SEAL, text])?;
    Ok(Ok(()))
}

/// Whether there are copies, whole or not.
pub(crate) fn is_there_any(folder: &Path) -> Result<bool, IndexError> {
    Ok(!names(&folder.join(FOLDER))?.is_empty())
}

/// Whether a copy is what it was when it was sealed, and of this version.
fn sealed(path: &Path) -> rusqlite::Result<bool> {
    let copy = schema::open_for_reading(path)?;
    let number = |pragma| copy.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    if (number("application_id")?, number("user_version")?) != (APPLICATION, VERSION) {
        return Ok(false);
    }
    let sql = "SELECT value FROM meta WHERE key = ?1";
    let text: String = copy.query_row(sql, [SEAL], |row| row.get(0))?;
    let seal = Seal::of(&copy)?;
    Ok(is_sound(&copy)? && text == format!("{} {:016x}", seal.rows, seal.sum))
}

fn is_sound(copy: &Connection) -> rusqlite::Result<bool> {
    let verdict: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok(verdict == "ok")
}

impl Seal {
    /// Of every value of every row, the seal itself left out. The sum of rows does not depend on
    /// their order, which a copy may change.
    fn of(connection: &Connection) -> rusqlite::Result<Self> {
        let mut seal = Self { rows: 0, sum: 0 };
        let tables = [
            "meta",
            "names",
            "patients",
            "numbers",
            "locals",
            "statements",
            "links",
            "forbidden",
            "history",
        ];
        for (table, at) in tables.into_iter().zip(1_u64..) {
            let rest = if table == "meta" { " WHERE key <> 'seal'" } else { "" };
            let mut query = connection.prepare(&format!("SELECT * FROM {table}{rest}"))?;
            let columns = query.column_count();
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let mut hash = Fnv(at);
                for column in 0..columns {
                    hash.value(row.get_ref(column)?);
                }
                seal.rows += 1;
                seal.sum = seal.sum.wrapping_add(hash.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
        }
        Ok(seal)
    }
}

/// FNV-1a, 64 bits: against accidents, not against malice.
struct Fnv(u64);

impl Fnv {
    fn value(&mut self, value: rusqlite::types::ValueRef<'_>) {
        use rusqlite::types::ValueRef;
        match value {
            ValueRef::Null => self.bytes(0, &[]),
            ValueRef::Integer(number) => self.bytes(1, &number.to_le_bytes()),
            ValueRef::Real(number) => self.bytes(2, &number.to_le_bytes()),
            ValueRef::Text(text) => self.bytes(3, text),
            ValueRef::Blob(blob) => self.bytes(4, blob),
        }
    }

    fn bytes(&mut self, kind: u8, bytes: &[u8]) {
        let length = (bytes.len() as u64).to_le_bytes();
        for byte in [kind].iter().chain(&length).chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The copies in their order.
fn names(folder: &Path) -> Result<Vec<(u64, PathBuf)>, IndexError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(IndexError::folder(folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(IndexError::folder(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("identity-").and_then(|rest| rest.strip_suffix(ENDING));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn remove(path: &Path) -> Result<(), IndexError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(IndexError::folder(path)(error))
        }
        _ => Ok(()),
    }
}
