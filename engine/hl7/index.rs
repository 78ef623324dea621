//! Where the segments and fields of a message lie, found in one pass.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::charset::Charset;
use crate::delimiters::Delimiters;
use crate::marks::Marks;
use crate::plain::Plain;
use crate::transcription::Transcription;

/// Most segments a message may have; a real one has some hundreds.
pub(crate) const MAX_SEGMENTS: usize = 1 << 20;
/// Most fields a message may have. Four bytes are kept for each, so hostile bytes cost 16 MiB.
pub(crate) const MAX_FIELDS: usize = 1 << 22;

/// What ends the segments of a message; the standard allows a carriage return only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnd {
    /// A carriage return.
    #[default]
    CarriageReturn,
    /// A line feed.
    LineFeed,
    /// A carriage return and a line feed.
    Both,
}

/// What was read although the standard does not allow it, or does no longer advise it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tolerated {
    /// Bytes before MSH: white space, NUL, a byte order mark, junk.
    pub leading: usize,
    /// How many of them are junk.
    pub junk: usize,
    /// What ended the first segment.
    pub line_end: LineEnd,
    /// Whether other segments ended otherwise.
    pub mixed_line_ends: bool,
    /// Whether nothing ended the last segment.
    pub last_end_missing: bool,
    /// Lines without content, or with nothing but NUL.
    pub blank_lines: usize,
    /// Lines that do not begin with a segment name; kept as raw segments without a name.
    pub odd_lines: usize,
    /// NUL bytes inside segments; texts are read without them.
    pub nul_bytes: usize,
    /// Whether MSH-2 has fewer than three characters.
    pub short_delimiters: bool,
    /// MSH segments besides the first: other messages, that came in the same frame.
    pub further_headers: usize,
    /// Whether MSH-14 says that this continues an earlier message.
    pub continues: bool,
    /// Whether DSC-1 says that another message continues this one, a segment continues another (ADD),
    /// or a frame began before a segment had ended.
    pub continued: bool,
    /// Whether MSH-18 names a character set that is not known, so that the default was used.
    pub unknown_charset: bool,
    /// Whether, besides, some bytes are beyond ASCII, so that what they were read as is a guess.
    pub assumed_charset: bool,
    /// Whether the bytes cannot be in the character set that MSH-18, or else the default, names.
    pub wrong_charset: bool,
}

/// One line of the message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Index of its first field in `Index::fields`.
    pub(crate) first_field: u32,
    /// Whether it begins with a segment name, alone or followed by the field delimiter.
    pub(crate) named: bool,
}

/// All that a view needs: the bytes, and what says how to read them.
pub(crate) struct Parts {
    /// What the index is of: what was received, or its transcription.
    pub(crate) bytes: Bytes,
    /// Set when `bytes` is a transcription into UTF-8.
    pub(crate) transcribed: Option<Transcribed>,
    pub(crate) index: Index,
    pub(crate) delimiters: Delimiters,
    /// How `bytes` are read.
    pub(crate) charset: Charset,
    /// Their text, if it is theirs byte for byte; looked for when the first text is asked for.
    pub(crate) plain: OnceLock<Option<Plain>>,
}

/// What a message was transcribed from.
pub(crate) struct Transcribed {
    pub(crate) received: Bytes,
    pub(crate) way: Transcription,
    /// Bytes that meant nothing.
    pub(crate) undecodable: usize,
}

