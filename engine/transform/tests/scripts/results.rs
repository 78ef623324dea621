//! emit, filter, park, and what ends a script.

use transform::outcome::Decision;

use crate::{ADMISSION, RESULTS, events, run};

fn decision(body: &str) -> Decision {
    run(body, ADMISSION).unwrap_or_else(|fault| panic!("{fault}: {}", fault.detail.0)).decision
}

#[test]
fn events_leave_in_order_each_with_the_patient_first() {
    let events = events(
        run(
            r#"emit("patient.updated", patient(msg)); emit("encounter.admitted", encounter(msg));"#,
            ADMISSION,
        )
        .expect("an outcome"),
    );
    let kinds = |n: usize| -> Vec<String> {
        let entries = events[n].data["entry"].as_array().expect("a bundle");
        let kind = |entry: &record::json::Value| entry["resource"]["resourceType"].to_string();
        entries.iter().map(kind).collect()
    };
    assert_eq!(events[0].event_type.name, "patient.updated");
    assert_eq!(kinds(0), [r#""Patient""#]);
    assert_eq!(events[1].event_type.name, "encounter.admitted");
    assert_eq!(kinds(1)[..2], [r#""Patient""#, r#""Encounter""#]);
}

#[test]
fn park_and_filter_end_the_script_at_once_and_cannot_be_caught() {
    let parked = decision(
        r#"emit("patient.updated", patient(msg));
           try { park("ward.unknown", "W12") } catch { filter("caught") }
           throw "not reached""#,
    );
    let Decision::Park { code, detail } = parked else { panic!("{parked:?}") };
    assert_eq!((code.as_str(), detail.expect("a detail").0.as_str()), ("ward.unknown", "W12"));

    let filtered = decision(r#"if msg["PV1-2"] == "I" { filter("not-used") } throw "not reached""#);
    assert!(matches!(filtered, Decision::Filter { code } if code == "not-used"));
}

#[test]
fn a_message_with_an_event_cannot_be_filtered() {
    let fault = run(r#"emit("patient.updated", patient(msg)); filter("not-used")"#, ADMISSION)
        .expect_err("an event was lost");
    assert_eq!(fault.code, "script.error");
}

#[test]
fn what_the_engine_makes_no_script_can_make() {
    let hidden = r#"let name = "patient." + "merged"; emit(name, patient(msg))"#;
    let fault = run(hidden, ADMISSION).expect_err("an identity event of a script");
    assert_eq!(fault.code, "script.error");
    assert!(fault.detail.0.contains("made by the engine"), "{}", fault.detail.0);
}

#[test]
fn no_result_is_a_fault() {
    let fault = run("let x = msg[\"PID-5\"];", ADMISSION).expect_err("nothing was decided");
    assert_eq!((fault.code, fault.line), ("script.no-result", 1));
}

#[test]
fn time_and_local_identifier_may_be_given() {
    let body = r#"emit("encounter.admitted", encounter(msg), #{time: "20260301", local: "RXX01"});
                  emit("encounter.admitted", encounter(msg), #{time: msg["PV1-44"]});"#;
    let events = events(run(body, ADMISSION).expect("an outcome"));
    assert_eq!(events[0].time.as_deref(), Some("20260301"));
    assert_eq!(events[0].local.as_deref(), Some("RXX01"));
    assert_eq!((&events[1].time, &events[1].local), (&None, &None));

    for options in [r#"#{local: "RYY01"}"#, r#"#{when: "20260301"}"#] {
        let body = format!(r#"emit("encounter.admitted", encounter(msg), {options})"#);
        assert_eq!(run(&body, ADMISSION).expect_err(options).code, "script.error");
    }
}

#[test]
fn findings_are_counted_and_prints_are_kept() {
    let outcome = run(
        r#"quality("ward.unknown"); quality("ward.unknown"); uk_time("x");
           print("a"); print(""); debug("b"); filter("done")"#,
        ADMISSION,
    )
    .expect("an outcome");
    assert_eq!(outcome.quality["ward.unknown"], 2);
    assert_eq!(outcome.quality["time.unreadable"], 1);
    assert_eq!(outcome.printed, ["a", "", "2: \"b\""]);
    assert!(outcome.operations > 0);
}

#[test]
fn the_same_input_gives_the_same_outcome() {
    let body = r#"
        let m = #{ zebra: 1, apple: 2, mango: [3, #{ b: 1, a: 2 }], resourceType: "Basic" };
        for (value, n) in m.keys() { print(`${n} ${value}`); }
        emit("patient.updated", [patient(msg), m]);
        emit("encounter.admitted", encounter(msg, "planned"));"#;
    let seen = || {
        let outcome = run(body, ADMISSION).expect("an outcome");
        let printed = outcome.printed.clone();
        let operations = outcome.operations;
        let data: Vec<String> =
            events(outcome).iter().map(|event| event.data.to_string()).collect();
        (printed, operations, data)
    };
    let first = seen();
    assert_eq!(first.0, ["0 apple", "1 mango", "2 resourceType", "3 zebra"]);
    for _ in 0..5 {
        assert_eq!(seen(), first);
    }
    // The same on another thread.
    assert_eq!(std::thread::scope(|scope| scope.spawn(seen).join()).expect("a result"), first);
}

/// The reason under which a script's message is parked.
fn parked(body: &str, message: &str) -> String {
    let outcome = run(body, message).unwrap_or_else(|fault| panic!("{fault}: {}", fault.detail.0));
    match outcome.decision {
        Decision::Park { code, .. } => code,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn an_event_is_never_about_another_patient_than_its_message() {
    for patient in [
        r#"resource(#{ resourceType: "Patient" })"#,
        r#"#{ resourceType: "Patient", identifier: [#{ value: "9990000026" }] }"#,
        r#"[patient(msg), encounter(msg), #{ resourceType: "Patient", gender: "male" }]"#,
        r#"{ let p = resource(#{ resourceType: "Basic", identifier: [#{ value: "9" }] });
             p["resourceType"] = "Patient"; p }"#,
        r#"{ let m = to_map(patient(msg)); m.identifier[0].value = "9990000026"; m }"#,
        r"{ let m = to_map(patient(msg)); m.identifier.clear(); m }",
    ] {
        let body = format!(r#"emit("patient.updated", {patient})"#);
        assert_eq!(parked(&body, ADMISSION), "identity.changed", "{patient}");
    }
    let same = r#"
        let m = to_map(patient(msg));
        m.gender = "other";
        emit("patient.updated", m);
        msg["PID-8"] = "M";
        emit("patient.updated", patient(msg));
        let p = patient(msg);
        p["name[0].text"] = "x";
        emit("patient.updated", [p, p]);"#;
    assert_eq!(events(run(same, ADMISSION).expect("an outcome")).len(), 3);
    for path in ["identifier", "identifier[0].value", "identifier.0.value"] {
        for value in [r#""9990000026""#, "()", "hl7_null()"] {
            let body = format!(r#"let p = patient(msg); p["{path}"] = {value};"#);
            let fault = run(&body, ADMISSION).expect_err(path);
            assert_eq!((fault.code, fault.line), ("script.error", 1), "{path}");
        }
    }
    // The identifiers of other resources are theirs.
    let body =
        r#"let e = encounter(msg); e["identifier[0].value"] = "V1"; emit("encounter.admitted", e)"#;
    assert_eq!(events(run(body, ADMISSION).expect("an outcome")).len(), 1);
}

#[test]
fn a_message_about_nobody_gives_no_event() {
    let nobody = ADMISSION.replace("9990000018^^^NHS^NH~12345^^^RXX01^MR", "12345^^^RZZ01^MR");
    assert_eq!(parked(r#"emit("patient.updated", patient(msg))"#, &nobody), "identity.none");
    let filtered = run(r#"filter("not-used")"#, &nobody).expect("an outcome").decision;
    assert!(matches!(filtered, Decision::Filter { .. }));
}

#[test]
fn a_result_takes_nothing_of_the_person_away() {
    let message = RESULTS.replace("MARSH^ELEANOR", "MARSH^ELEANOR||\"\"|F|||\"\"");
    let result = r#"for group in msg.groups(["OBR"]) { emit(result_type(group), report(group)); }"#;
    for event in events(run(result, &message).expect("an outcome")) {
        let paths: Vec<_> = event.cleared.iter().chain(&event.replaced).collect();
        assert!(!paths.iter().any(|path| path.starts_with("Patient.")), "{paths:?}");
    }
    let person = r#"emit("patient.updated", patient(msg))"#;
    let events = events(run(person, &message).expect("an outcome"));
    assert_eq!(events[0].cleared, ["Patient.birthDate", "Patient.address"]);
    assert!(events[0].replaced.iter().any(|path| path == "Patient.name"));
}
