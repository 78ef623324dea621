use hl7::message::Reading;

use super::*;
use crate::json::json;

fn built(trigger: &str, pv1: &str) -> Result<Built, Unmappable> {
    let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^{trigger}|1|P|2.4\r{pv1}");
    let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
    encounter(&message, &Source::new("pas-adt", "RXX"), None)
}

const INPATIENT: &str = "PV1|1|I|RXX^W1^B2^RXX01|2A||RXX^W0^B1^RXX01|C3456789^DOE^SAM|||300||||19|||||\
    2139^^^VISITID|||||||||||||||||||||||||202401102316|";

#[test]
fn an_admission_is_mapped_with_uk_meanings() {
    let built = built("A01", INPATIENT).expect("an encounter");
    let encounter = &built.resource;
    assert_eq!(
        (&encounter["status"], &encounter["class"]["code"]),
        (&json!("in-progress"), &json!("IMP"))
    );
    assert_eq!(encounter["identifier"][0]["value"], "2139");
    let specialty = json!({ "coding": [{ "system": MAIN_SPECIALTY.system(), "code": "300" }] });
    assert_eq!(encounter["serviceType"], specialty);
    let stay = &encounter["hospitalization"];
    assert_eq!(stay["extension"][0]["valueCodeableConcept"]["coding"][0]["code"], "2A");
    assert_eq!(stay["admitSource"]["coding"][0]["code"], "19");
    assert_eq!(encounter["period"], json!({ "start": "2024-01-10T23:16:00+00:00" }));
    let places: Vec<_> = encounter["location"].as_array().expect("a list").iter().collect();
    assert_eq!(places.len(), 6);
    assert_eq!(places[1]["location"]["identifier"]["value"], "W1");
    assert_eq!(
        places[2]["location"]["identifier"]["system"],
        "https://fhir.nhs.uk/Id/ods-site-code"
    );
    assert_eq!(
        (&places[0]["status"], &places[3]["status"]),
        (&json!("active"), &json!("completed"))
    );
    let doctor = &encounter["participant"][0]["individual"];
    assert_eq!(doctor["identifier"]["system"], "https://fhir.hl7.org.uk/Id/gmc-number");
    assert_eq!(encounter["serviceProvider"]["identifier"]["value"], "RXX01");
}

#[test]
fn the_status_follows_the_event() {
    let status =
        |trigger: &str| built(trigger, INPATIENT).expect("an encounter").resource["status"].clone();
    for (trigger, word) in [
        ("A03", "finished"),
        ("A11", "cancelled"),
        ("A12", "in-progress"),
        ("A13", "in-progress"),
        ("A04", "arrived"),
    ] {
        assert_eq!(status(trigger), word, "{trigger}");
    }
}

#[test]
fn a_person_event_has_no_encounter() {
    for pv1 in ["", "PV1||N", "PV1||U", "PV1||NA"] {
        let refused = built("A31", pv1).expect_err("no encounter");
        assert_eq!(refused.code, "encounter.absent");
    }
}

#[test]
fn null_clears_and_foreign_codes_stay_text() {
    let built = built(
        "A01",
        &format!("PV1|1|I|\"\"|77{}V1|{}202401102316|\"\"", "|".repeat(15), "|".repeat(24)),
    )
    .expect("an encounter");
    assert_eq!(
        built.cleared,
        ["Encounter.period.end", "Encounter.location.where(status='active')"]
    );
    assert_eq!(built.quality, ["code.unknown"]);
    let method = &built.resource["hospitalization"]["extension"][0]["valueCodeableConcept"];
    let local = json!([{ "system": "urn:tieline:codes:admission-method", "code": "77" }]);
    assert_eq!(*method, json!({ "coding": local, "text": "77" }));
}

/// A PV1 with these fields, by their numbers in ascending order.
fn pv1(fields: &[(usize, &str)]) -> String {
    let mut out = "PV1".to_owned();
    let mut at = 0;
    for (field, value) in fields {
        out.push_str(&"|".repeat(field - at));
        out.push_str(value);
        at = *field;
    }
    out
}

#[test]
fn a_cancelled_discharge_leaves_nothing_of_it() {
    let mut fields = vec![(2, "I"), (4, "21"), (19, "V77^^^RXX01^VN"), (36, "1"), (37, "19")];
    fields.extend([(44, "202406011015"), (45, "202406031740")]);
    let discharge = pv1(&fields);
    let finished = built("A03", &discharge).expect("an encounter");
    assert!(finished.cleared.is_empty());
    assert_eq!(finished.resource["period"]["end"], "2024-06-03T17:40:00+01:00");
    let cleared = [
        "Encounter.period.end",
        "Encounter.hospitalization.dischargeDisposition",
        "Encounter.extension('https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DischargeMethod')",
    ];
    for said in [discharge, pv1(&fields[..3])] {
        let reopened = built("A13", &said).expect("an encounter");
        assert_eq!(reopened.cleared, cleared);
        let encounter = &reopened.resource;
        assert!(encounter["period"].get("end").is_none() && encounter.get("extension").is_none());
        assert!(encounter["hospitalization"].get("dischargeDisposition").is_none());
        assert_eq!(encounter["status"], "in-progress");
    }
}

#[test]
fn a_cancellation_says_of_which_visit() {
    for trigger in ["A11", "A12", "A13"] {
        let refused = built(trigger, "PV1|1|I|RXX^W1^B2^RXX01").expect_err("no number");
        let at = refused.at.map(|at| at.to_string());
        assert_eq!((refused.code, at.as_deref()), ("encounter.no-number", Some("PV1-19")));
    }
    let admitted = built("A01", "PV1|1|I|RXX^W1^B2^RXX01").expect("an encounter");
    assert_eq!(admitted.quality, ["encounter.no-number"]);
    assert!(built("A11", &pv1(&[(2, "I"), (50, "E5^^^RXX01^CE")])).is_ok());
}

