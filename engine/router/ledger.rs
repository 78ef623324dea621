//! The books: every accepted message in exactly one counted state, per channel and hour of receipt.
//!
//! A [`Ledger`] is a plain fold over journal entries in journal order. It is never told anything
//! that is not in the journal, so it survives crashes by being computed again, and anybody can check
//! it by folding once more. Where damage swallowed an entry, the later ones of the message say what
//! it said: an outcome without its acceptance still books a receipt, so that the sums hold.

use std::collections::BTreeMap;

use identity::rules::Resolution;
use journal::entry::{Entry, Kind, MessageId};
use serde::{Deserialize, Serialize};

use crate::entry::{self, Accepted, Action, Decision, EntryError, Outcome, State, StateChange};
use crate::hold::HoldKey;
use crate::ids::Ids;
use crate::sequences::{self, LastNumbers};
use crate::sums::{Book, Sums};

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
    /// When its outcome was recorded, milliseconds since 1970 in UTC.
    #[serde(default)]
    pub since: i64,
    /// Where its outcome lies, as the journal writes positions.
    pub outcome: String,
    /// What it holds back while it is parked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldKey>,
    /// Revision of the outcome.
    #[serde(default)]
    pub revision: u32,
    /// Whether it is a result or a document, which somebody waits for.
    #[serde(default)]
    pub result: bool,
    /// How many events the outcome has.
    #[serde(default)]
    pub events: u32,
    /// How many of them need not be sent any more: they left, or a person gave them up.
    #[serde(default)]
    pub receipts: u32,
    /// An edit that waits for a second person: where it lies, and who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed: Option<Proposed>,
}

/// An edit that waits for a second person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposed {
    /// Where its bytes lie, as the journal writes positions.
    pub at: String,
    /// Who made it; somebody else must approve.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// A message that an operator released: it is processed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// Revision of its next outcome.
    pub revision: u32,
    /// Whether later messages of its patient may have gone before it.
    pub out_of_order: bool,
    /// Who is right about whom it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

/// What an edit is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The message that it replaces.
    pub of: u64,
    /// The first message of a row of edits: where it stands in the order of its patients.
    pub place: u64,
}

/// What of a channel an operator stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Its listener takes no more messages.
    pub intake: bool,
    /// Its messages wait on disk.
    pub delivery: bool,
}

/// The fold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Per channel.
    pub channels: BTreeMap<String, Book>,
    /// Outcomes recorded and not settled: what delivery takes up again after a crash.
    pub open: BTreeMap<u64, Open>,
    /// Released and without a new outcome.
    #[serde(default)]
    pub again: BTreeMap<u64, Again>,
    /// Edits that are not settled.
    #[serde(default)]
    pub edits: BTreeMap<u64, Edit>,
    /// Channels of which something is paused.
    #[serde(default)]
    pub paused: BTreeMap<String, Paused>,
    /// Accepted and without an outcome.
    #[serde(default)]
    pub waiting: Ids,
    /// Where the sequence numbers of senders stand.
    #[serde(default)]
    pub last_numbers: LastNumbers,
    /// Newest message seen.
    pub newest: u64,
}

impl Ledger {
    /// Takes one entry into the books; gives back the head of a message that is new to them.
    pub fn apply(&mut self, entry: &Entry) -> Result<Option<Accepted>, EntryError> {
        match entry.kind {
            Kind::Accepted => return self.accepted(entry),
            Kind::Outcome => self.outcome(entry)?,
            Kind::State => self.change(entry.id, entry::decode(&entry.body)?.0),
            Kind::Operator => self.operator(entry)?,
            Kind::Identity | Kind::Configuration | Kind::Checkpoint => {}
        }
        Ok(None)
    }

    fn accepted(&mut self, entry: &Entry) -> Result<Option<Accepted>, EntryError> {
        // A reader hands out a carried copy only to who never got the original.
        if entry.id.0 <= self.newest && !entry.carried {
            return Ok(None);
        }
        if entry.carried && self.state(entry.id.0).is_some() {
            return Ok(None);
        }
        let (head, _): (Accepted, _) = entry::decode(&entry.body)?;
        self.newest = self.newest.max(entry.id.0);
        self.waiting.insert(entry.id.0);
        if let Some(edit) = &head.edit {
            self.edits.insert(entry.id.0, Edit { of: edit.of, place: edit.place });
        }
        if let Some(last) = head.sequence {
            let last = u64::try_from(last).ok();
            sequences::note(&mut self.last_numbers, &head.channel, &head.sender, last);
        }
        self.book(&head.channel).receive(head.received);
        Ok(Some(head))
    }

