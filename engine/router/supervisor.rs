//! The connection to RabbitMQ: persistent, mandatory, confirms pipelined, reconnecting for ever.
//!
//! One supervisor task owns it. It is ours and not lapin's auto-recovery: the journal is the truth,
//! and whatever has no receipt is sent again on the next connection. A receipt is *confirmed and not
//! returned* (`verdict.rs`).
//!
//! Each AMQP channel carries one unconfirmed event at a time, and the window is a pool of channels.
//! A returned message names no delivery, and lapin gives it to whichever confirm of its channel comes
//! next: with two events under way on one channel, the wrong one would get the receipt. It also
//! keeps the events apart when the broker closes a channel over one of them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::bindings::{Binding, Remembered};
use crate::broker_health::Health;
use crate::broker_plan::BrokerPlan;
use crate::event::Event;
use crate::publish::{Outgoing, PublishError, Receipt, Trouble};
use crate::routes::RoutingKey;
use crate::topology::{self, Difference};
use crate::verdict::{self, Caution, Class, Said};

/// Unconfirmed events over all patients (one patient has at most one), each on its own channel.
pub(crate) const WINDOW: usize = 128;
/// Channels that are left to the declaring of the topology where the broker allows few.
const SPARE_CHANNELS: usize = 4;
/// The topology is declared again at most this often on account of unroutable events.
const REDECLARE: Duration = Duration::from_millis(500);
/// How long a connection attempt with its topology may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often the topology is declared again: mandatory proves one route, not every subscriber. What
/// a subscriber misses whose binding somebody took away, it misses until then.
const TOPOLOGY_CHECK: Duration = Duration::from_secs(5);
/// At most one part in so many of the time is spent on that: nothing is sent meanwhile.
const SHARE: u32 = 50;
/// How soon a queue that differs is looked at again while events want it.
const MENDED: Duration = Duration::from_secs(5);
/// What the status page says after a negative confirm.
const REFUSING: &str =
    "the broker refuses events (nack): a queue may be full; it must not reject-publish";
const FORBIDDEN: &str =
    "the broker's user may not write to the exchange: grant it, or name another user";
const DELIVERY_PERSISTENT: u8 = 2;

/// An event and who waits for what becomes of it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) event: Outgoing,
    pub(crate) answer: oneshot::Sender<Result<Receipt, PublishError>>,
}

impl Request {
    /// Nobody waits any more when the engine stops; the journal still has the event.
    fn answer(self, answer: Result<Receipt, PublishError>) {
        self.answer.send(answer).ok();
    }
}

pub(crate) struct Supervisor {
    plan: BrokerPlan,
    /// What the plan is to be.
    watched: watch::Receiver<BrokerPlan>,
    requests: mpsc::Receiver<Request>,
    /// Without a receipt, to be sent before anything newer.
    unsent: VecDeque<Request>,
    /// Sent on this connection, by token.
    unconfirmed: BTreeMap<u64, Request>,
    next_token: u64,
    caution: Caution,
    /// Subscribers whose queue the broker holds differently.
    differences: Vec<Difference>,
    remembered: Remembered,
    /// The bindings that were declared last on this connection.
    declared: Option<BTreeSet<Binding>>,
    /// When the first of them must be gone: an entitlement ends.
    ends: Option<Timestamp>,
    health: Arc<Health>,
    stop: CancellationToken,
}

/// A confirm to come, with its channel: what was said, and why in words.
type Confirm = BoxFuture<'static, (u64, Channel, Said, String)>;

/// Why a connection ended.
enum Ended {
    Stopped,
    /// Another address is wanted.
    Moved,
    Lost {
        detail: String,
        /// One of the events under way may be to blame.
        suspect: bool,
    },
}

impl Ended {
    fn lost(detail: impl Into<String>) -> Self {
        Self::Lost { detail: detail.into(), suspect: false }
    }
}

