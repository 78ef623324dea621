use crate::json::json;

use super::*;
use crate::fhir::example::{code, message, source};

fn built(body: &str) -> Result<Vec<Built>, Unmappable> {
    allergies(&message("ADT^A60", body), &source())
}

#[test]
fn four_ways_of_nothing_are_four_different_things() {
    for (body, said, empty) in [
        ("AL1|1|DA|716186003^No known allergy^SCT", "none-known", None),
        ("AL1|1||^NKDA", "none-known", None),
        ("AL1|1||^No known allergies.", "none-known", None),
        ("AL1|1||1631000175102^Patient not asked^SCT", "not-asked", Some("notasked")),
        ("AL1|1||\"\"", "cleared", Some("")),
        ("AL1|1||^\"\"^", "cleared", Some("")),
    ] {
        assert_eq!(status(&message("ADT^A31", body)).name(), said, "{body}");
        let all = built(body).expect(body);
        let list = &all[0].resource;
        assert_eq!(list["resourceType"], "List");
        assert_eq!(list.get("emptyReason").map(code), empty, "{body}");
        assert_eq!(all.len(), if empty.is_none() { 2 } else { 1 });
    }
    for body in ["", "AL1|1|DA", "PID|1"] {
        assert_eq!(status(&message("ADT^A31", body)), AllergyStatus::Absent, "{body}");
        assert!(built(body).expect("nothing").is_empty());
    }
    assert_eq!(built("AL1|1||\"\"").expect("a list")[0].cleared, ["AllergyIntolerance"]);
}

#[test]
fn none_known_beside_an_allergy_is_a_contradiction() {
    for (body, said) in [
        ("AL1|1|DA|372687004^Amoxicillin^SCT\rAL1|2||716186003^^SCT", "contradiction"),
        ("AL1|1|DA|^Penicillin\rAL1|2||^NKDA", "contradiction"),
        ("AL1|1||^Penicillin\rAL1|2||^NKDA", "contradiction"),
        ("AL1|1|FA|^Nuts\rAL1|2||^NKDA", "list"),
        ("AL1|1|FA|^Nuts\rAL1|2||^Not asked", "contradiction"),
        ("AL1|1||NKA\rAL1|2||^Not asked", "contradiction"),
    ] {
        assert_eq!(status(&message("ADT^A31", body)).name(), said, "{body}");
        assert_eq!(built(body).is_err(), said == "contradiction", "{body}");
    }
    let refused = built("AL1|1|DA|^Nuts\rAL1|2||NKA").expect_err("a contradiction");
    assert_eq!(refused.code, "allergy.contradiction");
}

#[test]
fn words_of_absence_are_no_allergy() {
    for (body, said) in [
        ("AL1|1|DA|^No known allergies (confirmed with patient)", "none-known"),
        ("AL1|1|DA|^Eggs\rAL1|2||^No known allergies (confirmed with patient)", "contradiction"),
        ("AL1|1|DA|^Penicillin\rAL1|2||^No allergies as far as he knows", "unclear"),
        ("AL1|1|DA|X1^No allergies that he knows of^L", "unclear"),
        ("AL1|1|DA|1003774007^No known latex allergy^SCT", "list"),
        ("IAM|1|DA|^No allergies, wrongly entered|||D|A7", "list"),
    ] {
        assert_eq!(status(&message("ADT^A31", body)).name(), said, "{body}");
        assert_eq!(built(body).is_ok(), said != "contradiction", "{body}");
    }
}

