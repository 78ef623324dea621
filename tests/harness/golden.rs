//! The events that golden cases say must come of their messages; `tieline test` keeps them true.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::repository;

/// An event and the case that it comes from.
pub(crate) struct Golden {
    /// `pas-adt/admit`.
    pub(crate) case: String,
    /// CloudEvents JSON.
    pub(crate) event: Value,
}

const EXPECT: &str = ".expect.json";

/// The cases whose names, with their channel, end so.
pub(crate) fn cases_named(end: &str) -> Vec<String> {
    let all = files(&repository("transforms/tests"));
    let all = all.iter().flat_map(files).filter_map(|file| case_of(&file));
    all.filter(|case| case.ends_with(end)).collect()
}

/// `pas-adt/admit` of the file with what is expected of it.
fn case_of(file: &Path) -> Option<String> {
    let path = file.to_str()?.strip_suffix(EXPECT)?;
    let mut words = path.rsplit('/');
    let (case, channel) = (words.next()?, words.next()?);
    Some(format!("{channel}/{case}"))
}

/// The messages of all cases.
pub(crate) fn messages() -> Vec<PathBuf> {
    let all = files(&repository("transforms/tests"));
    let all = all.iter().flat_map(files);
    all.filter(|file| file.extension().is_some_and(|end| end == "hl7")).collect()
}

/// The events of all cases, shorter names of cases first: those are the plain ones.
pub(crate) fn golden_events() -> Vec<Golden> {
    let mut events = Vec::new();
    for file in files(&repository("transforms/tests")).iter().flat_map(files) {
        let Some(case) = case_of(&file) else { continue };
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
