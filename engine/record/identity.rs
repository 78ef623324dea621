//! Whom a message is about: its NHS Number and the source's own identifiers.

use std::collections::BTreeSet;
use std::fmt;

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::claim::{Stated, candidates, fallback, occurrence};
use crate::nhs_number::{NhsNumber, Status};
use crate::source::{IfStatusAbsent, LocalAuthority, NhsNumberRules, Source};
use crate::text::stated;
use crate::verification::{Statuses, statuses};

/// The identifiers of one message and what they are worth.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The NHS Number, only if it may key an event: valid, trusted for the source, not of the test
    /// range unless the source sends test data.
    pub nhs_number: Option<NhsNumber>,
    /// The valid NHS Number that was stated, whether it may key or not.
    pub valid: Option<NhsNumber>,
    /// The verification status that was stated.
    pub status: Option<Status>,
    /// Every place that claimed to hold an NHS Number, in message order.
    pub stated: Vec<Stated>,
    /// The source's own identifiers, in message order.
    pub local: Vec<LocalId>,
    /// The one of them that orders and names the patient best.
    pub best_local: Option<LocalId>,
    /// Data-quality findings, to be counted.
    pub quality: Vec<&'static str>,
}

/// An identifier that the source issued; shown as in HL7, `n^^^RXX01^MR`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId {
    /// Assigning authority, CX-4.1.
    pub authority: String,
    /// Identifier type, CX-5.
    pub kind: String,
    /// The identifier itself, CX-1.
    pub value: String,
}

/// A message whose identifiers contradict each other: a person has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityConflict {
    /// Two different valid NHS Numbers in one message.
    #[error("the message states two different valid nhs numbers")]
    TwoNumbers,
    /// Several PID segments that do not name the same patient.
    #[error("the message has pid segments of different patients")]
    TwoPatients,
}

impl IdentityConflict {
    /// The reason code under which the message is parked.
    pub fn code(self) -> &'static str {
        match self {
            IdentityConflict::TwoNumbers => "identity.two-numbers",
            IdentityConflict::TwoPatients => "identity.two-patients",
        }
    }
}

/// What keeps the messages of one patient in order. Opaque, and never shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderKey(String);

impl OrderKey {
    /// The key, for maps and the journal; it holds an identifier and must not reach a log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The keys that a message has to wait for: the best local identifier, else the NHS Number,
/// else none.
pub fn order_keys(identity: &Identity) -> Vec<OrderKey> {
    let local = identity.best_local.as_ref().map(|local| format!("local:{local}"));
    let key = local.or_else(|| identity.valid.map(|number| format!("nhs:{number}")));
    key.map(OrderKey).into_iter().collect()
}

impl Identity {
    /// Reads the identifiers of a message by the rules of its source.
    ///
    /// Candidates are all repetitions of PID-3 whose CX-4.1 or CX-5 marks an NHS Number, then the
    /// source's fallback places. Every PID segment is read: two different valid numbers anywhere
    /// are a conflict, and so are two PID segments that name different patients.
    pub fn read(message: &Message, source: &Source) -> Result<Identity, IdentityConflict> {
        let persons: Vec<Segment<'_>> = message.segments().filter(|s| s.name() == "PID").collect();
        let mut identity = Identity::default();
        let mut numbers = BTreeSet::new();
        for (index, pid) in persons.iter().enumerate() {
            let found = candidates(pid, occurrence(index), source);
            numbers.extend(found.iter().filter_map(|stated| stated.verdict.ok()));
            identity.stated.extend(found);
        }
        for at in &source.nhs_number.fallbacks {
            if let Some(found) = fallback(message, *at) {
                numbers.extend(found.verdict.ok());
                identity.stated.push(found);
            }
        }
        if numbers.len() > 1 {
            return Err(IdentityConflict::TwoNumbers);
        }
        if persons.windows(2).any(|pair| !same_patient(&pair[0], &pair[1])) {
            return Err(IdentityConflict::TwoPatients);
        }
        identity.valid = numbers.into_iter().next();
        if let Some(pid) = persons.first() {
            identity.read_local(pid, source);
        }
        let statuses = statuses(message, persons.first(), source);
        identity.decide(&statuses, &source.nhs_number);
        Ok(identity)
    }

