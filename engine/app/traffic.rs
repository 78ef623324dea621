//! Many messages over many connections: a window of unacknowledged messages, a rate, fresh
//! control ids, resending, and what came of it all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use hl7::acknowledgement::AckCode;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::control_id::{ControlIds, Template};
use crate::latency::Latencies;
use crate::mllp_client::{Expected, SendError, connect};
use crate::traffic_line::Line;

/// What to send, where, and how hard.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// `host:port`.
    pub(crate) to: String,
    pub(crate) messages: Vec<Bytes>,
    /// With more than one the order of the messages is not kept.
    pub(crate) connections: usize,
    /// Unacknowledged messages in flight on each connection.
    pub(crate) window: usize,
    /// Messages per second over all connections; as fast as answers come when absent.
    pub(crate) rate: Option<f64>,
    pub(crate) length: Length,
    /// Whether repetitions keep their control id.
    pub(crate) verbatim: bool,
    /// How long to wait for a connection, an answer, or a receiver that has gone.
    pub(crate) patience: Duration,
    /// How often a message is sent again.
    pub(crate) retries: u32,
}

/// When enough has been sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// All messages so many times.
    Repeats(u64),
    /// All messages again and again for so long.
    Time(Duration),
}

/// One answer, as whoever watches hears of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) control_id: &'a [u8],
    pub(crate) code: AckCode,
}

/// Hears of each answer as it comes.
pub(crate) type Watcher = Arc<dyn Fn(Answered<'_>) + Send + Sync>;

/// What came of it: `sent` is the sum of all acknowledged, `unanswered` and `unasked`.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    /// Messages that were put on the wire, resending not counted.
    pub(crate) sent: u64,
    pub(crate) acknowledged: BTreeMap<&'static str, u64>,
    pub(crate) unanswered: u64,
    /// Messages whose header asked for no answer.
    pub(crate) unasked: u64,
    pub(crate) resent: u64,
    /// Messages refused by a further answer, after a commit acknowledgement or unasked.
    pub(crate) refused_later: u64,
    pub(crate) latencies: Latencies,
    pub(crate) elapsed: Duration,
    /// What ended a connection for good before all was sent.
    pub(crate) lost: Option<SendError>,
}

impl Statistics {
    pub(crate) fn acknowledged_in_all(&self) -> u64 {
        self.acknowledged.values().sum()
    }

    /// Whether each message was accepted by the receiver.
    pub(crate) fn all_well(&self) -> bool {
        let positive = |code: &str| matches!(code, "AA" | "CA");
        self.unanswered == 0
            && self.refused_later == 0
            && self.lost.is_none()
            && self.acknowledged.keys().all(|code| positive(code))
    }

    /// Acknowledged messages per second.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people; counts are far below 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        if seconds > 0.0 { self.acknowledged_in_all() as f64 / seconds } else { 0.0 }
    }

    fn add(&mut self, line: Self) {
        self.sent += line.sent;
        self.unanswered += line.unanswered;
        self.unasked += line.unasked;
        self.resent += line.resent;
        self.refused_later += line.refused_later;
        self.latencies.merge(&line.latencies);
        self.lost = self.lost.take().or(line.lost);
        for (code, count) in line.acknowledged {
            *self.acknowledged.entry(code).or_default() += count;
        }
    }
}

/// Carries out the plan.
///
/// # Errors
/// When a first connection cannot be made, or there is nothing to send. What goes wrong later is
/// part of the statistics.
pub(crate) async fn run(plan: Plan, watcher: Watcher) -> Result<Statistics> {
    if plan.messages.is_empty() {
        bail!("there is no message to send");
    }
    let mut streams = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        streams.push(connect(&plan.to, plan.patience).await?);
    }

    let run = Arc::new(Run::new(plan, watcher));
    let mut lines = JoinSet::new();
    for stream in streams {
        lines.spawn(Line::new(Arc::clone(&run)).run(stream));
    }
    let mut statistics = Statistics::default();
    while let Some(line) = lines.join_next().await {
        statistics.add(line?);
    }
    statistics.elapsed = run.started.elapsed();
    Ok(statistics)
}

/// What all connections share: which message is next, and when it is due.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) watcher: Watcher,
    templates: Vec<(Template, Expected)>,
    control_ids: ControlIds,
    next: AtomicU64,
    started: Instant,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("messages", &self.templates.len()).finish_non_exhaustive()
    }
}

/// A message to send, and what it may expect.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) message: Bytes,
    pub(crate) expected: Expected,
    /// How often it was sent again.
    pub(crate) resent: u32,
}

/// What a connection may do now.
#[derive(Debug)]
pub(crate) enum Next {
    Send(Job),
    /// The rate allows the next message only then.
    Later(Instant),
    Done,
}

impl Run {
    fn new(plan: Plan, watcher: Watcher) -> Self {
        let with_expected =
            |message: &Bytes| (Template::new(message.clone()), Expected::by(message));
        Self {
            templates: plan.messages.iter().map(with_expected).collect(),
            plan,
            watcher,
            control_ids: ControlIds::of_this_run(),
            next: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// Takes the next message, which no other connection then gets.
    pub(crate) fn next(&self) -> Next {
        let mut number = self.next.load(Ordering::Relaxed);
        loop {
            if self.is_past_the_end(number) {
                return Next::Done;
            }
            if let Some(due) = self.due(number).filter(|due| *due > Instant::now()) {
                return Next::Later(due);
            }
            match self.next.compare_exchange_weak(
                number,
                number + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Next::Send(self.job(number)),
                Err(taken) => number = taken,
            }
        }
    }

    /// Whether no new message is left.
    pub(crate) fn is_done(&self) -> bool {
        self.is_past_the_end(self.next.load(Ordering::Relaxed))
    }

    fn is_past_the_end(&self, number: u64) -> bool {
        match self.plan.length {
            Length::Repeats(repeats) => number / (self.templates.len() as u64) >= repeats,
            Length::Time(length) => self.started.elapsed() >= length,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "2^52 messages take longer than anyone waits")]
    fn due(&self, number: u64) -> Option<Instant> {
        let seconds = number as f64 / self.plan.rate?;
        Some(self.started + Duration::try_from_secs_f64(seconds).ok()?)
    }

    fn job(&self, number: u64) -> Job {
        let count = self.templates.len() as u64;
        let at = usize::try_from(number % count).expect("below the number of templates");
        let (template, expected) = &self.templates[at];
        if number < count || self.plan.verbatim || expected.control_id.is_none() {
            return Job { message: template.verbatim(), expected: expected.clone(), resent: 0 };
        }
        let control_id = self.control_ids.numbered(number);
        Job {
            message: template.with_control_id(&control_id),
            expected: Expected { control_id: Some(control_id.into()), ..expected.clone() },
            resent: 0,
        }
    }
}
