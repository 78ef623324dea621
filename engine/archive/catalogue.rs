//! `archive.db`: how far the journal was taken, the days there are, and what operators did.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Result, Row, Transaction, params};

use crate::coding::{pack, signed, unpack, unsigned};
use crate::day::{Day, Shelf};
use crate::record::{Record, What};
use crate::row::AuditRow;
use crate::schema::{Tables, open_for_writing};

/// The name of its file.
pub(crate) const FILE: &str = "archive.db";

/// It, open for writing and reading.
#[derive(Debug)]
pub(crate) struct Catalogue {
    connection: Connection,
    /// Its file.
    pub(crate) path: PathBuf,
}

impl Catalogue {
    /// Opens it, making it if need be.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        Ok(Self { connection: open_for_writing(&path, Tables::Catalogue)?, path })
    }

    /// How far the journal was taken.
    pub(crate) fn position(&self) -> Result<Option<String>> {
        let sql = "SELECT text FROM position";
        self.connection.query_row(sql, [], |columns| columns.get(0)).optional()
    }

    /// Forgets how far the journal was taken: it must be read from its beginning.
    pub(crate) fn forget_position(&self) -> Result<()> {
        self.connection.execute("DELETE FROM position", [])?;
        Ok(())
    }

    /// The days there should be.
    pub(crate) fn days(&self) -> Result<Vec<Day>> {
        let mut asked = self.connection.prepare("SELECT day FROM days")?;
        let days = asked.query_map([], |columns| columns.get(0))?;
        days.filter_map(|day| day.map(Day::from_number).transpose()).collect()
    }

    /// Notes that there is a day, or is not.
    pub(crate) fn note_day(&self, day: Day, there: bool) -> Result<()> {
        let sql = if there {
            "INSERT OR IGNORE INTO days VALUES (?1)"
        } else {
            "DELETE FROM days WHERE day = ?1"
        };
        self.connection.execute(sql, [day.number()])?;
        Ok(())
    }

    /// Ends a batch: its decisions, the shelves that it touched, and the position after it.
    pub(crate) fn take(
        &mut self,
        batch: &[Record],
        shelves: &[Shelf],
        position: &str,
    ) -> Result<()> {
        let writing = self.connection.transaction()?;
        for shelf in shelves {
            if let Shelf::Day(day) = shelf {
                let sql = "INSERT OR IGNORE INTO days VALUES (?1)";
                writing.prepare_cached(sql)?.execute([day.number()])?;
            }
        }
        for record in batch {
            note_decision(&writing, record)?;
        }
        let sql = "INSERT OR REPLACE INTO position VALUES (1, ?1)";
        writing.prepare_cached(sql)?.execute([position])?;
        writing.commit()
    }

    /// What operators did since a moment, the newest first.
    pub(crate) fn audit(&self, since_ms: i64, limit: usize) -> Result<Vec<AuditRow>> {
        let mut asked = self.connection.prepare_cached(
            "SELECT at, message, channel, action, actor, reason, note, place FROM audit \
             WHERE at >= ?1 ORDER BY at DESC, rowid DESC LIMIT ?2",
        )?;
        asked.query_map((since_ms, signed(limit as u64)), audit_row)?.collect()
    }

    /// Takes over from another archive what operators did before a moment.
    pub(crate) fn inherit(&mut self, other: &Path, before_ms: i64) -> Result<()> {
        let path = other.to_string_lossy();
        self.connection.execute("ATTACH ?1 AS other", [path])?;
        let sql = "INSERT OR IGNORE INTO audit SELECT * FROM other.audit WHERE at < ?1";
        let inherited = self.connection.execute(sql, [before_ms]);
        self.connection.execute("DETACH other", [])?;
        inherited.map(drop)
    }
}

fn note_decision(writing: &Transaction<'_>, record: &Record) -> Result<()> {
    let What::Operator(decision) = &record.what else { return Ok(()) };
    let place = pack(&record.place);
    if let Some(before) = record.copied_from.as_ref().map(pack) {
        let sql = "UPDATE audit SET place = ?2 WHERE first_place = ?1 OR place = ?1";
        if writing.prepare_cached(sql)?.execute((before, &place))? > 0 {
            return Ok(());
        }
    }
    let mut insert = writing.prepare_cached(
        "INSERT OR IGNORE INTO audit VALUES (?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    insert.execute(params![
        place,
        record.at_ms,
        signed(record.id),
        decision.channel,
        decision.action,
        decision.actor,
        decision.reason,
        decision.note,
    ])?;
    Ok(())
}

fn audit_row(columns: &Row<'_>) -> Result<AuditRow> {
    Ok(AuditRow {
        at_ms: columns.get(0)?,
        id: unsigned(columns.get(1)?),
        channel: columns.get(2)?,
        action: columns.get(3)?,
        actor: columns.get(4)?,
        reason: columns.get(5)?,
        note: columns.get(6)?,
        place: unpack(&columns.get::<_, Vec<u8>>(7)?).unwrap_or_default(),
    })
}
