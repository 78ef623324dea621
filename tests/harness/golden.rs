//! The events that golden cases say must come of their messages; `tieline test` keeps them true.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::repository;

/// An event and the case that it comes from.
pub(crate) struct Golden {
    /// `pas-adt/admit`.
    pub(crate) case: String,
    /// CloudEvents JSON.
    pub(crate) event: Value,
}

/// The events of all cases, shorter names of cases first: those are the plain ones.
pub(crate) fn golden_events() -> Vec<Golden> {
    const EXPECT: &str = ".expect.json";
    let mut events = Vec::new();
    for file in files(&repository("transforms/tests")).iter().flat_map(files) {
        let text = file.to_str().expect("letters");
        let Some(case) = text.strip_suffix(EXPECT) else { continue };
        let case: Vec<&str> = case.rsplit('/').take(2).collect();
        let case = format!("{}/{}", case[1], case[0]);
        let expected = fs::read_to_string(&file).expect("a file of this repository");
        let expected: Value = serde_json::from_str(&expected).expect("JSON");
        let of_case = expected["events"].as_array().expect("a list").iter();
        events.extend(of_case.map(|event| Golden { case: case.clone(), event: event.clone() }));
    }
    events.sort_by_key(|golden| (golden.case.len(), golden.case.clone()));
    events
}

fn files(folder: &PathBuf) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.expect("a folder of this repository").path()).collect()
}
