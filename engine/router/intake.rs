//! What every session of the engine shares.

use std::sync::atomic::{AtomicU64, Ordering};

use hl7::acknowledgement::Stamp;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use journal::journal::Journal;
use tokio_util::sync::CancellationToken;

use crate::budget::Budget;

/// The near side of the journal.
#[derive(Debug)]
pub struct Intake {
    /// Where a message becomes durable.
    pub journal: Journal,
    /// Memory over all connections.
    pub budget: Budget,
    /// Cancelled when no more may be taken.
    pub stop: CancellationToken,
    /// MSH-7 and MSH-10 of our answers.
    pub stamps: Stamps,
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
