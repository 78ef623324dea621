//! Messages with an event that the broker does not take now, although it is there: an event without
//! a queue, a negative confirm. They are tried again with growing waits, without limit, and meanwhile
//! hold back their own patients only.

use std::collections::BTreeMap;

use jiff::Timestamp;
use journal::entry::Position;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::publish::Trouble;
use crate::work::{Leaving, Recorded, Work};

/// Messages that are retried outside the window; more of them stop the reading of the journal.
pub(crate) const RETRIES: usize = 4096;

/// One message that is tried again.
#[derive(Debug)]
pub(crate) struct Retry {
    pub(crate) leaving: Leaving,
    /// Where its outcome lies.
    pub(crate) at: Position,
    pub(crate) receipts: usize,
    pub(crate) trouble: Trouble,
    /// Since when, milliseconds since 1970 in UTC.
    pub(crate) since: i64,
    pub(crate) backoff: Backoff,
    /// One of [`RETRIES`]; without one it keeps its place in the window.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

impl Retry {
    pub(crate) fn new(work: Work, recorded: &Recorded, trouble: Trouble) -> Self {
        Self {
            leaving: work.leaving(),
            at: recorded.at,
            receipts: recorded.receipts,
            trouble,
            since: Timestamp::now().as_millisecond(),
            backoff: Backoff::default(),
            slot: None,
        }
    }
}

/// By the time of the next attempt.
#[derive(Debug, Default)]
pub(crate) struct Retries {
    pub(crate) due: BTreeMap<(Instant, u64), Retry>,
    /// Since when each is tried, those under way included.
    pub(crate) since: BTreeMap<u64, i64>,
}

impl Retries {
    pub(crate) fn len(&self) -> usize {
        self.since.len()
    }

    /// Since when the oldest is tried.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.since.values().min().copied()
    }

    /// Since when this one is tried.
    pub(crate) fn since(&self, id: u64) -> Option<i64> {
        self.since.get(&id).copied()
    }
}
