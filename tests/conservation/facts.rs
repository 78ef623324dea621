//! What the oracle did and saw, and nothing that it inferred: the verdict is made from this alone.

use std::collections::BTreeMap;
use std::time::Duration;

/// Time since the run began.
pub(crate) type Moment = Duration;

/// What a message is meant to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One event.
    Plain,
    /// Two events, in their order.
    Twofold,
    /// Filtered by the script.
    Filtered,
    /// Parked, by the script's own word.
    Parked,
    /// Parked, because the script threw.
    Thrown,
    /// Parked by a trigger that nobody knows, which holds nothing back.
    Unknown,
    /// Parked, because it names no patient; holds nothing back.
    Nobody,
    /// Another record is of the patient, too: an event on each partition.
    Merge,
    /// One event, behind one that says that the patient's whereabouts are protected from now on.
    Raised,
    /// The same, and they are protected no more.
    Lowered,
    /// Refused: its sender is not one of ours.
    Stranger,
    /// Refused: it is no HL7 at all.
    Garbled,
}

impl Kind {
    /// How many events it makes when nobody mends anything.
    pub(crate) fn events(self) -> usize {
        match self {
            Self::Plain => 1,
            Self::Twofold | Self::Merge | Self::Raised | Self::Lowered => 2,
            _ => 0,
        }
    }

    pub(crate) fn is_refused(self) -> bool {
        matches!(self, Self::Stranger | Self::Garbled)
    }

    /// Whether the same patient's later messages wait until a person has decided.
    pub(crate) fn holds(self) -> bool {
        matches!(self, Self::Parked | Self::Thrown)
    }

    /// The states that such a message may come to rest in.
    pub(crate) fn states(self, decided: bool) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::Twofold | Self::Merge | Self::Raised | Self::Lowered => {
                &["published"]
            }
            Self::Filtered => &["filtered"],
            // Under the mended script the first is released or discarded, and what came later and
            // was held makes its event.
            Self::Parked | Self::Thrown if decided => &["published", "discarded"],
            Self::Parked | Self::Thrown | Self::Unknown | Self::Nobody => &["parked"],
            Self::Stranger | Self::Garbled => &[],
        }
    }
}

/// One message of the oracle's: its bytes are the same however often it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    /// Patient and sequence, as they stand in the visit number of every event it becomes.
    pub(crate) label: String,
    /// MSH-10; now and then that of an earlier message of the patient with other content.
    pub(crate) control_id: String,
    pub(crate) patient: String,
    /// From 1, per patient: n + 1 is first sent when n has its answer.
    pub(crate) sequence: u32,
    pub(crate) kind: Kind,
    /// Whose record goes on as the patient's from then on.
    pub(crate) joins: Option<String>,
    /// The patient's whereabouts are protected, once this counts.
    pub(crate) restricted: bool,
    pub(crate) first_sent: Moment,
    /// How often its bytes went to a socket: that many times it may have been received.
    pub(crate) sent: u32,
    /// Positive answers: each is an obligation.
    pub(crate) accepted: u32,
    pub(crate) refused: u32,
}

/// One delivery of one event to one subscriber.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) event: String,
    /// Of the exact bytes.
    pub(crate) digest: u64,
    /// [`Parcel::label`], read out of the event.
    pub(crate) label: String,
    /// Which event of its message it is, from 1.
    pub(crate) position: u32,
    /// The record that it is about.
    pub(crate) partition: String,
    /// It came by the exchange of restricted events.
    pub(crate) restricted: bool,
    pub(crate) at: Moment,
}

/// A row of the engine's own list of messages.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: u64,
    pub(crate) control_id: String,
    pub(crate) state: String,
    /// Pending, because an earlier message of its patient waits for a person.
    pub(crate) held: bool,
}

/// A subscriber's queue was deleted or unbound. What is published until the engine mends it cannot
/// reach that subscriber, whoever publishes; the other subscriber gets it all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Harm {
    pub(crate) subscriber: usize,
    /// Up to here the subscriber had everything that the other one had.
    pub(crate) from: Moment,
    /// When it was done.
    pub(crate) done: Moment,
}

/// All of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// In the order in which they were first sent.
    pub(crate) parcels: Vec<Parcel>,
    /// Per subscriber, in the order of delivery.
    pub(crate) arrivals: Vec<Vec<Arrival>>,
    pub(crate) harms: Vec<Harm>,
    /// The engine's rows and sums when everything had come to rest.
    pub(crate) rows: Vec<Row>,
    /// What `reconcile` found, in its words.
    pub(crate) differences: Vec<String>,
    /// Operators released or discarded what held others back, under a script that parks it no more.
    pub(crate) decided: bool,
    pub(crate) sums: BTreeMap<String, u64>,
}

/// The names of the subscribers and of their queues.
pub(crate) const SUBSCRIBERS: [&str; 3] = ["left", "right", "plain"];
/// The one of them that may have no restricted events.
pub(crate) const PLAIN: usize = 2;
