//! What scripts read from a message, and what they write into it.

use crate::{ADMISSION, RESULTS, run, value};

#[test]
fn values_are_read_by_location_in_their_three_states() {
    let cases = [
        (r#"msg["PID-5.1"]"#, "MARSH&CO"),
        (r#"msg["PID-3"]"#, "9990000018"),
        (r#"msg["PID-3(2).4"]"#, "RXX01"),
        (r#"msg["PID.8"]"#, "F"),
        (r#"msg["PID-30"] ?? "N""#, "N"),
        (r#"msg["ZZZ-1"] ?? "none""#, "none"),
        (r#"msg["PID-11"] ?? "none""#, ""),
        (r#"is_null(msg["PID-11"])"#, "true"),
        (r#"is_null(msg["PID-30"])"#, "false"),
        (r#"is_absent(msg["PID-30"])"#, "true"),
        (r#"is_absent(msg["PID-11"])"#, "false"),
        (r#"has_value(msg["PID-11"]) || has_value(msg["PID-30"])"#, "false"),
        (r#"has_value(msg["PID-8"])"#, "true"),
        (r#"text(msg["PID-11"]) + text(msg["PID-30"]) + text(msg["PID-8"])"#, "F"),
        (
            r#"msg["PID-11"] == hl7_null() && msg["PID-8"] != hl7_null() && msg["PID-8"] == "F""#,
            "true",
        ),
        (r#"`${msg["PID-11"]}${msg["PID-8"]}`"#, "F"),
        (r#"msg.has("PV1") && msg.has("PID-11") && !msg.has("PID-30") && !msg.has("PV2")"#, "true"),
        (r#"switch msg["MSH-9.2"] { "A01" | "A04" => "in", _ => "other" }"#, "in"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, ADMISSION), expected, "{expression}");
    }
}

#[test]
fn parts_of_a_message_are_read_with_relative_locations() {
    let cases = [
        (r#"msg.repetitions("PID-3").len()"#, "2"),
        (r#"msg.repetitions("PID-3")[1]["1"] + msg.repetitions("PID-3")[1]["4.1"]"#, "12345RXX01"),
        (r#"msg.repetitions("PID-11").len() + msg.repetitions("PID-30").len()"#, "0"),
        (r#"msg.segments("PV1")[0]["3.3"]"#, "B3"),
        (r#"msg.segments("PV1")[0]["PV1-3.3"]"#, "B3"),
        (r#"msg.segments("PV1")[0].name"#, "PV1"),
        (r#"msg.segments("OBX").len()"#, "0"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, ADMISSION), expected, "{expression}");
    }
}

#[test]
fn groups_begin_with_the_first_of_their_names_and_notes_belong_to_what_they_follow() {
    let group = |n: usize, rest: &str| format!(r#"msg.groups(["ORC", "OBR"])[{n}]{rest}"#);
    let cases = [
        (r#"msg.groups(["ORC", "OBR"]).len()"#.to_owned(), "2"),
        (group(0, r#"["OBR-3"]"#), "F1"),
        (group(0, r#"["OBX(2)-5"]"#), "5.1"),
        (group(1, r#"["OBX-5"]"#), "4.1"),
        (group(1, r#"["ORC-1"] ?? "no ORC""#), "no ORC"),
        (group(0, r#".segments("OBX").len()"#), "2"),
        (group(0, r".segments()[0].name"), "ORC"),
        (group(0, r#".notes()[0]["3"]"#), "of the order"),
        (group(0, r".notes().len()"), "1"),
        (group(0, r#".segments("OBX")[0].notes().len()"#), "2"),
        (group(0, r#".segments("OBX")[0].notes()[1]["3"]"#), "second"),
        (group(0, r#".segments("OBX")[1].notes().len()"#), "0"),
        (group(0, r#".has("OBX(2)")"#), "true"),
        (group(1, r#".has("OBX(2)")"#), "false"),
        (group(1, r#".repetitions("OBR-4")[0]["2"]"#), "Urea"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(&expression, RESULTS), expected, "{expression}");
    }
    let note = r#"msg.segments("NTE")[1].rendered("3")"#;
    assert_eq!(value(note, RESULTS), "first\nline");
}

#[test]
fn what_is_written_is_read_back_by_every_holder_of_the_message() {
    let writing = r#"
        fn ward(m) { m["PV1-3.1"] = "W&14"; }
        fn transform(msg) {
            let seen_before = msg.segments("PV1")[0];
            ward(msg);
            msg["PV1-2"] = hl7_null();
            msg["PV1-3.3"] = ();
            park("value", `${msg["PV1-3.1"]} ${is_null(msg["PV1-2"])} ${msg["PV1-3.3"] ?? "-"} ${seen_before["3.1"]}`)
        }"#;
    let outcome = crate::run_sources(crate::sources(writing), ADMISSION).expect("an outcome");
    let transform::outcome::Decision::Park { detail, .. } = outcome.decision else {
        panic!("not parked")
    };
    assert_eq!(detail.expect("a detail").0, "W&14 true - W12");
}

#[test]
fn who_the_patient_is_cannot_be_written() {
    for at in ["PID-3", "PID-2.1", "PID-4", "PID-18", "PID-19", "MRG-1", "MSH-10"] {
        let fault = run(&format!("let x = 1;\nmsg[\"{at}\"] = \"1\";"), ADMISSION)
            .expect_err("an identity was written");
        assert_eq!((fault.code, fault.line), ("script.error", 2), "{at}");
        assert!(fault.detail.0.contains("read-only"), "{}", fault.detail.0);
    }
}

#[test]
fn the_patient_and_the_time_stand_in_constants() {
    let cases = [
        ("identity.nhs_number", "9990000018"),
        ("identity.local_id.value", "12345"),
        (r"identity.local[0].authority", "RXX01"),
        (r#"previous ?? "nothing""#, "nothing"),
        ("message_time", "2026-03-01T10:15:00+00:00"),
        (r#"nhs_number_valid("999 000 0018")"#, "true"),
        (r#"nhs_number_valid("9990000019") || nhs_number_valid(msg["PID-30"])"#, "false"),
        (r#"nhs_number_format("999-000-0018")"#, "9990000018"),
        (r#"uk_time("20260701101500")"#, "2026-07-01T10:15:00+01:00"),
        (r#"uk_time(msg["PID-7"])"#, "1948-02-29"),
        (r#"uk_time("19481341") ?? uk_time(()) ?? "no time""#, "no time"),
    ];
    for (expression, expected) in cases {
        assert_eq!(value(expression, ADMISSION), expected, "{expression}");
    }
}

#[test]
fn constants_are_seen_in_every_function_and_cannot_be_changed() {
    let mut sources = crate::sources(
        r#"import "lib/who" as who; fn transform(msg) { park("value", who::am_i()) }"#,
    );
    sources
        .scripts
        .insert("lib/who.rhai".to_owned(), "fn am_i() { identity.nhs_number }".to_owned());
    assert!(crate::run_sources(sources, ADMISSION).is_ok());

    let fault = run("identity.nhs_number = \"1\"; park(\"x\")", ADMISSION).expect_err("written");
    assert_eq!(fault.code, "script.error");
    let copy = "(|| { let mine = identity; mine.nhs_number = \"1\"; identity.nhs_number }).call()";
    assert_eq!(value(copy, ADMISSION), "9990000018");
}
