//! Values as the text of JSON.

use crate::json::{Object, Text, Value};

impl Value {
    /// Appends the value as JSON without blanks: the same bytes as `serde_json` writes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::String(text) => write_text(text, out),
            Value::Array(items) => {
                out.push(b'[');
                for (position, item) in items.iter().enumerate() {
                    if position > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Value::Object(members) => members.write(out),
        }
    }
}

impl Object {
    /// Appends the object as JSON without blanks.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (position, (name, value)) in self.0.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            write_name(name, out);
            value.write(out);
        }
        out.push(b'}');
    }
}

/// A name in quotes, and what stands behind it. One of our own code is a word.
fn write_name(name: &Text, out: &mut Vec<u8>) {
    match name {
        Text::Borrowed(name) => {
            debug_assert!(first_to_escape(name.as_bytes()).is_none(), "a name in our code: {name}");
            out.reserve(name.len() + 3);
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.push(b'"');
        }
        Text::Owned(name) => write_text(name, out),
    }
    out.push(b':');
}

/// A text in quotes. Most need no escape, and their bytes go over in one piece.
fn write_text(text: &str, out: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    out.reserve(rest.len() + 2);
    out.push(b'"');
    while let Some(at) = first_to_escape(rest) {
        out.extend_from_slice(&rest[..at]);
        escape(rest[at], out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// RFC 8259, section 7: quotes, backslashes and control characters must be escaped.
fn must_be_escaped(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

fn first_to_escape(bytes: &[u8]) -> Option<usize> {
    let (words, rest) = bytes.as_chunks::<16>();
    // The last bytes may have been looked at before: cheaper than what is left one by one.
    let is_plain = match bytes.len() {
        16.. => {
            let last = || bytes.last_chunk::<16>().is_some_and(all_plain);
            words.iter().all(all_plain) && (rest.is_empty() || last())
        }
        8.. => ends_plain::<8>(bytes),
        4.. => ends_plain::<4>(bytes),
        _ => false,
    };
    if is_plain { None } else { bytes.iter().position(|byte| must_be_escaped(*byte)) }
}

/// Of bytes that are no more than two such ends.
fn ends_plain<const N: usize>(bytes: &[u8]) -> bool {
    bytes.first_chunk::<N>().is_some_and(all_plain)
        && bytes.last_chunk::<N>().is_some_and(all_plain)
}

/// Whether none of some bytes must be escaped: all are looked at, which is one step for a processor.
fn all_plain<const N: usize>(bytes: &[u8; N]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & !must_be_escaped(*byte))
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' => b'"',
        b'\\' => b'\\',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(DIGITS[usize::from(byte >> 4)]);
            return out.push(DIGITS[usize::from(byte & 0xF)]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}
