//! What the archive is told: one record for each journal entry that is about a message or a channel.

use std::fmt;

use serde::Serialize;

use crate::state::State;

/// Where an entry stands in the journal; opaque here.
pub type Place = [u8; 16];

/// One entry of the journal, as far as the archive cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The message it is about; 0 for a channel or the engine.
    pub id: u64,
    /// When the entry was written, milliseconds since 1970.
    pub at_ms: i64,
    /// Where the entry stands.
    pub place: Place,
    /// For a copy that the journal carried forward: where the entry stood before.
    pub copied_from: Option<Place>,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A message was accepted: it is pending, or a duplicate at once.
    Accepted(Accepted),
    /// It was decided what becomes of a message: it is parked, or stays pending until settled.
    Outcome(Outcome),
    /// A message moved to another state.
    State(Change),
    /// A person decided something. `release` or `skip` makes a parked message pending, `discard` settles it;
    /// every other action is kept and changes nothing.
    Operator(Decision),
}

/// An accepted message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Channel that took it.
    pub channel: String,
    /// When its frame was complete, milliseconds since 1970; the UTC day of this is its day.
    pub received_ms: i64,
    /// Address it came from.
    pub peer: String,
    /// MSH-10.
    pub control_id: String,
    /// MSH-3 and MSH-4.
    pub sender: String,
    /// MSH-9 as `ADT^A01`.
    pub message_type: String,
    /// Bytes of the frame.
    pub size: u64,
    /// The message that this one is an edited copy of.
    pub edit_of: Option<u64>,
    /// The message that this one repeats, where that was known at once.
    pub duplicate_of: Option<u64>,
}

/// What becomes of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Outcome {
    /// As in [`Accepted`]; finds the day.
    pub received_ms: i64,
    /// Parked, or the state that follows when every event has its receipt; pending where that is
    /// parked.
    pub state: State,
    /// Reason code of a parked or filtered message.
    pub reason: Option<String>,
    /// Free text of a fault; may quote the message.
    pub detail: Option<String>,
    /// The NHS Number that keys the events.
    pub nhs_number: Option<String>,
    /// Local identifiers as they stand in PID-3: `1234567^^^RXX01^MR`.
    pub local_ids: Vec<String>,
    /// Configuration that decided.
    pub configversion: String,
    /// How often the message was decided before.
    pub revision: u64,
    /// Its events, in their order.
    pub events: Vec<EventRow>,
}

/// One event of a message; its bytes are in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// CloudEvents `id`.
    pub event_id: String,
    /// CloudEvents `type`.
    pub event_type: String,
    /// `<ods>.<entity>.<verb>.<sensitivity>`.
    pub routing_key: String,
    /// Length of its bytes.
    pub length: u64,
}

/// A message's move to another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As in [`Accepted`]; finds the day.
    pub received_ms: i64,
    /// The state reached.
    pub state: State,
    /// Why, where the outcome does not say it: what the broker would never take is parked.
    pub reason: Option<String>,
    /// How many subscribers got its events, summed over the events.
    pub routes: u64,
    /// The message that this one repeats.
    pub duplicate_of: Option<u64>,
    /// The edited copy that took its place.
    pub superseded_by: Option<u64>,
}

/// A person's decision.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Channel it is about, or the message's; may be empty.
    pub channel: String,
    /// `release`, `discard`, `propose`, `approve`, `pause`, `resume` and the like.
    pub action: String,
    /// Who decided.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// What else was said.
    pub note: Option<String>,
}

// What could name a patient, or quote a message, is left out of what is shown.

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted").field("size", &self.size).finish_non_exhaustive()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("state", &self.state)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decision").field("action", &self.action).finish_non_exhaustive()
    }
}
