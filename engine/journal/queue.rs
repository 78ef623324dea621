//! Where appends wait for the writer, and how their senders wait for the disk.
//!
//! Appends gather in groups. The writer takes the oldest group whole and makes one batch, one
//! write and one fdatasync of it; its senders then learn from one shared outcome.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    entries::Draft,
    entry::{MessageId, Position},
};

/// Why an entry was not appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// There is no room: nothing was written, and the same entry may be tried again when
    /// [`crate::journal::Journal::intake_open`] says so. Records meet this only when the reserve
    /// is used up as well.
    #[error("the journal has no room")]
    Full,
    /// The entry is larger than the journal takes; nothing was written.
    #[error("the entry is larger than the journal takes")]
    TooLarge,
    /// A record names a message id that was never given out; nothing was written.
    #[error("the record names a message that was never accepted")]
    UnknownMessage,
    /// The disk failed. Whether the entry survives is not known and must not be answered; the
    /// process must stop and recover.
    #[error("the journal failed, its process must stop")]
    Failed,
    /// The journal was closed before; nothing was written.
    #[error("the journal is closed")]
    Closed,
}

/// What an append answers.
pub(crate) type Appended = Result<(MessageId, Position), AppendError>;

/// An entry on its way to the disk: resolves when it is durable, as a future or by
/// [`Ticket::wait`]. Dropping a ticket does not take the entry back.
#[derive(Debug)]
#[must_use = "nothing is known to be durable before the ticket says so"]
pub struct Ticket(Wait);

#[derive(Debug)]
enum Wait {
    Known(Appended),
    Shared { outcome: Arc<Outcome>, place: usize },
}

impl Ticket {
    /// A ticket that is answered already.
    pub(crate) fn refused(error: AppendError) -> Ticket {
        Ticket(Wait::Known(Err(error)))
    }

    /// Blocks until the entry is durable or refused.
    ///
    /// # Errors
    /// See [`AppendError`].
    pub fn wait(self) -> Result<(MessageId, Position), AppendError> {
        match self.0 {
            Wait::Known(answer) => answer,
            Wait::Shared { outcome, place } => outcome.wait(place),
        }
    }
}

impl Future for Ticket {
    type Output = Result<(MessageId, Position), AppendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.0 {
            Wait::Known(answer) => Poll::Ready(*answer),
            Wait::Shared { outcome, place } => outcome.poll(*place, context.waker()),
        }
    }
}

/// The outcome of one group, shared by its tickets.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    state: Mutex<Answers>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct Answers {
    known: Option<Vec<Appended>>,
    /// By place in the group; room grows only as far as tickets are really polled.
    wakers: Vec<Option<Waker>>,
    blocked: usize,
}

impl Answers {
    fn of(&self, place: usize) -> Option<Appended> {
        // A group that is answered short was dropped by a dying writer.
        self.known.as_ref().map(|all| all.get(place).copied().unwrap_or(Err(AppendError::Failed)))
    }
}

impl Outcome {
    /// Answers every ticket of the group, the first for good.
    fn complete(&self, answers: Vec<Appended>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.known.is_some() {
            return;
        }
        state.known = Some(answers);
        let wakers = mem::take(&mut state.wakers);
        let blocked = state.blocked;
        drop(state);
        if blocked > 0 {
            self.done.notify_all();
        }
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    fn wait(&self, place: usize) -> Appended {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.blocked += 1;
        loop {
            if let Some(answer) = state.of(place) {
                return answer;
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn poll(&self, place: usize, waker: &Waker) -> Poll<Appended> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = state.of(place) {
            return Poll::Ready(answer);
        }
        if state.wakers.len() <= place {
            state.wakers.resize(place + 1, None);
        }
        if let Some(slot) = state.wakers.get_mut(place) {
            match slot {
                Some(known) => known.clone_from(waker),
                None => *slot = Some(waker.clone()),
            }
        }
        Poll::Pending
    }
}

/// One entry that waits.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) whose: Whose,
    pub(crate) draft: Draft,
}

/// Whose entry it is, and so what it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// A new message: gets the next id, may not use the reserve.
    New,
    /// A record about this message (or none).
    Record(MessageId),
    /// A copy of an entry of this message, written only while it is unsettled.
    Carried(MessageId),
}

/// Entries that are written together.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) jobs: Vec<Job>,
    bytes: usize,
    outcome: Arc<Outcome>,
}

impl Group {
    /// Gives every ticket its answer, in the order of the jobs.
    pub(crate) fn complete(self, answers: Vec<Appended>) {
        self.outcome.complete(answers);
    }
}

impl Drop for Group {
    /// A writer that dies with a group in hand leaves nobody waiting for ever.
    fn drop(&mut self) {
        self.outcome.complete(Vec::new());
    }
}

/// The line of groups before the writer.
#[derive(Debug)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    ready: Condvar,
    group_bytes: usize,
    group_entries: usize,
}

