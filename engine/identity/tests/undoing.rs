//! Merges that a person takes back: whatever went to the survivor by the merge comes back.

use identity::error::IndexError;
use identity::fact::Fact;
use identity::rules::Resolution::Message;

use crate::harness::*;

const VIP: &str = "PV1|1|I||||||||||||||S\r";

fn pair(trigger: &str, survivor: &str, retired: &str) -> String {
    adt(trigger, &format!("{}{}", pid(survivor, "", ""), mrg(retired)))
}

/// The patient's number as the index holds it.
fn held(world: &World, asked: &str) -> Option<String> {
    world.show(asked).expect("known").number.map(|held| held.number.to_string())
}

#[test]
fn the_number_that_a_merge_replaced_is_the_retired_records_again() {
    for survivor in ["M2", "M2 9990000018"] {
        let world = World::new();
        let one = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
        let other = world.admit("M2 9990000026", "JONES^BETH", "19700101");
        let merged = world.resolve(PAS, &pair("A40", survivor, "M1"), Some(Message));
        assert_eq!(code(&merged), None);
        let undone = world.unmerge("M1").expect("undone");
        assert_eq!(number(&undone).is_some(), survivor == "M2");
        for asked in ["M1", "9990000018"] {
            let known = world.show(asked).expect("known");
            assert_eq!(Some(known.patient), one.patient, "{asked}");
            assert_eq!(held(&world, asked).as_deref(), Some("9990000018"), "{asked}");
        }
        let left = world.show("M2").expect("known");
        assert_eq!(Some(left.patient), other.patient);
        assert!(left.former.iter().all(|former| former.as_str() != "9990000018"));
        assert_eq!(world.show("9990000026").map(|known| known.patient), other.patient);
        let late = world.result("M1 9990000018", "SMITH^ANN", "19651213");
        assert_eq!((late.patient, number(&late).as_deref()), (one.patient, Some("9990000018")));
        // It is somebody else's number now, and no earlier one of the survivor.
        let wrong = world.result("M2 9990000018", "", "");
        let expected =
            if survivor == "M2" { "identity.number-conflict" } else { "identity.shared-number" };
        assert_eq!(code(&wrong), Some(expected));
    }
}

#[test]
fn a_number_that_was_replaced_since_comes_back_and_does_not_key() {
    let world = World::new();
    let one = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("M2", "SMITH^ANN", "19651213");
    world.merge("M2", "M1");
    world.send(PAS, &pair("A47", "M2 9990000034", "9990000018"));
    world.unmerge("M1").expect("undone");
    assert_eq!(held(&world, "M2").as_deref(), Some("9990000034"));
    let found = world.result("9990000018", "", "");
    assert_eq!((found.patient, found.number), (one.patient, None));
    assert_eq!(found.quality, ["identity.invalidated-number"]);
    assert_eq!(code(&world.result("M2 9990000018", "", "")), Some("identity.number-conflict"));
    // Its source says it again.
    let again = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(number(&again).as_deref(), Some("9990000018"));
}

#[test]
fn a_number_that_went_to_somebody_else_since_stays_there() {
    let world = World::new();
    world.admit("M1 9990000018", "", "");
    world.admit("M2", "", "");
    world.merge("M2", "M1");
    world.admit("M3 9990000026", "", "");
    // M2 is held with the number, and a person decides that the number is another one.
    let body = adt("A31", &pid("M2 9990000034", "", ""));
    assert_eq!(code(&world.resolve(PAS, &body, Some(Message))), None);
    let other = world.admit("M4 9990000018", "", "");
    world.unmerge("M1").expect("undone");
    assert_eq!(held(&world, "M1"), None);
    assert_eq!(world.show("9990000018").map(|known| known.patient), other.patient);
}

#[test]
fn a_merge_in_a_chain_is_undone_alone() {
    let world = World::new();
    let first = world.admit("M1 9990000018", "", "");
    let second = world.admit("M2", "", "");
    let third = world.admit("M3", "", "");
    world.merge("M2", "M1");
    world.merge("M3", "M2");
    let undone = world.unmerge("M1").expect("undone");
    assert_eq!(events(&undone), ["patient.unmerged", "patient.unmerged"]);
    // Told where the patient's events are now.
    assert_eq!(Some(undone.events[0].patient), third.patient);
    assert_eq!(Some(undone.events[1].patient), first.patient);
    assert_eq!((undone.patient, undone.number), (third.patient, None));
    let result = world.result("M1", "", "");
    assert_eq!((result.patient, number(&result).as_deref()), (first.patient, Some("9990000018")));
    for asked in ["M2", "M3"] {
        let result = world.result(asked, "", "");
        assert_eq!((result.patient, result.number), (third.patient, None), "{asked}");
    }
    world.unmerge("M2").expect("undone");
    assert_eq!(world.result("M2", "", "").patient, second.patient);
    assert_eq!(held(&world, "M2"), None);
    assert_eq!(held(&world, "M1").as_deref(), Some("9990000018"));
}

