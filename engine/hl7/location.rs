//! Where a value stands: `PID-3(2).4.1`, everything counted from 1.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The name of a segment: a capital letter, then two capital letters or digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName([u8; 3]);

/// Addresses a value, or reports where something is wrong (the tuple of ERR-2).
///
/// Written `PID-3(2).4.1`: segment, field, repetition, component, subcomponent. The occurrence of
/// a repeated segment stands behind its name: `OBX(2)-5`. An occurrence or repetition of 1 is not
/// written. A location that names only a field reads the first subcomponent of its first component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// Which segment.
    pub segment: SegmentName,
    /// Which of the segments of that name, from 1.
    pub occurrence: u32,
    /// Which field, from 1; without it the location is the whole segment.
    pub field: Option<u32>,
    /// Which repetition of the field, from 1.
    pub repetition: u32,
    /// Which component, from 1.
    pub component: Option<u32>,
    /// Which subcomponent, from 1; only with a component.
    pub subcomponent: Option<u32>,
}

/// Why a text is not a location; positions are characters counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LocationError {
    /// The text does not begin with a segment name.
    #[error("a location begins with a segment name of three capital letters or digits")]
    Name,
    /// A number was wanted.
    #[error("expected a number at character {at}")]
    Number {
        /// Where.
        at: usize,
    },
    /// A number is zero or more than [`Location::MAX`].
    #[error("the number at character {at} is not between 1 and {}", Location::MAX)]
    Range {
        /// Where.
        at: usize,
    },
    /// A bracket is not closed by its like.
    #[error("expected a closing bracket at character {at}")]
    Bracket {
        /// Where.
        at: usize,
    },
    /// Something follows that is no part of a location.
    #[error("unexpected character {at}, expected something like PID-3(2).4.1")]
    Trailing {
        /// Where.
        at: usize,
    },
}

impl SegmentName {
    /// Reads a name from its three bytes.
    pub fn new(name: &[u8]) -> Option<Self> {
        let &[first, second, third] = name else { return None };
        let rest = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        (first.is_ascii_uppercase() && rest(second) && rest(third))
            .then_some(Self([first, second, third]))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        // The constructor admits ASCII only.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name as bytes.
    pub fn as_bytes(&self) -> &[u8; 3] {
        &self.0
    }
}

impl FromStr for SegmentName {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        Self::new(text.as_bytes()).ok_or(LocationError::Name)
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for SegmentName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Location {
    /// The greatest number in a location; nothing real comes near it.
    pub const MAX: u32 = 65_535;

    /// The whole of the first segment of that name.
    pub fn segment(segment: SegmentName) -> Self {
        Self {
            segment,
            occurrence: 1,
            field: None,
            repetition: 1,
            component: None,
            subcomponent: None,
        }
    }

    /// Reads a location inside a known segment: `5.1`, `3(2).4`, or the full form with that name.
    pub fn relative(segment: SegmentName, text: &str) -> Result<Self, LocationError> {
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
            let mut location = Self::segment(segment);
            reader.field(&mut location)?;
            return reader.finish(location);
        }
        let location: Self = text.parse()?;
        if location.segment == segment { Ok(location) } else { Err(LocationError::Name) }
    }

    /// The same place in another occurrence of the segment.
    #[must_use]
    pub fn with_occurrence(self, occurrence: u32) -> Self {
        Self { occurrence, ..self }
    }
}

impl FromStr for Location {
    type Err = LocationError;

    /// Reads the canonical form and the common spellings `PID.3.1`, `PID-3-1`, `PID-3[2].1`.
    fn from_str(text: &str) -> Result<Self, LocationError> {
        let bytes = text.as_bytes();
        let name = bytes.get(..3).and_then(SegmentName::new).ok_or(LocationError::Name)?;
        let mut reader = Reader { bytes, at: 3 };
        let mut location = Self::segment(name);
        if let Some(occurrence) = reader.bracketed()? {
            location.occurrence = occurrence;
        }
        if reader.separator() {
            reader.field(&mut location)?;
        }
        reader.finish(location)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.segment)?;
        if self.occurrence != 1 {
            write!(out, "({})", self.occurrence)?;
        }
        let Some(field) = self.field else { return Ok(()) };
        write!(out, "-{field}")?;
        if self.repetition != 1 {
            write!(out, "({})", self.repetition)?;
        }
        let Some(component) = self.component else { return Ok(()) };
        write!(out, ".{component}")?;
        self.subcomponent.map_or(Ok(()), |subcomponent| write!(out, ".{subcomponent}"))
    }
}

struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn field(&mut self, location: &mut Location) -> Result<(), LocationError> {
        location.field = Some(self.number()?);
        if let Some(repetition) = self.bracketed()? {
            location.repetition = repetition;
        }
        if self.separator() {
            location.component = Some(self.number()?);
            if self.separator() {
                location.subcomponent = Some(self.number()?);
            }
        }
        Ok(())
    }

    fn separator(&mut self) -> bool {
        let found = matches!(self.bytes.get(self.at), Some(b'-' | b'.'));
        self.at += usize::from(found);
        found
    }

    fn bracketed(&mut self) -> Result<Option<u32>, LocationError> {
        let closing = match self.bytes.get(self.at) {
            Some(b'(') => b')',
            Some(b'[') => b']',
            _ => return Ok(None),
        };
        self.at += 1;
        let number = self.number()?;
        if self.bytes.get(self.at) != Some(&closing) {
            return Err(LocationError::Bracket { at: self.at + 1 });
        }
        self.at += 1;
        Ok(Some(number))
    }

    fn number(&mut self) -> Result<u32, LocationError> {
        let start = self.at;
        let mut number: u32 = 0;
        while let Some(digit) = self.bytes.get(self.at).filter(|byte| byte.is_ascii_digit()) {
            number = number.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            self.at += 1;
        }
        if self.at == start {
            return Err(LocationError::Number { at: start + 1 });
        }
        if (1..=Location::MAX).contains(&number) {
            Ok(number)
        } else {
            Err(LocationError::Range { at: start + 1 })
        }
    }

    fn finish(&self, location: Location) -> Result<Location, LocationError> {
        if self.at == self.bytes.len() {
            Ok(location)
        } else {
            Err(LocationError::Trailing { at: self.at + 1 })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::option;
    use proptest::prelude::*;

    use super::{Location, LocationError, SegmentName};

    #[test]
    fn common_spellings_read_as_the_canonical_one() {
        let cases = [
            ("PID", "PID"),
            ("PID-8", "PID-8"),
            ("PID-3(2).4.1", "PID-3(2).4.1"),
            ("PID.3.1", "PID-3.1"),
            ("PID-3-1", "PID-3.1"),
            ("PID-3[2].1", "PID-3(2).1"),
            ("PID.3[2].4.1", "PID-3(2).4.1"),
            ("OBX[2].5", "OBX(2)-5"),
            ("OBX(2)-5(1).1", "OBX(2)-5.1"),
            ("ZU1-4", "ZU1-4"),
        ];
        for (text, canonical) in cases {
            let location: Location = text.parse().expect(text);
            assert_eq!(location.to_string(), canonical);
        }
    }

    #[test]
    fn what_is_no_location_says_where() {
        let cases = [
            ("", LocationError::Name),
            ("pid-3", LocationError::Name),
            ("PI", LocationError::Name),
            ("PIÉ-3", LocationError::Name),
            ("PID-", LocationError::Number { at: 5 }),
            ("PID-x", LocationError::Number { at: 5 }),
            ("PID-0", LocationError::Range { at: 5 }),
            ("PID-99999999999999999999999", LocationError::Range { at: 5 }),
            ("PID-3(2", LocationError::Bracket { at: 8 }),
            ("PID-3(2]", LocationError::Bracket { at: 8 }),
            ("PID-5x", LocationError::Trailing { at: 6 }),
            ("PID-3.1.2.4", LocationError::Trailing { at: 10 }),
            ("PIDX", LocationError::Trailing { at: 4 }),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Location>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_relative_location_is_read_inside_its_segment() {
        let obx: SegmentName = "OBX".parse().expect("a name");
        let read = |text| Location::relative(obx, text).map(|location| location.to_string());
        assert_eq!(read("5.1"), Ok("OBX-5.1".to_owned()));
        assert_eq!(read("3(2).4"), Ok("OBX-3(2).4".to_owned()));
        assert_eq!(read("OBX-5"), Ok("OBX-5".to_owned()));
        assert_eq!(read("PID-5"), Err(LocationError::Name));
    }

    fn locations() -> impl Strategy<Value = Location> {
        let number = || 1..=Location::MAX;
        let parts = option::of((number(), option::of(number())));
        ("[A-Z][A-Z0-9]{2}", number(), option::of((number(), number(), parts))).prop_map(
            |(name, occurrence, field)| {
                let segment = name.parse().expect("the pattern makes names");
                let whole = Location::segment(segment).with_occurrence(occurrence);
                let Some((field, repetition, parts)) = field else { return whole };
                Location {
                    field: Some(field),
                    repetition,
                    component: parts.map(|part| part.0),
                    subcomponent: parts.and_then(|part| part.1),
                    ..whole
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_location_reads_back_from_its_text(location in locations()) {
            prop_assert_eq!(location.to_string().parse(), Ok(location));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}") {
            if let Ok(location) = text.parse::<Location>() {
                prop_assert_eq!(location.to_string().parse(), Ok(location));
            }
        }
    }
}
