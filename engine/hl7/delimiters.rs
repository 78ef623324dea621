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
    /// Between repetitions: second byte of MSH-2, usually `~`; may be missing.
    pub repetition: u8,
    /// Round an escape sequence: third byte of MSH-2, usually `\`; may be missing.
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
    /// MSH-2 is longer than five characters, or is empty with an MSH-1 that its usual ones need.
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

    /// Reads the delimiters of an MSH segment; `msh` begins with its name. What MSH-2 leaves out at
    /// its end is [`Delimiters::NONE`]; an empty one stands for the usual characters.
    pub fn read(msh: &[u8]) -> Result<Self, DelimitersError> {
        let rest = msh.strip_prefix(b"MSH").ok_or(DelimitersError::NotMsh)?;
        let (&field, rest) = rest.split_first().ok_or(DelimitersError::Short)?;
        if !is_punctuation(field) {
            return Err(DelimitersError::NotPunctuation { position: 1 });
        }
        let end = memchr::memchr3(field, b'\r', b'\n', rest).unwrap_or(rest.len());
        let encoding = &rest[..end];
        if encoding.is_empty() {
            if rest.get(end) != Some(&field) {
                return Err(DelimitersError::Short);
            }
            // Who says nothing means the usual ones.
            let usual = Self { field, ..Self::default() };
            let clash = usual.encoding_characters().contains(&field);
            return if clash { Err(DelimitersError::Length { found: 0 }) } else { Ok(usual) };
        }
        if encoding.len() > 5 {
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
        let declared = |index: usize| encoding.get(index).copied().unwrap_or(Self::NONE);
        Ok(Self {
            field,
            component: encoding[0],
            repetition: declared(1),
            escape: declared(2),
            subcomponent: declared(3),
            truncation: encoding.get(4).copied(),
        })
    }

    /// MSH-2 as these delimiters spell it.
    pub fn encoding_characters(&self) -> Vec<u8> {
        let four = [self.component, self.repetition, self.escape, self.subcomponent];
        let declared = four.into_iter().take_while(|byte| *byte != Self::NONE);
        declared.chain(self.truncation).collect()
    }
}

/// Most bytes of junk that may stand before MSH.
const MAX_JUNK: usize = 256;

/// How many bytes before the message say nothing: a UTF-8 byte order mark, white space and NUL.
pub fn leading(bytes: &[u8]) -> usize {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut at = 0;
    loop {
        let rest = &bytes[at..];
        if rest.starts_with(MARK) {
            at += MARK.len();
        } else if rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == 0) {
            at += 1;
        } else {
            return at;
        }
    }
}

/// Finds where the message begins and reads its delimiters, past what [`leading`] passes over and
/// past at most 256 bytes of anything else but a batch.
pub fn locate(bytes: &[u8]) -> Result<(usize, Delimiters), DelimitersError> {
    let start = leading(bytes);
    if start == bytes.len() {
        return Err(DelimitersError::Empty);
    }
    match Delimiters::read(&bytes[start..]) {
        Err(DelimitersError::NotMsh) => {
            let found = behind_junk(&bytes[start..]).ok_or(DelimitersError::NotMsh);
            found.map(|(junk, delimiters)| (start + junk, delimiters))
        }
        read => read.map(|delimiters| (start, delimiters)),
    }
}

fn behind_junk(bytes: &[u8]) -> Option<(usize, Delimiters)> {
    if bytes.starts_with(b"FHS") || bytes.starts_with(b"BHS") {
        return None;
    }
    let window = &bytes[..bytes.len().min(MAX_JUNK + 3)];
    // A name inside a word begins no message.
    let begins = |at: &usize| *at > 0 && !window[at - 1].is_ascii_alphabetic();
    let mut found = memchr::memmem::find_iter(window, b"MSH").filter(begins);
    found.find_map(|at| Delimiters::read(&bytes[at..]).ok().map(|delimiters| (at, delimiters)))
}

/// A double quote is none here: two of them are HL7 null, which then could not be told from two
/// delimiters.
fn is_punctuation(byte: u8) -> bool {
    byte.is_ascii_punctuation() && byte != b'"'
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
    fn up_to_five_encoding_characters_are_read() {
        let three = Delimiters::read(b"MSH|^~\\|PAS").expect("three");
        assert_eq!(three.subcomponent, Delimiters::NONE);
        assert_eq!(three.encoding_characters(), b"^~\\");
        let five = Delimiters::read(b"MSH|^~\\&#|PAS").expect("five");
        assert_eq!(five.truncation, Some(b'#'));
        assert_eq!(five.encoding_characters(), b"^~\\&#");
        let two = Delimiters::read(b"MSH|^~|PAS").expect("two");
        assert_eq!((two.repetition, two.escape), (b'~', Delimiters::NONE));
        assert_eq!(two.encoding_characters(), b"^~");
        let one = Delimiters::read(b"MSH|^|PAS").expect("one");
        assert_eq!((one.component, one.repetition), (b'^', Delimiters::NONE));
        assert_eq!(Delimiters::read(b"MSH||PAS"), Ok(Delimiters::default()));
        assert_eq!(Delimiters::read(b"MSH^^PAS"), Err(DelimitersError::Length { found: 0 }));
        assert_eq!(Delimiters::read(b"MSH|^~\\&#!|"), Err(DelimitersError::Length { found: 6 }));
    }

    #[test]
    fn what_is_no_header_says_why() {
        let cases: [(&[u8], DelimitersError); 12] = [
            (b"", DelimitersError::Empty),
            (b" \r\n", DelimitersError::Empty),
            (b"hello world", DelimitersError::NotMsh),
            (b"MSH", DelimitersError::Short),
            (b"MSH|", DelimitersError::Short),
            (b"MSH|\rPID|1", DelimitersError::Short),
            (b"BHS|^~\\&\rMSH|^~\\&|", DelimitersError::NotMsh),
            (b"the SMSH|^~\\&|", DelimitersError::NotMsh),
            (b"MSHello", DelimitersError::NotPunctuation { position: 1 }),
            (b"MSH\"^~\\&\"", DelimitersError::NotPunctuation { position: 1 }),
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
        assert_eq!(locate(b"\0\0MSH|^~\\&").map(|found| found.0), Ok(2));
    }

    #[test]
    fn a_little_junk_before_the_header_is_passed_over() {
        assert_eq!(locate(b"\rAB 0345MSH|^~\\&").map(|found| found.0), Ok(8));
        assert_eq!(locate(b"<MSH>MSH|^~\\&").map(|found| found.0), Ok(5));
        assert_eq!(locate(b"more\rjunk\rMSH|^~\\&").map(|found| found.0), Ok(10));
        let long = [&[b'x'; 300][..], b" MSH|^~\\&|"].concat();
        assert_eq!(locate(&long), Err(DelimitersError::NotMsh));
    }
}
