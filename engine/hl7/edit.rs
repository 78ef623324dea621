//! Edits: one value changes, every other byte stays.

use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use crate::charset::EncodeError;
use crate::delimiters::Delimiters;
use crate::escape::{escape, needs_escape};
use crate::location::Location;
use crate::message::{Message, ParseError};
use crate::value::Value;

/// Why a value could not be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EditError {
    /// The message has no such segment; segments are not made by setting a value.
    #[error("the message has no segment {segment}")]
    NoSegment {
        /// The location of the segment.
        segment: Location,
    },
    /// The location names a whole segment.
    #[error("{at} names no field")]
    NoField {
        /// The location.
        at: Location,
    },
    /// MSH-1 and MSH-2 say how to read the message and cannot change.
    #[error("{at} holds the delimiters, which cannot be changed")]
    Delimiters {
        /// The location.
        at: Location,
    },
    /// A number of the location is zero or more than [`Location::MAX`].
    #[error("{at} has a number that is not between 1 and {}", Location::MAX)]
    Range {
        /// The location.
        at: Location,
    },
    /// The message declares no subcomponent delimiter.
    #[error("{at} names a subcomponent, which the message has no delimiter for")]
    NoSubcomponents {
        /// The location.
        at: Location,
    },
    /// The text has a character that the message's character set has not.
    #[error("{at}: {error}")]
    Encode {
        /// The location.
        at: Location,
        /// What is wrong.
        error: EncodeError,
    },
    /// The text needs an escape sequence, and the message declares no escape character.
    #[error("{at}: the text holds a delimiter, and the message declares no escape character")]
    NoEscape {
        /// The location.
        at: Location,
    },
    /// The message declares no repetition delimiter.
    #[error("{at} names a repetition, which the message has no delimiter for")]
    NoRepetitions {
        /// The location.
        at: Location,
    },
    /// The message was transcribed to be read, and cannot be written as it was received: some of its
    /// bytes mean nothing, or the text has a character that its character set has not.
    #[error("{at}: the message cannot be written in {charset} again without loss")]
    Transcription {
        /// The location.
        at: Location,
        /// The character set it was received in.
        charset: &'static str,
    },
    /// The message would grow beyond what can be read.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl Message {
    /// The message with one value changed; every byte outside that value is the same.
    ///
    /// A text is escaped and encoded, and goes where [`Message::text`] reads: `PID-3` is
    /// `PID-3.1.1`. Null and absent apply to what the location names: `PID-11` set to null makes the
    /// whole repetition null. Fields, repetitions and components that are missing before the place
    /// are added empty.
    pub fn with(&self, at: &Location, value: Value<&str>) -> Result<Self, EditError> {
        let (range, padding) = self.place(at, !value.is_present())?;
        let content = self.content(at, value)?;
        if content.is_empty() && !padding.is_empty() {
            // What is not there is absent already.
            return Ok(self.clone());
        }
        let old = self.readable();
        let parts = [&old[..range.start], &padding, &content, &old[range.end..]];
        let bytes = self.as_received(parts.concat(), at)?;
        Ok(Self::parse(Bytes::from(bytes), self.reading())?)
    }

    /// What was edited, in the form in which messages like this one are received.
    fn as_received(&self, edited: Vec<u8>, at: &Location) -> Result<Vec<u8>, EditError> {
        let Some(way) = self.transcription() else { return Ok(edited) };
        let lossless = way.write(self.readable()).is_some_and(|written| written == **self.bytes());
        let written = if lossless { way.write(&edited) } else { None };
        written.ok_or(EditError::Transcription { at: *at, charset: self.received_in().name() })
    }

    fn content(&self, at: &Location, value: Value<&str>) -> Result<Vec<u8>, EditError> {
        let delimiters = self.delimiters();
        match value {
            Value::Absent => Ok(Vec::new()),
            Value::Null => Ok(b"\"\"".to_vec()),
            Value::Present(text)
                if delimiters.escape == Delimiters::NONE
                    && (text == "\"\"" || needs_escape(text, &delimiters)) =>
            {
                Err(EditError::NoEscape { at: *at })
            }
            // As text, two double quotes must not read as null.
            Value::Present("\"\"") => {
                let mark = delimiters.escape;
                Ok([&[mark], &b"X2222"[..], &[mark]].concat())
            }
            Value::Present(text) => self
                .charset()
                .encode(&escape(text, &delimiters))
                .map_err(|error| EditError::Encode { at: *at, error }),
        }
    }

    /// Where the new bytes go, and the delimiters that have to stand before them.
    fn place(&self, at: &Location, whole: bool) -> Result<(Range<usize>, Vec<u8>), EditError> {
        let number = at.field.ok_or(EditError::NoField { at: *at })?;
        let numbers =
            [Some(at.occurrence), at.field, Some(at.repetition), at.component, at.subcomponent];
        if numbers.into_iter().flatten().any(|number| !(1..=Location::MAX).contains(&number)) {
            return Err(EditError::Range { at: *at });
        }
        if number <= 2 && matches!(at.segment.as_str(), "MSH" | "FHS" | "BHS") {
            return Err(EditError::Delimiters { at: *at });
        }
        let delimiters = self.delimiters();
        if delimiters.subcomponent == Delimiters::NONE
            && at.subcomponent.is_some_and(|number| number > 1)
        {
            return Err(EditError::NoSubcomponents { at: *at });
        }
        if delimiters.repetition == Delimiters::NONE && at.repetition > 1 {
            return Err(EditError::NoRepetitions { at: *at });
        }
        let missing = EditError::NoSegment { segment: Location { field: None, ..*at } };
        let segment = self.segment(at.segment.as_str(), at.occurrence as usize).ok_or(missing)?;
        let mut place =
            Place { bytes: self.readable(), range: segment.range(), padding: Vec::new() };
        if let Some(range) = segment.field_range(number as usize) {
            place.range = range;
        } else {
            // The first delimiter behind a bare FHS or BHS is a field of its own.
            let bare = segment.field_count() == 0 && matches!(segment.name(), "FHS" | "BHS");
            let there = segment.field_count() + usize::from(bare);
            place.extend(delimiters.field, number as usize - there);
        }
        place.enter(delimiters.repetition, at.repetition);
        if let Some(component) = at.component.or((!whole).then_some(1)) {
            place.enter(delimiters.component, component);
            if let Some(subcomponent) = at.subcomponent.or((!whole).then_some(1)) {
                place.enter(delimiters.subcomponent, subcomponent);
            }
        }
        Ok((place.range, place.padding))
    }
}

