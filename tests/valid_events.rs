//! Every event of every sample and golden case is valid by its own JSON Schema and as FHIR R4, as
//! validators see it that we did not write (`tests/foreign/valid_events.js`); and these do see what is
//! broken.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::foreign::{Toolset, installed, run};
use crate::harness::golden::golden_events;
use crate::harness::setup::Setup;
use crate::harness::tieline;

/// `{from, event}` for each golden event.
fn golden_lines() -> Vec<Value> {
    let all = golden_events().into_iter();
    all.map(|golden| json!({ "from": golden.case, "event": golden.event })).collect()
}

/// What the demo publishes of all samples.
fn sample_lines() -> Vec<Value> {
    let ran = tieline(["demo", "--once"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("an event"));
    events.map(|event| json!({ "from": "the samples", "event": event })).collect()
}

/// Has the events judged, each against the schema that `tieline schema` prints; what was printed.
fn judged(packages: &Path, lines: &[Value], mode: Option<&str>) -> Vec<String> {
    let setup = Setup::sample();
    let names: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line["event"]["dataschema"].as_str()?.split(':').nth(3))
        .collect();
    for name in names {
        let schema = tieline(["schema", "--event", name]);
        assert_eq!(schema.code, Some(0), "{schema:?}");
        setup.write(&format!("{name}.json"), &schema.out);
    }
    let mut events = String::new();
    for line in lines {
        writeln!(events, "{line}").expect("a String takes it");
    }
    setup.write("events.ndjson", &events);
    let word = |name: &str| setup.path(name).to_str().expect("letters").to_owned();
    let mut words = vec![word(""), word("events.ndjson")];
    words.extend(mode.map(str::to_owned));
    let printed = run(Toolset::Node, packages, "valid_events.js", &words);
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn every_event_of_samples_and_golden_cases_is_valid() {
    let Some(packages) = installed(Toolset::Node) else { return };
    let lines: Vec<Value> = golden_lines().into_iter().chain(sample_lines()).collect();
    let printed = judged(&packages, &lines, None);
    let all_well = format!("{} events, 0 problems", lines.len());
    assert_eq!(printed, [all_well], "{printed:#?}");
}

#[test]
fn what_is_broken_on_purpose_is_refused() {
    let Some(packages) = installed(Toolset::Node) else { return };
    let printed = judged(&packages, &golden_lines(), Some("--broken"));
    assert!(printed.len() > 15, "{printed:#?}");
    for line in &printed {
        assert!(line.starts_with("refused by "), "{line}");
    }
    for judge in ["schema", "structure", "codes", "references"] {
        assert!(printed.iter().any(|line| line.contains(judge)), "{judge} saw nothing");
    }
}
