//! What contradicts the index waits for a person, and changes nothing.

use identity::error::IndexError;
use identity::event::EngineEvent;
use identity::forbidden::{Identifier, do_not_link};
use identity::question::Asked;
use identity::rules::Resolution::{self, Index, Message};
use record::local::LocalId;

use crate::harness::*;

/// The message parks under a code, whatever is decided afterwards.
fn parks(world: &World, sender: Sender, body: &str, expected: &str) {
    let decision = world.send(sender, body);
    assert_eq!(code(&decision), Some(expected));
}

fn decided(world: &World, sender: Sender, body: &str, resolution: Resolution) -> Option<String> {
    let decision = world.resolve(sender, body, Some(resolution));
    assert_eq!(code(&decision), None);
    number(&decision)
}

fn a31(identifiers: &str, name: &str, born: &str) -> String {
    adt("A31", &pid(identifiers, name, born))
}

#[test]
fn a_hospital_number_that_suddenly_claims_another_number() {
    let body = a31("M1 9990000026", "", "");
    for (resolution, expected) in [(Message, "9990000026"), (Index, "9990000018")] {
        for sender in [PAS, LAB] {
            let world = World::new();
            world.admit("M1 9990000018", "SMITH^ANN", "19651213");
            parks(&world, sender, &body, "identity.number-conflict");
            assert_eq!(decided(&world, sender, &body, resolution).as_deref(), Some(expected));
            let held = world.show("M1").expect("known").number.expect("held").number;
            assert_eq!(held.as_str(), expected);
        }
    }
}

#[test]
fn a_correction_leaves_the_other_patient_alone() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let other = world.admit("M2 9990000026", "SMITH^ANN", "19651213");
    let body = a31("M1 9990000026", "", "");
    parks(&world, PAS, &body, "identity.number-conflict");
    let decision = world.resolve(PAS, &body, Some(Message));
    assert_eq!(decision.patient, other.patient);
    // Neither has another number than before: the identifier went, and both are told which.
    assert_eq!(events(&decision), ["encounter.moved", "encounter.moved"]);
    let told: Vec<_> = decision.events.iter().map(EngineEvent::details).collect();
    assert_eq!([&told[0]["role"], &told[1]["role"]], ["survivor", "retired"]);
    assert_eq!([&told[0]["nhsnumber"], &told[1]["nhsnumber"]], ["9990000026", "9990000018"]);
    assert_eq!([&told[0]["moved"][0]["value"], &told[1]["moved"][0]["value"]], ["M1", "M1"]);
    assert_eq!(world.show("M1").expect("known").patient, other.patient.expect("somebody"));
    let left = world.show("9990000018").expect("known");
    assert!(left.locals.is_empty());
}

