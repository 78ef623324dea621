//! The golden cases show every event that a script can make: one plain case each, and what comes of
//! absent, `""`, `^""^` and a value in the field that the catalogue names for it.

use std::collections::BTreeSet;

use record::catalogue::all;

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
