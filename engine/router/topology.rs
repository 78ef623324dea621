//! What the broker must hold: exchanges, one queue per subscriber, their bindings.

use std::collections::BTreeSet;

use jiff::Timestamp;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Connection, ErrorKind, ExchangeKind};
use record::marks::{Exchange, Marks};

use crate::bindings::Binding;
use crate::routes::{Routes, Subscription};

/// Names and subscribers, as channels.yaml gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Topic exchange of ordinary events; for the others see [`Topology::exchange_of`].
    pub exchange: String,
    /// Who gets what.
    pub routes: Routes,
}

impl Topology {
    /// Where events leave: sensitive ones, and those that do not happen now, have exchanges of their
    /// own, where nothing else goes.
    pub fn exchange_of(&self, kind: Exchange) -> String {
        match kind {
            Exchange::Ordinary => self.exchange.clone(),
            Exchange::Restricted => format!("{}.restricted", self.exchange),
            Exchange::Bulk => format!("{}.bulk", self.exchange),
        }
    }

    /// Every binding that should stand now.
    pub fn bindings(&self, now: Timestamp) -> BTreeSet<Binding> {
        let each = self.routes.subscriptions.iter();
        each.flat_map(|subscription| self.bindings_of(subscription, subscription.may(now)))
            .collect()
    }

    /// The bindings of a subscriber that may have events with these marks.
    fn bindings_of(&self, subscription: &Subscription, may: Marks) -> Vec<Binding> {
        let Some(queue) = &subscription.queue else { return Vec::new() };
        let bound = may.covered().flat_map(|marks| {
            let exchange = self.exchange_of(marks.exchange());
            subscription.binding_keys(marks).into_iter().map(move |key| Binding {
                exchange: exchange.clone(),
                queue: queue.clone(),
                key,
            })
        });
        bound.collect()
    }

    /// Declares everything; harmless when it stands already. Gives back the subscribers whose queue
    /// the broker holds differently: a person must decide between the two.
    ///
    /// Each queue has a channel of its own, since a difference closes the channel. `thorough` also
    /// removes what a subscriber may not have, whether this engine remembers to have bound it or not.
    pub async fn declare(
        &self,
        connection: &Connection,
        now: Timestamp,
        thorough: bool,
    ) -> lapin::Result<Vec<Difference>> {
        let channel = connection.create_channel().await?;
        for kind in [Exchange::Ordinary, Exchange::Restricted, Exchange::Bulk] {
            let exchange = self.exchange_of(kind);
            let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
            let none = FieldTable::default();
            channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, none).await?;
        }
        channel.close(200, "done".into()).await?;
        let mut differences = Vec::new();
        for subscription in &self.routes.subscriptions {
            let Some(queue) = &subscription.queue else { continue };
            let channel = connection.create_channel().await?;
            let may = subscription.may(now);
            match self.declare_subscriber(&channel, subscription, queue, may, thorough).await {
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
        queue: &str,
        may: Marks,
        thorough: bool,
    ) -> lapin::Result<()> {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
        channel.queue_declare(ShortString::from(queue), options, arguments).await?;
        let wanted: BTreeSet<Binding> = self.bindings_of(subscription, may).into_iter().collect();
        if thorough {
            // It may have been entitled once; removing what is not there is no error.
            let all = self.bindings_of(subscription, Marks::ALL);
            for Binding { exchange, queue, key } in all.into_iter().filter(|b| !wanted.contains(b))
            {
                let none = FieldTable::default();
                channel.queue_unbind(queue.into(), exchange.into(), key.into(), none).await?;
            }
        }
        for Binding { exchange, queue, key } in wanted {
            let (options, none) = (QueueBindOptions::default(), FieldTable::default());
            channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none).await?;
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
    use crate::entitlement::Entitlement;
    use crate::routes::Pattern;

    #[test]
    fn only_the_entitled_are_bound_to_the_restricted_exchange() {
        let subscription = |name: &str, sees: Option<Marks>| Subscription {
            organisation: Some("RXX".into()),
            entitlements: sees
                .map(|mark| Entitlement { mark, sees: "x", until: Timestamp::MAX })
                .into_iter()
                .collect(),
            ..Subscription::new(name, Some(name.into()), vec![Pattern::new("encounter.*")])
        };
        let both = Marks { protected: true, dissent: true, ..Marks::NONE };
        let subscriptions = vec![
            subscription("portal", None),
            subscription("records", Some(both)),
            Subscription { bulk: true, ..subscription("warehouse", None) },
            Subscription { queue: None, ..subscription("hub", Some(both)) },
        ];
        let topology = Topology { exchange: "events".into(), routes: Routes { subscriptions } };
        let bound: Vec<String> = topology
            .bindings(Timestamp::UNIX_EPOCH)
            .into_iter()
            .map(|binding| format!("{} > {} {}", binding.exchange, binding.queue, binding.key))
            .collect();
        assert_eq!(
            bound,
            [
                "events > portal *.encounter.*.*",
                "events > records *.encounter.*.*",
                "events > warehouse *.encounter.*.*",
                "events.bulk > warehouse *.encounter.*.bulk",
                "events.restricted > records *.encounter.*.restricted",
                "events.restricted > records RXX.encounter.*.dissent",
                "events.restricted > records RXX.encounter.*.restricted-dissent",
            ]
        );
        let after = topology.bindings(Timestamp::MAX);
        assert!(!after.iter().any(|binding| binding.exchange == "events.restricted"));
    }
}
