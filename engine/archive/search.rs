//! Questions to one shelf.

use std::collections::{BTreeMap, HashMap};

use roaring::RoaringTreemap;
use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use crate::coding::{signed, unsigned};
use crate::page::Page;
use crate::query::Query;
use crate::reading::{COLUMNS, local_ids, row};
use crate::row::{Row, Sums};
use crate::spans::Span;
use crate::sql::{Bounds, Sql, ids_within};
use crate::state::State;

const HOUR_MS: i64 = 3_600_000;

/// The messages of a shelf that a query asks for, as many as fit the page, in its order.
pub(crate) fn rows(
    reader: &mut Connection,
    query: &Query,
    bounds: &Bounds,
    page: &Page,
) -> Result<Vec<Row>> {
    // One moment in time for all tables.
    let reader = reader.transaction()?;
    let received = if bounds.has_times() {
        ids_within(&reader, bounds)?
    } else {
        Span::read(&reader)?.map(|span| (span.first, span.last))
    };
    let Some((first, last)) = received else { return Ok(Vec::new()) };
    let ids = (first.max(bounds.ids.0), last.min(bounds.ids.1));
    if ids.0 > ids.1 {
        return Ok(Vec::new());
    }
    let mut sql = Sql::of(query, ids);
    sql.values.push(Value::Integer(signed(page.limit as u64)));
    let (text, order, limit) = (&sql.text, page.order.sql(), sql.values.len());
    let text = format!(
        "SELECT {COLUMNS} FROM messages AS m WHERE {text} ORDER BY m.id {order} LIMIT ?{limit}"
    );
    let mut asked = reader.prepare(&text)?;
    let found = asked.query_map(params_from_iter(sql.values), row)?;
    let mut rows = found.collect::<Result<Vec<Row>>>()?;
    for row in &mut rows {
        row.local_ids = local_ids(&reader, row.id)?;
    }
    Ok(rows)
}

/// Adds the messages of a shelf that were received from a moment on to the sums.
pub(crate) fn sums(reader: &mut Connection, since_ms: i64, sums: &mut Sums) -> Result<()> {
    // One moment in time for all tables.
    let reader = reader.transaction()?;
    // Counted here: SQLite would sort all rows first.
    let mut counts: HashMap<(i64, i64, i64), u64> = HashMap::new();
    let mut asked = reader.prepare_cached("SELECT channel, received, state FROM messages")?;
    let mut found = asked.query([])?;
    while let Some(columns) = found.next()? {
        let received: i64 = columns.get(1)?;
        if received >= since_ms {
            let key = (columns.get(0)?, received.div_euclid(HOUR_MS), columns.get(2)?);
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut name = reader.prepare_cached("SELECT text FROM names WHERE id = ?1")?;
    for ((channel, hour, state), count) in counts {
        let channel = name.query_row([channel], |columns| columns.get(0))?;
        let state = State::from_number(state).unwrap_or(State::Pending);
        *sums.entry((channel, hour)).or_default().entry(state).or_default() += count;
    }
    Ok(())
}

/// Adds the ids of a shelf, from one on, to those of their states.
pub(crate) fn ids_by_state(
    reader: &Connection,
    from_id: u64,
    ids: &mut BTreeMap<State, RoaringTreemap>,
) -> Result<()> {
    let mut asked = reader.prepare_cached("SELECT id, state FROM messages WHERE id >= ?1")?;
    let mut found = asked.query([signed(from_id)])?;
    while let Some(columns) = found.next()? {
        let state = State::from_number(columns.get(1)?).unwrap_or(State::Pending);
        ids.entry(state).or_default().insert(unsigned(columns.get(0)?));
    }
    Ok(())
}
