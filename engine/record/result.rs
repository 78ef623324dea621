//! One result: what a group of ORC, OBR and OBX says happened to it, and how to recognise it again.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;

use crate::catalogue::{EventType, lookup};
use crate::text::{stated, whole_of};

/// What happened to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// There are results.
    Available {
        /// More is to come: OBR-25 or an OBX-11 says that it is not final.
        preliminary: bool,
    },
    /// It replaces what was sent before: OBR-25 is C, or an OBX-11 is C, D or W.
    Corrected,
    /// Nothing of it may be relied on: every OBX-11 is D or W.
    Withdrawn,
    /// There will be no results: OBR-25 is X.
    Cancelled,
}

impl ResultKind {
    /// The name of its event type.
    pub fn name(self) -> &'static str {
        match self {
            ResultKind::Available { .. } => "result.available",
            ResultKind::Corrected => "result.corrected",
            ResultKind::Withdrawn => "result.withdrawn",
            ResultKind::Cancelled => "result.cancelled",
        }
    }

    /// Its event type.
    pub fn event_type(self) -> &'static EventType {
        lookup(self.name()).expect("the catalogue has every kind of result")
    }
}

/// Classifies a result by OBR-25 (table 0123) and every OBX-11 (table 0085).
pub fn classify(group: &Group<'_>) -> ResultKind {
    let report = code(group.segment("OBR", 1).as_ref(), 25);
    let observations: Vec<String> =
        group.segments().filter(|s| s.name() == "OBX").map(|obx| code(Some(&obx), 11)).collect();
    let any = |codes: &[&str]| observations.iter().any(|status| codes.contains(&status.as_str()));
    let gone = |status: &String| matches!(status.as_str(), "D" | "W");
    if !observations.is_empty() && observations.iter().all(gone) {
        ResultKind::Withdrawn
    } else if report == "X" {
        ResultKind::Cancelled
    } else if report == "C" || any(&["C", "D", "W"]) {
        ResultKind::Corrected
    } else {
        let unfinished = matches!(report.as_str(), "P" | "R" | "A" | "S" | "I" | "O");
        ResultKind::Available { preliminary: unfinished || any(&["P", "R", "S", "I", "O"]) }
    }
}

/// A status code of one letter, in capitals; empty if there is none.
pub fn code(segment: Option<&Segment<'_>>, field: usize) -> String {
    let stated = segment.and_then(|segment| stated(segment.text(field, 1)));
    stated.unwrap_or_default().to_ascii_uppercase()
}

/// A result that states no number to recognise it by: its later correction could not be matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the result has neither a filler nor a placer number")]
pub struct NoKey;

impl NoKey {
    /// The reason code under which the message is parked.
    pub fn code(self) -> &'static str {
        "result.no-key"
    }
}

/// The key under which a report is recognised, the same for all its versions: sender, number, and
/// test, as in `LIMS/RXX01|24B0012345|FBC`.
///
/// The number is the filler's (OBR-3, else ORC-3); without one the placer's (OBR-2, else ORC-2),
/// marked as such, since both may count alike. The test is OBR-4. Where one message has several
/// reports of the same number and test, the second and later ones are counted: `|FBC#2`. Such
/// reports are told apart only by their order, which a laboratory may change in the next version:
/// see [`is_shared`].
pub fn result_key(message: &Message, group: &Group<'_>) -> Result<String, NoKey> {
    let key = base_key(message, group)?;
    let place =
        |group: &Group<'_>| group.segment("OBR", 1).map_or(group.range().start, |obr| obr.index());
    let groups = message.groups(&["ORC", "OBR"]);
    let earlier = groups.iter().take_while(|other| place(other) < place(group));
    let same = earlier.filter(|other| base_key(message, other).as_ref() == Ok(&key)).count();
    Ok(if same == 0 { key } else { format!("{key}#{}", same + 1) })
}

/// Whether a key says which report is meant only within this message: another report of the message
/// has the same number and test.
pub fn is_shared(message: &Message, key: &str) -> bool {
    let base = key.split('#').next().unwrap_or(key);
    let groups = message.groups(&["ORC", "OBR"]);
    let reports = groups.iter().filter(|group| group.segment("OBR", 1).is_some());
    let same = reports.filter(|group| base_key(message, group).is_ok_and(|other| other == base));
    same.count() > 1
}

