//! How an acknowledgement is written where its receiver is particular about it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a receiver wants otherwise than the standard has it.
///
/// MSA-1 and MSA-2 are never its to say: they are the truth about the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// Fields of MSH by their number, from 3 on.
    pub msh: BTreeMap<usize, Template>,
    /// Fields of MSA by their number, from 3 on. MSA-3 is that of positive answers; a refusal has
    /// words of its own.
    pub msa: BTreeMap<usize, Template>,
    /// Whether a refusal has an ERR segment.
    pub err: bool,
}

impl Form {
    /// The standard's own.
    pub const STANDARD: Self = Self { msh: BTreeMap::new(), msa: BTreeMap::new(), err: true };
}

impl Default for Form {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// The content of a field: text in the usual delimiters (`^`, `~`, `&`), which become those of the
/// message, and `{MSH-10}` for a field of the message's own MSH as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    /// A field of the message's MSH.
    Field(usize),
}

/// Why a text is no template; positions are characters counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A bracket that is not round the name of a field.
    #[error("the bracket at character {at} is not of a field of MSH from 3 on, as in {{MSH-10}}")]
    Bracket {
        /// Where.
        at: usize,
    },
    /// A character that ends segments or frames, or is otherwise not to be seen.
    #[error("character {at} is a control character")]
    Control {
        /// Where.
        at: usize,
    },
}

impl Template {
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if let Some(control) = text.chars().position(char::is_control) {
            return Err(TemplateError::Control { at: control + 1 });
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(found) = rest.find(['{', '}']) {
            let (before, bracket) = rest.split_at(found);
            let at = text.len() - bracket.len();
            let at = text[..at].chars().count() + 1;
            let named = bracket.strip_prefix("{MSH-").and_then(|behind| behind.split_once('}'));
            let field = named.and_then(|(number, rest)| Some((number.parse().ok()?, rest)));
            let Some((field @ 3..=99, behind)) = field else {
                return Err(TemplateError::Bracket { at });
            };
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Field(field));
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Part, Template, TemplateError};

    #[test]
    fn a_template_is_text_and_fields_of_the_message() {
        let read = |text: &str| text.parse::<Template>().map(|template| template.parts);
        let (text, field) = (|text: &str| Part::Text(text.to_owned()), Part::Field);
        assert_eq!(read("TIE"), Ok(vec![text("TIE")]));
        assert_eq!(
            read("ACK-{MSH-10}/{MSH-4}."),
            Ok(vec![text("ACK-"), field(10), text("/"), field(4), text("."),])
        );
        assert_eq!(read(""), Ok(Vec::new()));
        for (wrong, at) in
            [("{PID-3}", 1), ("£{MSH-2}", 2), ("a}", 2), ("{MSH-10", 1), ("{MSH-x}", 1)]
        {
            assert_eq!(read(wrong), Err(TemplateError::Bracket { at }), "{wrong}");
        }
        assert_eq!(read("a\rb"), Err(TemplateError::Control { at: 2 }));
    }
}
