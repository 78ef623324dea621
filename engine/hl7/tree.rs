//! A segment as a tree of owned texts, for tools that show one.
//!
//! This is the only place that uses `hl7-parser`, and behind a fence: one segment at a time, reading
//! only, bounded, its length checked (it drops what it cannot read, and costs hundreds of times the
//! memory of a segment full of delimiters). What it may not see, or does not read whole, our own
//! views read.

use std::borrow::Cow;
use std::fmt;

use hl7_parser::message::{Segment as Parsed, Separators};
use hl7_parser::parser::parse_segment_with_separators;
use thiserror::Error;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::escape::{render, unescape};
use crate::location::Location;
use crate::segment::Segment;
use crate::value::Value;

/// Most fields, repetitions, components and subcomponents together that a tree may have.
const MAX_PARTS: usize = 10_000;

/// A segment with all its parts. It holds patient data; `Display` prints it, `Debug` does not.
#[derive(Clone, PartialEq, Eq)]
pub struct SegmentTree {
    /// Where the segment stands, as in `OBX(2)`.
    pub location: Location,
    /// Its fields, from the first.
    pub fields: Vec<FieldTree>,
}

/// Repetitions, components and subcomponents of a field, each from the first.
pub type FieldTree = Vec<Vec<Vec<Value<String>>>>;

/// Why a segment has no tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TreeError {
    /// The line does not begin with a segment name.
    #[error("the line is no segment")]
    Odd,
    /// The segment has too many parts to be shown.
    #[error("the segment has more than {MAX_PARTS} parts")]
    TooMany,
}

/// Reads a segment into a tree, decoding with `charset`.
pub fn tree(
    segment: &Segment<'_>,
    delimiters: Delimiters,
    charset: Charset,
) -> Result<SegmentTree, TreeError> {
    read(segment, Reader { delimiters, charset, plain: unescape })
}

/// As [`tree`], for people: formatting (`\.br\`, `\H\`) is line breaks and blanks, or left out.
pub fn rendered(
    segment: &Segment<'_>,
    delimiters: Delimiters,
    charset: Charset,
) -> Result<SegmentTree, TreeError> {
    read(segment, Reader { delimiters, charset, plain: render })
}

fn read(segment: &Segment<'_>, read: Reader) -> Result<SegmentTree, TreeError> {
    let Reader { delimiters, .. } = read;
    let location = segment.location().ok_or(TreeError::Odd)?;
    let splits = |byte: &&u8| {
        let marks = [
            delimiters.field,
            delimiters.repetition,
            delimiters.component,
            delimiters.subcomponent,
        ];
        marks.contains(byte)
    };
    if segment.raw().iter().filter(splits).take(MAX_PARTS + 1).count() > MAX_PARTS {
        return Err(TreeError::TooMany);
    }
    let fields = read.through_parser(segment).unwrap_or_else(|| read.through_views(segment));
    Ok(SegmentTree { location, fields })
}

impl SegmentTree {
    /// Every value that is not absent, with its location.
    pub fn leaves(&self) -> impl Iterator<Item = (Location, Value<&str>)> {
        let mut leaves = Vec::new();
        for (field, repetitions) in (1..).zip(&self.fields) {
            for (repetition, components) in (1..).zip(repetitions) {
                for (component, subcomponents) in (1..).zip(components) {
                    let alone = components.len() == 1 && subcomponents.len() == 1;
                    for (subcomponent, value) in (1..).zip(subcomponents) {
                        let location = Location {
                            field: Some(field),
                            repetition,
                            component: (!alone).then_some(component),
                            subcomponent: (subcomponents.len() > 1).then_some(subcomponent),
                            ..self.location
                        };
                        leaves.push((location, value.as_ref().map(String::as_str)));
                    }
                }
            }
        }
        leaves.into_iter().filter(|(_, value)| !value.is_absent())
    }
}

impl fmt::Display for SegmentTree {
    /// One line a value: its location, two blanks, the text with its control characters escaped.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.location)?;
        for (location, value) in self.leaves() {
            let text = value.into_option().map_or("\"\"".into(), printable);
            writeln!(out, "  {:<14}  {text}", location.to_string())?;
        }
        Ok(())
    }
}

impl fmt::Debug for SegmentTree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SegmentTree({} fields)", self.fields.len())
    }
}

fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let shown = |found: char| {
            if found.is_control() { found.escape_default().to_string() } else { found.to_string() }
        };
        Cow::Owned(text.chars().map(shown).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[derive(Clone, Copy)]
struct Reader {
    delimiters: Delimiters,
    charset: Charset,
    /// What becomes of escape sequences.
    plain: for<'r> fn(&'r [u8], &Delimiters) -> Cow<'r, [u8]>,
}

