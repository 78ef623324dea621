//! One result: what a group of ORC, OBR and OBX says happened to it, and how to recognise it again.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;

use crate::text::{stated, whole_of};

/// What happened to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultKind {
    /// There are results.
    Available {
        /// More is to come: OBR-25 or an OBX-11 says that it is not final.
        preliminary: bool,
    },
    /// It replaces what was sent before: OBR-25 is C, or an OBX-11 is A, B, C, D or W.
    Corrected,
    /// Nothing of it may be relied on: every OBX-11 is D or W, or X beside one of these.
    Withdrawn,
    /// There will be no results: OBR-25 is X, or every OBX-11.
    Cancelled,
    /// There are no results yet: OBR-25 is O, I or S, and no OBX states a value.
    Awaited,
}

impl ResultKind {
    /// The name of its event type; a report that is awaited has none.
    pub fn name(self) -> Option<&'static str> {
        match self {
            ResultKind::Available { .. } => Some("result.available"),
            ResultKind::Corrected => Some("result.corrected"),
            ResultKind::Withdrawn => Some("result.withdrawn"),
            ResultKind::Cancelled => Some("result.cancelled"),
            ResultKind::Awaited => None,
        }
    }
}

/// Classifies a result by OBR-25 (table 0123), every OBX-11 (table 0085) and whether there is any value.
pub fn classify(group: &Group<'_>) -> ResultKind {
    let report = code(group.segment("OBR", 1).as_ref(), 25);
    let observations: Vec<Segment<'_>> = group.segments().filter(|s| s.name() == "OBX").collect();
    let statuses: Vec<String> = observations.iter().map(|obx| code(Some(obx), 11)).collect();
    let any = |codes: &[&str]| statuses.iter().any(|status| codes.contains(&status.as_str()));
    let all = |codes: &[&str]| {
        !statuses.is_empty() && statuses.iter().all(|status| codes.contains(&status.as_str()))
    };
    if all(&["D", "W", "X"]) && any(&["D", "W"]) {
        ResultKind::Withdrawn
    } else if report == "X" || (report != "C" && all(&["X"])) {
        ResultKind::Cancelled
    } else if report == "C" || any(&["A", "B", "C", "D", "W"]) {
        ResultKind::Corrected
    } else if is_progress(&report) && !observations.iter().any(has_value) {
        ResultKind::Awaited
    } else {
        let unfinished = is_progress(&report) || matches!(report.as_str(), "P" | "R" | "A");
        ResultKind::Available { preliminary: unfinished || any(&["P", "R", "S", "I", "O"]) }
    }
}

/// Whether OBR-25 tells only how far a request has come: ordered, specimen in, examination planned.
pub(crate) fn is_progress(report: &str) -> bool {
    matches!(report, "O" | "I" | "S")
}

/// Whether an OBX states a value, or deletes one (HL7 null).
fn has_value(obx: &Segment<'_>) -> bool {
    obx.field(5).is_some_and(|value| !value.is_empty())
}

/// Whether an OBX states something that was measured or found, for good or for now: no text, which
/// often says why there is nothing.
pub(crate) fn is_finding(obx: &Segment<'_>) -> bool {
    let text = matches!(code(Some(obx), 2).as_str(), "" | "ST" | "TX" | "FT");
    let stands = matches!(code(Some(obx), 11).as_str(), "" | "F" | "P" | "R" | "C" | "A" | "B");
    !text && stands && has_value(obx)
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
/// marked as such, since both may count alike. The test is OBR-4; where OBR-26 names the result that
/// it was done on, as sensitivities name their organism, the code and sub-id of that result follow:
/// `|SENS/ORG/1`. Where one message has several reports of the same number and test, the second and
/// later ones are counted: `|FBC#2`. Such reports are told apart only by their order, which a laboratory
/// may change in the next version: see [`is_shared`].
pub fn result_key(message: &Message, group: &Group<'_>) -> Result<String, NoKey> {
    let key = base_key(message, group)?;
    let place =
        |group: &Group<'_>| group.segment("OBR", 1).map_or(group.range().start, |obr| obr.index());
    let groups = message.orders();
    let earlier = groups.iter().take_while(|other| place(other) < place(group));
    let same = earlier.filter(|other| base_key(message, other).as_ref() == Ok(&key)).count();
    Ok(if same == 0 { key } else { format!("{key}#{}", same + 1) })
}

/// Whether a key says which report is meant only within this message: another report of the message
/// has the same number and test.
pub fn is_shared(message: &Message, key: &str) -> bool {
    let base = key.split('#').next().unwrap_or(key);
    let groups = message.orders();
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
    let test = part(&obr.map(|obr| name_of(&obr, 4)).unwrap_or_default());
    let key = format!("{}/{}|{number}|{test}", sender(3), sender(4));
    Ok(match obr.and_then(|obr| Parent::of(&obr)) {
        None => key,
        Some(parent) => format!("{key}/{}/{}", part(&parent.code), part(&parent.sub_id)),
    })
}

/// The result on which a report was done (OBR-26): its OBX-3, its OBX-4, and its value in words.
pub(crate) struct Parent {
    code: String,
    sub_id: String,
    /// What people call it, as the organism.
    pub(crate) words: Option<String>,
}

impl Parent {
    /// As OBR-26 (PRL) names it; OBX-3 and its parts are subcomponents there.
    pub(crate) fn of(obr: &Segment<'_>) -> Option<Self> {
        let parent = obr.field(26)?.repetition(1)?;
        let part = |component: usize, at: usize| stated(parent.text(component, at));
        let code = [1, 4, 2].into_iter().find_map(|at| part(1, at)).unwrap_or_default();
        let sub_id = whole_of(obr, 26, 2).unwrap_or_default();
        let named = !code.is_empty() || !sub_id.is_empty();
        named.then(|| Self { code, sub_id, words: whole_of(obr, 26, 3) })
    }

    /// The one OBX of the message that it is, with its key, among the reports of the number that OBR-29
    /// names, else of any number. `None` if no OBX is, or several are.
    pub(crate) fn find<'m>(
        &self,
        message: &'m Message,
        child: &Group<'_>,
    ) -> Option<(String, Segment<'m>)> {
        let number = parent_number(&child.segment("OBR", 1)?);
        let mut found = Vec::new();
        for group in message.orders() {
            let Some(obr) = group.segment("OBR", 1).filter(|_| group.range() != child.range())
            else {
                continue;
            };
            let same = |wanted: &String| {
                [3, 2].into_iter().any(|at| whole_of(&obr, at, 1).as_ref() == Some(wanted))
            };
            if !number.as_ref().is_none_or(same) {
                continue;
            }
            let observations: Vec<Segment<'m>> =
                group.segments().filter(|segment| segment.name() == "OBX").collect();
            let keys = observation_keys(&result_key(message, &group).ok()?, &observations);
            let is_parent = |obx: &Segment<'_>| {
                let code = self.code.is_empty() || name_of(obx, 3) == self.code;
                code && whole_of(obx, 4, 1).unwrap_or_default() == self.sub_id
            };
            found.extend(keys.into_iter().zip(observations).filter(|(_, obx)| is_parent(obx)));
        }
        if found.len() == 1 { found.pop() } else { None }
    }
}

