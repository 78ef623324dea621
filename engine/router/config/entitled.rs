//! What subscribers may have and how it reaches them, checked.

use jiff::Timestamp;
use record::catalogue;

use crate::config::check::Check;
use crate::config::nearest::nearest;
use crate::config::subscriber::{Format, Mns, Sees, Subscriber};
use crate::entitlement::NOTICE;

/// The shortest text that can say why.
const SHORTEST: usize = 10;
/// What may stand in braces in an address of `dataref`.
const PLACEHOLDERS: [&str; 3] = ["id", "message", "type"];

impl Check<'_> {
    pub(super) fn entitlements(&mut self, name: &str, subscriber: &Subscriber, now: Timestamp) {
        let mut in_force = false;
        for (at, entitlement) in (1..).zip(&subscriber.entitlements) {
            let at = at.to_string();
            let path = |key| ["subscribers", name, "entitlements", &at, key];
            let words = [
                ("justification", &entitlement.justification, SHORTEST),
                ("approved_by", &entitlement.approved_by, 2),
            ];
            for (key, text, shortest) in words {
                if text.trim().chars().count() < shortest {
                    let place = self.at(&path(key));
                    let help = "write it so that somebody who asks in a year can follow it";
                    self.error(place, format!("`{key}` says nothing"), help);
                }
            }
            let (end, until) = (entitlement.until.end(), entitlement.until);
            let place = self.at(&path("until"));
            if end <= now {
                let message = format!("the entitlement ended on {until}: it is not in force");
                self.warning(place, message, "have it approved anew, or take it out");
            } else {
                in_force = true;
                if end.duration_since(now) <= NOTICE {
                    let message = format!("the entitlement ends on {until}");
                    self.warning(place, message, "have it approved anew before then");
                }
            }
            if entitlement.sees == Sees::Dissent && subscriber.organisation.is_none() {
                let place = self.at(&path("sees"));
                let message = "events of patients who dissent stay within their organisation";
                self.error(place, message, "write the subscriber's `organisation`");
            }
        }
        let place = self.at(&["subscribers", name, "restricted"]);
        if subscriber.restricted && !in_force {
            let message = "no entitlement is in force: it receives no sensitive event";
            let help =
                "add `entitlements: [{ sees, justification, approved_by, until }]`, or write false";
            self.warning(place, message, help);
        }
        if !subscriber.restricted && !subscriber.entitlements.is_empty() {
            let place = self.at(&["subscribers", name, "entitlements"]);
            let message = "entitlements are in force only where `restricted` is true";
            self.warning(place, message, "write restricted: true, or take them out");
        }
    }

    pub(super) fn deliver(&mut self, name: &str, subscriber: &Subscriber) {
        let Some(http) = subscriber.http() else { return };
        let base = ["subscribers", name, "deliver", "http"];
        if subscriber.queue.is_some() {
            let place = self.at(&["subscribers", name, "queue"]);
            let message = "the engine delivers to this subscriber: it has no queue";
            self.warning(place, message, "take `queue` or `deliver` out");
        }
        if http.timeout.0.is_zero() {
            let place = self.at(&[&base[..], &["timeout"]].concat());
            self.error(place, "no answer comes within no time", "write 10s, or take it out");
        }
        for (at, header) in (1..).zip(&http.headers) {
            let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            if header.name.is_empty() || !header.name.bytes().all(token) {
                let at = at.to_string();
                let place = self.at(&[&base[..], &["headers", &at, "name"]].concat());
                let message = format!("`{}` cannot name a header", header.name);
                self.error(place, message, "write one such as Authorization");
            }
        }
        let within: &[&str] = match &http.format {
            Format::Cloudevents => return,
            Format::Mns(_) => &["format", "mns"],
            Format::SubscriptionNotification(_) => {
                &["format", "subscription-notification", "signal"]
            }
        };
        if let Some(signal) = http.format.signal() {
            self.signal(&[&base[..], within].concat(), signal);
        }
        if let Format::SubscriptionNotification(notification) = &http.format
            && notification.hydrate
            && notification.signal.dataref.is_none()
        {
            let path = ["format", "subscription-notification", "hydrate"];
            let place = self.at(&[&base[..], &path].concat());
            let message = "what is sent with it is named by `dataref`, and there is none";
            self.error(place, message, "write `dataref` below `signal`, or take `hydrate` out");
        }
    }

    fn signal(&mut self, path: &[&str], signal: &Mns) {
        let place = self.at(&[path, &["source"]].concat());
        let named = signal.source.strip_prefix("uk.nhs.").is_some_and(is_word);
        let numbered = signal.source.strip_prefix("https://fhir.nhs.uk/Id/nhsSpineASID/");
        if !named && numbered.is_none_or(str::is_empty) {
            let help = "write uk.nhs.<product> or https://fhir.nhs.uk/Id/nhsSpineASID/<asid>";
            self.error(place, format!("`{}` is not a source", signal.source), help);
        }
        if !is_word(&signal.producer) {
            let place = self.at(&[path, &["producer"]].concat());
            let message = format!("`{}` is not a producer", signal.producer);
            self.error(place, message, "write lower-case letters, digits and hyphens, such as rxx");
        }
        let known: Vec<&str> = catalogue::all().iter().map(|event| event.name).collect();
        for (event, kind) in &signal.types {
            let place = self.at(&[path, &["types", event]].concat());
            if !known.contains(&event.as_str()) {
                let help = nearest(event, known.iter().copied()).map_or_else(
                    || "see docs/events.md".to_owned(),
                    |n| format!("did you mean `{n}`?"),
                );
                self.error(place, format!("no event is called `{event}`"), help);
            }
            let major = kind.rsplit_once('-').map(|(_, major)| major);
            let numbered =
                major.is_some_and(|m| !m.is_empty() && m.bytes().all(|b| b.is_ascii_digit()));
            if !is_word(kind) || !numbered {
                let place = self.at(&[path, &["types", event]].concat());
                let message = format!("`{kind}` is not a type");
                self.error(
                    place,
                    message,
                    "write <producer>-<what>-<major>, such as rxx-change-of-gp-2",
                );
            }
        }
        if let Some(dataref) = &signal.dataref {
            let place = self.at(&[path, &["dataref"]].concat());
            if !dataref.starts_with("https://") && !dataref.starts_with("http://") {
                let message = "not an address where somebody can ask";
                self.error(place, message, "write one such as https://host/events/{id}");
            }
            for inner in dataref.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                if !PLACEHOLDERS.contains(&inner) {
                    let message = format!("nothing is known as `{{{inner}}}`");
                    self.error(place, message, "there are {id}, {message} and {type}");
                }
            }
        }
    }
}

