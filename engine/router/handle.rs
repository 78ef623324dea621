//! The one handle through which console and command line see a running engine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use archive::error::ArchiveError;
use archive::page::Page;
use archive::query::Query;
use archive::row::{AuditRow, Facts};
use bytes::Bytes;
use jiff::Timestamp;
use journal::entry::{MessageId, Position};
use journal::journal::Journal;
use record::source::Source;
use tokio::sync::watch;

use crate::alert_plan::OnAlertPlan;
use crate::books::Books;
use crate::chronicle::Chronicle;
use crate::conformance::{Conformance, Kept};
use crate::delivery::Moving;
use crate::feed::{self, Cursor};
use crate::found::{self, ParkedRow, Row, Shown};
use crate::ledger::Ledger;
use crate::listeners::Listeners;
use crate::operators::{Actor, OperatorError, Operators, Side, reason};
use crate::outboxes::{Outboxes, Standing};
use crate::plan::{Current, Plan};
use crate::port::Port;
use crate::publish::BrokerHealth;
use crate::reconcile::{self, ReconcileError, Reconciled};
use crate::refused::RefusedFrame;
use crate::sealed;
use crate::status::{self, ArchiveStatus, ChannelStatus, JournalStatus, Status, SubscriberStatus};
use crate::teaching::Teaching;

/// How long an answer waits for the archive to have what was durable when it was asked.
const ARCHIVE: Duration = Duration::from_secs(2);

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;

/// Cheap to clone; outlives nothing.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

/// What an engine is made of, as far as others may look.
pub(crate) struct Inner {
    pub(crate) plan: Arc<Current>,
    pub(crate) journal: Journal,
    pub(crate) books: Arc<Books>,
    pub(crate) chronicle: Arc<Chronicle>,
    pub(crate) operators: Operators,
    pub(crate) outboxes: Arc<Outboxes>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) moving: Ask<Moving>,
    /// How many wait behind a parked message.
    pub(crate) behind: Box<dyn Fn(u64) -> u64 + Send + Sync>,
    /// What a pending message waits for.
    pub(crate) waits_for: Box<dyn Fn(u64) -> &'static str + Send + Sync>,
    pub(crate) health: Ask<BrokerHealth>,
    pub(crate) teaching: Teaching,
    pub(crate) started: Timestamp,
    /// Damaged parts of the journal that recovery met.
    pub(crate) damage: usize,
}

/// What is looked at for alarms.
pub(crate) struct Watched {
    pub(crate) plan: Arc<Plan>,
    pub(crate) ledger: Ledger,
    pub(crate) moving: Moving,
    pub(crate) broker_connected: bool,
    pub(crate) unroutable: u64,
    pub(crate) intake_open: bool,
    pub(crate) damage: u64,
    pub(crate) archive_lag: Option<i64>,
    pub(crate) deliveries: Vec<Standing>,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Handle")
    }
}

impl Handle {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// Asks the books as of now. Blocks for as long as reading what is new takes.
    pub fn ask<T>(&self, question: impl FnOnce(&Ledger) -> T) -> T {
        self.inner.books.ask(question)
    }

    /// Bound address by channel name.
    pub fn addresses(&self) -> BTreeMap<String, SocketAddr> {
        let mut all = BTreeMap::new();
        for port in self.inner.listeners.ports() {
            for channel in &port.plan().channels {
                all.insert(channel.name.clone(), port.address);
            }
        }
        all
    }

    /// Changes whenever there may be more to list.
    pub fn changes(&self) -> watch::Receiver<Position> {
        self.inner.journal.durable()
    }

    /// Messages that a question finds, without what must not be seen together. Blocks.
    pub fn messages(&self, query: &Query, page: &Page) -> Result<Vec<Row>, ArchiveError> {
        self.inner.chronicle.catch_up(ARCHIVE);
        let mut rows = found::rows(&self.inner.chronicle, query, page, &*self.inner.waits_for)?;
        let index = self.inner.teaching.index();
        for row in &mut rows {
            sealed::seal_row(row, index);
        }
        Ok(rows)
    }