/// The number of the report on which another was done (OBR-29, EIP): the filler's, else the placer's.
pub(crate) fn parent_number(obr: &Segment<'_>) -> Option<String> {
    let parent = obr.field(29)?.repetition(1)?;
    [2, 1].into_iter().find_map(|component| stated(parent.text(component, 1)))
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
        assert_eq!(kind("F", &["X", "D"]), ResultKind::Withdrawn);
        for report in ["X", "F", "P", ""] {
            assert_eq!(kind(report, &["X", "X"]), ResultKind::Cancelled, "{report}");
        }
        assert_eq!(kind("X", &[]), ResultKind::Cancelled);
        assert_eq!(kind("C", &["F"]), ResultKind::Corrected);
        assert_eq!(kind("C", &["X"]), ResultKind::Corrected);
        for status in ["A", "B", "C", "D", "W", "w"] {
            assert_eq!(kind("F", &["F", status]), ResultKind::Corrected, "{status}");
        }
        for progress in ["O", "I", "S"] {
            assert_eq!(kind(progress, &[]), ResultKind::Awaited, "{progress}");
            assert_eq!(kind(progress, &["F"]), preliminary, "{progress}");
        }
    }

    #[test]
    fn each_kind_but_what_is_awaited_has_its_event_type() {
        use ResultKind::{Available, Awaited, Cancelled, Corrected, Withdrawn};
        for kind in [Available { preliminary: false }, Corrected, Withdrawn, Cancelled] {
            assert!(kind.name().and_then(crate::catalogue::lookup).is_some(), "{kind:?}");
        }
        assert_eq!(Awaited.name(), None);
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
    fn what_was_done_on_another_result_says_on_which() {
        let body = "OBR|1||F1|BC\rOBX|1|CE|ORG^Organism|1|ECOL^E coli\rOBX|2|CE|ORG^Organism|2|SAUR^S aureus\r";
        let child = |set: u8, parent: &str, number: &str| {
            format!("OBR|{set}||F1|SENS{}{parent}|||{number}\rOBX|1|ST|AMX|1|R\r", "|".repeat(22))
        };
        let both = |first: &str, second: &str| {
            message(&format!("{body}{}{}", child(2, first, "P1^F1"), child(3, second, "P1^F1")))
        };
        let keys = |message: &Message| -> Vec<String> {
            let groups = message.groups(&["ORC", "OBR"]);
            groups.iter().map(|group| result_key(message, group).expect("a key")).collect()
        };
        let (one, other) = ("ORG&Organism^1^E coli", "ORG&Organism^2^S aureus");
        let expected = ["LIMS/RXX01|F1|BC", "LIMS/RXX01|F1|SENS/ORG/1", "LIMS/RXX01|F1|SENS/ORG/2"];
        assert_eq!(keys(&both(one, other)), expected);
        // Their order is the laboratory's affair.
        assert_eq!(keys(&both(other, one))[1..], [expected[2], expected[1]]);
        let message = both(one, other);
        let group = &message.groups(&["ORC", "OBR"])[2];
        let parent = Parent::of(&group.segment("OBR", 1).expect("an OBR")).expect("a parent");
        let (key, obx) = parent.find(&message, group).expect("it is in the message");
        assert_eq!(
            (key.as_str(), parent.words.as_deref()),
            ("LIMS/RXX01|F1|BC|ORG|2", Some("S aureus"))
        );
        assert_eq!(whole_of(&obx, 5, 2).as_deref(), Some("S aureus"));
        // One that nobody named, and one of another number.
        for (parent, number) in [("ORG^3", "P1^F1"), ("ORG^1", "P9^F9")] {
            let message = self::message(&format!("{body}{}", child(2, parent, number)));
            let group = &message.groups(&["ORC", "OBR"])[1];
            let parent = Parent::of(&group.segment("OBR", 1).expect("an OBR")).expect("a parent");
            assert!(parent.find(&message, group).is_none(), "{number}");
        }
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
