//! Merges, moves and links as senders write them.

use hl7::message::{Message, Reading};
use record::identity::Identity;
use record::local::LocalId;
use record::movement::{Movement, Side, Unreadable, read};
use record::sensitivity::Stated;
use record::source::{LocalAuthority, Source};
use record::trigger::Kind;

fn source() -> Source {
    let mut source = Source::new("pas", "RXX");
    source.nhs_number.test_data = true;
    let kind = |authority: &str, kind: &str, default| LocalAuthority {
        authority: authority.to_owned(),
        kind: kind.to_owned(),
        default,
    };
    source.local = vec![kind("RXX01", "MR", true), kind("RXX01", "VN", false)];
    source
}

fn message(trigger: &str, body: &str) -> Message {
    let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20260701||ADT^{trigger}|1|P|2.4\r{body}");
    Message::parse(text.into_bytes(), &Reading::default()).expect("a message")
}

fn moved(trigger: &str, body: &str) -> Result<Movement, Unreadable> {
    read(&message(trigger, body), &source()).expect("a movement")
}

/// Number, then local identifiers.
fn shown(side: &Side) -> String {
    let number = side.found.map(|number| number.to_string());
    let locals = side.locals.iter().map(|local: &LocalId| local.to_string());
    number.into_iter().chain(locals).collect::<Vec<_>>().join(" ")
}

const PID: &str = "PID|1||9990000018^^^NHS^NH~2^^^RXX01^MR||SMITH^ANN||19651213\r";

#[test]
fn type_and_authority_couple_the_lists_and_not_their_order() {
    for (mrg, expected) in [
        ("9990000018^^^NHS^NH~1^^^RXX01^MR", "1^^^RXX01^MR"),
        ("1^^^RXX01^MR~9990000018^^^NHS^NH", "1^^^RXX01^MR"),
        ("1^^^RXX01^MR~9990000026^^^NHS^NH", "9990000026 1^^^RXX01^MR"),
        ("1", "1^^^RXX01^MR"),
        ("1^^^^MR", "1^^^RXX01^MR"),
        // An identifier of another type is another one, though the digits are the same.
        ("2^^^RXX01^VN", "2^^^RXX01^VN"),
        ("1^^^RXX01^MR~3^^^RXX01^MR", "1^^^RXX01^MR 3^^^RXX01^MR"),
        ("2^^^RXX01^MR|||1", "1^^^RXX01^MR"),
        ("|||1", "1^^^RXX01^MR"),
    ] {
        let movement = moved("A40", &format!("{PID}MRG|{mrg}\r")).expect(mrg);
        let [pair] = &movement.pairs[..] else { panic!("one pair") };
        assert_eq!(shown(&pair.survivor), "9990000018 2^^^RXX01^MR");
        assert_eq!(shown(&pair.retired), expected, "{mrg}");
        assert_eq!(pair.survivor.demographics.families, ["SMITH"]);
    }
}

#[test]
fn groups_are_pairs() {
    let other = "PID|2||4^^^RXX01^MR\r";
    let body = format!("{PID}PD1||\rMRG|1\rMRG|9\r{other}MRG|3\r");
    let movement = moved("A40", &body).expect("pairs");
    let pairs: Vec<_> =
        movement.pairs.iter().map(|pair| (shown(&pair.survivor), shown(&pair.retired))).collect();
    let two = || "9990000018 2^^^RXX01^MR".to_owned();
    let local = |value: &str| format!("{value}^^^RXX01^MR");
    assert_eq!(pairs, [(two(), local("1")), (two(), local("9")), (local("4"), local("3"))]);
    // Identity is that of the first, and no conflict.
    let identity = Identity::read(&message("A40", &body), &source()).expect("no conflict");
    assert_eq!(identity.local.len(), 1);
    assert!(Identity::read(&message("A08", &body), &source()).is_err());
}

#[test]
fn each_trigger_has_its_kind() {
    let visit = "MRG|1^^^RXX01^MR||A1||V1\rPV1||I|||||||||||||||||V2\r";
    for (trigger, kind, visits) in [
        ("A18", Kind::Merge, 0),
        ("A34", Kind::Merge, 0),
        ("A36", Kind::Merge, 0),
        ("A40", Kind::Merge, 0),
        ("A43", Kind::MoveIdentifier, 0),
        ("A46", Kind::Change, 0),
        ("A47", Kind::Change, 0),
        ("A35", Kind::MergeVisits, 1),
        ("A41", Kind::MergeVisits, 1),
        ("A42", Kind::MergeVisits, 1),
        ("A44", Kind::MoveVisits, 1),
        ("A45", Kind::MoveVisits, 1),
        ("A49", Kind::Renumber, 1),
        ("A50", Kind::Renumber, 1),
    ] {
        let movement = moved(trigger, &format!("{PID}{visit}")).expect(trigger);
        assert_eq!((movement.kind, movement.pairs[0].visits.len()), (kind, visits), "{trigger}");
    }
    for trigger in ["A01", "A08", "A17", "A31"] {
        assert_eq!(read(&message(trigger, PID), &source()), None, "{trigger}");
    }
}

