//! The golden cases show every event that a script can make: one plain case each, and what comes of
//! absent, `""`, `^""^` and a value in the field that the catalogue names for it.

use std::collections::BTreeSet;

use record::catalogue::all;
use serde_json::Value;

use crate::harness::golden::golden_events;

/// The ends of the names of the four cases of each type.
const FOUR: [&str; 4] = ["value", "absent", "null", "part-null"];

#[test]
fn every_event_type_is_made_by_a_golden_case() {
    let made: BTreeSet<String> = golden_events()
        .iter()
        .filter_map(|golden| {
            Some(golden.event["dataschema"].as_str()?.split(':').nth(3)?.to_owned())
        })
        .collect();
    let never: Vec<&str> = all()
        .iter()
        .filter(|kind| !kind.engine && !made.contains(kind.name))
        .map(|kind| kind.name)
        .collect();
    assert_eq!(never, [""; 0], "no golden case shows these");
}

#[test]
fn every_event_type_has_a_case_for_absent_null_and_value() {
    let folder = crate::harness::repository("transforms/tests");
    let cases: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .flat_map(|channel| std::fs::read_dir(channel.unwrap().path()).unwrap())
        .filter_map(|file| file.unwrap().file_name().into_string().ok())
        .collect();
    for kind in all().iter().filter(|kind| !kind.engine) {
        for end in FOUR {
            let case = format!("{}--{end}.expect.json", kind.name.replace('.', "-"));
            assert!(cases.contains(&case), "there is no golden case {case}");
        }
    }
}

#[test]
fn the_four_cases_have_in_their_field_what_their_names_say() {
    let mut seen = 0;
    for file in crate::harness::golden::messages() {
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((kind, end)) = name.rsplit_once("--") else { continue };
        let Some(kind) = all().iter().find(|of| of.name.replace('.', "-") == kind) else {
            continue;
        };
        let (segment, field) = kind.shown_by.split_once('-').unwrap_or_default();
        let bytes = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.split('\r').filter(|line| line.split('|').next() == Some(segment));
        let sent = lines.next().and_then(|line| line.split('|').nth(field.parse().ok()?));
        let sent = sent.unwrap_or_default();
        let as_said = match end {
            "absent" => sent.is_empty(),
            "null" => sent == "\"\"",
            "part-null" => sent != "\"\"" && sent.contains("\"\""),
            _ => !sent.is_empty() && !sent.contains("\"\""),
        };
        assert!(as_said, "{}: {} is {sent}", file.display(), kind.shown_by);
        seen += 1;
    }
    assert!(seen >= 4 * all().iter().filter(|kind| !kind.engine).count());
}

#[test]
fn nothing_is_taken_away_and_stated_in_one_event() {
    for golden in golden_events() {
        let paths = golden.event["cleared"].as_str().unwrap_or_default();
        // What a path with a condition means, only FHIRPath could say.
        for path in paths.split(' ').filter(|path| !path.is_empty() && !path.contains('(')) {
            let stated = resources(&golden.event["data"], path)
                .iter()
                .any(|(resource, below)| is_stated(resource, below));
            assert!(!stated, "{} clears {path}, and states it", golden.case);
        }
    }
}

/// The resources of a bundle that a path is about, and what of it stands below them.
fn resources<'b, 'p>(bundle: &'b Value, path: &'p str) -> Vec<(&'b Value, &'p str)> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some((number, below)) =
        path.strip_prefix("Bundle.entry[").and_then(|rest| rest.split_once("].resource."))
    {
        return vec![(&entries[number.parse::<usize>().unwrap()]["resource"], below)];
    }
    let (kind, below) = path.split_once('.').unwrap_or((path, ""));
    let all = entries.iter().map(|entry| &entry["resource"]);
    all.filter(|resource| resource["resourceType"] == kind).map(|found| (found, below)).collect()
}

fn is_stated(of: &Value, path: &str) -> bool {
    match of {
        Value::Null => false,
        Value::Array(list) => list.iter().any(|each| is_stated(each, path)),
        _ if path.is_empty() => true,
        of => {
            let (name, below) = path.split_once('.').unwrap_or((path, ""));
            is_stated(&of[name], below)
        }
    }
}
