//! RabbitMQ by lapin: persistent, mandatory, confirms pipelined, reconnecting for ever.
//!
//! One supervisor task owns the connection. It is ours and not lapin's auto-recovery: the journal is
//! the truth, and whatever has no receipt is sent again on the next connection. A receipt is
//! *confirmed and not returned*: `Confirmation::Ack(Some(_))` is an unroutable message.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use metrics::gauge;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::event::Event;
use crate::publish::{BrokerHealth, Outgoing, PublishError, Publisher, Receipt};
use crate::routes::RoutingKey;
use crate::topology::Topology;

/// Unconfirmed events over all patients (one patient has at most one).
const WINDOW: usize = 256;
/// How long a connection attempt with its topology may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// How often the topology is declared again: mandatory proves one route, not every subscriber.
const TOPOLOGY_CHECK: Duration = Duration::from_secs(30);
const DELIVERY_PERSISTENT: u8 = 2;

/// Where the broker is; the full address holds the password and is never shown.
#[derive(Clone)]
pub struct Address {
    /// `amqp://user:password@host:port/vhost`, secrets resolved.
    pub url: String,
    /// The same without user and password.
    pub shown: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

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

#[derive(Debug)]
struct Health {
    address: String,
    connected: AtomicBool,
    unconfirmed: AtomicU64,
    unroutable: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl Amqp {
    /// Starts the supervisor on the running runtime.
    /// `confirm` is how long the broker may take to confirm an event before the connection counts as
    /// dead.
    pub fn start(
        address: Address,
        topology: Topology,
        confirm: Duration,
        stop: CancellationToken,
    ) -> Self {
        let (sender, requests) = mpsc::channel(WINDOW);
        let health = Arc::new(Health {
            address: address.shown.clone(),
            connected: AtomicBool::new(false),
            unconfirmed: AtomicU64::new(0),
            unroutable: AtomicU64::new(0),
            trouble: Mutex::new(None),
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
            health: health.clone(),
            stop,
        };
        tokio::spawn(supervisor.run());
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
        let trouble = self.health.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        BrokerHealth {
            kind: "amqp",
            address: Some(self.health.address.clone()),
            connected: self.health.connected.load(Ordering::Relaxed),
            unconfirmed: self.health.unconfirmed.load(Ordering::Relaxed),
            unroutable: self.health.unroutable.load(Ordering::Relaxed),
            trouble,
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
    health: Arc<Health>,
    stop: CancellationToken,
}

type Confirms = FuturesUnordered<BoxFuture<'static, (u64, Verdict)>>;

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
            *self.health.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(detail);
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
        gauge!("tieline_broker_connected").set(0.0);
    }

    /// One connection from its first byte to its last.
    async fn connection(&mut self, backoff: &mut Backoff) -> Ended {
        let opened = tokio::time::timeout(DEADLINE, self.open()).await;
        let (connection, channel) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => return Ended::Lost(self.told(&error)),
            Err(_) => return Ended::Lost(format!("no answer within {} s", DEADLINE.as_secs())),
        };
        backoff.reset();
        self.health.connected.store(true, Ordering::Relaxed);
        *self.health.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
        gauge!("tieline_broker_connected").set(1.0);
        Event::BrokerUp { address: &self.address.shown }.emit();
        self.serve(&connection, &channel).await
    }

    async fn open(&self) -> lapin::Result<(Connection, lapin::Channel)> {
        let properties = ConnectionProperties::default().with_connection_name("tieline".into());
        let connection = Connection::connect(&self.address.url, properties).await?;
        self.topology.declare(&connection).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok((connection, channel))
    }

    async fn serve(&mut self, connection: &Connection, channel: &lapin::Channel) -> Ended {
        let mut confirms = Confirms::new();
        let mut check = tokio::time::interval_at(Instant::now() + TOPOLOGY_CHECK, TOPOLOGY_CHECK);
        loop {
            self.health.unconfirmed.store(self.unconfirmed.len() as u64, Ordering::Relaxed);
            let room = self.unconfirmed.len() < WINDOW;
            let retry_at = self.retries.first_key_value().map(|((at, _), _)| *at);
            let done = tokio::select! {
                Some((token, verdict)) = confirms.next() => {
                    match self.confirmed(token, verdict) {
                        Ok(Standing::Stands) => Ok(()),
                        Ok(Standing::Lacking) => self.redeclare(connection).await,
                        Err(detail) => Err(detail),
                    }
                }
                () = due(retry_at) => match self.retries.pop_first() {
                    Some((_, request)) => self.send(channel, request, &mut confirms).await,
                    None => Ok(()),
                },
                _ = check.tick() => self.redeclare(connection).await,
                Some(request) = next(&mut self.unsent, &mut self.requests), if room => {
                    self.send(channel, request, &mut confirms).await
                }
            };
            if let Err(detail) = done {
                return Ended::Lost(detail);
            }
        }
    }

    async fn send(
        &mut self,
        channel: &lapin::Channel,
        request: Request,
        confirms: &mut Confirms,
    ) -> Result<(), String> {
        let event = &request.event;
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
            .with_app_id("tieline".into())
            .with_delivery_mode(DELIVERY_PERSISTENT);
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let key = event.routing_key.as_str().into();
        let body = event.body.clone();
        let token = self.next_token;
        self.next_token += 1;
        self.unconfirmed.insert(token, request);
        let published =
            channel.basic_publish(exchange.into(), key, options, &body, properties).await;
        let confirm = published.map_err(|error| self.told(&error))?;
        let deadline = self.confirm;
        confirms.push(Box::pin(async move {
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
            (token, verdict)
        }));
        Ok(())
    }

    fn confirmed(&mut self, token: u64, verdict: Verdict) -> Result<Standing, String> {
        if let Verdict::Lost(detail) = verdict {
            return Err(detail);
        }
        let Some(mut request) = self.unconfirmed.remove(&token) else {
            return Ok(Standing::Stands);
        };
        let standing = match verdict {
            Verdict::Receipt => {
                self.mark_unroutable(&mut request, false);
                // Nobody waits any more when the engine stops; the journal still has the event.
                request.receipt.send(Receipt).ok();
                return Ok(Standing::Stands);
            }
            Verdict::Unroutable => {
                let (event_type, routing_key) =
                    (&request.event.event_type, &request.event.routing_key);
                Event::Unroutable { event_type, routing_key }.emit();
                self.mark_unroutable(&mut request, true);
                Standing::Lacking
            }
            Verdict::Refused | Verdict::Lost(_) => {
                Event::PublishRetried { reason: "nack" }.emit();
                Standing::Stands
            }
        };
        let at = Instant::now() + request.backoff.wait();
        self.retries.insert((at, token), request);
        Ok(standing)
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

    async fn redeclare(&self, connection: &Connection) -> Result<(), String> {
        self.topology.declare(connection).await.map_err(|error| self.told(&error))
    }

    /// An error in words; a difference in the topology is told apart, for it needs a person.
    fn told(&self, error: &lapin::Error) -> String {
        let detail = error.to_string().replace(&self.address.url, &self.address.shown);
        if detail.contains("PRECONDITION") || detail.contains("inequivalent") {
            Event::TopologyDiffers { detail: &detail }.emit();
        }
        detail
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