    /// What is known of one message, without what must not be seen together. Blocks.
    pub fn show(&self, id: u64) -> Result<Option<Shown>, ArchiveError> {
        let mut shown = self.open(id)?;
        if let Some(shown) = &mut shown {
            let source = self.source(&shown.row.channel);
            sealed::seal(shown, source.as_deref(), self.inner.teaching.index());
        }
        Ok(shown)
    }

    /// Everything that is known of one message, for somebody whose looking is in the audit:
    /// [`Operators::look`]. Blocks.
    pub fn open(&self, id: u64) -> Result<Option<Shown>, ArchiveError> {
        let inner = &self.inner;
        inner.chronicle.catch_up(ARCHIVE);
        let Some(story) = inner.chronicle.ask(|archive| archive.message(id))? else {
            return Ok(None);
        };
        let open = inner.books.ask(|ledger| ledger.open.get(&id).cloned());
        let message = MessageId(id);
        let proposed = open.as_ref().and_then(|open| open.proposed.as_ref());
        let proposed = proposed.and_then(|_| inner.operators.proposed(id).ok().flatten());
        Ok(Some(Shown {
            row: found::row(story.row.clone(), &*inner.waits_for),
            frame: found::frame(&inner.journal, message, story.place),
            events: found::events(&inner.journal, message, open.as_ref(), story.outcome_place),
            proposed,
            story,
        }))
    }

    /// The parked messages, oldest first, and how many there are by reason. Blocks.
    pub fn parked(&self, limit: usize) -> (Vec<ParkedRow>, BTreeMap<String, u64>) {
        let inner = &self.inner;
        let parked: Vec<_> = inner
            .books
            .ask(|ledger| ledger.parked().map(|(id, open)| (id, open.clone())).collect());
        found::parked(&inner.journal, &parked, limit, &*inner.behind)
    }

    /// What operators decided, newest first. Blocks.
    pub fn audit(&self, since_ms: i64, limit: usize) -> Result<Vec<AuditRow>, ArchiveError> {
        self.inner.chronicle.catch_up(ARCHIVE);
        self.inner.chronicle.ask(|archive| archive.audit(since_ms, limit))
    }

    /// How much can be found. Blocks.
    pub fn archive_facts(&self) -> Result<Facts, ArchiveError> {
        self.inner.chronicle.ask(archive::archive::Archive::facts)
    }

    /// How far what can be found is behind, in milliseconds; nothing when it is complete.
    pub fn archive_lag(&self) -> Option<i64> {
        self.inner.chronicle.lag(Timestamp::now().as_millisecond())
    }

    /// Has the archive made anew from the journal; [`Handle::archive_lag`] says how far it is.
    pub fn rebuild_archive(&self) {
        self.inner.chronicle.rebuild();
    }

    /// Folds the volumes and compares. Blocks for as long as reading the journal takes.
    pub fn reconcile(&self, since_ms: Option<i64>) -> Result<Reconciled, ReconcileError> {
        let inner = &self.inner;
        let mut found =
            reconcile::reconcile(&inner.journal, &inner.books, &inner.chronicle, since_ms)?;
        for port in inner.listeners.ports() {
            found.refused += port.refused.total();
            let name = &port.plan().name;
            if let Some(channel) = found.channels.iter_mut().find(|c| c.name == *name) {
                channel.refused = port.refused.total();
            }
        }
        Ok(found)
    }

    /// Where operators decide about parked messages.
    pub fn operators(&self) -> &Operators {
        &self.inner.operators
    }

