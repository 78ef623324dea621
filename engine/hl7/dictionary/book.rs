//! Looking names up. The data is read once, when the first name is asked for.

use std::sync::LazyLock;

use crate::dictionary::parse::{Data, Entry, Kind, Run, parse};
use crate::dictionary::version::Version;

static STANDARD: LazyLock<Data> = LazyLock::new(|| parse(include_str!("standard.txt")));
static UK: LazyLock<Data> = LazyLock::new(|| parse(include_str!("uk.txt")));

/// The type of a part whose type a message says itself, as OBX-2 does of OBX-5.
const VARIES: &str = "varies";

/// A field of a segment or a component of a type, as one version has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// What it is called: `Patient Identifier List`.
    pub name: &'static str,
    /// Its type, such as `CX`; empty where it has none, `varies` where the message says it.
    pub datatype: &'static str,
    /// The number of the table of its codes.
    pub table: Option<u16>,
}

impl Part {
    /// Whether the message says the type, as OBX-2 does of OBX-5.
    pub fn varies(&self) -> bool {
        self.datatype == VARIES
    }
}

/// What a segment is called.
pub fn segment(name: &str) -> Option<&'static str> {
    segment_entry(name).map(|entry| entry.title)
}

/// The names of all segments.
pub fn segments() -> impl Iterator<Item = &'static str> {
    STANDARD.segments.keys().chain(UK.segments.keys()).copied()
}

/// A field, counted from 1. Where the version has none there, what a later one has, else what an
/// earlier one had: senders write fields of later versions, and go on writing withdrawn ones.
pub fn field(version: Version, segment: &str, number: u32) -> Option<Part> {
    part(version, segment_entry(segment)?, number)
}

/// How many fields a segment has in the version where it has the most.
pub fn field_count(segment: &str) -> Option<u32> {
    segment_entry(segment).and_then(|entry| u32::try_from(entry.parts.len()).ok())
}

/// A component of a type, counted from 1, with the same tolerance.
pub fn component(version: Version, datatype: &str, number: u32) -> Option<Part> {
    part(version, STANDARD.datatypes.get(datatype)?, number)
}

/// A component of a field, counted from 1. Where the field's type has no such component, that of
/// the type which the field has in other versions.
pub fn field_component(version: Version, segment: &str, number: u32, wanted: u32) -> Option<Part> {
    let runs = runs(segment_entry(segment)?, number)?;
    let own = chosen(version, runs).map(|part| part.datatype)?;
    let others = runs.iter().flat_map(|run| &run.kinds).map(|kind| kind.datatype);
    [own].into_iter().chain(others).find_map(|datatype| component(version, datatype, wanted))
}

/// The most components that a field has in any version; 1 for a field of a simple type, and nothing
/// for one whose type is not known or varies.
pub fn component_count(segment: &str, number: u32) -> Option<u32> {
    let runs = runs(segment_entry(segment)?, number)?;
    let mut most = None;
    for kind in runs.iter().flat_map(|run| &run.kinds) {
        let count = match STANDARD.datatypes.get(kind.datatype) {
            _ if kind.datatype == VARIES || kind.datatype == "CM" => return None,
            Some(entry) => entry.parts.len().max(1),
            None => 1,
        };
        most = most.max(u32::try_from(count).ok());
    }
    most
}

/// What a table is called.
pub fn table(number: u16) -> Option<&'static str> {
    STANDARD.tables.get(&number).copied()
}

fn segment_entry(name: &str) -> Option<&'static Entry> {
    STANDARD.segments.get(name).or_else(|| UK.segments.get(name))
}

fn part(version: Version, entry: &'static Entry, number: u32) -> Option<Part> {
    chosen(version, runs(entry, number)?)
}

