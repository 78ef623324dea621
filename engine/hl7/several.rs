//! Several messages in one frame or file, and batches (HL7 v2 section 2.10.3).
//!
//! A batch is `[FHS] { [BHS] { messages } [BTS] } [FTS]`. Neither belongs into an MLLP frame, and both
//! come in one. Each message is cut out to the byte; the envelope is looked at and left out.

use bytes::Bytes;

use crate::delimiters::leading;

/// VT, which begins a frame.
const START: u8 = 0x0B;
/// Segments round the messages of a batch.
const ENVELOPE: [&[u8; 3]; 4] = [b"FHS", b"BHS", b"BTS", b"FTS"];

/// Several messages that came as one. `Debug` shows numbers only.
#[derive(Clone, PartialEq, Eq)]
pub struct Several {
    /// The messages in their order, each from its MSH to what stands before the next one.
    pub messages: Vec<Bytes>,
    /// Whether batch segments stand round them.
    pub batch: bool,
    /// What BTS-1 (messages of the batch) and FTS-1 (batches of the file) say.
    pub counts: Counts,
}

/// Whether the counts of a batch are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// All that are given are right.
    Right,
    /// None is given.
    Unsaid,
    /// One is not: messages were lost, or the sender cannot count.
    Wrong,
}

/// The messages of a frame, if it holds a batch or more than one message. One message
/// alone, and what holds none, is `None`.
///
/// A message begins with an MSH at the beginning of a line. A line begins behind a carriage return,
/// and behind a line feed only where line feeds end the first line, too: a quoted message is text. It
/// also begins behind VT, of a frame before whose beginning FS was missing; that VT stays with the message
/// before it, which shows by it that nothing had ended it.
pub fn several(bytes: &Bytes) -> Option<Several> {
    find(bytes, Lines::of(bytes))
}

/// As [`several`], for what people keep in files: a line begins behind any line feed.
pub fn several_in_file(bytes: &Bytes) -> Option<Several> {
    find(bytes, Lines { line_feeds: true })
}

fn find(bytes: &Bytes, lines: Lines) -> Option<Several> {
    let start = leading(bytes);
    let batch = starts_with_any(&bytes[start..], [b"FHS", b"BHS"]);
    let mut headers = lines.headers(bytes);
    if !batch {
        headers.next()?;
        let second = headers.next()?;
        // What stands before the first MSH stays with it.
        let starts: Vec<usize> = [0, second].into_iter().chain(headers).collect();
        let ends = starts[1..].iter().copied().chain([bytes.len()]);
        let messages = starts.iter().zip(ends).map(|(&from, to)| bytes.slice(from..to)).collect();
        return Some(Several { messages, batch, counts: Counts::Unsaid });
    }
    let mut envelope: Vec<usize> = ENVELOPE.iter().flat_map(|n| lines.named(bytes, n)).collect();
    envelope.push(start);
    envelope.sort_unstable();
    envelope.dedup();
    let headers: Vec<usize> = headers.collect();
    let mut marks: Vec<usize> = headers.iter().chain(&envelope).copied().collect();
    marks.sort_unstable();
    let end = |at: usize| {
        let behind = marks.partition_point(|mark| *mark <= at);
        marks.get(behind).copied().unwrap_or(bytes.len())
    };
    let messages: Vec<Bytes> = headers.iter().map(|&at| bytes.slice(at..end(at))).collect();
    let counts = counts(bytes, &headers, &envelope);
    (!messages.is_empty()).then_some(Several { messages, batch, counts })
}