#[test]
fn codes_that_a_table_does_not_have_stay_as_sent() {
    let fields =
        [(2, "W"), (4, "89"), (10, "FRAILTY^Frailty team"), (19, "V1"), (36, "2"), (37, "99")];
    let built = built("A03", &pv1(&fields)).expect("an encounter");
    let encounter = &built.resource;
    let stay = &encounter["hospitalization"];
    let local = |table: &str, code: &str| {
        json!({ "coding": [{ "system": format!("urn:tieline:codes:{table}"), "code": code }],
                "text": code })
    };
    let specialty = &encounter["serviceType"];
    assert_eq!(specialty["coding"][0]["system"], "urn:tieline:codes:main-specialty");
    assert_eq!(specialty["text"], "Frailty team");
    let method = &stay["extension"][0]["valueCodeableConcept"];
    assert_eq!(*method, local("admission-method", "89"));
    let method = &encounter["extension"][0]["valueCodeableConcept"];
    assert_eq!(*method, local("discharge-method", "2"));
    assert_eq!(stay["dischargeDisposition"]["coding"][0]["code"], "99");
    let class = json!({ "system": "urn:tieline:codes:patient-class", "code": "W" });
    assert_eq!(encounter["class"], class);
    let unknown = built.quality.iter().filter(|code| **code == "code.unknown");
    assert_eq!(unknown.count(), 3);
}

#[test]
fn the_plan_the_outcome_and_the_law_are_kept() {
    let stay = pv1(&[(2, "I"), (5, "PRE9"), (13, "R"), (19, "V1"), (52, "N1^ROE^PAT"), (54, "E5")]);
    let body = format!(
        "PID||||||||||||||||||A77^^^RXX01\r{stay}\rPV2||||||||20240201|202402051000\r\
         ZU1||||||||||||||||||||||||20240204\rZU3||||3\rZU5||2"
    );
    let built = built("A01", &body).expect("an encounter");
    let encounter = &built.resource;
    let kinds: Vec<_> = [0, 1].map(|at| &encounter["identifier"][at]["value"]).into();
    assert_eq!(kinds, ["V1", "A77"]);
    assert_eq!(encounter["episodeOfCare"][0]["identifier"]["value"], "E5");
    let stay = &encounter["hospitalization"];
    assert_eq!(stay["preAdmissionIdentifier"]["value"], "PRE9");
    assert_eq!(stay["reAdmission"]["coding"][0]["code"], "R");
    assert_eq!(encounter["participant"][0]["type"][0]["coding"][0]["code"], "PART");
    let extensions = encounter["extension"].as_array().expect("a list");
    assert_eq!(extensions[0]["valueDateTime"], "2024-02-01");
    assert_eq!(extensions[1]["valueDateTime"], "2024-02-05T10:00:00+00:00");
    assert_eq!(extensions[2]["valueDateTime"], "2024-02-04");
    assert_eq!(extensions[3]["valueCodeableConcept"]["coding"][0]["code"], "3");
    let law = &extensions[4]["extension"];
    assert_eq!(law[0]["valueCodeableConcept"]["coding"][0]["code"], "admission");
    assert_eq!(law[1]["valueCodeableConcept"]["coding"][0]["code"], "02");
    assert!(built.quality.is_empty());
}

#[test]
fn a_part_of_a_place_that_is_null_clears_that_part() {
    let built = built("A08", "PV1|1|I|^\"\"^\"\"||||||||||||||||V1").expect("an encounter");
    let cleared = ["wa", "bd"].map(|kind| {
        format!(
            "Encounter.location.where(status='active').where(physicalType.coding.code='{kind}')"
        )
    });
    assert_eq!(built.cleared, cleared);
    assert!(built.replaced.is_empty());
}

#[test]
fn an_account_that_is_the_visit_is_said_once() {
    let identifiers = |account: &str| {
        let visit = pv1(&[(2, "I"), (19, "F77^^^RXX01^FIN")]);
        let pid = format!("PID|1||1^^^RXX01^MR{}{account}", "|".repeat(15));
        let built = built("A01", &format!("{pid}\r{visit}")).expect("an encounter");
        let all = built.resource["identifier"].as_array().expect("a list").clone();
        all.iter().map(|id| id["value"].as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    };
    assert_eq!(identifiers("F77^^^RXX01^FIN").expect("numbers"), ["F77"]);
    assert_eq!(identifiers("F77^^^RXX01").expect("numbers"), ["F77"]);
    assert_eq!(identifiers("F77^^^RYY01").expect("numbers"), ["F77", "F77"]);
    assert_eq!(identifiers("A1^^^RXX01^AN").expect("numbers"), ["F77", "A1"]);
}

#[test]
fn a_visit_that_ends_before_it_starts_has_its_end_alone() {
    let period = |start: &str, end: &str| {
        let visit = pv1(&[(2, "I"), (19, "V1"), (44, start), (45, end)]);
        let built = built("A03", &visit).expect("an encounter");
        let counted = built.quality.contains(&"encounter.ends-before-start");
        (built.resource["period"].clone(), counted)
    };
    let end = json!({ "end": "2024-01-09T10:00:00+00:00" });
    assert_eq!(period("202401100900", "202401091000"), (end, true));
    assert!(period("20240110", "20240109").1);
    // An end that stands for none is none.
    let start = json!({ "start": "2024-01-10" });
    assert_eq!(period("20240110", "99991231"), (start, false));
    for (start, end) in [("202401100900", "20240110"), ("202401", "20240110"), ("", "20240110")] {
        assert!(!period(start, end).1, "{start} {end}");
    }
}
