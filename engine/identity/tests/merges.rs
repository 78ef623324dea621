//! Merges, changes of identifiers, moves of visits, links.

use identity::decision::Decision;
use identity::event::{Role, What};
use identity::rules::Resolution::{Index, Message};
use serde_json::{Value, json};

use crate::harness::*;

fn pair(trigger: &str, survivor: &str, retired: &str) -> String {
    adt(trigger, &format!("{}{}", pid(survivor, "", ""), mrg(retired)))
}

#[test]
fn a_merge_is_told_on_both_partitions() {
    for trigger in ["A40", "A34", "A36", "A18"] {
        let world = World::new();
        let old = world.admit("M1", "SMITH^ANN", "19651213");
        let new = world.admit("M2 9990000018", "SMITH^ANN", "19651213");
        let merged = world.send(PAS, &pair(trigger, "M2 9990000018", "M1"));
        assert_eq!(merged.patient, new.patient);
        assert!(merged.others.contains(&old.patient.expect("somebody")));
        assert_eq!(events(&merged), ["patient.merged", "patient.merged"]);
        let [survivor, retired] = &merged.events[..] else { panic!("two events") };
        assert_eq!(
            (Some(survivor.patient), &survivor.what),
            (new.patient, &What::Merged(Role::Survivor))
        );
        assert_eq!(
            (Some(retired.patient), &retired.what),
            (old.patient, &What::Merged(Role::Retired))
        );
        assert_eq!(retired.details()["localids"][0]["value"], json!("M1"));
        assert_eq!(retired.details()["other"]["nhsnumber"], json!("9990000018"));
        // Late messages of the retired identifier find the survivor.
        let late = world.result("M1", "", "");
        assert_eq!((late.patient, number(&late).as_deref()), (new.patient, Some("9990000018")));
        assert!(events(&world.send(PAS, &pair(trigger, "M2", "M1"))).is_empty(), "sent again");
    }
}

#[test]
fn the_number_passes_to_the_survivor() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let new = world.admit("M2", "SMITH^ANN", "19651213");
    let merged = world.merge("M2", "M1");
    assert_eq!((merged.patient, number(&merged).as_deref()), (new.patient, Some("9990000018")));
    assert_eq!(world.show("9990000018").map(|known| known.patient), new.patient);
}

#[test]
fn an_unknown_retired_identifier_is_kept_as_an_alias() {
    let world = World::new();
    let new = world.admit("M2 9990000018", "SMITH^ANN", "19651213");
    let merged = world.merge("M2 9990000018", "M1");
    assert_eq!(events(&merged), ["patient.merged", "patient.merged"]);
    assert_eq!(world.result("M1", "", "").patient, new.patient);
    // Neither side was known.
    let both = world.merge("M8", "M9");
    assert_eq!(world.result("M9", "", "").patient, both.patient);
    assert_eq!(world.result("M8", "", "").patient, both.patient);
}

#[test]
fn a_new_identifier_for_the_same_number_is_a_merge_too() {
    let world = World::new();
    let old = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let merged = world.merge("M2 9990000018", "M1");
    assert_eq!(code(&merged), None);
    assert_ne!(merged.patient, old.patient);
    assert_eq!(number(&merged).as_deref(), Some("9990000018"));
    assert_eq!(world.result("M1", "", "").patient, merged.patient);
    // The old one is out of use: a third one is a rival of the new one only.
    assert_eq!(code(&world.admit("M3 9990000018", "", "")), Some("identity.shared-number"));
}

#[test]
fn sides_with_different_numbers_wait_for_a_person() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("M2 9990000026", "SMITH^ANN", "19651213");
    for body in [
        pair("A40", "M2", "M1"),
        pair("A40", "M2 9990000026", "M1 9990000018"),
        pair("A40", "M5 9990000026", "9990000018"),
        pair("A40", "M2", "M7 9990000034"),
    ] {
        assert_eq!(code(&world.send(PAS, &body)), Some("merge.different-numbers"));
    }
    let body = pair("A40", "M2", "M1");
    let index = world.resolve(PAS, &body, Some(Index));
    assert!(index.events.is_empty() && number(&index).as_deref() == Some("9990000026"));
    let merged = world.resolve(PAS, &body, Some(Message));
    assert_eq!(number(&merged).as_deref(), Some("9990000026"));
    assert_eq!(events(&merged), ["patient.nhsnumber-changed", "patient.merged", "patient.merged"]);
    assert_eq!(merged.events[0].details()["old"], json!("9990000018"));
    // The number that lost finds the survivor, and keys nothing.
    let late = world.result("9990000018", "", "");
    assert_eq!((late.patient, number(&late).as_deref()), (merged.patient, Some("9990000026")));
    assert_eq!(late.quality, ["identity.superseded-number"]);
}

