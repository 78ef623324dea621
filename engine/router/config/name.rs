//! The names a configuration gives to others: organisations, senders, message types, events.

use std::fmt;
use std::str::FromStr;

use crate::config::written::written;

/// A code of the Organisation Data Service for an organisation or a site: `RXX`, `RXX01`, `900X`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ods(pub String);

/// Who may send: MSH-3 and MSH-4 as `APPLICATION/FACILITY`; `*` in either place is anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// MSH-3.1; `None` is any.
    pub application: Option<String>,
    /// MSH-4.1; `None` is any.
    pub facility: Option<String>,
}

/// Which messages: MSH-9 as `ADT` (every trigger event of it) or `ADT^A01`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageKind {
    /// MSH-9.1.
    pub code: String,
    /// MSH-9.2; `None` is any.
    pub trigger: Option<String>,
}

/// Which events: `encounter.*`, `patient.registered`, `*`; one `*` stands for a whole word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern {
    /// The thing it is about; `None` is any.
    pub entity: Option<String>,
    /// What happened; `None` is any.
    pub verb: Option<String>,
}

/// Why a text is no name of its kind. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    #[error(
        "`{0}` is not an ODS code\nwrite three to eight capital letters and digits, such as RXX or RXX01"
    )]
    Ods(String),
    #[error(
        "`{0}` is not a sender\nwrite MSH-3 and MSH-4 with a slash, such as PAS/RXX01 or PAS/*"
    )]
    Sender(String),
    #[error(
        "`{0}` is not a message type\nwrite MSH-9 as ADT for every trigger event, or as ADT^A01 for one"
    )]
    MessageKind(String),
    #[error(
        "`{0}` is not a pattern of events\nwrite entity and verb, such as encounter.admitted, encounter.* or *"
    )]
    EventPattern(String),
}

impl Ods {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Ods {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if plain && (3..=8).contains(&text.len()) {
            Ok(Ods(text.to_owned()))
        } else {
            Err(NameError::Ods(text.to_owned()))
        }
    }
}

impl fmt::Display for Ods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Sender {
    /// Whether a message with this MSH-3.1 and MSH-4.1 comes from here.
    pub fn matches(&self, application: &str, facility: &str) -> bool {
        self.application.as_deref().is_none_or(|ours| ours == application)
            && self.facility.as_deref().is_none_or(|ours| ours == facility)
    }

    /// Whether everything that `other` matches is matched here too.
    pub fn covers(&self, other: &Sender) -> bool {
        covers(self.application.as_ref(), other.application.as_ref())
            && covers(self.facility.as_ref(), other.facility.as_ref())
    }
}

impl FromStr for Sender {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || NameError::Sender(text.to_owned());
        let (application, facility) = text.split_once('/').ok_or_else(refused)?;
        if application.is_empty() || facility.is_empty() || facility.contains('/') {
            return Err(refused());
        }
        Ok(Sender { application: any_or(application), facility: any_or(facility) })
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", word(self.application.as_ref()), word(self.facility.as_ref()))
    }
}

impl MessageKind {
    /// Whether a message with this MSH-9.1 and MSH-9.2 is of the kind.
    pub fn matches(&self, code: &str, trigger: &str) -> bool {
        self.code == code && self.trigger.as_deref().is_none_or(|ours| ours == trigger)
    }

    /// Whether everything that `other` matches is matched here too.
    pub fn covers(&self, other: &MessageKind) -> bool {
        self.code == other.code && covers(self.trigger.as_ref(), other.trigger.as_ref())
    }
}

impl FromStr for MessageKind {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |part: &str| {
            part.len() == 3 && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        };
        let (code, trigger) = match text.split_once('^') {
            Some((code, trigger)) => (code, Some(trigger)),
            None => (text, None),
        };
        if !plain(code) || !trigger.is_none_or(|trigger| trigger == "*" || plain(trigger)) {
            return Err(NameError::MessageKind(text.to_owned()));
        }
        Ok(MessageKind { code: code.to_owned(), trigger: trigger.and_then(any_or) })
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)?;
        self.trigger.as_ref().map_or(Ok(()), |trigger| write!(f, "^{trigger}"))
    }
}

