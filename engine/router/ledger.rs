//! The books: every accepted message in exactly one counted state, per channel.
//!
//! A [`Ledger`] is a plain fold over journal entries in journal order. It is never told anything
//! that is not in the journal, so it survives crashes by being computed again.

use std::collections::BTreeMap;

use journal::entry::{Entry, Kind, MessageId};
use serde::{Deserialize, Serialize};

use crate::entry::{self, Accepted, EntryError, Outcome, State, StateChange};

/// Sums of one channel. `received` is always the sum of the four states.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sums {
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
    /// When the last message came, milliseconds since 1970 in UTC; 0 for never.
    pub last_received: i64,
    /// Events made.
    #[serde(default)]
    pub events: u64,
}

impl Sums {
    /// Whether the states add up to what was received.
    pub fn balance(&self) -> bool {
        self.received == self.pending + self.parked + self.published + self.filtered
    }

    fn slot(&mut self, state: State) -> &mut u64 {
        match state {
            State::Pending => &mut self.pending,
            State::Parked => &mut self.parked,
            State::Published => &mut self.published,
            State::Filtered => &mut self.filtered,
        }
    }
}

/// A message whose outcome is known and which is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// Its channel.
    pub channel: String,
    /// Its state now: pending (events still to publish) or parked.
    pub state: State,
    /// Why it is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was received, milliseconds since 1970 in UTC.
    pub received: i64,
    /// Where its outcome lies, as the journal writes positions.
    pub outcome: String,
}

/// The fold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Per channel.
    pub channels: BTreeMap<String, Sums>,
    /// Outcomes recorded and not settled: what delivery takes up again after a crash.
    pub open: BTreeMap<u64, Open>,
    /// Newest message seen.
    pub newest: u64,
}

impl Ledger {
    /// Takes one entry into the books; gives back the head of a message that is new to them.
    pub fn apply(&mut self, entry: &Entry) -> Result<Option<Accepted>, EntryError> {
        match entry.kind {
            Kind::Accepted => return self.accepted(entry),
            Kind::Outcome => self.outcome(entry)?,
            Kind::State => self.state(entry.id, &entry.body)?,
            _ => {}
        }
        Ok(None)
    }

    fn accepted(&mut self, entry: &Entry) -> Result<Option<Accepted>, EntryError> {
        // A reader hands out a carried copy only to who never got the original.
        if entry.id.0 <= self.newest && !entry.carried {
            return Ok(None);
        }
        let (head, _): (Accepted, _) = entry::decode(&entry.body)?;
        self.newest = self.newest.max(entry.id.0);
        let sums = self.sums(&head.channel);
        sums.received += 1;
        sums.pending += 1;
        sums.last_received = head.received;
        Ok(Some(head))
    }

    fn outcome(&mut self, entry: &Entry) -> Result<(), EntryError> {
        let outcome = entry.position.to_string();
        if let Some(open) = self.open.get_mut(&entry.id.0) {
            open.outcome = outcome; // A copy that retention carried forward.
            return Ok(());
        }
        let (head, _): (Outcome, _) = entry::decode(&entry.body)?;
        let sums = self.sums(&head.channel);
        sums.events += head.events.len() as u64;
        let now = if head.state == State::Parked { State::Parked } else { State::Pending };
        if now == State::Parked {
            sums.pending = sums.pending.saturating_sub(1);
            sums.parked += 1;
        }
        let open = Open {
            channel: head.channel,
            state: now,
            reason: head.reason,
            received: head.received,
            outcome,
        };
        self.open.insert(entry.id.0, open);
        Ok(())
    }

