//! Messages that contradict nothing.

use std::sync::Arc;

use identity::statement::Statement;
use serde_json::json;

use crate::harness::*;

#[test]
fn a_result_with_only_the_hospital_number_reaches_the_patient() {
    let world = World::new();
    let admitted = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(number(&admitted).as_deref(), Some("9990000018"));
    let result = world.result("M1", "SMITH^ANN", "19651213");
    assert_eq!(result.patient, admitted.patient);
    assert_eq!(number(&result).as_deref(), Some("9990000018"));
    assert!(result.events.is_empty());
}

#[test]
fn a_source_that_does_not_teach_binds_nothing() {
    let world = World::new();
    let result = world.result("M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(number(&result).as_deref(), Some("9990000018"));
    assert!(world.show("M1").is_none());
    let known = world.show("9990000018").expect("known");
    assert!(known.locals.is_empty());
    // A hospital number that nobody taught names somebody, without a number.
    let other = world.result("M1", "SMITH^ANN", "19651213");
    assert_eq!(other.number, None);
    assert_ne!(other.patient, result.patient);
    assert_eq!(world.result("M1", "", "").patient, other.patient);
}

#[test]
fn a_number_that_appears_identifies_the_patient() {
    let world = World::new();
    let first = world.admit("M1", "SMITH^ANN", "19651213");
    assert_eq!(first.number, None);
    let second = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(second.patient, first.patient);
    assert_eq!(events(&second), ["patient.identified"]);
    let details = event(&second, "patient.identified").details();
    assert_eq!(details["nhsnumber"], json!("9990000018"));
    assert_eq!(details["localids"][0]["value"], json!("M1"));
    assert!(events(&world.admit("M1 9990000018", "SMITH^ANN", "19651213")).is_empty());
}

#[test]
fn two_records_that_prove_to_be_one_become_the_older() {
    let world = World::new();
    let local = world.result("M1", "", "");
    let by_number = world.result("9990000018", "", "");
    let taught = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(taught.patient, local.patient);
    assert!(taught.others.contains(&by_number.patient.expect("somebody")));
    // Whoever follows either record only hears where it goes on.
    assert_eq!(events(&taught), ["patient.identified", "patient.merged", "patient.merged"]);
    for asked in ["M1", "9990000018"] {
        assert_eq!(Some(world.show(asked).expect("known").patient), local.patient);
    }
    assert_eq!(number(&world.result("M1", "", "")).as_deref(), Some("9990000018"));
}

#[test]
fn a_number_that_may_not_key_keys_nothing() {
    let world = World::new();
    let untrusted = world.admit("M1 ?9990000018", "SMITH^ANN", "19651213");
    assert_eq!((untrusted.number, code(&untrusted)), (None, None));
    assert!(world.show("9990000018").is_none());
    let trusted = world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    assert_eq!(number(&trusted).as_deref(), Some("9990000018"));
    // The index holds it; the message need not say again that it is verified.
    let again = world.admit("M1 ?9990000018", "SMITH^ANN", "19651213");
    assert_eq!(number(&again).as_deref(), Some("9990000018"));
}

#[test]
fn a_source_may_withdraw_the_number() {
    let doubted = pid("M1 ?9990000018", "", "").replace('\r', "NSTS05\r");
    for withdrawal in [pid("M1 null", "", ""), doubted] {
        let world = World::new();
        world.admit("M1 9990000018", "SMITH^ANN", "19651213");
        let body = adt("A31", &withdrawal);
        let decision = world.send(PAS, &body);
        assert_eq!(decision.number, None, "{withdrawal}");
        assert_eq!(events(&decision), ["patient.nhsnumber-invalidated"], "{withdrawal}");
        // It finds the patient, and never keys.
        let result = world.result("9990000018", "", "");
        assert_eq!((result.number, result.patient), (None, decision.patient));
        assert_eq!(result.quality, ["identity.invalidated-number"]);
        // Whoever teaches may say it again.
        let again = world.admit("M1 9990000018", "", "");
        assert_eq!(number(&again).as_deref(), Some("9990000018"));
    }
}

#[test]
fn the_next_message_sees_what_the_source_stated() {
    let world = World::new();
    let visit = |trigger: &str, ward: &str, doctor: &str| {
        let pv1 = format!("PV1|1|I|{ward}||||||{doctor}{}V1\r", "|".repeat(10));
        let pd1 = "PD1|||SURGERY^^Y06601|G5612908\r";
        world.send(PAS, &adt(trigger, &format!("{}{pd1}{pv1}", pid("M1", "SMITH^ANN", "19651213"))))
    };
    let first = visit("A01", "RCB^WARD1", "C1");
    assert_eq!(first.previous, None);
    let expected = json!({ "family": "SMITH", "given": "ANN", "birthdate": "19651213",
        "practice": "Y06601", "gp": "G5612908",
        "surgery": ["SURGERY^^Y06601"], "doctor": ["G5612908"],
        "visits": { "V1": { "class": "I", "location": "RCB^WARD1", "consultant": "C1", "localid": "M1^^^RXX01^MR" } } });
    assert_eq!(Some(&*first.stated), expected.as_object());
    let again = visit("A01", "RCB^WARD1", "C1");
    let shared = again.previous.as_ref().is_some_and(|before| Arc::ptr_eq(before, &again.stated));
    assert!(shared && again.facts.is_empty(), "it says nothing new");
    let second = visit("A02", "RCB^WARD2", "");
    assert_eq!(second.previous.as_deref(), expected.as_object());
    assert_eq!(second.stated["visits"]["V1"]["location"], json!("RCB^WARD2"));
    assert_eq!(second.stated["visits"]["V1"]["consultant"], json!("C1"));
    let third = visit("A08", "RCB^WARD2", "\"\"");
    assert_eq!(third.stated["visits"]["V1"].get("consultant"), None);
    let left = visit("A03", "RCB^WARD2", "");
    assert_eq!(left.stated["visits"]["V1"]["status"], json!("finished"));
    // What is said of it afterwards does not open it again; a cancelled discharge does.
    let coded = visit("A08", "RCB^WARD9", "C9");
    assert_eq!(coded.stated["visits"], left.stated["visits"]);
    let reopened = visit("A13", "RCB^WARD2", "C1");
    assert_eq!(reopened.stated["visits"]["V1"].get("status"), None);
    let away = visit("A21", "RCB^WARD2", "C1");
    assert_eq!(away.stated["visits"]["V1"]["status"], json!("onleave"));
    assert_eq!(visit("A11", "", "").stated["visits"]["V1"]["status"], json!("cancelled"));
    assert_eq!(visit("A22", "", "").stated["visits"]["V1"]["status"], json!("cancelled"));
    assert_eq!(visit("A23", "", "").stated.get("visits"), None);
    // Another source has stated nothing yet.
    assert_eq!(world.result("M1", "SMITH^ANN", "").previous, None);
}

#[test]
fn what_told_where_somebody_is_is_kept_when_it_is_blanked_and_given_for_the_protected_alone() {
    let world = World::new();
    let says = |address: &str, kin: &str, flag: &str| {
        let pid = format!("PID|1||M1^^^RXX01^MR||SMITH^ANN||19651213||||{address}\r");
        let pv1 = format!("PV1|1|N|{}{flag}\r", "|".repeat(13));
        world.send(PAS, &adt("A31", &format!("{pid}NK1|1|{kin}\r{pv1}")))
    };
    let texts = |of: &identity::decision::Decision| {
        of.told.iter().map(|told| told.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&says("1 OLD LANE", "SMITH^BO", "")), [""; 0]);
    assert_eq!(texts(&says("2 NEW LANE", "SMITH^BO", "")), [""; 0]);
    let blanked = says("\"\"", "\"\"", "S");
    assert_eq!(blanked.stated.get("address"), None);
    assert_eq!(texts(&blanked), ["1 OLD LANE", "2 NEW LANE", "SMITH^BO"]);
    // Whoever asks: a laboratory has stated nothing of it.
    let result = world.result("M1", "SMITH^ANN", "");
    assert_eq!(texts(&result), texts(&blanked));
}

#[test]
fn visits_that_are_over_do_not_push_out_those_that_are_not() {
    let world = World::new();
    let visit = |trigger: &str, number: usize| {
        let pv1 = format!("PV1|1|O|CLINIC{}V{number}\r", "|".repeat(16));
        world.send(PAS, &adt(trigger, &format!("{}{pv1}", pid("M1", "SMITH^ANN", "19651213"))))
    };
    visit("A04", 0);
    for number in 1..40 {
        visit("A04", number);
        visit("A03", number);
    }
    let visits = visit("A04", 40).stated["visits"].as_object().cloned().expect("visits");
    assert!(visits.contains_key("V0") && visits.contains_key("V40"));
    assert_eq!(visits.values().filter(|visit| visit["status"] == "finished").count(), 8);
}

#[test]
fn a_death_on_discharge_stands_apart_from_the_one_of_the_person() {
    let world = World::new();
    let visit = |trigger: &str, method: &str, death: &str| {
        let pid = pid("M1", "SMITH^ANN", "19651213");
        let pid = pid.replace("||NSTS01", &format!("{death}||NSTS01"));
        let pv1 = format!("PV1|1|I|W1{}V1{}{method}\r", "|".repeat(16), "|".repeat(17));
        world.send(PAS, &adt(trigger, &format!("{pid}{pv1}"))).stated
    };
    let held = |stated: &Statement| {
        (stated.get("death").is_some(), stated.get("death_on_discharge").cloned())
    };
    assert_eq!(held(&visit("A03", "4", "")), (false, Some(json!("V1"))));
    // What PID says of another death, or takes back, is not about the discharge.
    assert_eq!(held(&visit("A31", "", "Y")), (true, Some(json!("V1"))));
    assert_eq!(held(&visit("A31", "", "\"\"")), (false, Some(json!("V1"))));
    assert_eq!(held(&visit("A13", "", "")), (false, None));
    visit("A03", "04", "");
    assert_eq!(held(&visit("A08", "1", "")), (false, None), "the method was corrected");
    // The other way round; of one who is not discharged the method of a discharge says nothing.
    assert_eq!(held(&visit("A08", "4", "")), (false, Some(json!("V1"))), "coded later");
    visit("A13", "", "");
    assert_eq!(held(&visit("A08", "4", "")), (false, None));
}

#[test]
fn what_has_no_bed_is_an_attendance_until_it_is_admitted() {
    let world = World::new();
    let attends = |trigger: &str, class: &str, number: &str| {
        let pv1 = format!("PV1|1|{class}|W1{}{number}\r", "|".repeat(16));
        let body = format!("{}{pv1}", pid("M1", "SMITH^ANN", "19651213"));
        let visits = world.send(PAS, &adt(trigger, &body)).stated["visits"].clone();
        visits[number].get("attends").is_some()
    };
    assert!(attends("A04", "B", "V1") && attends("A08", "B", "V1") && attends("A03", "B", "V1"));
    assert!(attends("A10", "R", "V2") && !attends("A01", "R", "V2") && !attends("A10", "R", "V2"));
    assert!(!attends("A04", "O", "V3") && !attends("A04", "I", "V4"));
}

#[test]
fn what_is_planned_for_who_is_in_the_emergency_department_does_not_end_the_attendance() {
    let world = World::new();
    let status = |trigger: &str, number: &str, begun: &str| {
        let pv1 = format!("PV1|1|E|W1{}{number}{}{begun}\r", "|".repeat(16), "|".repeat(25));
        let body = format!("{}{pv1}", pid("M1", "SMITH^ANN", "19651213"));
        let visits = world.send(PAS, &adt(trigger, &body)).stated["visits"].clone();
        visits[number].get("status").cloned()
    };
    for trigger in ["A04", "A14", "A27", "A05", "A38"] {
        assert_eq!(status(trigger, "V1", ""), None, "{trigger}");
    }
    assert_eq!(status("A14", "V2", "20240101"), None);
    assert_eq!(status("A05", "V3", ""), Some(json!("planned")));
    assert_eq!(status("A38", "V3", ""), Some(json!("cancelled")));
}

#[test]
fn what_is_planned_or_planned_no_more_says_nothing_of_a_visit_that_has_begun() {
    let status = |steps: &[(&str, &str)]| {
        let world = World::new();
        let mut last = json!(null);
        for (trigger, class) in steps {
            let pv1 = format!("PV1|1|{class}|W1{}V1\r", "|".repeat(16));
            let body = format!("{}{pv1}", pid("M1", "SMITH^ANN", "19651213"));
            last = world.send(PAS, &adt(trigger, &body)).stated["visits"]["V1"].clone();
        }
        let text = |key: &str| last.get(key).and_then(|held| held.as_str()).map(str::to_owned);
        (text("class").unwrap_or_default(), text("status"))
    };
    let held = |class: &str, status: &str| {
        (class.to_owned(), Some(status.to_owned()).filter(|status| !status.is_empty()))
    };
    // Whoever came in from the waiting list is taken off it.
    for late in [("A38", "W"), ("A38", "P"), ("A27", "I"), ("A05", "P"), ("A08", "W")] {
        assert_eq!(status(&[("A05", "W"), ("A01", "I"), late]), held("I", ""), "{late:?}");
        let gone = [("A01", "I"), ("A03", "I"), late];
        assert_eq!(status(&gone), held("I", "finished"), "{late:?}");
    }
    assert_eq!(status(&[("A08", "W"), ("A38", "W")]), held("W", "cancelled"));
    assert_eq!(status(&[("A05", "W"), ("A38", "W"), ("A05", "W")]), held("W", "planned"));
    assert_eq!(status(&[("A04", "O"), ("A03", "O"), ("A05", "O")]), held("O", "planned"));
    assert_eq!(status(&[("A01", "I"), ("A03", "I"), ("A05", "W")]), held("W", "planned"));
    assert_eq!(status(&[("A38", "P")]), held("P", "cancelled"));
}

#[test]
fn a_clinic_of_the_emergency_department_and_a_stillborn_child_are_no_death_of_the_patient() {
    let dead = |class: &str, born: &str, method: &str, destination: &str| {
        let end = format!("{method}|{destination}");
        let pv1 = format!("PV1|1|{class}|W1{}V1{}{end}\r", "|".repeat(16), "|".repeat(17));
        let world = World::new();
        let message = adt("A03", &format!("{}{pv1}", pid("M1", "SMITH^ANN", born)));
        world.send(PAS, &message).stated.get("death_on_discharge").is_some()
    };
    assert!(dead("I", "19651213", "4", "") && dead("I", "19651213", "", "79"));
    // The attendance disposal: 04 and 05 are clinics, 10 is a death in the department.
    assert!(!dead("E", "19651213", "05", "19") && !dead("E", "19651213", "4", ""));
    assert!(dead("E", "19651213", "10", "") && dead("E", "19651213", "4", "79"));
    // Who went home, or was sent on, is not dead by the destination alone.
    assert!(!dead("I", "19651213", "1", "79") && !dead("E", "19651213", "03", "79"));
    // Stillborn is the child.
    assert!(!dead("B", "19651213", "5", "79"));
    assert!(dead("I", "20260630", "5", "79"));
}

#[test]
fn the_legal_status_is_kept_by_its_fields() {
    let world = World::new();
    let law = |trigger: &str, zu5: &str| {
        let pv1 = format!("PV1|1|I|W1{}V1\r", "|".repeat(16));
        let body = format!("{}{pv1}{zu5}\r", pid("M1", "SMITH^ANN", "19651213"));
        let visit = world.send(PAS, &adt(trigger, &body)).stated["visits"]["V1"].clone();
        ["law", "law_at_census", "detained"].map(|key| visit.get(key).cloned())
    };
    let since = Some(json!("20240109"));
    assert_eq!(law("A08", "ZU5||02|||20240109"), [Some(json!("2")), None, since.clone()]);
    assert_eq!(law("A08", "ZU5||2"), [Some(json!("2")), None, since.clone()]);
    assert_eq!(law("A08", "ZU5||03|98"), [Some(json!("3")), Some(json!("98")), since.clone()]);
    assert_eq!(law("A08", "ZU5||\"\""), [None, Some(json!("98")), since.clone()]);
    assert_eq!(law("A03", "ZU5||02"), [Some(json!("2")), Some(json!("98")), since.clone()]);
    let put_right = [Some(json!("3")), Some(json!("98")), since];
    assert_eq!(law("A08", "ZU5||03"), put_right, "after discharge");
}

#[test]
fn protection_is_the_patients() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    let vip = |sender, code: &str| {
        let pv1 = format!("PV1|1|I{}{code}\r", "|".repeat(14));
        world.send(sender, &adt("A08", &format!("{}{pv1}", pid("M1", "", ""))))
    };
    let raised = vip(LAB, "S");
    assert!(raised.protected && !raised.dissent);
    assert_eq!(events(&raised), ["patient.sensitivity-changed"]);
    assert!(raised.events[0].restricted);
    // A result says nothing of it, and is protected all the same.
    assert!(world.result("9990000018", "", "").protected);
    let refused = vip(LAB, "N");
    assert!(refused.protected && refused.facts.is_empty());
    assert_eq!(refused.quality, ["sensitivity.not-lowered"]);
    assert!(vip(PAS, "").protected && vip(PAS, "\"\"").protected);
    let lowered = vip(PAS, "N");
    assert!(!lowered.protected);
    assert_eq!(events(&lowered), ["patient.sensitivity-changed"]);
    let dissent = world.send(PAS, &adt("A31", &format!("{}ZU8||2\r", pid("M1", "", ""))));
    assert!(dissent.dissent && !dissent.protected);
    // The flag of PDS is not taken back by a visit that was not stop-noted, or is invalid.
    let flagged = |sender, code: &str| {
        world.send(sender, &adt("A31", &format!("{}ZU8||||{code}\r", pid("M1", "", ""))))
    };
    assert!(flagged(LAB, "2").protected);
    let kept = vip(PAS, "N");
    assert!(kept.protected && vip(PAS, "I").protected);
    assert_eq!(kept.quality, ["sensitivity.not-lowered"]);
    assert!(!flagged(PAS, "0").protected);
}