#[test]
fn words_of_which_nobody_can_tell_are_an_unconfirmed_allergy_in_these_words() {
    let eggs = "AL1|1|FA|102263004^Eggs^SCT";
    for (words, text) in [
        ("AL1|2|DA|^NKDA - see notes", "NKDA - see notes"),
        ("AL1|2||X1^No known allergies except latex^L", "No known allergies except latex"),
        ("AL1|2||Not allergic to latex", "Not allergic to latex"),
        ("IAM|2||^No allergies that he knows of||||A9", "No allergies that he knows of"),
    ] {
        let all = built(&format!("{eggs}\r{words}")).expect(words);
        let [list, clear, unclear] = &all[..] else { panic!("three of {words}") };
        assert_eq!(code(&clear.resource["code"]), "102263004");
        assert!(clear.resource.get("verificationStatus").is_none());
        assert_eq!(unclear.resource["code"], json!({ "text": text }), "{words}");
        assert_eq!(code(&unclear.resource["verificationStatus"]), "unconfirmed");
        assert_eq!(unclear.quality, ["allergy.unclear"]);
        // It takes nothing away.
        assert_eq!((&list.resource["mode"], list.replaced.len()), (&json!("changes"), 0));
    }
    // Beside them nothing is known to be none.
    for none in ["AL1|1|DA|^NKDA", "AL1|1||716186003^No known allergy^SCT"] {
        let all = built(&format!("{none}\rAL1|2||^No allergies except latex")).expect(none);
        for each in &all[1..] {
            assert_eq!(code(&each.resource["verificationStatus"]), "unconfirmed", "{none}");
            assert!(each.resource["code"].get("coding").is_none(), "{none}");
        }
    }
}

#[test]
fn an_allergy_keeps_its_code_severity_and_reactions() {
    let all =
        built("AL1|1|DA|372687004^Amoxicillin^SCT|SV|RASH~Swollen lips|20190501").expect("a list");
    let allergy = &all[1].resource;
    assert_eq!(code(&allergy["code"]), "372687004");
    assert_eq!(code(&allergy["clinicalStatus"]), "active");
    assert_eq!(allergy["category"], json!(["medication"]));
    assert_eq!(allergy["criticality"], "high");
    let reaction = json!([{ "manifestation": [{ "text": "RASH" }, { "text": "Swollen lips" }],
                            "severity": "severe" }]);
    assert_eq!(allergy["reaction"], reaction);
    assert_eq!(allergy["onsetDateTime"], "2019-05-01");
    let item = &all[0].resource["entry"][0]["item"]["reference"];
    assert_eq!(*item, format!("urn:uuid:{}", allergy["id"].as_str().expect("an id")));
    assert_eq!(all[0].replaced, ["AllergyIntolerance"]);
}

#[test]
fn null_absent_and_unknown_parts_stay_apart() {
    let one = |al1: &str| built(al1).expect("a list").remove(1);
    let bare = one("AL1|1||^Nuts");
    assert!(bare.cleared.is_empty() && bare.resource.get("category").is_none());
    let nulls = one("AL1|1|\"\"|^Nuts|\"\"|\"\"|\"\"");
    let cleared = ["category", "onsetDateTime", "criticality", "reaction"];
    assert_eq!(nulls.cleared, cleared.map(|path| format!("AllergyIntolerance.{path}")));
    let odd = one("AL1|1|XX|^Nuts|ZZ");
    assert_eq!(odd.quality, ["code.unknown", "code.unknown"]);
    assert_eq!(odd.resource["_category"][0]["extension"][0]["valueCode"], "XX");
    assert_eq!(odd.resource["_criticality"]["extension"][0]["valueCode"], "ZZ");
    let moderate = one("AL1|1|FA|^Nuts|MO");
    assert!(moderate.resource.get("criticality").is_none());
}

#[test]
fn an_iam_says_who_and_how_sure() {
    let iam = "IAM|1|DA|372687004^Amoxicillin^SCT|MI|Rash|A|A77^PAS||AL||2018||20240102|Ann||||C";
    let allergy = built(iam).expect("a list").remove(1).resource;
    assert_eq!(allergy["identifier"][0]["value"], "A77");
    assert_eq!(
        (&allergy["type"], &allergy["recordedDate"]),
        (&json!("allergy"), &json!("2024-01-02"))
    );
    let wrong = "IAM|1|DA|^Nuts||||A77^PAS||||||||||E";
    let allergy = built(wrong).expect("a list").remove(1).resource;
    assert_eq!(code(&allergy["verificationStatus"]), "entered-in-error");
    assert!(allergy.get("clinicalStatus").is_none());
}
