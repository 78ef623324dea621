//! What is counted of one channel: in total, and by the hour in which messages were received.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::State;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;
/// Hours that are kept apart; older ones are in the totals only, and in the archive.
const HOURS: usize = 7 * 24;

/// Messages by state. `received` is always the sum of the other seven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Messages accepted.
    pub received: u64,
    /// Neither parked nor final.
    pub pending: u64,
    /// Kept back with a reason.
    pub parked: u64,
    /// All events have their receipts.
    pub published: u64,
    /// The script said that nothing follows.
    pub filtered: u64,
    /// An operator decided so.
    pub discarded: u64,
    /// Replaced by an edit.
    pub superseded: u64,
    /// Copies of what had come before.
    pub duplicate: u64,
}

impl Counts {
    /// Messages in a state.
    pub fn of(&self, state: State) -> u64 {
        match state {
            State::Pending => self.pending,
            State::Parked => self.parked,
            State::Published => self.published,
            State::Filtered => self.filtered,
            State::Discarded => self.discarded,
            State::Superseded => self.superseded,
            State::Duplicate => self.duplicate,
        }
    }

    fn slot(&mut self, state: State) -> &mut u64 {
        match state {
            State::Pending => &mut self.pending,
            State::Parked => &mut self.parked,
            State::Published => &mut self.published,
            State::Filtered => &mut self.filtered,
            State::Discarded => &mut self.discarded,
            State::Superseded => &mut self.superseded,
            State::Duplicate => &mut self.duplicate,
        }
    }

    /// Whether the states add up to what was received.
    pub fn balance(&self) -> bool {
        self.received == State::ALL.into_iter().map(|state| self.of(state)).sum::<u64>()
    }

    fn receive(&mut self) {
        self.received += 1;
        self.pending += 1;
    }

    fn change(&mut self, was: State, now: State) {
        let slot = self.slot(was);
        *slot = slot.saturating_sub(1);
        *self.slot(now) += 1;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        for state in State::ALL {
            *self.slot(state) += other.of(state);
        }
    }
}

/// What is counted of a channel, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
    /// Messages by state.
    #[serde(flatten)]
    pub counts: Counts,
    /// When the last message came, milliseconds since 1970 in UTC; 0 for never.
    pub last_received: i64,
    /// Events made.
    #[serde(default)]
    pub events: u64,
}

impl Sums {
    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.events += other.events;
        self.last_received = self.last_received.max(other.last_received);
    }
}

/// The books of one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Book {
    /// Since the first message.
    pub total: Sums,
    /// By hours since 1970 in UTC; every change is booked to the hour of receipt.
    #[serde(default)]
    pub hours: BTreeMap<i64, Counts>,
}

impl Book {
    /// Books a receipt.
    pub fn receive(&mut self, received: i64) {
        self.total.counts.receive();
        self.total.last_received = self.total.last_received.max(received);
        self.hours.entry(received.div_euclid(HOUR)).or_default().receive();
    }

    /// Books a change of state.
    pub fn change(&mut self, received: i64, was: State, now: State) {
        self.total.counts.change(was, now);
        if let Some(counts) = self.hours.get_mut(&received.div_euclid(HOUR)) {
            counts.change(was, now);
        }
    }

    /// Books events that were made.
    pub fn events(&mut self, count: u64) {
        self.total.events += count;
    }

    /// What was received in the hours from the one of `since` on, milliseconds since 1970 in UTC.
    pub fn since(&self, since: i64) -> Counts {
        let mut counts = Counts::default();
        let hours = self.hours.range(since.div_euclid(HOUR)..);
        hours.for_each(|(_, hour)| counts.add(hour));
        counts
    }

    /// Forgets the oldest hours beyond a week.
    pub fn forget_hours(&mut self) {
        while self.hours.len() > HOURS {
            self.hours.pop_first();
        }
    }
}
