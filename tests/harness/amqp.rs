//! The broker as a story sees it: names of its own, look into queues, take bindings away.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Connection, ConnectionProperties, ExchangeKind};
use tokio::runtime::Runtime;

use super::SOON;

/// One story's view of a broker. What carries one of its names is deleted with it.
pub(crate) struct TestBroker {
    // Fields are dropped in order: the connection before the runtime it lives on.
    channel: lapin::Channel,
    connection: Connection,
    runtime: Runtime,
    url: String,
    prefix: String,
    names: RefCell<Vec<String>>,
}

impl TestBroker {
    /// The broker of this run.
    pub(crate) fn shared() -> Self {
        let url = std::env::var("TIELINE_TEST_AMQP_URL").expect(
            "TIELINE_TEST_AMQP_URL names a RabbitMQ; `cargo xtask test` or `cargo xtask broker` has one",
        );
        Self::at(&url)
    }

    pub(crate) fn at(url: &str) -> Self {
        static STORIES: AtomicU32 = AtomicU32::new(1);
        let story = STORIES.fetch_add(1, Ordering::Relaxed);
        let runtime = Runtime::new().expect("a runtime");
        let (connection, channel) = runtime.block_on(async {
            let connection = Connection::connect(url, ConnectionProperties::default())
                .await
                .unwrap_or_else(|error| panic!("the test broker does not answer: {error}"));
            let channel = connection.create_channel().await.expect("a channel");
            (connection, channel)
        });
        let prefix = format!("test-{}-{story}", std::process::id());
        let (url, names) = (url.to_owned(), RefCell::default());
        Self { channel, connection, runtime, url, prefix, names }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A name for an exchange or a queue that no other story has.
    pub(crate) fn name(&self, what: &str) -> String {
        let name = format!("{}-{what}", self.prefix);
        self.names.borrow_mut().push(name.clone());
        name
    }

    /// Keeps what was declared under our names.
    pub(crate) fn leave_behind(&self) {
        self.names.borrow_mut().clear();
    }

    pub(crate) fn declare_exchange(&self, exchange: &str) {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let (exchange, kind) = (ShortString::from(exchange), ExchangeKind::Topic);
        let declare = self.channel.exchange_declare(exchange, kind, options, FieldTable::default());
        self.runtime.block_on(declare).expect("the exchange can be declared");
    }

    /// A durable queue of the plain kind.
    pub(crate) fn declare_queue(&self, queue: &str) {
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        let declare = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        self.runtime.block_on(declare).expect("the queue can be declared");
    }

    pub(crate) fn bind(&self, queue: &str, exchange: &str, key: &str) {
        let (options, none) = (QueueBindOptions::default(), FieldTable::default());
        let bind =
            self.channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none);
        self.runtime.block_on(bind).expect("the queue can be bound");
    }

    pub(crate) fn unbind(&self, queue: &str, exchange: &str, key: &str) {
        let none = FieldTable::default();
        let unbind = self.channel.queue_unbind(queue.into(), exchange.into(), key.into(), none);
        self.runtime.block_on(unbind).expect("the binding can be removed");
    }

    pub(crate) fn delete_queue(&self, queue: &str) {
        let delete = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        self.runtime.block_on(delete).expect("the queue can be deleted");
    }

    pub(crate) fn delete_exchange(&self, exchange: &str) {
        let delete =
            self.channel.exchange_delete(exchange.into(), ExchangeDeleteOptions::default());
        self.runtime.block_on(delete).expect("the exchange can be deleted");
    }

    /// How many messages are ready in a queue that must exist.
    pub(crate) fn count(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        let look = self.channel.queue_declare(queue.into(), options, FieldTable::default());
        self.runtime.block_on(look).expect("the queue exists").message_count()
    }

    /// Puts a persistent message into a queue; returns when the broker has it.
    pub(crate) fn put(&self, queue: &str, body: &[u8]) {
        self.runtime.block_on(async {
            self.channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
            let (options, persistent) = (
                BasicPublishOptions { mandatory: true, ..Default::default() },
                BasicProperties::default().with_delivery_mode(2),
            );
            let publish =
                self.channel.basic_publish("".into(), queue.into(), options, body, persistent);
            let confirmed = publish.await.expect("published").await.expect("confirmed");
            assert!(matches!(confirmed, lapin::Confirmation::Ack(None)), "{confirmed:?}");
        });
    }

    /// Takes the next message out of a queue, if there is one.
    pub(crate) fn take(&self, queue: &str) -> Option<Delivery> {
        self.runtime.block_on(async {
            let got = self.channel.basic_get(queue.into(), BasicGetOptions::default());
            let delivery = got.await.expect("the queue exists")?.delivery;
            delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
            Some(delivery)
        })
    }

    /// Takes messages until there are `count` of them, in order. By a consumer, because a quorum
    /// queue with a single active consumer gives nothing away otherwise.
    pub(crate) fn take_all(&self, queue: &str, count: usize, within: Duration) -> Vec<Delivery> {
        let taking = async {
            let tag = ShortString::from(format!("{queue}-taker"));
            let options = BasicConsumeOptions::default();
            let none = FieldTable::default();
            let consume = self.channel.basic_consume(queue.into(), tag.clone(), options, none);
            let mut consumer = consume.await.expect("the queue exists");
            let mut taken = Vec::new();
            while taken.len() < count {
                let delivery = consumer.next().await.expect("more to come").expect("a delivery");
                delivery.ack(BasicAckOptions::default()).await.expect("acknowledged");
                taken.push(delivery);
            }
            let cancel = self.channel.basic_cancel(tag, BasicCancelOptions::default());
            cancel.await.expect("the consumer can go");
            taken
        };
        let taken = self.runtime.block_on(async { tokio::time::timeout(within, taking).await });
        taken.unwrap_or_else(|_| panic!("no {count} messages in {queue} within {within:?}"))
    }
}

impl Drop for TestBroker {
    fn drop(&mut self) {
        let names = self.names.take();
        let tidy = async {
            for name in names {
                // Deleting what is not there is no error to RabbitMQ; a broker that a story has
                // ended has nothing to delete.
                let name = ShortString::from(name);
                let (queue, exchange) = <(QueueDeleteOptions, ExchangeDeleteOptions)>::default();
                let _gone = self.channel.queue_delete(name.clone(), queue).await;
                let _gone = self.channel.exchange_delete(name, exchange).await;
            }
            let _gone = self.connection.close(200, "done".into()).await;
        };
        let _late = self.runtime.block_on(async { tokio::time::timeout(SOON, tidy).await });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_to_a_bound_queue_is_taken_in_order() {
        let broker = TestBroker::shared();
        assert!(broker.url().starts_with("amqp"));
        let (exchange, queue) = (broker.name("events"), broker.name("portal"));
        broker.declare_exchange(&exchange);
        broker.declare_queue(&queue);
        broker.bind(&queue, &exchange, "RXX.#");
        broker.unbind(&queue, &exchange, "RXX.#");
        broker.put(&queue, b"one");
        broker.put(&queue, b"two");
        assert_eq!(broker.count(&queue), 2);
        let taken = broker.take_all(&queue, 2, SOON);
        assert_eq!([&taken[0].data[..], &taken[1].data[..]], [b"one", b"two"]);
        assert!(broker.take(&queue).is_none());
        broker.delete_queue(&queue);
        broker.delete_exchange(&exchange);
    }

    #[test]
    fn two_stories_have_different_names() {
        let (one, other) = (TestBroker::shared(), TestBroker::shared());
        assert_ne!(one.name("events"), other.name("events"));
    }
}
