//! What the router writes into the journal: the bodies of its entries.
//!
//! Every body is a length-prefixed JSON head followed by raw bytes, so that a field may be added
//! without a new format and message bytes stay exactly as they came:
//!
//! ```text
//! u32 little-endian: length of the head | head (JSON) | payload
//! accepted: the frame            outcome: the final bytes of each event, one after another
//! state:    nothing              operator: the bytes of a proposed edit, else nothing
//! ```

use bytes::Bytes;
use identity::rules::Resolution;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::hold::HoldKey;

/// The states of the ledger: every accepted message is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, and not yet in any state below.
    Pending,
    /// Kept back with a reason code until a person decides.
    Parked,
    /// All its events have their receipts. Final.
    Published,
    /// The script said that no event follows. Final.
    Filtered,
    /// An operator decided that it is not delivered. Final.
    Discarded,
    /// An operator's edit took its place; the edit is a message of its own. Final.
    Superseded,
    /// The same sender sent the same bytes before. Final.
    Duplicate,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Parked,
        Self::Published,
        Self::Filtered,
        Self::Discarded,
        Self::Superseded,
        Self::Duplicate,
    ];

    /// The word used in the API, the metrics and the logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Parked => "parked",
            Self::Published => "published",
            Self::Filtered => "filtered",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether nothing can change this state any more.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Parked)
    }

    /// Whether a copy of such a message is processed anew: nothing of it was delivered.
    pub fn is_void(self) -> bool {
        matches!(self, Self::Filtered | Self::Discarded | Self::Superseded)
    }
}

/// Head of an `accepted` entry; the payload is the frame.
#[derive(Clone, Serialize, Deserialize)]
pub struct Accepted {
    /// Channel that took the message.
    pub channel: String,
    /// Address the frame came from.
    pub peer: String,
    /// When the frame was complete, milliseconds since 1970 in UTC.
    pub received: i64,
    /// MSH-10 as text.
    pub control_id: String,
    /// MSH-9 as `ADT^A01`.
    #[serde(rename = "type")]
    pub message_type: String,
    /// Who sent it: MSH-3 and MSH-4 as `PAS/RXX01`. A resend comes from the same sender.
    #[serde(default)]
    pub sender: String,
    /// MSH-16.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_ack: Option<String>,
    /// Set when an operator made it out of a parked message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditOf>,
    /// Where its sender's sequence numbers stand from now on, on a channel that keeps them: the last
    /// one accepted; -1 when they begin anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// Set when an operator takes a merge back by it: the retired identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmerge: Option<String>,
    /// Set when it was refused before, again and again: it is not delivered unless its channel has
    /// come to accept it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// Set when it came in a batch that has other counts than it says: others of it may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub miscounted: bool,
}

/// Some senders make MSH-10 of the patient's number.
impl std::fmt::Debug for Accepted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accepted").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// What an edit is of, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditOf {
    /// The message whose place it takes; that one becomes superseded.
    pub of: u64,
    /// The first message of a row of edits: where it stands in the order of its patients.
    pub place: u64,
    /// Whether others may have gone before it: what it is of held nothing back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub out_of_order: bool,
    /// Who edited.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The second person, when the edit touches who the message is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Why the second person approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

/// Head of an `outcome` entry: what the message became; the payload is the events' bytes.
#[derive(Clone, Serialize, Deserialize)]
pub struct Outcome {
    /// Channel, repeated so that a listing need not look at two entries.
    pub channel: String,
    /// As in [`Accepted`].
    pub received: i64,
    /// As in [`Accepted`].
    pub control_id: String,
    /// As in [`Accepted`].
    #[serde(rename = "type")]
    pub message_type: String,
    /// State that follows when every event has its receipt.
    pub state: State,
    /// Reason code of a parked or filtered message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Free text of a fault; may quote the message, so it is shown to operators only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The NHS Number that the message carried: it is found by it. What keys its events is the index's
    /// to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nhs_number: Option<String>,
    /// Local identifiers as they stand in PID-3: `1234567^^^RXX01^MR`.
    #[serde(default)]
    pub local_ids: Vec<String>,
    /// Data-quality findings and their counts.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub quality: std::collections::BTreeMap<String, u64>,
    /// Configuration that decided.
    pub configversion: String,
    /// 0, and one more whenever an operator had it processed again although events had left.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub revision: u32,
    /// What a parked message holds back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldKey>,
    /// What the identity index learns from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Box<RawValue>>,
    /// The events in their order.
    pub events: Vec<StoredEvent>,
}