#[test]
fn whoever_does_not_teach_needs_approval() {
    let mut other = PAS;
    other.merges = identity::rules::Merges::Approve;
    for sender in [LAB, other] {
        for (trigger, expected) in [
            ("A40", "merge.approval"),
            ("A47", "merge.approval"),
            ("A43", "move.approval"),
            ("A44", "move.approval"),
            ("A35", "move.approval"),
        ] {
            let world = World::new();
            world.admit("M1", "SMITH^ANN", "19651213");
            world.admit("M2 9990000018", "SMITH^ANN", "19651213");
            let body = format!(
                "{}MRG|M1^^^RXX01^MR||A1||V1\rPV1||I{}V2\r",
                adt(trigger, &pid("M2", "", "")),
                "|".repeat(17)
            );
            let decision = world.send(sender, &body);
            assert_eq!(code(&decision), Some(expected), "{trigger}");
            let approved = world.resolve(sender, &body, Some(Message));
            assert_eq!(code(&approved), None, "{trigger}");
            assert!(!approved.events.is_empty(), "{trigger}");
        }
    }
}

#[test]
fn several_pairs_in_one_message() {
    let world = World::new();
    for (old, new) in [("M1", "M2"), ("M3", "M4")] {
        world.admit(old, "", "");
        world.admit(new, "", "");
    }
    let body = format!("{}{}{}{}", pid("M2", "", ""), mrg("M1"), pid("M4", "", ""), mrg("M3"));
    let merged = world.send(PAS, &adt("A40", &body));
    assert_eq!(events(&merged).len(), 4);
    for (old, new) in [("M1", "M2"), ("M3", "M4")] {
        assert_eq!(world.show(old).map(|k| k.patient), world.show(new).map(|k| k.patient));
    }
    assert_ne!(world.show("M2").map(|k| k.patient), world.show("M4").map(|k| k.patient));
}

#[test]
fn a_message_makes_no_more_patients_known_than_it_has_ids() {
    let world = World::new();
    let group = |at: usize| format!("{}{}", pid(&format!("N{at}"), "", ""), mrg(&format!("O{at}")));
    let groups = |count| (0..count).map(group).collect::<String>();
    assert_eq!(code(&world.send(PAS, &adt("A40", &groups(5)))), Some("merge.unreadable"));
    assert_eq!(code(&world.send(PAS, &adt("A40", &groups(4)))), None);
}

#[test]
fn what_cannot_be_read_parks() {
    let world = World::new();
    world.admit("M1", "", "");
    for (body, expected) in [
        (adt("A40", &pid("M1", "", "")), "merge.unreadable"),
        (pair("A40", "M1", "M1"), "merge.unreadable"),
        (pair("A40", "M1", ""), "merge.unreadable"),
        (pair("A42", "M1", "M1"), "move.unreadable"),
        (adt("A24", &pid("M1", "", "")), "merge.unreadable"),
        (adt("A40", &format!("{}{}", mrg("M1"), pid("M2", "", ""))), "merge.unreadable"),
    ] {
        assert_eq!(code(&world.send(PAS, &body)), Some(expected), "{body}");
    }
}

#[test]
fn an_authority_that_is_left_out_is_the_default_one() {
    let world = World::new();
    world.admit("M1", "", "");
    world.admit("M2", "", "");
    let merged = world.send(PAS, &adt("A40", &format!("{}MRG|M1\r", pid("M2", "", ""))));
    assert_eq!(events(&merged).len(), 2);
    assert_eq!(world.show("M1").map(|k| k.patient), merged.patient);
}

