//! RabbitMQ by lapin: persistent, mandatory, confirms pipelined, reconnecting for ever.
//!
//! One supervisor task owns the connection. It is ours and not lapin's auto-recovery: the journal is
//! the truth, and whatever has no receipt is sent again on the next connection. A receipt is
//! *confirmed and not returned*: `Confirmation::Ack(Some(_))` is an unroutable message.
//!
//! Each channel carries one unconfirmed event at a time, and the window is a pool of channels. A
//! returned message names no delivery, and lapin gives it to whichever confirm of its channel comes
//! next: with two events under way on one channel, the wrong one would get the receipt.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ConnectionStatus,
};
use metrics::gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::broker_plan::{Address, BrokerPlan};
use crate::event::Event;
use crate::lifeline::Lifeline;
use crate::publish::{BrokerHealth, Outgoing, PublishError, Publisher, Receipt};
use crate::routes::RoutingKey;
use crate::topology::{Difference, Topology};

/// Unconfirmed events over all patients (one patient has at most one), each on its own channel.
const WINDOW: usize = 128;
/// The topology is declared again at most this often on account of unroutable events.
const REDECLARE: Duration = Duration::from_millis(500);
/// How long a connection attempt with its topology may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often the topology is declared again: mandatory proves one route, not every subscriber.
const TOPOLOGY_CHECK: Duration = Duration::from_secs(30);
/// How soon a queue that differs is looked at again while events wait for it.
const MENDED: Duration = Duration::from_secs(5);
/// What the status page says after a negative confirm.
const REFUSING: &str =
    "the broker refuses events (nack): a queue may be full; it must not reject-publish";
const DELIVERY_PERSISTENT: u8 = 2;

/// The publisher's handle; the supervisor runs until the token is cancelled.
#[derive(Debug)]
pub struct Amqp {
    requests: mpsc::Sender<Request>,
    health: Arc<Health>,
}

#[derive(Debug)]
struct Request {
    event: Outgoing,
    receipt: oneshot::Sender<Receipt>,
    backoff: Backoff,
    unroutable: bool,
}

struct Health {
    address: String,
    connected: AtomicBool,
    unconfirmed: AtomicU64,
    unroutable: AtomicU64,
    trouble: Mutex<Option<String>>,
    /// Of the connection there is; says whether the broker blocks it.
    status: Mutex<Option<ConnectionStatus>>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Health")
    }
}

