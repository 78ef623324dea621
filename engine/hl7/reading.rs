//! From the bytes of a message to the parts that views look at: where it begins, what separates its
//! parts, which character set it is in.

use std::sync::OnceLock;

use bytes::Bytes;
use thiserror::Error;

use crate::charset::{self, Charset};
use crate::delimiters::{Delimiters, DelimitersError, leading, locate};
use crate::index::{Index, Parts, Tolerated, Transcribed};
use crate::transcription::Transcription;

/// The longest message, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 30;

/// How a source's messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The character set where MSH-18 is empty or names none that is known.
    pub default_charset: Charset,
    /// Whether the character set that MSH-18, or else the default, names is believed although the
    /// bytes contradict it. Otherwise the message is read as what its bytes are.
    pub trust_charset: bool,
    /// Whether a line feed, too, may end a segment.
    pub line_feeds: bool,
}

/// Why bytes could not be read as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// There is no MSH that says how to read the rest: the message has to be refused.
    #[error("MSH is unreadable: {0}")]
    Unreadable(#[from] DelimitersError),
    /// The message is longer than [`crate::message::Message::MAX_BYTES`].
    #[error("the message has {size} bytes, more than {MAX_BYTES}")]
    TooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// The message has more than a million segments or four million fields.
    #[error("the message has too many segments or fields")]
    TooManyParts,
}

impl Default for Reading {
    fn default() -> Self {
        Self { default_charset: Charset::WINDOWS_1252, trust_charset: false, line_feeds: true }
    }
}

impl ParseError {
    /// Whether the header itself is unreadable, so that the sender has to be told; otherwise the
    /// structure is at fault, and a message that was accepted is parked.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

/// Reads a message. The bytes are copied only where they have to be transcribed.
pub(crate) fn read(received: Bytes, reading: &Reading) -> Result<Parts, ParseError> {
    if received.len() > MAX_BYTES {
        return Err(ParseError::TooLong { size: received.len() });
    }
    match Transcription::of(&received) {
        Some(way) => transcribed(received, way, reading),
        None => bytewise(received, reading),
    }
}

fn bytewise(received: Bytes, reading: &Reading) -> Result<Parts, ParseError> {
    let (mut index, delimiters) = find(&received, reading)?;
    let (declared, unknown) = declared(&received, &index, delimiters);
    let said = declared.unwrap_or(reading.default_charset);
    if !said.is_bytewise() && !said.is_wide() {
        return transcribed(received, Transcription::into_utf_8_from(said), reading);
    }
    let bytes = &received[index.tolerated.leading..];
    // UTF-16 and UTF-32 would have been seen.
    let wrong = said.is_wide() || said.is_contradicted_by(bytes);
    let believed = reading.trust_charset && said.is_bytewise();
    let charset =
        if wrong && !believed { said.instead(bytes, reading.default_charset) } else { said };
    index.tolerated.wrong_charset = wrong;
    index.tolerated.unknown_charset = unknown;
    index.tolerated.assumed_charset = unknown && !bytes.is_ascii();
    let (bytes, plain) = (received, OnceLock::new());
    Ok(Parts { bytes, transcribed: None, index, delimiters, charset, plain })
}

fn transcribed(
    received: Bytes,
    way: Transcription,
    reading: &Reading,
) -> Result<Parts, ParseError> {
    let (bytes, undecodable) = way.read(&received);
    let bytes = Bytes::from(bytes);
    let (mut index, delimiters) = find(&bytes, reading)?;
    let msh_18 = charset_label(&bytes, &index, delimiters);
    let (declared, unknown) = declared(&bytes, &index, delimiters);
    let wide = way.charset.is_wide();
    let fits = |said: Charset| said == way.charset || (wide && said.unit() == way.charset.unit());
    // What table 0211 called UNICODE was UTF-16 once.
    let lies = declared.is_some_and(|said| !fits(said)) && !msh_18.eq_ignore_ascii_case(b"UNICODE");
    index.tolerated.wrong_charset = lies || undecodable > 0;
    index.tolerated.unknown_charset = unknown;
    index.tolerated.assumed_charset = unknown && !wide && !received.is_ascii();
    let transcribed = Some(Transcribed { received, way, undecodable });
    let (charset, plain) = (Charset::UTF_8, OnceLock::new());
    Ok(Parts { bytes, transcribed, index, delimiters, charset, plain })
}

fn find(bytes: &[u8], reading: &Reading) -> Result<(Index, Delimiters), ParseError> {
    let (start, delimiters) = locate(bytes)?;
    let mut index = Index::find(bytes, start, delimiters, reading.line_feeds)
        .map_err(|_| ParseError::TooManyParts)?;
    let said = |line: usize, number: usize| {
        let found = index.field(line, number).map_or(&[][..], |(start, end)| &bytes[start..end]);
        !matches!(found.trim_ascii(), b"" | b"\"\"")
    };
    let last = index.lines.iter().rposition(|line| line.named).unwrap_or_default();
    let names = |line: usize, name: &[u8; 3]| {
        let line = &index.lines[line];
        line.named && bytes[line.start as usize..].starts_with(name)
    };
    let found = Tolerated {
        junk: start - leading(bytes),
        nul_bytes: nul_bytes(&bytes[start..], start, &index),
        short_delimiters: index.field(0, 2).is_none_or(|(start, end)| end - start < 3),
        continues: said(0, 14),
        continued: names(last, b"DSC") && said(last, 1)
            || (0..index.lines.len()).any(|line| names(line, b"ADD"))
            || ends_in_a_line(bytes),
        further_headers: index.tolerated.further_headers + unended(&bytes[start..]),
        ..index.tolerated
    };
    index.tolerated = found;
    Ok((index, delimiters))
}

/// VT, which begins a frame.
const START: u8 = 0x0B;

/// Whether the frame of another message began before a segment of this one had ended: what is missing
/// of it nobody knows.
fn ends_in_a_line(bytes: &[u8]) -> bool {
    let before = bytes.strip_suffix(&[START]).and_then(<[u8]>::last);
    before.is_some_and(|byte| !matches!(byte, b'\r' | b'\n'))
}

/// Messages whose frame began inside this one, since FS was missing.
fn unended(bytes: &[u8]) -> usize {
    let heads = memchr::memmem::find_iter(bytes, b"\x0BMSH");
    heads.filter(|at| bytes.get(at + 4).is_some_and(u8::is_ascii_punctuation)).count()
}

/// NUL bytes inside segments; those that make up a line of their own only pad.
fn nul_bytes(bytes: &[u8], start: usize, index: &Index) -> usize {
    if memchr::memchr(0, bytes).is_none() {
        return 0;
    }
    let within = |line: &crate::index::Line| {
        let line = &bytes[line.start as usize - start..line.end as usize - start];
        memchr::memchr_iter(0, line).count()
    };
    index.lines.iter().map(within).sum()
}

/// The character set that MSH-18 names, and whether it names one that is not known.
fn declared(bytes: &[u8], index: &Index, delimiters: Delimiters) -> (Option<Charset>, bool) {
    let label = charset_label(bytes, index, delimiters);
    let declared = str::from_utf8(label).ok().and_then(Charset::from_label);
    (declared, declared.is_none() && !label.is_empty())
}

fn charset_label<'b>(bytes: &'b [u8], index: &Index, delimiters: Delimiters) -> &'b [u8] {
    let msh_18 = index.field(0, 18).map_or(&[][..], |(start, end)| &bytes[start..end]);
    charset::label(msh_18, delimiters)
}
