//! The tables, and how the file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

/// "TLNI": what SQLite files of ours carry in their header.
pub(crate) const APPLICATION: i64 = 0x544c_4e49;
/// Raised when a table changes.
pub(crate) const VERSION: i64 = 1;

/// `patients.body` is `Patient::encode`; `names` are `key::Names`; `statements.body` and
/// `history.fact` are JSON. A patient's identifiers stand in its body too, so that a wrong row of
/// `numbers` or `locals` is never believed: it shows that the file is damaged.
pub(crate) const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
    CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE patients (id INTEGER PRIMARY KEY, body BLOB NOT NULL);
    CREATE TABLE numbers (number INTEGER PRIMARY KEY, patient INTEGER NOT NULL);
    CREATE TABLE locals (
        space INTEGER, value TEXT, patient INTEGER NOT NULL, PRIMARY KEY (space, value)
    ) WITHOUT ROWID;
    CREATE TABLE statements (
        patient INTEGER, source INTEGER, body TEXT NOT NULL, PRIMARY KEY (patient, source)
    ) WITHOUT ROWID;
    CREATE TABLE links (patient INTEGER, other INTEGER, PRIMARY KEY (patient, other)) WITHOUT ROWID;
    CREATE INDEX links_back ON links (other);
    CREATE TABLE forbidden (salt BLOB, hash BLOB, PRIMARY KEY (salt, hash)) WITHOUT ROWID;
    CREATE TABLE history (
        patient INTEGER, position BLOB, nth INTEGER, at INTEGER NOT NULL, source INTEGER NOT NULL,
        message INTEGER NOT NULL, actor TEXT, fact TEXT NOT NULL,
        PRIMARY KEY (patient, position, nth)
    ) WITHOUT ROWID;";

/// Opens the file for the one who writes, and makes its tables if it has none. A commit is durable
/// when SQLite likes: after a power cut rows and position are those of an earlier flush, together.
pub(crate) fn open_for_writing(path: &Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    settle_in(&connection, 64)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "wal_autocheckpoint", 16 * 1024)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        let making = connection.transaction()?;
        making.execute_batch(TABLES)?;
        making.pragma_update(None, "application_id", APPLICATION)?;
        making.pragma_update(None, "user_version", VERSION)?;
        making.commit()?;
    }
    Ok(connection)
}

/// Opens the file for one who only reads; it must be there.
pub(crate) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    settle_in(&connection, 32)?;
    Ok(connection)
}

fn settle_in(connection: &Connection, cache_mib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.pragma_update(None, "cache_size", -cache_mib * 1024)?;
    connection.pragma_update(None, "temp_store", "memory")
}