fn is_word(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use jiff::{Timestamp, ToSpan};

    use crate::config::load::tests::{FEED, problems};

    fn with(subscriber: &str) -> Vec<String> {
        problems(&format!("subscribers: {{ hub: {{ receives: [\"*\"], {subscriber} }} }}\n{FEED}"))
    }

    fn entitled(more: &str, until: &str) -> String {
        format!(
            "entitlements: [{{ sees: protected, justification: \"Direct care in A&E\", approved_by: \"A. Person, Caldicott Guardian\", until: {until} }}]{more}"
        )
    }

    fn in_days(days: i64) -> String {
        let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        now.checked_add(days.days()).expect("a day").date().to_string()
    }

    #[test]
    fn an_entitlement_says_why_who_and_until_when_and_ends() {
        let restricted = ", restricted: true";
        assert_eq!(with(&entitled(restricted, &in_days(60))), [""; 0]);
        let found = with(&entitled(restricted, &in_days(20)));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("the entitlement ends on"), "{found:?}");
        let found = with(&entitled(restricted, "2020-01-31"));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|f| f.contains("the entitlement ended on 2020-01-31")));
        assert!(found.iter().any(|f| f.contains("no entitlement is in force")));
        let found = with(&entitled("", &in_days(60)));
        assert!(found[0].contains("only where `restricted` is true"), "{found:?}");
        let found = with("restricted: true");
        assert!(found[0].contains("no entitlement is in force"), "{found:?}");
        let vague = entitled(restricted, &in_days(60)).replace("Direct care in A&E", "care");
        assert!(with(&vague)[0].contains("`justification` says nothing"));
        let missing = "restricted: true, entitlements: [{ sees: protected, until: 2030-01-01 }]";
        assert!(with(missing).iter().any(|f| f.contains("justification")));
        let dissent = entitled(restricted, &in_days(60)).replace("protected", "dissent");
        assert!(with(&dissent)[0].contains("stay within their organisation"));
        assert_eq!(with(&format!("organisation: RXX, {dissent}")), [""; 0]);
    }

    #[test]
    fn a_delivery_says_where_to_and_in_which_form() {
        let http =
            |more: &str| with(&format!("deliver: {{ http: {{ url: https://hub/x{more} }} }}"));
        assert_eq!(http(""), [""; 0]);
        assert_eq!(http(", format: cloudevents, timeout: 5s, refused: skip"), [""; 0]);
        let mns = "format: { mns: { source: uk.nhs.rxx-tie, producer: rxx, dataref: \"https://hub/{id}\", types: { encounter.admitted: rxx-admission-1 } } }";
        assert_eq!(http(&format!(", {mns}")), [""; 0]);
        for (from, to, said) in [
            ("uk.nhs.rxx-tie", "rxx", "is not a source"),
            ("producer: rxx", "producer: RXX", "is not a producer"),
            ("{id}", "{nhs}", "nothing is known as `{nhs}`"),
            ("rxx-admission-1", "rxx-admission", "is not a type"),
            ("encounter.admitted", "encounter.admited", "no event is called"),
        ] {
            let found = http(&format!(", {}", mns.replace(from, to)));
            assert!(found.len() == 1 && found[0].contains(said), "{found:?}");
        }
        let found = http(", headers: [{ name: \"A b\", value: { env: X } }]");
        assert!(found[0].contains("cannot name a header"), "{found:?}");
        let hydrate = ", format: { subscription-notification: { signal: { source: uk.nhs.rxx, producer: rxx }, subscription: \"https://hub/s\", hydrate: true } }";
        assert!(http(hydrate)[0].contains("there is none"));
    }
}