impl Parts {
    /// The text of the whole message, if every part is its own text.
    pub(crate) fn plain(&self) -> Option<&Plain> {
        let found = || {
            let behind = self.index.field(0, 2).map_or(0, |(_, end)| end);
            Plain::of(&self.bytes, self.charset, self.delimiters, behind)
        };
        self.plain.get_or_init(found).as_ref()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    pub(crate) lines: Vec<Line>,
    /// Where each field starts. A field ends one byte before the next one, or with its line; only
    /// MSH-1, which is itself a delimiter, is one byte long.
    pub(crate) fields: Vec<u32>,
    pub(crate) tolerated: Tolerated,
}

/// There are more segments or fields than a message may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooMany;

impl Index {
    /// Indexes `bytes` from `start`, where MSH begins. `bytes` is shorter than 4 GiB.
    pub(crate) fn find(
        bytes: &[u8],
        start: usize,
        delimiters: Delimiters,
        line_feeds: bool,
    ) -> Result<Self, TooMany> {
        let mut builder = Builder {
            bytes,
            delimiters,
            start,
            found: Self {
                lines: Vec::with_capacity(16 + bytes.len().min(1 << 16) / 128),
                fields: Vec::with_capacity(32 + bytes.len().min(1 << 16) / 5),
                tolerated: Tolerated { leading: start, ..Tolerated::default() },
            },
            first_field: 0,
            style: None,
        };
        builder.begin(start);
        for at in Marks::new(&bytes[start..], delimiters.field) {
            builder.mark(start + at, line_feeds)?;
        }
        builder.finish()
    }

    /// The bytes of field `number` (from 1) of a line.
    pub(crate) fn field(&self, line: usize, number: usize) -> Option<(usize, usize)> {
        let first = self.lines[line].first_field as usize;
        let next =
            self.lines.get(line + 1).map_or(self.fields.len(), |next| next.first_field as usize);
        let index = first.checked_add(number.checked_sub(1)?)?;
        if index >= next {
            return None;
        }
        let start = self.fields[index] as usize;
        let end = match self.fields.get(index + 1) {
            Some(&following) if index + 1 < next => following as usize - 1,
            _ => self.lines[line].end as usize,
        };
        // MSH-1 begins where it ends: the next field begins right behind it.
        Some((
            start,
            if start == end && self.is_own_delimiter(line, number) { end + 1 } else { end },
        ))
    }

    pub(crate) fn field_count(&self, line: usize) -> usize {
        let next =
            self.lines.get(line + 1).map_or(self.fields.len(), |next| next.first_field as usize);
        next - self.lines[line].first_field as usize
    }

    fn is_own_delimiter(&self, line: usize, number: usize) -> bool {
        number == 1
            && self.fields[self.lines[line].first_field as usize] == self.lines[line].start + 3
    }
}

struct Builder<'b> {
    bytes: &'b [u8],
    delimiters: Delimiters,
    start: usize,
    found: Index,
    first_field: usize,
    style: Option<LineEnd>,
}

