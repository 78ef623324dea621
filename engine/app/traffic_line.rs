//! One connection of a traffic run: reads and writes at the same time, so that neither side can
//! block the other, however wide the window is.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hl7::acknowledgement::{AckCode, ReadAck};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::connection::Connection;
use crate::misbehaviour::Misbehaviour;
use crate::mllp_client::{Answers, Expecting, SendError, connect};
use crate::outgoing::{Ending, Outgoing};
use crate::traffic_jobs::{Job, Next, Run};
use crate::traffic_plan::{Answered, Statistics};

/// Messages that expect no answer are not bounded by the window, so their bytes are.
const UNWRITTEN_AT_MOST: usize = 256 * 1024;

/// The pause before a receiver that has gone is tried again.
const BEFORE_RECONNECT: Duration = Duration::from_millis(100);

/// One connection's part of the work.
#[derive(Debug)]
pub(crate) struct Line {
    run: Arc<Run>,
    /// Sent and not yet answered, oldest first.
    in_flight: VecDeque<InFlight>,
    /// To be sent again, before anything new.
    again: VecDeque<Job>,
    expecting: Expecting,
    statistics: Statistics,
}

#[derive(Debug)]
struct InFlight {
    job: Job,
    since: Instant,
}

/// Writes some of the bytes; with none left, what TLS kept back.
async fn push(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() { writer.flush().await.map(|()| 0) } else { writer.write(bytes).await }
}

impl Line {
    pub(crate) fn new(run: Arc<Run>) -> Self {
        Self {
            run,
            in_flight: VecDeque::new(),
            again: VecDeque::new(),
            expecting: Expecting::default(),
            statistics: Statistics::default(),
        }
    }

    /// Sends until the run is done, over a new connection after each trouble.
    pub(crate) async fn run(mut self, mut stream: Box<dyn Connection>) -> Statistics {
        while let Err(error) = self.drive(&mut *stream).await {
            if matches!(error, SendError::OnPurpose(Ending::Reset)) {
                // A socket that cannot be reset is gone already.
                stream.socket().set_zero_linger().ok();
            }
            if !matches!(error, SendError::OnPurpose(_)) {
                self.statistics.trouble.get_or_insert_with(|| error.with_causes());
            }
            self.take_back();
            if self.again.is_empty() && self.run.is_done() {
                break;
            }
            let Ok(fresh) = self.reconnect(&error).await else {
                self.statistics.unanswered += self.again.len() as u64;
                self.statistics.lost = Some(error);
                break;
            };
            stream = fresh;
        }
        self.statistics
    }

    /// One connection's life, until nothing is left to do.
    async fn drive(&mut self, stream: &mut dyn Connection) -> Result<(), SendError> {
        let (mut reader, mut writer) = split(stream);
        let mut answers = Answers::default();
        let mut unwritten = Outgoing::default();
        // TLS may keep back what was written.
        let mut unflushed = false;
        loop {
            let due = self.fill(&mut unwritten);
            if !unflushed && let Some(ending) = unwritten.ending() {
                return Err(SendError::OnPurpose(ending));
            }
            if due.is_none() && self.in_flight.is_empty() && unwritten.is_empty() && !unflushed {
                // All is said; a receiver that has gone meanwhile need not hear it.
                timeout(self.run.plan.patience, writer.shutdown()).await.ok();
                return Ok(());
            }
            let patience = self.run.plan.patience;
            let overdue = self.in_flight.front().map(|oldest| oldest.since + patience);
            let wake = due.into_iter().chain(overdue).min();
            let wake = wake.unwrap_or_else(|| Instant::now() + patience);
            tokio::select! {
                read = reader.read_buf(answers.room()) => {
                    answers.received(read)?;
                    while let Some(answer) = answers.next()? {
                        self.credit(&answer)?;
                    }
                }
                pushed = push(&mut writer, unwritten.next()), if unflushed || !unwritten.is_empty() => {
                    let count = pushed.map_err(SendError::Lost)?;
                    unflushed = count > 0;
                    unwritten.written(count);
                }
                () = sleep_until(wake) => {
                    if overdue.is_some_and(|overdue| overdue <= Instant::now()) {
                        return Err(SendError::TimedOut(patience));
                    }
                }
            }
        }
    }