/// Compares what the trailers say with what there is.
fn counts(bytes: &[u8], headers: &[usize], envelope: &[usize]) -> Counts {
    let field = bytes.get(envelope[0] + 3).copied().unwrap_or(b'|');
    let (mut said, mut right) = (false, true);
    // Messages of the present batch begin behind this; and so many batches have begun.
    let (mut since, mut batches) = (0, 0);
    for &at in envelope {
        let line = line(&bytes[at..]);
        let count = match &line[..3] {
            b"BHS" => {
                (since, batches) = (at, batches + 1);
                continue;
            }
            b"BTS" => headers.iter().filter(|header| (since..at).contains(header)).count(),
            b"FTS" => batches,
            _ => continue,
        };
        let value = line.split(|byte| *byte == field).nth(1).unwrap_or_default().trim_ascii();
        if !matches!(value, b"" | b"\"\"") {
            said = true;
            let value = str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok());
            right &= value == Some(count);
        }
    }
    match (said, right) {
        (false, _) => Counts::Unsaid,
        (true, true) => Counts::Right,
        (true, false) => Counts::Wrong,
    }
}

/// What ends lines in some bytes.
#[derive(Clone, Copy)]
struct Lines {
    line_feeds: bool,
}

impl Lines {
    fn of(bytes: &[u8]) -> Self {
        let start = leading(bytes);
        let end = memchr::memchr2(b'\r', b'\n', &bytes[start..]).map(|end| start + end);
        let line_feeds = end.is_some_and(|end| {
            bytes[end] == b'\n' || bytes.get(end + 1).is_some_and(|next| *next == b'\n')
        });
        Self { line_feeds }
    }

    /// Where lines with this segment name begin; the first line, at `start`, among them.
    fn named<'b>(self, bytes: &'b [u8], name: &'b [u8; 3]) -> impl Iterator<Item = usize> {
        let start = leading(bytes);
        memchr::memmem::find_iter(bytes, name).filter(move |&at| {
            let begins = at == start
                || match at.checked_sub(1).map(|before| bytes[before]) {
                    Some(b'\r' | START) => true,
                    Some(b'\n') => self.line_feeds || (at > 1 && bytes[at - 2] == b'\r'),
                    _ => false,
                };
            begins && bytes.get(at + 3).is_none_or(|next| !next.is_ascii_alphanumeric())
        })
    }

    /// Where messages begin. One whose MSH is unreadable begins there, too: it is answered as any
    /// other is, and not taken for a part of the one before it.
    fn headers(self, bytes: &[u8]) -> impl Iterator<Item = usize> {
        let separated = |at: &usize| bytes.get(at + 3).is_some_and(u8::is_ascii_punctuation);
        self.named(bytes, b"MSH").filter(separated)
    }
}

fn starts_with_any<const N: usize>(bytes: &[u8], names: [&[u8; 3]; N]) -> bool {
    names.iter().any(|name| bytes.starts_with(*name))
}

fn line(bytes: &[u8]) -> &[u8] {
    &bytes[..memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len())]
}

