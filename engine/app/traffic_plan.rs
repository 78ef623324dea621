//! What a traffic run is to do, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hl7::acknowledgement::AckCode;

use crate::connection::Secure;
use crate::latency::Latencies;
use crate::misbehaviour::Manners;
use crate::mllp_client::SendError;

/// What to send, where, and how hard.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// `host:port`.
    pub(crate) to: String,
    pub(crate) tls: Option<Secure>,
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
    /// Which messages are sent badly, the first time.
    pub(crate) manners: Manners,
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
    /// Messages that were sent badly on purpose.
    pub(crate) misbehaved: BTreeMap<&'static str, u64>,
    /// Messages refused by a further answer, after a commit acknowledgement or unasked.
    pub(crate) refused_later: u64,
    pub(crate) latencies: Latencies,
    pub(crate) elapsed: Duration,
    /// What ended a connection for good before all was sent.
    pub(crate) lost: Option<SendError>,
    /// The first trouble of a connection, in words.
    pub(crate) trouble: Option<String>,
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

    pub(crate) fn add(&mut self, line: Self) {
        self.sent += line.sent;
        self.unanswered += line.unanswered;
        self.unasked += line.unasked;
        self.resent += line.resent;
        self.refused_later += line.refused_later;
        self.latencies.merge(&line.latencies);
        self.lost = self.lost.take().or(line.lost);
        self.trouble = self.trouble.take().or(line.trouble);
        for (code, count) in line.acknowledged {
            *self.acknowledged.entry(code).or_default() += count;
        }
        for (kind, count) in line.misbehaved {
            *self.misbehaved.entry(kind).or_default() += count;
        }
    }
}
