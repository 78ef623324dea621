//! The character set of a message: table 0211, and the names real feeds write instead.

use std::borrow::Cow;
use std::fmt;

use encoding_rs::{
    BIG5, CoderResult, EUC_KR, Encoding, GB18030, ISO_2022_JP, ISO_8859_2, ISO_8859_3, ISO_8859_4,
    ISO_8859_5, ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_10, ISO_8859_13, ISO_8859_14,
    ISO_8859_15, ISO_8859_16, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_874, WINDOWS_1250,
    WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254, WINDOWS_1255, WINDOWS_1256,
    WINDOWS_1257,
};
use thiserror::Error;

use crate::delimiters::Delimiters;
use crate::utf_32::Order;

/// How the bytes of a message stand for characters.
///
/// In most of them every ASCII byte means itself ([`Charset::is_bytewise`]), so that a message is
/// split at its delimiters before it is decoded. UTF-16, UTF-32, GB 18030, Big5 and the Japanese ones
/// are not like that: a message in one of those is read from its transcription into UTF-8. JIS X 0212
/// (`ISO IR159`) and CNS 11643 are not offered: table 0211 does not say in which of their encodings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    name: &'static str,
    coding: Coding,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Of(&'static Encoding),
    Utf32(Order),
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

/// Table 0211, what is written instead of it, and what each name means; in capitals, letters and
/// digits only, without a leading `ISO`.
///
/// ISO 8859-1 is read as Windows-1252, which adds to it the characters that such feeds do send.
static LABELS: [(&str, Charset); 80] = [
    ("ASCII", Charset::ASCII),
    ("USASCII", Charset::ASCII),
    ("ANSIX341968", Charset::ASCII),
    ("646US", Charset::ASCII),
    ("IR6", Charset::ASCII),
    ("88591", Charset::ISO_8859_1),
    ("88592", set("ISO-8859-2", ISO_8859_2)),
    ("88593", set("ISO-8859-3", ISO_8859_3)),
    ("88594", set("ISO-8859-4", ISO_8859_4)),
    ("88595", set("ISO-8859-5", ISO_8859_5)),
    ("88596", set("ISO-8859-6", ISO_8859_6)),
    ("88597", set("ISO-8859-7", ISO_8859_7)),
    ("88598", set("ISO-8859-8", ISO_8859_8)),
    ("88599", set("ISO-8859-9", WINDOWS_1254)),
    ("885910", set("ISO-8859-10", ISO_8859_10)),
    ("885911", set("ISO-8859-11", WINDOWS_874)),
    ("885913", set("ISO-8859-13", ISO_8859_13)),
    ("885914", set("ISO-8859-14", ISO_8859_14)),
    ("885915", set("ISO-8859-15", ISO_8859_15)),
    ("885916", set("ISO-8859-16", ISO_8859_16)),
    ("8859", Charset::ISO_8859_1),
    ("LATIN1", Charset::ISO_8859_1),
    ("LATIN2", set("ISO-8859-2", ISO_8859_2)),
    ("LATIN9", set("ISO-8859-15", ISO_8859_15)),
    ("L1", Charset::ISO_8859_1),
    ("IR100", Charset::ISO_8859_1),
    ("IR101", set("ISO-8859-2", ISO_8859_2)),
    ("ANSI", Charset::WINDOWS_1252),
    ("WINDOWS", Charset::WINDOWS_1252),
    ("WINDOWS1252", Charset::WINDOWS_1252),
    ("WIN1252", Charset::WINDOWS_1252),
    ("CP1252", Charset::WINDOWS_1252),
    ("MS1252", Charset::WINDOWS_1252),
    ("XCP1252", Charset::WINDOWS_1252),
    ("1252", Charset::WINDOWS_1252),
    ("WINDOWS1250", set("windows-1250", WINDOWS_1250)),
    ("CP1250", set("windows-1250", WINDOWS_1250)),
    ("WINDOWS1251", set("windows-1251", WINDOWS_1251)),
    ("CP1251", set("windows-1251", WINDOWS_1251)),
    ("WINDOWS1253", set("windows-1253", WINDOWS_1253)),
    ("CP1253", set("windows-1253", WINDOWS_1253)),
    ("WINDOWS1254", set("windows-1254", WINDOWS_1254)),
    ("CP1254", set("windows-1254", WINDOWS_1254)),
    ("WINDOWS1255", set("windows-1255", WINDOWS_1255)),
    ("WINDOWS1256", set("windows-1256", WINDOWS_1256)),
    ("WINDOWS1257", set("windows-1257", WINDOWS_1257)),
    ("UNICODE", Charset::UTF_8),
    ("UNICODEUTF8", Charset::UTF_8),
    ("UTF8UNICODE", Charset::UTF_8),
    ("UTF8", Charset::UTF_8),
    ("UTF8BOM", Charset::UTF_8),
    ("10646UTF8", Charset::UTF_8),
    ("IR192", Charset::UTF_8),
    ("UNICODEUTF16", Charset::UTF_16LE),
    ("UTF16", Charset::UTF_16LE),
    ("UTF16LE", Charset::UTF_16LE),
    ("UTF16BE", Charset::UTF_16BE),
    ("UCS2", Charset::UTF_16LE),
    ("UNICODEUTF32", Charset::UTF_32LE),
    ("UTF32", Charset::UTF_32LE),
    ("UTF32LE", Charset::UTF_32LE),
    ("UTF32BE", Charset::UTF_32BE),
    ("KSX1001", set("EUC-KR", EUC_KR)),
    ("EUCKR", set("EUC-KR", EUC_KR)),
    ("KSC56011987", set("EUC-KR", EUC_KR)),
    ("IR149", set("EUC-KR", EUC_KR)),
    ("GB180302000", set("GB18030", GB18030)),
    ("GB18030", set("GB18030", GB18030)),
    ("GB2312", set("GB18030", GB18030)),
    ("GBK", set("GB18030", GB18030)),
    ("BIG5", set("Big5", BIG5)),
    ("IR14", set("Shift_JIS", SHIFT_JIS)),
    ("SHIFTJIS", set("Shift_JIS", SHIFT_JIS)),
    ("SJIS", set("Shift_JIS", SHIFT_JIS)),
    ("IR87", set("ISO-2022-JP", ISO_2022_JP)),
    ("2022JP", set("ISO-2022-JP", ISO_2022_JP)),
    ("JISX0208", set("ISO-2022-JP", ISO_2022_JP)),
    ("JISX0202", set("ISO-2022-JP", ISO_2022_JP)),
    ("JAS2020", set("ISO-2022-JP", ISO_2022_JP)),
    ("IR13", set("Shift_JIS", SHIFT_JIS)),
];

const fn set(name: &'static str, encoding: &'static Encoding) -> Charset {
    Charset { name, coding: Coding::Of(encoding) }
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

    /// UTF-16, the byte of lower value first.
    pub const UTF_16LE: Self = set("UTF-16LE", UTF_16LE);
    /// UTF-16, the byte of higher value first.
    pub const UTF_16BE: Self = set("UTF-16BE", UTF_16BE);
    /// UTF-32, the byte of lowest value first.
    pub const UTF_32LE: Self = Self { name: "UTF-32LE", coding: Coding::Utf32(Order::Little) };
    /// UTF-32, the byte of highest value first.
    pub const UTF_32BE: Self = Self { name: "UTF-32BE", coding: Coding::Utf32(Order::Big) };

    /// The set that MSH-18 or a configuration means by this name, however it is spelt: capitals,
    /// blanks and punctuation count for nothing. `None` if unknown or not offered.
    pub fn from_label(label: &str) -> Option<Self> {
        let mut spelt = [0; 24];
        let mut length = 0;
        for byte in label.bytes().filter(u8::is_ascii_alphanumeric) {
            *spelt.get_mut(length)? = byte.to_ascii_uppercase();
            length += 1;
        }
        let spelt = &spelt[..length];
        let spelt = spelt.strip_prefix(b"ISO").filter(|rest| !rest.is_empty()).unwrap_or(spelt);
        LABELS.iter().find(|(name, _)| name.as_bytes() == spelt).map(|(_, charset)| *charset)
    }

    /// The set's usual name, as in `windows-1252`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether every ASCII byte means itself wherever it stands, so that delimiters can be found
    /// before anything is decoded.
    pub fn is_bytewise(&self) -> bool {
        let others = [UTF_16LE, UTF_16BE, GB18030, BIG5, SHIFT_JIS, ISO_2022_JP];
        matches!(self.coding, Coding::Of(encoding) if !others.contains(&encoding))
    }

    /// Of how many bytes at least a character is: more than one in UTF-16 and UTF-32, where no ASCII
    /// character is a single byte.
    pub(crate) fn unit(&self) -> usize {
        match self.coding {
            Coding::Utf32(_) => 4,
            Coding::Of(encoding) if [UTF_16LE, UTF_16BE].contains(&encoding) => 2,
            Coding::Of(_) => 1,
        }
    }

    pub(crate) fn is_wide(&self) -> bool {
        self.unit() > 1
    }

    fn is(&self, encoding: &'static Encoding) -> bool {
        self.coding == Coding::Of(encoding)
    }

    /// The bytes as text, and how many of them mean nothing in this set.
    pub fn decode<'b>(&self, bytes: &'b [u8]) -> Decoded<'b> {
        if self.is_bytewise()
            && let Ok(text) = str::from_utf8(bytes)
            && (self.is(UTF_8) || bytes.is_ascii())
            && (*self != Self::ASCII || bytes.is_ascii())
        {
            return Decoded { text: Cow::Borrowed(text), undecodable: 0 };
        }
        if *self == Self::ASCII {
            return ascii(bytes);
        }
        let text = match self.coding {
            Coding::Of(encoding) => encoding.decode_without_bom_handling(bytes).0,
            Coding::Utf32(order) => order.decode(bytes).collect(),
        };
        let undecodable =
            if self.is(UTF_8) { self.undecodable(bytes) } else { meaningless(text.chars()) };
        Decoded { text, undecodable }
    }

    /// How many of the bytes mean nothing in this set, as [`Decoded::undecodable`], without making
    /// a text of them.
    pub fn undecodable(&self, bytes: &[u8]) -> usize {
        if *self == Self::ASCII {
            return bytes.iter().filter(|byte| !byte.is_ascii()).count();
        }
        if self.is_bytewise() && bytes.is_ascii() {
            return 0;
        }
        if self.is(UTF_8) {
            return bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
        }
        let encoding = match self.coding {
            Coding::Of(encoding) => encoding,
            Coding::Utf32(order) => return meaningless(order.decode(bytes)),
        };
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let (mut rest, mut count, mut buffer) = (bytes, 0, [0; 1024]);
        loop {
            let (state, read, written, _) = decoder.decode_to_utf8(rest, &mut buffer, true);
            count += str::from_utf8(&buffer[..written]).map_or(0, |text| meaningless(text.chars()));
            rest = &rest[read..];
            if state == CoderResult::InputEmpty {
                return count;
            }
        }
    }

    /// Whether the bytes cannot or hardly can be of this set: some of them mean nothing in it, or they
    /// are UTF-8 beyond ASCII, which the letters of no other set are by chance, or they switch to a set
    /// of two bytes a character, whose halves look like ASCII.
    pub fn is_contradicted_by(&self, bytes: &[u8]) -> bool {
        if self.is_bytewise() && switches(bytes) {
            return true;
        }
        if self.is_bytewise() && bytes.is_ascii() {
            return false;
        }
        let is_utf_8 = str::from_utf8(bytes).is_ok();
        if *self == Self::ASCII {
            true
        } else if self.is(UTF_8) {
            !is_utf_8
        } else {
            (is_utf_8 && !bytes.is_ascii()) || self.undecodable(bytes) > 0
        }
    }

    /// What bytes that contradict this set are read as: UTF-8 where they are that, else the first of
    /// `usual` and Windows-1252 in which all of them mean something.
    pub(crate) fn instead(self, bytes: &[u8], usual: Self) -> Self {
        if str::from_utf8(bytes).is_ok() {
            return Self::UTF_8;
        }
        let others = [usual, Self::WINDOWS_1252].into_iter().filter(Self::is_bytewise);
        let mut others = others.filter(|other| !other.is(UTF_8));
        let whole = others.find(|other| other.undecodable(bytes) == 0);
        let last = if self.is_bytewise() && !self.is(UTF_8) { self } else { Self::WINDOWS_1252 };
        whole.unwrap_or(last)
    }

    /// The text as bytes of this set.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, EncodeError> {
        let encoding = match self.coding {
            Coding::Utf32(order) => return Ok(order.encode(text)),
            Coding::Of(encoding) => encoding,
        };
        if self.is_wide() {
            let bytes = if encoding == UTF_16LE { u16::to_le_bytes } else { u16::to_be_bytes };
            return Ok(text.encode_utf16().flat_map(bytes).collect());
        }
        if text.is_ascii() {
            return Ok(text.as_bytes().to_vec());
        }
        if *self != Self::ASCII {
            let (bytes, _, lost) = encoding.encode(text);
            if !lost {
                return Ok(bytes.into_owned());
            }
        }
        let has = |character: char| {
            let mut buffer = [0; 4];
            character.is_ascii()
                || (*self != Self::ASCII && !encoding.encode(character.encode_utf8(&mut buffer)).2)
        };
        let at = text.chars().position(|found| !has(found)).map_or(0, |index| index + 1);
        Err(EncodeError { charset: self.name, at })
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