impl std::fmt::Debug for Several {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, batch, counts) = (self.messages.len(), self.batch, self.counts);
        write!(out, "Several({count} messages, batch {batch}, counts {counts:?})")
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::{Counts, several, several_in_file};

    fn found(text: &'static str) -> Option<(Vec<&'static str>, bool, Counts)> {
        let several = several(&Bytes::from_static(text.as_bytes()))?;
        let texts = several.messages.iter().map(|message| {
            let at = message.as_ptr().addr() - text.as_ptr().addr();
            &text[at..at + message.len()]
        });
        Some((texts.collect(), several.batch, several.counts))
    }

    #[test]
    fn one_message_and_none_are_not_several() {
        for text in [
            "",
            "hello",
            "PID|1\r",
            "MSH|^~\\&|A\rPID|1\r",
            "MSH|^~\\&|A\rPID|MSH|\rMSHX|\r MSH|\r",
            "MSH|^~\\&|A\rNTE|1||as sent:\nMSH|^~\\&|B\r",
            "BHS|^~\\&\rBTS|0\r",
        ] {
            assert_eq!(found(text), None, "{text:?}");
        }
    }

    #[test]
    fn several_messages_are_cut_to_the_byte() {
        assert_eq!(
            found("\nMSH|^~\\&|A\rPID|1\r\n\r\nMSH|^~\\&|B\rMSH#x\r"),
            Some((
                vec!["\nMSH|^~\\&|A\rPID|1\r\n\r\n", "MSH|^~\\&|B\r", "MSH#x\r"],
                false,
                Counts::Unsaid
            ))
        );
        let file = Bytes::from_static(b"MSH|^~\\&|A\rPID|1\nMSH|^~\\&|B\r");
        assert!(several(&file).is_none());
        assert_eq!(several_in_file(&file).map(|found| found.messages.len()), Some(2));
        let (texts, ..) = found("MSH|^~\\&|A\nPID|1\nMSH|^~\\&|B\n").expect("two");
        assert_eq!(texts, ["MSH|^~\\&|A\nPID|1\n", "MSH|^~\\&|B\n"]);
    }

    #[test]
    fn a_frame_that_did_not_end_takes_no_other_with_it() {
        for (text, messages) in [
            (
                "MSH|^~\\&|A\rPID|1\r\x0BMSH|^~\\&|B\r",
                ["MSH|^~\\&|A\rPID|1\r\x0B", "MSH|^~\\&|B\r"],
            ),
            ("MSH|^~\\&|A\rPID|1\x0BMSH|^~\\&|B\r", ["MSH|^~\\&|A\rPID|1\x0B", "MSH|^~\\&|B\r"]),
        ] {
            assert_eq!(found(text), Some((messages.to_vec(), false, Counts::Unsaid)));
        }
        assert_eq!(found("MSH|^~\\&|A\rNTE|1||\x0BMSHA\r"), None);
    }

    #[test]
    fn a_batch_loses_its_envelope_and_its_counts_are_checked() {
        let cases = [
            ("FHS|^~\\&\rBHS|^~\\&\rMSH|A\rMSH|B\rBTS|2\rFTS|1\r", Counts::Right),
            ("FHS|^~\\&\rBHS|^~\\&\rMSH|A\rMSH|B\rBTS|2\rFTS|2\r", Counts::Wrong),
            ("BHS|^~\\&\rMSH|A\rMSH|B\rBTS|3\r", Counts::Wrong),
            ("BHS|^~\\&\rMSH|A\rMSH|B\rBTS|two\r", Counts::Wrong),
            ("BHS|^~\\&\rMSH|A\rMSH|B\rBTS|\r", Counts::Unsaid),
            ("BHS|^~\\&\rMSH|A\rMSH|B\r", Counts::Unsaid),
            ("BHS|^~\\&\nMSH|A\nMSH|B\nBTS| 2 |all\n", Counts::Right),
        ];
        for (text, counts) in cases {
            let (texts, batch, counted) = found(text).expect("a batch");
            let texts: Vec<&str> = texts.into_iter().map(str::trim_end).collect();
            assert_eq!((texts.as_slice(), batch), (["MSH|A", "MSH|B"].as_slice(), true), "{text}");
            assert_eq!(counted, counts, "{text}");
        }
        let two = "FHS|\rBHS|\rMSH|A\rBTS|1\rBHS|\rMSH|B\rMSH|C\rBTS|2\rFTS|2\r";
        assert_eq!(found(two), Some((vec!["MSH|A\r", "MSH|B\r", "MSH|C\r"], true, Counts::Right)));
    }

    #[test]
    fn a_batch_of_one_is_a_batch() {
        let (texts, ..) = found("BHS|^~\\&\rMSH|A\rPID|1\rBTS|1\r").expect("a batch");
        assert_eq!(texts, ["MSH|A\rPID|1\r"]);
    }

    proptest! {
        #[test]
        fn messages_together_are_what_came(text in "(MSH\\|[^BF\r\n]{0,9}[\r\n]{0,2}|[A-Z]{3}\\|\r){0,8}") {
            let bytes = Bytes::from(text.into_bytes());
            if let Some(several) = several(&bytes) {
                prop_assert!(several.batch || several.messages.concat() == bytes);
                prop_assert!(several.batch || several.messages.len() > 1);
            }
        }
    }
}