#[test]
fn a_changed_number_replaces_the_old_one() {
    let world = World::new();
    let before = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let changed = world.send(PAS, &pair("A47", "M1 9990000026", "M1 9990000018"));
    assert_eq!(changed.patient, before.patient);
    assert_eq!(events(&changed), ["patient.nhsnumber-changed"]);
    let details = changed.events[0].details();
    assert_eq!(
        (&details["old"], &details["new"], &details["reason"]),
        (&json!("9990000018"), &json!("9990000026"), &json!("replaced"))
    );
    let late = world.result("9990000018 M1", "", "");
    assert_eq!(number(&late).as_deref(), Some("9990000026"));
    // Somebody else's number is not taken.
    world.admit("M2 9990000034", "", "");
    let taken = world.send(PAS, &pair("A47", "M1 9990000034", "M1 9990000026"));
    assert_eq!(code(&taken), Some("identity.number-conflict"));
    let gone = world.send(PAS, &pair("A47", "M1", "9990000026"));
    assert_eq!((events(&gone), gone.number), (vec!["patient.nhsnumber-invalidated"], None));
}

#[test]
fn a_changed_hospital_number_is_the_same_patient() {
    for trigger in ["A46", "A47"] {
        let world = World::new();
        let before = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
        let changed = world.send(PAS, &pair(trigger, "M2 9990000018", "M1"));
        assert_eq!((changed.patient, code(&changed)), (before.patient, None));
        for id in ["M1", "M2"] {
            assert_eq!(world.result(id, "", "").patient, before.patient);
        }
        assert_eq!(events(&changed), ["patient.merged"]);
    }
}

fn visit(identifiers: &str, number: &str) -> String {
    format!("{}PV1|1|I|RCB^WARD1{}{number}\r", pid(identifiers, "", ""), "|".repeat(16))
}

/// The visit of the first event: its number, class and status.
fn stands(decision: &Decision) -> Option<(&str, Option<&str>, Option<&str>)> {
    let (number, standing) = match &decision.events[0].what {
        What::EncounterMoved { visit, standing, .. } => (visit, standing),
        What::EncounterMerged { to, standing, .. }
        | What::EncounterRenumbered { to, standing, .. } => (to, standing),
        _ => return None,
    };
    Some((number, standing.class.as_deref(), standing.status.as_deref()))
}

#[test]
fn a_visit_goes_to_another_patient() {
    for trigger in ["A44", "A45"] {
        let world = World::new();
        let from = world.send(PAS, &adt("A01", &visit("M1 9990000018", "V1")));
        world.send(PAS, &adt("A21", &visit("M1", "V1")));
        let to = world.admit("M2 9990000026", "", "");
        let body =
            format!("{}MRG|M1^^^RXX01^MR||||V1\rPV1|1|I|||||||||||||||||V1\r", pid("M2", "", ""));
        let moved = world.send(PAS, &adt(trigger, &body));
        assert_eq!(events(&moved), ["encounter.moved", "encounter.moved"]);
        assert_eq!(
            (Some(moved.events[0].patient), Some(moved.events[1].patient)),
            (to.patient, from.patient)
        );
        assert_eq!(moved.events[0].details()["visit"], json!("V1"));
        assert_eq!(stands(&moved), Some(("V1", Some("I"), Some("onleave"))));
        assert_eq!(moved.stated["visits"]["V1"]["location"], json!("RCB^WARD1"));
        assert!(world.admit("M1", "", "").stated.get("visits").is_none());
        // Patients and numbers are as they were.
        assert_eq!(number(&world.result("M1", "", "")).as_deref(), Some("9990000018"));
        // The visit is one of whom it went to, and does not come along with what it was told under.
        world.admit("M3", "", "");
        world.send(PAS, &pair("A43", "M3", "M1"));
        assert!(world.admit("M2", "", "").stated["visits"].get("V1").is_some());
    }
}

