//! Escape sequences, both ways (HL7 v2 chapter 2, "use of escape sequences in text fields").
//!
//! Reading is done once, at the leaf, on bytes, before they are decoded: `\X..\` stands for bytes of
//! the message's character set. What is unknown or unbalanced is kept as it stands.

use std::borrow::Cow;

use crate::delimiters::Delimiters;

/// Lines or blanks that one formatting command may ask for; more is a mistake or an attack.
const MAX_SPACE: usize = 99;

/// Replaces the sequences for delimiters (`F S R E T P`) and bytes (`Xdd..`) by what they stand for.
///
/// Formatting (`.br`, `H` ...), local (`Z..`) and character-set (`C.. M..`) sequences stay as they
/// are, and so does everything that is no known sequence.
pub fn unescape<'r>(raw: &'r [u8], delimiters: &Delimiters) -> Cow<'r, [u8]> {
    replace(raw, *delimiters, |body, out| {
        value(body, *delimiters, out) || keep(body, *delimiters, out)
    })
}

/// As [`unescape`], and turns formatting into plain text: `.br`, `.sp` and `.ce` into line breaks,
/// `.sk` into blanks; highlighting and indentation are left out.
pub fn render<'r>(raw: &'r [u8], delimiters: &Delimiters) -> Cow<'r, [u8]> {
    replace(raw, *delimiters, |body, out| {
        value(body, *delimiters, out) || layout(body, out) || keep(body, *delimiters, out)
    })
}

/// Whether a text has a character that would be taken for a delimiter, a segment end or a frame end.
pub fn needs_escape(text: &str, delimiters: &Delimiters) -> bool {
    text.bytes().any(|byte| sequence(byte, *delimiters).is_some())
}

/// Writes a text so that none of its characters is taken for a delimiter, a segment end or a frame
/// end. Where the message declares no escape character, a blank stands for each of those.
pub fn escape<'t>(text: &'t str, delimiters: &Delimiters) -> Cow<'t, str> {
    let Some(first) = text.bytes().position(|byte| sequence(byte, *delimiters).is_some()) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 16);
    out.push_str(&text[..first]);
    let mark = char::from(delimiters.escape);
    for character in text[first..].chars() {
        match u8::try_from(character).ok().and_then(|byte| sequence(byte, *delimiters)) {
            Some(_) if delimiters.escape == Delimiters::NONE => out.push(' '),
            Some(body) => {
                out.push(mark);
                out.push_str(body);
                out.push(mark);
            }
            None => out.push(character),
        }
    }
    Cow::Owned(out)
}

fn sequence(byte: u8, delimiters: Delimiters) -> Option<&'static str> {
    match byte {
        b'\r' => Some("X0D"),
        b'\n' => Some("X0A"),
        0x0B => Some("X0B"),
        0x1C => Some("X1C"),
        // Delimiters are punctuation, and NONE must not match a character.
        _ if !byte.is_ascii_punctuation() => None,
        _ if byte == delimiters.escape => Some("E"),
        _ if byte == delimiters.field => Some("F"),
        _ if byte == delimiters.component => Some("S"),
        _ if byte == delimiters.repetition => Some("R"),
        _ if byte == delimiters.subcomponent => Some("T"),
        _ if Some(byte) == delimiters.truncation => Some("P"),
        _ => None,
    }
}

/// Walks the sequences; `known` writes what a body stands for, or says that it is no sequence.
fn replace(
    raw: &[u8],
    delimiters: Delimiters,
    mut known: impl FnMut(&[u8], &mut Vec<u8>) -> bool,
) -> Cow<'_, [u8]> {
    let mark = delimiters.escape;
    if mark == Delimiters::NONE {
        return Cow::Borrowed(raw);
    }
    let Some(first) = memchr::memchr(mark, raw) else { return Cow::Borrowed(raw) };
    let mut out = Vec::with_capacity(raw.len());
    out.extend_from_slice(&raw[..first]);
    let mut at = first;
    // `at` always stands on an escape character.
    while let Some(length) = memchr::memchr(mark, &raw[at + 1..]) {
        let end = at + 1 + length;
        let next = if known(&raw[at + 1..end], &mut out) {
            end + 1
        } else {
            // A lone escape character is text, and the next one may open a sequence.
            out.push(mark);
            at + 1
        };
        let Some(gap) = memchr::memchr(mark, &raw[next..]) else {
            out.extend_from_slice(&raw[next..]);
            return Cow::Owned(out);
        };
        out.extend_from_slice(&raw[next..next + gap]);
        at = next + gap;
    }
    out.extend_from_slice(&raw[at..]);
    Cow::Owned(out)
}

fn value(body: &[u8], delimiters: Delimiters, out: &mut Vec<u8>) -> bool {
    let byte = match body {
        b"F" => delimiters.field,
        b"S" => delimiters.component,
        b"R" => delimiters.repetition,
        b"E" => delimiters.escape,
        b"T" => delimiters.subcomponent,
        b"P" => delimiters.truncation.unwrap_or(Delimiters::NONE),
        [b'X', digits @ ..] => return hexadecimal(digits, out),
        _ => Delimiters::NONE,
    };
    if byte != Delimiters::NONE {
        out.push(byte);
    }
    byte != Delimiters::NONE
}

fn hexadecimal(digits: &[u8], out: &mut Vec<u8>) -> bool {
    let whole = !digits.is_empty()
        && digits.len().is_multiple_of(2)
        && digits.iter().all(u8::is_ascii_hexdigit);
    if whole {
        out.extend(digits.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])));
    }
    whole
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

