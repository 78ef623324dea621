//! What goes into a run of a script, and what comes out of it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use hl7::message::Message;
use jiff::Timestamp;
use record::catalogue::EventType;
use record::identity::Identity;
use record::source::Source;
use serde_json::{Map, Value};

use crate::fault::Detail;

/// What a source states of a patient, by name.
pub type Statement = Map<String, Value>;

/// All that a run may depend on. The same input gives the same outcome.
#[derive(Clone)]
pub struct Input {
    /// The message; the script changes a copy.
    pub message: Message,
    /// How the sending system writes things.
    pub source: Arc<Source>,
    /// Whom the message is about.
    pub identity: Arc<Identity>,
    /// What the source last stated of the patient.
    pub previous: Option<Arc<Statement>>,
    /// The same after this message.
    pub stated: Option<Arc<Statement>>,
    /// The time of receipt: the only "now" that a script can come to know.
    pub now: Timestamp,
}

/// What a script decided, and what it cost.
#[derive(Clone)]
pub struct Outcome {
    /// Events, or none and why.
    pub decision: Decision,
    /// Data-quality findings by code, of the script and of the FHIR builders; those of the identity
    /// are the caller's.
    pub quality: BTreeMap<String, u64>,
    /// Lookups that found nothing, by table.
    pub table_misses: BTreeMap<String, u64>,
    /// What `print` and `debug` said. May quote the message: for the tools only.
    pub printed: Vec<String>,
    /// Rhai operations used.
    pub operations: u64,
}

/// The three ways a script ends well.
#[derive(Clone)]
pub enum Decision {
    /// At least one event, in the order emitted.
    Emit(Vec<Emitted>),
    /// Nothing to tell: the message is done.
    Filter {
        /// Why, `[a-z.-]+`.
        code: String,
    },
    /// A person must look.
    Park {
        /// Why, `[a-z.-]+`.
        code: String,
        /// More about it. May quote the message: for the archive only.
        detail: Option<Detail>,
    },
}

/// One event as the script gave it; the record crate makes the envelope.
#[derive(Clone)]
pub struct Emitted {
    /// Its type.
    pub event_type: &'static EventType,
    /// A FHIR Bundle of type collection, the Patient first.
    pub data: record::json::Value,
    /// `FHIRPath`s of what the message deleted (HL7 null).
    pub cleared: Vec<String>,
    /// `FHIRPath`s of repeating elements that were sent as a full set.
    pub replaced: Vec<String>,
    /// The time of the event as HL7 time text, when the script gave it.
    pub time: Option<String>,
    /// The authority of the local identifier to name, when the script chose it.
    pub local: Option<String>,
    /// Positions in the message of the segments that the event is about, when it is a part of the
    /// message: its times are looked for there first.
    pub at: Option<Range<usize>>,
}

// Events and inputs hold patient data, so that their `Debug` shows shapes only.

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("now", &self.now).finish_non_exhaustive()
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("decision", &self.decision)
            .field("quality", &self.quality)
            .field("table_misses", &self.table_misses)
            .field("printed", &self.printed.len())
            .field("operations", &self.operations)
            .finish()
    }
}

impl fmt::Debug for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Emit(events) => f.debug_tuple("Emit").field(events).finish(),
            Self::Filter { code } => write!(f, "Filter({code})"),
            Self::Park { code, .. } => write!(f, "Park({code})"),
        }
    }
}

impl fmt::Debug for Emitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.event_type.name)
    }
}
