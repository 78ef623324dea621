//! What the parts of a channel mean together, and channels beside one another.

use std::time::Duration;

use crate::config::acknowledge::When;
use crate::config::channel::{Channel, Processing, UnknownType};
use crate::config::check::Check;
use crate::config::listener::{Listener, Mllp};
use crate::config::model::Environment;
use crate::config::tree::Place;

/// How long senders usually wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl<'a> Check<'a> {
    /// The place of a channel's key: `listener.mllp.listen`, `accept.senders.2`.
    pub(super) fn said(&self, channel: &str, key: &str) -> &'a Place {
        let path: Vec<&str> = ["channels", channel].into_iter().chain(key.split('.')).collect();
        self.at(&path)
    }

    pub(super) fn channel(&mut self, name: &str, channel: &Channel) {
        self.name("channels", "channel", name);
        let Listener::Mllp(mllp) = &channel.listener;
        self.mllp(name, mllp);
        self.test_data(name, channel);
        if channel.accept.unknown_type == UnknownType::Reject && channel.accept.types.is_empty() {
            let place = self.said(name, "accept.unknown_type");
            let message = "no type is unknown where every type is expected";
            self.warning(place, message, "name the expected ones below `types:`");
        }
        self.acknowledge(name, channel);
        self.senders(name, channel);
        self.identifiers(name, channel);
        self.duplicates(name, channel);
        self.expect(name, channel);
    }

    fn test_data(&mut self, name: &str, channel: &Channel) {
        if channel.source.test_data && self.config.engine.environment == Environment::Live {
            let place = self.said(name, "source.test_data");
            let message = "test data in a live environment could key an event with a test number";
            self.error(place, message, "take it out, or write `environment: test` below `engine:`");
        }
        for (at, processing) in (1..).zip(&channel.accept.processing) {
            if *processing == Processing::P || channel.source.test_data {
                continue;
            }
            let place = self.said(name, &format!("accept.processing.{at}"));
            let code = processing.code();
            let message = format!("`{code}` is taken only where the source sends test data");
            let help = "write `test_data: true` below `source:`, or take it out";
            self.error(place, message, help);
        }
        if channel.accept.processing.is_empty() {
            let place = self.said(name, "accept.processing");
            self.error(place, "no message can be accepted", "write [P], or take it out");
        }
    }

    fn mllp(&mut self, name: &str, mllp: &Mllp) {
        let frame = self.said(name, "listener.mllp.max_frame");
        let (largest, buffers) = (mllp.max_frame, self.config.engine.limits.buffers);
        if largest > buffers {
            let message = format!(
                "one frame of {largest} does not fit in the {buffers} of `engine.limits.buffers`"
            );
            self.error(frame, message, "make the frame smaller or the buffers larger");
        } else if largest.bytes() < 1024 {
            self.error(frame, "a frame is at least 1 KiB", "write 32MiB, or take it out");
        }
        if mllp.connections == 0 {
            let place = self.said(name, "listener.mllp.connections");
            self.error(place, "no connection can be opened", "write 256, or take it out");
        }
        for (key, period, usual) in
            [("idle", mllp.idle, "10m"), ("write_timeout", mllp.write_timeout, "30s")]
        {
            if period.0.is_zero() {
                let place = self.said(name, &format!("listener.mllp.{key}"));
                let help = format!("write {usual}, or take it out");
                self.error(place, format!("`{key}` of nothing closes every connection"), help);
            }
        }
        if mllp.listen.collides(self.config.engine.console.listen) {
            let message = format!("the console listens on {} too", mllp.listen);
            let place = self.said(name, "listener.mllp.listen");
            self.error(place, message, "change one of the two ports");
        }
    }

    fn acknowledge(&mut self, name: &str, channel: &Channel) {
        let said = &channel.acknowledge;
        if said.when == When::Stored {
            return;
        }
        let place = self.said(name, "acknowledge.within");
        if said.within.0.is_zero() {
            let help = "write 5s, or `when: stored`";
            self.error(place, "`within` of nothing waits for nothing", help);
        } else if said.within.0 >= PATIENCE {
            let message = "most senders give up after 30s and send again";
            self.warning(place, message, "write less than the sender waits, such as 5s");
        }
    }

    fn senders(&mut self, name: &str, channel: &Channel) {
        let Listener::Mllp(mllp) = &channel.listener;
        if channel.accept.senders.is_empty() && !mllp.listen.0.ip().is_loopback() {
            let place = self.key(&["channels", name, "accept"]);
            let message = "anybody who can reach the port may send as anybody";
            self.warning(
                place,
                message,
                "name who may, below `accept:`, as in `senders: [PAS/RXX01]`",
            );
        }
        let source = &channel.source;
        let ours = |code: &str| {
            code.starts_with(source.organisation.as_str())
                || source.sites.iter().chain(&source.site).any(|site| site.as_str() == code)
        };
        for (at, sender) in (1..).zip(&channel.accept.senders) {
            let Some(facility) = sender.facility.as_deref().filter(|code| !ours(code)) else {
                continue;
            };
            let place = self.said(name, &format!("accept.senders.{at}"));
            let message = format!(
                "every message from {sender} would park as site.unknown: {facility} is no site of {}",
                source.organisation
            );
            self.warning(place, message, format!("add {facility} to `sites:` below `source:`"));
        }
    }

    fn identifiers(&mut self, name: &str, channel: &Channel) {
        let local = &channel.identity.local;
        for (at, one) in local.iter().enumerate() {
            let place = self.said(name, &format!("identity.local.{}", at + 1));
            let before = &local[..at];
            if before
                .iter()
                .any(|other| other.authority == one.authority && other.r#type == one.r#type)
            {
                let message = format!("{} of {} is said twice", one.r#type, one.authority);
                self.warning(place, message, "take one of them out");
            } else if one.default
                && before.iter().any(|other| other.default && other.r#type == one.r#type)
            {
                let message = format!("two defaults for identifiers of type {}", one.r#type);
                self.error(place, message, "leave `default: true` at one of them");
            }
            if one.authority.is_empty() || one.r#type.is_empty() {
                let help = "write what stands in CX.4 and CX.5, such as RXX01 and MR";
                self.error(place, "an identifier needs an authority and a type", help);
            }
        }
        if channel.identity.nhs_number.trust.is_empty() {
            let place = self.said(name, "identity.nhs_number.trust");
            let message = "no NHS Number with a status will key an event";
            self.warning(
                place,
                message,
                "write [\"01\"] if numbers that are present and verified should",
            );
        }
    }

    /// Channels that share a listener agree about it, and each can be reached.
    pub(super) fn listeners(&mut self) {
        let channels: Vec<(&str, &Channel)> = self.config.channels.iter().collect();
        for (at, (name, channel)) in channels.iter().enumerate() {
            let Listener::Mllp(ours) = &channel.listener;
            for (other_name, other) in &channels[..at] {
                let Listener::Mllp(theirs) = &other.listener;
                if !ours.listen.collides(theirs.listen) {
                    continue;
                }
                let place = self.said(name, "listener.mllp.listen");
                if ours.listen != theirs.listen {
                    let message = format!(
                        "{} takes the port from {} of `{other_name}`",
                        ours.listen, theirs.listen
                    );
                    self.error(place, message, "write the same address in both, or another port");
                } else if ours != theirs {
                    let message = format!("`{other_name}` has other settings for {}", ours.listen);
                    self.error(place, message, "channels that share a listener say the same of it");
                } else if hides(other, channel) {
                    let message =
                        format!("`{other_name}` accepts every message before this channel can");
                    self.error(
                        place,
                        message,
                        "let `senders` or `types` tell the two apart, or put this one first",
                    );
                }
            }
        }
    }
}

/// Whether everything the second channel accepts is accepted by the first.
fn hides(first: &Channel, second: &Channel) -> bool {
    let (ours, theirs) = (&first.accept, &second.accept);
    let senders = ours.senders.is_empty()
        || (!theirs.senders.is_empty()
            && theirs.senders.iter().all(|t| ours.senders.iter().any(|o| o.covers(t))));
    let types = ours.types.is_empty()
        || (!theirs.types.is_empty()
            && theirs.types.iter().all(|t| ours.types.iter().any(|o| o.covers(t))));
    senders && types
}

#[cfg(test)]
mod tests {
    use crate::config::load::tests::{FEED, problems};

    fn changed(from: &str, to: &str) -> Vec<String> {
        assert!(FEED.contains(from), "{from}");
        problems(&FEED.replace(from, to))
    }

    /// A second channel, with the given listener and accept rules.
    fn beside(listener: &str, accept: &str) -> Vec<String> {
        let second = format!(
            "  second: {{ listener: {{ mllp: {{ {listener} }} }}, accept: {{ {accept} }}, \
             source: {{ organisation: RXX }}, transform: {{ script: x.rhai }} }}\n"
        );
        problems(&format!("{FEED}{second}"))
    }

    #[test]
    fn test_data_has_no_place_in_a_live_environment() {
        let found = changed("organisation: RXX", "organisation: RXX, test_data: true");
        assert!(found[0].contains("test data in a live environment"), "{found:?}");
        let found = changed("types: [ADT]", "processing: [P, T]");
        assert!(found[0].contains("`T` is taken only where"), "{found:?}");
    }

    #[test]
    fn a_frame_must_fit_in_the_buffers() {
        let found = changed("listen: 127.0.0.1:2575", "listen: 127.0.0.1:2575, max_frame: 1GiB");
        assert!(found[0].contains("one frame of 1GiB does not fit in the 256MiB"), "{found:?}");
        let found = changed("listen: 127.0.0.1:2575", "listen: 127.0.0.1:2575, idle: 0s");
        assert!(found[0].contains("`idle` of nothing"), "{found:?}");
    }

    #[test]
    fn no_two_listeners_take_the_same_port() {
        let found = changed("127.0.0.1:2575", "0.0.0.0:8080");
        assert!(found.iter().any(|found| found.contains("the console listens on")), "{found:?}");
        let found = beside("listen: 0.0.0.0:2575", "types: [ORU], senders: [A/RXX]");
        assert!(found[0].contains("takes the port from 127.0.0.1:2575 of `pas`"), "{found:?}");
    }

    #[test]
    fn channels_that_share_a_listener_agree_and_can_each_be_reached() {
        assert_eq!(beside("listen: 127.0.0.1:2575", "types: [ORU]"), [""; 0]);
        let found = beside("listen: 127.0.0.1:2575, idle: 1m", "types: [ORU]");
        assert!(found[0].contains("`pas` has other settings"), "{found:?}");
        let found = beside("listen: 127.0.0.1:2575", "types: [ADT^A08], senders: [PAS/RXX01]");
        assert!(found[0].contains("`pas` accepts every message before"), "{found:?}");
        assert_eq!(beside("listen: 127.0.0.1:2575", "types: [ADT, ORU]"), [""; 0]);
    }

    #[test]
    fn a_sender_from_elsewhere_would_only_park() {
        let found = changed("senders: [\"PAS/*\"]", "senders: [PAS/RYY01]");
        assert!(found[0].contains("would park as site.unknown"), "{found:?}");
        let known = changed("organisation: RXX", "organisation: RXX, sites: [RYY01]");
        assert_eq!(known, [""; 0]);
    }

    #[test]
    fn anybody_may_send_only_from_this_machine() {
        let found = changed("127.0.0.1:2575", "0.0.0.0:2575");
        assert_eq!(found, [""; 0]);
        let open =
            FEED.replace("127.0.0.1:2575", "0.0.0.0:2575").replace("senders: [\"PAS/*\"], ", "");
        assert!(problems(&open)[0].contains("may send as anybody"));
    }

    #[test]
    fn an_identifier_has_one_default_and_is_said_once() {
        let local = "identity: { local: [{ authority: A, type: MR, default: true }, \
                     { authority: B, type: MR, default: true }, { authority: A, type: MR }, \
                     { authority: \"\", type: PI }] }, transform:";
        let found = changed("transform:", local);
        assert_eq!(found.len(), 3, "{found:#?}");
    }
}
