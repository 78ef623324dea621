//! Messages in a character set that cannot be split before it is decoded, turned into UTF-8 to be read.
//!
//! MLLP rules out UTF-16, and table 0211 has sets whose characters may hold the byte of a delimiter.
//! Some feeds send them all the same. What is stored and sent on stays as it was received; only
//! reading goes through UTF-8.

use crate::charset::Charset;

const LITTLE: [u8; 2] = [0xFF, 0xFE];
const BIG: [u8; 2] = [0xFE, 0xFF];

/// How received bytes were turned into UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transcription {
    pub(crate) charset: Charset,
    /// Whether a byte order mark of UTF-16 stood first.
    mark: bool,
}

impl Transcription {
    /// The one that the bytes ask for by themselves: they begin with a byte order mark of UTF-16, or
    /// with the first two characters of a segment name in it.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match *bytes.first_chunk::<4>()? {
            [0xFF, 0xFE, _, _] => Some(Self { charset: Charset::UTF_16LE, mark: true }),
            [0xFE, 0xFF, _, _] => Some(Self { charset: Charset::UTF_16BE, mark: true }),
            [first, 0, second, 0] if are_letters(first, second) => {
                Some(Self { charset: Charset::UTF_16LE, mark: false })
            }
            [0, first, 0, second] if are_letters(first, second) => {
                Some(Self { charset: Charset::UTF_16BE, mark: false })
            }
            _ => None,
        }
    }

    /// The one for a set that MSH-18 names, which is not UTF-16: that is seen in the bytes alone.
    pub(crate) fn into_utf_8_from(charset: Charset) -> Self {
        Self { charset, mark: false }
    }

    /// The bytes in UTF-8, without the mark, and how many of them mean nothing.
    pub(crate) fn read(self, bytes: &[u8]) -> (Vec<u8>, usize) {
        let decoded = self.charset.decode(&bytes[if self.mark { 2 } else { 0 }..]);
        (decoded.text.into_owned().into_bytes(), decoded.undecodable)
    }

    /// A text as it would have been received; `None` if the set has not all of its characters, or
    /// writes some of them as others.
    pub(crate) fn write(self, utf_8: &[u8]) -> Option<Vec<u8>> {
        let text = self.charset.encode(str::from_utf8(utf_8).ok()?).ok()?;
        let mark: &[u8] = match (self.mark, self.charset == Charset::UTF_16LE) {
            (false, _) => &[],
            (true, true) => &LITTLE,
            (true, false) => &BIG,
        };
        let written = [mark, &text].concat();
        (self.read(&written).0 == utf_8).then_some(written)
    }
}

fn are_letters(first: u8, second: u8) -> bool {
    first.is_ascii_uppercase() && second.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Transcription;
    use crate::charset::Charset;

    #[test]
    fn utf_16_is_known_by_its_mark_or_by_its_first_letters() {
        let of = |bytes: &[u8]| Transcription::of(bytes).map(|found| (found.charset, found.mark));
        assert_eq!(of(b"\xFF\xFEM\0S\0"), Some((Charset::UTF_16LE, true)));
        assert_eq!(of(b"\xFE\xFF\0M\0S"), Some((Charset::UTF_16BE, true)));
        assert_eq!(of(b"M\0S\0H\0"), Some((Charset::UTF_16LE, false)));
        assert_eq!(of(b"\0M\0S\0H"), Some((Charset::UTF_16BE, false)));
        for other in [b"MSH|".as_slice(), b"\0\0MSH", b"M\0S", b"\xEF\xBB\xBFM"] {
            assert_eq!(of(other), None);
        }
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_as_it_was_received(
            text in "\\PC{2,40}", charset in prop::sample::select(vec![Charset::UTF_16LE, Charset::UTF_16BE]),
            mark in any::<bool>(),
        ) {
            let way = Transcription { charset, mark };
            let received = way.write(text.as_bytes()).expect("UTF-16 has every character");
            let (utf_8, _) = way.read(&received);
            prop_assert_eq!(utf_8.as_slice(), text.as_bytes());
        }
    }
}