#[test]
fn a_chain_is_undone_from_its_end_too() {
    let world = World::new();
    world.admit("M1 9990000018", "", "");
    world.admit("M2", "", "");
    world.admit("M3", "", "");
    world.merge("M2", "M1");
    world.merge("M3", "M2");
    world.unmerge("M2").expect("undone");
    assert_eq!(held(&world, "M2").as_deref(), Some("9990000018"));
    assert_eq!(held(&world, "M3"), None);
    world.unmerge("M1").expect("undone");
    assert_eq!(held(&world, "M1").as_deref(), Some("9990000018"));
    assert_eq!(held(&world, "M2"), None);
}

#[test]
fn a_withdrawn_number_leaves_every_record_of_a_chain() {
    let world = World::new();
    let first = world.admit("M1 9990000018", "", "");
    for other in ["M2", "M3", "M4"] {
        world.admit(other, "", "");
    }
    world.merge("M2", "M1");
    world.send(PAS, &adt("A31", &pid("M2 null", "", "")));
    world.merge("M3", "M2");
    world.merge("M4", "M3");
    world.unmerge("M1").expect("undone");
    world.unmerge("M3").expect("undone");
    for asked in ["M2", "M3", "M4"] {
        assert!(world.show(asked).expect("known").former.is_empty(), "{asked}");
    }
    assert_eq!(world.show("9990000018").map(|known| known.patient), first.patient);
}

#[test]
fn records_that_seemed_one_are_two_again() {
    // By the identifier of either, as long as it came from the record that went.
    for asked in ["M1", "LAB7"] {
        let world = World::new();
        let older = world.result("9990000018", "SMITH^ANN", "19651213");
        let younger = world.admit("M1 LAB7", "SMITH^ANN", "19651213");
        let one = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
        assert_eq!(one.patient, older.patient);
        assert!(matches!(world.unmerge("9990000018"), Err(IndexError::NotMerged)));
        world.unmerge(asked).expect("undone");
        for local in ["M1", "LAB7"] {
            assert_eq!(world.show(local).map(|known| known.patient), younger.patient);
        }
        assert_eq!(held(&world, "M1"), None);
        assert!(world.show("9990000018").expect("known").locals.is_empty());
    }
    // The number went with the record that had nothing else.
    let world = World::new();
    let older = world.admit("M1", "SMITH^ANN", "19651213");
    let younger = world.result("9990000018", "SMITH^ANN", "19651213");
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    assert!(matches!(world.unmerge("M1"), Err(IndexError::NotMerged)));
    world.unmerge("9990000018").expect("undone");
    assert_eq!(world.show("9990000018").map(|known| known.patient), younger.patient);
    assert_eq!(world.show("M1").map(|known| known.patient), older.patient);
    assert_eq!(held(&world, "M1"), None);
}

#[test]
fn protection_goes_with_both_when_a_merge_is_undone() {
    let world = World::new();
    world.admit("M1", "", "");
    world.admit("M2", "", "");
    world.merge("M1", "M2");
    let raised = world.send(PAS, &adt("A31", &format!("{}{VIP}", pid("M2", "", ""))));
    assert!(raised.protected);
    let undone = world.unmerge("M2").expect("undone");
    let told = ["patient.sensitivity-changed", "patient.unmerged", "patient.unmerged"];
    assert_eq!(events(&undone), told);
    assert!(undone.events.iter().all(|event| event.restricted));
    for asked in ["M1", "M2"] {
        assert!(world.result(asked, "", "").protected, "{asked}");
    }
}

