//! Which message of a traffic run is next, and when it is due.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::bad_content;
use crate::control_id::{ControlIds, Template};
use crate::misbehaviour::Misbehaviour;
use crate::mllp_client::Expected;
use crate::traffic_plan::{Length, Plan, Watcher};

/// What all connections share: which message is next, and when it is due.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) watcher: Watcher,
    templates: Vec<(Template, Expected)>,
    control_ids: ControlIds,
    next: AtomicU64,
    pub(crate) started: Instant,
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
    /// What is wrong with its first sending.
    pub(crate) misbehaviour: Option<Misbehaviour>,
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
    pub(crate) fn new(plan: Plan, watcher: Watcher) -> Self {
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
        let (message, expected) = self.well_made(number);
        let misbehaviour = self.plan.manners.of(number);
        let message = match misbehaviour {
            Some(Misbehaviour::ClockSkew) => {
                bad_content::skewed(&message, &mut self.plan.manners.random(number))
            }
            Some(Misbehaviour::WrongCharset) => bad_content::in_wrong_charset(&message),
            Some(Misbehaviour::DuplicateControlId) => {
                let (_, before) = self.well_made(number.saturating_sub(1));
                let control_id = before.control_id.unwrap_or_default();
                bad_content::under_control_id(&message, &String::from_utf8_lossy(&control_id))
            }
            _ => return Job { message, expected, resent: 0, misbehaviour },
        };
        let expected = Expected::by(&message);
        Job { message, expected, resent: 0, misbehaviour }
    }

    /// The n-th message, as it should be sent.
    fn well_made(&self, number: u64) -> (Bytes, Expected) {
        let count = self.templates.len() as u64;
        let at = usize::try_from(number % count).expect("below the number of templates");
        let (template, expected) = &self.templates[at];
        if number < count || self.plan.verbatim || expected.control_id.is_none() {
            return (template.verbatim(), expected.clone());
        }
        let control_id = self.control_ids.numbered(number);
        let message = template.with_control_id(&control_id);
        (message, Expected { control_id: Some(control_id.into()), ..expected.clone() })
    }
}
