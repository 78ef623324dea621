//! Reading and writing rows.

use std::path::{Path, PathBuf};

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::key::{Key, Names};
use crate::overlay::{Happening, Overlay};
use crate::patient::{Patient, PatientId};
use crate::schema;

/// A connection that reads.
pub(crate) struct Disk {
    pub(crate) path: PathBuf,
    connection: Connection,
}

impl Disk {
    pub(crate) fn open(path: &Path) -> rusqlite::Result<Self> {
        Ok(Self { path: path.to_owned(), connection: schema::open_for_reading(path)? })
    }

    pub(crate) fn patient(&self, id: PatientId) -> rusqlite::Result<Option<Box<[u8]>>> {
        let mut query =
            self.connection.prepare_cached("SELECT body FROM patients WHERE id = ?1")?;
        let body = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_blob()?.into());
        query.query_row([signed(id)], body).optional()
    }

    pub(crate) fn holder(&self, key: &Key) -> rusqlite::Result<Option<PatientId>> {
        let id = |row: &rusqlite::Row<'_>| row.get(0).map(unsigned);
        match key {
            Key::Number(number) => {
                let sql = "SELECT patient FROM numbers WHERE number = ?1";
                let mut query = self.connection.prepare_cached(sql)?;
                query.query_row([number.as_u64().cast_signed()], id).optional()
            }
            Key::Local(space, value) => {
                let sql = "SELECT patient FROM locals WHERE space = ?1 AND value = ?2";
                let mut query = self.connection.prepare_cached(sql)?;
                query.query_row(params![space, value], id).optional()
            }
        }
    }

    /// What each source states of a patient.
    pub(crate) fn statements(
        &self,
        id: PatientId,
    ) -> rusqlite::Result<Vec<(u16, Map<String, Value>)>> {
        let sql = "SELECT source, body FROM statements WHERE patient = ?1";
        let mut query = self.connection.prepare_cached(sql)?;
        let rows = query.query_map([signed(id)], |row| Ok((row.get(0)?, json(row, 1)?)))?;
        rows.collect()
    }

    pub(crate) fn statement(
        &self,
        id: PatientId,
        source: u16,
    ) -> rusqlite::Result<Option<Map<String, Value>>> {
        let sql = "SELECT body FROM statements WHERE patient = ?1 AND source = ?2";
        let mut query = self.connection.prepare_cached(sql)?;
        query.query_row(params![signed(id), source], |row| json(row, 0)).optional()
    }

    pub(crate) fn linked(&self, id: PatientId) -> rusqlite::Result<Vec<PatientId>> {
        let sql = "SELECT other FROM links WHERE patient = ?1
                   UNION SELECT patient FROM links WHERE other = ?1 ORDER BY 1";
        let mut query = self.connection.prepare_cached(sql)?;
        let rows = query.query_map([signed(id)], |row| row.get(0).map(unsigned))?;
        rows.collect()
    }

    pub(crate) fn history(&self, id: PatientId) -> rusqlite::Result<Vec<Happening>> {
        let sql = "SELECT position, nth, at, source, message, actor, fact FROM history
                   WHERE patient = ?1";
        let mut query = self.connection.prepare_cached(sql)?;
        let rows = query.query_map([signed(id)], |row| {
            Ok(Happening {
                patient: id,
                position: row.get(0)?,
                nth: row.get(1)?,
                at_ms: row.get(2)?,
                source: row.get(3)?,
                message_id: row.get::<_, i64>(4)?.cast_unsigned(),
                actor: row.get(5)?,
                fact: row.get(6)?,
            })
        })?;
        rows.collect()
    }

    pub(crate) fn forbidden(&self) -> rusqlite::Result<Vec<(Uuid, Uuid)>> {
        let mut query = self.connection.prepare("SELECT salt, hash FROM forbidden")?;
        let uuid = |row: &rusqlite::Row<'_>, at| row.get(at).map(Uuid::from_bytes);
        let rows = query.query_map([], |row| Ok((uuid(row, 0)?, uuid(row, 1)?)))?;
        rows.collect()
    }

    pub(crate) fn names(&self) -> rusqlite::Result<Names> {
        let mut query = self.connection.prepare("SELECT text FROM names ORDER BY id")?;
        let rows = query.query_map([], |row| row.get(0))?;
        Ok(Names::new(rows.collect::<rusqlite::Result<_>>()?))
    }

    pub(crate) fn position(&self) -> rusqlite::Result<Option<[u8; 16]>> {
        meta(&self.connection, "position")
    }

    pub(crate) fn last_loaded(&self) -> rusqlite::Result<u64> {
        let last: Option<i64> = meta(&self.connection, "last_loaded")?;
        Ok(last.unwrap_or(0).cast_unsigned())
    }

    /// How many patients (merged ones included), numbers and local identifiers there are.
    pub(crate) fn counts(&self) -> rusqlite::Result<[u64; 3]> {
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM {table}");
            self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
        };
        Ok([count("patients")?, count("numbers")?, count("locals")?])
    }
}