    fn read_local(&mut self, pid: &Segment<'_>, source: &Source) {
        let Some(field) = pid.field(3) else { return };
        for repetition in field.repetitions() {
            if let Some(local) = local_id(&repetition, &source.local) {
                self.local.push(local);
            }
        }
        let rank = |local: &LocalId| {
            let of = |kind: &LocalAuthority| {
                kind.authority == local.authority && kind.kind == local.kind
            };
            let position = source.local.iter().position(of).unwrap_or(usize::MAX);
            (!source.local.iter().any(|kind| kind.default && of(kind)), position)
        };
        self.best_local = self.local.iter().min_by_key(|local| rank(local)).cloned();
    }

    fn decide(&mut self, statuses: &Statuses, rules: &NhsNumberRules) {
        self.status = statuses.one();
        for stated in &self.stated {
            if let Err(error) = stated.verdict {
                self.quality.push(error.quality());
            }
        }
        let Some(number) = self.valid else {
            if self.stated.is_empty() {
                self.quality.push("nhs-number.absent");
            }
            return;
        };
        let obstacle = match statuses {
            _ if number.is_test() && !rules.test_data => Some("nhs-number.test-range"),
            Statuses::None if rules.if_status_absent == IfStatusAbsent::Key => None,
            Statuses::One(status) if rules.trust.contains(status) => None,
            Statuses::Unclear => Some("nhs-number.status-unclear"),
            Statuses::None | Statuses::One(_) => Some("nhs-number.untrusted"),
        };
        match obstacle {
            Some(finding) => self.quality.push(finding),
            None => self.nhs_number = Some(number),
        }
    }

    /// The identifier that names the patient where the NHS Number may not: of the authority a
    /// script asked for, else the best.
    pub fn local_of(&self, authority: Option<&str>) -> Option<&LocalId> {
        let asked = authority.and_then(|authority| {
            self.local.iter().find(|local| local.authority.eq_ignore_ascii_case(authority))
        });
        asked.or(self.best_local.as_ref())
    }
}

fn same_patient(one: &Segment<'_>, other: &Segment<'_>) -> bool {
    let identifiers = |pid: &Segment<'_>| pid.field(3).map(|field| field.raw().to_vec());
    identifiers(one) == identifiers(other)
}

/// The identifier as one of the source's own; a bare one is of the default authority.
fn local_id(identifier: &Repetition<'_>, kinds: &[LocalAuthority]) -> Option<LocalId> {
    let value = stated(identifier.text(1, 1))?;
    let authority = stated(identifier.text(4, 1));
    let kind = stated(identifier.text(5, 1));
    let fits = |local: &&LocalAuthority| {
        let by_authority = match &authority {
            Some(authority) => local.authority.eq_ignore_ascii_case(authority),
            None => local.default,
        };
        by_authority && kind.as_ref().is_none_or(|kind| local.kind.eq_ignore_ascii_case(kind))
    };
    let found = kinds.iter().find(fits)?;
    Some(LocalId { authority: found.authority.clone(), kind: found.kind.clone(), value })
}

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^^^{}^{}", self.value, self.authority, self.kind)
    }
}

impl fmt::Debug for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalId(***^^^{}^{})", self.authority, self.kind)
    }
}