#[test]
fn visits_that_are_one_and_visits_with_another_number() {
    let world = World::new();
    world.send(PAS, &adt("A01", &visit("M1", "V1")));
    world.send(PAS, &adt("A01", &visit("M1", "V2")));
    let body =
        format!("{}MRG|M1^^^RXX01^MR||||V1\rPV1|1|I|||||||||||||||||V2\r", pid("M1", "", ""));
    let merged = world.send(PAS, &adt("A42", &body));
    assert_eq!(events(&merged), ["encounter.merged"]);
    assert_eq!(stands(&merged), Some(("V2", Some("I"), None)));
    assert_eq!(merged.stated["visits"].as_object().map(serde_json::Map::len), Some(1));
    let body = body.replace("|V2", "|V3").replace("|V1", "|V2");
    let renumbered = world.send(PAS, &adt("A50", &body));
    assert_eq!(events(&renumbered), ["encounter.renumbered"]);
    assert_eq!(renumbered.stated["visits"]["V3"]["location"], json!("RCB^WARD1"));
}

#[test]
fn an_identifier_goes_to_another_patient_alone() {
    let world = World::new();
    world.admit("M1 LAB1 9990000018", "", "");
    let to = world.admit("M2 9990000026", "", "");
    let moved = world.send(PAS, &pair("A43", "M2", "LAB1"));
    assert_eq!(events(&moved), ["encounter.moved", "encounter.moved"]);
    assert_eq!(world.result("LAB1", "", "").patient, to.patient);
    assert_eq!(number(&world.result("M1", "", "")).as_deref(), Some("9990000018"));
    // Both are told which identifier went, and of nothing else.
    for (event, role) in moved.events.iter().zip(["survivor", "retired"]) {
        let details = event.details();
        assert_eq!(details["role"], role);
        assert_eq!(details["moved"].as_array().map(Vec::len), Some(1));
        assert_eq!(details["moved"][0]["value"], "LAB1");
    }
    // Of what nobody knew, nobody was told anything.
    let unknown = world.send(PAS, &pair("A43", "M2", "LAB9"));
    assert_eq!((events(&unknown), world.result("LAB9", "", "").patient), (vec![], to.patient));
}

#[test]
fn a_record_of_nothing_but_the_moved_identifier_is_told_too() {
    let world = World::new();
    let from = world.admit("M1", "", "");
    world.admit("M2", "", "");
    let moved = world.send(PAS, &pair("A43", "M2", "M1"));
    assert_eq!(events(&moved), ["encounter.moved", "encounter.moved"]);
    let retired = &moved.events[1];
    assert_eq!(Some(retired.patient), from.patient);
    assert_eq!(retired.locals, [local_id("M1")], "it is still known by it");
}

#[test]
fn visits_go_with_the_identifier_under_which_they_were_told() {
    let world = World::new();
    world.send(PAS, &adt("A01", &visit("M1 LAB1 9990000018", "V1")));
    world.send(PAS, &adt("A01", &visit("LAB1", "V2")));
    world.send(LAB, &adt("A01", &visit("M1", "V3")));
    let died = format!("{}{}4\r", visit("M1", "V1").trim_end(), "|".repeat(17));
    world.send(PAS, &adt("A03", &died));
    world.admit("M2 9990000026", "", "");
    world.send(PAS, &pair("A43", "M2", "M1"));
    let visits = |identifier: &str, source: &str| {
        let known = world.show(identifier).expect("known");
        let stated = known.stated.get(source).cloned().unwrap_or_default();
        let visits = stated.get("visits").and_then(Value::as_object).cloned();
        (visits.unwrap_or_default(), stated.get("death_on_discharge").cloned())
    };
    let (came, death) = visits("9990000026", "pas");
    assert_eq!(came.keys().collect::<Vec<_>>(), ["V1"]);
    // How it stands is known where it is stated next, and by whose discharge a death was said.
    assert_eq!((&came["V1"]["status"], death), (&json!("finished"), Some(json!("V1"))));
    assert_eq!(visits("9990000026", "lab").0.keys().collect::<Vec<_>>(), ["V3"]);
    let (stayed, death) = visits("9990000018", "pas");
    assert_eq!(stayed.keys().collect::<Vec<_>>(), ["V2"]);
    assert_eq!(death, None);
}