impl EventPattern {
    /// Whether an event type of the catalogue, such as `encounter.admitted`, is meant.
    pub fn matches(&self, event_type: &str) -> bool {
        let Some((entity, verb)) = event_type.split_once('.') else { return false };
        self.entity.as_deref().is_none_or(|ours| ours == entity)
            && self.verb.as_deref().is_none_or(|ours| ours == verb)
    }

    /// The two words of a topic binding, `*` for any.
    pub fn words(&self) -> (&str, &str) {
        (word(self.entity.as_ref()), word(self.verb.as_ref()))
    }
}

impl FromStr for EventPattern {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(EventPattern { entity: None, verb: None });
        }
        let plain = |part: &str| {
            part == "*"
                || (!part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        };
        match text.split_once('.') {
            Some((entity, verb)) if plain(entity) && plain(verb) => {
                Ok(EventPattern { entity: any_or(entity), verb: any_or(verb) })
            }
            _ => Err(NameError::EventPattern(text.to_owned())),
        }
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entity, verb) = self.words();
        write!(f, "{entity}.{verb}")
    }
}

fn any_or(text: &str) -> Option<String> {
    (text != "*").then(|| text.to_owned())
}

fn word(part: Option<&String>) -> &str {
    part.map_or("*", String::as_str)
}

fn covers(ours: Option<&String>, theirs: Option<&String>) -> bool {
    ours.is_none() || ours == theirs
}

written!(
    Ods,
    "A code of the Organisation Data Service for an organisation or a site.",
    "^[A-Z0-9]{3,8}$",
    ["RXX", "RXX01"]
);
written!(
    Sender,
    "MSH-3 and MSH-4 of an allowed sender; `*` in either place is anything.",
    "^[^/]+/[^/]+$",
    ["PAS/RXX01", "PAS/*"]
);
written!(
    MessageKind,
    "MSH-9: a message type with every trigger event, or with one.",
    "^[A-Z0-9]{3}(\\^([A-Z0-9]{3}|\\*))?$",
    ["ADT", "ADT^A01"]
);
written!(
    EventPattern,
    "Event types of the catalogue; `*` stands for a whole word, alone for all.",
    "^(\\*|[a-z-]+)(\\.(\\*|[a-z-]+))?$",
    ["encounter.*", "patient.registered", "*"]
);
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_application_and_facility() {
        let sender: Sender = "PAS/*".parse().expect("sender");
        assert!(sender.matches("PAS", "RXX01") && !sender.matches("LIMS", "RXX01"));
        assert!(sender.covers(&"PAS/RXX01".parse().expect("sender")));
        assert!(!"PAS/RXX01".parse::<Sender>().expect("sender").covers(&sender));
        assert_eq!(sender.to_string(), "PAS/*");
        for text in ["PAS", "PAS/", "/RXX", "A/B/C"] {
            assert!(text.parse::<Sender>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_message_type_may_name_its_trigger() {
        let every: MessageKind = "ADT".parse().expect("type");
        let one: MessageKind = "ADT^A01".parse().expect("type");
        assert!(
            every.matches("ADT", "A08") && one.matches("ADT", "A01") && !one.matches("ADT", "A08")
        );
        assert!(every.covers(&one) && !one.covers(&every));
        assert!("adt".parse::<MessageKind>().is_err() && "ADT_A01".parse::<MessageKind>().is_err());
    }

    #[test]
    fn an_event_pattern_takes_a_word_for_each_star() {
        let pattern: EventPattern = "encounter.*".parse().expect("pattern");
        assert!(pattern.matches("encounter.admitted") && !pattern.matches("patient.updated"));
        assert!("*".parse::<EventPattern>().expect("pattern").matches("patient.updated"));
        assert!("encounter".parse::<EventPattern>().is_err());
    }

    #[test]
    fn an_organisation_is_capital_letters_and_digits() {
        assert!("900X".parse::<Ods>().is_ok() && "5E1".parse::<Ods>().is_ok());
        assert!("rxx".parse::<Ods>().is_err() && "RX".parse::<Ods>().is_err());
    }
}