impl fmt::Debug for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderKey(***)")
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("keyed", &self.nhs_number.is_some())
            .field("status", &self.status)
            .field("stated", &self.stated.len())
            .field("local", &self.local.len())
            .field("quality", &self.quality)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    const HEAD: &str = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A31|1|P|2.4\r";

    fn source() -> Source {
        let mut source = Source::new("pas-adt", "RXX");
        source.nhs_number.test_data = true;
        let kind = |authority: &str, kind: &str, default| LocalAuthority {
            authority: authority.to_owned(),
            kind: kind.to_owned(),
            default,
        };
        source.local = vec![kind("RXX02", "PI", false), kind("RXX01", "MR", true)];
        source
    }

    fn read_with(body: &str, source: &Source) -> Result<Identity, IdentityConflict> {
        let bytes = format!("{HEAD}{body}").into_bytes();
        let message = Message::parse(bytes, &Reading::default()).expect("a message");
        Identity::read(&message, source)
    }

    /// PID with an identifier list and an identity reliability code.
    fn pid(identifiers: &str, reliability: &str) -> String {
        format!("PID|1||{identifiers}{}{reliability}", "|".repeat(29))
    }

    fn read(identifiers: &str, reliability: &str) -> Identity {
        read_with(&pid(identifiers, reliability), &source()).expect("no conflict")
    }

    #[test]
    fn every_way_to_mark_an_nhs_number_is_understood() {
        for identifiers in [
            "9990000018^^^NHS^NH",
            "9990000018^^^NHS",
            "999 000 0018^^^nhs number^XX",
            "9990000018^^^2.16.840.1.113883.2.1.4.1",
            "9990000018^^^^NH~V1^^^^PAS",
            "9990000018^06^^^NI~N123^^^^PI",
            "1234567^^^RXX01^MR~9990000018^^^NHS&1.2.3&ISO^NH",
        ] {
            let identity = read(identifiers, "NSTS01");
            let keyed = identity.nhs_number.map(|number| number.to_string());
            assert_eq!(keyed.as_deref(), Some("9990000018"), "{identifiers}");
            assert!(identity.quality.is_empty());
        }
    }

    #[test]
    fn numbers_of_other_services_are_not_nhs_numbers() {
        let identity = read("9990000018^^^CHI^NH~AB123456C^^^^NI", "NSTS01");
        assert_eq!((identity.valid, identity.quality), (None, vec!["nhs-number.absent"]));
    }

    #[test]
    fn only_a_trusted_status_keys() {
        assert!(read("9990000018^^^NHS^NH", "US~ED~01 ").nhs_number.is_some());
        for (reliability, finding) in [
            ("NSTS02", "nhs-number.untrusted"),
            ("", "nhs-number.untrusted"),
            ("\"\"", "nhs-number.untrusted"),
            ("NSTS01~NSTS04", "nhs-number.status-unclear"),
            ("NSTS99", "nhs-number.status-unclear"),
        ] {
            let identity = read("9990000018^^^NHS^NH", reliability);
            assert_eq!(identity.nhs_number, None, "{reliability}");
            assert!(identity.valid.is_some());
            assert_eq!(identity.quality, [finding]);
        }
        let mut lenient = source();
        lenient.nhs_number.if_status_absent = IfStatusAbsent::Key;
        let identity = read_with(&pid("9990000018^^^NHS^NH", ""), &lenient).expect("no conflict");
        assert!(identity.nhs_number.is_some());
        let identity = read_with(&pid("9990000018^^^NHS^NH", "05"), &lenient).expect("no conflict");
        assert!(identity.nhs_number.is_none());
    }

    #[test]
    fn the_status_may_stand_in_older_places() {
        let mut welsh = source();
        welsh.nhs_number.status_in_check_digit = true;
        let read = |reliability: &str, rest: &str| {
            let body = format!("{}{rest}", pid("9990000018^06^^^NI", reliability));
            read_with(&body, &welsh).expect("no conflict").status.map(Status::code)
        };
        let legacy = format!("\rZU1{}01", "|".repeat(27));
        assert_eq!(read("", ""), Some("06"));
        assert_eq!(read("NSTS01", ""), Some("01"));
        assert_eq!(read("", &legacy), Some("06"));
        let body = format!("{}{legacy}", pid("9990000018^^^NHS^NH", ""));
        let identity = read_with(&body, &source()).expect("no conflict");
        assert_eq!(identity.status, Some(Status::VERIFIED));
    }

    #[test]
    fn flawed_numbers_do_not_key_and_are_counted() {
        for (identifiers, finding) in [
            ("1234567^^^RXX01^MR", "nhs-number.absent"),
            ("9990000019^^^NHS^NH", "nhs-number.check-digit"),
            ("9999999999^^^NHS^NH", "nhs-number.placeholder"),
            ("UNKNOWN^^^NHS^NH", "nhs-number.format"),
        ] {
            let identity = read(identifiers, "NSTS01");
            assert_eq!(identity.valid, None, "{identifiers}");
            assert_eq!(identity.quality, [finding]);
        }
    }

    #[test]
    fn test_numbers_key_only_where_test_data_is_expected() {
        let mut live = source();
        live.nhs_number.test_data = false;
        let identity = read_with(&pid("9990000018^^^NHS^NH", "01"), &live).expect("no conflict");
        assert_eq!((identity.nhs_number, identity.quality), (None, vec!["nhs-number.test-range"]));
    }

    #[test]
    fn two_different_numbers_are_a_conflict_wherever_they_stand() {
        let conflict = Err(IdentityConflict::TwoNumbers);
        let two = pid("9990000018^^^NHS^NH~9990000026^^^NHS^NH", "01");
        assert_eq!(read_with(&two, &source()), conflict);
        let mut social = source();
        social.nhs_number.fallbacks = vec!["PID-19".parse().expect("a location")];
        let body = format!("PID|1||9990000018^^^NHS^NH{}9990000026", "|".repeat(16));
        assert_eq!(read_with(&body, &social), conflict);
        let twice = pid("9990000018^^^NHS^NH~999 000 0018^^^NHS^NH", "01");
        assert!(read_with(&twice, &source()).is_ok());
        let persons = "PID|1||1^^^RXX01^MR\rPID|2||2^^^RXX01^MR";
        assert_eq!(read_with(persons, &source()), Err(IdentityConflict::TwoPatients));
    }

    #[test]
    fn a_fallback_place_may_hold_anything() {
        let mut social = source();
        social.nhs_number.fallbacks =
            vec!["PID-2".parse().expect("a location"), "PID-19".parse().expect("a location")];
        let read = |national: &str| {
            let body = format!("PID|1|{national}|1^^^RXX01^MR{}NSTS01", "|".repeat(29));
            read_with(&body, &social).expect("no conflict")
        };
        assert!(read("9990000018").nhs_number.is_some());
        assert_eq!(read("AB123456C").quality, ["nhs-number.absent"]);
        assert_eq!(read("9999999999").quality, ["nhs-number.placeholder"]);
    }

    #[test]
    fn the_default_authority_takes_bare_identifiers_and_orders_best() {
        let identity = read("P1^^^RXX02^PI~1234567~X9^^^OTHER^ZZ", "");
        let shown: Vec<String> = identity.local.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["P1^^^RXX02^PI", "1234567^^^RXX01^MR"]);
        let best = identity.best_local.clone().expect("a local identifier");
        assert_eq!(best.to_string(), "1234567^^^RXX01^MR");
        assert_eq!(order_keys(&identity)[0].as_str(), "local:1234567^^^RXX01^MR");
        assert_eq!(order_keys(&read("9990000018^^^NHS^NH", ""))[0].as_str(), "nhs:9990000018");
        assert!(order_keys(&read("", "")).is_empty());
    }

    #[test]
    fn debug_shows_no_identifier() {
        let identity = read("9990000018^^^NHS^NH~1234567^^^RXX01^MR", "01");
        let shown = format!("{identity:?} {:?} {:?}", identity.local, order_keys(&identity));
        assert!(!shown.contains("9990000018") && !shown.contains("1234567"), "{shown}");
    }
}
