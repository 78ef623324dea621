//! What the parts of a configuration mean together: everything that one value alone cannot show.

use std::collections::BTreeMap;

use jiff::Timestamp;
use record::catalogue;

use crate::config::later;
use crate::config::model::{Broker, Config};
use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::subscriber::Subscriber;
use crate::config::tree::{Node, Place};

/// Adds every problem. `complete` says that nothing was left out of `config` because it was wrong.
pub(super) fn check(config: &Config, tree: &Node, complete: bool, problems: &mut Vec<Problem>) {
    let mut check = Check { config, tree, complete, problems };
    check.engine();
    check.broker();
    for (name, channel) in config.channels.iter() {
        check.channel(name, channel);
    }
    check.listeners();
    for (name, subscriber) in config.subscribers.iter() {
        check.subscriber(name, subscriber);
        check.entitlements(name, subscriber, Timestamp::now());
        check.deliver(name, subscriber);
    }
    check.queues();
    check.alerts();
    later::warn(config, tree, problems);
}

/// One pass over a configuration.
pub(super) struct Check<'a> {
    pub(super) config: &'a Config,
    tree: &'a Node,
    complete: bool,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Check<'a> {
    pub(super) fn at(&self, path: &[&str]) -> &'a Place {
        self.tree.value_place(path)
    }

    pub(super) fn key(&self, path: &[&str]) -> &'a Place {
        self.tree.place_of(path)
    }

    pub(super) fn error(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::error(place, message).help(help));
    }

    pub(super) fn warning(
        &mut self,
        place: &Place,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.problems.push(Problem::warning(place, message).help(help));
    }

    fn engine(&mut self) {
        if self.complete && self.config.channels.is_empty() {
            let help = "add at least one below `channels:`";
            self.error(self.key(&["channels"]), "the configuration has no channel", help);
        }
        let limits = &self.config.engine.limits;
        let place = self.at(&["engine", "limits", "script_operations"]);
        if limits.script_operations == 0 {
            self.error(
                place,
                "a script with no operations can do nothing",
                "write 500000, or take it out",
            );
        }
        if self.config.engine.journal.volume.bytes() < 1 << 20 {
            let place = self.at(&["engine", "journal", "volume"]);
            self.error(
                place,
                "a volume of the journal is at least 1 MiB",
                "write 64MiB, or take it out",
            );
        }
        let namespace = &self.config.events.namespace;
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if !namespace.split('.').all(label) {
            let place = self.at(&["events", "namespace"]);
            let message = format!("`{namespace}` is not a namespace");
            self.error(
                place,
                message,
                "write lower-case words with full stops, such as uk.nhs.sharedrecord",
            );
        }
    }

    fn broker(&mut self) {
        let Some(Broker::Amqp(amqp)) = &self.config.broker else { return };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        if amqp.exchange.is_empty()
            || amqp.exchange.len() > 200
            || !amqp.exchange.bytes().all(plain)
        {
            let place = self.at(&["broker", "amqp", "exchange"]);
            self.error(
                place,
                "this cannot name an exchange",
                "write letters, digits, `-`, `_`, `.` and `:`",
            );
        }
        let seconds = amqp.heartbeat.0.as_secs();
        if amqp.heartbeat.0.subsec_nanos() != 0 || !(1..=600).contains(&seconds) {
            let place = self.at(&["broker", "amqp", "heartbeat"]);
            self.error(place, "a heartbeat is 1 to 600 whole seconds", "write 10s, or take it out");
        }
        if self.config.subscribers.is_empty() && self.complete {
            let message = "no subscriber: every event is published to nobody";
            self.warning(self.key(&["broker"]), message, "name them below `subscribers:`");
        }
    }

    fn subscriber(&mut self, name: &str, subscriber: &Subscriber) {
        self.name("subscribers", "subscriber", name);
        if subscriber.receives.is_empty() {
            let place = self.at(&["subscribers", name, "receives"]);
            self.error(
                place,
                "a subscriber that receives nothing",
                "write [\"*\"] for every event",
            );
        }
        let types: Vec<&str> = catalogue::all().iter().map(|event| event.name).collect();
        for (at, pattern) in (1..).zip(&subscriber.receives) {
            if types.iter().any(|event| pattern.matches(event)) {
                continue;
            }
            let at = at.to_string();
            let place = self.at(&["subscribers", name, "receives", &at]);
            let text = pattern.to_string();
            let help = match nearest(&text, types.iter().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`tieline schema --event NAME` knows them, docs/event-types.md lists them"
                    .to_owned(),
            };
            self.error(place, format!("no event is called `{text}`"), help);
        }
        let known: Vec<&str> = self
            .config
            .channels
            .iter()
            .map(|(_, channel)| channel.source.organisation.as_str())
            .collect();
        for (at, from) in (1..).zip(&subscriber.from) {
            if self.complete && !known.contains(&from.as_str()) {
                let at = at.to_string();
                let place = self.at(&["subscribers", name, "from", &at]);
                let help = format!("channels speak for {}", known.join(", "));
                self.warning(place, format!("no channel speaks for {from}"), help);
            }
        }
    }

    fn queues(&mut self) {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (name, subscriber) in self.config.subscribers.iter() {
            let Some(queue) = subscriber.queue(name) else { continue };
            if queue.is_empty() || queue.len() > 255 {
                let place = self.at(&["subscribers", name, "queue"]);
                self.error(
                    place,
                    "the name of a queue has 1 to 255 bytes",
                    "write another, or take it out",
                );
            }
            if let Some(other) = seen.insert(queue, name) {
                let place = self.at(&["subscribers", name, "queue"]);
                let message =
                    format!("`{other}` has the same queue: each would take events from the other");
                self.error(place, message, "give each its own, or take `queue` out");
            }
        }
    }

    /// Names stand in metrics, queues and folders.
    pub(super) fn name(&mut self, section: &str, noun: &str, name: &str) {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if name.is_empty() || name.len() > 64 || name.starts_with('-') || !name.bytes().all(plain) {
            let place = self.key(&[section, name]);
            let message = format!("`{name}` cannot name a {noun}");
            self.error(
                place,
                message,
                "write lower-case letters, digits and hyphens, such as pas-adt",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::{FEED, problems};

    fn with(more: &str) -> Vec<String> {
        problems(&format!("{more}\n{FEED}"))
    }

    #[test]
    fn a_subscriber_hears_of_events_that_exist_from_organisations_that_speak() {
        let found = with(
            "subscribers: { portal: { receives: [encounter.admited, \"result.*\"], from: [RYY] } }",
        );
        assert_eq!(
            found,
            [
                "1:37 no event is called `encounter.admited` [did you mean `encounter.admitted`?]",
                "1:76 no channel speaks for RYY [channels speak for RXX]",
            ]
        );
    }

    #[test]
    fn two_subscribers_cannot_share_a_queue() {
        let found = with(
            "subscribers: { a: { receives: [\"*\"], queue: tieline.b }, b: { receives: [\"*\"] } }",
        );
        assert!(found[0].contains("`a` has the same queue"), "{found:?}");
    }

    #[test]
    fn names_and_namespaces_are_plain() {
        assert!(with("events: { namespace: Uk.NHS }")[0].contains("is not a namespace"));
        let found = with("subscribers: { The_Portal: { receives: [\"*\"] } }");
        assert!(found[0].starts_with("1:16 `The_Portal` cannot name a subscriber"), "{found:?}");
    }

    #[test]
    fn a_configuration_without_a_channel_cannot_run() {
        assert!(problems("engine: { environment: test }")[0].contains("has no channel"));
        // The channel that is there, and wrong, is not also missing.
        assert_eq!(problems("channels: { x: { listener: 5 } }").len(), 3);
    }

    #[test]
    fn a_broker_with_nobody_to_hear_is_odd() {
        let found = with("broker: { amqp: { url: \"amqp://rabbit:5672/\", heartbeat: 500ms } }");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|found| found.contains("no subscriber")));
        assert!(found.iter().any(|found| found.contains("1 to 600 whole seconds")));
    }

    #[test]
    fn what_is_not_yet_in_force_is_said_aloud() {
        let hub = "subscribers: { hub: { receives: [\"*\"], deliver: { mllp: x } } }";
        let found = with(hub);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].contains("`mllp` is not yet in force"), "{found:?}");
        let feed = "identity: { teaches: true, merges: automatic }";
        assert_eq!(problems(&FEED.replace("transform:", &format!("{feed}, transform:"))), [""; 0]);
    }
}
