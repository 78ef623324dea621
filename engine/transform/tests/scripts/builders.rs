//! The builders that scripts call: a script puts what they give into one event.

use record::json::Value;
use transform::outcome::Decision;

use crate::{ADMISSION, RESULTS, events, run};

/// An admission with all that may hang on it.
const FULL: &str = "AL1|1|DA|372687004^Amoxicillin^SCT|SV|Rash\r\
     DG1|1||J18.9^Pneumonia^I10|||F\r\
     PR1|1||W37.1^Hip^OPCS4||202602280900\r\
     NK1|1|MARSH^TOM|SPO\r\
     PD1|||THE SURGERY^^Y06601|G5612908^OKAFOR^JUNE\r";

fn built(body: &str, more: &str) -> Vec<Value> {
    let script = format!("emit(\"patient.updated\", {body});");
    let events = events(run(&script, &format!("{ADMISSION}{more}")).expect("an outcome"));
    let entries = events[0].data["entry"].as_array().expect("a bundle");
    entries.iter().map(|entry| entry["resource"].clone()).collect()
}

fn types(resources: &[Value]) -> Vec<&str> {
    resources.iter().filter_map(|each| each["resourceType"].as_str()).collect()
}

#[test]
fn lists_and_what_is_not_stated_go_into_one_event() {
    let all = "[encounter(msg), episode(msg), allergies(msg), conditions(msg), procedures(msg), \
               related_persons(msg), [practitioners(msg), organizations(msg)], locations(msg), \
               flag(#{ code: \"902961000000107\", status: \"active\" }), provenance(msg)]";
    let resources = built(all, FULL);
    let expected = "Patient Encounter List AllergyIntolerance Condition Procedure RelatedPerson \
         Practitioner PractitionerRole Organization Organization Organization Location Location \
         Location Flag Provenance";
    assert_eq!(types(&resources).join(" "), expected);
    let provenance = resources.last().expect("a provenance");
    assert_eq!(provenance["target"].as_array().map(Vec::len), Some(resources.len() - 1));
    let script = &provenance["agent"][1]["who"];
    assert_eq!(script["display"], "main.rhai");
    assert_eq!(script["identifier"]["value"].as_str().map(str::len), Some(36));
}

/// The example of docs/resources.md.
#[test]
fn those_whom_events_only_name_are_resources_where_a_script_wants_them() {
    let all = "[encounter(msg), practitioners(msg), organizations(msg), locations(msg), \
               provenance(msg)]";
    let expected = "Patient Encounter Practitioner PractitionerRole Organization Organization \
         Organization Location Location Location Provenance";
    assert_eq!(types(&built(all, FULL)).join(" "), expected);
}

#[test]
fn a_message_that_states_nothing_of_the_kind_gives_nothing() {
    let script = "let none = [episode(msg)] + allergies(msg) + conditions(msg) + procedures(msg) \
                  + related_persons(msg); park(\"value\", `${none.len()} ${allergy_status(msg)}`)";
    let Decision::Park { detail, .. } = run(script, ADMISSION).expect("an outcome").decision else {
        panic!("not parked")
    };
    assert_eq!(detail.expect("a detail").0, "1 absent");
}

#[test]
fn an_order_and_its_specimen_know_their_segments() {
    let script = "for group in msg.groups([\"ORC\", \"OBR\"]) { \
                  emit(\"patient.updated\", [order(group, \"completed\"), specimen(group)]); }";
    let text = RESULTS.replace(
        "FBC^Full blood count|||20260301090000|||||||",
        "FBC^Full blood count|||20260301090000||||||||BLD^Blood",
    );
    let events = events(run(script, &text).expect("an outcome"));
    let first = &events[0].data["entry"];
    assert_eq!(first[1]["resource"]["status"], "completed");
    assert_eq!(first[2]["resource"]["type"]["text"], "Blood");
    assert_eq!(events[0].at, Some(2..9));
}

#[test]
fn what_a_builder_refuses_parks_the_message() {
    for (script, more, code) in [
        ("allergies(msg)", "AL1|1||^NKDA\rAL1|2|DA|^Penicillin\r", "allergy.contradiction"),
        ("appointment(msg)", "", "appointment.absent"),
        ("referral(msg, \"active\")", "RF1|A\r", "referral.no-number"),
        ("document(msg)", "TXA|1|CL\r", "document.no-number"),
    ] {
        let decision = run(script, &format!("{ADMISSION}{more}")).expect("an outcome").decision;
        let Decision::Park { code: parked, .. } = decision else { panic!("{script}: not parked") };
        assert_eq!(parked, code);
    }
}

#[test]
fn a_flag_says_that_there_is_something_and_not_what() {
    let wrong = |map: &str| run(&format!("flag({map})"), ADMISSION).expect_err("a fault");
    for map in ["#{ code: \"1\" }", "#{ code: \"1\", status: \"active\", text: \"...\" }"] {
        assert_eq!(wrong(map).code, "script.error");
    }
}

#[test]
fn a_list_is_counted_without_being_read() {
    let script = "let e = encounter(msg); park(\"value\", \
                  `${e.count(\"location\")} ${e.count(\"status\")} ${e.count(\"none\")}`)";
    let Decision::Park { detail, .. } = run(script, ADMISSION).expect("an outcome").decision else {
        panic!("not parked")
    };
    assert_eq!(detail.expect("a detail").0, "3 0 0");
}
