//! What operators decide about parked messages and channels. Every decision is durable before it
//! has an effect, and says who decided and why.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hl7::header::Header;
use identity::rules::Resolution;
use jiff::Timestamp;
use journal::entry::{Kind, MessageId};
use journal::journal::Journal;
use journal::queue::AppendError;
use thiserror::Error;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use crate::books::Books;
use crate::desk::{Command, Desk};
use crate::entry::{self, Accepted, Action, Decision, EditOf, State};
use crate::event::Event;
use crate::found::{self, Shown};
use crate::ledger::{Again, Open};
use crate::outbox::InHand;
use crate::scope;
use crate::touching::{read, touches_identity};
use crate::work::Released;

/// Longest reason that is kept, in bytes.
const REASON: usize = 1000;

/// Who decides, and why.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Name of the person, as their system knows them.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Which half of a channel is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Its listener takes no more messages.
    Intake,
    /// Its messages wait on disk.
    Delivery,
}

/// Why a decision has no effect.
#[derive(Debug, Error)]
pub enum OperatorError {
    /// Every decision says why.
    #[error("a reason is needed, in at most {REASON} bytes")]
    Reason,
    /// There is no such message, or it was dropped.
    #[error("there is no message {0}")]
    Unknown(u64),
    /// Only parked messages can be decided about.
    #[error("message {id} is {state}, not parked: nothing was changed")]
    NotParked {
        /// The message.
        id: u64,
        /// Its state.
        state: &'static str,
    },
    /// Somebody decides about it at this moment.
    #[error("somebody else decides about message {0} at this moment: look at it again")]
    Busy(u64),
    /// The edit is not HL7.
    #[error(
        "the edited message cannot be read: it must begin with MSH|^~\\&| and end its segments with a carriage return or a line feed"
    )]
    Unreadable,
    /// The edit changes nothing.
    #[error("the edited message is the same as message {0}: release it instead")]
    Unchanged(u64),
    /// Two people are needed.
    #[error("the edit of message {id} was made by {actor}: somebody else must approve it")]
    SamePerson {
        /// The message.
        id: u64,
        /// Who made it.
        actor: String,
    },
    /// No edit waits.
    #[error("no edit of message {0} waits for approval")]
    NothingProposed(u64),
    /// Another edit waits than the one that was looked at.
    #[error("another edit of message {id} waits now, {mark}: look at it with tieline show {id}")]
    AnotherProposed {
        /// The message.
        id: u64,
        /// The edit that waits.
        mark: String,
    },
    /// It takes a merge back, which its text does not say.
    #[error(
        "message {0} takes a merge back by a person's decision, whatever its text says: release it or discard it"
    )]
    NotByText(u64),
    /// Nothing about its patient is to be decided.
    #[error(
        "message {id} is parked for {reason}, which is no conflict about its patient: release it, edit it or discard it"
    )]
    NoConflict {
        /// The message.
        id: u64,
        /// Why it is parked.
        reason: String,
    },
    /// The broker refuses none of its events.
    #[error(
        "message {id} is parked for {reason}, not for an event that the broker refuses: release it, edit it or discard it"
    )]
    NothingRefused {
        /// The message.
        id: u64,
        /// Why it is parked.
        reason: String,
    },
    /// The subscriber refuses no event of the message.
    #[error("{1} refuses no event of message {0}: tieline status says what it refuses")]
    NotRefusedBy(u64, String),
    /// channels.yaml names no such channel.
    #[error("there is no channel {0}: see tieline status")]
    NoChannel(String),
    /// The decision could not be made durable.
    #[error("the decision could not be written to the journal: {0}")]
    NotStored(#[from] AppendError),
    /// The journal cannot be read.
    #[error("message {0} cannot be read from the journal")]
    NotRead(u64),
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It is a message of its own now, with this id.
    Accepted(u64),
    /// It touches PID, MRG or MSH: it waits, under this [`mark`], for a second person.
    NeedsApproval(String),
}

/// The name of an edit that waits, made of its bytes: who approves says by it what was looked at.
pub fn mark(edited: &[u8]) -> String {
    format!("{:08x}", xxh3_64(edited) >> 32)
}

/// Where operators' decisions are made.
#[derive(Debug)]
pub struct Operators {
    journal: Journal,
    books: Arc<Books>,
    desk: Desk,
    /// Messages that somebody decides about now.
    deciding: Mutex<BTreeSet<u64>>,
    pausing: tokio::sync::Mutex<()>,
}

