//! The character set of a message: table 0211, and the names real feeds write instead.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{
    EUC_KR, Encoding, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5, ISO_8859_6, ISO_8859_7,
    ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14, ISO_8859_15, ISO_8859_16, UTF_8,
    WINDOWS_874, WINDOWS_1250, WINDOWS_1252, WINDOWS_1254,
};
use thiserror::Error;

/// How the bytes of a message stand for characters.
///
/// Only sets are offered in which every ASCII byte means itself, because a message is split at its
/// ASCII delimiters before it is decoded. UTF-16, UTF-32, Big5, GB 18030 and the ISO 2022 family are
/// not among them (MLLP itself rules out the first two).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    name: &'static str,
    encoding: &'static Encoding,
}

/// Bytes as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Decoded<'b> {
    /// The text; what could not be decoded shows as U+FFFD or as a C1 control character.
    pub text: Cow<'b, str>,
    /// How many bytes (single-byte sets, UTF-8) or sequences (others) mean nothing in the set.
    pub undecodable: usize,
}

/// A text has a character that the character set has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("character {at} cannot be written in {charset}")]
pub struct EncodeError {
    /// The character set's name.
    pub charset: &'static str,
    /// Which character of the text, from 1.
    pub at: usize,
}

/// Table 0211, what is written instead of it, and what each name means.
///
/// ISO 8859-1 is read as Windows-1252, which adds to it the characters that such feeds do send.
static LABELS: [(&str, Charset); 42] = [
    ("ASCII", Charset::ASCII),
    ("US-ASCII", Charset::ASCII),
    ("ISO IR6", Charset::ASCII),
    ("8859/1", Charset::ISO_8859_1),
    ("8859/2", set("ISO-8859-2", ISO_8859_2)),
    ("8859/3", set("ISO-8859-3", ISO_8859_3)),
    ("8859/4", set("ISO-8859-4", ISO_8859_4)),
    ("8859/5", set("ISO-8859-5", ISO_8859_5)),
    ("8859/6", set("ISO-8859-6", ISO_8859_6)),
    ("8859/7", set("ISO-8859-7", ISO_8859_7)),
    ("8859/8", set("ISO-8859-8", ISO_8859_8)),
    ("8859/9", set("ISO-8859-9", WINDOWS_1254)),
    ("8859/10", set("ISO-8859-10", ISO_8859_10)),
    ("8859/11", set("ISO-8859-11", WINDOWS_874)),
    ("8859/13", set("ISO-8859-13", ISO_8859_13)),
    ("8859/14", set("ISO-8859-14", ISO_8859_14)),
    ("8859/15", set("ISO-8859-15", ISO_8859_15)),
    ("8859/16", set("ISO-8859-16", ISO_8859_16)),
    ("8859", Charset::ISO_8859_1),
    ("LATIN1", Charset::ISO_8859_1),
    ("LATIN-1", Charset::ISO_8859_1),
    ("ISO8859", Charset::ISO_8859_1),
    ("ANSI", Charset::WINDOWS_1252),
    ("WINDOWS-1252", Charset::WINDOWS_1252),
    ("WINDOWS1252", Charset::WINDOWS_1252),
    ("WINDOWS 1252", Charset::WINDOWS_1252),
    ("WIN-1252", Charset::WINDOWS_1252),
    ("CP1252", Charset::WINDOWS_1252),
    ("CP-1252", Charset::WINDOWS_1252),
    ("1252", Charset::WINDOWS_1252),
    ("WINDOWS-1250", set("windows-1250", WINDOWS_1250)),
    ("CP1250", set("windows-1250", WINDOWS_1250)),
    ("UNICODE UTF-8", Charset::UTF_8),
    ("UNICODE UTF8", Charset::UTF_8),
    ("UNICODE_UTF-8", Charset::UTF_8),
    ("UNICODE", Charset::UTF_8),
    ("UTF-8", Charset::UTF_8),
    ("UTF8", Charset::UTF_8),
    ("UTF 8", Charset::UTF_8),
    ("KS X 1001", set("EUC-KR", EUC_KR)),
    ("EUC-KR", set("EUC-KR", EUC_KR)),
    ("ISO IR100", Charset::ISO_8859_1),
];

const fn set(name: &'static str, encoding: &'static Encoding) -> Charset {
    Charset { name, encoding }
}

impl Charset {
    /// Seven-bit ASCII, table 0211's default; a byte above 127 is undecodable.
    pub const ASCII: Self = set("ASCII", UTF_8);
    /// UTF-8.
    pub const UTF_8: Self = set("UTF-8", UTF_8);
    /// Windows-1252, what undeclared feeds in these islands nearly always are.
    pub const WINDOWS_1252: Self = set("windows-1252", WINDOWS_1252);
    /// ISO 8859-1, read as the superset Windows-1252.
    pub const ISO_8859_1: Self = set("ISO-8859-1", WINDOWS_1252);

    /// The set that MSH-18 or a configuration means by this name; `None` if unknown or not offered.
    pub fn from_label(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_uppercase();
        let bare = ["ISO-8859-", "ISO8859-", "ISO 8859-", "ISO_8859-", "8859-", "ISO 8859/"]
            .iter()
            .find_map(|prefix| label.strip_prefix(prefix))
            .map(|part| format!("8859/{part}"));
        let label = bare.as_deref().unwrap_or(&label);
        LABELS.iter().find(|(name, _)| *name == label).map(|(_, charset)| *charset)
    }