impl Supervisor {
    pub(crate) fn new(
        mut watched: watch::Receiver<BrokerPlan>,
        requests: mpsc::Receiver<Request>,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> Self {
        let plan = watched.borrow_and_update().clone();
        Self {
            remembered: Remembered::read(&plan.remembered),
            plan,
            watched,
            requests,
            unsent: VecDeque::new(),
            unconfirmed: BTreeMap::new(),
            next_token: 0,
            caution: Caution::default(),
            differences: Vec::new(),
            declared: None,
            ends: None,
            health,
            stop,
        }
    }

    pub(crate) async fn run(mut self) {
        let stop = self.stop.clone();
        let mut backoff = Backoff::default();
        loop {
            let ended = tokio::select! {
                () = stop.cancelled() => Ended::Stopped,
                Err(ended) = self.connection(&mut backoff) => ended,
            };
            self.disconnected(&ended);
            let wait = match ended {
                Ended::Stopped => return,
                Ended::Moved => Duration::ZERO,
                Ended::Lost { detail, .. } => {
                    let wait = backoff.wait();
                    let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                    let address = &self.plan.address.shown;
                    Event::BrokerDown { address, detail: &detail, retry_ms }.emit();
                    self.health.trouble(Some(detail));
                    wait
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = self.watched.changed() => backoff.reset(),
                () = tokio::time::sleep(wait) => {}
            }
            self.plan.clone_from(&self.watched.borrow_and_update());
            self.health.address(&self.plan.address.shown);
        }
    }

    /// Whatever was sent and not confirmed goes first on the next connection.
    fn disconnected(&mut self, ended: &Ended) {
        let mut unconfirmed = std::mem::take(&mut self.unconfirmed);
        if matches!(ended, Ended::Lost { suspect: true, .. })
            && self.caution.broke(unconfirmed.len())
            && let Some((_, request)) = unconfirmed.pop_first()
        {
            request.answer(Err(PublishError::Permanent(verdict::BREAKS_CONNECTION)));
        }
        for request in unconfirmed.into_values().rev() {
            self.unsent.push_front(request);
        }
        self.declared = None;
        self.health.connected(None);
        self.health.unconfirmed(0);
    }

    /// One connection from its first byte to its last.
    async fn connection(&mut self, backoff: &mut Backoff) -> Result<(), Ended> {
        let mut watched = self.watched.clone();
        let opened = tokio::select! {
            Ok(()) = watched.changed() => return Err(Ended::Moved),
            opened = timeout(DEADLINE, self.open()) => opened,
        };
        let connection = match opened {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Err(Ended::lost(self.told(&error))),
            Err(_) => return Err(Ended::lost(format!("no answer within {DEADLINE:?}"))),
        };
        backoff.reset();
        self.health.connected(Some(connection.status().clone()));
        Event::BrokerUp { address: &self.plan.address.shown }.emit();
        self.serve(&connection).await
    }

    async fn open(&mut self) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name("tieline".into());
        let connection = Connection::connect(&self.plan.address.url, properties).await?;
        self.declare(&connection).await?;
        Ok(connection)
    }

    /// Publishes until the connection ends.
    async fn serve(&mut self, connection: &Connection) -> Result<(), Ended> {
        let mut confirms: FuturesUnordered<Confirm> = FuturesUnordered::new();
        let mut idle: Vec<Channel> = Vec::new();
        let allowed = usize::from(connection.configuration().channel_max());
        let window = WINDOW.min(allowed.saturating_sub(SPARE_CHANNELS)).max(1);
        let (mut declared, mut took) = (Instant::now(), Duration::ZERO);
        // When the topology is to be declared before its time: an event found it lacking.
        let mut lacking: Option<Instant> = None;
        loop {
            self.health.unconfirmed(self.unconfirmed.len());
            let due = declared + TOPOLOGY_CHECK.max(took * SHARE);
            let due = lacking.map_or(due, |lacking| lacking.min(due));
            // Nothing may be under way while bindings are made: an event that finds one of two is
            // confirmed, and the other subscriber never gets it.
            // Whose entitlement has ended gets nothing more, however soon it comes.
            let until_end = self.ends.map(|ends| ends.duration_since(Timestamp::now()));
            let until_end = until_end.map(|left| Duration::try_from(left).unwrap_or_default());
            let due = until_end.map_or(due, |left| due.min(Instant::now() + left));
            let declares = due <= Instant::now();
            let window = if self.caution.holds() { 1 } else { window };
            let room = !declares && self.unconfirmed.len() < window;
            tokio::select! {
                Some((token, channel, said, words)) = confirms.next() => {
                    if channel.status().connected() {
                        idle.push(channel);
                    }
                    let trouble = self.confirmed(token, &said, &words)?;
                    lacking = soonest(lacking, trouble, declared);
                }
                () = tokio::time::sleep_until(due), if !declares => {}
                () = std::future::ready(()), if declares && self.unconfirmed.is_empty() => {
                    let began = Instant::now();
                    self.redeclare(connection).await?;
                    (declared, took, lacking) = (Instant::now(), began.elapsed(), None);
                }
                Ok(()) = self.watched.changed() => {
                    let plan = self.watched.borrow_and_update().clone();
                    if plan.address != self.plan.address {
                        return Err(Ended::Moved);
                    }
                    self.plan = plan;
                    lacking = Some(Instant::now());
                }
                Some(request) = next(&mut self.unsent, &mut self.requests), if room => {
                    if self.watched.has_changed().unwrap_or_default() {
                        // It may be for a subscriber that is not declared yet.
                        self.unsent.push_front(request);
                    } else if self.would_miss_a_subscriber(&request.event) {
                        self.come_back(request, Trouble::Missing);
                        let mended = declared + MENDED;
                        lacking = Some(lacking.map_or(mended, |at| at.min(mended)));
                    } else if let Some(request) = fits(request) {
                        let token = self.next_token;
                        self.next_token += 1;
                        // From here on it has no receipt, whatever happens below.
                        let event = self.unconfirmed.entry(token).or_insert(request).event.clone();
                        let channel = idle.pop().filter(|channel| channel.status().connected());
                        let deadline = self.plan.confirm;
                        match timeout(deadline, self.send(connection, channel, token, event)).await {
                            Ok(Ok(confirm)) => confirms.push(confirm),
                            Ok(Err(error)) => {
                                let trouble = self.confirmed(token, &Said::from(&error), &error.to_string())?;
                                lacking = soonest(lacking, trouble, declared);
                            }
                            Err(_) => return Err(Ended::lost(format!(
                                "the broker takes nothing within {deadline:?}"
                            ))),
                        }
                    }
                }
            }
        }
    }

    async fn send(
        &self,
        connection: &Connection,
        channel: Option<Channel>,
        token: u64,
        event: Outgoing,
    ) -> lapin::Result<Confirm> {
        let channel = if let Some(channel) = channel {
            channel
        } else {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channel
        };
        let topology = &self.plan.topology;
        let marks = RoutingKey::parse(&event.routing_key).marks;
        let exchange = topology.exchange_of(marks.exchange());
        let properties = BasicProperties::default()
            .with_message_id(event.id.as_str().into())
            .with_type(event.event_type.as_str().into())
            .with_content_type("application/cloudevents+json".into())
            .with_timestamp(event.timestamp)
            .with_app_id("tieline".into())
            .with_delivery_mode(DELIVERY_PERSISTENT);
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let key = event.routing_key.as_str().into();
        let confirm =
            channel.basic_publish(exchange.into(), key, options, &event.body, properties).await?;
        let deadline = self.plan.confirm;
        Ok(Box::pin(async move {
            let (said, words) = match timeout(deadline, confirm).await {
                Ok(confirmed) => {
                    let words = confirmed.as_ref().err().map(ToString::to_string);
                    (Said::from(&confirmed), words.unwrap_or_default())
                }
                Err(_) => (Said::Lost, format!("no confirm within {deadline:?}")),
            };
            (token, channel, said, words)
        }))
    }

    /// What follows from a verdict; gives back the trouble of an event that comes back.
    fn confirmed(
        &mut self,
        token: u64,
        said: &Said,
        words: &str,
    ) -> Result<Option<Trouble>, Ended> {
        let class = verdict::class(said);
        if matches!(class, Class::Again | Class::Suspect) {
            let detail = self.without_password(words);
            return Err(Ended::Lost { detail, suspect: class == Class::Suspect });
        }
        self.caution.settled();
        let Some(request) = self.unconfirmed.remove(&token) else { return Ok(None) };
        if let Class::Transient(trouble) = class {
            self.come_back(request, trouble);
            return Ok(Some(trouble));
        }
        request.answer(match class {
            Class::Permanent(reason) => {
                Event::PublishRefused { reason, detail: words }.emit();
                Err(PublishError::Permanent(reason))
            }
            _ => Ok(Receipt),
        });
        Ok(None)
    }

    /// The event could not be published now, and says so to whoever tries again.
    fn come_back(&self, request: Request, trouble: Trouble) {
        match trouble {
            Trouble::Unroutable | Trouble::Missing => {
                let Outgoing { event_type, routing_key, .. } = &request.event;
                Event::Unroutable { event_type, routing_key }.emit();
            }
            Trouble::Refused => self.health.trouble(Some(REFUSING.to_owned())),
            Trouble::Forbidden => self.health.trouble(Some(FORBIDDEN.to_owned())),
            // The broker does not know of that.
            Trouble::Paused => {}
        }
        Event::PublishRetried { reason: trouble.as_str() }.emit();
        request.answer(Err(PublishError::Transient(trouble)));
    }

    async fn redeclare(&mut self, connection: &Connection) -> Result<(), Ended> {
        match timeout(DEADLINE, self.declare(connection)).await {
            Ok(declared) => declared.map_err(|error| Ended::lost(self.told(&error))),
            Err(_) => Err(Ended::lost(format!("the topology is not declared within {DEADLINE:?}"))),
        }
    }

    /// Declares what the broker must hold, then takes away what this engine once bound and
    /// channels.yaml no longer asks for. A queue that the broker holds differently is told and left
    /// alone: events that its subscriber should get come back as missing one, all others go on.
    async fn declare(&mut self, connection: &Connection) -> lapin::Result<()> {
        let (now, topology) = (Timestamp::now(), &self.plan.topology);
        let (broker, wanted) = (self.plan.address.shown.clone(), topology.bindings(now));
        let mut kept = self.remembered.add(&broker, &wanted);
        let thorough = self.declared.as_ref() != Some(&wanted);
        let differences = topology.declare(connection, now, thorough).await?;
        self.ends = topology.routes.next_end(now);
        let unwanted = self.remembered.unwanted(&broker, &wanted);
        let unbound = topology::unbind(connection, unwanted).await?;
        if !unbound.is_empty() {
            Event::Unbound { bindings: unbound.len() }.emit();
            kept = kept.and(self.remembered.forget(&broker, &unbound));
        }
        let differing = differences.iter().filter(|d| !self.differences.contains(d));
        for Difference { detail, .. } in differing {
            Event::TopologyDiffers { detail }.emit();
        }
        self.differences = differences;
        self.declared = Some(wanted);
        let differs = self.differences.first().map(|difference| difference.detail.clone());
        let forgets = kept.err().map(|error| {
            format!("bindings cannot be remembered in the data folder ({error}): old ones may stay")
        });
        self.health.trouble(differs.or(forgets));
        Ok(())
    }

    /// Whether a subscriber that should get the event could not: mandatory proves one route only.
    fn would_miss_a_subscriber(&self, event: &Outgoing) -> bool {
        let (key, now) = (RoutingKey::parse(&event.routing_key), Timestamp::now());
        self.differences.iter().any(|difference| difference.subscription.wants(&key, now))
    }

    /// An error in words, without the password.
    fn told(&self, error: &lapin::Error) -> String {
        self.without_password(&error.to_string())
    }

    fn without_password(&self, words: &str) -> String {
        words.replace(&self.plan.address.url, &self.plan.address.shown)
    }
}

/// When the topology is to be declared next, now that an event came back with that trouble.
fn soonest(
    lacking: Option<Instant>,
    trouble: Option<Trouble>,
    declared: Instant,
) -> Option<Instant> {
    let Some(trouble) = trouble else { return lacking };
    let wait = match trouble {
        Trouble::Unroutable | Trouble::Missing => REDECLARE,
        Trouble::Refused | Trouble::Forbidden | Trouble::Paused => return lacking,
    };
    Some(lacking.map_or(declared + wait, |at| at.min(declared + wait)))
}

/// An event whose names do not fit into AMQP's short strings comes back: lapin would not frame it.
fn fits(request: Request) -> Option<Request> {
    const SHORT: usize = 255;
    let Outgoing { id, event_type, routing_key, .. } = &request.event;
    if [id, event_type, routing_key].iter().all(|name| name.len() <= SHORT) {
        return Some(request);
    }
    let reason = "publish.name-too-long";
    Event::PublishRefused { reason, detail: "an AMQP name has at most 255 bytes" }.emit();
    request.answer(Err(PublishError::Permanent(reason)));
    None
}

async fn next(
    unsent: &mut VecDeque<Request>,
    requests: &mut mpsc::Receiver<Request>,
) -> Option<Request> {
    match unsent.pop_front() {
        Some(request) => Some(request),
        None => requests.recv().await,
    }
}