    fn outcome(&mut self, entry: &Entry) -> Result<(), EntryError> {
        let outcome = entry.position.to_string();
        let id = entry.id.0;
        if let Some(open) = self.open.get_mut(&id) {
            open.outcome = outcome; // A copy that retention carried forward.
            return Ok(());
        }
        let (head, _): (Outcome, _) = entry::decode(&entry.body)?;
        let known = self.waiting.remove(id);
        self.again.remove(&id);
        let book = self.book(&head.channel);
        if !known {
            book.receive(head.received);
        }
        book.events(head.events.len() as u64);
        let now = head.state_now();
        book.change(head.received, State::Pending, now);
        let open = Open {
            channel: head.channel,
            state: now,
            reason: head.reason,
            received: head.received,
            since: i64::try_from(entry.written).unwrap_or(i64::MAX),
            outcome,
            holds: head.holds,
            revision: head.revision,
            result: entry::is_result(&head.message_type),
            events: u32::try_from(head.events.len()).unwrap_or(u32::MAX),
            receipts: 0,
            proposed: None,
        };
        self.open.insert(id, open);
        Ok(())
    }

    fn change(&mut self, id: MessageId, change: StateChange) {
        if change.state == State::Parked {
            // Its events have left, or never can as they are; the outcome stays to be looked at.
            if let Some(open) = self.open.get_mut(&id.0) {
                let was = std::mem::replace(&mut open.state, State::Parked);
                (open.reason, open.holds) = (change.reason, change.holds);
                open.receipts = change.receipts;
                let received = open.received;
                self.book(&change.channel).change(received, was, State::Parked);
            }
            return;
        }
        let Some((was, received)) = self.leave(id.0, change.received) else { return };
        self.book(&change.channel).change(received, was, change.state);
    }

    /// Takes a message out of what is not settled; gives back its state and when it was received.
    fn leave(&mut self, id: u64, received: i64) -> Option<(State, i64)> {
        self.edits.remove(&id);
        self.again.remove(&id);
        let waited = self.waiting.remove(id);
        match self.open.remove(&id) {
            Some(open) => Some((open.state, open.received)),
            // A duplicate never has an outcome, and damage may have swallowed one.
            None => waited.then_some((State::Pending, received)),
        }
    }

    fn operator(&mut self, entry: &Entry) -> Result<(), EntryError> {
        let (head, _): (Decision, _) = entry::decode(&entry.body)?;
        let id = entry.id.0;
        match head.action {
            Action::Release { revision, out_of_order, resolution } => {
                if self.open.get(&id).is_some_and(|open| open.state == State::Parked)
                    && let Some(open) = self.open.remove(&id)
                {
                    self.book(&open.channel).change(open.received, State::Parked, State::Pending);
                    self.waiting.insert(id);
                    self.again.insert(id, Again { revision, out_of_order, resolution });
                }
            }
            Action::Discard => {
                if let Some((was, received)) = self.leave(id, head.received) {
                    self.book(&head.channel).change(received, was, State::Discarded);
                }
            }
            Action::Skip { event } => {
                if let Some(open) = self.open.get_mut(&id).filter(|o| o.state == State::Parked) {
                    (open.state, open.receipts) = (State::Pending, event + 1);
                    let received = open.received;
                    self.book(&head.channel).change(received, State::Parked, State::Pending);
                }
            }
            Action::Propose | Action::Withdraw => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.proposed = (head.action == Action::Propose).then(|| Proposed {
                        at: entry.position.to_string(),
                        actor: head.actor,
                        reason: head.reason,
                    });
                }
            }
            Action::PauseIntake => self.paused(&head.channel).intake = true,
            Action::PauseDelivery => self.paused(&head.channel).delivery = true,
            Action::ResumeIntake => self.paused(&head.channel).intake = false,
            Action::ResumeDelivery => self.paused(&head.channel).delivery = false,
            Action::DoNotLink
            | Action::MayLink
            | Action::LoadIdentity
            | Action::Unmerge
            | Action::SkipFor
            | Action::Look => {}
        }
        self.paused.retain(|_, paused| *paused != Paused::default());
        Ok(())
    }

    fn paused(&mut self, channel: &str) -> &mut Paused {
        self.paused.entry(channel.to_owned()).or_default()
    }

    fn book(&mut self, channel: &str) -> &mut Book {
        if !self.channels.contains_key(channel) {
            self.channels.insert(channel.to_owned(), Book::default());
        }
        self.channels.get_mut(channel).expect("it was put there")
    }

    /// The state of a message that is not settled.
    pub fn state(&self, id: u64) -> Option<State> {
        let waits = || self.waiting.contains(id).then_some(State::Pending);
        self.open.get(&id).map(|open| open.state).or_else(waits)
    }

    /// The parked messages, rising.
    pub fn parked(&self) -> impl Iterator<Item = (u64, &Open)> {
        let open = self.open.iter();
        open.filter(|(_, open)| open.state == State::Parked).map(|(id, open)| (*id, open))
    }

    /// All channels together.
    pub fn total(&self) -> Sums {
        let mut total = Sums::default();
        for book in self.channels.values() {
            total.add(&book.total);
        }
        total
    }

    /// Forgets hours long past; what is counted in them stays in the totals.
    pub fn forget_hours(&mut self) {
        for book in self.channels.values_mut() {
            book.forget_hours();
        }
    }
}

