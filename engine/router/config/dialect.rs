//! What a system writes its own way where HL7 UK has another, as it stands in channels.yaml.

use std::fmt;
use std::str::FromStr;

use record::dialect;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::listed::MessageLocation;
use crate::config::written::written;

/// A trigger event, MSH-9.2: `A04`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trigger(String);

/// Why a text is no trigger event. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a trigger event\nwrite a capital letter and two capital letters or digits, such as A04"
)]
pub struct TriggerError(String);

/// What a trigger event means instead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRemap {
    /// The patient classes (PV1-2) with which it means something else, `""` for no class; every
    /// class unless given.
    #[serde(default)]
    pub class: Vec<String>,
    /// The trigger event that is meant.
    pub r#as: Trigger,
}

/// What stands where nothing was known. It is as if it had not been sent, and is counted as
/// `placeholder.` and its kind. Case and surrounding blanks do not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Placeholders {
    /// Family and given names (PID-5, NK1-2), such as `Unknown`.
    pub names: Vec<String>,
    /// Telephone numbers and mail addresses (PID-13, PID-14, NK1-5), such as `(000)000-0000`.
    pub telecom: Vec<String>,
    /// Codes and names of practices and clinicians (PD1-3, PD1-4, PV1-7 to 9, PV1-17) and local
    /// identifiers (PID-3, MRG-1), such as `UNK`.
    pub codes: Vec<String>,
    /// Whether telephone numbers and local identifiers of one repeated digit are none.
    pub repeated_digits: bool,
}

/// Where a visit is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Visit {
    /// Where its number stands: the first of these that is sent. PV1-19 unless given.
    pub number: Vec<MessageLocation>,
    /// Where a merge names the visit that goes: the first of these that is sent. MRG-5 unless given.
    pub merged: Vec<MessageLocation>,
}

/// What a code of sex means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sex {
    /// Code 1 of the NHS Data Dictionary.
    Male,
    /// Code 2.
    Female,
    /// Code 9: indeterminate.
    NotSpecified,
    /// Code 0.
    NotKnown,
}

/// What an identifier is by its position in PID-3 and MRG-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Position {
    /// The default of `local`.
    Local,
    /// The NHS Number.
    NhsNumber,
    /// Whatever it says of itself.
    Other,
}

/// What a telecommunication address is by its position in PID-13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
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

/// What a component of a person location (PL) holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
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

impl FromStr for Trigger {
    type Err = TriggerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let first = text.starts_with(|first: char| first.is_ascii_uppercase());
        if plain && first && text.len() == 3 {
            Ok(Trigger(text.to_owned()))
        } else {
            Err(TriggerError(text.to_owned()))
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

written!(Trigger, "A trigger event, MSH-9.2.", "^[A-Z][A-Z0-9]{2}$", ["A04", "A28"]);

impl Default for Placeholders {
    fn default() -> Self {
        let usual = record::source::Source::new("", "").dialect.placeholders;
        Placeholders {
            names: usual.names,
            telecom: usual.telecom,
            codes: usual.codes,
            repeated_digits: usual.repeated_digits,
        }
    }
}

impl EventRemap {
    /// The same in the words of the record.
    pub(super) fn known(&self) -> dialect::Remap {
        dialect::Remap { classes: trimmed(&self.class), to: self.r#as.0.clone() }
    }
}

/// The same without blanks round them, which nobody means.
fn trimmed(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| text.trim().to_owned()).collect()
}

impl Placeholders {
    /// The same in the words of the record.
    pub(super) fn known(&self) -> dialect::Placeholders {
        dialect::Placeholders {
            names: trimmed(&self.names),
            telecom: trimmed(&self.telecom),
            codes: trimmed(&self.codes),
            repeated_digits: self.repeated_digits,
        }
    }
}

impl Sex {
    /// As the NHS Data Dictionary has it.
    pub(super) fn code(self) -> &'static str {
        match self {
            Sex::Male => "1",
            Sex::Female => "2",
            Sex::NotSpecified => "9",
            Sex::NotKnown => "0",
        }
    }
}

impl Position {
    /// The same in the words of the record.
    pub(super) fn known(self) -> dialect::Position {
        match self {
            Position::Local => dialect::Position::Local,
            Position::NhsNumber => dialect::Position::NhsNumber,
            Position::Other => dialect::Position::Other,
        }
    }
}

impl Telecom {
    /// The same in the words of the record.
    pub(super) fn known(self) -> dialect::Telecom {
        match self {
            Telecom::Home => dialect::Telecom::Home,
            Telecom::Mobile => dialect::Telecom::Mobile,
            Telecom::Work => dialect::Telecom::Work,
            Telecom::Email => dialect::Telecom::Email,
        }
    }
}

impl Part {
    /// The same in the words of the record.
    pub(super) fn known(self) -> dialect::Part {
        match self {
            Part::Ward => dialect::Part::Ward,
            Part::Room => dialect::Part::Room,
            Part::Bed => dialect::Part::Bed,
            Part::Site => dialect::Part::Site,
            Part::Other => dialect::Part::Other,
        }
    }
}
