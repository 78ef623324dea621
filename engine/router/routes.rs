//! Which subscribers should get an event: computed from channels.yaml, never asked of the broker.

use jiff::Timestamp;
use record::marks::Marks;

use crate::entitlement::{self, Entitlement};

/// A pattern of `receives`: `encounter.*`, `patient.registered`, `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Takes a pattern as written; `config::load` has checked that it can match something.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether `<entity>.<verb>` matches.
    pub fn matches(&self, entity: &str, verb: &str) -> bool {
        let (wanted_entity, wanted_verb) = self.0.split_once('.').unwrap_or((&self.0, "*"));
        (wanted_entity == "*" || wanted_entity == entity)
            && (wanted_verb == "*" || wanted_verb == verb)
    }

    /// The binding key for events of one organisation (`*` for any) and with that last word.
    fn binding_key(&self, organisation: &str, word: &str) -> String {
        let (entity, verb) = self.0.split_once('.').unwrap_or((&self.0, "*"));
        format!("{organisation}.{entity}.{verb}.{word}")
    }
}

/// One subscriber as the publisher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Name in channels.yaml.
    pub name: String,
    /// Its own durable queue; none where the engine delivers to it.
    pub queue: Option<String>,
    /// What it wants.
    pub receives: Vec<Pattern>,
    /// From which organisations; empty means any.
    pub from: Vec<String>,
    /// To which it belongs.
    pub organisation: Option<String>,
    /// Whether it also wants what does not happen now.
    pub bulk: bool,
    /// Which sensitive events it may have.
    pub entitlements: Vec<Entitlement>,
}

impl Subscription {
    /// One that gets ordinary events.
    pub fn new(name: &str, queue: Option<String>, receives: Vec<Pattern>) -> Self {
        Self {
            name: name.to_owned(),
            queue,
            receives,
            from: Vec::new(),
            organisation: None,
            bulk: false,
            entitlements: Vec::new(),
        }
    }

    /// The marks of events that it may have now.
    pub fn may(&self, now: Timestamp) -> Marks {
        let entitled = entitlement::in_force(&self.entitlements, now);
        Marks { bulk: self.bulk, ..entitled }
    }

    /// Whether an event with this routing key belongs to the subscriber now.
    pub fn wants(&self, key: &RoutingKey<'_>, now: Timestamp) -> bool {
        let own = self.organisation.as_deref() == Some(key.organisation);
        (self.from.is_empty() || self.from.iter().any(|ods| ods == key.organisation))
            && self.receives.iter().any(|pattern| pattern.matches(key.entity, key.verb))
            && self.may(now).cover(key.marks)
            && (own || !key.marks.dissent)
    }

    /// The keys that bind its queue to the exchange of events with these marks.
    pub fn binding_keys(&self, marks: Marks) -> Vec<String> {
        let any = [String::from("*")];
        let from = if self.from.is_empty() { &any[..] } else { &self.from[..] };
        let own = self.organisation.clone().into_iter();
        let own: Vec<String> =
            own.filter(|own| self.from.is_empty() || self.from.contains(own)).collect();
        let from = if marks.dissent { &own[..] } else { from };
        // Nothing else leaves by the first exchange.
        let word = if marks == Marks::NONE { "*".to_owned() } else { marks.word() };
        let pairs = from
            .iter()
            .flat_map(|ods| self.receives.iter().map(|pattern| pattern.binding_key(ods, &word)));
        pairs.collect()
    }
}

/// `<ods>.<entity>.<verb>.<marks>` taken apart.
#[derive(Clone, Copy, Debug)]
pub struct RoutingKey<'k> {
    organisation: &'k str,
    entity: &'k str,
    verb: &'k str,
    /// What its last word says.
    pub marks: Marks,
}

impl<'k> RoutingKey<'k> {
    /// Splits a key that the record made; a key of another shape matches no subscriber.
    pub fn parse(text: &'k str) -> Self {
        let mut parts = text.split('.');
        let mut next = || parts.next().unwrap_or_default();
        let (organisation, entity, verb) = (next(), next(), next());
        Self { organisation, entity, verb, marks: Marks::of_word(next()) }
    }
}

/// All subscribers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// In the order of channels.yaml.
    pub subscriptions: Vec<Subscription>,
}

/// How many subscribers should get an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All of them.
    pub subscribers: usize,
    /// Those who have a queue.
    pub queues: usize,
}

impl Routes {
    /// How many subscribers should get the event now.
    pub fn count(&self, routing_key: &str, now: Timestamp) -> Wanted {
        let key = RoutingKey::parse(routing_key);
        let mut wanted = Wanted::default();
        for subscription in self.subscriptions.iter().filter(|s| s.wants(&key, now)) {
            wanted.subscribers += 1;
            wanted.queues += usize::from(subscription.queue.is_some());
        }
        wanted
    }

