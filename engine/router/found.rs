//! What can be found of messages: rows, stories, and what is parked.

use std::collections::BTreeMap;
use std::fmt;

use archive::page::Page;
use archive::query::Query;
use archive::row::{Row as Found, Story};
use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::{Kind, MessageId, Position};
use journal::journal::Journal;
use serde::Serialize;

use crate::chronicle::Chronicle;
use crate::entry::{self, Accepted, Outcome};
use crate::ledger::Open;

/// One message as `tieline messages` lists it.
#[derive(Clone, Serialize)]
pub struct Row {
    /// Message id.
    pub id: u64,
    /// Channel that took it.
    pub channel: String,
    /// RFC 3339 in UTC.
    pub received: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-9 as `ADT^A01`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// State of the ledger.
    pub state: String,
    /// What a pending message waits for, or the words of a fault.
    pub detail: Option<String>,
    /// Reason code.
    pub reason: Option<String>,
    /// The number that keys its events.
    pub nhs_number: Option<String>,
    /// Local identifiers.
    pub local_ids: Vec<String>,
    /// How many events it made.
    pub events: u64,
    /// The message that it is a copy of.
    pub duplicate_of: Option<u64>,
    /// The edit that took its place.
    pub superseded_by: Option<u64>,
    /// The message that it is an edit of.
    pub edit_of: Option<u64>,
    /// Whether what names its patients is left out, since they must not be linked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

/// A row names a patient: what is shown of it says only which message it is.
impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// One parked message.
#[derive(Clone, Serialize)]
pub struct ParkedRow {
    /// Message id.
    pub id: u64,
    /// Its channel.
    pub channel: String,
    /// RFC 3339 in UTC.
    pub received: String,
    /// Since when it is parked, RFC 3339 in UTC.
    pub parked: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-9 as `ADT^A01`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// Reason code.
    pub reason: String,
    /// Words of the fault; they may quote the message.
    pub detail: Option<String>,
    /// How many messages wait behind it.
    pub held: u64,
    /// Who made the edit that waits for approval.
    pub edit_by: Option<String>,
}

impl fmt::Debug for ParkedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedRow")
            .field("id", &self.id)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// Everything that is known of one message.
#[derive(Clone)]
pub struct Shown {
    /// Its row, its events' names and what happened to it.
    pub story: Story,
    /// As `tieline messages` would list it.
    pub row: Row,
    /// The bytes that came; absent once the journal has dropped them.
    pub frame: Option<Bytes>,
    /// The events' bytes, of the latest outcome.
    pub events: Vec<Bytes>,
    /// The edit that waits for approval.
    pub proposed: Option<Bytes>,
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("row", &self.row).finish_non_exhaustive()
    }
}

/// A time as rows show it.
pub(crate) fn time(milliseconds: i64) -> String {
    format!("{:.3}", Timestamp::from_millisecond(milliseconds).unwrap_or_default())
}

/// The rows that a question finds. `pending` says what a pending message waits for. Blocks.
pub(crate) fn rows(
    chronicle: &Chronicle,
    query: &Query,
    page: &Page,
    pending: &dyn Fn(u64) -> &'static str,
) -> Result<Vec<Row>, archive::error::ArchiveError> {
    let rows = chronicle.ask(|archive| archive.messages(query, page))?;
    Ok(rows.into_iter().map(|found| row(found, pending)).collect())
}

pub(crate) fn row(found: Found, pending: &dyn Fn(u64) -> &'static str) -> Row {
    let waits = found.state == archive::state::State::Pending;
    Row {
        id: found.id,
        channel: found.channel,
        received: time(found.received_ms),
        control_id: found.control_id,
        message_type: found.message_type,
        state: found.state.to_string(),
        detail: if waits { Some(pending(found.id).to_owned()) } else { found.detail },
        reason: found.reason,
        nhs_number: found.nhs_number,
        local_ids: found.local_ids,
        events: found.events,
        duplicate_of: found.duplicate_of,
        superseded_by: found.superseded_by,
        edit_of: found.edit_of,
        withheld: false,
    }
}

/// The parked messages, oldest first, `limit` at most, with how many there are by reason.
pub(crate) fn parked(
    journal: &Journal,
    parked: &[(u64, Open)],
    limit: usize,
    behind: &dyn Fn(u64) -> u64,
) -> (Vec<ParkedRow>, BTreeMap<String, u64>) {
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let mut rows = Vec::new();
    for (id, open) in parked {
        let id = *id;
        let reason = open.reason.clone().unwrap_or_default();
        *reasons.entry(reason.clone()).or_default() += 1;
        if rows.len() >= limit {
            continue;
        }
        let outcome = outcome(journal, MessageId(id), &open.outcome).map(|(outcome, _)| outcome);
        let head = outcome.as_ref();
        rows.push(ParkedRow {
            id,
            channel: open.channel.clone(),
            received: time(open.received),
            parked: time(open.since),
            control_id: head.map(|h| h.control_id.clone()).unwrap_or_default(),
            message_type: head.map(|h| h.message_type.clone()).unwrap_or_default(),
            reason,
            detail: head.and_then(|h| h.detail.clone()),
            held: behind(id),
            edit_by: open.proposed.as_ref().map(|proposed| proposed.actor.clone()),
        });
    }
    (rows, reasons)
}

/// An outcome with its events' bytes, from where it was recorded or, when retention carried it
/// forward, from there.
pub(crate) fn outcome(journal: &Journal, id: MessageId, at: &str) -> Option<(Outcome, Bytes)> {
    let read = at.parse::<Position>().ok().and_then(|at| journal.read(at).ok());
    let entry = read.or_else(|| {
        let about = journal.records_about(id, None).ok()?;
        about.into_iter().rfind(|entry| entry.kind == Kind::Outcome)
    })?;
    entry::decode::<Outcome>(&entry.body).ok()
}

/// What the journal still has of a message's own bytes.
pub(crate) fn frame(journal: &Journal, id: MessageId, place: [u8; 16]) -> Option<Bytes> {
    let read = journal.read(Position::from_bytes(place)).ok().filter(|entry| entry.id == id);
    let entry = read.or_else(|| journal.find(id).ok().flatten())?;
    let (_, frame) = entry::decode::<Accepted>(&entry.body).ok()?;
    Some(Bytes::copy_from_slice(&frame))
}

/// The events' bytes of a message's latest outcome.
pub(crate) fn events(
    journal: &Journal,
    id: MessageId,
    open: Option<&Open>,
    place: Option<[u8; 16]>,
) -> Vec<Bytes> {
    let at = match (open, place) {
        (Some(open), _) => open.outcome.clone(),
        (None, Some(place)) => Position::from_bytes(place).to_string(),
        (None, None) => return Vec::new(),
    };
    let Some((outcome, payload)) = outcome(journal, id, &at) else { return Vec::new() };
    let events = entry::events(&outcome, &payload).unwrap_or_default();
    events.into_iter().map(|(_, bytes)| bytes).collect()
}