fn meta<T: rusqlite::types::FromSql>(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<T>> {
    let sql = "SELECT value FROM meta WHERE key = ?1";
    connection.query_row(sql, [key], |row| row.get(0)).optional()
}

fn json(row: &rusqlite::Row<'_>, at: usize) -> rusqlite::Result<Map<String, Value>> {
    let text = row.get_ref(at)?.as_str()?;
    serde_json::from_str(text)
        .map_err(|_| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, "no json".into()))
}

/// Writes everything that changed, with the position, in one transaction.
pub(crate) fn write(
    writing: &Transaction<'_>,
    changed: &Overlay,
    names: &[(u16, Box<str>)],
    position: Option<[u8; 16]>,
) -> rusqlite::Result<()> {
    let mut name = writing.prepare_cached("INSERT OR IGNORE INTO names VALUES (?1, ?2)")?;
    for (number, text) in names {
        name.execute(params![number, text])?;
    }
    let mut patient = writing.prepare_cached("INSERT OR REPLACE INTO patients VALUES (?1, ?2)")?;
    for id in sorted(&changed.patients) {
        patient.execute(params![signed(*id), changed.patients[id].encode()])?;
    }
    write_keys(writing, changed)?;
    let sql = "INSERT OR REPLACE INTO statements VALUES (?1, ?2, ?3)";
    let mut statement = writing.prepare_cached(sql)?;
    for key in sorted(&changed.statements) {
        let text = serde_json::to_string(&*changed.statements[key]).unwrap_or_default();
        statement.execute(params![signed(key.0), key.1, text])?;
    }
    let mut link = writing.prepare_cached("INSERT OR IGNORE INTO links VALUES (?1, ?2)")?;
    let sql = "DELETE FROM links WHERE patient = ?1 AND other = ?2";
    let mut unlink = writing.prepare_cached(sql)?;
    for ((one, other), linked) in &changed.links {
        let change = if *linked { &mut link } else { &mut unlink };
        change.execute([signed(*one), signed(*other)])?;
    }
    for ((salt, hash), there) in &changed.forbidden {
        let sql = if *there {
            "INSERT OR IGNORE INTO forbidden VALUES (?1, ?2)"
        } else {
            "DELETE FROM forbidden WHERE salt = ?1 AND hash = ?2"
        };
        writing.execute(sql, params![salt.as_bytes(), hash.as_bytes()])?;
    }
    write_history(writing, &changed.history)?;
    let mut meta = writing.prepare_cached("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")?;
    if let Some(position) = position {
        meta.execute(params!["position", position])?;
    }
    if changed.last_loaded > 0 {
        meta.execute(params!["last_loaded", changed.last_loaded.cast_signed()])?;
    }
    Ok(())
}

fn write_keys(writing: &Transaction<'_>, changed: &Overlay) -> rusqlite::Result<()> {
    let mut number = writing.prepare_cached("INSERT OR REPLACE INTO numbers VALUES (?1, ?2)")?;
    let mut local = writing.prepare_cached("INSERT OR REPLACE INTO locals VALUES (?1, ?2, ?3)")?;
    let mut no_number = writing.prepare_cached("DELETE FROM numbers WHERE number = ?1")?;
    let mut no_local =
        writing.prepare_cached("DELETE FROM locals WHERE space = ?1 AND value = ?2")?;
    for key in sorted(&changed.keys) {
        let holder = &changed.keys[key];
        match (key, holder) {
            (Key::Number(of), Some(id)) => {
                number.execute([of.as_u64().cast_signed(), signed(*id)])?
            }
            (Key::Number(of), None) => no_number.execute([of.as_u64().cast_signed()])?,
            (Key::Local(space, value), Some(id)) => {
                local.execute(params![space, value, signed(*id)])?
            }
            (Key::Local(space, value), None) => no_local.execute(params![space, value])?,
        };
    }
    Ok(())
}

fn write_history(writing: &Transaction<'_>, rows: &[Happening]) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let mut history = writing.prepare_cached(sql)?;
    for row in rows {
        history.execute(params![
            signed(row.patient),
            row.position,
            row.nth,
            row.at_ms,
            row.source,
            row.message_id.cast_signed(),
            row.actor,
            row.fact
        ])?;
    }
    Ok(())
}

/// Rows are written in the order of their keys, so that neighbours share pages.
fn sorted<K: Ord, V>(map: &std::collections::HashMap<K, V>) -> Vec<&K> {
    let mut keys: Vec<&K> = map.keys().collect();
    keys.sort_unstable();
    keys
}

pub(crate) fn signed(id: PatientId) -> i64 {
    id.0.cast_signed()
}

fn unsigned(id: i64) -> PatientId {
    PatientId(id.cast_unsigned())
}

/// Two rows of which one cannot be true: the file is damaged.
pub(crate) fn contradiction() -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, "another patient".into())
}

/// The patient that bytes of a row hold.
pub(crate) fn decoded(bytes: &[u8]) -> rusqlite::Result<Patient> {
    let broken = || rusqlite::Error::FromSqlConversionFailure(0, Type::Blob, "no patient".into());
    Patient::decode(bytes).ok_or_else(broken)
}