    /// Leaves out for one subscriber the event of a message that it refuses for good. Gives back the
    /// event's id.
    pub async fn skip_for(
        &self,
        id: u64,
        subscriber: &str,
        actor: &Actor,
    ) -> Result<String, OperatorError> {
        let outboxes = &self.inner.outboxes;
        let event = outboxes.refused(subscriber).filter(|event| event.message == id);
        let subscriber = subscriber.to_owned();
        let Some(event) = event else { return Err(OperatorError::NotRefusedBy(id, subscriber)) };
        reason(actor)?;
        let reason = format!("for {subscriber}: {}", actor.reason);
        self.inner.operators.skip_for(&event, &Actor { reason, ..actor.clone() }).await?;
        outboxes.give_up(&subscriber, &event);
        Ok(event.id)
    }

    /// Where the identity index is asked and taught.
    pub fn teaching(&self) -> &Teaching {
        &self.inner.teaching
    }

    /// How a channel's messages are read; absent when channels.yaml no longer names it.
    pub fn source(&self, channel: &str) -> Option<Arc<Source>> {
        self.inner.plan.get().channels.get(channel).map(|channel| channel.source.clone())
    }

    /// How the messages of each channel that has a profile kept to it.
    pub fn conformance(&self) -> Vec<Kept> {
        let plan = self.inner.plan.get();
        let channels = plan.channels.values();
        let kept = channels.filter_map(|channel| {
            let conformance = channel.profile.as_ref()?;
            Some(conformance.kept(&channel.name, &channel.source.segments))
        });
        kept.collect()
    }

    /// Stops one side of a channel, or lets it go on.
    pub async fn pause(
        &self,
        channel: &str,
        side: Side,
        stop: bool,
        actor: &Actor,
    ) -> Result<(), OperatorError> {
        if !self.inner.plan.get().channels.contains_key(channel) {
            return Err(OperatorError::NoChannel(channel.to_owned()));
        }
        self.inner.operators.pause(channel, side, stop, actor).await?;
        if side == Side::Intake {
            let intake = self.inner.listeners.intake();
            if stop {
                intake.pause(channel);
            } else {
                intake.resume(channel);
            }
        }
        Ok(())
    }

    /// Events from the journal in publishing order. Blocks.
    pub fn events(&self, cursor: Cursor, limit: usize) -> (Vec<Bytes>, Cursor) {
        feed::events(&self.inner.journal, cursor, limit)
    }

    /// Refused frames by listener name.
    pub fn refused(&self) -> Vec<(String, RefusedFrame)> {
        let mut all = Vec::new();
        for port in self.inner.listeners.ports() {
            let name = &port.plan().name;
            all.extend(port.refused.frames().into_iter().map(|frame| (name.clone(), frame)));
        }
        all
    }

    /// What is looked at for alarms. Blocks.
    pub(crate) fn watched(&self) -> Watched {
        let inner = &self.inner;
        let health = (inner.health)();
        Watched {
            plan: inner.plan.get(),
            ledger: self.ask(Clone::clone),
            moving: (inner.moving)(),
            broker_connected: health.connected,
            unroutable: health.unroutable,
            intake_open: *inner.journal.intake_open().borrow(),
            damage: inner.damage as u64,
            archive_lag: inner.chronicle.lag(Timestamp::now().as_millisecond()),
            deliveries: inner.outboxes.standing(),
        }
    }

    /// Who is told of alarms.
    pub(crate) fn on_alert(&self) -> Option<OnAlertPlan> {
        self.inner.plan.get().alerts.on_alert.clone()
    }

    /// How many wait behind a parked message.
    pub fn behind(&self, id: u64) -> u64 {
        (self.inner.behind)(id)
    }