#[test]
fn a_number_that_two_hospital_numbers_claim() {
    let world = World::new();
    let first = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let body = a31("M2 9990000018", "SMITH^ANN", "19651213");
    parks(&world, PAS, &body, "identity.shared-number");
    parks(&world, LAB, &body, "identity.shared-number");
    assert!(world.show("M2").is_none());
    // A source that states both knows that they are one patient's.
    let both = world.admit("M2 M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(both.patient, first.patient);

    let body = a31("M3 9990000018", "SMITH^ANN", "19651213");
    parks(&world, PAS, &body, "identity.shared-number");
    assert_eq!(decided(&world, PAS, &body, Index), None);
    assert_ne!(world.show("M3").map(|known| known.patient), first.patient);
    let body = a31("M4 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(decided(&world, PAS, &body, Message).as_deref(), Some("9990000018"));
    assert_eq!(world.show("M4").map(|known| known.patient), first.patient);
}

#[test]
fn an_identifier_of_another_authority_is_no_rival() {
    let world = World::new();
    let first = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let second = world.admit("LAB7 9990000018", "SMITH^ANN", "19651213");
    assert_eq!((second.patient, code(&second)), (first.patient, None));
}

#[test]
fn somebody_elses_name_and_birth_date() {
    for (name, born, expected) in [
        ("SMITH^ANN", "19651213", None),
        ("smyth^Anna", "19651213", None),
        ("JONES^A", "19651312", None),
        ("Šmith^ÁNN", "19651213", None),
        ("JONES^BETH", "19651213", Some("identity.demographics")),
        ("JONES^ANN", "19700101", Some("identity.demographics")),
        ("SMITH^BETH", "19700202", Some("identity.demographics")),
        ("JONES", "", None),
        ("", "19700202", None),
        ("UNKNOWN^MALE", "19000101", None),
    ] {
        let world = World::new();
        world.admit("M1 9990000018", "SMITH^ANN", "19651213");
        for sender in [LAB, PAS] {
            for identifiers in ["9990000018", "M1"] {
                let decision = world.look(sender, &a31(identifiers, name, born), None, 99);
                assert_eq!(code(&decision), expected, "{name} {born}");
            }
        }
    }
}

#[test]
fn a_hospital_number_that_is_used_again_for_somebody_else() {
    for (name, born, expected) in [
        ("JONES^BETH", "19700202", Some("identity.demographics")),
        // What was put down in haste is put right.
        ("JONES^BETH", "19651213", None),
        ("SMITH^BETH", "19700202", None),
        ("JONES^ANN", "19700202", None),
        ("JONES^BETH", "", None),
        ("UNKNOWN^MALE", "19000101", None),
        ("JONES^BABY", "20260104", Some("identity.demographics")),
        ("SMITH^BABY", "20260104", None),
    ] {
        let world = World::new();
        world.admit("M1", "SMITH^ANN", "19651213");
        for sender in [LAB, PAS] {
            let decision = world.look(sender, &a31("M1", name, born), None, 99);
            assert_eq!(code(&decision), expected, "{name} {born}");
        }
    }
    // Who had no name yet gets one.
    for (name, born) in [("UNKNOWN^MALE", "19000101"), ("SMITH^BABY", "20260104")] {
        let world = World::new();
        world.admit("M1", name, born);
        let decision = world.admit("M1", "JONES^BETH", "20260104");
        assert_eq!((code(&decision), decision.stated["given"].as_str()), (None, Some("BETH")));
    }
    // Whoever was brought in and is not known has a name that was made up (PID-31).
    let world = World::new();
    let unknown = a31("M1", "TRAUMA^ALPHA", "19900101");
    world.send(PAS, &unknown.replacen("19900101", &format!("19900101{}Y", "|".repeat(24)), 1));
    assert_eq!(code(&world.admit("M1", "JONES^BETH", "19700202")), None);
    assert_eq!(code(&world.look(PAS, &unknown, None, 99)), Some("identity.demographics"));
    let body = a31("M1", "JONES^BETH", "19700202");
    let world = World::new();
    world.admit("M1", "SMITH^ANN", "19651213");
    parks(&world, PAS, &body, "identity.demographics");
    assert_eq!(world.resolve(PAS, &body, Some(Index)).stated["family"], "SMITH");
    assert_eq!(world.resolve(PAS, &body, Some(Message)).stated["family"], "JONES");
    assert_eq!(code(&world.send(PAS, &body)), None);
}

#[test]
fn a_twin_is_a_warning() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let twin = world.result("9990000018", "SMITH^BETH", "19651213");
    assert_eq!((code(&twin), twin.quality), (None, vec!["identity.twin-warning"]));
}

#[test]
fn a_person_decides_whose_names_they_are() {
    let body = a31("M1 9990000018", "JONES^BETH", "19651213");
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let index = world.resolve(PAS, &body, Some(Index));
    assert_eq!(index.stated["family"], "SMITH");
    parks(&world, PAS, &body, "identity.demographics");
    let message = world.resolve(PAS, &body, Some(Message));
    assert_eq!(message.stated["family"], "JONES");
    assert_eq!(code(&world.send(PAS, &body)), None);
}

#[test]
fn records_of_different_people_do_not_become_one() {
    // What stands under the hospital number is Mary's, what stands under the number is John's.
    for is_known in [true, false] {
        let world = World::new();
        world.admit("M1", "JONES^MARY", "19800101");
        if is_known {
            world.result("9990000018", "SMITH^JOHN", "19500505");
        }
        let body = a31("M1 9990000018", "SMITH^JOHN", "19500505");
        parks(&world, PAS, &body, "identity.demographics");
        assert_eq!(decided(&world, PAS, &body, Index), None);
        let mary = world.show("M1").expect("known");
        assert_eq!((mary.number, mary.stated["pas"]["family"].as_str()), (None, Some("JONES")));
        parks(&world, PAS, &body, "identity.demographics");
        assert_eq!(decided(&world, PAS, &body, Message).as_deref(), Some("9990000018"));
    }
    // Nor do two records, whatever the message says.
    for name in ["SMITH^JOHN", "JONES^MARY", ""] {
        let world = World::new();
        world.admit("M1", "JONES^MARY", "19800101");
        let john = world.admit("LAB7 9990000018", "SMITH^JOHN", "19500505");
        let born = if name.starts_with('J') { "19800101" } else { "" };
        let body = a31("M1 9990000018", name, born);
        parks(&world, PAS, &body, "identity.demographics");
        assert_eq!(decided(&world, PAS, &body, Index), None);
        assert_eq!(world.result("LAB7", "", "").patient, john.patient);
        assert_ne!(world.result("M1", "", "").patient, john.patient);
    }
}

#[test]
fn an_identifier_that_is_corrected_takes_protection_along() {
    let world = World::new();
    let vip = format!("{}PV1|1|I{}S\r", pid("M1 9990000018", "", ""), "|".repeat(14));
    world.send(PAS, &adt("A31", &vip));
    world.admit("M2 9990000026", "", "");
    let body = a31("M1 9990000026", "", "");
    let decision = world.resolve(PAS, &body, Some(Message));
    assert_eq!(
        events(&decision),
        ["patient.sensitivity-changed", "encounter.moved", "encounter.moved"]
    );
    assert!(world.result("M1", "", "").protected);
}

#[test]
fn local_identifiers_of_two_patients() {
    let world = World::new();
    world.admit("M1 9990000018", "", "");
    world.admit("LAB7 9990000026", "", "");
    parks(&world, LAB, &a31("M1 LAB7", "", ""), "identity.two-patients");
    parks(&world, PAS, &a31("M1 LAB7", "", ""), "identity.two-patients");
}

#[test]
fn a_correction_that_protects_too_is_made_once() {
    let world = World::new();
    world.admit("M1 9990000018", "", "");
    let other = world.admit("M2 9990000026", "", "");
    let change = format!("{}{}", pid("M2 9990000034", "", ""), mrg("9990000026"));
    world.send(PAS, &adt("A47", &change));
    let vip = format!("{}PV1|1|I{}S\r", pid("M1 9990000026", "", ""), "|".repeat(14));
    let decision = world.resolve(PAS, &adt("A31", &vip), Some(Message));
    assert_eq!(decision.patient, other.patient);
    assert_eq!(number(&decision).as_deref(), Some("9990000034"));
    assert_eq!(
        events(&decision),
        ["patient.sensitivity-changed", "encounter.moved", "encounter.moved"]
    );
    assert_eq!(number(&world.result("M2", "", "")).as_deref(), Some("9990000034"));
}

#[test]
fn an_identifier_changes_hands_only_where_the_message_is_right_and_then_it_is_told() {
    let (body, lab) = (a31("M1 LAB7", "", ""), "9990000026");
    for (resolution, told, holder) in
        [(Index, vec![], lab), (Message, vec!["encounter.moved"; 2], "9990000018")]
    {
        let world = World::new();
        world.admit("M1 9990000018", "", "");
        world.admit("LAB7 9990000026", "", "");
        let decision = world.resolve(PAS, &body, Some(resolution));
        assert_eq!((events(&decision), number(&decision).as_deref()), (told, Some("9990000018")));
        assert_eq!(number(&world.result("LAB7", "", "")).as_deref(), Some(holder));
    }
}

#[test]
fn what_is_told_of_a_correction_shows_no_pair_that_must_not_be_linked() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("M2 9990000026", "SMITH^ANN", "19651213");
    forbid(&world, 1_000, "M1", "9990000018");
    let decision = world.resolve(PAS, &a31("M1 9990000026", "", ""), Some(Message));
    let moved: Vec<_> =
        decision.events.iter().map(|event| event.details()["moved"].clone()).collect();
    assert_eq!(
        moved.iter().map(|of| of.as_array().map_or(0, Vec::len)).collect::<Vec<_>>(),
        [1, 0]
    );
}