impl Outcome {
    /// Where its message stands as soon as it is durable. What has events waits for their receipts,
    /// also when it is parked then: a `state` entry says when they have left.
    pub fn state_now(&self) -> State {
        let parks = self.state == State::Parked && self.events.is_empty();
        if parks { State::Parked } else { State::Pending }
    }
}

/// An outcome names a patient: what is shown of it says only what became of the message.
impl std::fmt::Debug for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outcome")
            .field("state", &self.state)
            .field("reason", &self.reason)
            .field("events", &self.events.len())
            .finish_non_exhaustive()
    }
}

/// One event of an outcome.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredEvent {
    /// CloudEvents `id`.
    pub id: String,
    /// Full CloudEvents `type`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// `<ods>.<entity>.<verb>.<sensitivity>`.
    pub routing_key: String,
    /// Length of its bytes in the payload.
    pub length: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Body of a `state` entry.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StateChange {
    /// Channel of the message.
    pub channel: String,
    /// When the message was received, milliseconds since 1970 in UTC: its hour in the books.
    pub received: i64,
    /// The state reached.
    pub state: State,
    /// How many subscribers should get its events, summed over the events.
    #[serde(default)]
    pub routes: u64,
    /// The message that it is a copy of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate_of: Option<u64>,
    /// The edit that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<u64>,
    /// Why it is parked, when its events can never leave as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it holds back when it is parked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldKey>,
    /// How many of its events had left, when the next one can never leave as it is.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub receipts: u32,
}

impl StateChange {
    /// A change that says no more than the state.
    pub fn new(channel: String, received: i64, state: State) -> Self {
        let (reason, holds) = (None, Vec::new());
        let (duplicate_of, superseded_by) = (None, None);
        let (routes, receipts) = (0, 0);
        Self {
            channel,
            received,
            state,
            routes,
            duplicate_of,
            superseded_by,
            reason,
            holds,
            receipts,
        }
    }
}

/// Body of an `operator` entry: who decided what, and why. A proposed edit's bytes are its payload.
#[derive(Clone, Serialize, Deserialize)]
pub struct Decision {
    /// When, milliseconds since 1970 in UTC.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The channel, or the one of the message.
    pub channel: String,
    /// When the message was received, milliseconds since 1970 in UTC; 0 when it is about none.
    #[serde(default)]
    pub received: i64,
    /// What was decided.
    pub action: Action,
    /// What the identity index learns by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Box<RawValue>>,
}

/// What people write may name a patient, though they are asked not to.
impl std::fmt::Debug for Decision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decision").field("action", &self.action).finish_non_exhaustive()
    }
}

/// Head of an `identity` entry: a part of what a person gave the identity index to learn.
#[derive(Clone, Serialize, Deserialize)]
pub struct Lesson {
    /// When, milliseconds since 1970 in UTC.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// The channel as whose knowledge it counts.
    pub channel: String,
    /// What the index learns.
    pub learned: Box<RawValue>,
}

/// Whom the index learns about is not shown.
impl std::fmt::Debug for Lesson {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lesson").field("channel", &self.channel).finish_non_exhaustive()
    }
}

/// What an operator decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// The parked message is processed again.
    Release {
        /// Revision of its next outcome.
        revision: u32,
        /// Whether later messages of its patient may have gone before it.
        out_of_order: bool,
        /// Who is right about whom it is about: the message, or the index.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resolution: Option<Resolution>,
    },
    /// The parked message is not delivered.
    Discard,
    /// The event that the broker refuses is given up; the message's other events leave.
    Skip {
        /// Its place among the events of the outcome, from 0.
        event: u32,
    },
    /// An edit of the parked message waits for a second person.
    Propose,
    /// The edit that waited is not wanted.
    Withdraw,
    /// The channel's listener takes no more messages.
    PauseIntake,
    /// It takes messages again.
    ResumeIntake,
    /// The channel's messages wait on disk.
    PauseDelivery,
    /// They are delivered again.
    ResumeDelivery,
    /// Two identifiers must never be shown or told together.
    DoNotLink,
    /// They may again.
    MayLink,
    /// The identity index is filled; `identity` entries follow.
    LoadIdentity,
    /// A merge is taken back; a message that says so follows.
    Unmerge,
    /// An event that one subscriber refuses for good is left out for it.
    SkipFor,
    /// Somebody looks at a message, all of it, though it names identifiers that must not be linked.
    Look,
}

