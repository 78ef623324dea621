//! The one who writes into a shelf: names, and messages as they became.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::coding::{
    Found, event_id_value, nhs_value, pack, part_key, part_keys, signed, unsigned,
};
use crate::day::Shelf;
use crate::life::Life;
use crate::reading;
use crate::schema::{COMMON, Tables, open_for_writing};
use crate::spans::Span;
use crate::state::State;

/// Names remembered for one shelf; senders that connect anew for every message make many.
const MOST_NAMES: usize = 20_000;

/// What speaks of messages that are gone.
const FORGET_REMOVED: &str = "
    DELETE FROM keys WHERE NOT EXISTS (
        SELECT 1 FROM messages WHERE id = ((key >> 32) << 15 | low));
    DELETE FROM minutes;
    INSERT INTO minutes
        SELECT (received - (received % 60000 + 60000) % 60000) / 60000, min(id), max(id), count(*)
        FROM messages GROUP BY 1;";

/// Ids received within one minute: the first, the last, and how many.
type Minutes = BTreeMap<i64, (u64, u64, u64)>;

/// A shelf that is open for writing.
#[derive(Debug)]
pub(crate) struct Binder {
    connection: Connection,
    names: HashMap<String, i64>,
}

impl Binder {
    /// Opens a shelf's file, making it if need be.
    pub(crate) fn open(folder: &Path, shelf: Shelf) -> Result<Self> {
        let connection = open_for_writing(&shelf.path(folder), Tables::Shelf)?;
        Ok(Self { connection, names: HashMap::new() })
    }

    /// A message as it stands in the file.
    pub(crate) fn load(&self, id: u64) -> Result<Option<Life>> {
        let Some(story) = reading::story(&self.connection, id)? else { return Ok(None) };
        let moments = reading::moments(&self.connection, id, story.row.received_ms)?;
        Ok(Some(Life::stored(story, moments.into_iter().map(|(_, first)| first).collect())))
    }

    /// Writes what became of messages: all of it or nothing. After an error the binder must be
    /// thrown away: it may remember names that were not written.
    pub(crate) fn save(&mut self, lives: &[&Life]) -> Result<()> {
        if self.names.len() > MOST_NAMES {
            self.names.clear();
        }
        let writing = self.connection.transaction()?;
        let mut writer = Writing { connection: &writing, names: &mut self.names, keys: Vec::new() };
        let mut minutes = Minutes::new();
        for life in lives {
            writer.message(life)?;
            if life.is_new {
                let (id, minute) =
                    (life.story.row.id, life.story.row.received_ms.div_euclid(60_000));
                let (first, last, rows) = minutes.entry(minute).or_insert((id, id, 0));
                (*first, *last, *rows) = (id.min(*first), id.max(*last), *rows + 1);
            }
        }
        writer.keys()?;
        writer.minutes(&minutes)?;
        writing.commit()
    }

    /// Removes messages; for what is kept beyond its day.
    pub(crate) fn remove(&mut self, ids: &[u64]) -> Result<()> {
        let writing = self.connection.transaction()?;
        for &id in ids {
            writing.execute("DELETE FROM messages WHERE id = ?1", [signed(id)])?;
            for table in ["events", "locals", "history"] {
                let sql = format!("DELETE FROM {table} WHERE key BETWEEN ?1 AND ?2");
                writing.execute(&sql, part_keys(id))?;
            }
        }
        writing.execute_batch(FORGET_REMOVED)?;
        writing.commit()?;
        self.connection.execute_batch("VACUUM")
    }

    /// The ids of messages that are unsettled, or of those that are settled.
    pub(crate) fn ids(&self, unsettled: bool) -> Result<Vec<u64>> {
        let of = State::ALL.into_iter().filter(|state| state.is_unsettled() == unsettled);
        let numbers: Vec<_> = of.map(|state| state.number().to_string()).collect();
        // The index of states leaves out the common one, so whoever wants it reads all.
        let common =
            if unsettled { format!(" AND state <> {}", COMMON.number()) } else { String::new() };
        let sql =
            format!("SELECT id FROM messages WHERE state IN ({}){common}", numbers.join(", "));
        let mut asked = self.connection.prepare(&sql)?;
        asked.query_map([], |columns| columns.get(0).map(unsigned))?.collect()
    }

    /// The ids that the shelf holds.
    pub(crate) fn span(&self) -> Result<Option<Span>> {
        Span::read(&self.connection)
    }

    /// Moves what the log holds into the file, so that the log takes no room while nobody writes;
    /// or leaves it there, when somebody is reading it.
    pub(crate) fn rest(&self) -> Result<()> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let mut resting = self.connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)")?;
        resting.query_row([], |_| Ok(()))
    }
}

/// One transaction.
struct Writing<'b> {
    connection: &'b Connection,
    names: &'b mut HashMap<String, i64>,
    keys: Vec<(i64, i64)>,
}

