//! FHIR resources as script values.

use crate::{ADMISSION, RESULTS, events, run, value};

#[test]
fn a_resource_is_read_and_written_by_path() {
    let body = r#"
        let e = encounter(msg, "planned");
        let untouched = e;
        e["status"] = "finished";
        e["serviceType.coding[0].code"] = "100";
        e["length"] = #{ value: 3, unit: "d", code: () };
        park("value", `${e["status"]} ${untouched["status"]} ${e["serviceType.coding[0].code"]} ${e["none"] ?? "-"} ${e["length.value"]} ${e["length.code"] ?? "-"}`)"#;
    let outcome = run(body, ADMISSION).expect("an outcome");
    let transform::outcome::Decision::Park { detail, .. } = outcome.decision else {
        panic!("not parked")
    };
    assert_eq!(detail.expect("a detail").0, "finished planned 100 - 3 -");
}

#[test]
fn what_the_sender_deleted_is_named_as_cleared() {
    let body = r#"
        let e = encounter(msg);
        e["serviceType.text"] = "x";
        e["serviceType.text"] = msg["PID-11"];
        let extra = #{ resourceType: "Basic", code: #{ text: msg["PID-11"], id: "1" } };
        emit("encounter.admitted", [e, extra]);"#;
    let events = events(run(body, ADMISSION).expect("an outcome"));
    let has = |path: &str| events[0].cleared.iter().any(|cleared| cleared == path);
    assert!(has("Encounter.serviceType.text"), "{:?}", events[0].cleared);
    assert!(has("Basic.code.text"), "{:?}", events[0].cleared);
    let basic = events[0].data["entry"]
        .as_array()
        .and_then(|entries| {
            entries.iter().map(|entry| &entry["resource"]).find(|r| r["resourceType"] == "Basic")
        })
        .expect("the extra resource");
    assert_eq!(basic["code"].to_string(), r#"{"id":"1"}"#);
}

#[test]
fn builders_see_what_the_script_wrote_before() {
    let body = r#"
        let before = encounter(msg);
        msg["PID-5.1"] = "JONES";
        let p = patient(msg);
        park("value", p["name[0].family"])"#;
    let outcome = run(body, ADMISSION).expect("an outcome");
    let transform::outcome::Decision::Park { detail, .. } = outcome.decision else {
        panic!("not parked")
    };
    assert_eq!(detail.expect("a detail").0, "JONES");
}

#[test]
fn each_order_gives_an_event_that_knows_its_segments() {
    let body = r#"
        for group in msg.groups(["ORC", "OBR"]) { emit(result_type(group), report(group)); }"#;
    let events = events(run(body, RESULTS).expect("an outcome"));
    let told: Vec<_> =
        events.iter().map(|event| (event.event_type.name, event.at.clone())).collect();
    assert_eq!(told, [("result.available", Some(2..9)), ("result.corrected", Some(9..11))]);
}

#[test]
fn only_resources_can_be_emitted() {
    for data in ["1", "#{}", "[]", "[1]", "()", "#{ resourceType: \"Basic\", a: msg }"] {
        let body = format!("emit(\"patient.updated\", {data})");
        let fault = run(&body, ADMISSION).expect_err(data);
        assert_eq!(fault.code, "script.error", "{data}");
    }
    assert_eq!(value(r"to_map(patient(msg)).resourceType", ADMISSION), "Patient");
    assert_eq!(value(r#"resource(#{resourceType: "Basic"})["resourceType"]"#, ADMISSION), "Basic");
}
