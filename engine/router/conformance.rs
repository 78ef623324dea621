//! A channel's profile in force, and how its messages have kept to it since.
//!
//! Messages are held against it when they are delivered, after their acknowledgement. What is kept
//! in memory is places, classes, counts and numbers of messages: nothing that a message says.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hl7::dictionary::book;
use hl7::dictionary::names::LocalNames;
use hl7::dictionary::version::Version;
use hl7::location::Location;
use hl7::message::Message;
use hl7::profile::check::{Breach, Class, check};
use hl7::profile::rules::Profile;
use jiff::Timestamp;
use serde::Serialize;

use crate::config::channel::OnBreach;

/// Rules that are told apart; a feed that breaks more of them has the wrong profile.
const MOST: usize = 1_000;

/// Places that the words about a parked message name.
const NAMED: usize = 10;

/// A profile in force. Its counts begin anew with each activation.
#[derive(Debug)]
pub struct Conformance {
    profile: Arc<Profile>,
    on_breach: OnBreach,
    since: Timestamp,
    tally: Mutex<Tally>,
}

/// What was counted so far.
#[derive(Debug, Default)]
struct Tally {
    messages: u64,
    breaching: u64,
    rules: BTreeMap<Breach, Broken>,
    /// Breaches of rules beyond the most that are told apart.
    others: u64,
}

#[derive(Clone, Copy, Debug)]
struct Broken {
    messages: u64,
    /// The latest message that broke it.
    example: u64,
}

/// Why a message is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parks {
    /// The class of its first breach: `profile.missing`.
    pub reason: &'static str,
    /// Where its breaches are.
    pub detail: String,
}

/// How the messages of a channel kept to its profile.
#[derive(Clone, Debug, Serialize)]
pub struct Kept {
    /// The channel.
    pub channel: String,
    /// What the profile says it is of.
    pub profile: String,
    /// `report` or `park`.
    pub on_breach: OnBreach,
    /// Since when it counts, RFC 3339 in UTC.
    pub since: String,
    /// Messages that were held against it.
    pub messages: u64,
    /// Those that broke a rule.
    pub breaching: u64,
    /// The rules that were broken, the most broken first.
    pub rules: Vec<BrokenRule>,
    /// Breaches of further rules, which are not told apart.
    pub others: u64,
}

/// A rule that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct BrokenRule {
    /// Its place: `PID-3.5`.
    pub at: String,
    /// What stands there.
    pub name: String,
    /// `missing`, `unexpected`, `length`, `repetitions`, `code` or `pattern`.
    pub class: &'static str,
    /// How many messages broke it.
    pub messages: u64,
    /// The latest of them, for `tieline show`.
    pub example: u64,
}

impl Conformance {
    /// A profile that comes into force.
    pub fn new(profile: Arc<Profile>, on_breach: OnBreach, since: Timestamp) -> Self {
        Self { profile, on_breach, since, tally: Mutex::default() }
    }

    /// What a message does otherwise.
    pub fn check(&self, message: &Message) -> BTreeSet<Breach> {
        check(message, &self.profile)
    }

