//! Messages in a character set that cannot be split before it is decoded, turned into UTF-8 to be read.
//!
//! MLLP rules out UTF-16 and UTF-32, and table 0211 has sets whose characters may hold the byte of a
//! delimiter. Some feeds send them all the same. What is stored and sent on stays as it was received;
//! only reading goes through UTF-8.

use crate::charset::Charset;

const MARK: char = '\u{FEFF}';

/// How received bytes were turned into UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transcription {
    pub(crate) charset: Charset,
    /// Whether a byte order mark stood first.
    mark: bool,
}

impl Transcription {
    /// The one that the bytes ask for by themselves: they begin with a byte order mark of UTF-16 or
    /// UTF-32, or with the first two characters of a segment name in it.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (charset, mark) = match *bytes {
            // The mark of UTF-16, and a NUL that nobody sends.
            [0xFF, 0xFE, 0, 0, ..] => (Charset::UTF_32LE, true),
            [0, 0, 0xFE, 0xFF, ..] => (Charset::UTF_32BE, true),
            [0xFF, 0xFE, _, _, ..] => (Charset::UTF_16LE, true),
            [0xFE, 0xFF, _, _, ..] => (Charset::UTF_16BE, true),
            [one, 0, 0, 0, two, 0, 0, 0, ..] if letters(one, two) => (Charset::UTF_32LE, false),
            [0, 0, 0, one, 0, 0, 0, two, ..] if letters(one, two) => (Charset::UTF_32BE, false),
            [one, 0, two, 0, ..] if letters(one, two) => (Charset::UTF_16LE, false),
            [0, one, 0, two, ..] if letters(one, two) => (Charset::UTF_16BE, false),
            _ => return None,
        };
        Some(Self { charset, mark })
    }

    /// The one for a set that MSH-18 names, which is not UTF-16 or UTF-32: those are seen in the bytes
    /// alone.
    pub(crate) fn into_utf_8_from(charset: Charset) -> Self {
        Self { charset, mark: false }
    }

    /// The bytes in UTF-8, without the mark, and how many of them mean nothing.
    pub(crate) fn read(self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let decoded =
            self.charset.decode(&bytes[if self.mark { self.charset.unit() } else { 0 }..]);
        (decoded.text.into_owned().into_bytes(), decoded.undecodable)
    }

    /// A text as it would have been received; `None` if the set has not all of its characters, or
    /// writes some of them as others.
    pub(crate) fn write(self, utf_8: &[u8]) -> Option<Vec<u8>> {
        let mut text = String::with_capacity(utf_8.len() + MARK.len_utf8());
        text.extend(self.mark.then_some(MARK));
        text.push_str(str::from_utf8(utf_8).ok()?);
        let written = self.charset.encode(&text).ok()?;
        (self.read(&written).0 == utf_8).then_some(written)
    }
}

fn letters(first: u8, second: u8) -> bool {
    first.is_ascii_uppercase() && second.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Transcription;
    use crate::charset::Charset;

    #[test]
    fn wide_characters_are_known_by_their_mark_or_by_the_first_letters() {
        let of = |bytes: &[u8]| Transcription::of(bytes).map(|found| (found.charset, found.mark));
        assert_eq!(of(b"\xFF\xFEM\0S\0"), Some((Charset::UTF_16LE, true)));
        assert_eq!(of(b"\xFE\xFF\0M\0S"), Some((Charset::UTF_16BE, true)));
        assert_eq!(of(b"M\0S\0H\0"), Some((Charset::UTF_16LE, false)));
        assert_eq!(of(b"\0M\0S\0H"), Some((Charset::UTF_16BE, false)));
        assert_eq!(of(b"\xFF\xFE\0\0M\0\0\0"), Some((Charset::UTF_32LE, true)));
        assert_eq!(of(b"\0\0\xFE\xFF\0\0\0M"), Some((Charset::UTF_32BE, true)));
        assert_eq!(of(b"M\0\0\0S\0\0\0"), Some((Charset::UTF_32LE, false)));
        assert_eq!(of(b"\0\0\0M\0\0\0S"), Some((Charset::UTF_32BE, false)));
        for other in [
            b"MSH|".as_slice(),
            b"\0\0MSH",
            b"\0\0\0MSH|^",
            b"M\0S",
            b"M\0\0\0S\0",
            b"\xEF\xBB\xBFM",
        ] {
            assert_eq!(of(other), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_as_it_was_received(
            text in "\\PC{2,40}",
            charset in prop::sample::select(vec![
                Charset::UTF_16LE, Charset::UTF_16BE, Charset::UTF_32LE, Charset::UTF_32BE,
            ]),
            mark in any::<bool>(),
        ) {
            let way = Transcription { charset, mark };
            let received = way.write(text.as_bytes()).expect("Unicode has every character");
            let (utf_8, _) = way.read(&received);
            prop_assert_eq!(utf_8.as_slice(), text.as_bytes());
        }
    }
}
