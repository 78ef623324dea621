//! What an operator can do to a broker's topology while it is in use.

use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, ExchangeKind};

use super::facts::SUBSCRIBERS;
use super::world::EXCHANGE;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Damage {
    /// One subscriber's queue no longer gets anything; the other's does.
    Unbind(usize),
    /// One subscriber's queue is gone, and what was in it.
    DeleteQueue(usize),
    /// The exchange stands and nothing is bound to it: every event is confirmed and returned.
    UnbindAll,
    /// Publishing is an error.
    DeleteExchange,
}

/// Does it, on a connection of its own.
pub(crate) async fn damage(url: &str, damage: Damage) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let none = FieldTable::default;
    match damage {
        Damage::Unbind(subscriber) => {
            let (queue, key) = (SUBSCRIBERS[subscriber].into(), "*.*.*.*".into());
            channel.queue_unbind(queue, EXCHANGE.into(), key, none()).await?;
        }
        Damage::DeleteQueue(subscriber) => {
            let options = QueueDeleteOptions::default();
            channel.queue_delete(SUBSCRIBERS[subscriber].into(), options).await?;
        }
        Damage::UnbindAll | Damage::DeleteExchange => {
            // One step for all bindings, so that no event finds half of them.
            channel.exchange_delete(EXCHANGE.into(), ExchangeDeleteOptions::default()).await?;
        }
    }
    if matches!(damage, Damage::UnbindAll) {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare(EXCHANGE.into(), ExchangeKind::Topic, options, none()).await?;
    }
    connection.close(200, "done".into()).await
}