#[derive(Debug, Default)]
struct Line {
    groups: VecDeque<Group>,
    closed: Option<AppendError>,
    /// The writer sleeps, so whoever comes first must wake it.
    idle: bool,
}

impl Queue {
    /// A queue whose groups hold at most this much, or one entry.
    pub(crate) fn new(group_bytes: usize, group_entries: usize) -> Queue {
        Queue { line: Mutex::default(), ready: Condvar::new(), group_bytes, group_entries }
    }

    /// Puts an entry at the end of the line.
    pub(crate) fn push(&self, job: Job) -> Ticket {
        let size = job.draft.size();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = line.closed {
            return Ticket::refused(error);
        }
        let fits = |group: &&mut Group| {
            group.jobs.len() < self.group_entries && group.bytes + size <= self.group_bytes
        };
        let (outcome, place) = if let Some(group) = line.groups.back_mut().filter(fits) {
            group.bytes += size;
            group.jobs.push(job);
            (Arc::clone(&group.outcome), group.jobs.len() - 1)
        } else {
            let group = Group { jobs: vec![job], bytes: size, outcome: Arc::default() };
            let outcome = Arc::clone(&group.outcome);
            line.groups.push_back(group);
            (outcome, 0)
        };
        let wake = mem::take(&mut line.idle);
        drop(line);
        if wake {
            self.ready.notify_one();
        }
        Ticket(Wait::Shared { outcome, place })
    }

    /// Puts entries at the end of the line as a group of their own, written whole or not at all.
    pub(crate) fn push_together(&self, jobs: Vec<Job>) -> Vec<Ticket> {
        let places = 0..jobs.len();
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = line.closed {
            return places.map(|_| Ticket::refused(error)).collect();
        }
        // Full as far as others are concerned.
        let group = Group { jobs, bytes: self.group_bytes, outcome: Arc::default() };
        let outcome = Arc::clone(&group.outcome);
        line.groups.push_back(group);
        line.idle = false;
        drop(line);
        self.ready.notify_one();
        places.map(|place| Ticket(Wait::Shared { outcome: Arc::clone(&outcome), place })).collect()
    }

    /// The oldest group, when there is one; none when the queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Group> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(group) = line.groups.pop_front() {
                return Some(group);
            }
            if line.closed.is_some() {
                return None;
            }
            line.idle = true;
            line = self.ready.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Takes no more entries. What waits is still written after [`AppendError::Closed`], and is
    /// answered at once after [`AppendError::Failed`].
    pub(crate) fn close(&self, why: AppendError) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if line.closed != Some(AppendError::Failed) {
            line.closed = Some(why);
        }
        let dropped =
            if why == AppendError::Failed { mem::take(&mut line.groups) } else { VecDeque::new() };
        line.idle = false;
        drop(line);
        self.ready.notify_one();
        drop(dropped);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::entry::Kind;

    fn job(length: usize) -> Job {
        let body = Bytes::from(vec![1; length]);
        let draft = Draft { kind: Kind::Accepted, settles: false, origin: None, body };
        Job { whose: Whose::New, draft }
    }

    #[test]
    fn what_waits_together_is_taken_together_within_bounds() {
        let queue = Queue::new(300, 3);
        let _tickets: Vec<Ticket> =
            [10, 10, 10, 10, 200, 200, 900].map(|length| queue.push(job(length))).into();
        let sizes: Vec<usize> = (0..4)
            .map(|_| {
                let group = queue.take().unwrap();
                group.jobs.len()
            })
            .collect();
        assert_eq!(sizes, [3, 2, 1, 1]);
    }

    #[test]
    fn tickets_learn_their_own_answer() {
        let queue = Queue::new(1000, 10);
        let (first, second) = (queue.push(job(1)), queue.push(job(1)));
        let answer = (MessageId(4), Position::START);
        queue.take().unwrap().complete(vec![Err(AppendError::Full), Ok(answer)]);
        assert_eq!(first.wait(), Err(AppendError::Full));
        assert_eq!(second.wait(), Ok(answer));
    }

    #[test]
    fn nobody_waits_for_a_dead_writer() {
        let queue = Queue::new(1000, 10);
        let in_hand = queue.push(job(1));
        drop(queue.take());
        let waiting = queue.push(job(1));
        queue.close(AppendError::Failed);
        assert_eq!(in_hand.wait(), Err(AppendError::Failed));
        assert_eq!(waiting.wait(), Err(AppendError::Failed));
        assert_eq!(queue.push(job(1)).wait(), Err(AppendError::Failed));
        assert!(queue.take().is_none());
    }

    #[test]
    fn a_closed_queue_still_gives_what_waits() {
        let queue = Queue::new(1000, 10);
        let _ticket = queue.push(job(1));
        queue.close(AppendError::Closed);
        assert_eq!(queue.push(job(1)).wait(), Err(AppendError::Closed));
        assert!(queue.take().is_some());
        assert!(queue.take().is_none());
    }
}
