//! Whom a message is about: its NHS Number and the source's own identifiers.

use std::collections::BTreeSet;
use std::fmt;

use hl7::message::Message;
use hl7::segment::Segment;

use crate::claim::{Stated, candidates, fallback, occurrence, witnesses};
use crate::local::{LocalId, local_ids};
use crate::nhs_number::{NhsNumber, Status};
use crate::source::{IfStatusAbsent, NhsNumberRules, Source};
use crate::trigger::is_movement;
use crate::verification::{Statuses, statuses};

/// The identifiers of one message and what they are worth.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The NHS Number, only if it may key an event: valid, trusted for the source, not of the test
    /// range unless the source sends test data.
    pub nhs_number: Option<NhsNumber>,
    /// The valid NHS Number that was stated and may be shown, whether it may key or not. One whose
    /// verification is contradicted or deleted is not shown: it may be another person's.
    pub valid: Option<NhsNumber>,
    /// The valid NHS Number that was stated, whatever is said of its verification: it orders.
    pub found: Option<NhsNumber>,
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

impl Identity {
    /// Reads the identifiers of a message by the rules of its source.
    ///
    /// Candidates are all repetitions of PID-3 whose CX-4.1 or CX-5 marks an NHS Number, then the
    /// source's fallback places. Every PID segment is read: two different valid numbers anywhere
    /// are a conflict, one that is marked as an NHS Number in PID-2 or PID-4 included, and so are
    /// two PID segments that name different patients. Of a message that
    /// is meant to name several, such as a merge or a link, the first PID counts; the others are
    /// sides of its [`crate::movement::Movement`].
    pub fn read(message: &Message, source: &Source) -> Result<Identity, IdentityConflict> {
        if is_movement(message) {
            return Self::read_person(message, 1, source);
        }
        let persons: Vec<Segment<'_>> = message.segments_named("PID").collect();
        Self::of_persons(message, &persons, 1, source)
    }

    /// Reads one PID segment, `person` counted from 1, as if it were the only one.
    pub fn read_person(
        message: &Message,
        person: usize,
        source: &Source,
    ) -> Result<Identity, IdentityConflict> {
        let persons: Vec<Segment<'_>> = message.segment("PID", person).into_iter().collect();
        Self::of_persons(message, &persons, person, source)
    }