fn layout(body: &[u8], out: &mut Vec<u8>) -> bool {
    if matches!(body, b"H" | b"N") {
        return true;
    }
    let [b'.', first, second, count @ ..] = body else { return false };
    match [first.to_ascii_lowercase(), second.to_ascii_lowercase()] {
        [b'b', b'r'] | [b'c', b'e'] => out.push(b'\n'),
        [b's', b'p'] => out.resize(out.len() + amount(count), b'\n'),
        [b's', b'k'] => out.resize(out.len() + amount(count), b' '),
        [b'f' | b't', b'i'] | [b'n', b'f'] | [b'i', b'n'] => {}
        _ => return false,
    }
    true
}

fn amount(count: &[u8]) -> usize {
    let digits = count.iter().filter(|byte| byte.is_ascii_digit()).take(3);
    let amount = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
    if amount == 0 { 1 } else { amount.min(MAX_SPACE) }
}

/// A sequence that the standard knows but that has no plain value is kept whole, so that its second
/// escape character is not taken for the beginning of another.
fn keep(body: &[u8], delimiters: Delimiters, out: &mut Vec<u8>) -> bool {
    let standard = match body {
        b"H" | b"N" => true,
        [b'.', command @ ..] => {
            !command.is_empty() && command.iter().all(|byte| !byte.is_ascii_control())
        }
        [b'C' | b'M' | b'X', digits @ ..] => {
            !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit)
        }
        [b'Z', local @ ..] => local.iter().all(u8::is_ascii_alphanumeric),
        _ => false,
    };
    if standard {
        out.push(delimiters.escape);
        out.extend_from_slice(body);
        out.push(delimiters.escape);
    }
    standard
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{escape, render, unescape};
    use crate::delimiters::Delimiters;

    fn unescaped(text: &str) -> String {
        let delimiters = Delimiters { truncation: Some(b'#'), ..Delimiters::default() };
        String::from_utf8(unescape(text.as_bytes(), &delimiters).into_owned()).expect("UTF-8")
    }

    #[test]
    fn sequences_for_delimiters_and_bytes_are_replaced_once() {
        let cases = [
            (r"A \T\ B", "A & B"),
            (r"\F\\S\\R\\E\\T\\P\", r"|^~\&#"),
            (r"éé\T\ up", "éé& up"),
            (r"\E\T\E\", r"\T\"),
            (r"\X41\\XC3A9\", "Aé"),
            (r"10\S\12/L", "10^12/L"),
        ];
        for (raw, text) in cases {
            assert_eq!(unescaped(raw), text, "{raw}");
        }
    }

    #[test]
    fn unknown_and_unbalanced_sequences_stay() {
        let cases = [
            r"C:\dir tail",
            r"\\server\share",
            r"\H\bold\N\ \.br\ \.sp2\ \Zxx\ \C2842\",
            r"\X4\",
            r"\XZZ\",
            r"\f\",
            "\\",
            r"\\",
        ];
        for raw in cases {
            assert_eq!(unescaped(raw), raw);
        }
        assert_eq!(unescaped(r"C:\dir tail\T\x"), r"C:\dir tail&x");
        assert_eq!(unescaped(r"\Zxx\T\"), r"\Zxx\T\");
    }

    #[test]
    fn a_delimiter_that_is_not_declared_has_no_sequence() {
        let three = Delimiters { subcomponent: Delimiters::NONE, ..Delimiters::default() };
        assert_eq!(unescape(br"A \T\ \P\", &three).as_ref(), br"A \T\ \P\");
        assert_eq!(escape("A & B # \0", &three), "A & B # \0");
        let two = Delimiters { escape: Delimiters::NONE, ..three };
        assert_eq!(unescape(br"A \T\ B", &two).as_ref(), br"A \T\ B");
        assert_eq!(escape("A|B\r\\", &two), "A B \\");
    }

    #[test]
    fn formatting_becomes_plain_text_when_rendered() {
        let rendered = |raw: &str| {
            let out = render(raw.as_bytes(), &Delimiters::default()).into_owned();
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(rendered(r"one\.br\two\.sp2\three\.ce\four"), "one\ntwo\n\nthree\nfour");
        assert_eq!(rendered(r"\H\bold\N\ \.in+4\in \T\ \.sk2\x"), "bold in &   x");
        assert_eq!(rendered(r"\.sp999999999\").len(), 99);
        assert_eq!(rendered(r"\Zlocal\ \.xx\"), r"\Zlocal\ \.xx\");
    }

    #[test]
    fn segment_and_frame_ends_are_escaped() {
        assert_eq!(escape("a\r\nb\x0B\x1C", &Delimiters::default()), r"a\X0D\\X0A\b\X0B\\X1C\");
        assert!(matches!(escape("EXAMPLE", &Delimiters::default()), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn what_was_escaped_reads_back(text in "[ -~é£\\r\\n|^~\\\\&#]{0,60}", five in any::<bool>()) {
            let truncation = five.then_some(b'#');
            let delimiters = Delimiters { truncation, ..Delimiters::default() };
            let escaped = escape(&text, &delimiters);
            let kept = unescape(escaped.as_bytes(), &delimiters);
            prop_assert_eq!(kept.as_ref(), text.as_bytes());
            prop_assert!(!escaped.contains(['|', '^', '~', '&', '\r', '\n']));
        }

        #[test]
        fn any_bytes_unescape(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            let delimiters = Delimiters::default();
            let text = unescape(&raw, &delimiters);
            prop_assert!(text.len() <= raw.len());
            prop_assert!(render(&raw, &delimiters).len() <= raw.len() * 100);
        }
    }
}
