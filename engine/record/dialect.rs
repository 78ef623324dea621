//! What a source writes its own way where HL7 UK has another, as plain data.
//!
//! [`crate::translation::translated`] applies it, once, before anything else reads a message, so
//! that identity, movements, resources and scripts know one way only.

use crate::text::trimmed;
use std::collections::BTreeMap;

use hl7::location::Location;

/// The ways of one source; without any, messages mean what HL7 UK says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dialect {
    /// Trigger events (MSH-9.2) that mean another one, by the trigger as it is sent.
    pub events: BTreeMap<String, Remap>,
    /// What MSH-4 and the site of a location call a site, and its ODS code. Compared without case.
    pub facilities: BTreeMap<String, String>,
    /// What the repetitions of PID-3 and MRG-1 are that say neither authority nor type, by position.
    pub identifiers: Vec<Position>,
    /// What the repetitions of PID-13 are that say neither use nor equipment, by position.
    pub telecom: Vec<Telecom>,
    /// What stands in the components of a location (PL); as in HL7 when empty.
    pub location: Vec<Part>,
    /// What stands where nothing was known.
    pub placeholders: Placeholders,
    /// Where the number of the visit stands, the best place first; PV1-19 when empty.
    pub visit: Vec<Location>,
    /// Where a merge names the visit that goes, the best place first; MRG-5 when empty.
    pub merged_visit: Vec<Location>,
    /// Whether the offset of a time means nothing: it is of the source's zone all the same.
    pub ignore_offset: bool,
}

/// Another meaning of a trigger event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remap {
    /// The patient classes (PV1-2) with which it applies, `""` for none; every class when empty.
    pub classes: Vec<String>,
    /// The trigger event that is meant.
    pub to: String,
}

/// What an identifier is by its position in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The source's default local identifier.
    Local,
    /// The NHS Number.
    NhsNumber,
    /// Whatever it says of itself.
    Other,
}

/// What a telecommunication address is by its position in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Telecom {
    /// A telephone at home.
    Home,
    /// A mobile telephone.
    Mobile,
    /// A telephone at work.
    Work,
    /// An electronic mail address.
    Email,
}

/// A part of a location, the narrowest last but one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The ward or clinic.
    Ward,
    /// The room or bay.
    Room,
    /// The bed.
    Bed,
    /// The site.
    Site,
    /// Something that no event carries.
    Other,
}

/// Texts that stand where nothing was known, without blanks round them; compared without case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placeholders {
    /// Family and given names.
    pub names: Vec<String>,
    /// Telephone numbers and mail addresses.
    pub telecom: Vec<String>,
    /// Codes and names of practices and clinicians, and local identifiers.
    pub codes: Vec<String>,
    /// Whether telephone numbers and local identifiers of one repeated digit are none.
    pub repeated_digits: bool,
}

impl Placeholders {
    /// Whether a list has the text.
    pub(crate) fn holds(list: &[String], text: &str) -> bool {
        let text = trimmed(text);
        list.iter().any(|entry| entry.eq_ignore_ascii_case(text))
    }

    /// Whether a number is one digit again and again, whatever stands between: `(000)000-0000`.
    pub(crate) fn is_repeated(&self, text: &str) -> bool {
        let mut digits = text.bytes().filter(u8::is_ascii_digit);
        let Some(first) = digits.next().filter(|_| self.repeated_digits) else { return false };
        let rest = digits.clone().count();
        let letters = text.chars().any(char::is_alphabetic);
        rest >= 3 && !letters && digits.all(|digit| digit == first)
    }
}