#[cfg(test)]
mod tests {
    use journal::entry::Position;

    use super::*;
    use crate::sums::Counts;

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
            sender: String::new(),
            application_ack: None,
            edit: None,
            unmerge: None,
            sequence: None,
            refused: false,
            miscounted: false,
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
            revision: 0,
            holds: Vec::new(),
            learned: None,
            events: Vec::new(),
        };
        entry(Kind::Outcome, id, &head)
    }

    fn settled(id: u64, state: State) -> Entry {
        entry(Kind::State, id, &StateChange::new("c".into(), 5, state))
    }

    fn decided(id: u64, action: Action) -> Entry {
        let (actor, reason) = (String::from("alex"), String::from("tried again"));
        let head = Decision {
            at: 6,
            actor,
            reason,
            channel: "c".into(),
            received: 5,
            action,
            learned: None,
        };
        entry(Kind::Operator, id, &head)
    }

    fn fold(entries: &[Entry]) -> Counts {
        let mut ledger = Ledger::default();
        for entry in entries {
            ledger.apply(entry).unwrap();
            let total = ledger.total().counts;
            assert!(total.balance(), "the sums hold at every moment");
            let hours = ledger.channels["c"].hours.values();
            let mut sum = Counts::default();
            hours.for_each(|counts| sum.add(counts));
            assert_eq!(sum, total, "the hours say the same");
        }
        ledger.total().counts
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
    fn what_an_operator_decides_moves_the_message_and_nothing_else() {
        let again = Action::Release { revision: 1, out_of_order: false, resolution: None };
        let sums = fold(&[
            accepted(1),
            accepted(2),
            accepted(3),
            outcome(1, State::Parked),
            outcome(2, State::Parked),
            decided(1, again),
            decided(1, again),
            outcome(1, State::Published),
            settled(1, State::Published),
            decided(2, Action::Discard),
            decided(2, Action::Discard),
            settled(3, State::Duplicate),
            settled(3, State::Duplicate),
        ]);
        let expected =
            Counts { received: 3, published: 1, discarded: 1, duplicate: 1, ..Counts::default() };
        assert_eq!(sums, expected);
    }

    #[test]
    fn what_parks_with_events_is_pending_until_they_have_left() {
        let [id, event_type, routing_key] = ["1", "t", "k"].map(String::from);
        let event = entry::StoredEvent { id, event_type, routing_key, length: 0 };
        let (mut head, _): (Outcome, _) =
            entry::decode(&outcome(1, State::Parked).body).expect("as written");
        (head.reason, head.events) = (Some("script.error".into()), vec![event]);
        let mut left = StateChange::new("c".into(), 5, State::Parked);
        left.reason.clone_from(&head.reason);
        let entries = [
            accepted(1),
            entry(Kind::Outcome, 1, &head),
            // Nobody can have decided this.
            decided(1, Action::Release { revision: 1, out_of_order: false, resolution: None }),
            entry(Kind::State, 1, &left),
        ];
        assert_eq!(fold(&entries[..3]).pending, 1);
        assert_eq!(fold(&entries).parked, 1);
    }

    #[test]
    fn an_entry_that_damage_swallowed_does_not_upset_the_sums() {
        let sums = fold(&[
            accepted(3),
            outcome(1, State::Published),
            settled(1, State::Published),
            settled(3, State::Published),
        ]);
        assert_eq!(sums, Counts { received: 2, published: 2, ..Counts::default() });
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