    /// `first` is the number of the first of `persons` among the message's PID segments.
    fn of_persons(
        message: &Message,
        persons: &[Segment<'_>],
        first: usize,
        source: &Source,
    ) -> Result<Identity, IdentityConflict> {
        let mut identity = Identity::default();
        let (mut numbers, mut elsewhere) = (BTreeSet::new(), BTreeSet::new());
        for (index, pid) in persons.iter().enumerate() {
            let occurrence = occurrence(first - 1 + index);
            let found = candidates(pid, occurrence, source);
            numbers.extend(found.iter().filter_map(|stated| stated.verdict.ok()));
            identity.stated.extend(found);
            let others = witnesses(pid, occurrence, source);
            elsewhere.extend(others.iter().filter_map(|stated| stated.verdict.ok()));
        }
        let of = occurrence(first - 1)..occurrence(first - 1 + persons.len());
        for at in &source.nhs_number.fallbacks {
            let mut found = fallback(message, *at, &source.nhs_number);
            found.retain(|stated| {
                at.segment.as_str() != "PID" || of.contains(&stated.at.occurrence)
            });
            numbers.extend(found.iter().filter_map(|stated| stated.verdict.ok()));
            identity.stated.extend(found);
        }
        if numbers.len() > 1 || (!numbers.is_empty() && !elsewhere.is_subset(&numbers)) {
            return Err(IdentityConflict::TwoNumbers);
        }
        if persons.windows(2).any(|pair| !same_patient(&pair[0], &pair[1])) {
            return Err(IdentityConflict::TwoPatients);
        }
        identity.found = numbers.into_iter().next();
        if let Some(pid) = persons.first() {
            (identity.local, identity.best_local) = local_ids(pid.field(3), &source.local);
        }
        let statuses = statuses(message, persons, source);
        identity.decide(statuses, &source.nhs_number);
        Ok(identity)
    }

    /// Whether nothing in the message names its patient in a way that others could use.
    pub fn is_nobody(&self) -> bool {
        self.nhs_number.is_none() && self.local.is_empty()
    }

    fn decide(&mut self, statuses: Statuses, rules: &NhsNumberRules) {
        self.status = statuses.one();
        for stated in &self.stated {
            if let Err(error) = stated.verdict {
                self.quality.push(error.quality());
            }
        }
        let Some(number) = self.found else {
            if self.stated.is_empty() {
                self.quality.push("nhs-number.absent");
            }
            return;
        };
        if !number.is_test() && !number.range().issued {
            self.quality.push("nhs-number.range");
        }
        self.valid = Some(number).filter(|_| !matches!(statuses, Statuses::Unclear));
        let obstacle = match statuses {
            _ if number.is_test() && !rules.test_data => Some("nhs-number.test-range"),
            Statuses::None if rules.if_status_absent == IfStatusAbsent::Key => None,
            Statuses::One(status) if rules.trust.contains(&status) => None,
            Statuses::Unclear => Some("nhs-number.status-unclear"),
            Statuses::None | Statuses::One(_) => Some("nhs-number.untrusted"),
        };
        match obstacle {
            Some(finding) => self.quality.push(finding),
            None => self.nhs_number = Some(number),
        }
    }

    /// The same patient under the number that the identity index holds, whatever the message says.
    #[must_use]
    pub fn known_as(&self, number: Option<(NhsNumber, Option<Status>)>) -> Identity {
        let said = self.valid.is_some() && self.valid == number.map(|(number, _)| number);
        let status = number.and_then(|(_, status)| status).filter(|_| !said).or(self.status);
        Identity { nhs_number: number.map(|(number, _)| number), status, ..self.clone() }
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

    use crate::source::LocalAuthority;

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
            "9990000018^^^NHSNBR^NHSNMBR",
            "9990000018^^^NHSNBR",
            "9990000018^^^^NHSNMBR",
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
            ("\"\"", "nhs-number.status-unclear"),
            ("\"\"~\"\"~\"\"", "nhs-number.status-unclear"),
            ("NSTS01~\"\"", "nhs-number.status-unclear"),
            ("NSTS01~NSTS04", "nhs-number.status-unclear"),
            ("NSTS99", "nhs-number.status-unclear"),
        ] {
            let identity = read("9990000018^^^NHS^NH", reliability);
            assert_eq!(identity.nhs_number, None, "{reliability}");
            // What is unclear is not shown either; it still keeps the patient's messages in order.
            assert_eq!(
                identity.valid.is_some(),
                finding == "nhs-number.untrusted",
                "{reliability}"
            );

            assert_eq!(identity.quality, [finding]);
        }
        let mut lenient = source();
        lenient.nhs_number.if_status_absent = IfStatusAbsent::Key;
        let identity = read_with(&pid("9990000018^^^NHS^NH", ""), &lenient).expect("no conflict");
        assert!(identity.nhs_number.is_some());
        for reliability in ["05", "\"\""] {
            let body = pid("9990000018^^^NHS^NH", reliability);
            let identity = read_with(&body, &lenient).expect("no conflict");
            assert!(identity.nhs_number.is_none(), "{reliability}");
        }
    }

    #[test]
    fn the_status_may_stand_in_older_places() {
        let mut welsh = source();
        welsh.nhs_number.status_in_check_digit = true;
        let welsh_with = |fallback: &str| {
            let mut source = welsh.clone();
            source.nhs_number.fallbacks = vec![fallback.parse().expect("a location")];
            source
        };
        let legacy = |code: &str| format!("\rZU1{}{code}", "|".repeat(27));
        let read = |reliability: &str, rest: &str| {
            let body = format!("{}{rest}", pid("9990000018^06^^^NI", reliability));
            read_with(&body, &welsh).expect("no conflict").status.map(Status::code)
        };
        assert_eq!(read("", ""), Some("06"));
        assert_eq!(read("NSTS06", &legacy("06")), Some("06"));
        let body = format!("{}{}", pid("9990000018^^^NHS^NH", ""), legacy("01"));
        let identity = read_with(&body, &source()).expect("no conflict");
        assert_eq!(identity.status, Some(Status::VERIFIED));
        let body = "PID|1|^NSTS03^^NHS^NHS|9990000018^^^NHS^NH";
        let identity = read_with(body, &welsh_with("PID-2")).expect("no conflict");
        assert_eq!(identity.status.map(Status::code), Some("03"));
    }