    /// Whether anything is pending that neither waits behind a parked message nor for the broker.
    pub fn moves(&self) -> bool {
        let pending = self.ask(|ledger| ledger.total().counts.pending);
        let moving = (self.inner.moving)();
        pending > moving.held + moving.retrying as u64
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
        let ledger = inner.books.ask(Clone::clone);
        let volumes = inner.journal.volumes();
        let intake_open = *inner.journal.intake_open().borrow();
        let refused = inner.listeners.ports().iter().map(|port| port.refused.total()).sum();
        let now = Timestamp::now();
        let moving = (inner.moving)();
        let oldest = moving.oldest.values().min().copied();
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION"),
            configversion: inner.plan.get().version.clone(),
            started: format!("{:.3}", inner.started),
            now: format!("{now:.3}"),
            channels: self.channel_statuses(&ledger, &inner.books.rates(now), &moving, now),
            total: ledger.total(),
            refused,
            in_flight: moving.in_flight,
            held: moving.held,
            retrying: moving.retrying,
            retrying_since: moving.retrying_since.map(found::time),
            oldest_pending: oldest.map(|then| (now.as_millisecond() - then).max(0) / 1000),
            broker: (inner.health)(),
            subscribers: inner.outboxes.standing().into_iter().map(SubscriberStatus::of).collect(),
            journal: JournalStatus {
                volumes: volumes.len(),
                bytes: volumes.iter().map(|volume| volume.size).sum(),
                intake_open,
                damage: inner.damage,
            },
            archive: ArchiveStatus {
                lag: inner.chronicle.lag(now.as_millisecond()).unwrap_or_default() / 1000,
            },
            attention: Vec::new(),
        };
        status.attention = status::attention(&status);
        status
    }

    fn channel_statuses(
        &self,
        ledger: &Ledger,
        rates: &BTreeMap<String, u64>,
        moving: &Moving,
        now: Timestamp,
    ) -> Vec<ChannelStatus> {
        let age = |then: i64| (now.as_millisecond() - then).max(0) / 1000;
        let mut oldest_parked: BTreeMap<&str, i64> = BTreeMap::new();
        for (_, open) in ledger.parked() {
            let since = oldest_parked.entry(&open.channel).or_insert(open.since);
            *since = (*since).min(open.since);
        }
        let mut reasons: BTreeMap<&str, BTreeMap<String, u64>> = BTreeMap::new();
        for open in ledger.parked().map(|(_, open)| open) {
            if let Some(reason) = &open.reason {
                *reasons.entry(&open.channel).or_default().entry(reason.clone()).or_default() += 1;
            }
        }
        let (plan, ports) = (self.inner.plan.get(), self.inner.listeners.ports());
        let port_of = |name: &str| {
            let serves =
                |port: &&Arc<Port>| port.plan().channels.iter().any(|channel| channel.name == name);
            ports.iter().find(serves)
        };
        let names = plan.channels.keys().chain(ledger.channels.keys());
        let names: std::collections::BTreeSet<&String> = names.collect();
        names
            .into_iter()
            .map(|name| {
                let port = port_of(name);
                let sums = ledger.channels.get(name).map(|book| book.total).unwrap_or_default();
                let paused = ledger.paused.get(name).cloned().unwrap_or_default();
                ChannelStatus {
                    name: name.clone(),
                    listener: port.map(|port| port.address),
                    last_minute: rates.get(name).copied().unwrap_or_default(),
                    connections: port.map_or(0, |port| port.connections()),
                    sums,
                    held: moving.held_by_channel.get(name).copied().unwrap_or_default(),
                    last: (sums.last_received > 0).then(|| found::time(sums.last_received)),
                    oldest_pending: moving.oldest.get(name).copied().map(age),
                    oldest_parked: oldest_parked.get(name.as_str()).copied().map(age),
                    paused: [(paused.intake, "intake"), (paused.delivery, "delivery")]
                        .into_iter()
                        .filter_map(|(is, side)| is.then_some(side))
                        .collect(),
                    refused: port.map_or(0, |port| port.refused.total()),
                    reasons: reasons.remove(name.as_str()).unwrap_or_default(),
                    breaching: plan
                        .channels
                        .get(name)
                        .and_then(|channel| channel.profile.as_ref())
                        .map(Conformance::breaching),
                }
            })
            .collect()
    }
}
