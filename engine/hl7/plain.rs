//! Messages that can be read as they stand.

use crate::charset::Charset;
use crate::delimiters::Delimiters;

/// The text of a message in ASCII without NUL or escape sequence, as most are: every part of it is
/// its own text, and nothing has to be decoded part by part.
pub(crate) struct Plain {
    text: Box<str>,
    /// Whether any component has more than one subcomponent.
    pub(crate) subcomponents: bool,
}

/// A longer message holds a document: its copy would cost more than it saves.
const LONGEST: usize = 64 * 1024;

impl Plain {
    /// Nothing of a message that is not like that.
    ///
    /// `behind` is where MSH-2 ends, which shows the delimiters and uses none.
    pub(crate) fn of(
        bytes: &[u8],
        charset: Charset,
        delimiters: Delimiters,
        behind: usize,
    ) -> Option<Self> {
        let ascii = charset.is_bytewise() && bytes.len() <= LONGEST && bytes.is_ascii();
        if !ascii || memchr::memchr(0, bytes).is_some() {
            return None;
        }
        let used = |delimiter: u8| {
            delimiter != Delimiters::NONE && memchr::memchr(delimiter, &bytes[behind..]).is_some()
        };
        if used(delimiters.escape) {
            return None;
        }
        let text = str::from_utf8(bytes).ok()?.into();
        Some(Self { text, subcomponents: used(delimiters.subcomponent) })
    }

    /// The text that begins at that byte and is so long.
    pub(crate) fn text(&self, start: usize, length: usize) -> Option<&str> {
        self.text.get(start..start + length)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::escape::unescape;
    use crate::message::{Message, Reading};

    proptest! {
        /// Whether a message can be read as it stands or not: every part is what its own bytes are.
        #[test]
        fn a_part_is_the_text_of_its_bytes(
            fields in prop::collection::vec("[ -~&&[^|\\\\&~]]{0,12}", 1..12),
            odd in prop_oneof![3 => Just(""), 1 => Just("\\T\\"), 1 => Just("a&b"), 1 => Just("é"), 1 => Just("\0")],
        ) {
            let text = format!("\x0BMSH|^~\\&|{}|x\rPID|{odd}~{}\r", fields.join("|"), fields.join("^"));
            let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
            for segment in message.segments().skip(1) {
                let repetitions = segment.fields().flat_map(|field| field.repetitions().collect::<Vec<_>>());
                for (nth, repetition) in repetitions.enumerate() {
                    for (at, component) in repetition.components().enumerate() {
                        let whole = component.raw().split(|byte| *byte == b'&').next().expect("one");
                        let plain = unescape(whole, &message.delimiters());
                        let expected = message.charset().decode(&plain).text.replace('\0', "");
                        let found = repetition.text(at + 1, 1).into_option().unwrap_or_default();
                        let null = repetition.is_null() || component.is_null() || whole == b"\"\"";
                        prop_assert_eq!(found, if null { "" } else { &expected }, "{} {}", nth, at);
                    }
                }
            }
        }
    }
}
