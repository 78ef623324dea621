//! What every session of the engine shares.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use hl7::acknowledgement::Stamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::journal::Journal;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;
use crate::event::Event;
use crate::fates::Fates;
use crate::sequences::Sequences;

/// The near side of the journal.
#[derive(Debug)]
pub struct Intake {
    /// Where a message becomes durable.
    pub journal: Journal,
    /// Memory over all connections.
    pub budget: Budget,
    /// Cancelled when no more may be taken; a frame in hand may end.
    pub stop: CancellationToken,
    /// Cancelled when what is not finished will not be.
    pub cut: CancellationToken,
    /// MSH-7 and MSH-10 of our answers.
    pub stamps: Stamps,
    /// Who waits to hear what became of a message.
    pub fates: Fates,
    /// Where the sequence numbers of senders stand.
    pub sequences: Sequences,
    paused: watch::Sender<BTreeSet<String>>,
}

impl Intake {
    /// Intake into a journal, with so many bytes of memory over all connections.
    pub fn new(journal: Journal, buffers: usize) -> Self {
        Self {
            journal,
            budget: Budget::new(buffers),
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            stamps: Stamps::new(Timestamp::now()),
            fates: Fates::default(),
            sequences: Sequences::default(),
            paused: watch::Sender::default(),
        }
    }

    /// Takes no more messages for a channel until [`Intake::resume`]: its connections stay open and
    /// are not read, so TCP tells the senders. On a listener that it shares, a connection waits with
    /// the first frame for it. Harmless when it is paused already, or not there.
    pub fn pause(&self, channel: &str) {
        if self.paused.send_if_modified(|paused| paused.insert(channel.to_owned())) {
            Event::IntakePaused { channel }.emit();
        }
    }

    /// Goes on where [`Intake::pause`] stopped. Harmless when it is not paused.
    pub fn resume(&self, channel: &str) {
        if self.paused.send_if_modified(|paused| paused.remove(channel)) {
            Event::IntakeResumed { channel }.emit();
        }
    }

    /// The names of the channels that are paused, and news of them.
    pub fn paused(&self) -> watch::Receiver<BTreeSet<String>> {
        self.paused.subscribe()
    }
}

/// Gives every answer a time and a control id of its own.
#[derive(Debug)]
pub struct Stamps {
    /// Start of this process in milliseconds, so that ids differ from those of an earlier one.
    epoch: i64,
    next: AtomicU64,
}

impl Stamps {
    /// Stamps of a process that started `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { epoch: now.as_millisecond(), next: AtomicU64::new(1) }
    }

    /// The next one: an id of at most 20 characters (the length of MSH-10 in v2.4), and the local time.
    pub fn next(&self, now: Timestamp, zone: &TimeZone) -> Stamp {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let local = zone.to_datetime(now);
        Stamp {
            control_id: format!("{:X}-{number:X}", self.epoch),
            time: local.strftime("%Y%m%d%H%M%S").to_string(),
            application: None,
            facility: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_differ_and_fit_the_field() {
        let stamps = Stamps::new("2026-07-01T11:00:00Z".parse().unwrap());
        let zone = TimeZone::get("Europe/London").unwrap();
        let first = stamps.next("2026-07-01T11:00:00Z".parse().unwrap(), &zone);
        let second = stamps.next("2026-07-01T11:00:00Z".parse().unwrap(), &zone);
        assert_eq!(first.time, "20260701120000");
        assert_ne!(first.control_id, second.control_id);
        assert!(second.control_id.len() <= 20);
    }
}
