//! Reads the data of the dictionary: lines of text that are compiled in.
//!
//! ```text
//! segment PID Patient Identification     what follows are its fields
//! 8 ad Sex|ID:1 cIS:1                    field 8, in the versions a to d (2.1 to 2.3.1): its name;
//! 8 em Administrative Sex|IS:1 iCWE:1    its type and table, and from c on, or i on, other ones
//! datatype CX Extended Composite ID ...  what follows are its components, in the same form
//! table 1 Administrative Sex
//! ```

use std::collections::BTreeMap;

use crate::dictionary::version::Version;

/// Everything that one text says.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) segments: BTreeMap<&'static str, Entry>,
    pub(super) datatypes: BTreeMap<&'static str, Entry>,
    pub(super) tables: BTreeMap<u16, &'static str>,
    /// Lines that say nothing that is understood; the data has none.
    pub(super) odd: usize,
}

/// A segment with its fields, or a type with its components.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) title: &'static str,
    /// The names of each part, counted from 0; empty where there is none.
    pub(super) parts: Vec<Vec<Run>>,
}

/// A name of a part, and the versions in which it is called so.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) from: Version,
    pub(super) to: Version,
    pub(super) name: &'static str,
    pub(super) kinds: Vec<Kind>,
}

/// A type of a part, from a version on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) from: Version,
    pub(super) datatype: &'static str,
    pub(super) table: Option<u16>,
}

pub(super) fn parse(text: &'static str) -> Data {
    let mut data = Data::default();
    let mut entry: Option<&mut Entry> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, title) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "versions" => {}
            "segment" => entry = Some(opened(&mut data.segments, name, title)),
            "datatype" => entry = Some(opened(&mut data.datatypes, name, title)),
            "table" => match name.parse() {
                Ok(number) => drop(data.tables.insert(number, title)),
                Err(_) => data.odd += 1,
            },
            number => {
                let read = part(number, name, title);
                match (&mut entry, read) {
                    (Some(entry), Some((number, run))) => {
                        if entry.parts.len() < number {
                            entry.parts.resize_with(number, Vec::new);
                        }
                        entry.parts[number - 1].push(run);
                    }
                    _ => data.odd += 1,
                }
            }
        }
    }
    data
}

fn opened<'d>(
    entries: &'d mut BTreeMap<&'static str, Entry>,
    name: &'static str,
    title: &'static str,
) -> &'d mut Entry {
    let entry = entries.entry(name).or_default();
    entry.title = title;
    entry
}

/// A part from its number, its versions and what is said of it.
fn part(number: &str, versions: &str, said: &'static str) -> Option<(usize, Run)> {
    let number: usize = number.parse().ok().filter(|number| (1..1000).contains(number))?;
    let &[from, to] = versions.as_bytes() else { return None };
    let (from, to) = (Version::of_letter(from)?, Version::of_letter(to)?);
    let (name, kinds) = said.split_once('|').unwrap_or((said, ""));
    let kinds =
        kinds.split_ascii_whitespace().map(|kind| self::kind(kind, from)).collect::<Option<_>>()?;
    (!name.is_empty()).then_some((number, Run { from, to, name, kinds }))
}

/// `ID:1`, or with the version it begins in, `cIS:1`.
fn kind(text: &'static str, start: Version) -> Option<Kind> {
    let first = text.bytes().next()?;
    // Types are in capitals, but for `varies`, whose first letter is no version's.
    let (from, rest) = match Version::of_letter(first) {
        Some(from) => (from, text.get(1..)?),
        None => (start, text),
    };
    let (datatype, table) = match rest.split_once(':') {
        Some((datatype, table)) => (datatype, Some(table.parse().ok()?)),
        None => (rest, None),
    };
    Some(Kind { from, datatype, table })
}
