//! The first half of delivery: take up what was left, then read the journal and find the patients.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use journal::entry::{Entry, Kind, MessageId, Position};
use journal::queue::AppendError;
use journal::reader::ReadError;
use record::replay::is_replay;

use crate::backoff::Backoff;
use crate::delivery::Delivery;
use crate::duplicates::{self, Verdict};
use crate::entry::{self, Accepted, EditOf, Outcome, State, StateChange};
use crate::event::Event;
use crate::identified::{self, Identified};
use crate::ledger::{Ledger, Open};
use crate::plan::ChannelPlan;
use crate::publish::Publisher;
use crate::runnable::Lane;
use crate::scope;
use crate::teaching::asked;
use crate::work::{Recorded, Released, Task, Work};

impl<P: Publisher> Delivery<P> {
    /// Takes up what `ledger`, the books at start, says is not settled; then reads accepted
    /// messages in journal order until stopped. Blocks; give it a thread.
    pub fn read(self: &Arc<Self>, ledger: &Ledger) {
        let mut durable = self.journal.durable();
        // Whatever has an id already is taken up by id, so it does not matter where reading begins.
        let (from, new) = (*durable.borrow_and_update(), self.journal.next_id());
        if !self.take_up_seen(from) || !self.take_up(ledger, new) {
            return;
        }
        let mut reader = self.journal.reader(from);
        let mut backoff = Backoff::default();
        while !self.stop.is_cancelled() {
            durable.borrow_and_update();
            match reader.next() {
                Ok(Some(entry)) => {
                    backoff.reset();
                    let wanted = entry.kind == Kind::Accepted && !entry.carried;
                    if wanted && entry.id >= new && !self.admit(&entry) {
                        return;
                    }
                    let mut reading = self.reading();
                    if duplicates::fate(&mut reading.seen, &entry).is_err() {
                        Event::OutcomeUnreadable { message: entry.id.0 }.emit();
                    }
                    reading.position = reader.position();
                }
                Ok(None) => {
                    let stopped = self.runtime.block_on(async {
                        tokio::select! {
                            () = self.stop.cancelled() => true,
                            changed = durable.changed() => changed.is_err(),
                        }
                    });
                    if stopped {
                        return;
                    }
                }
                // The next call goes on behind it.
                Err(ReadError::Corrupt(damage)) => Event::damage(&damage).emit(),
                Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => {}
                // The next call tries the same place again.
                Err(ReadError::Disk(error)) => {
                    Event::DiskUnreadable { error: &error }.emit();
                    self.pause(backoff.wait());
                }
            }
        }
    }

