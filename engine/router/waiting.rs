//! What must wait behind a parked message leaves memory, and comes back when it is free.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use journal::entry::{Entry, MessageId, Position};
use journal::reader::ReadError;
use tokio::sync::mpsc;

use crate::delivery::Delivery;
use crate::desk::Command;
use crate::duplicates::Verdict;
use crate::entry::{self, Accepted};
use crate::event::Event;
use crate::held::Place;
use crate::hold::HoldKey;
use crate::publish::Publisher;
use crate::scope;
use crate::work::{Recorded, Released, Work};

/// How long a message waits for the held index when that cannot be written.
const UNWRITABLE: Duration = Duration::from_secs(1);
/// How long a decision waits for its message to leave memory.
const SOON: Duration = Duration::from_millis(10);

impl<P: Publisher> Delivery<P> {
    /// Gives the message back if it may run; else it goes to wait on disk.
    pub(crate) fn unless_held(self: &Arc<Self>, work: Work) -> Option<Work> {
        let Some(channel) = work.channel.as_ref() else { return Some(work) };
        let waits = {
            let mut held = self.held();
            let waits = if held.keys() == 0 {
                Ok(false)
            } else {
                let mut waits = scope::waits(channel, &work.patients, work.several);
                // A channel as a whole is waited for only while somebody stops it: what left its
                // chain must not join it again.
                waits
                    .others
                    .retain(|key| !matches!(key, HoldKey::Channel(_)) || held.is_stopped(key));
                held.wait(work.id.0, work.place.to_bytes(), &waits.own, &waits.others)
            };
            if matches!(waits, Ok(true)) {
                // Before anybody can give it back: it must not come back while it is still here.
                self.flight().hold(&work.head.channel, entry::is_result(&work.head.message_type));
                self.leave(work.id);
                self.tell_fate(work.id, work.channel.as_deref());
            }
            waits
        };
        match waits {
            Ok(false) => Some(work),
            Ok(true) => None,
            Err(error) => {
                // On a full disk, say: it keeps its place and asks again.
                Event::HeldUnwritable { error: &error }.emit();
                let this = self.clone();
                self.spawn(async move {
                    tokio::time::sleep(UNWRITABLE).await;
                    this.enqueue(work);
                });
                None
            }
        }
    }

    /// Obeys until stopped; `paused` are the channels that wait already. Blocks; give it a thread.
    pub(crate) fn obey(
        self: &Arc<Self>,
        mut commands: mpsc::UnboundedReceiver<Command>,
        mut paused: BTreeSet<String>,
    ) {
        // What is parked must stand in the index before anybody decides about it.
        self.taken_up.wait();
        loop {
            let next = self.runtime.block_on(async {
                tokio::select! {
                    () = self.stop.cancelled() => None,
                    next = commands.recv() => next,
                }
            });
            let more = match next {
                None => return,
                Some(Command::Freed { id, place }) => {
                    let more = self.come_back(id, Some(place));
                    self.returning.fetch_sub(1, Ordering::Relaxed);
                    more
                }
                // It was recorded as parked a moment ago and has not left memory yet.
                Some(command) if command.message().is_some_and(|id| self.flight().has(id.0)) => {
                    self.later(command);
                    true
                }
                Some(Command::Release { id, released }) => {
                    self.released().insert(id.0, released);
                    // What stands before it gives it back when it is done.
                    let now = self.held().unblock(id.0);
                    !now || self.come_back(id, None)
                }
                Some(Command::Skip { id, from }) => {
                    let released = Released { from: Some(from), ..Released::default() };
                    self.released().insert(id.0, released);
                    let now = self.held().unblock(id.0);
                    !now || self.come_back(id, None)
                }
                Some(Command::Again { id }) => self.come_back(id, None),
                Some(Command::Gone { id }) => {
                    self.runtime.block_on(self.free(id));
                    true
                }
                Some(Command::Pause { channel }) => {
                    paused.insert(channel);
                    self.runtime.block_on(self.pause_channels(&paused));
                    true
                }
                Some(Command::Resume { channel }) => {
                    paused.remove(&channel);
                    self.runtime.block_on(self.free(MessageId::NONE));
                    self.runtime.block_on(self.pause_channels(&paused));
                    true
                }
            };
            if !more {
                return;
            }
        }
    }

    /// Tells itself again, soon.
    fn later(&self, command: Command) {
        let commands = self.commands.clone();
        self.spawn(async move {
            tokio::time::sleep(SOON).await;
            drop(commands.send(command));
        });
    }

