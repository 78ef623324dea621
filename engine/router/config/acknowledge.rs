//! What a channel's senders are answered, and when.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hl7::ack_form::{Form, Template, TemplateError};
use hl7::acknowledgement::Outcome;
use hl7::due::AckMode;
use hl7::location::Location;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::measure::Period;
use crate::config::written::written;

/// What is answered, and when. A frame that belongs to no channel is answered as the first channel
/// of its listener says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Acknowledge {
    /// What AA waits for. CA says that a message is stored and never waits for more.
    pub when: When,
    /// How long AA waits for `published` at most; then it leaves because the message is stored. A
    /// parked or held message is answered at once.
    pub within: Period,
    /// Which codes are used.
    pub mode: Mode,
    /// Whether a sender that asks for an accept acknowledgement (MSH-15) and an application
    /// acknowledgement (MSH-16) gets both, one after the other on its connection. Most senders take
    /// the second for the answer to their next message.
    pub both: bool,
    /// What is answered to what is refused, by what is wrong with it.
    pub refusals: Refusals,
    /// Whether the sequence number protocol is kept: a message whose MSH-13 is not the next number of
    /// its sender is refused, and MSA-4 says which one is. A message without a number is taken.
    pub sequence_numbers: bool,
    /// Fields of the answer that its receiver wants otherwise: MSH-3 and later, MSA-3 and later.
    /// `{MSH-10}` stands for that field of the message.
    pub fields: BTreeMap<AckField, AckTemplate>,
    /// Whether a refusal says more in an ERR segment.
    pub err: bool,
}

/// What AA waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// The message is on disk.
    #[default]
    Stored,
    /// Its events have left, or it is known that none leave now.
    Published,
}

/// Which codes are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What the message asks for by MSH-15 and MSH-16; AA, AE or AR where it says nothing of it.
    #[default]
    Asked,
    /// AA, AE or AR, whatever the message asks for.
    Original,
    /// What the message asks for; CA, CE or CR where it says nothing of it.
    Enhanced,
}

/// What is answered to a refused frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Negative {
    /// AR or CR.
    #[default]
    Reject,
    /// AE or CE, for senders that stop at AR and go on after AE, or the other way round.
    Error,
    /// Nothing: the sender's own time limit tells it.
    None,
}

/// What is answered to what is refused. A stored message is never refused: whatever else is wrong
/// with it becomes a state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Refusals {
    /// MSH cannot be read.
    pub unreadable: Negative,
    /// The frame is larger than `max_frame`.
    pub oversize: Negative,
    /// The sender is not among `accept.senders`.
    pub sender: Negative,
    /// MSH-11 is not among `accept.processing`.
    pub processing_id: Negative,
    /// MSH-9 is not among `accept.types`, and `unknown_type` is `reject`.
    pub message_type: Negative,
    /// MSH-13 is not the next number.
    pub sequence_number: Negative,
}

impl Refusals {
    /// AR or CR for everything.
    pub const STANDARD: Self = Self {
        unreadable: Negative::Reject,
        oversize: Negative::Reject,
        sender: Negative::Reject,
        processing_id: Negative::Reject,
        message_type: Negative::Reject,
        sequence_number: Negative::Reject,
    };
}

impl Default for Acknowledge {
    fn default() -> Self {
        Self {
            when: When::default(),
            within: Period(Duration::from_secs(5)),
            mode: Mode::default(),
            both: false,
            refusals: Refusals::default(),
            sequence_numbers: false,
            fields: BTreeMap::new(),
            err: true,
        }
    }
}

impl Acknowledge {
    /// The form of the answers.
    pub fn form(&self) -> Form {
        let of = |segment: &str| {
            let fields = self.fields.iter().filter(|(place, _)| place.segment() == segment);
            fields.map(|(place, text)| (place.number(), text.0.clone())).collect()
        };
        Form { msh: of("MSH"), msa: of("MSA"), err: self.err }
    }
}