#[test]
fn what_must_not_be_linked_is_not() {
    let world = World::new();
    let number = |text: &str| Identifier::Number(text.parse_number());
    let pair = (number("9990000018"), number("9990000026"));
    let fact = do_not_link(&pair.0, &pair.1, [7; 16]);
    assert!(!serde_json::to_string(&fact).unwrap().contains("999"));
    world.index.apply(position(1_000), &origin("operator", 1_000), &[fact]).unwrap();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let replace = adt("A47", &format!("{}{}", pid("M1 9990000026", "", ""), mrg("9990000018")));
    parks(&world, PAS, &replace, "identity.do-not-link");
    world.admit("M2 9990000026", "SMITH^ANN", "19651213");
    let merge = adt("A40", &format!("{}{}", pid("M2", "", ""), mrg("M1")));
    let decision = world.resolve(PAS, &merge, Some(Message));
    assert_eq!(code(&decision), Some("identity.do-not-link"));
    // Nor does a message pass that names both.
    let both = a31("M3 9990000026", "", "");
    let local = Identifier::Local(local_id("M3"));
    let pair_of_kinds = do_not_link(&local, &pair.1, [8; 16]);
    world.index.apply(position(1_003), &origin("operator", 1_003), &[pair_of_kinds]).unwrap();
    parks(&world, LAB, &both, "identity.do-not-link");
    let allowed = world.index.may_link_again(&pair.1, &pair.0).expect("on the list");
    world.index.apply(position(1_001), &origin("operator", 1_001), &[allowed]).unwrap();
    assert_eq!(code(&world.resolve(PAS, &merge, Some(Message))), None);
    assert!(!world.show("M1").expect("known").withheld);

    // What was linked before it stood on the list is not shown together.
    let fact = do_not_link(&pair.0, &pair.1, [9; 16]);
    world.index.apply(position(1_002), &origin("operator", 1_002), &[fact]).unwrap();
    let known = world.show("9990000026").expect("known");
    assert!(known.withheld && known.former.is_empty() && known.stated.is_empty());
    let known = world.show("9990000018").expect("known");
    assert!(known.withheld && known.number.is_none());
    let history = world.index.history(&asked_for("9990000026"));
    assert!(matches!(history, Err(IndexError::Withheld)));
}