struct Place<'m> {
    bytes: &'m [u8],
    range: Range<usize>,
    padding: Vec<u8>,
}

impl Place<'_> {
    /// Narrows the range to the part of that number, or moves to its end and pads.
    fn enter(&mut self, delimiter: u8, number: u32) {
        if delimiter == Delimiters::NONE {
            return;
        }
        let mut wanted = number as usize - 1;
        // Behind padding everything is empty.
        let mut rest = if self.padding.is_empty() { self.range.clone() } else { 0..0 };
        while let Some(end) = memchr::memchr(delimiter, &self.bytes[rest.clone()]) {
            if wanted == 0 {
                self.range = rest.start..rest.start + end;
                return;
            }
            wanted -= 1;
            rest.start += end + 1;
        }
        if wanted > 0 {
            self.extend(delimiter, wanted);
        } else if self.padding.is_empty() {
            self.range = rest;
        }
    }

    fn extend(&mut self, delimiter: u8, count: usize) {
        self.range.start = self.range.end;
        self.padding.resize(self.padding.len() + count, delimiter);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::EditError;
    use crate::charset::Charset;
    use crate::location::Location;
    use crate::message::{Message, Reading};
    use crate::value::Value;

    fn message(text: &str) -> Message {
        Message::parse(text.as_bytes().to_vec(), &Reading::default()).expect("readable")
    }

    fn edited(pid: &str, at: &str, value: Value<&str>) -> Result<String, EditError> {
        let before = message(&format!("MSH|^~\\&|PAS\r{pid}\nPV1|1"));
        let after = before.with(&at.parse().expect(at), value)?;
        let text = String::from_utf8(after.bytes().to_vec()).expect("ASCII");
        let pid =
            text.strip_prefix("MSH|^~\\&|PAS\r").and_then(|rest| rest.strip_suffix("\nPV1|1"));
        Ok(pid.expect("the rest is the same").to_owned())
    }

    #[test]
    fn one_value_changes_and_what_is_missing_before_it_is_added() {
        let present = |text| Value::Present(text);
        let cases = [
            ("PID|1|A|B", "PID-2", present("X"), "PID|1|X|B"),
            ("PID|1||B", "PID-2", present("X"), "PID|1|X|B"),
            ("PID|1", "PID-4", present("X"), "PID|1|||X"),
            ("PID", "PID-1", present("X"), "PID|X"),
            ("BHS", "BHS-4", present("X"), "BHS|||X"),
            ("PID|a^b&c^d", "PID-1", present("X"), "PID|X^b&c^d"),
            ("PID|a^b&c^d", "PID-1.2", present("X"), "PID|a^X&c^d"),
            ("PID|a^b&c^d", "PID-1.2.2", present("X"), "PID|a^b&X^d"),
            ("PID|a^b&c^d", "PID-1.3.3", present("X"), "PID|a^b&c^d&&X"),
            ("PID|a~b|z", "PID-1(2).3", present("X"), "PID|a~b^^X|z"),
            ("PID|a|z", "PID-1(3).2", present("X"), "PID|a~~^X|z"),
            ("PID|a^b|z", "PID-1", Value::Null, "PID|\"\"|z"),
            ("PID|a^b|z", "PID-1", Value::Absent, "PID||z"),
            ("PID|a^b&c|z", "PID-1.2", Value::Null, "PID|a^\"\"|z"),
            ("PID|a^b&c|z", "PID-1.2.1", Value::Absent, "PID|a^&c|z"),
            ("PID|a", "PID-9.2", Value::Absent, "PID|a"),
            ("PID|a", "PID-1", present("x|y\r"), "PID|x\\F\\y\\X0D\\"),
            ("PID|a", "PID-1", present("\"\""), "PID|\\X2222\\"),
        ];
        for (before, at, value, after) in cases {
            assert_eq!(edited(before, at, value), Ok(after.to_owned()), "{before} {at}");
        }
    }

    #[test]
    fn what_cannot_be_set_says_why() {
        let set = |at: &str| edited("PID|1", at, Value::Present("Ł"));
        assert!(matches!(set("PV1(2)-1"), Err(EditError::NoSegment { .. })));
        assert!(matches!(set("PID"), Err(EditError::NoField { .. })));
        assert!(matches!(set("PID-1"), Err(EditError::Encode { .. })));
        let error = edited("PID|1", "MSH-2", Value::Null).expect_err("delimiters");
        assert_eq!(error.to_string(), "MSH-2 holds the delimiters, which cannot be changed");
        let zero = Location { repetition: 0, ..error_location(&error) };
        assert!(matches!(
            message("MSH|^~\\&|A").with(&zero, Value::Null),
            Err(EditError::Range { .. })
        ));
        let three = message("MSH|^~\\|A");
        let at = "MSH-3.1.2".parse().expect("a location");
        assert!(matches!(three.with(&at, Value::Null), Err(EditError::NoSubcomponents { .. })));
        let one = message("MSH|^|A");
        let set = |at: &str, text| one.with(&at.parse().expect(at), Value::Present(text));
        assert!(matches!(set("MSH-3(2)", "x"), Err(EditError::NoRepetitions { .. })));
        assert!(matches!(set("MSH-3", "a|b"), Err(EditError::NoEscape { .. })));
        assert_eq!(set("MSH-3", "a~b").expect("plain").bytes().as_ref(), b"MSH|^|a~b");
    }

    fn error_location(error: &EditError) -> Location {
        let EditError::Delimiters { at } = error else {
            return "MSH-3".parse().expect("a location");
        };
        *at
    }

    proptest! {
        #[test]
        fn what_was_set_is_read(
            before in "[a-z|^~&\\\\\"]{0,40}",
            field in 1_u32..12, repetition in 1_u32..4,
            component in prop::option::of((1_u32..5, prop::option::of(1_u32..4))),
            text in "[ -~éË£\\n\\r]{1,20}",
        ) {
            let reading = Reading { default_charset: Charset::UTF_8, ..Reading::default() };
            let source = format!("MSH|^~\\&|PAS\rPID|{before}\rPV1|1|{before}\r");
            let original = Message::parse(source.into_bytes(), &reading).expect("readable");
            let at = Location {
                field: Some(field), repetition,
                component: component.map(|part| part.0),
                subcomponent: component.and_then(|part| part.1),
                ..Location::segment("PID".parse().expect("a name"))
            };
            let changed = original.with(&at, Value::Present(&text)).expect("set");
            prop_assert_eq!(changed.text(&at).map(Cow::into_owned), Value::Present(text));
            let bytes = changed.bytes();
            prop_assert!(bytes.starts_with(b"MSH|^~\\&|PAS\rPID|"));
            let tail = format!("\rPV1|1|{before}\r");
            prop_assert!(bytes.ends_with(tail.as_bytes()));
            let null = original.with(&at, Value::Null).expect("set");
            prop_assert!(null.text(&at).is_null());
        }
    }
}
