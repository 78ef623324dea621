//! A profile: which types of message a feed sends, with which segments, and what their fields hold.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::location::{Location, SegmentName};

/// What one feed sends.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// What it is of, for people: the channel's name.
    pub name: String,
    /// How many messages it was learned from; 0 when it was written by hand.
    pub messages: u64,
    /// Whether it names everything that the feed sends, so that anything else is a breach.
    pub complete: bool,
    /// The types, as `ADT^A01`.
    pub types: BTreeMap<String, TypeRules>,
    /// The segments.
    pub segments: BTreeMap<SegmentName, SegmentRules>,
}

/// A type of message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TypeRules {
    /// How many of them were learned from.
    pub messages: u64,
    /// Segments that each of them has.
    pub always: BTreeSet<SegmentName>,
    /// Segments that it may have.
    pub sometimes: BTreeSet<SegmentName>,
}

/// A segment, wherever it stands.
#[derive(Clone, Debug, Default)]
pub struct SegmentRules {
    /// How many were learned from.
    pub seen: u64,
    /// Rules of fields and components. A location here has no occurrence and no repetition: it means
    /// all of them.
    pub places: BTreeMap<Location, Rule>,
}

/// What a field or a component holds.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Whether it is filled in each segment; a component, in each repetition of its field.
    pub required: bool,
    /// In how many of 100 segments it was filled; only learned profiles know.
    pub filled: Option<u32>,
    /// The most characters of a repetition, or of the component.
    pub length: Option<u32>,
    /// The most repetitions.
    pub repetitions: Option<u32>,
    /// The only values there are; anything goes where it is empty.
    pub codes: BTreeSet<String>,
    /// What a value looks like, from its first character to its last.
    pub pattern: Option<Regex>,
}

impl TypeRules {
    /// Whether a message of the type may have the segment.
    pub fn knows(&self, segment: SegmentName) -> bool {
        self.always.contains(&segment) || self.sometimes.contains(&segment)
    }
}

impl Rule {
    /// What a value must look like, from its first character to its last.
    pub fn pattern(text: &str) -> Result<Regex, regex::Error> {
        Regex::new(&format!("^(?:{text})$"))
    }

    /// What [`Rule::pattern`] was given.
    pub fn inner(pattern: &Regex) -> &str {
        let whole = pattern.as_str();
        let inner = whole.strip_prefix("^(?:").and_then(|rest| rest.strip_suffix(")$"));
        inner.unwrap_or(whole)
    }
}

impl SegmentRules {
    /// Whether anything is said of a field.
    pub fn knows(&self, segment: SegmentName, field: u32) -> bool {
        let from = Location { field: Some(field), ..Location::segment(segment) };
        let next = self.places.range(from..).next();
        next.is_some_and(|(at, _)| at.field == Some(field))
    }
}
