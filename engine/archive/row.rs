//! What the archive answers.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::record::{EventRow, Place};
use crate::state::State;

/// One message of a listing.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Message id.
    pub id: u64,
    /// Channel that took it.
    pub channel: String,
    /// When its frame was complete, milliseconds since 1970.
    pub received_ms: i64,
    /// Address it came from.
    pub peer: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-3 and MSH-4.
    pub sender: String,
    /// MSH-9 as `ADT^A01`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// Bytes of its frame.
    pub size: u64,
    /// Where it stands in the ledger.
    pub state: State,
    /// Reason code of its last outcome.
    pub reason: Option<String>,
    /// Free text of its last outcome; may quote the message.
    pub detail: Option<String>,
    /// The number that keys its events.
    pub nhs_number: Option<String>,
    /// Local identifiers as in PID-3.
    pub local_ids: Vec<String>,
    /// How many events it made.
    pub events: u64,
    /// The message it repeats.
    pub duplicate_of: Option<u64>,
    /// The edited copy that took its place.
    pub superseded_by: Option<u64>,
    /// The message it is an edited copy of.
    pub edit_of: Option<u64>,
    /// Whether it was decided what becomes of it; a pending message without is still queued.
    pub decided: bool,
}

/// A message and all that happened to it.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Story {
    /// The message.
    pub row: Row,
    /// Where the frame stands in the journal.
    pub place: Place,
    /// Where its last outcome stands, whose payload is the bytes of the events.
    pub outcome_place: Option<Place>,
    /// Configuration that decided.
    pub configversion: String,
    /// How often it was decided before.
    pub revision: u64,
    /// The events of its last outcome, in their order.
    pub events: Vec<EventRow>,
    /// What happened, the acceptance first.
    pub timeline: Vec<Moment>,
}

/// One thing that happened to a message.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// `accepted`, `outcome`, `state`, or what an operator did.
    pub what: String,
    /// The state that it led to, or, for an outcome, would lead to.
    pub state: Option<State>,
    /// Reason code of an outcome, or an operator's reason.
    pub reason: Option<String>,
    /// Who, for what an operator did.
    pub actor: Option<String>,
    /// What else was said.
    pub note: Option<String>,
    /// How many subscribers got its events.
    pub routes: u64,
    /// Where its entry stands in the journal.
    pub place: Place,
}

/// One decision of an operator.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// The message it was about; 0 for a channel or the engine.
    pub id: u64,
    /// The channel it was about, where one was named.
    pub channel: String,
    /// What was done.
    pub action: String,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What else was said.
    pub note: Option<String>,
    /// Where its entry stands in the journal.
    pub place: Place,
}

/// A channel and the UTC hour of receipt, counted in hours since 1970.
pub type Hour = (String, i64);

/// How many messages of each channel and hour are in which state.
pub type Sums = BTreeMap<Hour, BTreeMap<State, u64>>;

/// How much the archive holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// Days with a file of their own.
    pub days: u64,
    /// Messages.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Start of the oldest day, milliseconds since 1970.
    pub oldest_ms: Option<i64>,
}

// Rows name patients: what is shown of one says which message it is, and no more.

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("id", &self.id)
            .field("state", &self.state)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Story")
            .field("row", &self.row)
            .field("events", &self.events.len())
            .field("timeline", &self.timeline)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment")
            .field("at_ms", &self.at_ms)
            .field("what", &self.what)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AuditRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditRow")
            .field("at_ms", &self.at_ms)
            .field("id", &self.id)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}
