//! One message on its way from the journal to its settlement.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use journal::entry::{MessageId, Position};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use crate::entry::{self, Accepted, Outcome};
use crate::identified::Identified;
use crate::ledger::Again;
use crate::order::OrderKey;
use crate::patients::Patients;
use crate::plan::ChannelPlan;
use crate::runnable::Lane;

/// Room in the window, given back when the message leaves memory.
pub(crate) type Room = (OwnedSemaphorePermit, OwnedSemaphorePermit);

/// A message that was read and is not settled.
pub(crate) struct Work {
    pub(crate) id: MessageId,
    /// Where it lies in the journal.
    pub(crate) place: Position,
    /// Absent when channels.yaml no longer names the message's channel.
    pub(crate) channel: Option<Arc<ChannelPlan>>,
    pub(crate) head: Accepted,
    /// The names of the patients it is about.
    pub(crate) patients: Vec<OrderKey>,
    /// Whether these are names of several patients.
    pub(crate) several: bool,
    /// [`Patients::renamed`] when these were found.
    pub(crate) as_of: u64,
    pub(crate) task: Task,
    pub(crate) lane: Lane,
    /// Set when an operator released it.
    pub(crate) again: Option<Released>,
    /// What was found on its way so far.
    pub(crate) found: Vec<&'static str>,
    /// Whether the same bytes came before and were processed.
    pub(crate) repeated: bool,
    pub(crate) room: Room,
}

/// What is still to be done.
pub(crate) enum Task {
    /// Run the script.
    Transform(Box<Identified>),
    /// The outcome stands already: publish its bytes.
    Publish(Box<Recorded>),
    /// A worker has taken it.
    Done,
}

/// An outcome that is durable.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) outcome: Outcome,
    pub(crate) payload: Bytes,
    /// Where it lies in the journal.
    pub(crate) at: Position,
    /// How many of its events have their receipts.
    pub(crate) receipts: usize,
}

/// The record that an event is about.
#[derive(Deserialize)]
struct About<'e> {
    #[serde(borrow)]
    partitionkey: Option<&'e str>,
}

impl Recorded {
    /// Whom its events are about. That is what its message named when it was decided about, which
    /// the same outcome may have changed: an identifier that it handed over means somebody else now.
    pub(crate) fn told(&self) -> impl Iterator<Item = OrderKey> {
        let events = entry::events(&self.outcome, &self.payload).unwrap_or_default();
        events.into_iter().filter_map(|(_, body)| {
            let about: About<'_> = serde_json::from_slice(&body).ok()?;
            about.partitionkey.map(OrderKey::from)
        })
    }
}

/// What a released message carries into its next outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Released {
    pub(crate) again: Again,
    /// The events of the outcome before.
    pub(crate) left: Vec<Uuid>,
    /// Set when its outcome stands and its events from that place on leave.
    pub(crate) from: Option<u32>,
}

/// What is still needed of a message whose outcome stands.
pub(crate) struct Leaving {
    pub(crate) id: MessageId,
    pub(crate) place: Position,
    pub(crate) channel: Option<Arc<ChannelPlan>>,
    pub(crate) patients: Vec<OrderKey>,
    /// Given back when the message is concluded; one that is tried later holds none.
    pub(crate) room: Option<Room>,
}

/// Nothing of the patient.
impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Nothing of the patient.
impl fmt::Debug for Leaving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaving").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Work {
    /// Finds its patients again, if what was taught since may have made others of them, and adds
    /// them to its names: under these it is put aside, and under these others wait for it.
    pub(crate) fn find_again(&mut self, patients: &Patients) {
        let as_of = patients.renamed();
        let Task::Transform(identified) = &self.task else { return };
        // Without names it waits for nobody.
        if as_of == self.as_of || self.patients.is_empty() {
            return;
        }
        self.as_of = as_of;
        let Some(stated) = &identified.stated else { return };
        // What cannot be read now is met again when the message is decided about.
        let known = patients.index().resolve(stated).unwrap_or_default();
        self.several |= known.len() > 1;
        for patient in known {
            let name = OrderKey::from(patient.to_string());
            if !self.patients.contains(&name) {
                self.patients.push(name);
            }
        }
    }

    /// The outcome stands: the message itself is needed no longer.
    pub(crate) fn leaving(self) -> Leaving {
        let Self { id, place, channel, patients, room, .. } = self;
        Leaving { id, place, channel, patients, room: Some(room) }
    }
}
