//! From the tables to rows and stories.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Result};

use crate::coding::{event_id_text, nhs_text, part_keys, signed, unpack, unsigned};
use crate::record::{EventRow, Place};
use crate::row::{Moment, Row, Story};
use crate::state::State;

/// The columns that [`row`] reads, of `messages AS m`.
pub(crate) const COLUMNS: &str = "m.id, m.received, m.control_id, m.size, m.state, m.detail, m.nhs, \
    m.events, m.duplicate_of, m.superseded_by, m.edit_of, m.outcome_place, \
    (SELECT text FROM names WHERE id = m.channel), (SELECT text FROM names WHERE id = m.peer), \
    (SELECT text FROM names WHERE id = m.sender), (SELECT text FROM names WHERE id = m.type), \
    (SELECT text FROM names WHERE id = m.reason)";

const STORY: &str = "m.place, m.revision, (SELECT text FROM names WHERE id = m.configversion)";

/// One row, still without its local identifiers.
pub(crate) fn row(columns: &rusqlite::Row<'_>) -> Result<Row> {
    let id = |column| columns.get::<_, Option<i64>>(column).map(|id| id.map(unsigned));
    Ok(Row {
        id: unsigned(columns.get(0)?),
        received_ms: columns.get(1)?,
        control_id: columns.get(2)?,
        size: unsigned(columns.get(3)?),
        state: state(columns.get_ref(4)?).unwrap_or(State::Pending),
        detail: columns.get(5)?,
        nhs_number: nhs_text(columns.get_ref(6)?),
        events: unsigned(columns.get(7)?),
        duplicate_of: id(8)?,
        superseded_by: id(9)?,
        edit_of: id(10)?,
        decided: columns.get_ref(11)? != ValueRef::Null,
        channel: columns.get(12)?,
        peer: columns.get(13)?,
        sender: columns.get(14)?,
        message_type: columns.get(15)?,
        reason: columns.get::<_, Option<String>>(16)?.filter(|text| !text.is_empty()),
        local_ids: Vec::new(),
    })
}

/// The local identifiers of a message, in their order.
pub(crate) fn local_ids(connection: &Connection, id: u64) -> Result<Vec<String>> {
    let mut asked = connection
        .prepare_cached("SELECT identifier FROM locals WHERE key BETWEEN ?1 AND ?2 ORDER BY key")?;
    asked.query_map(part_keys(id), |columns| columns.get(0))?.collect()
}

/// Everything about one message.
pub(crate) fn story(connection: &Connection, id: u64) -> Result<Option<Story>> {
    let mut asked = connection
        .prepare_cached(&format!("SELECT {COLUMNS}, {STORY} FROM messages AS m WHERE m.id = ?1"))?;
    let found = asked.query_row([signed(id)], |columns| {
        Ok(Story {
            row: row(columns)?,
            outcome_place: columns.get::<_, Option<Vec<u8>>>(11)?.and_then(|bytes| unpack(&bytes)),
            place: place(columns.get_ref(17)?),
            revision: unsigned(columns.get(18)?),
            configversion: columns.get(19)?,
            events: Vec::new(),
            timeline: Vec::new(),
        })
    });
    let Some(mut story) = found.optional()? else { return Ok(None) };
    story.row.local_ids = local_ids(connection, id)?;
    if story.row.events > 0 {
        story.events = events(connection, id)?;
    }
    story.timeline.push(acceptance(&story));
    let received = story.row.received_ms;
    for (moment, _) in moments(connection, id, received)? {
        story.timeline.push(moment);
    }
    Ok(Some(story))
}

/// The first moment of every message.
pub(crate) fn acceptance(story: &Story) -> Moment {
    let duplicate = story.row.duplicate_of.is_some() && !story.row.decided;
    Moment {
        at_ms: story.row.received_ms,
        what: "accepted".to_owned(),
        state: Some(if duplicate { State::Duplicate } else { State::Pending }),
        reason: None,
        actor: None,
        note: None,
        routes: 0,
        place: story.place,
    }
}

/// What happened to a message after its acceptance, and where each entry stood first if it moved.
pub(crate) fn moments(
    connection: &Connection,
    id: u64,
    received: i64,
) -> Result<Vec<(Moment, Option<Place>)>> {
    let mut asked = connection.prepare_cached(
        "SELECT after, (SELECT text FROM names WHERE id = what), state, reason, actor, note, \
         routes, place, first_place FROM history WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let found = asked.query_map(part_keys(id), |columns| {
        let first = columns.get::<_, Option<Vec<u8>>>(8)?;
        let moment = Moment {
            at_ms: received.wrapping_add(columns.get(0)?),
            what: columns.get(1)?,
            state: state(columns.get_ref(2)?),
            reason: columns.get(3)?,
            actor: columns.get(4)?,
            note: columns.get(5)?,
            routes: unsigned(columns.get(6)?),
            place: place(columns.get_ref(7)?),
        };
        Ok((moment, first.and_then(|bytes| unpack(&bytes))))
    })?;
    found.collect()
}

fn events(connection: &Connection, id: u64) -> Result<Vec<EventRow>> {
    let mut asked = connection.prepare_cached(
        "SELECT event_id, (SELECT text FROM names WHERE id = type), \
         (SELECT text FROM names WHERE id = routing_key), length \
         FROM events WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
    )?;
    let found = asked.query_map(part_keys(id), |columns| {
        Ok(EventRow {
            event_id: event_id_text(columns.get_ref(0)?),
            event_type: columns.get(1)?,
            routing_key: columns.get(2)?,
            length: unsigned(columns.get(3)?),
        })
    })?;
    found.collect()
}

fn state(value: ValueRef<'_>) -> Option<State> {
    match value {
        ValueRef::Integer(number) => State::from_number(number),
        _ => None,
    }
}

fn place(value: ValueRef<'_>) -> Place {
    match value {
        ValueRef::Blob(bytes) => unpack(bytes).unwrap_or_default(),
        _ => Place::default(),
    }
}
