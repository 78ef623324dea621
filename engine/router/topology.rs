//! What the broker must hold: exchanges, one queue per subscriber, their bindings.

use std::collections::BTreeSet;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Connection, ErrorKind, ExchangeKind};

use crate::bindings::Binding;
use crate::routes::{Routes, Subscription};

/// Names and subscribers, as channels.yaml gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
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

    /// Every binding that should stand.
    pub fn bindings(&self) -> BTreeSet<Binding> {
        self.routes
            .subscriptions
            .iter()
            .flat_map(|subscription| self.bindings_of(subscription))
            .collect()
    }

    fn bindings_of(&self, subscription: &Subscription) -> Vec<Binding> {
        let restricted = subscription.restricted.then(|| self.restricted_exchange());
        let exchanges: Vec<String> =
            [self.exchange.clone()].into_iter().chain(restricted).collect();
        let keys = subscription.binding_keys();
        let pairs =
            exchanges.iter().flat_map(|exchange| keys.iter().map(move |key| (exchange, key)));
        pairs
            .map(|(exchange, key)| Binding {
                exchange: exchange.clone(),
                queue: subscription.queue.clone(),
                key: key.clone(),
            })
            .collect()
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
        for Binding { exchange, queue, key } in self.bindings_of(subscription) {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none).await?;
        }
        if !subscription.restricted {
            // It may have been entitled once; removing what is not there is no error.
            for key in subscription.binding_keys() {
                let (restricted, none) = (self.restricted_exchange().into(), FieldTable::default());
                channel.queue_unbind(queue.clone(), restricted, key.into(), none).await?;
            }
        }
        Ok(())
    }
}

/// Removes bindings; gives back those that are gone. One that the broker will not remove, or whose
/// queue or exchange is not there, closes its AMQP channel: each has its own.
pub(crate) async fn unbind(
    connection: &Connection,
    unwanted: Vec<Binding>,
) -> lapin::Result<Vec<Binding>> {
    let mut gone = Vec::new();
    for binding in unwanted {
        let channel = connection.create_channel().await?;
        let Binding { exchange, queue, key } = binding.clone();
        let none = FieldTable::default();
        match channel.queue_unbind(queue.into(), exchange.into(), key.into(), none).await {
            Ok(()) => {
                channel.close(200, "done".into()).await?;
                gone.push(binding);
            }
            Err(error) if is_not_found(&error) => gone.push(binding),
            Err(error) if refusal(&error).is_some() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(gone)
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(said)
        if *said.kind() == AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::Pattern;

    #[test]
    fn only_the_entitled_are_bound_to_the_restricted_exchange() {
        let subscription = |name: &str, restricted| Subscription {
            name: name.into(),
            queue: name.into(),
            receives: vec![Pattern::new("encounter.*")],
            from: Vec::new(),
            restricted,
        };
        let subscriptions = vec![subscription("portal", false), subscription("records", true)];
        let topology = Topology { exchange: "events".into(), routes: Routes { subscriptions } };
        let bound: Vec<String> = topology
            .bindings()
            .into_iter()
            .map(|binding| format!("{} > {} {}", binding.exchange, binding.queue, binding.key))
            .collect();
        assert_eq!(
            bound,
            [
                "events > portal *.encounter.*.*",
                "events > records *.encounter.*.*",
                "events.restricted > records *.encounter.*.*",
            ]
        );
    }
}