impl Builder<'_> {
    fn begin(&mut self, start: usize) {
        self.start = start;
        self.first_field = self.found.fields.len();
    }

    fn mark(&mut self, at: usize, line_feeds: bool) -> Result<(), TooMany> {
        let next = self.bytes.get(at + 1);
        match self.bytes[at] {
            b'\r' if line_feeds && next == Some(&b'\n') => {
                self.end_line(at, LineEnd::Both)?;
                self.begin(at + 2);
            }
            b'\r' => {
                self.end_line(at, LineEnd::CarriageReturn)?;
                self.begin(at + 1);
            }
            // One before the start of the line was part of a line end.
            b'\n' if line_feeds && at >= self.start && self.is_end(at) => {
                self.end_line(at, LineEnd::LineFeed)?;
                self.begin(at + 1);
            }
            b'\n' => {}
            _ => self.field(at)?,
        }
        Ok(())
    }

    fn field(&mut self, at: usize) -> Result<(), TooMany> {
        // In MSH (and the batch headers) the first delimiter is a field of its own.
        if at == self.start + 3 && is_header(&self.bytes[self.start..at]) {
            self.found.fields.push(offset(at));
        }
        self.found.fields.push(offset(at + 1));
        if self.found.fields.len() > MAX_FIELDS { Err(TooMany) } else { Ok(()) }
    }

    /// In a message whose segments end with carriage returns, a line feed inside a text is content
    /// unless a segment begins behind it. To cut there would lose the rest of the field.
    fn is_end(&self, at: usize) -> bool {
        if self.style != Some(LineEnd::CarriageReturn) {
            return true;
        }
        let rest = &self.bytes[at + 1..];
        let head = &rest[..rest.len().min(4)];
        let head = &head[..memchr::memchr2(b'\r', b'\n', head).unwrap_or(head.len())];
        head.is_empty() || begins_segment(head, self.delimiters.field)
    }

    fn end_line(&mut self, end: usize, style: LineEnd) -> Result<(), TooMany> {
        match self.style {
            None => {
                self.style = Some(style);
                self.found.tolerated.line_end = style;
            }
            Some(usual) if usual != style => self.found.tolerated.mixed_line_ends = true,
            Some(_) => {}
        }
        self.push_line(end)
    }

    fn push_line(&mut self, end: usize) -> Result<(), TooMany> {
        let line = &self.bytes[self.start..end];
        if line.iter().all(|byte| *byte == 0) {
            self.found.tolerated.blank_lines += 1;
            return Ok(());
        }
        let named = begins_segment(line, self.delimiters.field);
        if !named {
            self.found.tolerated.odd_lines += 1;
            self.found.fields.truncate(self.first_field);
        } else if line.starts_with(b"MSH") && !self.found.lines.is_empty() {
            self.found.tolerated.further_headers += 1;
        }
        if self.found.lines.len() == MAX_SEGMENTS {
            return Err(TooMany);
        }
        self.found.lines.push(Line {
            start: offset(self.start),
            end: offset(end),
            first_field: offset(self.first_field),
            named,
        });
        Ok(())
    }

    fn finish(mut self) -> Result<Index, TooMany> {
        let end = self.bytes.len();
        if self.start < end {
            // What a sender pads with is no segment.
            let padding = self.bytes[self.start..].iter().all(|byte| *byte == 0);
            self.found.tolerated.last_end_missing = !padding;
            self.push_line(end)?;
        }
        Ok(self.found)
    }
}

fn begins_segment(line: &[u8], field: u8) -> bool {
    line.len() >= 3
        && line[0].is_ascii_uppercase()
        && line[1..3].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        && line.get(3).is_none_or(|&next| next == field)
}

fn is_header(name: &[u8]) -> bool {
    matches!(name, b"MSH" | b"FHS" | b"BHS")
}