#[test]
fn accounts_and_visits_are_found_where_products_write_them() {
    let account = "PID|1||2^^^RXX01^MR|||||||||||||||ACC2\rMRG|2^^^RXX01^MR||ACC1\r";
    let movement = moved("A35", account).expect("an account");
    assert_eq!(movement.pairs[0].visits[0].from, "ACC1");
    assert_eq!(movement.pairs[0].visits[0].to.as_deref(), Some("ACC2"));
    // Each MRG of A45 has the PV1 that follows it.
    let visits = "MRG|1||||V1\rPV1||I|||||||||||||||||V7\rMRG|1||||V2\rPV1||I|||||||||||||||||V2\r";
    let movement = moved("A45", &format!("{PID}{visits}")).expect("visits");
    let numbers: Vec<_> = movement
        .pairs
        .iter()
        .map(|p| (p.visits[0].from.as_str(), p.visits[0].to.as_deref()))
        .collect();
    assert_eq!(numbers, [("V1", Some("V7")), ("V2", None)]);
}

#[test]
fn what_cannot_be_read_says_why() {
    for (trigger, body, code) in [
        ("A40", PID.to_owned(), "merge.unreadable"),
        ("A40", "MRG|1\r".to_owned(), "merge.unreadable"),
        ("A40", format!("{PID}MRG|\r"), "merge.unreadable"),
        ("A40", format!("{PID}MRG|2^^^RXX01^MR\r"), "merge.unreadable"),
        ("A40", format!("{PID}MRG|1^^^ELSEWHERE^MR\r"), "merge.unreadable"),
        ("A40", "PID|1||\rMRG|1\r".to_owned(), "merge.unreadable"),
        ("A40", format!("{PID}MRG|9990000018^^^NHS~9990000026^^^NHS\r"), "merge.unreadable"),
        ("A24", PID.to_owned(), "merge.unreadable"),
        ("A45", format!("{PID}MRG|2^^^RXX01^MR||||V1\r"), "move.unreadable"),
        ("A42", format!("{PID}MRG|1\r"), "move.unreadable"),
        ("A44", format!("{PID}MRG|1\r"), "move.unreadable"),
        ("A43", format!("{PID}MRG|9990000026^^^NHS\r"), "move.unreadable"),
    ] {
        let unreadable = moved(trigger, &body).expect_err(&body);
        assert_eq!(unreadable.code, code, "{trigger} {body}");
        assert!(!unreadable.detail.contains("999"));
    }
}

#[test]
fn a_link_names_two_patients() {
    let body = format!("{PID}PID|2||4^^^RXX01^MR\r");
    let movement = moved("A24", &body).expect("a link");
    assert_eq!(movement.kind, Kind::Link);
    assert_eq!(shown(&movement.pairs[0].retired), "4^^^RXX01^MR");
    assert_eq!(moved("A37", &body).expect("no link").kind, Kind::Unlink);
}

#[test]
fn what_stands_behind_a_pid_is_said_of_its_patient() {
    let vip = |code: &str| format!("PV1|1|I{}{code}\r", "|".repeat(14));
    let other = "PID|2||4^^^RXX01^MR\r";
    let linked = format!("{PID}{}{other}{}ZU8||2\r", vip("N"), vip("S"));
    let said = |side: &Side| (side.sensitivity.protected, side.sensitivity.dissent);
    let link = moved("A24", &linked).expect("a link");
    assert_eq!(said(&link.pairs[0].survivor), (Some(false), None));
    assert_eq!(said(&link.pairs[0].retired), (Some(true), Some(true)));
    let merged = format!("{PID}MRG|7\r{other}MRG|8\r{}", vip("S"));
    let merge = moved("A40", &merged).expect("a merge");
    assert_eq!(said(&merge.pairs[0].survivor), (None, None));
    assert_eq!(said(&merge.pairs[1].survivor), (Some(true), None));
    assert_eq!(said(&merge.pairs[1].retired), (None, None));
    // What nobody can tell apart is what the whole message says.
    let whole = Stated::of(&message("A24", &linked));
    assert_eq!((whole.protected, whole.dissent), (Some(true), Some(true)));
}

#[test]
fn sensitivity_has_three_states() {
    let of = |body: &str| {
        let stated = Stated::of(&message("A08", body));
        (stated.protected, stated.dissent)
    };
    let vip = |code: &str| format!("PV1|1|I{}{code}\r", "|".repeat(14));
    for (code, expected) in [
        ("S", Some(true)),
        ("y", Some(true)),
        ("R", Some(true)),
        ("N", Some(false)),
        ("I", None),
        ("", None),
        ("\"\"", None),
        ("VIP", None),
    ] {
        assert_eq!(of(&vip(code)), (expected, None), "{code}");
    }
    assert_eq!(of("ZU8|Z|1|No|0\r"), (Some(false), Some(false)));
    assert_eq!(of("ZU8|Z|3|No|02\r"), (Some(true), Some(false)));
    assert_eq!(of("ZU8|Z|2\r"), (None, Some(true)));
    assert_eq!(of(""), (None, None));
    // Where a message says both, it protects.
    assert_eq!(of(&format!("{}ZU8|||No|0\r", vip("S"))), (Some(true), None));
    assert_eq!(of(&format!("{}ZU8|||No|2\r", vip("N"))), (Some(true), None));
}

#[test]
fn a_change_of_class_may_bring_another_visit_number() {
    let body =
        |prior: &str| format!("{PID}MRG|77^^^RXX01^MR||||{prior}\rPV1|1|I{}V2\r", "|".repeat(17));
    for trigger in ["A06", "A07"] {
        let moved = moved(trigger, &body("V1")).expect("another number");
        assert_eq!(moved.kind, Kind::Renumber);
        let [visit] = &moved.pairs[0].visits[..] else { panic!("one visit") };
        assert_eq!((visit.from.as_str(), visit.to.as_deref()), ("V1", Some("V2")));
        // The same one, or none, is no other.
        for prior in ["V2", "", "\"\""] {
            assert_eq!(read(&message(trigger, &body(prior)), &source()), None, "{prior}");
        }
    }
}
