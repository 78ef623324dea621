//! Answers from the journal itself: messages and their states, events by cursor.
//!
//! A listing reads the journal once from its beginning, in bounded memory. All functions block.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::{Entry, Kind, Position};
use journal::journal::Journal;
use journal::reader::ReadError;
use serde::Serialize;

use crate::entry::{self, Accepted, Outcome, State, StateChange};

/// Messages without a final state that a listing holds at once; the oldest beyond are left out.
const MOST_OPEN: usize = 200_000;
/// Bytes of events after which an answer ends.
const MOST_BYTES: usize = 8 * 1024 * 1024;

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
    pub state: State,
    /// What a pending message waits for, or the words of a fault.
    pub detail: Option<String>,
    /// Reason code.
    pub reason: Option<String>,
    /// The number that keys its events.
    pub nhs_number: Option<String>,
    /// Local identifiers.
    pub local_ids: Vec<String>,
    /// How many events it made.
    pub events: usize,
    /// Always absent in this version: duplicates are not yet recognised.
    pub duplicate_of: Option<u64>,
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

/// Which messages to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this state.
    pub state: Option<State>,
    /// Only this channel.
    pub channel: Option<String>,
    /// Only received at or after this time.
    pub since: Option<Timestamp>,
    /// The newest so many.
    pub limit: usize,
}

impl Filter {
    fn matches(&self, row: &Row, received: i64) -> bool {
        self.state.is_none_or(|state| state == row.state)
            && self.channel.as_ref().is_none_or(|channel| *channel == row.channel)
            && self.since.is_none_or(|since| received >= since.as_millisecond())
    }
}

/// The newest messages that match, oldest first.
pub fn messages(journal: &Journal, filter: &Filter) -> Vec<Row> {
    let mut open: BTreeMap<u64, (Row, i64)> = BTreeMap::new();
    let mut settled: VecDeque<(Row, i64)> = VecDeque::new();
    let mut reader = journal.reader(Position::START);
    loop {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(ReadError::Disk(_)) => break,
            Err(_) => continue,
        };
        while open.len() > MOST_OPEN {
            open.pop_first();
        }
        if let Some(row) = take(&mut open, &entry)
            && filter.matches(&row.0, row.1)
        {
            settled.push_back(row);
            // Settling is nearly in order of receipt; twice the limit keeps every candidate.
            if settled.len() > filter.limit.saturating_mul(2).max(4096) {
                settled.make_contiguous().sort_by_key(|(row, _)| row.id);
                settled.drain(..settled.len() - filter.limit);
            }
        }
    }
    let mut rows: Vec<Row> = open
        .into_values()
        .chain(settled)
        .filter(|(row, received)| filter.matches(row, *received))
        .map(|(row, _)| row)
        .collect();
    rows.sort_by_key(|row| row.id);
    rows.drain(..rows.len().saturating_sub(filter.limit));
    rows
}

/// Folds one entry; gives back the row when its state became final.
fn take(open: &mut BTreeMap<u64, (Row, i64)>, entry: &Entry) -> Option<(Row, i64)> {
    let id = entry.id.0;
    match entry.kind {
        Kind::Accepted => {
            let (head, _): (Accepted, Bytes) = entry::decode(&entry.body).ok()?;
            open.entry(id).or_insert_with(|| (accepted_row(id, &head), head.received));
        }
        Kind::Outcome => {
            let (head, _): (Outcome, Bytes) = entry::decode(&entry.body).ok()?;
            let (row, _) = open.get_mut(&id)?;
            row.events = head.events.len();
            row.nhs_number = head.nhs_number;
            row.local_ids = head.local_ids;
            row.reason = head.reason;
            row.detail = head.detail;
            if head.state == State::Parked {
                row.state = State::Parked;
            } else {
                row.detail = Some("retrying".to_owned());
            }
        }
        Kind::State => {
            let (change, _): (StateChange, Bytes) = entry::decode(&entry.body).ok()?;
            if change.state.is_final() {
                let (mut row, received) = open.remove(&id)?;
                row.state = change.state;
                row.detail = None;
                return Some((row, received));
            }
            open.get_mut(&id)?.0.state = change.state;
        }
        _ => {}
    }
    None
}

fn accepted_row(id: u64, head: &Accepted) -> Row {
    let received = Timestamp::from_millisecond(head.received).unwrap_or_default();
    Row {
        id,
        channel: head.channel.clone(),
        received: format!("{received:.3}"),
        control_id: head.control_id.clone(),
        message_type: head.message_type.clone(),
        state: State::Pending,
        detail: Some("queued".to_owned()),
        reason: None,
        nhs_number: None,
        local_ids: Vec::new(),
        events: 0,
        duplicate_of: None,
    }
}

/// Where a reader of events stands: an outcome entry and how many of its events were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    position: Position,
    taken: usize,
}

impl Cursor {
    /// Before the first event that is kept.
    pub const START: Self = Self { position: Position::START, taken: 0 };
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.position, self.taken)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let (position, taken) = text.split_once('+').unwrap_or((text, "0"));
        Ok(Self {
            position: position.parse().map_err(|_| CursorError)?,
            taken: taken.parse().map_err(|_| CursorError)?,
        })
    }
}

/// A text that is not a cursor.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a cursor is what an earlier answer gave, as in 1.40.64+0")]
pub struct CursorError;

/// Up to `limit` events after `cursor` in publishing order, and the cursor behind them. Fewer come
/// when there are no more now, or when they are large; none means that there are no more now.
pub fn events(journal: &Journal, cursor: Cursor, limit: usize) -> (Vec<Bytes>, Cursor) {
    let mut found = Vec::new();
    let mut now = cursor;
    let mut reader = journal.reader(cursor.position);
    let mut bytes = 0;
    while found.len() < limit && bytes < MOST_BYTES {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) | Err(ReadError::Disk(_)) => break,
            Err(_) => continue,
        };
        if entry.kind != Kind::Outcome || entry.carried {
            continue;
        }
        let Ok((outcome, payload)) = entry::decode::<Outcome>(&entry.body) else { continue };
        let all = entry::events(&outcome, &payload).unwrap_or_default();
        let skip = if entry.position == cursor.position { cursor.taken } else { 0 };
        let room = limit - found.len();
        let fresh: Vec<Bytes> =
            all.into_iter().skip(skip).take(room).map(|(_, body)| body).collect();
        now = Cursor { position: entry.position, taken: skip + fresh.len() };
        bytes += fresh.iter().map(Bytes::len).sum::<usize>();
        found.extend(fresh);
    }
    (found, now)
}