/// One decision at a time about one message.
struct Deciding<'a> {
    all: &'a Mutex<BTreeSet<u64>>,
    id: u64,
}

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

impl Operators {
    /// Decides for the line that this desk belongs to.
    pub fn new(journal: Journal, books: Arc<Books>, desk: Desk) -> Self {
        Self {
            journal,
            books,
            desk,
            deciding: Mutex::default(),
            pausing: tokio::sync::Mutex::default(),
        }
    }

    /// Processes a parked message again. What waited behind it follows it, in order.
    pub async fn release(&self, id: u64, actor: &Actor) -> Result<(), OperatorError> {
        self.process_again(id, actor, None).await
    }

    /// Decides who is right about the patient of a message that is parked for that: what it states
    /// itself, or what the identity index holds; and processes it again by that.
    pub async fn resolve(
        &self,
        id: u64,
        resolution: Resolution,
        actor: &Actor,
    ) -> Result<(), OperatorError> {
        self.process_again(id, actor, Some(resolution)).await
    }

    async fn process_again(
        &self,
        id: u64,
        actor: &Actor,
        resolution: Option<Resolution>,
    ) -> Result<(), OperatorError> {
        let _deciding = self.deciding(id)?;
        let open = self.parked(id)?;
        let reason = open.reason.as_deref().unwrap_or_default();
        if resolution.is_some() && !scope::is_conflict(reason) {
            return Err(OperatorError::NoConflict { id, reason: reason.to_owned() });
        }
        let left = self.events_left(id, &open);
        let again = Again {
            revision: open.revision + u32::from(open.events > 0),
            // What it did not hold back may have gone before it.
            out_of_order: open.holds.is_empty(),
            resolution,
        };
        let Again { revision, out_of_order, .. } = again;
        let action = Action::Release { revision, out_of_order, resolution };
        self.decide(id, &open.channel, open.received, actor, action, &[]).await?;
        self.desk.tell(Command::Release {
            id: MessageId(id),
            released: Released { again, left, from: None },
        });
        Ok(())
    }

    /// Gives up the one event that the broker refuses: the message's others leave, and what waited
    /// behind it follows. Gives back which one it was, from 1, and how many there are.
    pub async fn skip(&self, id: u64, actor: &Actor) -> Result<(u32, u32), OperatorError> {
        let _deciding = self.deciding(id)?;
        let open = self.parked(id)?;
        let reason = open.reason.as_deref().unwrap_or_default();
        let refused = reason.starts_with("publish.") && reason != "publish.damaged";
        if !refused || open.receipts >= open.events {
            return Err(OperatorError::NothingRefused { id, reason: reason.to_owned() });
        }
        let (event, from) = (open.receipts, open.receipts + 1);
        let action = Action::Skip { event };
        self.decide(id, &open.channel, open.received, actor, action, &[]).await?;
        self.desk.tell(Command::Skip { id: MessageId(id), from });
        Ok((from, open.events))
    }

    /// Decides that a parked message is not delivered.
    pub async fn discard(&self, id: u64, actor: &Actor) -> Result<(), OperatorError> {
        let _deciding = self.deciding(id)?;
        let open = self.parked(id)?;
        self.decide(id, &open.channel, open.received, actor, Action::Discard, &[]).await?;
        self.desk.tell(Command::Gone { id: MessageId(id) });
        Ok(())
    }

    /// Puts an edited version in the place of a parked message; the original is kept. An edit that
    /// touches whom the message is about waits for [`Operators::approve`].
    pub async fn edit(
        &self,
        id: u64,
        edited: Bytes,
        actor: &Actor,
    ) -> Result<Edited, OperatorError> {
        let _deciding = self.deciding(id)?;
        let open = self.parked(id)?;
        let (head, frame) = self.accepted(id)?;
        if head.unmerge.is_some() {
            return Err(OperatorError::NotByText(id));
        }
        let frames = (read(&frame), read(&edited).ok_or(OperatorError::Unreadable)?);
        if frame == edited {
            return Err(OperatorError::Unchanged(id));
        }
        let touches = frames.0.is_none_or(|original| touches_identity(&original, &frames.1));
        if touches {
            let action = Action::Propose;
            self.decide(id, &open.channel, open.received, actor, action, &[&edited]).await?;
            return Ok(Edited::NeedsApproval(mark(&edited)));
        }
        let edit = self.edit_of(id, &open, actor, None);
        self.append(head, edit, &edited).await.map(Edited::Accepted)
    }