    #[test]
    fn places_that_contradict_each_other_verify_nothing() {
        let mut welsh = source();
        welsh.nhs_number.status_in_check_digit = true;
        let legacy = format!("\rZU1{}05", "|".repeat(27));
        for body in [
            pid("9990000018^05^^^NI", "NSTS01"),
            format!("{}{legacy}", pid("9990000018^^^NHS^NH", "NSTS01")),
            format!("{}{legacy}", pid("9990000018^01^^^NI", "")),
            format!("PID|1||9990000018^^^NHS^NH\r{}", pid("9990000018^^^NHS^NH", "NSTS01~NSTS02")),
        ] {
            let identity = read_with(&body, &welsh).expect("no conflict");
            assert_eq!((identity.nhs_number, identity.valid, identity.status), (None, None, None));
            assert_eq!(identity.quality, ["nhs-number.status-unclear"], "{body}");
        }
    }

    #[test]
    fn flawed_numbers_do_not_key_and_are_counted() {
        for (identifiers, finding) in [
            ("1234567^^^RXX01^MR", "nhs-number.absent"),
            ("9990000019^^^NHS^NH", "nhs-number.check-digit"),
            ("9999999999^^^NHS^NH", "nhs-number.placeholder"),
            ("UNKNOWN^^^NHS^NH", "nhs-number.format"),
            ("xxxxxx0018^^^^NH", "nhs-number.format"),
            ("xxxxxx0018^^^^NI", "nhs-number.format"),
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
        for number in ["9990000018", "9000000009", "9912003888"] {
            let body = pid(&format!("{number}^^^NHS^NH"), "01");
            let identity = read_with(&body, &live).expect("no conflict");
            assert_eq!(identity.nhs_number, None, "{number}");
            assert_eq!(identity.quality, ["nhs-number.test-range"], "{number}");
            assert!(read_with(&body, &source()).expect("no conflict").nhs_number.is_some());
        }
    }

    #[test]
    fn a_number_of_a_range_that_is_not_issued_in_england_is_counted_and_keys() {
        let identity = read("3200000007^^^NHS^NH", "01");
        assert!(identity.nhs_number.is_some());
        assert_eq!(identity.quality, ["nhs-number.range"]);
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
    fn another_number_where_nobody_looks_for_one_is_a_conflict() {
        let number = "9990000018^^^NHS^NH";
        for (second, fourth, conflicts) in [
            ("9990000026^^^NHS^NH", "", true),
            ("", "T1^^^RXX01^PT~999 000 0026^^^^NH", true),
            (number, "999 000 0018^^^NHS", false),
            ("", "9990000019^^^NHS^NH~9999999999^^^NHS^NH", false),
            ("9990000026", "9990000026^^^RXX01^MR~9990000026^^^CHI^NH", false),
        ] {
            let read = |list| read_with(&format!("PID|1|{second}|{list}|{fourth}"), &source());
            assert_eq!(read(number).is_err(), conflicts, "{second} {fourth}");
            assert_eq!(read("1^^^RXX01^MR").expect("nobody's").found, None);
        }
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
        assert!(read("9990000018^^^^NH").nhs_number.is_some());
        assert_eq!(read("xxxxxx0018^^^NHS^NH").quality, ["nhs-number.format"]);
        // What says that it is another number is one, whatever its check digit.
        for other in ["9990000018^^^RXX01^PI", "9990000018^^^CHI^NH", "9990000018^^^^MR"] {
            let identity = read(other);
            assert_eq!((identity.found, identity.stated.len()), (None, 0), "{other}");
            assert_eq!(identity.quality, ["nhs-number.absent"]);
        }
    }

    #[test]
    fn fallback_places_are_read_in_every_pid_segment() {
        let mut social = source();
        social.nhs_number.fallbacks = vec!["PID-19".parse().expect("a location")];
        let person = |number: &str| format!("PID|1||1^^^RXX01^MR{}{number}", "|".repeat(16));
        let read = |one: &str, other: &str| {
            read_with(&format!("{}\r{}", person(one), person(other)), &social)
        };
        assert_eq!(read("9990000018", "9990000026"), Err(IdentityConflict::TwoNumbers));
        let identity = read("", "9990000018").expect("no conflict");
        assert_eq!(identity.stated[0].at.to_string(), "PID(2)-19");
        assert!(identity.found.is_some());
    }

    #[test]
    fn the_default_authority_takes_identifiers_without_one() {
        for (identifiers, local, best) in [
            ("1234567", "1234567^^^RXX01^MR", "1234567^^^RXX01^MR"),
            ("1234567^^^^MR", "1234567^^^RXX01^MR", "1234567^^^RXX01^MR"),
            ("1234567^^^^XX", "", ""),
            // Beside a labelled one a bare one may be any number.
            ("998877~1234567^^^RXX01^MR", "1234567^^^RXX01^MR", "1234567^^^RXX01^MR"),
            ("998877~1234567^^^^MR", "1234567^^^RXX01^MR", "1234567^^^RXX01^MR"),
            ("P1^^^RXX02^PI~1234567~X9^^^OTHER^ZZ", "P1^^^RXX02^PI", "P1^^^RXX02^PI"),
            // The authority says more than the type, and the default authority is the better one.
            (
                "998877^^^^MR~1234567^^^RXX01^MR",
                "998877^^^RXX01^MR 1234567^^^RXX01^MR",
                "1234567^^^RXX01^MR",
            ),
            (
                "P1^^^RXX02^PI~1234567^^^RXX01^MR",
                "P1^^^RXX02^PI 1234567^^^RXX01^MR",
                "1234567^^^RXX01^MR",
            ),
        ] {
            let identity = read(identifiers, "");
            let shown: Vec<String> = identity.local.iter().map(ToString::to_string).collect();
            assert_eq!(shown.join(" "), local, "{identifiers}");
            let best_found = identity.best_local.map(|local| local.to_string());
            assert_eq!(best_found.unwrap_or_default(), best, "{identifiers}");
        }
    }

    #[test]
    fn a_number_that_the_index_holds_is_known_with_its_own_status() {
        let index =
            NhsNumber::parse("9990000026").ok().map(|number| (number, Some(Status::VERIFIED)));
        let local = read("1234567^^^RXX01^MR", "NSTS02");
        let known = local.known_as(index);
        assert_eq!(
            (known.nhs_number, known.status),
            (index.map(|(n, _)| n), Some(Status::VERIFIED))
        );
        assert_eq!((known.valid, known.local.len()), (None, 1));
        assert_eq!(local.known_as(None).nhs_number, None);
    }

    #[test]
    fn a_message_that_nobody_could_place_is_about_nobody() {
        for identifiers in ["", "\"\"", "4410233^^^RZZ01^MR", "9990000019^^^NHS^NH"] {
            assert!(read(identifiers, "NSTS01").is_nobody(), "{identifiers}");
        }
        assert!(read("9990000018^^^NHS^NH", "NSTS02").is_nobody());
        assert!(!read("9990000018^^^NHS^NH", "NSTS01").is_nobody());
        assert!(!read("1234567^^^RXX01^MR", "").is_nobody());
    }

    #[test]
    fn debug_shows_no_identifier() {
        let identity = read("9990000018^^^NHS^NH~1234567^^^RXX01^MR", "01");
        let shown = format!("{identity:?} {:?}", identity.local);
        assert!(!shown.contains("9990000018") && !shown.contains("1234567"), "{shown}");
    }
}