impl Mode {
    /// The same in the words of the standard.
    pub fn ack_mode(self) -> AckMode {
        match self {
            Mode::Asked => AckMode::Asked,
            Mode::Original => AckMode::Original,
            Mode::Enhanced => AckMode::Enhanced,
        }
    }
}

impl Negative {
    /// What the sender is to know; nothing is silence.
    pub fn outcome(self) -> Option<Outcome> {
        match self {
            Negative::Reject => Some(Outcome::Reject),
            Negative::Error => Some(Outcome::Error),
            Negative::None => None,
        }
    }
}

/// A field of an acknowledgement: `MSH-3`, `MSA-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AckField(Location);

/// The content of such a field: `TIE`, `ACK`, `{MSH-10}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckTemplate(pub Template);

/// Why a text is none of these. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AckFieldError {
    #[error(
        "`{0}` is no field of an acknowledgement that can be chosen\nwrite MSH-3 to MSH-25, or MSA-3 to MSA-8"
    )]
    Field(String),
    #[error("`{0}` cannot be written: {1}\nwrite text, and {{MSH-10}} for a field of the message")]
    Template(String, TemplateError),
}

impl AckField {
    fn segment(&self) -> &str {
        self.0.segment.as_str()
    }

    fn number(&self) -> usize {
        self.0.field.unwrap_or_default() as usize
    }
}

impl FromStr for AckField {
    type Err = AckFieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || AckFieldError::Field(text.to_owned());
        let place: Location = text.parse().map_err(|_| refused())?;
        // The whole field, of the only segment of its name.
        let whole = Location { field: place.field, ..Location::segment(place.segment) };
        match (place.segment.as_str(), place.field) {
            ("MSH", Some(3..=25)) | ("MSA", Some(3..=8)) if place == whole => Ok(AckField(place)),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for AckField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for AckTemplate {
    type Err = AckFieldError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let template = text.parse::<Template>();
        template.map(AckTemplate).map_err(|error| AckFieldError::Template(text.to_owned(), error))
    }
}

impl fmt::Display for AckTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written!(
    AckField,
    "A field of an acknowledgement: MSH-3 to MSH-25, MSA-3 to MSA-8.",
    "^(MSH|MSA)-[0-9]+$",
    ["MSH-3", "MSA-3"]
);
written!(
    AckTemplate,
    "Text in the delimiters ^~&, in which {MSH-10} stands for that field of the message.",
    "^([^{}]|\\{MSH-[0-9]+\\})*$",
    ["TIE", "{MSH-10}"]
);

#[cfg(test)]
mod tests {
    use crate::config::load::tests::{FEED, problems};

    fn with(acknowledge: &str) -> Vec<String> {
        let key = format!("acknowledge: {{ {acknowledge} }}, source:");
        problems(&FEED.replacen("source:", &key, 1))
    }

    #[test]
    fn what_cannot_be_said_of_an_answer_is_named() {
        assert_eq!(with("when: published, within: 2s, fields: { MSH-3: TIE, MSA-3: ok }"), [""; 0]);
        for (wrong, words) in [
            ("fields: { MSA-1: AA }", "no field of an acknowledgement"),
            ("fields: { MSA-2: x }", "no field of an acknowledgement"),
            ("fields: { MSH-2: x }", "no field of an acknowledgement"),
            ("fields: { MSH-3.1: x }", "no field of an acknowledgement"),
            ("fields: { PID-3: x }", "no field of an acknowledgement"),
            ("fields: { MSA-3: \"{PID-3}\" }", "cannot be written"),
            ("when: published, within: 0s", "`within` of nothing"),
            ("when: published, within: 31s", "most senders"),
            ("refusals: { sender: AA }", "AA"),
        ] {
            let found = with(wrong);
            assert!(found.iter().any(|found| found.contains(words)), "{wrong}: {found:?}");
        }
    }
}