impl Writing<'_> {
    fn message(&mut self, life: &Life) -> Result<()> {
        if life.is_new {
            self.insert(life)?;
        } else if life.row_changed {
            self.update(life)?;
        }
        if life.outcome_changed {
            self.outcome(life)?;
        }
        // The acceptance stands in the message's own row.
        for number in life.stored.max(1)..life.story.timeline.len() {
            self.moment(life, number)?;
        }
        Ok(())
    }

    fn insert(&mut self, life: &Life) -> Result<()> {
        let (story, row) = (&life.story, &life.story.row);
        self.keys.push(Found::ControlId(&row.control_id).key(row.id));
        let names = [&row.channel, &row.peer, &row.sender, &row.message_type, &story.configversion];
        let [channel, peer, sender, message_type, configversion] = self.named(names)?;
        let reason = self.name(row.reason.as_deref().unwrap_or_default())?;
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
             ?14, ?15, ?16, ?17, ?18, ?19, ?20)",
        )?;
        insert.execute(params![
            signed(row.id),
            channel,
            row.received_ms,
            peer,
            row.control_id,
            sender,
            message_type,
            signed(row.size),
            row.state.number(),
            reason,
            row.detail,
            row.nhs_number.as_deref().map(nhs_value),
            row.duplicate_of.map(signed),
            row.superseded_by.map(signed),
            row.edit_of.map(signed),
            configversion,
            signed(story.revision),
            signed(row.events),
            pack(&story.place),
            story.outcome_place.as_ref().map(pack),
        ])?;
        Ok(())
    }

    fn update(&mut self, life: &Life) -> Result<()> {
        let (story, row) = (&life.story, &life.story.row);
        let configversion = self.name(&story.configversion)?;
        let reason = self.name(row.reason.as_deref().unwrap_or_default())?;
        let mut update = self.connection.prepare_cached(
            "UPDATE messages SET state = ?2, reason = ?3, detail = ?4, nhs = ?5, \
             duplicate_of = ?6, superseded_by = ?7, configversion = ?8, revision = ?9, \
             events = ?10, place = ?11, outcome_place = ?12 WHERE id = ?1",
        )?;
        update.execute(params![
            signed(row.id),
            row.state.number(),
            reason,
            row.detail,
            row.nhs_number.as_deref().map(nhs_value),
            row.duplicate_of.map(signed),
            row.superseded_by.map(signed),
            configversion,
            signed(story.revision),
            signed(row.events),
            pack(&story.place),
            story.outcome_place.as_ref().map(pack),
        ])?;
        Ok(())
    }

    fn outcome(&mut self, life: &Life) -> Result<()> {
        let (story, row) = (&life.story, &life.story.row);
        if !life.is_new {
            for sql in [
                "DELETE FROM events WHERE key BETWEEN ?1 AND ?2",
                "DELETE FROM locals WHERE key BETWEEN ?1 AND ?2",
            ] {
                self.connection.prepare_cached(sql)?.execute(part_keys(row.id))?;
            }
        }
        if let Some(number) = &row.nhs_number {
            self.keys.push(Found::NhsNumber(number).key(row.id));
        }
        for (number, identifier) in row.local_ids.iter().enumerate() {
            self.keys.push(Found::Local(identifier).key(row.id));
            let Some(key) = part_key(row.id, number) else { break };
            let sql = "INSERT INTO locals VALUES (?1, ?2)";
            self.connection.prepare_cached(sql)?.execute(params![key, identifier])?;
        }
        for (number, event) in story.events.iter().enumerate() {
            let Some(key) = part_key(row.id, number) else { break };
            let [event_type, routing_key] = self.named([&event.event_type, &event.routing_key])?;
            let sql = "INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5)";
            self.connection.prepare_cached(sql)?.execute(params![
                key,
                event_id_value(&event.event_id),
                event_type,
                routing_key,
                signed(event.length),
            ])?;
        }
        Ok(())
    }

    fn moment(&mut self, life: &Life, number: usize) -> Result<()> {
        let (moment, first) = (&life.story.timeline[number], life.firsts[number]);
        let Some(key) = part_key(life.story.row.id, number) else { return Ok(()) };
        let what = self.name(&moment.what)?;
        let mut insert = self.connection.prepare_cached(
            "INSERT OR REPLACE INTO history VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        insert.execute(params![
            key,
            moment.at_ms.wrapping_sub(life.story.row.received_ms),
            what,
            moment.state.map(State::number),
            moment.reason,
            moment.actor,
            moment.note,
            signed(moment.routes),
            pack(&moment.place),
            first.as_ref().map(pack),
        ])?;
        Ok(())
    }

    /// Writes the keys in the order of the table, which is kinder to it than the order of messages.
    fn keys(&mut self) -> Result<()> {
        self.keys.sort_unstable();
        let mut insert =
            self.connection.prepare_cached("INSERT OR IGNORE INTO keys VALUES (?1, ?2)")?;
        for key in &self.keys {
            insert.execute(*key)?;
        }
        Ok(())
    }

    fn minutes(&self, minutes: &Minutes) -> Result<()> {
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO minutes VALUES (?1, ?2, ?3, ?4) ON CONFLICT (minute) DO UPDATE SET \
             first_id = min(first_id, excluded.first_id), \
             last_id = max(last_id, excluded.last_id), rows = rows + excluded.rows",
        )?;
        for (minute, (first, last, rows)) in minutes {
            insert.execute((minute, signed(*first), signed(*last), signed(*rows)))?;
        }
        Ok(())
    }

    fn named<const N: usize>(&mut self, texts: [&String; N]) -> Result<[i64; N]> {
        let mut ids = [0; N];
        for (id, text) in ids.iter_mut().zip(texts) {
            *id = self.name(text)?;
        }
        Ok(ids)
    }

    /// The number of a text that repeats.
    fn name(&mut self, text: &str) -> Result<i64> {
        if text.is_empty() {
            return Ok(0);
        }
        if let Some(id) = self.names.get(text) {
            return Ok(*id);
        }
        let mut asked = self.connection.prepare_cached("SELECT id FROM names WHERE text = ?1")?;
        let id = if let Some(id) = asked.query_row([text], |columns| columns.get(0)).optional()? {
            id
        } else {
            let sql = "INSERT INTO names (text) VALUES (?1)";
            self.connection.prepare_cached(sql)?.insert([text])?
        };
        self.names.insert(text.to_owned(), id);
        Ok(id)
    }
}
