//! The one handle through which console and command line see a running engine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::Position;
use journal::journal::Journal;
use serde::Serialize;
use tokio::sync::watch;

use crate::books::Books;
use crate::ledger::{Ledger, Sums};
use crate::listener::Listener;
use crate::plan::{ListenerPlan, Plan};
use crate::publish::BrokerHealth;
use crate::query::{self, Cursor, Filter, Row};
use crate::refused::RefusedFrame;

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Cheap to clone; outlives nothing.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

struct Inner {
    plan: Arc<Plan>,
    journal: Journal,
    books: Arc<Books>,
    listeners: Vec<ListenerFacts>,
    delivery: Ask<(usize, Option<i64>)>,
    health: Ask<BrokerHealth>,
    started: Timestamp,
    /// Damaged parts of the journal that recovery met.
    damage: usize,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct ListenerFacts {
    /// With the port that the system chose.
    pub address: SocketAddr,
    plan: Arc<ListenerPlan>,
    connections: Arc<AtomicUsize>,
}

impl ListenerFacts {
    /// Facts of a bound listener.
    pub fn new(plan: &Arc<ListenerPlan>, listener: &Listener) -> Self {
        let address = listener.address().unwrap_or(plan.address);
        Self { address, plan: plan.clone(), connections: listener.connections() }
    }
}

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
    /// Age of the oldest message that waits for delivery, in seconds.
    pub oldest_pending: Option<i64>,
    /// Where events leave.
    pub broker: BrokerHealth,
    /// The journal on disk.
    pub journal: JournalStatus,
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

impl Handle {
    pub(crate) fn new(
        plan: Arc<Plan>,
        journal: Journal,
        books: Arc<Books>,
        listeners: Vec<ListenerFacts>,
        delivery: Ask<(usize, Option<i64>)>,
        health: Ask<BrokerHealth>,
        damage: usize,
    ) -> Self {
        let started = Timestamp::now();
        Self {
            inner: Arc::new(Inner {
                plan,
                journal,
                books,
                listeners,
                delivery,
                health,
                started,
                damage,
            }),
        }
    }

    /// The books as of now. Blocks for as long as reading what is new takes.
    pub fn ledger(&self) -> Ledger {
        self.inner.books.ledger()
    }

    /// Bound address by channel name.
    pub fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let mut all = BTreeMap::new();
        for listener in &self.inner.listeners {
            for channel in &listener.plan.channels {
                all.insert(channel.name.clone(), listener.address);
            }
        }
        all
    }

    /// Changes whenever there may be more to list.
    pub fn changes(&self) -> watch::Receiver<Position> {
        self.inner.journal.durable()
    }

    /// Messages from the journal. Blocks.
    pub fn messages(&self, filter: &Filter) -> Vec<Row> {
        query::messages(&self.inner.journal, filter)
    }

    /// Events from the journal in publishing order. Blocks.
    pub fn events(&self, cursor: Cursor, limit: usize) -> (Vec<Bytes>, Cursor) {
        query::events(&self.inner.journal, cursor, limit)
    }

    /// Refused frames by listener name.
    pub fn refused(&self) -> Vec<(String, RefusedFrame)> {
        let rings = self.inner.listeners.iter();
        rings
            .flat_map(|l| l.plan.refused.frames().into_iter().map(|f| (l.plan.name.clone(), f)))
            .collect()
    }

    /// Whether events can leave now.
    pub fn broker_connected(&self) -> bool {
        (self.inner.health)().connected
    }

    /// Whether the journal has room for messages; changes as that does.
    pub fn intake_open(&self) -> watch::Receiver<bool> {
        self.inner.journal.intake_open()
    }

    /// Whether messages can be taken and stored now: `ok`, `degraded: ...`, or why not.
    pub fn ready(&self) -> Result<String, String> {
        if let Some(failure) = &*self.inner.journal.failed().borrow() {
            return Err(failure.to_string());
        }
        if !*self.inner.journal.intake_open().borrow() {
            return Err("disk is full: intake is closed".to_owned());
        }
        Ok(match self.inner.damage {
            0 => "ok".to_owned(),
            count => format!("degraded: {count} damaged parts of the journal"),
        })
    }

    /// One screen.
    pub fn status(&self) -> Status {
        let inner = &self.inner;
        let ledger = self.ledger();
        let volumes = inner.journal.volumes();
        let intake_open = *inner.journal.intake_open().borrow();
        let refused = inner.listeners.iter().map(|listener| listener.plan.refused.total()).sum();
        let now = Timestamp::now();
        let (in_flight, oldest) = (inner.delivery)();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION"),
            configversion: inner.plan.version.clone(),
            started: format!("{:.3}", inner.started),
            now: format!("{now:.3}"),
            channels: self.channel_statuses(&ledger, &inner.books.rates(now)),
            total: ledger.total(),
            refused,
            in_flight,
            oldest_pending: oldest.map(|then| (now.as_millisecond() - then).max(0) / 1000),
            broker: (inner.health)(),
            journal: JournalStatus {
                volumes: volumes.len(),
                bytes: volumes.iter().map(|volume| volume.size).sum(),
                intake_open,
                damage: inner.damage,
            },
            attention: Vec::new(),
        };
        status.attention = attention(&status);
        status
    }

    fn channel_statuses(
        &self,
        ledger: &Ledger,
        rates: &BTreeMap<String, u64>,
    ) -> Vec<ChannelStatus> {
        let mut reasons: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        for open in ledger.open.values() {
            if let Some(reason) = &open.reason {
                *reasons.entry(&open.channel).or_default().entry(reason.clone()).or_default() += 1;
            }
        }
        let listener_of = |name: &str| {
            let mut listeners = self.inner.listeners.iter();
            listeners.find(|l| l.plan.channels.iter().any(|channel| channel.name == name))
        };
        let names = self.inner.plan.channels.keys().chain(ledger.channels.keys());
        let names: std::collections::BTreeSet<&String> = names.collect();
        names
            .into_iter()
            .map(|name| {
                let listener = listener_of(name);
                ChannelStatus {
                    name: name.clone(),
                    listener: listener.map(|l| l.address),
                    last_minute: rates.get(name).copied().unwrap_or_default(),
                    connections: listener.map_or(0, |l| l.connections.load(Ordering::Relaxed)),
                    sums: ledger.channels.get(name).copied().unwrap_or_default(),
                    refused: listener.map_or(0, |l| l.plan.refused.total()),
                    reasons: reasons.remove(name.as_str()).unwrap_or_default(),
                }
            })
            .collect()
    }
}

fn attention(status: &Status) -> Vec<String> {
    let mut all = Vec::new();
    if status.total.parked > 0 {
        all.push(format!("{} parked: see tieline messages --state parked", status.total.parked));
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
    if !status.total.balance() {
        all.push("the ledger does not balance".to_owned());
    }
    all
}