    /// The set's usual name, as in `windows-1252`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The bytes as text, and how many of them mean nothing in this set.
    pub fn decode<'b>(&self, bytes: &'b [u8]) -> Decoded<'b> {
        if let Ok(text) = str::from_utf8(bytes)
            && (self.encoding == UTF_8 || bytes.is_ascii())
            && (*self != Self::ASCII || bytes.is_ascii())
        {
            return Decoded { text: Cow::Borrowed(text), undecodable: 0 };
        }
        if *self == Self::ASCII {
            return ascii(bytes);
        }
        let (text, _) = self.encoding.decode_without_bom_handling(bytes);
        let undecodable = if self.encoding == UTF_8 {
            bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum()
        } else {
            text.chars().filter(|&found| is_meaningless(found)).count()
        };
        Decoded { text, undecodable }
    }

    /// The text as bytes of this set.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, EncodeError> {
        if text.is_ascii() {
            return Ok(text.as_bytes().to_vec());
        }
        if *self != Self::ASCII {
            let (bytes, _, lost) = self.encoding.encode(text);
            if !lost {
                return Ok(bytes.into_owned());
            }
        }
        let at = text.chars().position(|found| !self.has(found)).map_or(0, |index| index + 1);
        Err(EncodeError { charset: self.name, at })
    }

    fn has(self, character: char) -> bool {
        let mut buffer = [0; 4];
        character.is_ascii()
            || (self != Self::ASCII && !self.encoding.encode(character.encode_utf8(&mut buffer)).2)
    }
}

impl fmt::Debug for Charset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Charset({})", self.name)
    }
}

impl fmt::Display for Charset {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

impl fmt::Debug for Decoded<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Decoded({} bytes, {} undecodable)", self.text.len(), self.undecodable)
    }
}

fn ascii(bytes: &[u8]) -> Decoded<'_> {
    let shown =
        |&byte: &u8| if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER };
    let undecodable = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    Decoded { text: Cow::Owned(bytes.iter().map(shown).collect()), undecodable }
}

/// The web's decoders give C1 controls for bytes that Windows-1252 and its kin leave unassigned; no
/// feed means them.
fn is_meaningless(character: char) -> bool {
    character == char::REPLACEMENT_CHARACTER || ('\u{80}'..='\u{9f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::Charset;

    #[test]
    fn labels_right_and_wrong_are_known() {
        let cases = [
            ("ASCII", "ASCII"),
            ("8859/1", "ISO-8859-1"),
            ("8859/15", "ISO-8859-15"),
            ("iso-8859-15", "ISO-8859-15"),
            ("8859-1", "ISO-8859-1"),
            ("UNICODE", "UTF-8"),
            ("UNICODE UTF-8", "UTF-8"),
            (" utf-8 ", "UTF-8"),
            ("WINDOWS-1252", "windows-1252"),
            ("windows-1252", "windows-1252"),
        ];
        for (label, name) in cases {
            assert_eq!(Charset::from_label(label).map(|found| found.name()), Some(name), "{label}");
        }
        for label in ["", "UTF-16", "BIG-5", "GB 18030-2000", "ISO IR87", "8859/12", "klingon"] {
            assert_eq!(Charset::from_label(label), None, "{label}");
        }
    }

    #[test]
    fn pound_and_quotes_decode_as_windows_1252() {
        let decoded = Charset::ISO_8859_1.decode(b"\xA35 \x93ZO\xCB\x94");
        assert_eq!((decoded.text.as_ref(), decoded.undecodable), ("£5 “ZOË”", 0));
        assert_eq!(Charset::WINDOWS_1252.decode(b"a\x81b\x9D").undecodable, 2);
    }

    #[test]
    fn what_cannot_be_decoded_is_counted_and_shown() {
        let decoded = Charset::UTF_8.decode(b"ZO\xCB \xE2\x82");
        assert_eq!((decoded.text.as_ref(), decoded.undecodable), ("ZO\u{FFFD} \u{FFFD}", 3));
        let decoded = Charset::ASCII.decode("é".as_bytes());
        assert_eq!((decoded.text.as_ref(), decoded.undecodable), ("\u{FFFD}\u{FFFD}", 2));
        let declared_wrongly = Charset::from_label("8859/15").expect("known").decode(b"\x93");
        assert_eq!(declared_wrongly.undecodable, 1);
    }

    #[test]
    fn plain_text_is_not_copied() {
        for charset in [Charset::ASCII, Charset::UTF_8, Charset::WINDOWS_1252] {
            assert!(matches!(charset.decode(b"EXAMPLE").text, Cow::Borrowed("EXAMPLE")));
        }
    }

    #[test]
    fn a_character_outside_the_set_is_refused_with_its_place() {
        let error = Charset::WINDOWS_1252.encode("Zoë Łukasz").expect_err("Ł is not in 1252");
        assert_eq!((error.charset, error.at), ("windows-1252", 5));
        assert_eq!(Charset::ASCII.encode("£").map_err(|error| error.at), Err(1));
    }

    proptest! {
        #[test]
        fn what_can_be_encoded_decodes_to_itself(text in "\\PC{0,40}", index in 0..super::LABELS.len()) {
            let charset = super::LABELS[index].1;
            if let Ok(bytes) = charset.encode(&text) {
                let decoded = charset.decode(&bytes);
                prop_assert_eq!(decoded.text.as_ref(), text.as_str());
            }
        }

        #[test]
        fn any_bytes_decode(bytes in prop::collection::vec(any::<u8>(), 0..64), index in 0..super::LABELS.len()) {
            let decoded = super::LABELS[index].1.decode(&bytes);
            prop_assert!(decoded.undecodable <= bytes.len());
        }
    }
}