    /// Approves the edit that waits, as a second person who has looked at the one with this
    /// [`mark`]; gives back the id of the new message.
    pub async fn approve(
        &self,
        id: u64,
        looked_at: &str,
        actor: &Actor,
    ) -> Result<u64, OperatorError> {
        let _deciding = self.deciding(id)?;
        let open = self.parked(id)?;
        let Some(proposed) = &open.proposed else {
            return Err(OperatorError::NothingProposed(id));
        };
        if proposed.actor.to_lowercase() == actor.name.to_lowercase() {
            return Err(OperatorError::SamePerson { id, actor: actor.name.clone() });
        }
        reason(actor)?;
        let (head, _) = self.accepted(id)?;
        let edited = self.proposal(id, &proposed.at)?;
        let mark = mark(&edited);
        if mark != looked_at {
            return Err(OperatorError::AnotherProposed { id, mark });
        }
        let editor = Actor { name: proposed.actor.clone(), reason: proposed.reason.clone() };
        let edit = self.edit_of(id, &open, &editor, Some(actor));
        self.append(head, edit, &edited).await
    }

    /// Takes back the edit that waits.
    pub async fn withdraw(&self, id: u64, actor: &Actor) -> Result<(), OperatorError> {
        let _deciding = self.deciding(id)?;
        let open = self.parked(id)?;
        if open.proposed.is_none() {
            return Err(OperatorError::NothingProposed(id));
        }
        self.decide(id, &open.channel, open.received, actor, Action::Withdraw, &[]).await
    }

    /// Keeps in the audit that one subscriber does not get an event that it refuses.
    pub(crate) async fn skip_for(&self, of: &InHand, actor: &Actor) -> Result<(), OperatorError> {
        self.decide(of.message, &of.channel, 0, actor, Action::SkipFor, &[]).await
    }

    /// Keeps in the audit that somebody looks at a message, whatever it names.
    pub async fn look(&self, of: &Shown, actor: &Actor) -> Result<(), OperatorError> {
        let row = &of.story.row;
        self.decide(row.id, &row.channel, row.received_ms, actor, Action::Look, &[]).await
    }

    /// Stops one side of a channel, or lets it go on. Doing it twice is once.
    pub async fn pause(
        &self,
        channel: &str,
        side: Side,
        stop: bool,
        actor: &Actor,
    ) -> Result<(), OperatorError> {
        let action = match (side, stop) {
            (Side::Intake, true) => Action::PauseIntake,
            (Side::Intake, false) => Action::ResumeIntake,
            (Side::Delivery, true) => Action::PauseDelivery,
            (Side::Delivery, false) => Action::ResumeDelivery,
        };
        // In force in the order in which they are durable.
        let _pausing = self.pausing.lock().await;
        self.decide(0, channel, 0, actor, action, &[]).await?;
        let channel = channel.to_owned();
        match action {
            Action::PauseDelivery => self.desk.tell(Command::Pause { channel }),
            Action::ResumeDelivery => self.desk.tell(Command::Resume { channel }),
            _ => {}
        }
        Ok(())
    }

    /// The edit of a parked message that waits for approval.
    pub fn proposed(&self, id: u64) -> Result<Option<Bytes>, OperatorError> {
        let open = self.parked(id)?;
        open.proposed.map(|proposed| self.proposal(id, &proposed.at)).transpose()
    }

