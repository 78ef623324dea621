//! emit, filter, park, and what ends a script.

use transform::outcome::Decision;

use crate::{ADMISSION, events, run};

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
        let kind = |entry: &serde_json::Value| entry["resource"]["resourceType"].to_string();
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
