//! What records make of a message: a fold, without any file.

use crate::record::{Accepted, Change, Decision, Outcome, Place, Record, What};
use crate::row::{Moment, Row, Story};
use crate::state::State;

/// A message while records are applied to it, and what of it must be written.
///
/// A record that was applied before changes nothing, which its place tells; so a journal may be
/// read again from anywhere. A carried copy of an entry moves the places and nothing else.
#[derive(Debug)]
pub(crate) struct Life {
    /// As it is now; `timeline[0]` is the acceptance.
    pub(crate) story: Story,
    /// For each moment, where its entry stood first, if it moved.
    pub(crate) firsts: Vec<Option<Place>>,
    /// Whether it is in no file yet.
    pub(crate) is_new: bool,
    /// Moments that are in the file as they are.
    pub(crate) stored: usize,
    /// Whether a row must be written.
    pub(crate) row_changed: bool,
    /// Whether events and identifiers must be written anew.
    pub(crate) outcome_changed: bool,
}

impl Life {
    /// A message that was just accepted.
    pub(crate) fn begin(record: &Record, accepted: &Accepted) -> Self {
        let state = if accepted.duplicate_of.is_some() { State::Duplicate } else { State::Pending };
        let row = Row {
            id: record.id,
            channel: accepted.channel.clone(),
            received_ms: accepted.received_ms,
            peer: accepted.peer.clone(),
            control_id: accepted.control_id.clone(),
            sender: accepted.sender.clone(),
            message_type: accepted.message_type.clone(),
            size: accepted.size,
            state,
            reason: None,
            detail: None,
            nhs_number: None,
            local_ids: Vec::new(),
            events: 0,
            duplicate_of: accepted.duplicate_of,
            superseded_by: None,
            edit_of: accepted.edit_of,
            decided: false,
        };
        let story = Story {
            row,
            place: record.place,
            outcome_place: None,
            configversion: String::new(),
            revision: 0,
            events: Vec::new(),
            timeline: Vec::new(),
        };
        let mut life = Self::stored(story, Vec::new());
        life.add(moment(record, accepted.received_ms, "accepted", Some(state)));
        life.is_new = true;
        life
    }

    /// A message as it was read; `firsts` belongs to its timeline without the acceptance.
    pub(crate) fn stored(story: Story, firsts: Vec<Option<Place>>) -> Self {
        // The acceptance stands in the message's row, whose place simply follows.
        let accepted = story.timeline.first().map(|_| None);
        let firsts = accepted.into_iter().chain(firsts).collect();
        Self {
            stored: story.timeline.len(),
            story,
            firsts,
            is_new: false,
            row_changed: false,
            outcome_changed: false,
        }
    }

    /// The same message, for a file that does not hold it yet.
    pub(crate) fn carried(self) -> Self {
        Self { is_new: true, stored: 0, row_changed: true, outcome_changed: true, ..self }
    }

    /// Applies one record about this message.
    pub(crate) fn apply(&mut self, record: &Record) {
        if matches!(record.what, What::Accepted(_)) {
            if record.copied_from.is_some() && self.story.place != record.place {
                self.story.place = record.place;
                self.story.timeline[0].place = record.place;
                self.row_changed = true;
            }
            return;
        }
        if self.is_known(record) {
            return;
        }
        match &record.what {
            What::Accepted(_) => {}
            What::Outcome(outcome) => self.decide(record, outcome),
            What::State(change) => self.change(record, change),
            What::Operator(decision) => self.steer(record, decision),
        }
        self.row_changed = true;
    }

    /// Whether the record was applied before; follows an entry that moved.
    fn is_known(&mut self, record: &Record) -> bool {
        let stands_at = |place: Place| {
            let moments = self.story.timeline.iter().zip(&self.firsts).skip(1);
            let at = moments
                .into_iter()
                .position(|(moment, first)| moment.place == place || *first == Some(place));
            at.map(|at| at + 1)
        };
        let Some(at) = record.copied_from.and_then(stands_at) else {
            return stands_at(record.place).is_some();
        };
        let moment = &mut self.story.timeline[at];
        if moment.place != record.place {
            if self.story.outcome_place == Some(moment.place) {
                self.story.outcome_place = Some(record.place);
            }
            self.firsts[at].get_or_insert(moment.place);
            moment.place = record.place;
            self.stored = self.stored.min(at);
            self.row_changed = true;
        }
        true
    }

    fn decide(&mut self, record: &Record, outcome: &Outcome) {
        let row = &mut self.story.row;
        if outcome.state == State::Parked {
            row.state = State::Parked;
        } else if row.state.is_unsettled() {
            row.state = State::Pending;
        }
        row.reason = outcome.reason.clone().filter(|reason| !reason.is_empty());
        row.detail.clone_from(&outcome.detail);
        row.nhs_number.clone_from(&outcome.nhs_number);
        row.local_ids.clone_from(&outcome.local_ids);
        row.events = outcome.events.len() as u64;
        row.decided = true;
        self.story.outcome_place = Some(record.place);
        self.story.configversion.clone_from(&outcome.configversion);
        self.story.revision = outcome.revision;
        self.story.events.clone_from(&outcome.events);
        self.outcome_changed = true;
        self.add(Moment {
            reason: outcome.reason.clone(),
            note: outcome.detail.clone(),
            ..moment(record, record.at_ms, "outcome", Some(outcome.state))
        });
    }

    fn change(&mut self, record: &Record, change: &Change) {
        let row = &mut self.story.row;
        row.state = change.state;
        row.duplicate_of = change.duplicate_of.or(row.duplicate_of);
        row.superseded_by = change.superseded_by.or(row.superseded_by);
        if change.reason.is_some() {
            row.reason.clone_from(&change.reason);
        }
        let moment = moment(record, record.at_ms, "state", Some(change.state));
        self.add(Moment { routes: change.routes, reason: change.reason.clone(), ..moment });
    }

    fn steer(&mut self, record: &Record, decision: &Decision) {
        let row = &mut self.story.row;
        let state = match decision.action.as_str() {
            "discard" => Some(State::Discarded),
            "release" | "resolve-message" | "resolve-index" | "skip"
                if row.state == State::Parked =>
            {
                Some(State::Pending)
            }
            _ => None,
        };
        row.state = state.unwrap_or(row.state);
        self.add(Moment {
            reason: Some(decision.reason.clone()),
            actor: Some(decision.actor.clone()),
            note: decision.note.clone(),
            ..moment(record, record.at_ms, &decision.action, state)
        });
    }

    fn add(&mut self, moment: Moment) {
        self.story.timeline.push(moment);
        self.firsts.push(None);
    }
}

fn moment(record: &Record, at_ms: i64, what: &str, state: Option<State>) -> Moment {
    Moment {
        at_ms,
        what: what.to_owned(),
        state,
        reason: None,
        actor: None,
        note: None,
        routes: 0,
        place: record.place,
    }
}
