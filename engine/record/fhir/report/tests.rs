use hl7::message::Reading;

use super::*;
use crate::fhir::bundle::bundle;
use crate::fhir::names::UNIT;
use crate::json::json;

fn built(body: &str) -> Result<Vec<Built>, Unmappable> {
    let text = format!("MSH|^~\\&|LIMS|RXX01|TIE|RXX|20240110||ORU^R01|1|P|2.5.1\r{body}");
    let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
    let groups = message.groups(&["ORC", "OBR"]);
    report(&message, &groups[0], &Source::new("pathology-oru", "RXX"))
}

fn obr(status: &str) -> String {
    format!(
        "OBR|1|P1|F1|FBC^Full blood count^WinPath|||202401101030|||||||||||||||202401101200||HM|{status}\r"
    )
}

#[test]
fn a_report_holds_its_observations_under_keys() {
    let body = format!(
        "{}NTE|1||Sample\\.br\\haemolysed\rNTE|2\rNTE|3||a|b^c\rOBX|1|NM|HB^Haemoglobin^WinPath||120|g/L|115-165|L|||F|||202401101031\rNTE|1||Low",
        obr("F")
    );
    let all = built(&body).expect("a report");
    let report = &all[0].resource;
    assert_eq!(
        report["identifier"][0],
        json!({ "system": RESULT_KEY, "value": "LIMS/RXX01|F1|FBC" })
    );
    assert_eq!(
        (&report["status"], &report["issued"]),
        (&json!("final"), &json!("2024-01-10T12:00:00+00:00"))
    );
    assert_eq!(report["code"]["coding"][0]["system"], "urn:tieline:codes:WinPath");
    assert_eq!(report["extension"][0], json!({ "url": REPORT_STATUS, "valueCode": "F" }));
    let note = &report["extension"][1]["valueAnnotation"]["text"];
    assert_eq!(note, "Sample\nhaemolysed\n\na");
    let observation = &all[1].resource;
    assert_eq!(
        report["result"][0]["reference"],
        format!("urn:uuid:{}", observation["id"].as_str().expect("an id"))
    );
    assert_eq!(observation["identifier"][0]["value"], "LIMS/RXX01|F1|FBC|HB|");
    assert_eq!(observation["extension"][0]["valueCode"], "F");
    assert_eq!(observation["valueQuantity"], json!({ "value": 120, "unit": "g/L" }));
    assert_eq!(observation["effectiveDateTime"], "2024-01-10T10:31:00+00:00");
    assert_eq!(observation["interpretation"][0]["coding"][0]["code"], "L");
    assert_eq!(observation["note"][0]["text"], "Low");
    assert_eq!(observation["referenceRange"][0]["text"], "115-165");
}

#[test]
fn the_status_of_a_report_is_that_of_what_happened() {
    let status = |report: &str, observations: &[&str]| {
        let line = |status: &&str| format!("OBX|1|NM|T||1||||||{status}");
        let lines = observations.iter().map(line).collect::<Vec<_>>().join("\r");
        built(&format!("{}{lines}", obr(report))).expect("a report")[0].resource["status"].clone()
    };
    assert_eq!(status("F", &["F"]), "final");
    assert_eq!(status("F", &["F", "P"]), "partial");
    assert_eq!(status("P", &["P"]), "preliminary");
    assert_eq!(status("F", &["F", "C"]), "corrected");
    assert_eq!(status("F", &["W", "D"]), "entered-in-error");
    assert_eq!(status("X", &["X"]), "cancelled");
    assert_eq!(status("", &["F"]), "final");
    assert_eq!(status("Z", &["F"]), "unknown");
}

#[test]
fn each_observation_keeps_its_status_as_sent() {
    let body =
        format!("{}OBX|1|NM|A||1||||||W\rOBX|2|NM|B||||||||X\rOBX|3|NM|C||\"\"||||||D", obr("F"));
    let all = built(&body).expect("a report");
    let raw: Vec<_> =
        all[1..].iter().map(|each| each.resource["extension"][0]["valueCode"].clone()).collect();
    assert_eq!(raw, ["W", "X", "D"]);
    assert_eq!(all[1].resource["status"], "entered-in-error");
    assert_eq!(all[2].resource["dataAbsentReason"]["coding"][0]["code"], "not-performed");
    assert_eq!(all[3].cleared, ["Observation.value"]);
}

#[test]
fn a_document_stands_with_its_report_unless_withdrawn() {
    let document = |status: &str| {
        let body = format!("{}OBX|1|ED|PDF^Report||^IM^PDF^Base64^Zm9v||||||{status}", obr("F"));
        built(&body).expect("a report")
    };
    let shown = document("F");
    let attachment = json!({ "contentType": "application/pdf", "data": "Zm9v" });
    assert_eq!(shown[0].resource["presentedForm"], json!([attachment]));
    assert!(!shown[1].resource.to_string().contains("Zm9v"));
    let withdrawn = document("W");
    assert!(withdrawn[0].resource.get("presentedForm").is_none());
    assert!(withdrawn[1].resource.to_string().contains("Zm9v"));
}