#[test]
fn a_link_leaves_two_patients() {
    let world = World::new();
    let one = world.admit("M1 9990000018", "", "");
    let other = world.admit("M2 9990000026", "", "");
    let body = format!("{}{}", pid("M1", "", ""), pid("M2", "", ""));
    let linked = world.send(PAS, &adt("A24", &body));
    assert_eq!(events(&linked), ["patient.linked", "patient.linked"]);
    assert_eq!(linked.patient, one.patient);
    let known = world.show("M1").expect("known");
    assert!(known.linked.contains(&other.patient.expect("somebody")));
    let unlinked = world.send(PAS, &adt("A37", &body));
    assert_eq!(events(&unlinked), ["patient.unlinked", "patient.unlinked"]);
    assert!(world.show("M1").expect("known").linked.is_empty());
}

#[test]
fn protection_survives_a_merge() {
    let world = World::new();
    let vip = format!("{}PV1|1|I{}S\r", pid("M1", "", ""), "|".repeat(14));
    assert!(world.send(PAS, &adt("A01", &vip)).protected);
    world.admit("M2 9990000018", "", "");
    let merged = world.merge("M2", "M1");
    assert!(merged.protected);
    assert_eq!(
        events(&merged),
        ["patient.sensitivity-changed", "patient.merged", "patient.merged"]
    );
    assert!(merged.events.iter().all(|event| event.restricted));
    assert!(world.result("9990000018", "", "").protected);
}

#[test]
fn protection_goes_with_an_identifier() {
    let world = World::new();
    let vip = format!("{}PV1|1|I{}S\r", pid("M1 LAB1 9990000018", "", ""), "|".repeat(14));
    world.send(PAS, &adt("A31", &vip));
    world.admit("M2 9990000026", "", "");
    let moved = world.send(PAS, &pair("A43", "M2", "LAB1"));
    assert_eq!(
        events(&moved),
        ["patient.sensitivity-changed", "encounter.moved", "encounter.moved"]
    );
    assert!(world.result("LAB1", "", "").protected);
}

#[test]
fn each_patient_of_a_message_is_as_protected_as_its_own_part_says() {
    let visit = |code: &str| format!("PV1|1|I{}{code}\r", "|".repeat(14));
    let side = |identifier: &str, code: &str| format!("{}{}", pid(identifier, "", ""), visit(code));
    let group = |new: &str, old: &str, code: &str| {
        format!("{}{}{}", pid(new, "", ""), mrg(old), visit(code))
    };
    for body in [
        adt("A40", &format!("{}{}", group("M1", "M8", "N"), group("M2", "M9", "S"))),
        adt("A24", &format!("{}{}", side("M1", ""), side("M2", "S"))),
        adt("A37", &format!("{}{}", side("M1", "N"), side("M2", "S"))),
    ] {
        for resolution in [None, Some(Message), Some(Index)] {
            let world = World::new();
            for known in ["M1", "M2", "M8", "M9"] {
                world.admit(known, "", "");
            }
            let decision = world.resolve(PAS, &body, resolution);
            assert_eq!(code(&decision), None);
            assert!(decision.protected, "{body}");
            let told = event(&decision, "patient.sensitivity-changed");
            assert_eq!(Some(told.patient), world.show("M2").map(|known| known.patient));
            assert!(world.result("M2", "", "").protected, "{body}");
            assert!(!world.result("M1", "", "").protected, "{body}");
        }
    }
}

#[test]
fn a_merge_can_be_undone() {
    let world = World::new();
    let old = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let new = world.admit("M2", "SMITH^ANN", "19651213");
    world.merge("M2", "M1");
    let undone = world.index.unmerge(500, ms(500), &asked_for("M1")).expect("undone");
    assert_eq!(events(&undone), ["patient.unmerged", "patient.unmerged"]);
    world.index.apply(position(500), &origin("operator", 500), &undone.facts).expect("applied");
    let [one, other] = ["M1", "M2"].map(|id| world.result(id, "", ""));
    assert_eq!((one.patient, number(&one).as_deref()), (old.patient, Some("9990000018")));
    assert_eq!((other.patient, other.number), (new.patient, None));
    assert!(world.index.unmerge(501, ms(501), &asked_for("M1")).is_err());
}
