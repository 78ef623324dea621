//! What a site calls the segments that are its own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hl7::dictionary::names;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::written::written;

/// Segments by name.
pub type Segments = BTreeMap<SegmentName, Segment>;

/// The name of a segment: `ZPI`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName(hl7::location::SegmentName);

/// The number of a field, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldNumber(u32);

/// What the site calls a segment and its fields, for whoever reads a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Segment {
    /// What it is called; the standard's name unless given.
    pub name: String,
    /// What its fields are called, by number: `{ 1: Ward band, 4: Carer }`.
    pub fields: BTreeMap<FieldNumber, String>,
}

/// Why a text names no segment or field. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SegmentsError {
    #[error(
        "`{0}` is not a segment name\nwrite a capital letter and two capital letters or digits, such as ZPI"
    )]
    Name(String),
    #[error("`{0}` is not the number of a field\nwrite a whole number from 1 to 999")]
    Number(String),
}

impl FromStr for SegmentName {
    type Err = SegmentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(SegmentName).map_err(|_| SegmentsError::Name(text.to_owned()))
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl SegmentName {
    /// The name itself.
    pub fn name(self) -> hl7::location::SegmentName {
        self.0
    }
}

impl FromStr for FieldNumber {
    type Err = SegmentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok().filter(|number| (1..1000).contains(number));
        number.map(FieldNumber).ok_or_else(|| SegmentsError::Number(text.to_owned()))
    }
}

impl fmt::Display for FieldNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The same for the dictionary.
pub fn local_names(segments: &Segments) -> names::LocalNames {
    let one = |(name, said): (&SegmentName, &Segment)| {
        let fields = said.fields.iter().map(|(number, name)| (number.0, name.clone())).collect();
        (name.to_string(), names::LocalSegment { name: said.name.clone(), fields })
    };
    segments.iter().map(one).collect()
}

written!(SegmentName, "The name of a segment.", "^[A-Z][A-Z0-9]{2}$", ["ZPI"]);
written!(FieldNumber, "The number of a field, from 1.", "^[1-9][0-9]{0,2}$", ["1"]);

#[cfg(test)]
mod tests {
    use crate::config::load::tests::{FEED, problems};

    fn with(segments: &str) -> Vec<String> {
        let source = format!("organisation: RXX, segments: {{ {segments} }}");
        problems(&FEED.replace("organisation: RXX", &source))
    }

    #[test]
    fn a_site_names_its_segments_and_fields() {
        assert_eq!(with("ZPI: { name: Ward band, fields: { 1: Band, 12: Carer } }"), [""; 0]);
        let found = with("zpi: { name: x }");
        assert!(found[0].contains("`zpi` is not a segment name"), "{found:?}");
        let found = with("ZPI: { fields: { 0: x } }");
        assert!(found[0].contains("`0` is not the number of a field"), "{found:?}");
        let found = with("ZPI: { label: x }");
        assert!(found[0].contains("unknown key `label`"), "{found:?}");
    }
}
