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
    let (words, rest) = bytes.as_chunks::<8>();
    // The last eight bytes may have been looked at before: cheaper than what is left one by one.
    let last = bytes.last_chunk::<8>();
    let short = words.is_empty();
    let plain = |word: &[u8; 8]| is_plain(u64::from_le_bytes(*word));
    if !short && words.iter().all(plain) && (rest.is_empty() || last.is_some_and(plain)) {
        return None;
    }
    bytes.iter().position(|byte| must_be_escaped(*byte))
}

/// Whether none of eight bytes must be escaped, without a look at each.
fn is_plain(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below `limit`; above the first such byte a bit too many may
    // be set, never one too few.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & HIGH == 0
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