    /// When the next entitlement ends.
    pub fn next_end(&self, now: Timestamp) -> Option<Timestamp> {
        let each = self.subscriptions.iter();
        each.filter_map(|one| entitlement::next_end(&one.entitlements, now)).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn subscription(receives: &[&str], from: &[&str], sees: Marks) -> Subscription {
        Subscription {
            from: from.iter().map(|ods| (*ods).to_owned()).collect(),
            entitlements: vec![Entitlement { mark: sees, sees: "x", until: Timestamp::MAX }],
            ..Subscription::new(
                "portal",
                Some("tieline.portal".into()),
                receives.iter().map(|text| Pattern::new(text)).collect(),
            )
        }
    }

    #[test]
    fn a_subscriber_gets_what_it_asked_for_and_nothing_else() {
        let portal = subscription(&["encounter.*", "patient.registered"], &["RXX"], Marks::NONE);
        let wants = |key: &str| portal.wants(&RoutingKey::parse(key), NOW);
        assert!(wants("RXX.encounter.admitted.normal"));
        assert!(wants("RXX.patient.registered.normal"));
        assert!(!wants("RXX.patient.updated.normal"));
        assert!(!wants("RYY.encounter.admitted.normal"));
        for word in
            ["restricted", "dissent", "safeguarding", "confidential", "bulk", "unheard-of", ""]
        {
            assert!(!wants(&format!("RXX.encounter.admitted.{word}")), "{word} is default-deny");
        }
    }

    #[test]
    fn an_event_with_two_marks_needs_both_and_dissent_stays_at_home() {
        let both = Marks { protected: true, dissent: true, ..Marks::NONE };
        let of = |organisation: Option<&str>| Subscription {
            organisation: organisation.map(str::to_owned),
            ..subscription(&["*"], &[], both)
        };
        let wants = |who: &Subscription, word: &str| {
            let key = format!("RXX.patient.updated.{word}");
            who.wants(&RoutingKey::parse(&key), NOW)
        };
        let (home, away, nowhere) = (of(Some("RXX")), of(Some("RYY")), of(None));
        for who in [&home, &away, &nowhere] {
            assert!(wants(who, "restricted") && wants(who, "normal"));
            assert!(!wants(who, "restricted-safeguarding") && !wants(who, "bulk"));
        }
        assert!(wants(&home, "dissent") && wants(&home, "restricted-dissent"));
        for who in [&away, &nowhere] {
            assert!(!wants(who, "dissent") && !wants(who, "restricted-dissent"));
        }
    }

    #[test]
    fn what_has_ended_is_not_in_force() {
        let protected = Marks { protected: true, ..Marks::NONE };
        let mut portal = subscription(&["*"], &[], protected);
        portal.entitlements[0].until = NOW;
        assert!(!portal.wants(&RoutingKey::parse("RXX.patient.updated.restricted"), NOW));
        portal.entitlements[0].until = "1970-01-01T00:00:01Z".parse().expect("a moment");
        assert!(portal.wants(&RoutingKey::parse("RXX.patient.updated.restricted"), NOW));
        let routes = Routes { subscriptions: vec![portal] };
        assert_eq!(routes.next_end(NOW), "1970-01-01T00:00:01Z".parse().ok());
    }

    /// Whether a topic exchange would bring an event with that routing key by that binding key.
    fn topic(binding: &str, key: &str) -> bool {
        let (binding, key): (Vec<&str>, Vec<&str>) =
            (binding.split('.').collect(), key.split('.').collect());
        binding.len() == key.len()
            && binding.iter().zip(&key).all(|(bound, word)| *bound == "*" || bound == word)
    }

    proptest! {
        #[test]
        fn bindings_bring_exactly_what_is_wanted(
            sees in 0..16_u8,
            marks in 0..32_usize,
            bulk: bool,
            from in proptest::sample::subsequence(vec!["RXX", "RYY"], 0..=2),
            home in proptest::option::of(proptest::sample::select(vec!["RXX", "RYY", "RZZ"])),
            sender in proptest::sample::select(vec!["RXX", "RYY", "RZZ"]),
        ) {
            let sees = Marks {
                protected: sees & 1 != 0,
                dissent: sees & 2 != 0,
                safeguarding: sees & 4 != 0,
                confidential: sees & 8 != 0,
                bulk: false,
            };
            let subscription = Subscription {
                organisation: home.map(str::to_owned),
                bulk,
                ..subscription(&["patient.*", "encounter.admitted"], &from, sees)
            };
            let marks = Marks::ALL.covered().nth(marks).expect("one of all");
            for event in ["patient.updated", "encounter.admitted", "encounter.updated"] {
                let key = format!("{sender}.{event}.{}", marks.word());
                // Of the exchange by which it leaves, all that is bound there.
                let bound = subscription.may(NOW).covered()
                    .filter(|set| set.exchange() == marks.exchange())
                    .flat_map(|set| subscription.binding_keys(set))
                    .any(|binding| topic(&binding, &key));
                prop_assert_eq!(bound, subscription.wants(&RoutingKey::parse(&key), NOW), "{}", key);
            }
        }
    }
}
