//! One screen: how the engine is, and why somebody should look.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use crate::outboxes::Standing;
use crate::publish::BrokerHealth;
use crate::sums::Sums;

/// The status page.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Of the binary.
    pub version: &'static str,
    /// Of the configuration.
    pub configversion: String,
    /// RFC 3339 in UTC.
    pub started: String,
    /// RFC 3339 in UTC.
    pub now: String,
    /// In the order of their names.
    pub channels: Vec<ChannelStatus>,
    /// The sums of all channels.
    pub total: Sums,
    /// Frames answered negatively since start.
    pub refused: u64,
    /// Messages in memory on their way.
    pub in_flight: usize,
    /// Messages that wait on disk behind a parked one.
    pub held: u64,
    /// Messages with an event that the broker does not take now.
    pub retrying: usize,
    /// Since when the oldest of them is tried, RFC 3339 in UTC.
    pub retrying_since: Option<String>,
    /// Age of the oldest message that waits for delivery, in seconds.
    pub oldest_pending: Option<i64>,
    /// Where events leave.
    pub broker: BrokerHealth,
    /// Those to whom the engine itself delivers.
    pub subscribers: Vec<SubscriberStatus>,
    /// The journal on disk.
    pub journal: JournalStatus,
    /// What can be found.
    pub archive: ArchiveStatus,
    /// Why somebody should look, in words; empty when all is well.
    pub attention: Vec<String>,
}

/// One channel on the status page.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelStatus {
    /// Its name.
    pub name: String,
    /// Its bound address.
    pub listener: Option<SocketAddr>,
    /// Messages of the last minute.
    pub last_minute: u64,
    /// Peers connected to its listener now.
    pub connections: usize,
    /// Its sums.
    #[serde(flatten)]
    pub sums: Sums,
    /// Frames its listener answered negatively since start.
    pub refused: u64,
    /// Parked messages by reason code.
    pub reasons: BTreeMap<String, u64>,
    /// Messages that wait on disk behind a parked one.
    pub held: u64,
    /// When its last message came, RFC 3339 in UTC.
    pub last: Option<String>,
    /// Age of its oldest message in memory, in seconds.
    pub oldest_pending: Option<i64>,
    /// How long its oldest parked message is parked, in seconds.
    pub oldest_parked: Option<i64>,
    /// What an operator stopped: `intake`, `delivery`.
    pub paused: Vec<&'static str>,
    /// Messages that broke a rule of its profile since that came into force; null without one.
    pub breaching: Option<u64>,
}

/// One subscriber to whom the engine delivers, on the status page.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriberStatus {
    /// Its name.
    pub name: String,
    /// `delivering`, `retrying` while it cannot take the event in hand, `paused` when it refused it.
    pub state: &'static str,
    /// Events delivered since it was new.
    pub delivered: u64,
    /// Events left out since start.
    pub omitted: u64,
    /// Since when the event in hand is tried in vain, RFC 3339 in UTC.
    pub failing_since: Option<String>,
    /// What it said, in words that hold no patient data.
    pub trouble: Option<String>,
    /// The message whose event that is.
    pub message: Option<u64>,
}

impl SubscriberStatus {
    pub(crate) fn of(standing: Standing) -> Self {
        Self {
            name: standing.subscriber,
            state: match standing.failing {
                Some(_) if standing.refused => "paused",
                Some(_) => "retrying",
                None => "delivering",
            },
            delivered: standing.delivered,
            omitted: standing.omitted,
            failing_since: standing.failing.map(|since| format!("{since:.3}")),
            trouble: standing.trouble,
            message: standing.message,
        }
    }
}

/// The journal on the status page.
#[derive(Clone, Debug, Serialize)]
pub struct JournalStatus {
    /// Files.
    pub volumes: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Whether new messages can be stored.
    pub intake_open: bool,
    /// Damaged parts that the last start met.
    pub damage: usize,
}

/// The archive on the status page.
#[derive(Clone, Debug, Serialize)]
pub struct ArchiveStatus {
    /// How far it is behind the journal, in seconds; 0 when it has caught up.
    pub lag: i64,
}

pub(crate) fn attention(status: &Status) -> Vec<String> {
    let mut all = Vec::new();
    if status.total.counts.parked > 0 {
        all.push(format!("{} parked: see tieline parked", status.total.counts.parked));
    }
    for channel in &status.channels {
        for side in &channel.paused {
            all.push(format!("{}: {side} is paused: tieline resume", channel.name));
        }
    }
    if !status.broker.connected {
        all.push("the broker is not connected: events wait on disk".to_owned());
    }
    if status.broker.unroutable > 0 {
        let count = status.broker.unroutable;
        all.push(format!("{count} unroutable: a subscriber's queue is not bound"));
    }
    if !status.journal.intake_open {
        all.push("disk is full: nothing is acknowledged".to_owned());
    }
    if status.journal.damage > 0 {
        all.push(format!("{} damaged parts of the journal: see the log", status.journal.damage));
    }
    if let Some(trouble) = &status.broker.trouble {
        all.push(format!("broker: {trouble}"));
    }
    for subscriber in status.subscribers.iter().filter(|one| one.failing_since.is_some()) {
        let trouble = subscriber.trouble.as_deref().unwrap_or("it does not answer");
        let SubscriberStatus { name, state, .. } = subscriber;
        let of = subscriber.message.map(|id| format!(" to message {id}")).unwrap_or_default();
        all.push(format!("delivery to {name} is {state}: {trouble}{of}; its events wait on disk"));
    }
    if !status.total.counts.balance() {
        all.push("the ledger does not balance".to_owned());
    }
    all
}