    /// No message has id 0, and it stands before all of them.
    async fn pause_channels(&self, paused: &BTreeSet<String>) {
        let holds = scope::paused(paused);
        if !holds.is_empty() {
            self.block(MessageId::NONE, Position::START, &holds).await;
        }
    }

    fn come_back(self: &Arc<Self>, id: MessageId, place: Option<Position>) -> bool {
        if self.journal.is_settled(id) {
            self.runtime.block_on(self.free(id));
            return true;
        }
        let entry = match self.entry(id, place) {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                // It stays pending and holds its place: somebody has to mend the journal.
                Event::OutcomeUnreadable { message: id.0 }.emit();
                return true;
            }
            Err(error) => {
                Event::DiskUnreadable { error: &error }.emit();
                self.later(match place {
                    Some(place) => {
                        self.returning.fetch_add(1, Ordering::Relaxed);
                        Command::Freed { id, place }
                    }
                    None => Command::Again { id },
                });
                return true;
            }
        };
        let Ok((head, frame)) = entry::decode::<Accepted>(&entry.body) else {
            Event::OutcomeUnreadable { message: id.0 }.emit();
            return true;
        };
        if place.is_some() {
            self.flight().release(&head.channel, entry::is_result(&head.message_type));
        }
        // A channel as a whole is waited for only while somebody stops it.
        let channel = HoldKey::Channel(head.channel.as_str().into());
        self.runtime.block_on(self.pass(id, &channel));
        let frame = Bytes::copy_from_slice(&frame);
        let verdict = match self.judge(id, &head, &frame) {
            // It was none when it was read first, and waited since.
            Verdict::Copy { .. } => Verdict::First,
            verdict => verdict,
        };
        let from = self.released().get(&id.0).and_then(|released| released.from);
        let Some(from) = from else { return self.begin(&entry, head, frame, None, verdict) };
        self.released().remove(&id.0);
        let Some(recorded) = self.latest(id) else {
            return self.park_damaged(&entry, head, frame);
        };
        let receipts = usize::try_from(from).unwrap_or(usize::MAX);
        let recorded = Recorded { receipts, ..recorded };
        self.begin(&entry, head, frame, Some(recorded), Verdict::First)
    }

    /// The entry of an accepted message; nothing when damage swallowed it.
    fn entry(&self, id: MessageId, place: Option<Position>) -> std::io::Result<Option<Entry>> {
        if let Some(place) = place
            && let Ok(entry) = self.journal.read(place)
            && entry.id == id
        {
            return Ok(Some(entry));
        }
        match self.journal.find(id) {
            Ok(found) => Ok(found),
            Err(ReadError::Disk(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    /// It leaves one chain, and what waited there behind it alone may run.
    async fn pass(&self, id: MessageId, key: &HoldKey) {
        loop {
            let passed = self.held().pass(id.0, key);
            match passed {
                Ok(passed) => return self.give_back(passed),
                Err(error) if self.unwritable(&error).await => {}
                Err(_) => return,
            }
        }
    }

    fn give_back(&self, freed: Vec<(u64, Place)>) {
        for (id, place) in freed {
            self.returning.fetch_add(1, Ordering::Relaxed);
            let place = Position::from_bytes(place);
            drop(self.commands.send(Command::Freed { id: MessageId(id), place }));
        }
    }

    /// Holds back what must not pass this message. While the index cannot be written, on a full disk,
    /// say, the caller keeps what it holds.
    pub(crate) async fn block(&self, id: MessageId, place: Position, holds: &[HoldKey]) {
        loop {
            let blocked = self.held().block(id.0, place.to_bytes(), holds);
            match blocked {
                Ok(()) => return,
                Err(error) if self.unwritable(&error).await => {}
                Err(_) => return,
            }
        }
    }

    /// The message is done: what waited behind it alone may run.
    pub(crate) async fn free(&self, id: MessageId) {
        loop {
            let freed = self.held().free(id.0);
            match freed {
                Ok(freed) => return self.give_back(freed),
                Err(error) if self.unwritable(&error).await => {}
                Err(_) => return,
            }
        }
    }

    /// What a parked message holds back from now on, and nothing else.
    pub(crate) async fn block_only(&self, id: MessageId, place: Position, holds: &[HoldKey]) {
        loop {
            let changed = self.held().block_only(id.0, place.to_bytes(), holds);
            match changed {
                Ok(freed) => return self.give_back(freed),
                Err(error) if self.unwritable(&error).await => {}
                Err(_) => return,
            }
        }
    }

    /// Waits a little; false when stopped.
    async fn unwritable(&self, error: &std::io::Error) -> bool {
        Event::HeldUnwritable { error }.emit();
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = tokio::time::sleep(UNWRITABLE) => true,
        }
    }
}