impl Action {
    /// The word used in the API and the audit.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release { resolution: None, .. } => "release",
            Self::Release { resolution: Some(Resolution::Message), .. } => "resolve-message",
            Self::Release { resolution: Some(Resolution::Index), .. } => "resolve-index",
            Self::Discard => "discard",
            Self::Skip { .. } => "skip",
            Self::Propose => "propose",
            Self::Withdraw => "withdraw",
            Self::PauseIntake => "pause-intake",
            Self::ResumeIntake => "resume-intake",
            Self::PauseDelivery => "pause-delivery",
            Self::ResumeDelivery => "resume-delivery",
            Self::DoNotLink => "do-not-link",
            Self::MayLink => "may-link",
            Self::LoadIdentity => "load-identity",
            Self::Unmerge => "unmerge",
            Self::SkipFor => "skip-for",
            Self::Look => "look",
        }
    }
}

/// Whether a message of this type (MSH-9) is a result or a document.
pub fn is_result(message_type: &str) -> bool {
    matches!(message_type.get(..3), Some("ORU" | "OUL" | "OUR" | "MDM"))
}

/// Why an entry of the router's own making cannot be read back.
#[derive(Debug, Error)]
pub enum EntryError {
    /// The length prefix points past the end.
    #[error("entry body of {length} bytes is shorter than its head says")]
    Short {
        /// Bytes there are.
        length: usize,
    },
    /// The head is not the JSON that was written; a newer version may have written it.
    #[error("entry head cannot be read: written by a newer version?")]
    Head,
}

/// Joins a head and its payload into one body.
pub fn encode<H: Serialize>(head: &H, payload: &[&[u8]]) -> Bytes {
    let size: usize = payload.iter().map(|part| part.len()).sum();
    let mut body = Vec::with_capacity(4 + 320 + size);
    body.extend_from_slice(&[0; 4]);
    serde_json::to_writer(&mut body, head).expect("heads hold only strings and numbers");
    let head_length = u32::try_from(body.len() - 4).expect("a head is far below 4 GiB");
    body[..4].copy_from_slice(&head_length.to_le_bytes());
    for part in payload {
        body.extend_from_slice(part);
    }
    Bytes::from(body)
}

/// Splits a body into its head and its payload.
pub fn decode<H: DeserializeOwned>(body: &Bytes) -> Result<(H, Bytes), EntryError> {
    let short = || EntryError::Short { length: body.len() };
    let prefix: [u8; 4] = body.get(..4).and_then(|b| b.try_into().ok()).ok_or_else(short)?;
    let end = usize::try_from(u32::from_le_bytes(prefix)).map_err(|_| short())? + 4;
    let head = body.get(4..end).ok_or_else(short)?;
    let head = serde_json::from_slice(head).map_err(|_| EntryError::Head)?;
    Ok((head, body.slice(end..)))
}

/// The events of an outcome with their bytes.
pub fn events(outcome: &Outcome, payload: &Bytes) -> Result<Vec<(StoredEvent, Bytes)>, EntryError> {
    let mut start = 0;
    let mut found = Vec::with_capacity(outcome.events.len());
    for event in &outcome.events {
        let end = start + event.length as usize;
        if end > payload.len() {
            return Err(EntryError::Short { length: payload.len() });
        }
        found.push((event.clone(), payload.slice(start..end)));
        start = end;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(channel: &str, state: State) -> StateChange {
        StateChange::new(channel.to_owned(), 5, state)
    }

    #[test]
    fn a_body_reads_back_as_written() {
        let head = change("pas-adt", State::Published);
        let body = encode(&head, &[b"MSH|", &[0xff, 0x00]]);
        let (back, payload): (StateChange, Bytes) = decode(&body).unwrap();
        assert_eq!(back.channel, "pas-adt");
        assert_eq!(back.state, State::Published);
        assert_eq!(&payload[..], &[b'M', b'S', b'H', b'|', 0xff, 0x00]);
    }

    #[test]
    fn a_cut_body_is_an_error_not_a_panic() {
        let head = change("c", State::Filtered);
        let body = encode(&head, &[]);
        for end in 0..body.len() {
            assert!(decode::<StateChange>(&body.slice(..end)).is_err());
        }
    }
}