    fn pause(&self, length: Duration) {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = tokio::time::sleep(length) => {}
            }
        });
    }

    /// What a restart finds: first the parked, with what they hold back, then everything else that
    /// is not settled, in the order of the journal and edits in the place of what they are of.
    /// False when stopped before the end.
    fn take_up(self: &Arc<Self>, ledger: &Ledger, below: MessageId) -> bool {
        for (id, open) in &ledger.open {
            if open.state == State::Parked {
                let place = ledger.edits.get(id).map_or(*id, |edit| edit.place);
                self.block_parked(*id, place, open);
            }
        }
        for (id, edit) in &ledger.edits {
            let parked = ledger.open.get(id).is_some_and(|open| open.state == State::Parked);
            if !parked && self.journal.is_settled(MessageId(edit.of)) {
                self.stand_in(edit.of, edit.place, MessageId(*id), Position::START);
                self.held().unblock(*id);
            }
        }
        // A second call would be a second start.
        self.taken_up.get_or_init(|| ());
        {
            let mut released = self.released();
            for (id, again) in &ledger.again {
                let left = self.events_left(MessageId(*id));
                released.insert(*id, Released { again: *again, left, from: None });
            }
        }
        let mut edits: BTreeSet<(u64, u64)> =
            ledger.edits.iter().map(|(id, edit)| (edit.place, *id)).collect();
        let parked = |id: u64| ledger.open.get(&id).is_some_and(|open| open.state == State::Parked);
        let (mut unsettled, mut last) = (self.journal.unsettled_entries(below), 0);
        let mut backoff = Backoff::default();
        while let Some(entry) = unsettled.next() {
            let entry = match entry {
                Ok(entry) if entry.id.0 <= last => continue,
                Ok(entry) => entry,
                Err(ReadError::Corrupt(damage)) => {
                    Event::damage(&damage).emit();
                    continue;
                }
                // All of them or none: what came later must not go first.
                Err(ReadError::Disk(error)) => {
                    Event::DiskUnreadable { error: &error }.emit();
                    self.pause(backoff.wait());
                    if self.stop.is_cancelled() {
                        return false;
                    }
                    unsettled = self.journal.unsettled_entries(below);
                    continue;
                }
                Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => continue,
            };
            last = entry.id.0;
            while let Some(&(place, id)) = edits.first()
                && place < entry.id.0
            {
                edits.remove(&(place, id));
                let found = self.journal.find(MessageId(id));
                if !parked(id)
                    && let Ok(Some(edit)) = found
                    && !self.take_up_one(&edit, ledger)
                {
                    return false;
                }
            }
            let early = ledger.edits.contains_key(&entry.id.0);
            if !early && !parked(entry.id.0) && !self.take_up_one(&entry, ledger) {
                return false;
            }
        }
        // Edits of what came last.
        for (_, id) in edits {
            if !parked(id)
                && let Ok(Some(edit)) = self.journal.find(MessageId(id))
                && !self.take_up_one(&edit, ledger)
            {
                return false;
            }
        }
        true
    }

    fn block_parked(&self, id: u64, place_of: u64, open: &Open) {
        let place = Position::START;
        if place_of != id {
            self.stand_in(place_of, place_of, MessageId(id), place);
        }
        self.runtime.block_on(self.block(MessageId(id), place, &open.holds));
    }

    /// An edit stands where the first of its row of edits stood, whatever its own id is.
    fn stand_in(&self, of: u64, place_of: u64, edit: MessageId, place: Position) {
        if !self.held().replace(of, edit.0, place.to_bytes()) {
            self.runtime.block_on(self.block(MessageId(place_of), place, &[]));
            self.held().replace(place_of, edit.0, place.to_bytes());
        }
    }

    fn take_up_one(self: &Arc<Self>, entry: &Entry, ledger: &Ledger) -> bool {
        if self.journal.is_settled(entry.id) {
            return true;
        }
        let Some(open) = ledger.open.get(&entry.id.0) else { return self.admit(entry) };
        let Some((head, frame)) = accepted(entry) else { return true };
        let Some(recorded) = self.recorded(entry.id, open) else {
            return self.park_damaged(entry, head, frame);
        };
        self.begin(entry, head, frame, Some(recorded), Verdict::First)
    }

    /// Its outcome cannot be read. The script must not run again by itself, since one id must not
    /// have two contents: a person decides, and what is released then has another revision. False
    /// when stopped before that.
    pub(crate) fn park_damaged(&self, entry: &Entry, head: Accepted, frame: Bytes) -> bool {
        const REASON: &str = "journal.damaged";
        Event::OutcomeUnreadable { message: entry.id.0 }.emit();
        let channel = self.plan.get().channels.get(&head.channel).cloned();
        let found = match channel.as_deref() {
            Some(channel) => self.identify(channel, frame),
            None => Identified::parked(frame, "channel.unknown"),
        };
        let (name, raises) = (&head.channel, found.raises());
        let holds = scope::holds(channel.as_deref(), name, REASON, &found.keys, raises);
        let mut change = StateChange::new(head.channel, head.received, State::Parked);
        change.reason = Some(REASON.to_owned());
        change.holds.clone_from(&holds);
        let parked = self.runtime.block_on(async {
            self.settle(entry.id, &change).await?;
            Event::Parked { channel: &change.channel, message: entry.id.0, reason: REASON }.emit();
            self.block(entry.id, entry.position, &holds).await;
            Ok::<_, AppendError>(())
        });
        parked.is_ok()
    }

    /// Takes a message that has no outcome; false when stopped before that.
    fn admit(self: &Arc<Self>, entry: &Entry) -> bool {
        if self.journal.is_settled(entry.id) {
            return true;
        }
        let Some((head, frame)) = accepted(entry) else { return true };
        if let Some(edit) = head.edit.clone() {
            return match self.supersede(entry, &head, &edit) {
                Some(true) => self.begin(entry, head, frame, None, Verdict::Anew),
                // What stands before it gives it back.
                Some(false) => true,
                None => false,
            };
        }
        let verdict = self.judge(entry.id, &head, &frame);
        if let Verdict::Copy { of } = verdict {
            return self.copy(entry.id, head, of);
        }
        self.begin(entry, head, frame, None, verdict)
    }

    /// What the message is to those before it; remembered from then on.
    pub(crate) fn judge(&self, id: MessageId, head: &Accepted, frame: &Bytes) -> Verdict {
        match self.plan.get().channels.get(&head.channel) {
            Some(channel) if head.edit.is_none() => {
                let mut reading = self.reading();
                let (journal, plan) = (&self.journal, &channel.duplicates);
                duplicates::judge(&mut reading.seen, journal, plan, id.0, head, frame)
            }
            // An edit is a message of its own, whatever bytes came before.
            Some(_) => Verdict::Anew,
            None => Verdict::First,
        }
    }

    /// A copy gets its own small entry and is not processed; false when stopped before there was
    /// room for it.
    fn copy(self: &Arc<Self>, id: MessageId, head: Accepted, of: u64) -> bool {
        let Some(room) = self.runtime.block_on(self.room(0)) else { return false };
        let this = self.clone();
        self.flight().enter(id.0, &head.channel, head.received);
        self.spawn(async move {
            let mut change = StateChange::new(head.channel, head.received, State::Duplicate);
            change.duplicate_of = Some(of);
            if this.settle(id, &change).await.is_ok() {
                Event::Duplicate { channel: &change.channel, message: id.0, of }.emit();
            }
            this.flight().leave(id.0);
            drop(room);
            let channel = this.plan.get().channels.get(&change.channel).cloned();
            this.tell_fate(id, channel.as_deref());
        });
        true
    }

    /// An edit takes the place of what it is of; whether it may run now, nothing when stopped.
    fn supersede(self: &Arc<Self>, entry: &Entry, head: &Accepted, edit: &EditOf) -> Option<bool> {
        let of = MessageId(edit.of);
        if !self.journal.is_settled(of) {
            let received = match self.journal.find(of) {
                Ok(Some(original)) => {
                    accepted(&original).map_or(head.received, |(head, _)| head.received)
                }
                _ => head.received,
            };
            let mut change = StateChange::new(head.channel.clone(), received, State::Superseded);
            change.superseded_by = Some(entry.id.0);
            // Durable first: otherwise a crash might leave both to be delivered.
            self.runtime.block_on(self.settle(of, &change)).ok()?;
        }
        self.stand_in(edit.of, edit.place, entry.id, entry.position);
        Some(self.held().unblock(entry.id.0))
    }

    /// Reads a message and finds its patient; a defect costs it a person's look.
    fn identify(&self, channel: &ChannelPlan, frame: Bytes) -> Identified {
        let index = self.patients.index();
        let identify = AssertUnwindSafe(|| identified::identify(channel, frame.clone(), index));
        catch_unwind(identify).unwrap_or_else(|_| Identified::parked(frame, "internal"))
    }

    /// Identifies a message and queues it behind what its patients have under way; false when
    /// stopped before there was room for it.
    pub(crate) fn begin(
        self: &Arc<Self>,
        entry: &Entry,
        head: Accepted,
        frame: Bytes,
        recorded: Option<Recorded>,
        verdict: Verdict,
    ) -> bool {
        let Some(room) = self.runtime.block_on(self.room(frame.len())) else { return false };
        let channel = self.plan.get().channels.get(&head.channel).cloned();
        let as_of = self.patients.renamed();
        let identified = match &channel {
            Some(channel) => {
                let identified = self.identify(channel, frame);
                let unmerges = head.unmerge.as_deref().and_then(|retired| asked(retired).ok());
                match unmerges {
                    Some(retired) => {
                        identified::taking_back(identified, &retired, self.patients.index())
                    }
                    None if head.refused => identified::unless_refused(channel, identified),
                    None => identified,
                }
            }
            None => Identified::parked(frame, "channel.unknown"),
        };
        let mut patients = identified.keys.clone();
        for name in recorded.iter().flat_map(Recorded::told) {
            if !patients.contains(&name) {
                patients.push(name);
            }
        }
        let in_order = channel.as_deref().and_then(scope::channel_key);
        let found = [
            (verdict == Verdict::Differs).then_some("control-id.reused"),
            head.miscounted.then_some("batch.miscounted"),
        ];
        let bulk = identified.message.as_ref().is_some_and(|(message, _)| is_replay(message));
        let mut work = Work {
            id: entry.id,
            lane: if bulk { Lane::Bulk } else { Lane::Live },
            place: entry.position,
            channel,
            patients,
            several: identified.several,
            as_of,
            task: recorded.map_or(Task::Transform(Box::new(identified)), |recorded| {
                Task::Publish(Box::new(recorded))
            }),
            again: self.released().get(&entry.id.0).cloned(),
            found: found.into_iter().flatten().collect(),
            repeated: verdict == Verdict::Anew,
            head,
            room,
        };
        self.flight().enter(entry.id.0, &work.head.channel, work.head.received);
        let ready = {
            let mut order = self.order();
            // What made its patients others meanwhile has left already, and is nobody's kin; what
            // does so from here on cannot leave before this one is in order behind it.
            work.find_again(&self.patients);
            let names = work.patients.clone();
            order.admit(entry.id.0, &names, in_order, work)
        };
        if let Some(work) = ready {
            self.enqueue(work);
        }
        true
    }

    /// The outcome of a message that is not settled.
    pub(crate) fn recorded(&self, id: MessageId, open: &Open) -> Option<Recorded> {
        let at: Position = open.outcome.parse().ok()?;
        let receipts = usize::try_from(open.receipts).ok()?;
        if let Ok(entry) = self.journal.read(at)
            && let Ok((outcome, payload)) = entry::decode::<Outcome>(&entry.body)
        {
            let payload = Bytes::copy_from_slice(&payload);
            return Some(Recorded { outcome, payload, at, receipts });
        }
        // Retention may have carried it forward.
        Some(Recorded { receipts, ..self.latest(id)? })
    }

    /// The latest outcome of a message.
    pub(crate) fn latest(&self, id: MessageId) -> Option<Recorded> {
        let about = self.journal.records_about(id, None).ok()?;
        let entry = about.into_iter().rfind(|entry| entry.kind == Kind::Outcome)?;
        let (outcome, payload) = entry::decode::<Outcome>(&entry.body).ok()?;
        let payload = Bytes::copy_from_slice(&payload);
        Some(Recorded { outcome, payload, at: entry.position, receipts: 0 })
    }

    /// The ids of the events of a message's outcomes so far.
    fn events_left(&self, id: MessageId) -> Vec<uuid::Uuid> {
        let about = self.journal.records_about(id, None).unwrap_or_default();
        let outcomes = about.iter().filter(|entry| entry.kind == Kind::Outcome);
        outcomes
            .filter_map(|entry| entry::decode::<Outcome>(&entry.body).ok())
            .flat_map(|(outcome, _)| outcome.events)
            .filter_map(|event| event.id.parse().ok())
            .collect()
    }
}

fn accepted(entry: &Entry) -> Option<(Accepted, Bytes)> {
    if let Ok((head, frame)) = entry::decode::<Accepted>(&entry.body) {
        // A copy, because the entry is a slice of a larger read that it would keep in memory.
        Some((head, Bytes::copy_from_slice(&frame)))
    } else {
        Event::OutcomeUnreadable { message: entry.id.0 }.emit();
        None
    }
}
