//! The manual as a book: every page is in its list of contents, and every link leads somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::repository;

/// Every page, from the folder of the book.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| if path.is_dir() { pages(&path) } else { vec![path] });
    found.filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect()
}

/// The page without its blocks and pieces of code.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap();
    let outside = text.split("```").step_by(2).collect::<String>();
    outside.split('`').step_by(2).collect()
}

/// Where its links lead: a path and an anchor, either of which may be empty.
fn links(page: &Path) -> Vec<(String, String)> {
    let prose = prose(page);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own = targets.filter(|target| !target.contains(':'));
    let parts = own.map(|target| target.split_once('#').unwrap_or((target, "")));
    parts.map(|(path, anchor)| (path.to_owned(), anchor.to_owned())).collect()
}

/// What its headings are called in links.
fn anchors(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).unwrap();
    let outside = text.split("```").step_by(2).collect::<String>();
    let headings = outside
        .lines()
        .filter_map(|line| Some(line.strip_prefix('#')?.trim_start_matches('#').trim()));
    let named = headings.map(|heading| {
        let letters = heading.to_lowercase().replace(' ', "-");
        letters.chars().filter(|one| one.is_alphanumeric() || "-_".contains(*one)).collect()
    });
    named.collect()
}

#[test]
fn every_page_is_in_the_contents_and_every_link_leads_somewhere() {
    let book = repository("docs");
    let contents = book.join("SUMMARY.md");
    let listed: BTreeSet<PathBuf> =
        links(&contents).into_iter().map(|(path, _)| book.join(path)).collect();
    let pages: BTreeSet<PathBuf> =
        pages(&book).into_iter().filter(|page| *page != contents).collect();
    assert_eq!(listed, pages);
    let mut broken = Vec::new();
    for page in &pages {
        for (path, anchor) in links(page) {
            let folder = page.parent().unwrap();
            let target = if path.is_empty() { page.clone() } else { folder.join(&path) };
            let target = fs::canonicalize(&target)
                .ok()
                .filter(|target| target.starts_with(fs::canonicalize(&book).unwrap()));
            let leads = target
                .is_some_and(|target| anchor.is_empty() || anchors(&target).contains(&anchor));
            if !leads {
                broken.push(format!("{}: {path}#{anchor}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}