#[test]
fn a_report_is_complete_only_where_somebody_says_so() {
    let preliminary = |report: &str, observations: &[&str]| {
        let line = |status: &&str| format!("OBX|1|NM|T||1||||||{status}");
        let lines = observations.iter().map(line).collect::<Vec<_>>().join("\r");
        let built = built(&format!("{}{lines}", obr(report))).expect("a report");
        summary(&bundle(built).resource).expect("a report").preliminary
    };
    for (report, observations) in
        [("F", &["F"][..]), ("", &["F"]), ("F", &["F", "N"]), ("C", &["F"]), ("F", &["C", "F"])]
    {
        assert!(!preliminary(report, observations), "{report} {observations:?}");
    }
    for (report, observations) in [
        ("P", &["C"][..]),
        ("R", &["F"]),
        ("", &[""]),
        ("F", &["F", ""]),
        ("Z", &["C"]),
        ("F", &["P"]),
    ] {
        assert!(preliminary(report, observations), "{report} {observations:?}");
    }
}

#[test]
fn no_note_is_lost_uncounted() {
    let body = "PID|1||7^^^RXX01^MR\rNTE|1||About nobody in particular\rORC|RE||F1\rNTE|1||Unlabelled tube\r\
        OBR|1||F1|BC^Blood culture\rSPM|1|||BLD\rNTE|1||Left arm\rOBX|1|ST|G||x||||||F\rNTE|1||Of the result";
    let all = built(body).expect("a report");
    let note = &all[0].resource["extension"][0]["valueAnnotation"]["text"];
    assert_eq!(note, "Unlabelled tube\nLeft arm");
    assert_eq!(all[1].resource["note"][0]["text"], "Of the result");
    assert_eq!(all[0].quality, ["note.unplaced"]);
}

#[test]
fn keys_that_repeat_are_counted() {
    let quality = |observations: &str| {
        let built = built(&format!("{}{observations}", obr("F"))).expect("a report");
        let counted = summary(&bundle(built.clone()).resource).expect("a report").counted;
        (built[0].quality.clone(), counted)
    };
    let line = |sub: &str| format!("OBX|1|ST|GERM|{sub}|x||||||F\r");
    assert_eq!(quality(&[line("1"), line("2")].concat()), (vec![], false));
    let twice = quality(&[line(""), line("")].concat());
    assert_eq!(twice, (vec!["result.key-repeated"], true));
}

#[test]
fn a_reference_range_is_whole() {
    let range = |sent: &str| {
        let body = format!("{}OBX|1|NM|HB||131|g/L|{sent}||||F", obr("F"));
        built(&body).expect("a report").remove(1)
    };
    let text = |sent: &str| range(sent).resource["referenceRange"][0]["text"].clone();
    assert_eq!(text("Men 130-170~Women 120-150"), "Men 130-170\nWomen 120-150");
    assert_eq!(text("<7^see comment"), "<7^see comment");
    assert_eq!(text("Men & women 3-9\\.br\\Children 2-8"), "Men & women 3-9\nChildren 2-8");
    assert!(range(" ").resource.get("referenceRange").is_none());
    assert_eq!(range("\"\"").cleared, ["Observation.referenceRange"]);
}

#[test]
fn codes_stand_only_in_systems_that_have_them() {
    let body = format!("{}OBX|1|NM|HB||131|g/L||*~HH~POSITIVE|||F", obr("F"));
    let all = built(&body).expect("a report");
    let flags = &all[1].resource["interpretation"];
    assert_eq!((&flags[0], &flags[2]), (&json!({ "text": "*" }), &json!({ "text": "POSITIVE" })));
    assert_eq!(flags[1]["coding"][0]["code"], "HH");
    assert_eq!(all[1].quality, ["result.flag-unmapped"]);
    let section = |code: &str| {
        let body = obr("F").replace("|HM|", &format!("|{code}|")) + "NTE|1||Seen";
        let report = built(&body).expect("a report").remove(0);
        (report.resource["category"][0].clone(), report.quality)
    };
    assert_eq!(section("mb").0["coding"][0]["code"], "MB");
    let unknown = (json!({ "text": "Andrology" }), vec!["result.section-unmapped"]);
    assert_eq!(section("Andrology"), unknown);
}

