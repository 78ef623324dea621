//! What real systems send although the standard does not allow it, each by a name that a
//! configuration can use: whoever runs the engine says for each source what is expected of it.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::index::{LineEnd, Tolerated};

/// One way in which messages depart from the standard (HL7 v2 chapter 2, "message construction
/// rules"; section 2.10 for batches and continuation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deviation {
    /// A line feed, or a carriage return with a line feed, ends segments.
    LineFeed,
    /// Nothing ends the last segment.
    NoFinalReturn,
    /// White space, NUL or a byte order mark before MSH.
    Mark,
    /// Other bytes before MSH.
    Junk,
    /// NUL inside a segment; texts are read without it.
    Nul,
    /// MSH-2 has fewer than three characters. What is missing separates nothing.
    ShortDelimiters,
    /// A line that does not begin with a segment name; nothing is read from it.
    OddLine,
    /// MSH-14 has a value although no message is being continued.
    Continuation,
    /// Several messages in one frame. Each becomes a message of its own.
    SeveralMessages,
    /// A batch in one frame: messages between FHS or BHS and their trailers.
    Batch,
}

/// A text names no deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no such deviation from the standard")]
pub struct UnknownDeviation;

impl Deviation {
    /// Every one of them.
    pub const ALL: [Self; 10] = [
        Self::LineFeed,
        Self::NoFinalReturn,
        Self::Mark,
        Self::Junk,
        Self::Nul,
        Self::ShortDelimiters,
        Self::OddLine,
        Self::Continuation,
        Self::SeveralMessages,
        Self::Batch,
    ];

    /// Those that change nothing of what a message says; any source may send them unless told
    /// otherwise.
    pub const HARMLESS: [Self; 6] = [
        Self::LineFeed,
        Self::NoFinalReturn,
        Self::Mark,
        Self::OddLine,
        Self::SeveralMessages,
        Self::Batch,
    ];

    /// Its name, as in `odd-line`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LineFeed => "line-feed",
            Self::NoFinalReturn => "no-final-return",
            Self::Mark => "mark",
            Self::Junk => "junk",
            Self::Nul => "nul",
            Self::ShortDelimiters => "short-delimiters",
            Self::OddLine => "odd-line",
            Self::Continuation => "continuation",
            Self::SeveralMessages => "several-messages",
            Self::Batch => "batch",
        }
    }

    /// The reason code of a message that is not taken because of it, as in `structure.odd-line`;
    /// also the name under which it is counted where it is tolerated.
    pub fn code(self) -> &'static str {
        match self {
            Self::LineFeed => "structure.line-feed",
            Self::NoFinalReturn => "structure.no-final-return",
            Self::Mark => "structure.mark",
            Self::Junk => "structure.junk",
            Self::Nul => "structure.nul",
            Self::ShortDelimiters => "structure.short-delimiters",
            Self::OddLine => "structure.odd-line",
            Self::Continuation => "structure.continuation",
            Self::SeveralMessages => "structure.several-messages",
            Self::Batch => "structure.batch",
        }
    }
}

impl Tolerated {
    /// What of it departs from the standard.
    pub fn deviations(&self) -> impl Iterator<Item = Deviation> + use<> {
        let line_feed = self.line_end != LineEnd::CarriageReturn || self.mixed_line_ends;
        let found = [
            (line_feed, Deviation::LineFeed),
            (self.last_end_missing, Deviation::NoFinalReturn),
            (self.leading > self.junk, Deviation::Mark),
            (self.junk > 0, Deviation::Junk),
            (self.nul_bytes > 0, Deviation::Nul),
            (self.short_delimiters, Deviation::ShortDelimiters),
            (self.odd_lines > 0, Deviation::OddLine),
            (self.continues, Deviation::Continuation),
            (self.further_headers > 0, Deviation::SeveralMessages),
        ];
        found.into_iter().filter_map(|(there, deviation)| there.then_some(deviation))
    }

