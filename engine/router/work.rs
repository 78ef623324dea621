//! One message on its way from the journal to its settlement.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use journal::entry::MessageId;
use tokio::sync::OwnedSemaphorePermit;

use crate::entry::{Accepted, Outcome};
use crate::ledger::Open;
use crate::plan::ChannelPlan;
use crate::process::Identified;

/// What a restart found: outcomes that stand and are not settled, by message.
pub type Unfinished = BTreeMap<u64, Open>;

/// A message that was read and is not settled.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) id: MessageId,
    /// Absent when channels.yaml no longer names the message's channel.
    pub(crate) channel: Option<Arc<ChannelPlan>>,
    pub(crate) head: Accepted,
    pub(crate) task: Task,
    /// Room in the window, given back when the message is settled or parked.
    pub(crate) _room: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// What is still to be done.
#[derive(Debug)]
pub(crate) enum Task {
    /// Run the script.
    Transform(Identified),
    /// The outcome stands already: publish its bytes.
    Publish(Outcome, Bytes),
    /// A worker has taken it.
    Done,
}