/// The name in MSH-18 that says how to read the message, empty if there is none: the first, or, behind
/// ASCII, the second. Japanese senders write `ASCII~ISO IR87`, and switch from one to the other.
pub(crate) fn label(msh_18: &[u8], delimiters: Delimiters) -> &[u8] {
    let separates = |byte: &u8| *byte == delimiters.repetition && *byte != Delimiters::NONE;
    let mut names = msh_18.split(separates).map(|name| {
        let name = name.split(|byte| *byte == delimiters.component).next().unwrap_or_default();
        let name = name.trim_ascii();
        if name == b"\"\"" { &[] } else { name }
    });
    let first = names.next().unwrap_or_default();
    let named = |name| str::from_utf8(name).ok().and_then(Charset::from_label);
    match names.find(|name| !name.is_empty()) {
        Some(second) if first.is_empty() || named(first) == Some(Charset::ASCII) => second,
        _ => first,
    }
}

fn ascii(bytes: &[u8]) -> Decoded<'_> {
    let shown =
        |&byte: &u8| if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER };
    let undecodable = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    Decoded { text: Cow::Owned(bytes.iter().map(shown).collect()), undecodable }
}

fn meaningless(text: impl Iterator<Item = char>) -> usize {
    text.filter(|&found| is_meaningless(found)).count()
}

