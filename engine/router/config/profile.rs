//! A profile as it stands in a file, which `tieline profile infer` writes and people edit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use hl7::location::{Location, SegmentName};
use hl7::profile::rules::{self, SegmentRules, TypeRules};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::problem::Problem;
use crate::config::reader;
use crate::config::segments;
use crate::config::written::written;
use crate::config::yaml;

/// What one feed sends.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Profile {
    /// What it is of, for people.
    #[serde(rename = "profile")]
    name: String,
    /// How many messages it was learned from.
    messages: u64,
    /// Whether it names everything that the feed sends, so that anything else is a breach.
    complete: bool,
    /// The types of messages, as `ADT^A01`.
    types: BTreeMap<String, Type>,
    /// Segments, fields and components with their rules.
    places: BTreeMap<Place, Rule>,
}

/// A type of message.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Type {
    /// How many of them were learned from.
    messages: u64,
    /// Segments that each of them has.
    always: Vec<segments::SegmentName>,
    /// Segments that it may have.
    sometimes: Vec<segments::SegmentName>,
}

/// What a segment, a field or a component holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Rule {
    /// How many were learned from; of a segment only.
    seen: u64,
    /// Whether it is filled in each segment; a component, in each repetition of its field.
    required: bool,
    /// In how many of 100 segments it was filled.
    filled: Option<u32>,
    /// The most characters.
    length: Option<u32>,
    /// The most repetitions.
    repetitions: Option<u32>,
    /// The only values there are.
    codes: Vec<String>,
    /// What a value looks like as a whole, a regular expression.
    pattern: Option<Pattern>,
}

/// A segment, a field or a component: `PID`, `PID-3`, `PID-3.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Location);

/// A regular expression for a whole value.
#[derive(Clone, Debug)]
struct Pattern(String);

/// Why a text is no place or pattern of a profile. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
enum ProfileError {
    #[error(
        "`{0}` is not a place that a profile can speak of\nwrite a segment, a field or a component without numbers of repetitions, such as PID, PID-3 or PID-3.5"
    )]
    Place(String),
    #[error("`{0}` is not a regular expression\nwrite one such as [0-9]{{6,10}}")]
    Pattern(String),
}

impl FromStr for Place {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<Location>() {
            Ok(at) if (at.occurrence, at.repetition, at.subcomponent) == (1, 1, None) => {
                Ok(Self(at))
            }
            _ => Err(ProfileError::Place(text.to_owned())),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Pattern {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match rules::Rule::pattern(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(ProfileError::Pattern(text.to_owned())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written!(
    Place,
    "A segment, a field or a component.",
    "^[A-Z][A-Z0-9]{2}([.-][0-9].*)?$",
    ["PID-3"]
);
written!(Pattern, "A regular expression for a whole value.", "^.*$", ["[0-9]{6,10}"]);

/// Reads the text of a profile; `shown` is its path in problems.
pub fn read(shown: &str, text: &str) -> Result<rules::Profile, Vec<Problem>> {
    let tree = yaml::parse(shown, text).map_err(|problem| vec![problem])?;
    let reading = reader::read::<Profile>(tree);
    match reading.model {
        Some(profile) if reading.problems.is_empty() => Ok(profile.into()),
        _ => Err(reading.problems),
    }
}

impl From<Profile> for rules::Profile {
    fn from(said: Profile) -> Self {
        let mut segments: BTreeMap<SegmentName, SegmentRules> = BTreeMap::new();
        for (Place(at), rule) in said.places {
            let segment = segments.entry(at.segment).or_default();
            if at.field.is_none() {
                segment.seen = rule.seen;
            } else {
                segment.places.insert(at, rule.into());
            }
        }
        let types = said.types.into_iter().map(|(kind, said)| (kind, said.into()));
        Self {
            name: said.name,
            messages: said.messages,
            complete: said.complete,
            types: types.collect(),
            segments,
        }
    }
}

impl From<Type> for TypeRules {
    fn from(said: Type) -> Self {
        let names = |names: Vec<segments::SegmentName>| {
            names.into_iter().map(segments::SegmentName::name).collect::<BTreeSet<_>>()
        };
        Self {
            messages: said.messages,
            always: names(said.always),
            sometimes: names(said.sometimes),
        }
    }
}

impl From<Rule> for rules::Rule {
    fn from(said: Rule) -> Self {
        Self {
            required: said.required,
            // What is always filled is not said twice.
            filled: said.filled.or(said.required.then_some(100)),
            length: said.length,
            repetitions: said.repetitions,
            codes: said.codes.into_iter().collect(),
            // It was read as one before.
            pattern: said.pattern.and_then(|pattern| rules::Rule::pattern(&pattern.0).ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use hl7::profile::text::text;

    use super::read;

    const PROFILE: &str = "profile: \"pas\"\nmessages: 40\ncomplete: true\ntypes:\n  \
        \"ADT^A01\": { messages: 40, always: [MSH, PID], sometimes: [ZPI] }\nplaces:\n  \
        PID: { seen: 40 }\n  PID-3: { required: true, length: 50, repetitions: 2 }\n  \
        PID-8: { filled: 98, codes: [\"1\", 2], pattern: \"[0-9]\" }\n";

    #[test]
    fn what_is_written_is_read_again() {
        let profile = read("p.yaml", PROFILE).expect("a profile");
        assert_eq!((profile.messages, profile.complete), (40, true));
        let written = text(&profile);
        let again = read("p.yaml", &written).expect("a profile");
        assert_eq!(text(&again), written);
        assert!(written.contains("pattern: \"[0-9]\""), "{written}");
    }

    #[test]
    fn what_is_wrong_has_its_place() {
        let found = |from: &str, to: &str| {
            let problems = read("p.yaml", &PROFILE.replace(from, to)).expect_err("wrong");
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert!(found("length", "lenght").contains("unknown key `lenght`"));
        assert!(found("PID-3", "PID-3(2)").contains("`PID-3(2)` is not a place"));
        assert!(found("[0-9]", "[0-9").contains("is not a regular expression"));
        assert!(found("ZPI", "zpi").contains("`zpi` is not a segment name"));
    }
}
