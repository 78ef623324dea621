//! docs/event-types.md and docs/examples are what the catalogue and the golden cases say.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use record::catalogue::{EventType, UNUSED, all};
use record::unreached::PASSED_OVER;
use serde_json::Value;

use crate::harness::golden::{cases_named, golden_events};
use crate::harness::setup::Setup;
use crate::harness::{repository, tieline};

/// Set to write the pages instead of comparing them.
const UPDATE: &str = "TIELINE_UPDATE_DOCS";

const INTRODUCTION: &str = "\
# Event types

Every kind of [event](events.md) that there can be. This page is made from the catalogue that the program
itself reads, and the examples from golden cases (`cargo xtask test --only tests -- event_types`
compares; with `TIELINE_UPDATE_DOCS=1` it writes). `tieline schema --event NAME` prints the JSON Schema
(2020-12) of the data of each.

Which message becomes which event is decided by the channel's script; the library functions that the
delivered scripts use follow what is said here. What is marked *engine* is made by Tieline itself, before
the events of the script, and a script that emits it is refused. What is marked *restricted* goes only to
subscribers with an entitlement, whoever the patient is.

`time` is taken from the first place that can be read. A cancellation, a correction and a withdrawal carry
the numbers and keys of what they take back: a message without them parks.
";

/// The plainest golden event of each type.
fn examples() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for golden in golden_events() {
        let schema = golden.event["dataschema"].as_str().unwrap_or_default();
        let name = schema.split(':').nth(3).unwrap_or_default().to_owned();
        found.entry(name).or_insert(golden.event);
    }
    found
}

fn page(examples: &BTreeMap<String, Value>) -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut entity = "";
    page.push_str("\n| type | what happened | |\n|---|---|---|\n");
    for kind in all() {
        let anchor = kind.name.replace('.', "");
        let mark = mark(kind);
        write_line(
            &mut page,
            &format!("| [`{}`](#{anchor}) | {} | {mark} |", kind.name, kind.description),
        );
    }
    for kind in all() {
        if kind.entity() != entity {
            entity = kind.entity();
            write_line(&mut page, &format!("\n## {entity}"));
        }
        section(&mut page, kind, examples.contains_key(kind.name));
    }
    absent_null_and_value(&mut page);
    page.push_str("\n## What there is no event for\n\n");
    for unused in UNUSED {
        write_line(
            &mut page,
            &format!("* `{}`: {}", unused.name.replace(", ", "`, `"), unused.why),
        );
    }
    page.push_str(
        "\n## What of a message is in no event\n\n`tieline transform` counts the values of a message that \
         no event says, and `--explain` lists them by their places. These places are not looked at:\n\n",
    );
    for part in PASSED_OVER {
        write_line(&mut page, &format!("* `{}`. {}", part.places.join("`, `"), part.why));
    }
    page
}

fn write_line(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("a String takes it");
}

fn mark(kind: &EventType) -> &'static str {
    match (kind.engine, kind.restricted) {
        (true, _) => "engine",
        (_, true) => "restricted",
        _ => "",
    }
}

fn section(page: &mut String, kind: &EventType, has_example: bool) {
    write_line(page, &format!("\n### {}\n\n{}\n", kind.name, kind.description));
    write_line(page, &format!("* From: {}", kind.trigger));
    write_line(page, &format!("* `time`: {}", kind.times.join(", ")));
    write_line(page, &format!("* Data: {}", kind.resources.join(", ")));
    write_line(page, &format!("* `cleared`: {}", kind.cleared));
    write_line(page, &format!("* `replaced`: {}", kind.replaced));
    write_line(page, &format!("* Heading: {}", kind.heading));
    if has_example {
        write_line(page, &format!("* Example: [{0}.json](examples/{0}.json)", kind.name));
    }
}

fn absent_null_and_value(page: &mut String) {
    page.push_str(
        "\n## Absent, null and value\n\nThe field with which golden cases show what each type makes of \
         nothing, of `\"\"`, of `^\"\"^` and of a value:\n\n| field | types |\n|---|---|\n",
    );
    let mut by_field: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for kind in all().iter().filter(|kind| !kind.engine) {
        by_field.entry(kind.shown_by).or_default().push(format!("`{}`", kind.name));
    }
    for (field, kinds) in by_field {
        write_line(page, &format!("| {field} | {} |", kinds.join(", ")));
    }
}

#[test]
fn the_pages_are_those_of_the_catalogue() {
    let examples = examples();
    let folder = repository("docs/examples");
    let mut files: BTreeMap<String, String> = examples
        .iter()
        .map(|(name, event)| (format!("examples/{name}.json"), format!("{event:#}\n")))
        .collect();
    files.insert("event-types.md".to_owned(), page(&examples));
    if std::env::var_os(UPDATE).is_some() {
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).expect("docs/ can be written");
        for (name, text) in &files {
            fs::write(repository("docs").join(name), text).expect("docs/ can be written");
        }
    }
    for (name, text) in &files {
        let committed = fs::read_to_string(repository("docs").join(name)).unwrap_or_default();
        for (line, (ours, theirs)) in text.lines().zip(committed.lines()).enumerate() {
            assert_eq!(ours, theirs, "line {} of docs/{name}; {UPDATE}=1 writes it", line + 1);
        }
        assert!(*text == committed, "docs/{name} is out of date: {UPDATE}=1 writes it");
    }
    let there = fs::read_dir(&folder).map_or(0, Iterator::count);
    assert_eq!(there, examples.len(), "docs/examples has others, too: {UPDATE}=1 writes it anew");
}

#[test]
fn an_engine_publishes_its_catalogue_and_schemas() {
    let engine = Setup::sample().start();
    let published = engine.get("/api/v1/event-types").json();
    assert_eq!(published.as_array().map(Vec::len), Some(all().len()));
    for kind in all().iter().step_by(20) {
        let schema = engine.get(&format!("/api/v1/event-types/{}/schema", kind.name)).json();
        assert_eq!(schema, record::schema::schema(kind), "{}", kind.name);
        let printed = tieline(["schema", "--event", kind.name]).out;
        assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), schema, "{}", kind.name);
    }
    assert_eq!(engine.get("/api/v1/event-types/patient.vanished/schema").status, 404);
    let unknown = tieline(["schema", "--event", "patient.vanished"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.err.contains("patient.registered"), "{}", unknown.err);
}

/// What a field may hold: nothing, `""`, `^""^`, something.
const STATES: [&str; 4] = ["absent", "null", "part-null", "value"];

#[test]
fn every_type_that_scripts_make_has_a_golden_case_for_each_state_of_a_field() {
    let golden = golden_events();
    for kind in all().iter().filter(|kind| !kind.engine) {
        for state in STATES {
            let case = format!("/{}--{state}", kind.name.replace('.', "-"));
            let cases = cases_named(&case);
            assert_eq!(cases.len(), 1, "{case}: {cases:?}");
            let shown = golden.iter().any(|golden| {
                golden.case == cases[0] && golden.event["dataschema"] == kind.schema_uri()
            });
            assert!(shown || state != "value", "{case} makes no such event");
        }
    }
}

#[test]
fn every_golden_event_is_of_the_catalogue() {
    for name in examples().keys() {
        assert!(all().iter().any(|kind| kind.name == *name), "{name}");
    }
}
