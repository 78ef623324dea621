//! What the engine knows about a message besides its bytes.

use std::sync::Arc;

use identity::question::Asked;
use identity::rules::Resolution;
use identity::statement::Statement;
use jiff::Timestamp;
use uuid::Uuid;

/// What the engine knows about a message besides its bytes.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its id in the journal.
    pub message_id: u64,
    /// When it was received, milliseconds since 1970: since then is known what it teaches.
    pub received: i64,
    /// When the outcome is recorded; fixed in the outcome, so that a redelivery has equal bytes.
    pub recorded: Timestamp,
    /// 0, and one more for each time an operator reprocesses it.
    pub revision: u32,
    /// The events of the outcome before, which those of this one replace.
    pub left: Vec<Uuid>,
    /// Whether the same bytes came before and were processed.
    pub repeated: bool,
    /// Whether an operator edited it.
    pub edited: bool,
    /// Whether an operator released it: a breach of its profile parks it no more.
    pub released: bool,
    /// Whether later messages of its patient may have gone before it.
    pub out_of_order: bool,
    /// Set when it takes a merge back: the retired identifier. No script sees it.
    pub unmerge: Option<Asked>,
    /// What a person decided about what it says of its patient.
    pub resolution: Option<Resolution>,
    /// What the source last stated of the patient, instead of what the index holds: for rehearsals.
    pub previous: Option<Arc<Statement>>,
}

impl Facts {
    /// Those of a message that comes for the first time.
    pub fn new(message_id: u64, recorded: Timestamp) -> Self {
        Self {
            message_id,
            received: recorded.as_millisecond(),
            recorded,
            revision: 0,
            left: Vec::new(),
            repeated: false,
            edited: false,
            released: false,
            out_of_order: false,
            unmerge: None,
            resolution: None,
            previous: None,
        }
    }
}