#[test]
fn whatever_is_replayed_an_undone_merge_is_undone() {
    let world = World::new();
    let messages = [
        adt("A31", &pid("M1 9990000018", "SMITH^ANN", "19651213")),
        adt("A31", &pid("M2 9990000026", "JONES^BETH", "19700101")),
        adt("A31", &pid("M3", "", "")),
        adt("A31", &format!("{}{VIP}", pid("LAB7", "", ""))),
        pair("A40", "M2", "M1"),
        pair("A40", "M3", "M2"),
        adt("A31", &pid("M3 LAB7", "", "")),
    ];
    let mut entries: Vec<(u64, Vec<Fact>)> = Vec::new();
    for (body, id) in messages.iter().zip(1..) {
        let decision = world.resolve(PAS, body, Some(Message));
        assert_eq!(code(&decision), None);
        entries.push((id, decision.facts));
    }
    for asked in ["LAB7", "M1", "M2"] {
        let undone = world.unmerge(asked).expect("undone");
        entries.push((entries.len() as u64 + 1, undone.facts));
    }
    let all = || {
        let asked = ["M1", "M2", "M3", "LAB7", "9990000018", "9990000026"];
        let shown = asked.map(|asked| {
            world.show(asked).map(|mut known| {
                // When it was held is when it came back.
                known.number =
                    known.number.map(|of| identity::question::KnownNumber { since_ms: 0, ..of });
                known
            })
        });
        serde_json::to_string(&shown).expect("JSON")
    };
    let expected = all();
    for from in 0..entries.len() {
        for (id, facts) in &entries[from..] {
            let text = serde_json::to_string(facts).expect("JSON");
            let facts: Vec<Fact> = serde_json::from_str(&text).expect("facts");
            world.index.apply(position(*id), &origin("pas", *id), &facts).expect("applied");
        }
        assert_eq!(all(), expected, "from {from}");
    }
}

#[test]
fn identifiers_that_a_later_merge_brought_back_into_use_come_back_too() {
    // In use when they were merged, or replaced before; asked for by any of them.
    for (asked, known) in [("M1", false), ("M0", true)] {
        let world = World::new();
        let one = world.admit("M1 9990000018", "", "");
        if known {
            world.send(PAS, &adt("A31", &pid("M1 M0 9990000018", "", "")));
        }
        world.merge("M1", "M0");
        let other = world.admit("M2", "", "");
        world.merge("M2", "M1");
        // Its source goes on using them, and says so.
        world.merge("M1", "M3");
        world.merge("M0", "M4");
        world.unmerge(asked).expect("undone");
        for local in ["M1", "M0", "9990000018"] {
            assert_eq!(world.show(local).map(|known| known.patient), one.patient, "{local}");
        }
        assert_eq!(world.show("M2").map(|known| known.patient), other.patient);
        let late = world.result("M1", "", "");
        assert_eq!((late.patient, number(&late).as_deref()), (one.patient, Some("9990000018")));
    }
}

#[test]
fn a_record_far_down_a_chain_is_found_by_what_went_to_its_end() {
    let world = World::new();
    let first = world.admit("M1", "", "");
    world.admit("M2", "", "");
    world.admit("M3", "", "");
    world.merge("M2", "M1");
    world.merge("M3", "M2");
    world.merge("M1", "M4");
    world.unmerge("M1").expect("undone");
    assert_eq!(world.show("M1").map(|known| known.patient), first.patient);
    assert_ne!(world.show("M2").map(|known| known.patient), first.patient);
}

#[test]
fn what_a_merge_put_out_of_use_is_in_use_again() {
    let world = World::new();
    world.admit("M1 9990000018", "", "");
    world.admit("M2", "", "");
    world.merge("M2", "M1");
    world.unmerge("M1").expect("undone");
    assert!(world.show("M1").expect("known").locals.iter().all(|local| !local.retired));
    // Another hospital number that claims its number is a rival as before.
    assert_eq!(code(&world.admit("M9 9990000018", "", "")), Some("identity.shared-number"));
}

#[test]
fn what_a_merge_brought_that_was_undone_names_nobody() {
    let world = World::new();
    world.admit("M1", "", "");
    world.admit("M2 LAB3", "", "");
    world.merge("M1", "M2 LAB3");
    world.unmerge("M2").expect("undone");
    // It went to the other one since, who is its own patient by it.
    world.send(PAS, &adt("A43", &format!("{}{}", pid("M1", "", ""), mrg("M2"))));
    let merged = world.merge("M1", "LAB3");
    let refused = world.unmerge("M2");
    assert!(matches!(refused, Err(IndexError::NotMerged)), "{refused:?}");
    assert_eq!(world.result("LAB3", "", "").patient, merged.patient);
    world.unmerge("LAB3").expect("undone");
    assert_ne!(world.result("LAB3", "", "").patient, merged.patient);
}
