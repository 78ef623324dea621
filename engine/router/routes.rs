//! Which subscribers should get an event: computed from channels.yaml, never asked of the broker.

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

    /// The binding key for events of one organisation (`*` for any).
    fn binding_key(&self, organisation: &str) -> String {
        let (entity, verb) = self.0.split_once('.').unwrap_or((&self.0, "*"));
        format!("{organisation}.{entity}.{verb}.*")
    }
}

/// One subscriber as the publisher sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Name in channels.yaml.
    pub name: String,
    /// Its own durable queue.
    pub queue: String,
    /// What it wants.
    pub receives: Vec<Pattern>,
    /// From which organisations; empty means any.
    pub from: Vec<String>,
    /// Whether it may have sensitive events.
    pub restricted: bool,
}

impl Subscription {
    /// Whether an event with this routing key belongs to the subscriber.
    pub fn wants(&self, key: &RoutingKey<'_>) -> bool {
        (self.from.is_empty() || self.from.iter().any(|ods| ods == key.organisation))
            && self.receives.iter().any(|pattern| pattern.matches(key.entity, key.verb))
            && (self.restricted || !key.is_restricted())
    }

    /// The keys that bind its queue to an exchange.
    pub fn binding_keys(&self) -> Vec<String> {
        let any = [String::from("*")];
        let from = if self.from.is_empty() { &any[..] } else { &self.from[..] };
        let pairs =
            from.iter().flat_map(|ods| self.receives.iter().map(move |p| p.binding_key(ods)));
        pairs.collect()
    }
}

/// `<ods>.<entity>.<verb>.<sensitivity>` taken apart.
#[derive(Clone, Copy, Debug)]
pub struct RoutingKey<'k> {
    organisation: &'k str,
    entity: &'k str,
    verb: &'k str,
    sensitivity: &'k str,
}

impl<'k> RoutingKey<'k> {
    /// Splits a key that the record made; a key of another shape matches no subscriber.
    pub fn parse(text: &'k str) -> Self {
        let mut parts = text.split('.');
        let mut next = || parts.next().unwrap_or_default();
        Self { organisation: next(), entity: next(), verb: next(), sensitivity: next() }
    }

    /// Whether the event goes to the restricted exchange, never to the first.
    pub fn is_restricted(&self) -> bool {
        self.sensitivity != "normal"
    }
}

/// All subscribers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// In the order of channels.yaml.
    pub subscriptions: Vec<Subscription>,
}

impl Routes {
    /// How many subscribers should get the event.
    pub fn count(&self, routing_key: &str) -> usize {
        let key = RoutingKey::parse(routing_key);
        self.subscriptions.iter().filter(|subscription| subscription.wants(&key)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(receives: &[&str], from: &[&str], restricted: bool) -> Subscription {
        Subscription {
            name: "portal".into(),
            queue: "tieline.portal".into(),
            receives: receives.iter().map(|text| Pattern::new(text)).collect(),
            from: from.iter().map(|ods| (*ods).to_owned()).collect(),
            restricted,
        }
    }

    #[test]
    fn a_subscriber_gets_what_it_asked_for_and_nothing_else() {
        let portal = subscription(&["encounter.*", "patient.registered"], &["RXX"], false);
        let wants = |key: &str| portal.wants(&RoutingKey::parse(key));
        assert!(wants("RXX.encounter.admitted.normal"));
        assert!(wants("RXX.patient.registered.normal"));
        assert!(!wants("RXX.patient.updated.normal"));
        assert!(!wants("RYY.encounter.admitted.normal"));
        assert!(!wants("RXX.encounter.admitted.restricted"), "sensitive needs an entitlement");
    }

    #[test]
    fn binding_keys_say_the_same_as_wants() {
        assert_eq!(
            subscription(&["encounter.*", "*"], &["RXX", "RYY"], false).binding_keys(),
            ["RXX.encounter.*.*", "RXX.*.*.*", "RYY.encounter.*.*", "RYY.*.*.*"]
        );
        assert_eq!(
            subscription(&["result.available"], &[], false).binding_keys(),
            ["*.result.available.*"]
        );
    }
}
