//! The tables, and how a file is opened.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::state::State;

/// "TLNA": what SQLite files of ours carry in their header.
pub(crate) const APPLICATION: i64 = 0x544c_4e41;
/// Raised when a table changes; files of another version are set aside and filled anew.
pub(crate) const VERSION: i64 = 1;

/// Tables of a file that holds messages.
///
/// `names` holds every text that repeats, and 0 is the empty one; `keys` is what messages are found
/// by; `minutes` says which ids were received in which minute, so that a span of time is a span of
/// ids. Published messages, nearly all, stand in no index of states.
const SHELF: &str = "
    CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    INSERT INTO names VALUES (0, '');
    CREATE TABLE messages (
        id INTEGER PRIMARY KEY, channel INTEGER NOT NULL, received INTEGER NOT NULL,
        peer INTEGER NOT NULL, control_id TEXT NOT NULL, sender INTEGER NOT NULL,
        type INTEGER NOT NULL, size INTEGER NOT NULL, state INTEGER NOT NULL,
        reason INTEGER NOT NULL, detail TEXT, nhs, duplicate_of INTEGER, superseded_by INTEGER,
        edit_of INTEGER, configversion INTEGER NOT NULL, revision INTEGER NOT NULL,
        events INTEGER NOT NULL, place BLOB NOT NULL, outcome_place BLOB
    );
    CREATE INDEX by_channel ON messages (channel);
    CREATE INDEX by_type ON messages (type);
    CREATE INDEX by_state ON messages (state) WHERE state <> 1;
    CREATE TABLE events (
        key INTEGER PRIMARY KEY, event_id, type INTEGER NOT NULL, routing_key INTEGER NOT NULL,
        length INTEGER NOT NULL
    );
    CREATE TABLE locals (key INTEGER PRIMARY KEY, identifier TEXT NOT NULL);
    CREATE TABLE history (
        key INTEGER PRIMARY KEY, after INTEGER NOT NULL, what INTEGER NOT NULL, state INTEGER,
        reason TEXT, actor TEXT, note TEXT, routes INTEGER NOT NULL, place BLOB NOT NULL,
        first_place BLOB
    );
    CREATE TABLE keys (key INTEGER, low INTEGER, PRIMARY KEY (key, low)) WITHOUT ROWID;
    CREATE TABLE minutes (
        minute INTEGER PRIMARY KEY, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,
        rows INTEGER NOT NULL
    );";

/// Tables of `archive.db`: how far the journal was taken, the days there are, and what operators
/// did.
const CATALOGUE: &str = "
    CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), text TEXT NOT NULL);
    CREATE TABLE days (day INTEGER PRIMARY KEY);
    CREATE TABLE audit (
        first_place BLOB PRIMARY KEY, place BLOB NOT NULL, at INTEGER NOT NULL,
        message INTEGER NOT NULL, channel TEXT NOT NULL, action TEXT NOT NULL, actor TEXT NOT NULL,
        reason TEXT NOT NULL, note TEXT
    );
    CREATE INDEX audit_by_time ON audit (at);";

/// The literal in the partial index above.
pub(crate) const COMMON: State = State::Published;

/// Which tables a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tables {
    Shelf,
    Catalogue,
}

/// Opens a file for the one who writes, and makes its tables if it has none.
///
/// A shelf is made durable with every commit (`FULL`), the catalogue when SQLite likes (`NORMAL`):
/// after a power cut the position may lag behind the rows, and never the rows behind the position.
pub(crate) fn open_for_writing(path: &Path, tables: Tables) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    settle_in(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let (synchronous, cache) = match tables {
        Tables::Shelf => ("full", -24 * 1024),
        Tables::Catalogue => ("normal", -1024),
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "cache_size", cache)?;
    // Pages change many times while a slot fills: the fewer checkpoints, the less is written.
    connection.pragma_update(None, "wal_autocheckpoint", 6 * 1024)?;
    connection.pragma_update(None, "journal_size_limit", 32 * 1024 * 1024)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        let making = connection.transaction()?;
        making.execute_batch(match tables {
            Tables::Shelf => SHELF,
            Tables::Catalogue => CATALOGUE,
        })?;
        making.pragma_update(None, "application_id", APPLICATION)?;
        making.pragma_update(None, "user_version", VERSION)?;
        making.commit()?;
    }
    Ok(connection)
}

/// Opens a file for one who only reads; it must be there.
pub(crate) fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    settle_in(&connection)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    Ok(connection)
}

fn settle_in(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(48);
    connection.pragma_update(None, "temp_store", "memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_states_leaves_out_the_common_one() {
        assert!(SHELF.contains(&format!("WHERE state <> {}", COMMON.number())));
    }

    #[test]
    fn sqlite_is_new_enough_not_to_damage_a_wal() {
        assert!(rusqlite::version_number() > 3_051_002, "{}", rusqlite::version());
    }
}
