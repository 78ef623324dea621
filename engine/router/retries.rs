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
    /// All of them by message, those under way included.
    pub(crate) tried: BTreeMap<u64, Tried>,
}

/// What those who watch see of a retry.
#[derive(Debug)]
pub(crate) struct Tried {
    channel: String,
    since: i64,
    trouble: Trouble,
}

impl Retries {
    /// Notes how a message stands.
    pub(crate) fn note(&mut self, channel: &str, retry: &Retry) {
        let (channel, since, trouble) = (channel.to_owned(), retry.since, retry.trouble);
        self.tried.insert(retry.leaving.id.0, Tried { channel, since, trouble });
    }

    fn refused(&self) -> impl Iterator<Item = &Tried> {
        self.tried.values().filter(|tried| tried.trouble != Trouble::Paused)
    }

    /// How many the broker does not take.
    pub(crate) fn len(&self) -> usize {
        self.refused().count()
    }

    /// How many wait because their channel is paused.
    pub(crate) fn paused(&self) -> usize {
        self.tried.len() - self.len()
    }

    /// Since when the oldest is tried.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.refused().map(|tried| tried.since).min()
    }

    /// The same by channel, added to what is known.
    pub(crate) fn add_oldest(&self, oldest: &mut BTreeMap<String, i64>) {
        for Tried { channel, since, .. } in self.refused() {
            let known = oldest.entry(channel.clone()).or_insert(*since);
            *known = (*known).min(*since);
        }
    }

    /// Why this one is tried again.
    pub(crate) fn trouble(&self, id: u64) -> Option<Trouble> {
        self.tried.get(&id).map(|tried| tried.trouble)
    }
}