/// Whether an escape sequence of ISO 2022 begins a set of several bytes a character, as in Japanese
/// messages whose MSH-18 has the set only behind ASCII: `ESC $`.
fn switches(bytes: &[u8]) -> bool {
    memchr::memchr_iter(0x1B, bytes).any(|at| bytes.get(at + 1) == Some(&b'$'))
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
    fn labels_that_are_written_otherwise_are_known() {
        let cases = [
            ("iso-8859-15", "ISO-8859-15"),
            ("8859-1", "ISO-8859-1"),
            (" utf-8 ", "UTF-8"),
            ("WINDOWS-1252", "windows-1252"),
            ("windows-1252", "windows-1252"),
            ("ISO8859/1", "ISO-8859-1"),
            ("ISO_8859_15", "ISO-8859-15"),
            ("ISO IR100", "ISO-8859-1"),
            ("UNICODE_UTF8", "UTF-8"),
            ("utf-32be", "UTF-32BE"),
        ];
        for (label, name) in cases {
            assert_eq!(Charset::from_label(label).map(|found| found.name()), Some(name), "{label}");
        }
        for label in ["", "ISO", "8859/12", "klingon"] {
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
    fn bytes_that_are_utf_8_contradict_every_other_set() {
        let utf_8 = "Zoë costs £5".as_bytes();
        let old = b"Zo\xEB costs \xA35";
        for (charset, contradicts) in [
            (Charset::UTF_8, old.as_slice()),
            (Charset::ASCII, old),
            (Charset::WINDOWS_1252, utf_8),
        ] {
            assert!(charset.is_contradicted_by(contradicts), "{charset}");
        }
        for (charset, agrees) in [(Charset::UTF_8, utf_8), (Charset::ISO_8859_1, old)] {
            assert!(!charset.is_contradicted_by(agrees), "{charset}");
        }
        let printed = b"\x1B(s3BBold\x1B(s0B";
        for charset in [Charset::ASCII, Charset::UTF_8, Charset::WINDOWS_1252] {
            assert!(charset.is_contradicted_by(b"\x1B$B;3|1(J\x1B(B"), "{charset}");
            assert!(!charset.is_contradicted_by(printed), "{charset}: a printer's");
        }
        assert_eq!(Charset::ISO_8859_1.instead(utf_8, Charset::ASCII), Charset::UTF_8);
        assert_eq!(Charset::UTF_8.instead(old, Charset::ISO_8859_1), Charset::ISO_8859_1);
        assert_eq!(Charset::ASCII.instead(b"\x81", Charset::UTF_8), Charset::WINDOWS_1252);
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
            // The Japanese sets write some characters as others.
            if let Ok(bytes) = charset.encode(&text) && (charset.is_bytewise() || charset.is_wide()) {
                let decoded = charset.decode(&bytes);
                prop_assert_eq!(decoded.text.as_ref(), text.as_str());
            }
        }

        #[test]
        fn any_bytes_decode(bytes in prop::collection::vec(any::<u8>(), 0..64), index in 0..super::LABELS.len()) {
            let charset = super::LABELS[index].1;
            let decoded = charset.decode(&bytes);
            prop_assert!(decoded.undecodable <= bytes.len());
            prop_assert_eq!(charset.undecodable(&bytes), decoded.undecodable);
        }
    }
}
