//! The hazard log says only what is true: its controls exist, its tests are tests.

use std::collections::BTreeMap;
use std::fs;

use crate::harness::repository;

const LOG: &str = "docs/safety/hazards.toml";
const HAZARDS: usize = 30;

/// One `[[hazard]]` of the log: key to one or several texts.
type Row = BTreeMap<String, Vec<String>>;

#[test]
fn every_hazard_has_its_row_in_order() {
    let ids: Vec<String> = log().iter().map(|row| row["id"].join("")).collect();
    let wanted: Vec<String> = (1..=HAZARDS).map(|number| format!("H{number}")).collect();
    assert_eq!(ids, wanted);
    for row in log() {
        let keys: Vec<&str> = row.keys().map(String::as_str).collect();
        assert_eq!(keys, ["causes", "control", "hazard", "id", "note", "test"], "{:?}", row["id"]);
    }
}

#[test]
fn every_control_is_there() {
    for row in log() {
        for path in row["control"].iter().filter(|path| *path != "open") {
            assert!(repository(path).try_exists().unwrap(), "{:?}: no {path}", row["id"]);
        }
    }
}

#[test]
fn every_named_test_is_a_test() {
    for row in log() {
        for name in row["test"].iter().filter(|name| *name != "open") {
            assert!(is_a_test(name), "{:?}: no test {name}", row["id"]);
        }
    }
}

fn log() -> Vec<Row> {
    read(&fs::read_to_string(repository(LOG)).expect("the hazard log"))
}

/// Reads the part of TOML that the log uses: `[[hazard]]`, then `key = "text"` or
/// `key = ["text", "text"]`, where an array may take several lines and no text has an escape.
fn read(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut lines = text.lines().map(str::trim).enumerate();
    while let Some((number, line)) = lines.next() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line == "[[hazard]]" {
            rows.push(Row::new());
            continue;
        }
        let place = format!("{LOG}:{}", number + 1);
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{place}: no value"));
        let mut value = value.to_owned();
        while value.starts_with('[') && !value.ends_with(']') {
            let (_, more) = lines.next().unwrap_or_else(|| panic!("{place}: no end of the array"));
            value.push_str(more);
        }
        assert!(!value.contains('\\'), "{place}: no escapes here");
        // Every second piece between quotes is a text, the others are brackets and commas.
        let texts: Vec<String> = value.split('"').skip(1).step_by(2).map(str::to_owned).collect();
        assert!(value.matches('"').count() == texts.len() * 2, "{place}: a quote is missing");
        assert!(texts.iter().all(|text| !text.is_empty()), "{place}: an empty text");
        let row = rows.last_mut().unwrap_or_else(|| panic!("{place}: before the first hazard"));
        assert!(row.insert(key.to_owned(), texts).is_none(), "{place}: {key} twice");
    }
    rows
}

/// `crate::file::function` with `stories` for tests/ and `app` for the command line: whether that
/// file has a test of that name.
fn is_a_test(name: &str) -> bool {
    let parts: Vec<&str> = name.split("::").collect();
    let [package, files @ .., function] = parts.as_slice() else { return false };
    let folder = match *package {
        "stories" => repository("tests"),
        other => repository("engine").join(other),
    };
    let inside = folder.join(files.join("/"));
    let candidates = [inside.with_extension("rs"), inside.join("mod.rs")];
    let texts = candidates.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts.into_iter().any(|text| has_test(&text, function))
}

fn has_test(text: &str, function: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let opening = [format!("fn {function}("), format!("async fn {function}(")];
    lines.iter().enumerate().any(|(at, line)| {
        let is_it = opening.iter().any(|opening| line.starts_with(opening));
        let mut above = lines[..at].iter().rev();
        let attributes = above.by_ref().take_while(|line| line.starts_with(['#', '/']));
        is_it && { attributes }
            .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_written() {
        let rows = read(
            "# log\n[[hazard]]\nid = \"H1\"\ncontrol = [\n  \"a\",\n  \"b\",\n]\n[[hazard]]\nid = \"H2\"\n",
        );
        assert_eq!(rows[0]["control"], ["a", "b"]);
        assert_eq!(rows[1]["id"], ["H2"]);
    }

    #[test]
    fn only_a_function_marked_as_a_test_is_one() {
        let text = "#[test]\nfn yes() {}\n\nfn no() {}\n\n#[tokio::test(start_paused = true)]\nasync fn later() {}";
        assert!(has_test(text, "yes") && has_test(text, "later"));
        assert!(!has_test(text, "no") && !has_test(text, "ye"));
        assert!(is_a_test("stories::hazards::every_named_test_is_a_test"));
        assert!(!is_a_test("stories::hazards::nobody"));
    }
}
