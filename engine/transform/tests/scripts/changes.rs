//! Words about what a message states otherwise than its source did before.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::{compile, input, sources};
use transform::limits::Limits;
use transform::outcome::{Decision, Input};

const HEAD: &str = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20251103101500||ADT^A08|M1|P|2.4\r\
    PID|1||9990000018^^^NHS^NH~12345^^^RXX01^MR||MARSH^ELEANOR||19480229|F\r";

/// What the script says in the reason of a `park`, of a message with `rest` after PID.
fn said(body: &str, rest: &str, previous: Option<Value>, stated: Value) -> String {
    let script = format!("fn transform(msg) {{ park(\"said\", {body}); }}");
    let script = compile(sources(&script), Limits::default()).expect("a good script");
    let statement = |value: Value| value.as_object().cloned().map(Arc::new);
    let (previous, stated) = (previous.and_then(statement), statement(stated));
    let input = Input { previous, stated, ..input(&format!("{HEAD}{rest}")) };
    match script.run(input).expect("an outcome").decision {
        Decision::Park { detail, .. } => detail.map(|detail| detail.0).unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn news_is_what_rules_have_to_be_asked_about() {
    let news = |rest: &str, previous, stated| said("`${news(msg)}`", rest, previous, stated);
    assert_eq!(news("PV1|1|I\r", None, json!({ "family": "MARSH" })), "[]");
    let held = json!({ "kin": "a", "birth": "b", "practice": "Y00001", "gp": "G1" });
    assert_eq!(news("", Some(held.clone()), held.clone()), "[]");
    for (rest, stated, expected) in [
        ("", json!({ "kin": "other", "practice": "Y00001", "gp": "G1" }), "kin"),
        ("", json!({ "kin": "a", "practice": "Y00002", "gp": "G1" }), "practice"),
        ("", json!({ "kin": "a", "practice": "Y00001", "gp": "G2" }), "practice"),
        ("", json!({ "practice": "Y00001", "gp": "G1", "death": "Y" }), "death"),
        ("", json!({ "practice": "Y00001", "gp": "G1", "birth": "other" }), "birth"),
        ("AL1|1|DA|X\r", held.clone(), "allergies"),
        ("AL1|1||\"\"\r", held.clone(), "allergies"),
        ("DG1|1\r", held.clone(), "diagnoses"),
        ("PR1|1\r", held.clone(), "procedures"),
        ("ZU5|1|2\r", held.clone(), "law"),
        ("ZU5|1||\"\"\r", held.clone(), "law"),
    ] {
        assert_eq!(news(rest, Some(held.clone()), stated), format!("[\"{expected}\"]"), "{rest}");
    }
    // What is said of a death is always looked at: PID-29 and PID-30.
    for spoken_of in ["29", "30"] {
        let field = format!("msg[\"PID-{spoken_of}\"]");
        let body = format!("{{ {field} = hl7_null(); `${{news(msg)}}` }}");
        assert_eq!(said(&body, "", None, json!({})), "[\"death\"]");
    }
}

#[test]
fn a_visit_that_is_over_is_not_known_any_more() {
    let visit = |status: &str| {
        let mut visit = BTreeMap::from([("class", "i "), ("consultant", "C1")]);
        if !status.is_empty() {
            visit.insert("status", status);
        }
        json!({ "visits": { "V7": visit } })
    };
    let words = "`${visit_known(msg)} ${visit_before(msg, \"consultant\")} ${visit_class(msg)}`";
    let after = "visit_after(msg, \"status\")";
    let pv1 = |class: &str, number: &str| format!("PV1|1|{class}{}{number}\r", "|".repeat(17));
    for (status, class, number, expected) in [
        ("", "", "V7", "true C1 I"),
        ("planned", "e ", "V7", "true C1 E"),
        ("finished", "", "V7", "false  "),
        ("cancelled", "O", "V7", "false  O"),
        ("", "", "V8", "false  "),
    ] {
        let rest = pv1(class, number);
        let found = said(words, &rest, Some(visit(status)), visit("finished"));
        assert_eq!(found, expected, "{status} {rest}");
        let expected = if number == "V7" { "finished" } else { "" };
        assert_eq!(said(after, &rest, None, visit("finished")), expected);
    }
    assert_eq!(said(words, "", Some(visit("")), json!({})), "false  ");
}

#[test]
fn wards_are_named_by_site_and_keep_their_code_where_the_table_has_none() {
    let mut sources = sources(
        "fn transform(msg) {
            let stay = encounter(msg);
            name_wards(stay, \"wards\", \"RXX09\");
            park(\"said\", `${stay[\"location[0].location.display\"]} ${stay.count(\"location\")}`);
        }",
    );
    let wards = "code,name\nRXX01.W07,Larch Ward\nRXX09.W08,Hazel Ward\n";
    sources.tables.insert("wards".to_owned(), wards.to_owned());
    let script = compile(sources, Limits::default()).expect("a good script");
    for (location, expected) in
        [("W07^^^RXX01", "Larch Ward"), ("W08", "Hazel Ward"), ("W09^^^RXX01", "W09")]
    {
        let rest = format!("PV1|1|I|{location}\r");
        let outcome = script.run(input(&format!("{HEAD}{rest}"))).expect("an outcome");
        let Decision::Park { detail: Some(detail), .. } = outcome.decision else { panic!() };
        assert!(detail.0.starts_with(expected), "{location}: {}", detail.0);
    }
}

#[test]
fn a_specialty_is_named_by_its_table_and_keeps_its_code_where_the_table_has_none() {
    let mut sources = sources(
        "fn transform(msg) {
            let stay = encounter(msg);
            name_service(stay, \"specialties\");
            park(\"said\", `${stay[\"serviceType.text\"]}`);
        }",
    );
    sources.tables.insert("specialties".to_owned(), "code,name\n110,Bones\n999,Nothing\n".into());
    let script = compile(sources, Limits::default()).expect("a good script");
    for (service, expected) in [("110", "Bones"), ("300", "300"), ("110^Hips", "Bones"), ("", "")] {
        let rest = format!("PV1|1|I||||||||{service}\r");
        let outcome = script.run(input(&format!("{HEAD}{rest}"))).expect("an outcome");
        let Decision::Park { detail, .. } = outcome.decision else { panic!() };
        assert_eq!(detail.map(|detail| detail.0).unwrap_or_default(), expected, "{service}");
    }
}
