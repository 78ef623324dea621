//! Every field of every message of a folder of real ones has a name; most of them the standard's.
//!
//! The folder is named in `TIELINE_TEST_CORPUS`, else it is `../shared/corpus` beside the project;
//! without either there is nothing to do.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use hl7::dictionary::names::{LocalNames, Names};
use hl7::message::{Message, Reading};
use hl7::tree::tree;

/// Fields seen, and those among them that are called by their number only.
#[derive(Default)]
struct Count {
    fields: usize,
    numbered: BTreeSet<String>,
}

#[test]
fn every_field_has_a_name() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("TIELINE_TEST_CORPUS").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: there is no folder of messages at {}", folder.display());
        return;
    }
    let mut counts: BTreeMap<String, Count> = BTreeMap::new();
    look(&folder, &mut counts);
    let (mut fields, mut numbered) = (0, 0);
    for (segment, count) in &counts {
        fields += count.fields;
        numbered += count.numbered.len();
        if !count.numbered.is_empty() {
            let places: Vec<&str> = count.numbered.iter().map(String::as_str).collect();
            println!("{segment}: by number only: {}", places.join(", "));
        }
    }
    println!("{fields} values in {} segments, {numbered} places by number only", counts.len());
    assert!(fields > 0, "the folder holds no message");
    // Nothing of the standard is called by its number but what a sender added behind its end.
    for (segment, count) in counts.iter().filter(|(segment, _)| !segment.starts_with('Z')) {
        let last = hl7::dictionary::book::field_count(segment);
        for place in &count.numbered {
            let number = place.split('-').nth(1).and_then(|number| number.parse().ok());
            assert!(last.is_none() || number > last, "{place} has no name");
        }
    }
}

fn look(folder: &Path, counts: &mut BTreeMap<String, Count>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            look(&path, counts);
            continue;
        }
        let bytes = fs::read(&path).expect("a readable file");
        let starts: Vec<usize> = (0..bytes.len())
            .filter(|at| {
                bytes[*at..].starts_with(b"MSH")
                    && (*at == 0 || b"\r\n\x0b".contains(&bytes[at - 1]))
            })
            .collect();
        let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
        for (&start, end) in starts.iter().zip(ends) {
            let message = Message::parse(bytes[start..end].to_vec(), &Reading::default());
            if let Ok(message) = message {
                name(&message, counts);
            }
        }
    }
}

fn name(message: &Message, counts: &mut BTreeMap<String, Count>) {
    let local = LocalNames::new();
    let names = Names::of(message, &local);
    for segment in message.segments() {
        let Ok(tree) = tree(&segment, message.delimiters(), message.charset()) else { continue };
        assert!(!names.segment(segment.name()).is_empty());
        let count = counts.entry(segment.name().to_owned()).or_default();
        for (at, _) in tree.leaves() {
            let place = names.place(&segment, &at);
            count.fields += 1;
            assert!(!place.field.is_empty() && place.component.is_some() == at.component.is_some());
            if place.field.starts_with("field ") {
                let field = at.field.unwrap_or_default();
                count.numbered.insert(format!("{}-{field}", segment.name()));
            }
        }
    }
}