#[test]
fn whoever_missed_a_merge_of_protected_records_is_told_when_they_are_so_no_more() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("M2", "SMITH^ANN", "19651213");
    let flag =
        |code: &str| world.send(PAS, &adt("A31", &format!("{}ZU8||||{code}\r", pid("M1", "", ""))));
    assert!(flag("2").protected);
    let merged = adt("A40", &format!("{}{}", pid("M1", "", ""), mrg("M2")));
    assert!(world.send(PAS, &merged).events.iter().all(|event| event.restricted));
    let lowered = flag("0");
    let told = ["patient.sensitivity-changed", "patient.merged", "patient.merged"];
    assert_eq!(events(&lowered), told);
    assert!(lowered.events.iter().skip(1).all(|event| !event.restricted));
    assert_eq!(events(&flag("0")), [""; 0], "once");
}

#[test]
fn what_an_archive_says_takes_nothing_back() {
    let world = World::new();
    world.admit("M1 9990000018", "SMITH^ANN", "19651213");
    world.admit("M2", "SMITH^ANN", "19651213");
    let of = |mode: &str, trigger: &str, body: &str| {
        let text = format!("ADT^{trigger}|1|P{mode}|2.4\r{body}");
        world.send(PAS, &text)
    };
    let protects = format!("{}ZU8||2||2\r", pid("M1", "", ""));
    assert!(of("", "A31", &protects).protected);
    let old = format!("{}ZU8||1||0\r", pid("M1", "SMITH^ANNA", "19651213"));
    let replayed = of("^A", "A31", &old);
    assert!(replayed.protected && replayed.dissent);
    assert_eq!(replayed.stated["given"], "ANNA");
    let now = world.admit("M1", "", "");
    assert_eq!(now.stated["given"], "ANN", "what was said since counts");
    let merge = format!("{}{}", pid("M1", "", ""), mrg("M2"));
    assert_eq!(code(&of("^R", "A40", &merge)), Some("merge.approval"));
    assert_eq!(code(&of("", "A40", &merge)), None);
    assert_eq!(code(&of("^R", "A40", &merge)), None, "it is so already");
    // Of somebody of whom nobody has spoken, an initial load says all there is, in its order.
    for given in ["BETH", "BETTY"] {
        let loaded = of("^I", "A28", &pid("M3", &format!("JONES^{given}"), "19700102"));
        assert_eq!(loaded.stated["given"], given);
    }
    assert_eq!(world.admit("M3", "", "").stated["given"], "BETTY");
}

#[test]
fn a_child_without_a_name_is_not_its_mother() {
    let world = World::new();
    world.admit("M1 9990000018", "MUMMY^JANE", "19940203");
    for given in ["BABY", "BABY BOY", "Infant of", "newborn"] {
        let result = world.result("9990000018", &format!("MUMMY^{given}"), "20260104");
        assert_eq!(code(&result), Some("identity.demographics"), "{given}");
    }
    assert_eq!(code(&world.result("9990000018", "MUMMY^BABY", "")), None);
    let merged = adt("A40", &format!("{}{}", pid("M1", "", ""), mrg("M2")));
    world.admit("M2", "OTHER^PERSON", "20100704");
    assert_eq!(code(&world.send(PAS, &merged)), Some("identity.demographics"));
}