    fn deciding(&self, id: u64) -> Result<Deciding<'_>, OperatorError> {
        let mut all = self.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        if all.insert(id) {
            Ok(Deciding { all: &self.deciding, id })
        } else {
            Err(OperatorError::Busy(id))
        }
    }

    fn parked(&self, id: u64) -> Result<Open, OperatorError> {
        let (open, replaced, newest) = self.books.ask(|ledger| {
            let replaced = ledger.edits.values().any(|edit| edit.of == id);
            (ledger.open.get(&id).cloned(), replaced, ledger.newest)
        });
        match open {
            Some(_) if replaced => Err(OperatorError::Busy(id)),
            Some(open) if open.state == State::Parked => Ok(open),
            Some(open) => Err(OperatorError::NotParked { id, state: open.state.as_str() }),
            None if id == 0 || id > newest => Err(OperatorError::Unknown(id)),
            None if self.journal.is_settled(MessageId(id)) => {
                Err(OperatorError::NotParked { id, state: "settled" })
            }
            None => Err(OperatorError::NotParked { id, state: State::Pending.as_str() }),
        }
    }

    fn accepted(&self, id: u64) -> Result<(Accepted, Bytes), OperatorError> {
        let found = self.journal.find(MessageId(id)).ok().flatten();
        let entry = found.ok_or(OperatorError::NotRead(id))?;
        entry::decode(&entry.body).map_err(|_| OperatorError::NotRead(id))
    }

    fn proposal(&self, id: u64, at: &str) -> Result<Bytes, OperatorError> {
        let read = at.parse().ok().and_then(|at| self.journal.read(at).ok());
        let entry = read.or_else(|| {
            let about = self.journal.records_about(MessageId(id), None).ok()?;
            about.into_iter().rfind(|entry| {
                entry.kind == Kind::Operator
                    && entry::decode::<Decision>(&entry.body)
                        .is_ok_and(|(decision, _)| decision.action == Action::Propose)
            })
        });
        let entry = entry.ok_or(OperatorError::NotRead(id))?;
        let (_, bytes) =
            entry::decode::<Decision>(&entry.body).map_err(|_| OperatorError::NotRead(id))?;
        Ok(Bytes::copy_from_slice(&bytes))
    }

    /// The ids of the events of the parked outcome: they have left.
    fn events_left(&self, id: u64, open: &Open) -> Vec<Uuid> {
        if open.events == 0 {
            return Vec::new();
        }
        let outcome = found::outcome(&self.journal, MessageId(id), &open.outcome);
        let events = outcome.map(|(outcome, _)| outcome.events).unwrap_or_default();
        events.iter().filter_map(|event| event.id.parse().ok()).collect()
    }

    fn edit_of(&self, of: u64, open: &Open, actor: &Actor, second: Option<&Actor>) -> EditOf {
        let place = self.books.ask(|ledger| ledger.edits.get(&of).map(|edit| edit.place));
        let place = place.unwrap_or(of);
        let (actor, reason) = (actor.name.clone(), actor.reason.clone());
        let approved_by = second.map(|second| second.name.clone());
        let approval = second.map(|second| second.reason.clone());
        let out_of_order = open.holds.is_empty();
        EditOf { of, place, out_of_order, actor, reason, approved_by, approval }
    }

    /// The edit is a message like any other, durable before it takes the original's place.
    async fn append(
        &self,
        head: Accepted,
        edit: EditOf,
        edited: &Bytes,
    ) -> Result<u64, OperatorError> {
        if edit.reason.trim().is_empty() || edit.reason.len() > REASON {
            return Err(OperatorError::Reason);
        }
        let (of, actor) = (edit.of, edit.actor.clone());
        let received = Timestamp::now().as_millisecond();
        let (sequence, refused) = (None, false);
        let mut head =
            Accepted { received, edit: Some(edit), unmerge: None, sequence, refused, ..head };
        // MSH may have been edited too.
        if let Ok(header) = Header::from_frame(edited) {
            head.control_id = header.control_id_text();
            head.message_type = header.message_type();
            head.sender = header.sender();
        }
        let (id, _) = self.journal.append(entry::encode(&head, &[edited])).await?;
        Event::Decided { action: "edit", message: of, channel: &head.channel, actor: &actor }
            .emit();
        Ok(id.0)
    }

    async fn decide(
        &self,
        id: u64,
        channel: &str,
        received: i64,
        actor: &Actor,
        action: Action,
        payload: &[&[u8]],
    ) -> Result<(), OperatorError> {
        reason(actor)?;
        let decision = Decision {
            at: Timestamp::now().as_millisecond(),
            actor: actor.name.clone(),
            reason: actor.reason.clone(),
            channel: channel.to_owned(),
            received,
            action,
            learned: None,
        };
        let body = entry::encode(&decision, payload);
        let (settles, action) = (action == Action::Discard, action.as_str());
        self.journal.record(Kind::Operator, MessageId(id), body, settles).await?;
        Event::Decided { action, message: id, channel, actor: &actor.name }.emit();
        Ok(())
    }
}

/// A reason there must be.
pub(crate) fn reason(actor: &Actor) -> Result<(), OperatorError> {
    if actor.reason.trim().is_empty() || actor.reason.len() > REASON {
        return Err(OperatorError::Reason);
    }
    Ok(())
}
