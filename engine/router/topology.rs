//! What the broker must hold: exchanges, one queue per subscriber, their bindings.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Connection, ExchangeKind};

use crate::routes::{Routes, Subscription};

/// Names and subscribers, as channels.yaml gives them.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Topic exchange of ordinary events; sensitive ones go to [`Topology::restricted_exchange`].
    pub exchange: String,
    /// Who gets what.
    pub routes: Routes,
}

impl Topology {
    /// Where sensitive events go, and nothing else does.
    pub fn restricted_exchange(&self) -> String {
        format!("{}.restricted", self.exchange)
    }

    /// Declares everything; harmless when it stands already. Uses a channel of its own, since a
    /// difference between what is asked and what is there closes the channel.
    pub async fn declare(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await?;
        for exchange in [self.exchange.clone(), self.restricted_exchange()] {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            channel
                .exchange_declare(
                    exchange.into(),
                    ExchangeKind::Topic,
                    options,
                    FieldTable::default(),
                )
                .await?;
        }
        for subscription in &self.routes.subscriptions {
            self.declare_subscriber(&channel, subscription).await?;
        }
        channel.close(200, "done".into()).await
    }

    /// A durable quorum queue with a single active consumer, so that order survives a second
    /// consumer; limits are the broker's policies, never arguments, and never `reject-publish`.
    async fn declare_subscriber(
        &self,
        channel: &lapin::Channel,
        subscription: &Subscription,
    ) -> lapin::Result<()> {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        let queue = ShortString::from(subscription.queue.as_str());
        channel.queue_declare(queue.clone(), options, arguments).await?;
        let mut exchanges = vec![self.exchange.clone()];
        if subscription.restricted {
            exchanges.push(self.restricted_exchange());
        }
        for exchange in exchanges {
            for key in subscription.binding_keys() {
                let bind = QueueBindOptions::default();
                let source = ShortString::from(exchange.as_str());
                channel
                    .queue_bind(queue.clone(), source, key.into(), bind, FieldTable::default())
                    .await?;
            }
        }
        Ok(())
    }
}
