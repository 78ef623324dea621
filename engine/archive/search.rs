//! Questions to one shelf.

use std::collections::BTreeMap;

use roaring::RoaringTreemap;
use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use crate::coding::{signed, unsigned};
use crate::page::Page;
use crate::query::Query;
use crate::reading::{COLUMNS, local_ids, row};
use crate::row::{Hour, Row};
use crate::spans::Span;
use crate::sql::{Bounds, Sql, ids_within};
use crate::state::State;

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

/// How many messages of a shelf are of which channel, hour and state.
pub(crate) fn sums(reader: &Connection) -> Result<Vec<(Hour, State, u64)>> {
    // Integers are divided towards zero, and hours before 1970 are not.
    let mut asked = reader.prepare_cached(
        "SELECT (SELECT text FROM names WHERE id = channel), hour, state, rows FROM (\
         SELECT channel, (received - (received % 3600000 + 3600000) % 3600000) / 3600000 AS hour, \
         state, count(*) AS rows FROM messages GROUP BY 1, 2, 3)",
    )?;
    let found = asked.query_map([], |columns| {
        let state = State::from_number(columns.get(2)?).unwrap_or(State::Pending);
        Ok(((columns.get(0)?, columns.get(1)?), state, unsigned(columns.get(3)?)))
    })?;
    found.collect()
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
