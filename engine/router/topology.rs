//! What the broker must hold: exchanges, one queue per subscriber, their bindings.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPErrorKind;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Connection, ErrorKind, ExchangeKind};

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

    /// Declares everything; harmless when it stands already. Gives back the subscribers whose queue
    /// the broker holds differently: a person must decide between the two.
    ///
    /// Each queue has a channel of its own, since a difference closes the channel.
    pub async fn declare(&self, connection: &Connection) -> lapin::Result<Vec<Difference>> {
        let channel = connection.create_channel().await?;
        for exchange in [self.exchange.clone(), self.restricted_exchange()] {
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let none = FieldTable::default();
            channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, none).await?;
        }
        channel.close(200, "done".into()).await?;
        let mut differences = Vec::new();
        for subscription in &self.routes.subscriptions {
            let channel = connection.create_channel().await?;
            match self.declare_subscriber(&channel, subscription).await {
                Ok(()) => channel.close(200, "done".into()).await?,
                Err(error) => {
                    let detail = refusal(&error).ok_or(error)?;
                    differences.push(Difference { subscription: subscription.clone(), detail });
                }
            }
        }
        Ok(differences)
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
        let restricted = ShortString::from(self.restricted_exchange());
        for key in subscription.binding_keys() {
            let key = ShortString::from(key);
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            let exchange = ShortString::from(self.exchange.as_str());
            channel.queue_bind(queue.clone(), exchange, key.clone(), options, none.clone()).await?;
            if subscription.restricted {
                channel.queue_bind(queue.clone(), restricted.clone(), key, options, none).await?;
            } else {
                // It may have been entitled once; removing what is not there is no error.
                channel.queue_unbind(queue.clone(), restricted.clone(), key, none).await?;
            }
        }
        Ok(())
    }
}

/// A subscriber whose queue is not what channels.yaml asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whose.
    pub subscription: Subscription,
    /// The broker's own words, which name the queue and the difference.
    pub detail: String,
}

/// The broker's words when it refused one part and the connection lives.
fn refusal(error: &lapin::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if matches!(refusal.kind(), AMQPErrorKind::Soft(_)) => {
            Some(refusal.get_message().to_string())
        }
        _ => None,
    }
}