fn runs(entry: &'static Entry, number: u32) -> Option<&'static [Run]> {
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    entry.parts.get(at).map(Vec::as_slice)
}

/// The run of a version, else the first of a later one, else the last of all.
fn chosen(version: Version, runs: &'static [Run]) -> Option<Part> {
    let run = runs.iter().find(|run| version <= run.to).or(runs.last())?;
    let kind = kind(version, run);
    Some(Part {
        name: run.name,
        datatype: kind.map_or("", |kind| kind.datatype),
        table: kind.and_then(|kind| kind.table),
    })
}

fn kind(version: Version, run: &Run) -> Option<&Kind> {
    let version = version.max(run.from);
    run.kinds.iter().rev().find(|kind| kind.from <= version).or(run.kinds.first())
}

#[cfg(test)]
mod tests {
    use super::{
        STANDARD, UK, component, component_count, field, field_component, field_count, segment,
        table,
    };
    use crate::dictionary::version::Version;

    fn name(version: &str, segment: &str, number: u32) -> Option<&'static str> {
        field(Version::nearest(version), segment, number).map(|part| part.name)
    }

    #[test]
    fn every_line_of_the_data_is_understood() {
        assert_eq!((STANDARD.odd, UK.odd), (0, 0));
        assert!(STANDARD.segments.len() > 180 && STANDARD.datatypes.len() > 120);
        let fields = STANDARD.segments.values().flat_map(|entry| &entry.parts);
        assert!(fields.clone().count() > 2_700);
        for (segment, entry) in STANDARD.segments.iter().chain(&UK.segments) {
            assert!(!entry.title.is_empty(), "{segment} has no name");
        }
        // Every type is one that is described, or one without components.
        for run in fields.flatten() {
            for kind in &run.kinds {
                let plain = ["ST", "ID", "IS", "NM", "SI", "TX", "FT", "DT", "TM", "DTM", "TN"];
                let other = ["varies", "CM", "GTS", "SNM", "FX", "TS"];
                assert!(
                    STANDARD.datatypes.contains_key(kind.datatype)
                        || plain.contains(&kind.datatype)
                        || other.contains(&kind.datatype),
                    "{kind:?} of {}",
                    run.name
                );
            }
        }
    }

    /// A name that slipped by one place would mislead whoever reads a message at night.
    #[test]
    fn names_stand_in_their_places() {
        for (segment, number, expected) in [
            ("MSH", 10, "Message Control ID"),
            ("MSH", 18, "Character Set"),
            ("EVN", 6, "Event Occurred"),
            ("PID", 3, "Patient Identifier List"),
            ("PID", 11, "Patient Address"),
            ("PID", 22, "Ethnic Group"),
            ("PID", 29, "Patient Death Date and Time"),
            ("PID", 32, "Identity Reliability Code"),
            ("NK1", 13, "Organization Name - NK1"),
            ("PV1", 3, "Assigned Patient Location"),
            ("PV1", 16, "VIP Indicator"),
            ("PV1", 19, "Visit Number"),
            ("PV1", 36, "Discharge Disposition"),
            ("PV1", 44, "Admit Date/Time"),
            ("PV1", 45, "Discharge Date/Time"),
            ("PV1", 50, "Alternate Visit ID"),
            ("PV2", 38, "Mode of Arrival Code"),
            ("MRG", 7, "Prior Patient Name"),
            ("ORC", 12, "Ordering Provider"),
            ("OBR", 4, "Universal Service Identifier"),
            ("OBR", 22, "Results Rpt/Status Chng - Date/Time"),
            ("OBR", 25, "Result Status"),
            ("OBX", 5, "Observation Value"),
            ("OBX", 11, "Observation Result Status"),
            ("OBX", 14, "Date/Time of the Observation"),
            ("DG1", 16, "Diagnosing Clinician"),
            ("TXA", 12, "Unique Document Number"),
            ("ZU1", 27, "NHS Number Tracing Status"),
            ("ZU3", 3, "Attended or Did Not Attend"),
            ("ZU4", 6, "To Come In Date"),
            ("ZU8", 4, "Location Hiding"),
        ] {
            assert_eq!(name("2.5.1", segment, number), Some(expected), "{segment}-{number}");
        }
        assert_eq!(name("2.5.1", "PID", 0), None);
        assert_eq!(name("2.5.1", "PID", 99), None);
        assert_eq!(name("2.5.1", "ZZZ", 1), None);
        assert_eq!(segment("PV1"), Some("Patient Visit"));
        assert_eq!(segment("ZZZ"), None);
        assert_eq!(field_count("MSA"), Some(8));
        assert_eq!(table(1), Some("Administrative Sex"));
    }

    #[test]
    fn names_and_types_are_those_of_the_version() {
        assert_eq!(name("2.3", "PID", 8), Some("Sex"));
        assert_eq!(name("2.4", "PID", 8), Some("Administrative Sex"));
        assert_eq!(name("2.8.2", "PID", 8), Some("Administrative Sex"));
        let sex = |version| field(Version::nearest(version), "PID", 8).map(|part| part.datatype);
        assert_eq!((sex("2.1"), sex("2.4"), sex("2.8.2")), (Some("ID"), Some("IS"), Some("CWE")));
        let part = field(Version::nearest("2.4"), "PID", 8).expect("there");
        assert_eq!(part.table, Some(1));
    }

    #[test]
    fn what_a_version_lacks_is_called_as_in_another() {
        // MSH-21 came with 2.4, PID-39 with 2.5, PV1-54 with 2.7; PID-2 was withdrawn in 2.7.
        assert_eq!(name("2.3", "MSH", 21), Some("Conformance Statement ID"));
        assert_eq!(name("2.4", "PID", 39), Some("Tribal Citizenship"));
        assert_eq!(name("2.1", "PV1", 54), Some("Service Episode Identifier"));
        assert_eq!(name("2.8.2", "PID", 2), Some("Patient ID"));
    }

    #[test]
    fn components_are_those_of_the_fields_type() {
        let at = |version, segment, field, wanted| {
            field_component(Version::nearest(version), segment, field, wanted).map(|part| part.name)
        };
        assert_eq!(at("2.4", "PID", 3, 5), Some("Identifier Type Code"));
        assert_eq!(at("2.5.1", "PID", 5, 1), Some("Family Name"));
        assert_eq!(at("2.5.1", "MSH", 9, 2), Some("Trigger Event"));
        // ID in 2.3, and senders write its text beside it as later versions do.
        assert_eq!(at("2.3", "PID", 10, 2), Some("Text"));
        assert_eq!(at("2.4", "PID", 8, 40), None);
        let hd = component(Version::nearest("2.4"), "CX", 4).expect("there");
        assert_eq!((hd.name, hd.datatype), ("Assigning Authority", "HD"));
        assert_eq!(component_count("PID", 8), Some(22));
        assert_eq!(component_count("PID", 1), Some(1));
        assert_eq!(component_count("OBX", 5), None);
    }
}
