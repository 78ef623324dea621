//! Where a message was searched for its patient, for whoever has to find out why nobody was found, or
//! two: places and codes, never a value.

use std::collections::BTreeMap;

use hl7::location::Location;
use hl7::message::Message;

use crate::claim::{Stated, candidates, fallback, occurrence, witnesses};
use crate::identity::IdentityConflict;
use crate::nhs_number::NhsNumber;
use crate::source::Source;

/// What a person has to know of a message without a patient, and what to do.
pub fn nobody(message: &Message, source: &Source) -> String {
    if message.segment("PID", 1).is_none() {
        return "there is no PID segment to say whom the message is about: the message may have been \
                cut short, or the script should filter it"
            .to_owned();
    }
    let numbers = claims(message, source);
    let numbers = if numbers.is_empty() {
        "none stands there".to_owned()
    } else {
        let each = |claim: &Stated| match claim.verdict {
            Ok(_) => format!("the one in {} may not key", claim.at),
            Err(error) => format!("{} is {}", claim.at, error.quality()),
        };
        numbers.iter().map(each).collect::<Vec<_>>().join(", ")
    };
    let kinds: Vec<String> =
        source.local.iter().map(|of| format!("{} {}", of.authority, of.kind)).collect();
    let kinds = if kinds.is_empty() { "none is configured".to_owned() } else { kinds.join(", ") };
    format!(
        "no NHS Number that may key ({}: {numbers}) and no identifier of the source's own in PID-3 \
         ({kinds}): have it sent with either, or say below `identity` of the channel where they stand \
         and how they are marked",
        places(source)
    )
}

/// The same of a message whose identifiers contradict each other.
pub fn contradiction(conflict: IdentityConflict, message: &Message, source: &Source) -> String {
    match conflict {
        IdentityConflict::TwoNumbers => {
            let mut first: BTreeMap<NhsNumber, Location> = BTreeMap::new();
            let persons = message.segments_named("PID").enumerate();
            let elsewhere =
                persons.flat_map(|(index, pid)| witnesses(&pid, occurrence(index), source));
            for claim in claims(message, source).into_iter().chain(elsewhere) {
                if let Ok(number) = claim.verdict {
                    first.entry(number).or_insert(claim.at);
                }
            }
            let mut places: Vec<Location> = first.into_values().collect();
            places.sort();
            let places: Vec<String> = places.iter().map(ToString::to_string).collect();
            format!(
                "different NHS Numbers in {}: ask the source whose message it is, then edit it or have \
                 it sent again",
                places.join(" and ")
            )
        }
        IdentityConflict::TwoPatients => format!(
            "{} PID segments that do not name the same patient: a message about two is for a person; \
             have the source send one for each",
            message.segments_named("PID").count()
        ),
    }
}

/// Where NHS Numbers are looked for.
fn places(source: &Source) -> String {
    let others = source.nhs_number.fallbacks.iter().map(ToString::to_string);
    std::iter::once("PID-3".to_owned()).chain(others).collect::<Vec<_>>().join(", ")
}

/// Every place that claims to hold an NHS Number, in the order of the search.
fn claims(message: &Message, source: &Source) -> Vec<Stated> {
    let persons = message.segments_named("PID").enumerate();
    let marked = persons.flat_map(|(index, pid)| candidates(&pid, occurrence(index), source));
    let rules = &source.nhs_number;
    let others = rules.fallbacks.iter().flat_map(|at| fallback(message, *at, rules));
    marked.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;
    use crate::identity::Identity;
    use crate::source::LocalAuthority;

    fn message(body: &str) -> Message {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A08|1|P|2.4\r{body}");
        Message::parse(text.into_bytes(), &Reading::default()).expect("a message")
    }

    fn source() -> Source {
        let mut source = Source::new("pas-adt", "RXX");
        source.nhs_number.fallbacks = vec!["PID-2".parse().expect("a location")];
        source.local = vec![LocalAuthority {
            authority: "RXX01".to_owned(),
            kind: "MR".to_owned(),
            default: false,
        }];
        source
    }

    #[test]
    fn who_names_nobody_is_told_where_was_looked() {
        let found = nobody(&message("PID|1||9990000019^^^NHS^NH~77^^^RYY^MR"), &source());
        assert!(found.contains("(PID-3, PID-2: PID-3.1 is nhs-number.check-digit)"), "{found}");
        assert!(found.contains("(RXX01 MR)"), "{found}");
        let found = nobody(&message("PID|1||77^^^RYY^MR~9990000018^^^NHS^NH"), &source());
        assert!(found.contains("the one in PID-3(2).1 may not key"), "{found}");
        let found = nobody(&message("PID|1"), &source());
        assert!(found.contains("none stands there"), "{found}");
        assert!(nobody(&message("EVN|A08"), &source()).contains("no PID segment"));
    }

    #[test]
    fn who_names_two_is_told_where_they_stand_and_never_who_they_are() {
        let told = |body: &str| {
            let message = message(body);
            let conflict = Identity::read(&message, &source()).expect_err("a conflict");
            contradiction(conflict, &message, &source())
        };
        let found = told("PID|1|9990000018^^^NHS|9990000026^^^NHS^NH~9990000026^^^NHS^NH");
        assert!(found.starts_with("different NHS Numbers in PID-2 and PID-3.1:"), "{found}");
        let found = told("PID|1||9990000018^^^NHS^NH|T1~9990000026^^^NHS^NH");
        assert!(found.contains("in PID-3.1 and PID-4(2).1:"), "{found}");
        let found = told("PID|1||9990000018^^^NHS^NH\rPID|2||9990000026^^^NHS^NH");
        assert!(found.contains("PID-3.1 and PID(2)-3.1"), "{found}");
        assert!(!found.contains("999"), "{found}");
        let found = told("PID|1||77^^^RXX01^MR\rPID|2||78^^^RXX01^MR");
        assert!(found.starts_with("2 PID segments"), "{found}");
    }
}