#[test]
fn a_report_that_brings_nothing_takes_no_results_away() {
    let refused = |report: &str, observations: &str| {
        let refused = built(&format!("{}{observations}", obr(report))).err();
        refused
            .map(|refused| (refused.code, refused.at.map(|at| at.to_string()).unwrap_or_default()))
    };
    let at = |code: &'static str| Some((code, "OBR-25".to_owned()));
    for status in ["F", "P", "A", "R", "C", ""] {
        assert_eq!(refused(status, ""), at("result.empty"), "{status}");
        assert_eq!(refused(status, "NTE|1|L|Sample haemolysed"), None, "{status}");
    }
    // No results, and one beside it.
    assert_eq!(refused("X", "OBX|1|NM|NA||129|mmol/L|||||F"), at("result.contradiction"));
    for said in ["", "OBX|1|ST|NA||Sample haemolysed||||||F", "OBX|1|NM|NA||129||||||X"] {
        assert_eq!(refused("X", said), None, "{said}");
    }
}

#[test]
fn a_result_that_came_before_its_report_said_so_is_counted() {
    let all = built(&format!("{}OBX|1|NM|NA||129|mmol/L|||||F", obr("I"))).expect("a report");
    assert_eq!(all[0].resource["status"], "partial");
    assert_eq!(all[0].quality, ["result.status-contradicted"]);
}

#[test]
fn sensitivities_name_their_organism() {
    let sens = "OBR|2|P1|F1|SENS^Sensitivities|||||||||||||||||||||F|ORG&Organism^1^|||P1^F1\rOBX|1|ST|AMX|1|R||||||F";
    let body =
        format!("{sens}\rOBR|1|P1|F1|BC\rOBX|1|CE|ORG^Organism|1|ECOL^Escherichia coli^L||||||F");
    let all = built(&body).expect("a report");
    let said = |url: &str| {
        let extensions = all[0].resource["extension"].as_array().expect("extensions");
        extensions.iter().find(|each| each["url"] == url).map(|each| each["valueString"].clone())
    };
    assert_eq!(said(PARENT_RESULT), Some(json!("Escherichia coli")));
    assert_eq!(said(PARENT_NUMBER), Some(json!("F1")));
    let parent = json!([{ "type": "Observation", "display": "Escherichia coli",
        "identifier": { "system": RESULT_KEY, "value": "LIMS/RXX01|F1|BC|ORG|1" } }]);
    assert_eq!(all[1].resource["derivedFrom"], parent);
    assert!(all[0].quality.is_empty());
    let alone = built(sens).expect("a report");
    assert_eq!(alone[0].quality, ["result.parent-unnamed"]);
}

#[test]
fn a_text_keeps_its_unit_beside_it() {
    let all = built(&format!("{}OBX|1|NM|NA||NEG|mmol/L|||||F", obr("F"))).expect("a report");
    assert_eq!(all[1].resource["valueString"], "NEG");
    let unit = json!({ "url": UNIT, "valueString": "mmol/L" });
    assert_eq!(all[1].resource["extension"][1], unit);
}

#[test]
fn what_is_not_safe_is_refused_with_its_place() {
    let code = |body: &str| {
        let refused = built(body).expect_err("refused");
        (refused.code, refused.at.map(|at| at.to_string()).unwrap_or_default())
    };
    let with = |obx: &str| format!("{}OBX|1|{obx}||||||F", obr("F"));
    assert_eq!(code("OBR|1|||FBC"), ("result.no-key", "OBR-3".to_owned()));
    assert_eq!(code("OBR|1||F1"), ("result.no-code", "OBR-4".to_owned()));
    assert_eq!(code(&with("NM|||1|")), ("result.no-code", "OBX-3".to_owned()));
    assert_eq!(code(&with("CE|A||P^Positive|g/L")), ("unit.lost", "OBX-6".to_owned()));
    assert_eq!(
        code(&with("ED|A||^IM^PDF^Base64^!|")),
        ("attachment.unreadable", "OBX-5".to_owned())
    );
}

#[test]
fn a_report_brings_its_specimen_its_order_and_its_interpreter() {
    let obr = "OBR|1|P1|F1|FBC||202401101000|202401101030|||||||202401101100|BLD^Blood||||||||||F|||||||7&ROE&PAT";
    let body = format!(
        "PV1|1|I{}V77\r{obr}\rOBX|1|NM|HB||120|g/L|||||F|||||C3456789^DOE^SAM|AUTO^Counter^L",
        "|".repeat(17)
    );
    let all = built(&body).expect("a report");
    let report = &all[0].resource;
    let specimen = &all[2].resource;
    assert_eq!(specimen["resourceType"], "Specimen");
    let url = format!("urn:uuid:{}", specimen["id"].as_str().expect("an id"));
    assert_eq!(report["specimen"], json!([{ "reference": url }]));
    assert_eq!(report["basedOn"][0]["identifier"]["value"], "P1");
    assert_eq!(report["encounter"]["identifier"]["value"], "V77");
    assert_eq!(report["resultsInterpreter"][0]["display"], "PAT ROE");
    let observation = &all[1].resource;
    assert_eq!(observation["performer"][0]["display"], "SAM DOE");
    assert_eq!(observation["method"]["coding"][0]["code"], "AUTO");
}
