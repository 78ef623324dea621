//! The messages of a file, one after the other: a file may be larger than memory.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use hl7::delimiters::leading;

/// Messages of a file, with or without batch segments or MLLP frames round them.
///
/// A message begins at a line that begins with MSH; a line ends with a carriage return or a line
/// feed, as people's files have either.
pub(crate) struct Messages {
    reader: BufReader<Box<dyn Read + Send>>,
    /// The first line of the next message.
    begun: Option<Cut>,
    /// Whether nothing but junk was read.
    is_first: bool,
}

/// A message, as far as it was kept.
pub(crate) struct Cut {
    pub(crate) bytes: Vec<u8>,
    /// Whether all of it was: no message is as long as what is cut off.
    pub(crate) whole: bool,
}

/// Longest message that is kept.
const LONGEST: usize = 32 * 1024 * 1024;
/// Segments round the messages of a batch.
const ENVELOPE: [&[u8]; 4] = [b"FHS", b"BHS", b"BTS", b"FTS"];
/// What MLLP writes round messages, and what fills files up.
const FRAME: [u8; 3] = [0x0b, 0x1c, 0];

impl Messages {
    /// Reads to the first message; nothing if there is none.
    pub(crate) fn begin(reader: Box<dyn Read + Send>) -> io::Result<Option<Self>> {
        let mut messages = Self { reader: BufReader::new(reader), begun: None, is_first: true };
        messages.seek()?;
        Ok(messages.begun.is_some().then_some(messages))
    }

    /// The next message.
    pub(crate) fn next(&mut self) -> io::Result<Option<Cut>> {
        self.seek()?;
        let Some(mut message) = self.begun.take() else { return Ok(None) };
        while let Some(line) = self.line()? {
            if is_segment(&line.bytes, b"MSH") {
                self.begun = Some(line);
                break;
            }
            if ENVELOPE.iter().any(|name| is_segment(&line.bytes, name)) {
                break;
            }
            message.whole &= line.whole && message.bytes.len() + line.bytes.len() <= LONGEST;
            if message.whole {
                message.bytes.extend_from_slice(&line.bytes);
            }
        }
        Ok(Some(message))
    }

    /// Reads to where a message begins.
    fn seek(&mut self) -> io::Result<()> {
        while self.begun.is_none()
            && let Some(line) = self.line()?
        {
            self.begun = Some(line).filter(|line| is_segment(&line.bytes, b"MSH"));
        }
        Ok(())
    }

    /// The next line with its end, without what frames it.
    fn line(&mut self) -> io::Result<Option<Cut>> {
        let mut line = Cut { bytes: Vec::new(), whole: true };
        let mut is_there = false;
        loop {
            let bytes = match self.reader.fill_buf() {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read?,
            };
            if bytes.is_empty() {
                break;
            }
            is_there = true;
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let taken = end.map_or(bytes.len(), |end| end + 1);
            line.whole &= line.bytes.len() + taken <= LONGEST;
            if line.whole {
                line.bytes.extend_from_slice(&bytes[..taken]);
            }
            self.reader.consume(taken);
            if end.is_some() {
                break;
            }
        }
        let junk = if self.is_first { leading(&line.bytes) } else { 0 };
        let framed = line.bytes[junk..].iter().take_while(|byte| FRAME.contains(byte)).count();
        line.bytes.drain(..junk + framed);
        self.is_first &= line.bytes.is_empty();
        Ok(is_there.then_some(line))
    }
}

fn is_segment(line: &[u8], name: &[u8]) -> bool {
    line.strip_prefix(name).and_then(<[u8]>::first).is_some_and(u8::is_ascii_punctuation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(file: &[u8]) -> Vec<String> {
        let reader = Box::new(io::Cursor::new(file.to_vec()));
        let Some(mut messages) = Messages::begin(reader).expect("read") else { return Vec::new() };
        let mut all = Vec::new();
        while let Some(cut) = messages.next().expect("read") {
            assert!(cut.whole);
            all.push(String::from_utf8(cut.bytes).expect("text"));
        }
        all
    }

    #[test]
    fn a_file_is_cut_into_its_messages() {
        let (one, other) = ("MSH|^~\\&|1\rPID|1\r", "MSH|^~\\&|2\rPID|2\r");
        for file in [
            format!("{one}{other}"),
            format!("\u{feff}\r\n {one}{other}"),
            format!("FHS|^~\\&\rBHS|^~\\&\r{one}{other}BTS|2\rFTS|1\r"),
            format!("BHS|^~\\&\r{one}BTS|1\rBHS|^~\\&\r{other}BTS|1\r"),
            format!("\u{b}{one}\u{1c}\r\u{b}{other}\u{1c}\r"),
        ] {
            let found: Vec<String> =
                cut(file.as_bytes()).iter().map(|of| of.trim_end().to_owned()).collect();
            assert_eq!(found, [one.trim_end(), other.trim_end()], "{file:?}");
        }
        let fed = cut(b"MSH|1\nPID|1\nNTE|1||MSH|not one\n\nMSH|2\n");
        assert_eq!(fed, ["MSH|1\nPID|1\nNTE|1||MSH|not one\n\n", "MSH|2\n"]);
        assert!(cut(b"").is_empty() && cut(b"MSHX\rPID|1\rMSH").is_empty());
    }

    #[test]
    fn what_is_too_long_is_no_message_and_takes_no_memory() {
        let endless = io::repeat(b'x').take(2 * LONGEST as u64);
        let reader = b"MSH|1\rOBX|".chain(endless).chain(&b"\rMSH|2\r"[..]);
        let mut messages = Messages::begin(Box::new(reader)).expect("read").expect("messages");
        let first = messages.next().expect("read").expect("a message");
        assert!(!first.whole && first.bytes.len() < 16);
        let second = messages.next().expect("read").expect("a message");
        assert!(second.whole && second.bytes == b"MSH|2\r");
        assert!(messages.next().expect("read").is_none());
    }
}