impl Health {
    fn trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn watch(&self, status: Option<ConnectionStatus>) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    fn words(&self) -> Option<String> {
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if status.as_ref().is_some_and(ConnectionStatus::blocked) {
            return Some("the broker takes nothing: low on memory or disk".to_owned());
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Amqp {
    /// Starts the supervisor on the running runtime; it ends when `stop` is cancelled.
    pub(crate) fn start(plan: &BrokerPlan, stop: CancellationToken, lifeline: Lifeline) -> Self {
        let BrokerPlan { address, topology, confirm } = plan.clone();
        let (sender, requests) = mpsc::channel(WINDOW);
        let health = Arc::new(Health {
            address: address.shown.clone(),
            connected: AtomicBool::new(false),
            unconfirmed: AtomicU64::new(0),
            unroutable: AtomicU64::new(0),
            trouble: Mutex::new(None),
            status: Mutex::new(None),
        });
        let supervisor = Supervisor {
            address,
            topology,
            confirm,
            requests,
            unsent: VecDeque::new(),
            unconfirmed: BTreeMap::new(),
            retries: BTreeMap::new(),
            next_token: 0,
            differences: Vec::new(),
            health: health.clone(),
            stop,
        };
        tokio::spawn(async move {
            let _lifeline = lifeline;
            supervisor.run().await;
        });
        Self { requests: sender, health }
    }
}

impl Publisher for Amqp {
    async fn publish(&self, event: Outgoing) -> Result<Receipt, PublishError> {
        let (receipt, received) = oneshot::channel();
        let request = Request { event, receipt, backoff: Backoff::default(), unroutable: false };
        self.requests.send(request).await.map_err(|_| PublishError::Stopping)?;
        received.await.map_err(|_| PublishError::Stopping)
    }

    fn health(&self) -> BrokerHealth {
        BrokerHealth {
            kind: "amqp",
            address: Some(self.health.address.clone()),
            connected: self.health.connected.load(Ordering::Relaxed),
            unconfirmed: self.health.unconfirmed.load(Ordering::Relaxed),
            unroutable: self.health.unroutable.load(Ordering::Relaxed),
            trouble: self.health.words(),
        }
    }
}

struct Supervisor {
    address: Address,
    topology: Topology,
    confirm: Duration,
    requests: mpsc::Receiver<Request>,
    /// Without a receipt, to be sent before anything newer.
    unsent: VecDeque<Request>,
    /// Sent on this connection, by token.
    unconfirmed: BTreeMap<u64, Request>,
    /// Returned or refused by the broker, by the time of the next attempt.
    retries: BTreeMap<(Instant, u64), Request>,
    next_token: u64,
    /// Subscribers whose queue the broker holds differently.
    differences: Vec<Difference>,
    health: Arc<Health>,
    stop: CancellationToken,
}

type Confirms = FuturesUnordered<BoxFuture<'static, (u64, Channel, Verdict)>>;

enum Verdict {
    Receipt,
    Unroutable,
    Refused,
    Lost(String),
}

/// Why serving one connection ended.
enum Ended {
    Stopped,
    Lost(String),
}

impl Supervisor {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let stop = self.stop.clone();
            let ended = tokio::select! {
                () = stop.cancelled() => Ended::Stopped,
                ended = self.connection(&mut backoff) => ended,
            };
            self.disconnected();
            let Ended::Lost(detail) = ended else { return };
            let wait = backoff.wait();
            let retry_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            Event::BrokerDown { address: &self.address.shown, detail: &detail, retry_ms }.emit();
            self.health.trouble(Some(detail));
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whatever was sent and not confirmed goes first on the next connection.
    fn disconnected(&mut self) {
        let unconfirmed = std::mem::take(&mut self.unconfirmed);
        let retries = std::mem::take(&mut self.retries);
        for request in unconfirmed.into_values().chain(retries.into_values()).rev() {
            self.unsent.push_front(request);
        }
        self.health.connected.store(false, Ordering::Relaxed);
        self.health.watch(None);
        gauge!("tieline_broker_connected").set(0.0);
    }

    /// One connection from its first byte to its last.
    async fn connection(&mut self, backoff: &mut Backoff) -> Ended {
        let opened = tokio::time::timeout(DEADLINE, self.open()).await;
        let connection = match opened {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Ended::Lost(self.told(&error)),
            Err(_) => return Ended::Lost(format!("no answer within {DEADLINE:?}")),
        };
        backoff.reset();
        self.health.connected.store(true, Ordering::Relaxed);
        self.health.watch(Some(connection.status().clone()));
        gauge!("tieline_broker_connected").set(1.0);
        Event::BrokerUp { address: &self.address.shown }.emit();
        Ended::Lost(self.serve(&connection).await)
    }

    async fn open(&mut self) -> lapin::Result<Connection> {
        let properties = ConnectionProperties::default().with_connection_name("tieline".into());
        let connection = Connection::connect(&self.address.url, properties).await?;
        self.declare(&connection).await?;
        Ok(connection)
    }

    /// Publishes until the connection is lost; gives back why it was.
    async fn serve(&mut self, connection: &Connection) -> String {
        let mut confirms = Confirms::new();
        let mut idle: Vec<Channel> = Vec::new();
        let mut declared = Instant::now();
        let mut check = tokio::time::interval_at(declared + TOPOLOGY_CHECK, TOPOLOGY_CHECK);
        loop {
            self.health.unconfirmed.store(self.unconfirmed.len() as u64, Ordering::Relaxed);
            let room = self.unconfirmed.len() < WINDOW;
            let retry_at = self.retries.first_key_value().map(|((at, _), _)| *at).filter(|_| room);
            let request = tokio::select! {
                Some((token, channel, verdict)) = confirms.next() => {
                    idle.push(channel);
                    match self.confirmed(token, verdict) {
                        Ok(Standing::Lacking) if declared.elapsed() >= REDECLARE => {
                            declared = Instant::now();
                            if let Err(detail) = self.redeclare(connection).await {
                                return detail;
                            }
                        }
                        Ok(_) => {}
                        Err(detail) => return detail,
                    }
                    None
                }
                () = due(retry_at) => self.retries.pop_first().map(|(_, request)| request),
                _ = check.tick() => {
                    if let Err(detail) = self.redeclare(connection).await {
                        return detail;
                    }
                    None
                }
                Some(request) = next(&mut self.unsent, &mut self.requests), if room => Some(request),
            };
            if let Some(request) = request {
                if self.would_miss_a_subscriber(&request.event) {
                    self.unroutable(request);
                    // Somebody may have mended it meanwhile.
                    if declared.elapsed() >= MENDED {
                        declared = Instant::now();
                        if let Err(detail) = self.redeclare(connection).await {
                            return detail;
                        }
                    }
                    continue;
                }
                let channel = idle.pop();
                let deadline = self.confirm;
                let sent = tokio::time::timeout(deadline, self.send(connection, channel, request));
                match sent.await {
                    Ok(Ok(confirm)) => confirms.push(confirm),
                    Ok(Err(error)) => return self.told(&error),
                    Err(_) => return format!("the broker takes nothing within {deadline:?}"),
                }
            }
        }
    }

    async fn send(
        &mut self,
        connection: &Connection,
        channel: Option<Channel>,
        request: Request,
    ) -> lapin::Result<BoxFuture<'static, (u64, Channel, Verdict)>> {
        let event = request.event.clone();
        let token = self.next_token;
        self.next_token += 1;
        // From here on it has no receipt, whatever happens below.
        self.unconfirmed.insert(token, request);
        let channel = if let Some(channel) = channel {
            channel
        } else {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            channel
        };
        let restricted = RoutingKey::parse(&event.routing_key).is_restricted();
        let exchange = if restricted {
            self.topology.restricted_exchange()
        } else {
            self.topology.exchange.clone()
        };
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
        let deadline = self.confirm;
        Ok(Box::pin(async move {
            let verdict = match tokio::time::timeout(deadline, confirm).await {
                Ok(Ok(Confirmation::Ack(None))) => Verdict::Receipt,
                Ok(Ok(Confirmation::Ack(Some(_)))) => Verdict::Unroutable,
                Ok(Ok(Confirmation::Nack(_))) => Verdict::Refused,
                Ok(Ok(Confirmation::NotRequested)) => {
                    Verdict::Lost("the channel gives no confirms".into())
                }
                Ok(Err(error)) => Verdict::Lost(error.to_string()),
                Err(_) => Verdict::Lost(format!("no confirm within {deadline:?}")),
            };
            (token, channel, verdict)
        }))
    }

    fn confirmed(&mut self, token: u64, verdict: Verdict) -> Result<Standing, String> {
        if let Verdict::Lost(detail) = verdict {
            return Err(detail);
        }
        let Some(mut request) = self.unconfirmed.remove(&token) else {
            return Ok(Standing::Stands);
        };
        match verdict {
            Verdict::Receipt => {
                self.mark_unroutable(&mut request, false);
                // Nobody waits any more when the engine stops; the journal still has the event.
                request.receipt.send(Receipt).ok();
                Ok(Standing::Stands)
            }
            Verdict::Unroutable => {
                self.unroutable(request);
                Ok(Standing::Lacking)
            }
            Verdict::Refused | Verdict::Lost(_) => {
                Event::PublishRetried { reason: "nack" }.emit();
                self.health.trouble(Some(REFUSING.to_owned()));
                self.retry(request);
                Ok(Standing::Stands)
            }
        }
    }

    fn unroutable(&mut self, mut request: Request) {
        let (event_type, routing_key) = (&request.event.event_type, &request.event.routing_key);
        Event::Unroutable { event_type, routing_key }.emit();
        self.mark_unroutable(&mut request, true);
        self.retry(request);
    }

    fn retry(&mut self, mut request: Request) {
        let at = Instant::now() + request.backoff.wait();
        self.next_token += 1;
        self.retries.insert((at, self.next_token), request);
    }

    fn mark_unroutable(&self, request: &mut Request, unroutable: bool) {
        if request.unroutable != unroutable {
            request.unroutable = unroutable;
            let count = &self.health.unroutable;
            if unroutable {
                count.fetch_add(1, Ordering::Relaxed);
            } else {
                count.fetch_sub(1, Ordering::Relaxed);
            }
            #[expect(clippy::cast_precision_loss, reason = "a gauge of events in flight")]
            gauge!("tieline_unroutable_events").set(count.load(Ordering::Relaxed) as f64);
        }
    }

    async fn redeclare(&mut self, connection: &Connection) -> Result<(), String> {
        match tokio::time::timeout(DEADLINE, self.declare(connection)).await {
            Ok(declared) => declared.map_err(|error| self.told(&error)),
            Err(_) => Err(format!("the topology is not declared within {DEADLINE:?}")),
        }
    }

    /// Declares what the broker must hold. A queue that it holds differently is told and left alone:
    /// events that its subscriber should get wait as unroutable, all others go on.
    async fn declare(&mut self, connection: &Connection) -> lapin::Result<()> {
        let differences = self.topology.declare(connection).await?;
        for Difference { detail, .. } in
            differences.iter().filter(|d| !self.differences.contains(d))
        {
            Event::TopologyDiffers { detail }.emit();
        }
        self.differences = differences;
        self.health.trouble(self.differences.first().map(|difference| difference.detail.clone()));
        Ok(())
    }

    /// Whether a subscriber that should get the event could not: mandatory proves one route only.
    fn would_miss_a_subscriber(&self, event: &Outgoing) -> bool {
        let key = RoutingKey::parse(&event.routing_key);
        self.differences.iter().any(|difference| difference.subscription.wants(&key))
    }

    /// An error in words, without the password.
    fn told(&self, error: &lapin::Error) -> String {
        error.to_string().replace(&self.address.url, &self.address.shown)
    }
}

/// What a verdict says of the topology.
enum Standing {
    Stands,
    /// A queue or a binding is missing: declare it again before the retry.
    Lacking,
}

/// Waits for the next retry, or for ever when there is none.
async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
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