impl Reader {
    /// `None` where the parser must not or did not read the segment whole.
    fn through_parser(self, segment: &Segment<'_>) -> Option<Vec<FieldTree>> {
        // It knows no missing delimiter, and its reading of MSH is wrong for three or five encoding characters.
        if matches!(segment.name(), "MSH" | "FHS" | "BHS")
            || self.delimiters.encoding_characters().len() < 4
        {
            return None;
        }
        // Escapes stand for bytes, so only bytes that are text already may pass through the parser.
        let line = str::from_utf8(segment.raw()).ok()?;
        let separators = Separators {
            field: char::from(self.delimiters.field),
            component: char::from(self.delimiters.component),
            subcomponent: char::from(self.delimiters.subcomponent),
            repetition: char::from(self.delimiters.repetition),
            escape: char::from(self.delimiters.escape),
            lenient_newlines: false,
        };
        let parsed: Parsed<'_> = parse_segment_with_separators(line, separators).ok()?;
        if parsed.raw_value().len() != line.len() {
            return None;
        }
        let field = |field: &hl7_parser::message::Field<'_>| -> FieldTree {
            field
                .repeats()
                .map(|repeat| {
                    repeat
                        .components()
                        .map(|component| {
                            component
                                .subcomponents()
                                .map(|part| self.value(part.value.as_bytes()))
                                .collect()
                        })
                        .collect()
                })
                .collect()
        };
        Some(parsed.fields().map(field).collect())
    }

    fn through_views(self, segment: &Segment<'_>) -> Vec<FieldTree> {
        let repetition = |repetition: crate::segment::Repetition<'_>| {
            repetition
                .components()
                .map(|component| {
                    component.subcomponents().map(|part| self.value(part.raw())).collect()
                })
                .collect()
        };
        segment.fields().map(|field| field.repetitions().map(repetition).collect()).collect()
    }

    fn value(self, raw: &[u8]) -> Value<String> {
        match raw {
            [] => Value::Absent,
            b"\"\"" => Value::Null,
            _ => {
                let plain = (self.plain)(raw, &self.delimiters);
                Value::Present(self.charset.decode(&plain).text.into_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Reader, SegmentTree, TreeError, tree};
    use crate::message::{Message, Reading};

    fn message(text: &str) -> Message {
        Message::parse(text.as_bytes().to_vec(), &Reading::default()).expect("readable")
    }

    fn tree_of(message: &Message, index: usize) -> Result<SegmentTree, TreeError> {
        let segment = message.segment_at(index).expect("there");
        tree(&segment, message.delimiters(), message.charset())
    }

    #[test]
    fn a_segment_prints_one_value_a_line() {
        let message = message("MSH|^~\\&|PAS\rOBX|1\rOBX|2|TX|a^b&c~d||x\\T\\y\\X0A\\|\"\"\rodd\r");
        let shown = tree_of(&message, 2).expect("a segment").to_string();
        let expected = [
            "OBX(2)",
            "  OBX(2)-1        2",
            "  OBX(2)-2        TX",
            "  OBX(2)-3.1      a",
            "  OBX(2)-3.2.1    b",
            "  OBX(2)-3.2.2    c",
            "  OBX(2)-3(2)     d",
            "  OBX(2)-5        x&y\\n",
            "  OBX(2)-6        \"\"",
            "",
        ];
        assert_eq!(shown.split('\n').collect::<Vec<_>>(), expected);
        let header = tree_of(&message, 0).expect("a segment").to_string();
        assert!(header.contains("MSH-2           ^~\\&\n"), "{header}");
        assert_eq!(tree_of(&message, 3), Err(TreeError::Odd));
    }

    #[test]
    fn formatting_is_for_programs_as_it_stands_and_plain_for_people() {
        let text = "MSH|^~\\&|PAS\rOBX|1|FT|||\\H\\one\\N\\\\.br\\two \\T\\ \\Zx\\three\r";
        let message = message(text);
        let segment = message.segment_at(1).expect("there");
        let value = |read: fn(&_, _, _) -> Result<SegmentTree, TreeError>| {
            let tree = read(&segment, message.delimiters(), message.charset()).expect("a segment");
            tree.leaves().last().and_then(|(_, value)| value.into_option().map(str::to_owned))
        };
        assert_eq!(value(tree).as_deref(), Some("\\H\\one\\N\\\\.br\\two & \\Zx\\three"));
        assert_eq!(value(super::rendered).as_deref(), Some("one\ntwo & \\Zx\\three"));
    }

    #[test]
    fn a_segment_full_of_delimiters_has_no_tree() {
        let message = message(&format!("MSH|^~\\&|PAS\rPID|{}", "~".repeat(super::MAX_PARTS)));
        assert_eq!(tree_of(&message, 1), Err(TreeError::TooMany));
    }

    proptest! {
        #[test]
        fn the_parser_and_our_views_read_the_same(line in "[a-zé|^~&\\\\\" ]{0,60}") {
            let message = message(&format!("MSH|^~\\&|PAS\rPID|{line}\r"));
            let segment = message.segment("PID", 1).expect("there");
            let (delimiters, charset) = (message.delimiters(), message.charset());
            let read = Reader { delimiters, charset, plain: super::render };
            let parsed = read.through_parser(&segment);
            prop_assert_eq!(parsed, Some(read.through_views(&segment)));
        }
    }
}