fn forbid(world: &World, id: u64, one: &str, other: &str) {
    let of = |text: &str| match asked_for(text) {
        Asked::Number(number) => Identifier::Number(number),
        _ => Identifier::Local(local_id(text)),
    };
    let fact = do_not_link(&of(one), &of(other), [id.to_le_bytes()[0]; 16]);
    world.index.apply(position(id), &origin("operator", id), &[fact]).expect("applied");
}

/// Local identifiers of what is shown, and whether something is left out.
fn shown(world: &World, asked: &Asked) -> (Vec<String>, bool) {
    let known = world.index.show(asked).expect("asked").expect("known");
    (known.locals.into_iter().map(|known| known.local.value).collect(), known.withheld)
}

#[test]
fn no_question_shows_what_must_not_be_linked_together() {
    let world = World::new();
    let patient = world.admit("M1 M2 LAB7 9990000018", "SMITH^ANN", "19651213").patient.unwrap();
    forbid(&world, 1_000, "M1", "M2");
    for asked in ["LAB7", "M1", "M2", "9990000018"] {
        let (locals, withheld) = shown(&world, &asked_for(asked));
        assert!(withheld && locals.len() == 2, "{asked}: {locals:?}");
        assert!(!asked.starts_with('M') || locals.contains(&asked.to_owned()));
        let history = world.index.history(&asked_for(asked));
        assert!(matches!(history, Err(IndexError::Withheld)), "{asked}");
    }
    let (locals, withheld) = shown(&world, &Asked::Patient(patient));
    assert!(withheld && locals == ["M1", "LAB7"], "{locals:?}");
}