    /// Why these breaches park a message, if they do.
    pub fn parks(&self, breaches: &BTreeSet<Breach>) -> Option<Parks> {
        let first = breaches.first().filter(|_| self.on_breach == OnBreach::Park)?;
        let mut detail = String::from("against the channel's profile: ");
        for (n, Breach { at, class }) in breaches.iter().take(NAMED).enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(detail, "{separator}{at} {}", class.name()).expect("a String takes any text");
        }
        if breaches.len() > NAMED {
            write!(detail, " and {} more", breaches.len() - NAMED)
                .expect("a String takes any text");
        }
        Some(Parks { reason: first.class.code(), detail })
    }

    /// Counts a message that was held against the profile.
    pub fn note(&self, message: u64, breaches: &BTreeSet<Breach>) {
        let mut tally = self.tally();
        tally.messages += 1;
        tally.breaching += u64::from(!breaches.is_empty());
        for breach in breaches {
            let full = tally.rules.len() >= MOST;
            match tally.rules.get_mut(breach) {
                Some(broken) => {
                    broken.messages += 1;
                    broken.example = broken.example.max(message);
                }
                None if full => tally.others += 1,
                None => {
                    tally.rules.insert(*breach, Broken { messages: 1, example: message });
                }
            }
        }
    }

    /// How many messages broke a rule.
    pub fn breaching(&self) -> u64 {
        self.tally().breaching
    }

    /// What was counted, for those who ask. `local` are the channel's own names.
    pub fn kept(&self, channel: &str, local: &LocalNames) -> Kept {
        let tally = self.tally();
        let mut rules: Vec<BrokenRule> = tally
            .rules
            .iter()
            .map(|(Breach { at, class }, broken)| BrokenRule {
                at: at.to_string(),
                name: name_of(*at, *class, local),
                class: class.name(),
                messages: broken.messages,
                example: broken.example,
            })
            .collect();
        // Places stay in order where as many messages broke them.
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.messages));
        Kept {
            channel: channel.to_owned(),
            profile: self.profile.name.clone(),
            on_breach: self.on_breach,
            since: self.since.to_string(),
            messages: tally.messages,
            breaching: tally.breaching,
            rules,
            others: tally.others,
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What stands at the place of a rule.
fn name_of(at: Location, class: Class, local: &LocalNames) -> String {
    let segment = at.segment.as_str();
    let ours = local.get(segment);
    let Some(field) = at.field else {
        let name = ours.map(|ours| ours.name.as_str()).filter(|name| !name.is_empty());
        return name.or(book::segment(segment)).unwrap_or_default().to_owned();
    };
    if (segment, field, class) == ("MSH", 9, Class::Unexpected) {
        return "a type that the profile does not name".to_owned();
    }
    if let Some(name) = ours.and_then(|ours| ours.fields.get(&field)) {
        return name.clone();
    }
    let part = match at.component {
        None => book::field(Version::UK, segment, field),
        Some(wanted) => book::field_component(Version::UK, segment, field, wanted),
    };
    part.map_or_else(String::new, |part| part.name.to_owned())
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;
    use crate::config::profile::read;

    fn conformance(on_breach: OnBreach) -> Conformance {
        let text = "places: { PID-3: { required: true }, PID-8: { codes: [F, M] } }\n";
        let profile = read("p.yaml", text).expect("a profile");
        Conformance::new(Arc::new(profile), on_breach, Timestamp::UNIX_EPOCH)
    }

    fn message(pid: &str) -> Message {
        let text = format!("MSH|^~\\&|PAS||||||ADT^A01|1|P|2.4\r{pid}\r");
        Message::parse(text.into_bytes(), &Reading::default()).expect("reads")
    }

    #[test]
    fn each_rule_counts_its_messages_and_names_the_latest() {
        let kept = conformance(OnBreach::Report);
        for (id, pid) in [(1, "PID|||7|||||F"), (2, "PID||||||||X"), (3, "PID|||7|||||SECRET")] {
            let breaches = kept.check(&message(pid));
            assert_eq!(kept.parks(&breaches), None);
            kept.note(id, &breaches);
        }
        let kept = kept.kept("pas", &LocalNames::new());
        assert_eq!((kept.messages, kept.breaching, kept.others), (3, 2, 0));
        let rules: Vec<_> = kept
            .rules
            .iter()
            .map(|rule| {
                (rule.at.as_str(), rule.name.as_str(), rule.class, rule.messages, rule.example)
            })
            .collect();
        assert_eq!(
            rules,
            [
                ("PID-8", "Administrative Sex", "code", 2, 3),
                ("PID-3", "Patient Identifier List", "missing", 1, 2)
            ]
        );
        assert!(!format!("{kept:?}").contains("SECRET"));
    }

    #[test]
    fn a_breach_parks_where_the_channel_says_so() {
        let kept = conformance(OnBreach::Park);
        assert_eq!(kept.parks(&kept.check(&message("PID|||7"))), None);
        let parks = kept.parks(&kept.check(&message("PID||||||||SECRET"))).expect("parks");
        assert_eq!(parks.reason, "profile.missing");
        assert_eq!(parks.detail, "against the channel's profile: PID-3 missing, PID-8 code");
    }
}