    fn state(&mut self, id: MessageId, body: &bytes::Bytes) -> Result<(), EntryError> {
        let (change, _): (StateChange, _) = entry::decode(body)?;
        let Some(was) = self.open.get(&id.0).map(|open| open.state) else { return Ok(()) };
        let sums = self.sums(&change.channel);
        let slot = sums.slot(was);
        *slot = slot.saturating_sub(1);
        *sums.slot(change.state) += 1;
        if change.state.is_final() {
            self.open.remove(&id.0);
        } else if let Some(open) = self.open.get_mut(&id.0) {
            open.state = change.state;
        }
        Ok(())
    }

    fn sums(&mut self, channel: &str) -> &mut Sums {
        if !self.channels.contains_key(channel) {
            self.channels.insert(channel.to_owned(), Sums::default());
        }
        self.channels.get_mut(channel).expect("it was put there")
    }

    /// All channels together.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        for sums in self.channels.values() {
            total.received += sums.received;
            total.pending += sums.pending;
            total.parked += sums.parked;
            total.published += sums.published;
            total.filtered += sums.filtered;
            total.events += sums.events;
            total.last_received = total.last_received.max(sums.last_received);
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use journal::entry::Position;

    use super::*;

    fn entry<H: Serialize>(kind: Kind, id: u64, head: &H) -> Entry {
        let position = Position { volume: 1, batch: 1, entry: 1 };
        let body = entry::encode(head, &[]);
        Entry {
            kind,
            id: MessageId(id),
            settles: false,
            carried: false,
            position,
            after: position,
            written: 0,
            body,
        }
    }

    fn accepted(id: u64) -> Entry {
        let head = Accepted {
            channel: "c".into(),
            peer: String::new(),
            received: 5,
            control_id: String::new(),
            message_type: String::new(),
            application_ack: None,
        };
        entry(Kind::Accepted, id, &head)
    }

    fn outcome(id: u64, state: State) -> Entry {
        let head = Outcome {
            channel: "c".into(),
            received: 5,
            control_id: String::new(),
            message_type: String::new(),
            state,
            reason: None,
            detail: None,
            nhs_number: None,
            local_ids: Vec::new(),
            quality: BTreeMap::new(),
            configversion: String::new(),
            events: Vec::new(),
        };
        entry(Kind::Outcome, id, &head)
    }

    fn settled(id: u64, state: State) -> Entry {
        entry(Kind::State, id, &StateChange { channel: "c".into(), state, routes: 0 })
    }

    fn fold(entries: &[Entry]) -> Sums {
        let mut ledger = Ledger::default();
        for entry in entries {
            ledger.apply(entry).unwrap();
            assert!(ledger.total().balance(), "the sums hold at every moment");
        }
        ledger.total()
    }

    #[test]
    fn every_message_is_in_exactly_one_state_at_every_moment() {
        let sums = fold(&[
            accepted(1),
            accepted(2),
            outcome(1, State::Published),
            accepted(3),
            outcome(2, State::Parked),
            settled(1, State::Published),
            outcome(3, State::Filtered),
            settled(3, State::Filtered),
            accepted(4),
        ]);
        let expected = (4, 1, 1, 1, 1);
        let found = (sums.received, sums.pending, sums.parked, sums.published, sums.filtered);
        assert_eq!(found, expected);
    }

    #[test]
    fn copies_and_repetitions_count_nothing() {
        let twice = [
            accepted(1),
            outcome(1, State::Parked),
            accepted(1),
            outcome(1, State::Parked),
            accepted(2),
            outcome(2, State::Published),
            settled(2, State::Published),
            settled(2, State::Published),
        ];
        let sums = fold(&twice);
        assert_eq!((sums.received, sums.parked, sums.published), (2, 1, 1));
    }

    #[test]
    fn a_ledger_survives_its_snapshot() {
        let mut ledger = Ledger::default();
        ledger.apply(&accepted(1)).unwrap();
        ledger.apply(&outcome(1, State::Parked)).unwrap();
        let text = serde_json::to_string(&ledger).unwrap();
        assert_eq!(serde_json::from_str::<Ledger>(&text).unwrap(), ledger);
    }
}