    /// Puts messages into the window while it has room; says when the next is due, when the rate
    /// holds it back.
    fn fill(&mut self, unwritten: &mut Outgoing) -> Option<Instant> {
        let mut together = false;
        while !unwritten.is_last()
            && (together || self.in_flight.len() < self.run.plan.window)
            && unwritten.len() < UNWRITTEN_AT_MOST
        {
            let job = match self.again.pop_front() {
                Some(job) => job,
                None => match self.run.next() {
                    Next::Send(job) => job,
                    Next::Later(due) => return Some(due),
                    Next::Done => return None,
                },
            };
            let manner = job.misbehaviour.filter(|_| job.resent == 0);
            together = manner == Some(Misbehaviour::TwoFrames);
            unwritten.add(&job.message, manner);
            self.put_on_the_wire(job);
        }
        None
    }

    fn put_on_the_wire(&mut self, job: Job) {
        if job.resent == 0 {
            self.statistics.sent += 1;
            if let Some(kind) = job.misbehaviour {
                *self.statistics.misbehaved.entry(kind.name()).or_default() += 1;
            }
        } else {
            self.statistics.resent += 1;
        }
        if job.expected.answered {
            self.in_flight.push_back(InFlight { job, since: Instant::now() });
        } else {
            self.statistics.unasked += 1;
            if let Some(control_id) = job.expected.control_id {
                self.expecting.expect_further(control_id);
            }
        }
    }

    /// Credits an answer to the message it names, and to no other.
    fn credit(&mut self, answer: &ReadAck) -> Result<(), SendError> {
        let named = |sent: &InFlight| {
            sent.job.expected.control_id.is_some() && sent.job.expected.is_answered_by(answer)
        };
        let nameless = |sent: &InFlight| sent.job.expected.control_id.is_none();
        let at = self.in_flight.iter().position(named);
        let at = match at {
            None if self.expecting.takes(answer) => {
                self.statistics.refused_later += u64::from(!answer.code.is_positive());
                return Ok(());
            }
            None => self.in_flight.iter().position(nameless),
            some => some,
        };
        let sent = at.and_then(|at| self.in_flight.remove(at)).ok_or(SendError::Foreign)?;

        self.statistics.latencies.record(sent.since.elapsed());
        *self.statistics.acknowledged.entry(answer.code.as_str()).or_default() += 1;
        (self.run.watcher)(Answered { control_id: &answer.control_id, code: answer.code });
        // Enhanced mode: the receiver holds it, and what it makes of it may follow.
        if answer.code == AckCode::CA {
            self.expecting.expect_further(answer.control_id.clone().into());
        }
        Ok(())
    }

    /// After trouble: what was in flight is sent again, or given up.
    fn take_back(&mut self) {
        for sent in self.in_flight.drain(..).rev() {
            if sent.job.resent < self.run.plan.retries {
                self.again.push_front(Job { resent: sent.job.resent + 1, ..sent.job });
            } else {
                self.statistics.unanswered += 1;
            }
        }
        self.expecting = Expecting::default();
    }

    async fn reconnect(&self, after: &SendError) -> Result<Box<dyn Connection>, SendError> {
        let plan = &self.run.plan;
        let give_up = Instant::now() + plan.patience;
        let mut rest = !matches!(after, SendError::OnPurpose(_));
        loop {
            if rest {
                sleep(BEFORE_RECONNECT).await;
            }
            rest = true;
            match connect(&plan.to, plan.tls.as_ref(), plan.patience).await {
                Ok(stream) => return Ok(stream),
                Err(error) if Instant::now() >= give_up => return Err(error),
                Err(_) => {}
            }
        }
    }
}