#[test]
fn no_event_tells_what_must_not_be_linked_together() {
    let world = World::new();
    world.admit("M1 M2 9990000018", "SMITH^ANN", "19651213");
    forbid(&world, 1_000, "M1", "M2");
    let vip = format!("{}PV1||N{}S\r", pid("9990000018", "", ""), "|".repeat(14));
    let raised = world.send(PAS, &adt("A31", &vip));
    let told = &event(&raised, "patient.sensitivity-changed").locals;
    assert_eq!(told.len(), 1);
}

#[test]
fn no_way_joins_what_must_not_be_linked() {
    // By a number that goes to an identifier's patient, who is somebody with the other one.
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("LAB9 9990000026", "SMITH^ANN", "19651213");
    forbid(&world, 1_000, "M1", "LAB9");
    let correct = a31("M1 9990000026", "", "");
    parks(&world, PAS, &correct, "identity.number-conflict");
    let decision = world.resolve(PAS, &correct, Some(Message));
    assert_eq!(code(&decision), Some("identity.do-not-link"));

    // By a number that nobody holds, which is not to be seen with another identifier of the patient.
    let world = World::new();
    world.admit("M1 LAB9 9990000018", "SMITH^ANN", "19651213");
    forbid(&world, 1_000, "LAB9", "9990000026");
    let decision = world.resolve(PAS, &correct, Some(Message));
    assert_eq!(code(&decision), Some("identity.do-not-link"));

    // By a merge of two with numbers of their own: whoever is to decide hears of that before the numbers.
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("M2 9990000026", "SMITH^ANN", "19651213");
    let merge = adt("A40", &format!("{}{}", pid("M1", "", ""), mrg("M2")));
    parks(&world, PAS, &merge, "merge.different-numbers");
    forbid(&world, 1_000, "M1", "M2");
    parks(&world, PAS, &merge, "identity.do-not-link");

    // By an identifier that takes the place of another.
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    forbid(&world, 1_000, "M1", "9990000026");
    let change = |now: &str, old: &str| adt("A47", &format!("{}{}", pid(now, "", ""), mrg(old)));
    parks(&world, PAS, &change("M2 9990000026", "M1"), "identity.do-not-link");
    forbid(&world, 1_001, "M3", "9990000018");
    parks(&world, PAS, &change("M2", "M1 M3"), "identity.do-not-link");
    parks(
        &world,
        PAS,
        &adt("A40", &format!("{}{}", pid("M1", "", ""), mrg("M1 M3"))),
        "identity.do-not-link",
    );

    // By a visit.
    let world = World::new();
    world.admit("M1", "SMITH^ANN", "19651213");
    world.admit("M2", "SMITH^ANN", "19651213");
    forbid(&world, 1_000, "M1", "M2");
    let visits =
        format!("{}MRG|M2^^^RXX01^MR||||V1\rPV1||I{}V2\r", pid("M1", "", ""), "|".repeat(17));
    parks(&world, PAS, &adt("A42", &visits), "identity.do-not-link");
    forbid(&world, 1_001, "M8", "M9");
    let both = visits.replace("M2^^^RXX01^MR", "M8^^^RXX01^MR~M9^^^RXX01^MR");
    parks(&world, PAS, &adt("A44", &both), "identity.do-not-link");
}

#[test]
fn a_question_leaves_nothing_behind() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    for at in 0..40_000 {
        let (authority, kind) = (format!("X{at}"), "MR".to_owned());
        let asked = Asked::Local(LocalId { authority, kind, value: "1".to_owned() });
        assert_eq!(world.index.show(&asked).unwrap(), None);
    }
    assert!(world.show("M1").is_some());
}

trait ParseNumber {
    fn parse_number(&self) -> record::nhs_number::NhsNumber;
}

impl ParseNumber for str {
    fn parse_number(&self) -> record::nhs_number::NhsNumber {
        record::nhs_number::NhsNumber::parse(self).expect("a number")
    }
}