    /// Why a message may not be read as one whole, whatever its source is known for: it holds
    /// another message, is a part of one that continues in another frame (DSC), has a segment that
    /// continues the one before it (ADD), or was cut off by the beginning of another frame.
    pub fn fragment(&self) -> Option<Deviation> {
        if self.further_headers > 0 {
            Some(Deviation::SeveralMessages)
        } else {
            self.continued.then_some(Deviation::Continuation)
        }
    }
}

impl FromStr for Deviation {
    type Err = UnknownDeviation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(UnknownDeviation)
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Deviation;
    use crate::message::{Message, Reading};

    fn deviations(text: &str) -> Vec<&'static str> {
        let message = Message::parse(text.as_bytes().to_vec(), &Reading::default());
        let tolerated = message.expect("readable").tolerated();
        tolerated.deviations().map(Deviation::as_str).collect()
    }

    #[test]
    fn each_departure_is_named() {
        let cases: [(&str, &[&str]); 14] = [
            ("MSH|^~\\&|A\rPID|1\r", &[]),
            ("MSH|^~\\|A\rPID|1\r", &[]),
            ("MSH|^~\\&|A\rNTE|1||one\ntwo\r", &[]),
            ("MSH|^~\\&|A\nPID|1\n", &["line-feed"]),
            ("MSH|^~\\&|A\r\nPID|1\r", &["line-feed"]),
            ("MSH|^~\\&|A\rPID|1", &["no-final-return"]),
            ("\u{FEFF}\nMSH|^~\\&|A\r", &["mark"]),
            ("0042 MSH|^~\\&|A\r", &["junk"]),
            ("MSH|^~\\&|A\rPID|1\0\r", &["nul"]),
            ("MSH|^~|A\r", &["short-delimiters"]),
            ("MSH|^~\\&|A\rpid|1\r", &["odd-line"]),
            ("MSH|^~\\&|A|||||||||||77\rPID|1\r", &["continuation"]),
            ("MSH|^~\\&|A|||||||||||\"\"\rPID|1\r", &[]),
            ("MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\r", &["several-messages"]),
        ];
        for (text, expected) in cases {
            assert_eq!(deviations(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_part_of_a_message_is_a_fragment_whatever_is_tolerated() {
        let fragment = |text: &str| {
            let message = Message::parse(text.as_bytes().to_vec(), &Reading::default());
            message.expect("readable").tolerated().fragment()
        };
        let continued = fragment("MSH|^~\\&|A\rPID|1\rDSC|77\r");
        assert_eq!(continued, Some(Deviation::Continuation));
        assert_eq!(fragment("MSH|^~\\&|A\rPID|1\rDSC|\r"), None);
        let added = fragment("MSH|^~\\&|A\rOBX|1|TX|C||Part one\rADD| and two\r");
        assert_eq!(added, Some(Deviation::Continuation));
        assert_eq!(fragment("MSH|^~\\&|A\rOBX|1|NM|K||1\x0B"), Some(Deviation::Continuation));
        assert_eq!(fragment("MSH|^~\\&|A\rOBX|1|NM|K||1\r\x0B"), None);
        for head in ["F\x0BMSH|", "F\r\x0BMSH|"] {
            let both = fragment(&format!("MSH|^~\\&|A\rOBX|1|{head}^~\\&|B\r"));
            assert_eq!(both, Some(Deviation::SeveralMessages), "{head:?}");
        }
        assert_eq!(fragment("MSH|^~\\&|A\rMSH|^~\\&|B\r"), Some(Deviation::SeveralMessages));
    }

    #[test]
    fn names_read_back() {
        for deviation in Deviation::ALL {
            assert_eq!(deviation.as_str().parse(), Ok(deviation));
            assert_eq!(deviation.code(), format!("structure.{deviation}"));
        }
        assert!("anything".parse::<Deviation>().is_err());
    }
}
