//! The floors of the house: what may know what, and how large and how named a file may be.
//! `cargo xtask test` asks cargo the same of dependencies that come through others (walls).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// Each crate and which of ours it may use. Arrows go down only.
const FLOORS: &[(&str, &[&str])] = &[
    ("hl7", &[]),
    ("journal", &[]),
    ("archive", &[]),
    ("record", &["hl7"]),
    ("identity", &["hl7", "record"]),
    ("transform", &["hl7", "record"]),
    ("router", &["hl7", "record", "identity", "transform", "journal", "archive"]),
    ("console", &["hl7", "record", "identity", "archive", "router"]),
    ("xtask", &[]),
    (
        "tieline",
        &["hl7", "record", "identity", "transform", "journal", "archive", "router", "console"],
    ),
];

/// A file is named after what it is; these are names for what nobody found a name for.
const NAMELESS: &[&str] =
    &["common", "util", "utils", "helper", "helpers", "core", "manager", "handler", "misc"];

const LONGEST_FILE: usize = 500;

#[test]
fn arrows_go_down() {
    for (package, allowed) in FLOORS {
        let manifest = match *package {
            "tieline" => "Cargo.toml".to_owned(),
            other => format!("engine/{other}/Cargo.toml"),
        };
        let text = fs::read_to_string(repository(&manifest)).unwrap();
        for (section, name) in dependencies(&text) {
            let ours = FLOORS.iter().any(|(floor, _)| *floor == name) && name != *package;
            assert!(!ours || allowed.contains(&&*name), "{manifest}: [{section}] names {name}");
        }
    }
}

#[test]
fn every_crate_has_a_floor() {
    let on_disk: BTreeSet<String> = fs::read_dir(repository("engine"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("Cargo.toml").is_file())
        .map(|folder| name_of(&folder))
        .collect();
    let drawn: BTreeSet<String> = FLOORS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let crates: BTreeSet<String> = drawn.into_iter().filter(|name| name != "tieline").collect();
    assert_eq!(on_disk, crates);
}

#[test]
fn a_file_is_short_and_has_a_name_of_its_own() {
    for file in ["engine", "tests"].iter().flat_map(|folder| sources(&repository(folder))) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= LONGEST_FILE, "{}: {lines} lines; split it by noun", file.display());
        for part in file.with_extension("").strip_prefix(repository("")).unwrap() {
            let part = part.to_str().unwrap();
            assert!(!NAMELESS.contains(&part), "{}: `{part}` says nothing", file.display());
        }
    }
}

/// `use hl7::message::Message`, never `use hl7::Message`: a name has one home.
#[test]
fn names_come_from_the_file_that_owns_them() {
    for (package, _) in FLOORS {
        for (file, text) in code_of(package) {
            let roots = FLOORS.iter().map(|(name, _)| *name).filter(|name| *name != "tieline");
            for root in roots.chain(["crate"]) {
                for path in paths(&text, root) {
                    let first = path.split("::").next().unwrap_or_default();
                    let from_root = path == first && first.starts_with(char::is_uppercase);
                    assert!(!from_root, "{}: {root}::{path} comes from the root", file.display());
                }
            }
        }
        let root = folder_of(package).join("lib.rs");
        let text = fs::read_to_string(&root).unwrap_or_default();
        assert!(!text.contains("\npub use "), "{} exports again", root.display());
    }
}

/// Files of one crate know each other in one direction only.
#[test]
fn files_go_in_no_circles() {
    let mut circles = BTreeSet::new();
    for (package, _) in FLOORS {
        let files: BTreeMap<String, String> = code_of(package)
            .into_iter()
            .map(|(file, text)| (module_of(&folder_of(package), &file), text))
            .collect();
        let knows: BTreeMap<&str, BTreeSet<&str>> = files
            .iter()
            .map(|(module, text)| (module.as_str(), known_by(module, text, &files)))
            .collect();
        let found = knows.keys().filter_map(|module| circle(module, &knows));
        circles.extend(found.map(|way| format!("{package}: {}", way.join(" -> "))));
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(repository("Cargo.toml")).unwrap();
    let reasons = fs::read_to_string(repository("ARCHITECTURE.md")).unwrap();
    let ours = |name: &str| FLOORS.iter().any(|(floor, _)| *floor == name);
    let named = dependencies(&manifest).filter(|(section, _)| section.contains("workspace"));
    for (_, name) in named.filter(|(_, name)| !ours(name)) {
        let said = reasons.contains(&format!("`{name}`"));
        assert!(said, "ARCHITECTURE.md does not say why {name} is here");
    }
}

/// (section, name) of everything that a manifest depends on.
fn dependencies(manifest: &str) -> impl Iterator<Item = (&str, String)> {
    let mut section = "";
    manifest.lines().filter_map(move |line| {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']');
            return None;
        }
        let name = line.split(['=', '.', ' ']).next().filter(|name| !name.starts_with('#'))?;
        let wanted = section.ends_with("dependencies") && !name.is_empty();
        wanted.then(|| (section, name.to_owned()))
    })
}

