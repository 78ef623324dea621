//! The receiving side: one consumer per subscriber, with manual acknowledgements, which now and then
//! gives a message back or hangs up. It writes down every delivery before it answers it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use tokio::task::JoinHandle;

use super::facts::{Arrival, SUBSCRIBERS};
use super::sender::Run;
use super::world::RESTRICTED;

/// Deliveries that wait for our answer.
const WINDOW: u16 = 50;
/// The queue or the broker is away: how long until the next attempt.
const RETRY: Duration = Duration::from_millis(100);
/// How long the broker may take to answer a request.
const ANSWER: Duration = Duration::from_secs(5);

/// What consumers did on purpose.
#[derive(Debug, Default)]
pub(crate) struct Whims {
    pub(crate) given_back: AtomicU64,
    pub(crate) hung_up: AtomicU64,
}

/// Starts both consumers on the current runtime; they end when the run is over.
pub(crate) fn start(
    run: &Arc<Run>,
    whims: &Arc<Whims>,
    url: &str,
    seed: u64,
) -> Vec<JoinHandle<()>> {
    (0..SUBSCRIBERS.len())
        .map(|subscriber| {
            let random = fastrand::Rng::with_seed(seed ^ (subscriber as u64 + 77));
            let consumer = Consumer {
                run: run.clone(),
                whims: whims.clone(),
                url: url.to_owned(),
                subscriber,
                random,
            };
            tokio::spawn(consumer.work())
        })
        .collect()
}

struct Consumer {
    run: Arc<Run>,
    whims: Arc<Whims>,
    url: String,
    subscriber: usize,
    random: fastrand::Rng,
}

impl Consumer {
    async fn work(mut self) {
        while !self.run.is_over() {
            // Whatever ended it, the next connection goes on where the queue stands.
            let _ended = self.consume().await;
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn consume(&mut self) -> lapin::Result<()> {
        let queue = SUBSCRIBERS[self.subscriber];
        let (connection, mut consumer) = in_time(begin(&self.url, queue)).await?;
        loop {
            // A look now and then whether the run is over.
            let next = tokio::time::timeout(Duration::from_secs(1), consumer.next()).await;
            if self.run.is_over() {
                return in_time(connection.close(200, "done".into())).await;
            }
            match next {
                Err(_) => {}
                // The queue was deleted, or the connection is gone.
                Ok(None) => return in_time(connection.close(200, "no queue".into())).await,
                Ok(Some(delivery)) => {
                    let delivery = delivery?;
                    self.write_down(&delivery);
                    match self.random.u32(0..1000) {
                        0..10 => {
                            self.whims.given_back.fetch_add(1, Ordering::Relaxed);
                            let options = BasicNackOptions { requeue: true, ..Default::default() };
                            in_time(delivery.nack(options)).await?;
                        }
                        10 => {
                            self.whims.hung_up.fetch_add(1, Ordering::Relaxed);
                            return in_time(connection.close(200, "a whim".into())).await;
                        }
                        _ => {
                            in_time(delivery.ack(BasicAckOptions::default())).await?;
                        }
                    }
                }
            }
        }
    }

    fn write_down(&self, delivery: &Delivery) {
        let event: Value = serde_json::from_slice(&delivery.data).expect("an event is JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (_, position) =
            event["sequence"].as_str().and_then(|s| s.split_once('.')).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        delivery.data.hash(&mut hasher);
        let arrival = Arrival {
            event: text(&event["id"]),
            digest: hasher.finish(),
            label: label(&event),
            position: position.parse().unwrap_or_default(),
            partition: text(&event["partitionkey"]),
            restricted: delivery.exchange.as_str() == RESTRICTED,
            at: self.run.now(),
        };
        self.run.history().arrivals[self.subscriber].push(arrival);
    }
}

/// A broker that stops may leave a request without an answer for ever.
async fn in_time<T>(asked: impl Future<Output = lapin::Result<T>>) -> lapin::Result<T> {
    let answered = tokio::time::timeout(ANSWER, asked).await;
    answered.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

async fn begin(url: &str, queue: &str) -> lapin::Result<(Connection, lapin::Consumer)> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(WINDOW, BasicQosOptions::default()).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(queue.into(), "oracle".into(), options, none).await?;
    Ok((connection, consumer))
}

/// The visit number of the encounter that the event is about; the engine's own events of a patient have
/// none, and the number of their message says the same: `4000008N7` for `V4000008S7`.
fn label(event: &Value) -> String {
    let entries = event["data"]["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    let encounter = entries.iter().find(|entry| entry["resource"]["resourceType"] == "Encounter");
    let visit = encounter.and_then(|entry| entry["resource"]["identifier"][0]["value"].as_str());
    let by_message = || {
        let control_id = event["correlationid"].as_str().unwrap_or_default();
        format!("V{}", control_id.replacen('N', "S", 1))
    };
    visit.map_or_else(by_message, str::to_owned)
}