/// Whether a key had to be counted to be told from an earlier one of the same message.
pub fn is_counted(key: &str) -> bool {
    key.contains('#')
}

fn base_key(message: &Message, group: &Group<'_>) -> Result<String, NoKey> {
    let obr = group.segment("OBR", 1);
    let orc = group.segment("ORC", 1);
    let number = |segment: &Option<Segment<'_>>, field: usize| {
        segment.as_ref().and_then(|segment| whole_of(segment, field, 1))
    };
    let filler = number(&obr, 3).or_else(|| number(&orc, 3));
    let placer = || {
        let found = number(&obr, 2).or_else(|| number(&orc, 2))?;
        Some(format!("placer:{}", part(&found)))
    };
    let number = filler.map(|found| part(&found)).or_else(placer).ok_or(NoKey)?;
    let msh = message.segment("MSH", 1);
    let sender =
        |field: usize| part(&msh.and_then(|msh| stated(msh.text(field, 1))).unwrap_or_default());
    let test = obr.map(|obr| name_of(&obr, 4)).unwrap_or_default();
    Ok(format!("{}/{}|{number}|{}", sender(3), sender(4), part(&test)))
}

/// The keys of the observations of a report, in order: the report's key, OBX-3 and OBX-4. Lines that
/// share both, as the lines of a text often do, are counted: `...|NOTE|#2`.
pub fn observation_keys(report: &str, observations: &[Segment<'_>]) -> Vec<String> {
    let mut seen = std::collections::HashMap::new();
    let keys = observations.iter().map(|obx| {
        let sub = whole_of(obx, 4, 1).unwrap_or_default();
        format!("{report}|{}|{}", part(&name_of(obx, 3)), part(&sub))
    });
    keys.map(|key| {
        let count = seen.entry(key.clone()).and_modify(|count| *count += 1).or_insert(1);
        if *count == 1 { key } else { format!("{key}#{count}") }
    })
    .collect()
}

/// A coded field by its code, else its alternate code, else its text.
fn name_of(segment: &Segment<'_>, field: usize) -> String {
    [1, 4, 2].into_iter().find_map(|at| whole_of(segment, field, at)).unwrap_or_default()
}

/// A text in which the separators of a key are written as their hexadecimal codes.
fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '%' => out.push_str("%25"),
            '|' => out.push_str("%7C"),
            '/' => out.push_str("%2F"),
            '#' => out.push_str("%23"),
            c if c.is_control() => out.push_str("%20"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use hl7::message::Reading;
    use proptest::prelude::*;

    use super::*;

    fn message(body: &str) -> Message {
        let text = format!("MSH|^~\\&|LIMS|RXX01|TIE|RXX|20240110||ORU^R01|1|P|2.5.1\r{body}");
        Message::parse(text.into_bytes(), &Reading::default()).expect("a message")
    }

    fn kind(report: &str, observations: &[&str]) -> ResultKind {
        let mut body = format!("OBR|1|P1|F1|FBC^Full blood count{}|{report}\r", "|".repeat(20));
        for status in observations {
            write!(body, "OBX|1|NM|HB^Haemoglobin||120|g/L|||||{status}\r")
                .expect("writing to a string");
        }
        let message = message(&body);
        classify(&message.groups(&["ORC", "OBR"])[0])
    }

    #[test]
    fn a_report_is_classified_by_all_its_statuses() {
        let finished = ResultKind::Available { preliminary: false };
        let preliminary = ResultKind::Available { preliminary: true };
        assert_eq!(kind("F", &["F", "F"]), finished);
        assert_eq!(kind("P", &["F"]), preliminary);
        assert_eq!(kind("F", &["F", "P"]), preliminary);
        assert_eq!(kind("F", &["D", "W"]), ResultKind::Withdrawn);
        assert_eq!(kind("X", &["D", "W"]), ResultKind::Withdrawn);
        assert_eq!(kind("X", &["X"]), ResultKind::Cancelled);
        assert_eq!(kind("X", &[]), ResultKind::Cancelled);
        assert_eq!(kind("C", &["F"]), ResultKind::Corrected);
        for status in ["C", "D", "W", "w"] {
            assert_eq!(kind("F", &["F", status]), ResultKind::Corrected, "{status}");
        }
        assert_eq!(kind("F", &[]), finished);
    }

    fn keys(body: &str) -> Vec<Result<String, NoKey>> {
        let message = message(body);
        message.groups(&["ORC", "OBR"]).iter().map(|group| result_key(&message, group)).collect()
    }

    #[test]
    fn the_key_is_sender_number_and_test() {
        assert_eq!(keys("OBR|1|P1|F1|FBC"), [Ok("LIMS/RXX01|F1|FBC".to_owned())]);
        assert_eq!(keys("ORC|RE|P1|F1\rOBR|1|||FBC"), [Ok("LIMS/RXX01|F1|FBC".to_owned())]);
        assert_eq!(keys("OBR|1|P1||FBC"), [Ok("LIMS/RXX01|placer:P1|FBC".to_owned())]);
        assert_eq!(keys("OBR|1|||FBC"), [Err(NoKey)]);
        assert_eq!(keys("OBR|1||F\\F\\1|^Swab"), [Ok("LIMS/RXX01|F%7C1|Swab".to_owned())]);
        let ampersands = keys("OBR|1||F1|B&K^Bone & kidney\rOBR|2||F1|B&L^Bone & liver");
        assert_eq!(ampersands[0], Ok("LIMS/RXX01|F1|B&K".to_owned()));
        assert_eq!(ampersands[1], Ok("LIMS/RXX01|F1|B&L".to_owned()));
    }

    #[test]
    fn reports_of_one_number_and_test_are_told_apart() {
        let keys = keys("OBR|1||F1|MC\rOBX|1|ST|A||x\rOBR|2||F1|MC\rOBR|3||F2|MC");
        assert_eq!(keys[0], Ok("LIMS/RXX01|F1|MC".to_owned()));
        assert_eq!(keys[1], Ok("LIMS/RXX01|F1|MC#2".to_owned()));
        assert_eq!(keys[2], Ok("LIMS/RXX01|F2|MC".to_owned()));
        let twice = message("OBR|1||F1|MC\rOBR|2||F1|MC\rOBR|3||F1|UE");
        let shared = |key: &str| is_shared(&twice, &format!("LIMS/RXX01|F1|{key}"));
        assert_eq!((shared("MC"), shared("MC#2"), shared("UE")), (true, true, false));
        assert!(is_counted("LIMS/RXX01|F1|MC#2") && !is_counted("LIMS/RXX01|F%231|MC"));
        let message = message("ORC|RE\rOBR|1||F1|MC");
        let by_request = &message.groups(&["OBR"])[0];
        assert_eq!(result_key(&message, by_request), Ok("LIMS/RXX01|F1|MC".to_owned()));
    }

    #[test]
    fn observations_add_their_code_and_sub_id() {
        let message = message(
            "OBR|1||F1|MC\rOBX|1|ST|ORG|1|x\rOBX|2|ST|ORG|2|y\rOBX|3|TX|NOTE||a\rOBX|4|TX|NOTE||b",
        );
        let observations: Vec<_> = message.segments().filter(|s| s.name() == "OBX").collect();
        let keys = observation_keys("R", &observations);
        assert_eq!(keys, ["R|ORG|1", "R|ORG|2", "R|NOTE|", "R|NOTE|#2"]);
        let message = self::message(
            "OBR|1||F1|MC\rOBX|1|ST|O&P|1&IMP|x\rOBX|2|ST|O&P|1&REC|y\rOBX|3|ST|O&V||z",
        );
        let observations: Vec<_> = message.segments().filter(|s| s.name() == "OBX").collect();
        let keys = observation_keys("R", &observations);
        assert_eq!(keys, ["R|O&P|1&IMP", "R|O&P|1&REC", "R|O&V|"]);
    }

    proptest! {
        #[test]
        fn the_key_does_not_change_between_versions(
            number in "[A-Z0-9]{1,12}",
            test in "[A-Z0-9]{1,6}",
            first in "[PRFC]",
            later in "[FCXDW]",
        ) {
            let version = |status: &str, value: &str, id: &str| {
                let mut text = format!("OBR|1||{number}|{test}{}|{status}\r", "|".repeat(20));
                write!(text, "OBX|1|NM|HB||{value}|g/L|||||{status}\rNTE|1||{id}").expect("writing to a string");
                keys(&text).remove(0)
            };
            prop_assert_eq!(version(&first, "120", "a"), version(&later, "", "b"));
        }
    }
}