/// Offsets fit: the caller has bounded the length.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::{Index, LineEnd};
    use crate::delimiters::Delimiters;

    fn lines(text: &str) -> (Vec<&str>, Index) {
        let found = Index::find(text.as_bytes(), 0, Delimiters::default(), true).expect("small");
        let texts = found.lines.iter().map(|line| &text[line.start as usize..line.end as usize]);
        (texts.collect(), found)
    }

    fn fields<'t>(text: &'t str, found: &Index, line: usize) -> Vec<&'t str> {
        let count = found.field_count(line);
        let ranges = (1..=count).map(|number| found.field(line, number).expect("counted"));
        ranges.map(|(start, end)| &text[start..end]).collect()
    }

    #[test]
    fn fields_are_counted_from_one_and_msh_counts_its_delimiter() {
        let text = "MSH|^~\\&|PAS||x\rEVN\rPID|1||";
        let (texts, found) = lines(text);
        assert_eq!(texts, ["MSH|^~\\&|PAS||x", "EVN", "PID|1||"]);
        assert_eq!(fields(text, &found, 0), ["|", "^~\\&", "PAS", "", "x"]);
        assert_eq!(fields(text, &found, 1), [""; 0]);
        assert_eq!(fields(text, &found, 2), ["1", "", ""]);
        assert_eq!(found.field(2, 4), None);
        assert_eq!(found.field(2, 0), None);
        assert!(found.tolerated.last_end_missing);
    }

    #[test]
    fn all_line_ends_are_read_and_reported() {
        let cases = [
            ("MSH|^~\\&|A\rPID|1\rPV1|1\r", LineEnd::CarriageReturn, false),
            ("MSH|^~\\&|A\nPID|1\nPV1|1\n", LineEnd::LineFeed, false),
            ("MSH|^~\\&|A\r\nPID|1\r\nPV1|1\r\n", LineEnd::Both, false),
            ("MSH|^~\\&|A\r\nPID|1\rPV1|1\n", LineEnd::Both, true),
            ("MSH|^~\\&|A\rPID|1\nPV1|1\n", LineEnd::CarriageReturn, true),
        ];
        for (text, end, mixed) in cases {
            let (texts, found) = lines(text);
            assert_eq!(texts, ["MSH|^~\\&|A", "PID|1", "PV1|1"], "{text:?}");
            assert_eq!((found.tolerated.line_end, found.tolerated.mixed_line_ends), (end, mixed));
            assert!(!found.tolerated.last_end_missing);
            assert_eq!((found.tolerated.blank_lines, found.tolerated.odd_lines), (0, 0));
        }
    }

    #[test]
    fn a_line_feed_inside_a_text_cuts_nothing() {
        let text = "MSH|^~\\&|A\rOBX|1|TX|||one\ntwo\n||F\rNTE|1||x\n";
        let (texts, found) = lines(text);
        assert_eq!(texts, ["MSH|^~\\&|A", "OBX|1|TX|||one\ntwo\n||F", "NTE|1||x"]);
        assert_eq!(fields(text, &found, 1)[4], "one\ntwo\n");
        assert_eq!(fields(text, &found, 1)[6], "F");
    }

    #[test]
    fn nul_that_only_pads_is_blank() {
        let (texts, found) = lines("MSH|^~\\&|A\r\0\0\rPID|1\r\0\0\0");
        assert_eq!(texts, ["MSH|^~\\&|A", "PID|1"]);
        assert_eq!((found.tolerated.blank_lines, found.tolerated.odd_lines), (2, 0));
        assert!(!found.tolerated.last_end_missing);
    }

    #[test]
    fn other_messages_are_counted() {
        let (_, found) = lines("MSH|^~\\&|A\rPID|1\rMSH|^~\\&|B\rMSHX|\r");
        assert_eq!(found.tolerated.further_headers, 1);
    }

    #[test]
    fn odd_and_blank_lines_are_kept_and_counted() {
        let (texts, found) = lines("MSH|^~\\&|A\r\rhello|x\rpid|1\rZU1|a\r PV1|1\rPV");
        assert_eq!(texts, ["MSH|^~\\&|A", "hello|x", "pid|1", "ZU1|a", " PV1|1", "PV"]);
        assert_eq!((found.tolerated.blank_lines, found.tolerated.odd_lines), (1, 4));
        let named: Vec<bool> = found.lines.iter().map(|line| line.named).collect();
        assert_eq!(named, [true, false, false, true, false, false]);
        assert_eq!(found.field_count(1), 0);
        assert_eq!(found.field_count(3), 1);
    }

    #[test]
    fn line_feeds_end_nothing_where_the_source_says_so() {
        let text = b"MSH|^~\\&|A\nPID|1\rPV1|1";
        let found = Index::find(text, 0, Delimiters::default(), false).expect("small");
        assert_eq!(found.lines.len(), 2);
    }

    #[test]
    fn hostile_numbers_of_parts_are_refused() {
        let fields = [b"MSH|^~\\&|".as_slice(), &vec![b'|'; super::MAX_FIELDS]].concat();
        assert!(Index::find(&fields, 0, Delimiters::default(), true).is_err());
        let lines = [b"MSH|^~\\&|\r".as_slice(), &b"a\r".repeat(super::MAX_SEGMENTS)].concat();
        assert!(Index::find(&lines, 0, Delimiters::default(), true).is_err());
        let blank = [b"MSH|^~\\&|\r".as_slice(), &vec![b'\r'; 3 << 20]].concat();
        assert!(Index::find(&blank, 0, Delimiters::default(), true).is_ok());
    }
}