fn folder_of(package: &str) -> PathBuf {
    repository("engine").join(if package == "tieline" { "app" } else { package })
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The files of a crate without comments and without what stands under `#[cfg(test)]`.
fn code_of(package: &str) -> Vec<(PathBuf, String)> {
    let files = sources(&folder_of(package)).into_iter();
    let files = files.filter(|file| !file.components().any(|part| part.as_os_str() == "tests"));
    let code = |text: &str| -> String {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]");
        let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
        lines.flat_map(|line| [line, "\n"]).collect()
    };
    files.map(|file| (file.clone(), code(&fs::read_to_string(file).unwrap()))).collect()
}

/// `config::model` for config/model.rs; a `mod.rs` is its folder, `lib.rs` is the empty name.
fn module_of(folder: &Path, file: &Path) -> String {
    let inside = file.strip_prefix(folder).unwrap().with_extension("");
    let parts: Vec<&str> = inside.iter().map(|part| part.to_str().unwrap()).collect();
    let parts = parts.into_iter().filter(|part| !["mod", "lib", "main"].contains(part));
    parts.collect::<Vec<_>>().join("::")
}

/// The modules among `files` that a module names, itself left out.
fn known_by<'f>(
    module: &str,
    text: &str,
    files: &'f BTreeMap<String, String>,
) -> BTreeSet<&'f str> {
    let above = module.rsplit_once("::").map_or("", |(above, _)| above);
    let near = paths(text, "super").into_iter().map(|path| format!("{above}::{path}"));
    let all = paths(text, "crate").into_iter().chain(near);
    let owner = |path: String| {
        let path = path.trim_start_matches(':').to_owned();
        let owners = files.keys().filter(|name| {
            path == **name || path.strip_prefix(&***name).is_some_and(|rest| rest.starts_with("::"))
        });
        owners.max_by_key(|name| name.len()).map(String::as_str)
    };
    all.filter_map(owner).filter(|name| !name.is_empty() && *name != module).collect()
}

/// The shortest way from a module back to itself.
fn circle<'m>(start: &'m str, knows: &BTreeMap<&str, BTreeSet<&'m str>>) -> Option<Vec<&'m str>> {
    let mut ways = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        for &next in way.last().and_then(|last| knows.get(last)).into_iter().flatten() {
            let longer = [way.as_slice(), &[next]].concat();
            if next == start {
                return Some(longer);
            }
            if seen.insert(next) {
                ways.push_back(longer);
            }
        }
    }
    None
}

/// Every path that begins with `root::`, without it; `{a::B, c}` is opened.
fn paths(text: &str, root: &str) -> Vec<String> {
    let start = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in text.match_indices(&start) {
        let before = text[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            open(&text[at + start.len()..], "", &mut found);
        }
    }
    found
}

fn open(rest: &str, before: &str, found: &mut Vec<String>) {
    if let Some(group) = rest.strip_prefix('{') {
        let (mut depth, mut from) = (1, 0);
        for (at, c) in group.char_indices() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 || (depth == 1 && c == ',') {
                open(group[from..at].trim(), before, found);
                from = at + 1;
            }
            if depth == 0 {
                return;
            }
        }
        return;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let name = format!("{before}{}", &rest[..end]);
    match rest[end..].strip_prefix("::") {
        Some(deeper) => open(deeper, &format!("{name}::"), found),
        None if end > 0 => found.push(name),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_however_they_are_written() {
        let text =
            "use crate::a::B;\nuse crate::{\n    c::{D, e::F},\n    g,\n};\nlet x = crate::h::i();";
        assert_eq!(paths(text, "crate"), ["a::B", "c::D", "c::e::F", "g", "h::i"]);
        assert!(paths("use mycrate::a;", "crate").is_empty());
    }

    #[test]
    fn a_circle_is_seen_through_others() {
        let files = ["a", "b", "c::d"].map(|name| (name.to_owned(), String::new())).into();
        assert_eq!(
            known_by("c::d", "use crate::a::X; use super::e;", &files),
            BTreeSet::from(["a"])
        );
        let one = |name| BTreeSet::from([name]);
        let knows = BTreeMap::from([("a", one("b")), ("b", one("c::d")), ("c::d", one("a"))]);
        assert_eq!(circle("a", &knows), Some(vec!["a", "b", "c::d", "a"]));
        let knows = BTreeMap::from([("a", one("b")), ("b", BTreeSet::new())]);
        assert_eq!(circle("a", &knows), None);
    }
}
