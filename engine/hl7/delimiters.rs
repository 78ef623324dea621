//! The message delimiters that MSH-1 and MSH-2 declare.

use thiserror::Error;

/// The bytes that separate the parts of one message (HL7 v2 chapter 2, "message delimiters").
///
/// All are ASCII punctuation and differ from each other. A delimiter that the message does not
/// declare is [`Delimiters::NONE`]: nothing is split at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields: MSH-1, usually `|`.
    pub field: u8,
    /// Between components: first byte of MSH-2, usually `^`.
    pub component: u8,
    /// Between repetitions: second byte of MSH-2, usually `~`.
    pub repetition: u8,
    /// Round an escape sequence: third byte of MSH-2, usually `\`.
    pub escape: u8,
    /// Between subcomponents: fourth byte of MSH-2, usually `&`; senders that use none leave it out.
    pub subcomponent: u8,
    /// The truncation character: fifth byte of MSH-2 from version 2.7 on, usually `#`.
    pub truncation: Option<u8>,
}

/// Why bytes do not begin with a readable MSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DelimitersError {
    /// There are no bytes but white space.
    #[error("the message is empty")]
    Empty,
    /// The first segment is not MSH.
    #[error("the message does not begin with MSH")]
    NotMsh,
    /// The bytes end before MSH-1 and MSH-2 are complete.
    #[error("the message ends before its delimiters do")]
    Short,
    /// MSH-2 has a length other than three to five.
    #[error("MSH-2 has {found} characters, expected 3 to 5")]
    Length {
        /// Bytes found in MSH-2.
        found: usize,
    },
    /// A delimiter is a letter, a digit, white space or not ASCII.
    #[error("delimiter {position} is not a punctuation character")]
    NotPunctuation {
        /// 1 is MSH-1, 2 the first character of MSH-2.
        position: usize,
    },
    /// Two delimiters are the same character.
    #[error("delimiter {position} repeats an earlier one")]
    Repeated {
        /// 1 is MSH-1, 2 the first character of MSH-2.
        position: usize,
    },
}

impl Default for Delimiters {
    /// The recommended ones: `|^~\&`.
    fn default() -> Self {
        Self {
            field: b'|',
            component: b'^',
            repetition: b'~',
            escape: b'\\',
            subcomponent: b'&',
            truncation: None,
        }
    }
}

impl Delimiters {
    /// Stands for a delimiter that the message does not declare.
    pub const NONE: u8 = 0;

    /// Reads the delimiters of an MSH segment; `msh` begins with its name.
    pub fn read(msh: &[u8]) -> Result<Self, DelimitersError> {
        let rest = msh.strip_prefix(b"MSH").ok_or(DelimitersError::NotMsh)?;
        let (&field, rest) = rest.split_first().ok_or(DelimitersError::Short)?;
        if !is_punctuation(field) {
            return Err(DelimitersError::NotPunctuation { position: 1 });
        }
        let end = memchr::memchr3(field, b'\r', b'\n', rest).unwrap_or(rest.len());
        let encoding = &rest[..end];
        if encoding.is_empty() && end == rest.len() {
            return Err(DelimitersError::Short);
        }
        if !(3..=5).contains(&encoding.len()) {
            return Err(DelimitersError::Length { found: encoding.len() });
        }
        for (index, &byte) in encoding.iter().enumerate() {
            if !is_punctuation(byte) {
                return Err(DelimitersError::NotPunctuation { position: index + 2 });
            }
            if encoding[..index].contains(&byte) {
                return Err(DelimitersError::Repeated { position: index + 2 });
            }
        }
        Ok(Self {
            field,
            component: encoding[0],
            repetition: encoding[1],
            escape: encoding[2],
            subcomponent: encoding.get(3).copied().unwrap_or(Self::NONE),
            truncation: encoding.get(4).copied(),
        })
    }

    /// MSH-2 as these delimiters spell it.
    pub fn encoding_characters(&self) -> Vec<u8> {
        let mut characters = vec![self.component, self.repetition, self.escape];
        if self.subcomponent != Self::NONE {
            characters.push(self.subcomponent);
            characters.extend(self.truncation);
        }
        characters
    }
}

/// How many bytes before the message say nothing: a UTF-8 byte order mark and white space.
pub fn leading(bytes: &[u8]) -> usize {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        if rest.starts_with(MARK) {
            at += MARK.len();
        } else if rest.first().is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        } else {
            return at;
        }
    }
}

/// Finds where the message begins and reads its delimiters, past a byte order mark or white space.
pub fn locate(bytes: &[u8]) -> Result<(usize, Delimiters), DelimitersError> {
    let start = leading(bytes);
    if start == bytes.len() {
        return Err(DelimitersError::Empty);
    }
    Delimiters::read(&bytes[start..]).map(|delimiters| (start, delimiters))
}

fn is_punctuation(byte: u8) -> bool {
    byte.is_ascii_punctuation()
}

#[cfg(test)]
mod tests {
    use super::{Delimiters, DelimitersError, locate};

    #[test]
    fn usual_and_unusual_delimiters_are_read() {
        assert_eq!(Delimiters::read(b"MSH|^~\\&|PAS"), Ok(Delimiters::default()));
        let odd = Delimiters::read(b"MSH#*+!@#APP").expect("four other characters");
        assert_eq!((odd.field, odd.component, odd.repetition), (b'#', b'*', b'+'));
        assert_eq!((odd.escape, odd.subcomponent, odd.truncation), (b'!', b'@', None));
    }

    #[test]
    fn three_to_five_encoding_characters_are_read() {
        let three = Delimiters::read(b"MSH|^~\\|PAS").expect("three");
        assert_eq!(three.subcomponent, Delimiters::NONE);
        assert_eq!(three.encoding_characters(), b"^~\\");
        let five = Delimiters::read(b"MSH|^~\\&#|PAS").expect("five");
        assert_eq!(five.truncation, Some(b'#'));
        assert_eq!(five.encoding_characters(), b"^~\\&#");
        assert_eq!(Delimiters::read(b"MSH|^~|PAS"), Err(DelimitersError::Length { found: 2 }));
        assert_eq!(Delimiters::read(b"MSH|^~\\&#!|"), Err(DelimitersError::Length { found: 6 }));
    }

    #[test]
    fn what_is_no_header_says_why() {
        let cases: [(&[u8], DelimitersError); 8] = [
            (b"", DelimitersError::Empty),
            (b" \r\n", DelimitersError::Empty),
            (b"hello world", DelimitersError::NotMsh),
            (b"MSH", DelimitersError::Short),
            (b"MSH|", DelimitersError::Short),
            (b"MSHello", DelimitersError::NotPunctuation { position: 1 }),
            (b"MSH|^~\\x|", DelimitersError::NotPunctuation { position: 5 }),
            (b"MSH|^~\\^|", DelimitersError::Repeated { position: 5 }),
        ];
        for (bytes, error) in cases {
            assert_eq!(locate(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn a_mark_and_white_space_before_the_header_are_passed_over() {
        assert_eq!(locate(b"\xEF\xBB\xBF\r\nMSH|^~\\&|").map(|found| found.0), Ok(5));
        assert_eq!(locate(b"  MSH|^~\\&").map(|found| found.0), Ok(2));
    }
}
