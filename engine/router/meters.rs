//! The counters and histograms of the hot path, registered once so that a message costs no look-up.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// What one channel counts per message.
#[derive(Clone)]
pub struct Meters {
    /// Messages handed to the journal.
    pub received: Counter,
    /// Positive answers sent.
    pub acknowledged: Counter,
    /// From the end of a frame to its answer, in seconds.
    pub acknowledge_seconds: Histogram,
    /// From receipt to settlement, in seconds.
    pub delivery_seconds: Histogram,
    /// Unix time of the last message, in seconds.
    pub last_received: Gauge,
    /// Settled as published.
    pub published: Counter,
    /// Settled as filtered.
    pub filtered: Counter,
}

impl Meters {
    /// Registers the meters of one channel.
    pub fn new(channel: &str) -> Self {
        let name = channel.to_owned();
        let settled = |state: &'static str| counter!("tieline_messages_settled_total", "channel" => name.clone(), "state" => state, "reason" => "");
        Self {
            received: counter!("tieline_messages_received_total", "channel" => name.clone()),
            acknowledged: counter!("tieline_acknowledgements_total", "channel" => name.clone()),
            acknowledge_seconds: histogram!("tieline_acknowledge_duration_seconds", "channel" => name.clone()),
            delivery_seconds: histogram!("tieline_delivery_duration_seconds", "channel" => name.clone()),
            last_received: gauge!("tieline_last_received_timestamp_seconds", "channel" => name.clone()),
            published: settled("published"),
            filtered: settled("filtered"),
        }
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meters")
    }
}
