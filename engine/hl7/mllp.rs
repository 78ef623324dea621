//! MLLP without a socket: frames out of bytes, however those are cut.
//!
//! A frame is VT, content, FS, CR (MLLP release 1). Real peers differ, so FS followed by VT ends a
//! frame, too, several FS at the end count as one, and FS, CR or LF between frames is nothing. FS
//! followed by anything else, and VT inside a frame, is content: nothing is cut in two on a guess. That a
//! VT with a message behind it begins another one is for [`several`](crate::several::several) to see.
//! Only where a source is known to leave out FS ([`FrameLimits::open_end`]) does VT with a header
//! behind it, or a pause, end a frame.

use bytes::{Buf, Bytes, BytesMut};

const START: u8 = 0x0B;
const END: u8 = 0x1C;
const RETURN: u8 = 0x0D;
/// A buffer that grew beyond this is given back as soon as it is empty.
const KEPT_CAPACITY: usize = 16 * 1024;
/// Content up to this length is copied out; longer content takes the buffer with it.
const COPIED: usize = 64 * 1024;

/// How much a peer may make the decoder hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameLimits {
    /// The longest content of a frame, in bytes.
    pub max_frame: usize,
    /// How many bytes of a longer one are kept, at most `max_frame`.
    pub keep_oversize: usize,
    /// Whether the peer may leave out FS. A frame then also ends before a VT that follows a segment
    /// end and has MSH, FHS or BHS behind it, or when [`FrameDecoder::end_by_pause`] says so.
    pub open_end: bool,
}

impl Default for FrameLimits {
    fn default() -> Self {
        Self { max_frame: 32 << 20, keep_oversize: 64 << 10, open_end: false }
    }
}

/// What was found in the bytes of a connection.
#[derive(Clone, PartialEq, Eq)]
pub enum Decoded {
    /// The content of a frame, without VT, FS and CR.
    Frame(Bytes),
    /// A frame longer than allowed has ended.
    Oversize {
        /// How it began.
        head: Bytes,
        /// The length of its content in bytes.
        size: u64,
    },
    /// Bytes other than CR and LF stood before the frame that begins now.
    Junk {
        /// How many.
        bytes: usize,
    },
}

/// What a pause after the last byte received would mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Nothing: a frame has not begun, or is in its midst.
    Nothing,
    /// FS came last, so that only the CR behind it is missing: the frame has ended.
    Ended,
    /// A segment has ended, and the peer may leave out FS: the frame may have ended.
    MayHaveEnded,
}

/// Finds frames in the bytes of one connection.
///
/// [`push`](Self::push) bytes as they come, then take [`next_frame`](Self::next_frame) until there is
/// none. What is found does not depend on how the bytes were cut. No byte is looked at twice.
pub struct FrameDecoder {
    limits: FrameLimits,
    buffer: BytesMut,
    state: State,
}

enum State {
    /// Before a VT, having passed over so many bytes of junk.
    Between { junk: usize },
    /// Behind a VT; the first `scanned` bytes of the buffer hold no end.
    Inside { scanned: usize },
    /// In a frame that is too long. `pending` means that the last byte was FS, which is not yet part
    /// of `size`.
    Skipping { head: Bytes, size: u64, pending: bool },
}

impl FrameDecoder {
    /// A decoder for a new connection.
    pub fn new(limits: FrameLimits) -> Self {
        let keep_oversize = limits.keep_oversize.min(limits.max_frame);
        let limits = FrameLimits { keep_oversize, ..limits };
        Self { limits, buffer: BytesMut::new(), state: State::Between { junk: 0 } }
    }

    /// Adds bytes that were received.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// What comes next in the bytes received so far, if it is complete.
    pub fn next_frame(&mut self) -> Option<Decoded> {
        let found = loop {
            let step = match self.state {
                State::Between { junk } => self.between(junk),
                State::Inside { scanned } => self.inside(scanned),
                State::Skipping { .. } => self.skipping(),
            };
            match step {
                Step::Found(decoded) => break Some(decoded),
                Step::Onward => {}
                Step::Wait => break None,
            }
        };
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_CAPACITY {
            self.buffer = BytesMut::new();
        }
        found
    }

    /// How many bytes are held.
    pub fn buffered(&self) -> usize {
        let head = if let State::Skipping { head, .. } = &self.state { head.len() } else { 0 };
        self.buffer.len() + head
    }

    /// Whether a frame has begun that has not ended.
    pub fn in_frame(&self) -> bool {
        !matches!(self.state, State::Between { .. })
    }

    /// How many bytes of junk stand before the next frame so far: a peer that never frames anything
    /// is known by this.
    pub fn junk(&self) -> usize {
        if let State::Between { junk } = self.state { junk } else { 0 }
    }

    /// What a pause now would mean.
    pub fn pause(&self) -> Pause {
        match &self.state {
            State::Between { .. } => Pause::Nothing,
            State::Skipping { pending: true, .. } => Pause::Ended,
            State::Inside { .. } => match self.buffer.last() {
                Some(&END) => Pause::Ended,
                Some(b'\r' | b'\n') if self.limits.open_end => Pause::MayHaveEnded,
                _ => Pause::Nothing,
            },
            State::Skipping { .. } => Pause::Nothing,
        }
    }

    /// Takes the last byte received for the end of the frame, as for a peer that leaves out the CR,
    /// or FS as well, and now waits. To be called after a pause, since only that tells; `next_frame`
    /// then gives the frame. Nothing happens where a pause means [`Pause::Nothing`].
    pub fn end_by_pause(&mut self) {
        match self.pause() {
            Pause::Nothing => {}
            Pause::Ended => self.buffer.extend_from_slice(&[RETURN]),
            Pause::MayHaveEnded => self.buffer.extend_from_slice(&[END, RETURN]),
        }
    }

    fn between(&mut self, junk: usize) -> Step {
        let start = memchr::memchr(START, &self.buffer);
        let passed = &self.buffer[..start.unwrap_or(self.buffer.len())];
        let blank = passed.iter().filter(|byte| matches!(**byte, b'\r' | b'\n' | END)).count();
        let junk = junk + passed.len() - blank;
        let Some(start) = start else {
            self.buffer.clear();
            self.state = State::Between { junk };
            return Step::Wait;
        };
        self.buffer.advance(start + 1);
        self.state = State::Inside { scanned: 0 };
        if junk == 0 { Step::Onward } else { Step::Found(Decoded::Junk { bytes: junk }) }
    }

    fn inside(&mut self, mut scanned: usize) -> Step {
        while let Some(found) = self.next_mark(scanned) {
            let end = scanned + found;
            let rest = &self.buffer[end + 1..];
            if self.buffer[end] == START {
                match begins_message(rest) {
                    // Of a frame that is too long nothing but its true end is looked for.
                    _ if end > self.limits.max_frame => scanned = end + 1,
                    Some(true) if self.after_segment(end) => {
                        return Step::Found(self.frame(end, START, 0));
                    }
                    None => return self.wait_inside(end),
                    Some(_) => scanned = end + 1,
                }
                continue;
            }
            match rest.first() {
                Some(&next) if ends(next) => return Step::Found(self.frame(end, next, 1)),
                Some(_) => scanned = end + 1,
                None => return self.wait_inside(end),
            }
        }
        self.wait_inside(self.buffer.len())
    }

    /// Where the next FS lies behind `scanned`; where FS may be missing, or the next VT.
    fn next_mark(&self, scanned: usize) -> Option<usize> {
        let rest = &self.buffer[scanned..];
        if self.limits.open_end {
            memchr::memchr2(END, START, rest)
        } else {
            memchr::memchr(END, rest)
        }
    }

    fn after_segment(&self, at: usize) -> bool {
        at.checked_sub(1).is_some_and(|before| matches!(self.buffer[before], b'\r' | b'\n'))
    }

    /// The first `content` bytes are known to be content.
    fn wait_inside(&mut self, content: usize) -> Step {
        if content <= self.limits.max_frame {
            self.state = State::Inside { scanned: content };
            return Step::Wait;
        }
        let head = Bytes::copy_from_slice(&self.buffer[..content.min(self.limits.keep_oversize)]);
        let pending = content < self.buffer.len();
        self.state = State::Skipping { head, size: content as u64, pending };
        self.buffer.clear();
        Step::Wait
    }

    /// Takes the first `end` bytes as a frame; `mark` bytes and then `next` stand behind them.
    fn frame(&mut self, end: usize, next: u8, mark: usize) -> Decoded {
        let keep = self.limits.keep_oversize;
        let decoded = if end > self.limits.max_frame {
            let head = Bytes::copy_from_slice(&self.buffer[..end.min(keep)]);
            self.buffer.advance(end);
            Decoded::Oversize { head, size: end as u64 }
        } else {
            let doubled = self.buffer[..end].iter().rev().take_while(|byte| **byte == END).count();
            let content = if end <= COPIED {
                let content = Bytes::copy_from_slice(&self.buffer[..end - doubled]);
                self.buffer.advance(end);
                content
            } else {
                let mut content = self.buffer.split_to(end).freeze();
                content.truncate(end - doubled);
                // What is left must not keep the long frame's memory alive.
                self.buffer = BytesMut::from(&self.buffer[..]);
                content
            };
            Decoded::Frame(content)
        };
        self.leave(mark, next);
        decoded
    }

    fn skipping(&mut self) -> Step {
        let State::Skipping { head, size, pending } = &mut self.state else { return Step::Onward };
        let mut at = 0;
        while at < self.buffer.len() {
            if std::mem::take(pending) {
                let next = self.buffer[at];
                if ends(next) {
                    let decoded = Decoded::Oversize { head: std::mem::take(head), size: *size };
                    self.leave(at, next);
                    return Step::Found(decoded);
                }
                // The FS was content.
                *size += 1;
            }
            let rest = &self.buffer[at..];
            let end = memchr::memchr(END, rest);
            *size += end.unwrap_or(rest.len()) as u64;
            *pending = end.is_some();
            at += end.map_or(rest.len(), |end| end + 1);
        }
        self.buffer.clear();
        Step::Wait
    }

    /// Passes over `count` bytes and the CR that ended a frame; a VT begins the next one.
    fn leave(&mut self, count: usize, next: u8) {
        self.buffer.advance(count + usize::from(next == RETURN));
        self.state = State::Between { junk: 0 };
    }
}

enum Step {
    Found(Decoded),
    Onward,
    Wait,
}

fn ends(next: u8) -> bool {
    matches!(next, RETURN | START)
}

/// Whether a message or a batch begins here; `None` if too few bytes came to tell.
fn begins_message(bytes: &[u8]) -> Option<bool> {
    let head = &bytes[..bytes.len().min(3)];
    let begun = [b"MSH", b"FHS", b"BHS"].iter().any(|name| name.starts_with(head));
    if begun && head.len() < 3 { None } else { Some(begun) }
}

/// Content as a frame, to be sent in one write.
pub fn encode_frame(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(content.len() + 3);
    frame.push(START);
    frame.extend_from_slice(content);
    frame.extend_from_slice(&[END, RETURN]);
    frame
}

impl std::fmt::Debug for Decoded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Frame(content) => write!(out, "Frame({} bytes)", content.len()),
            Self::Oversize { head, size } => {
                write!(out, "Oversize({} of {size} bytes)", head.len())
            }
            Self::Junk { bytes } => write!(out, "Junk({bytes} bytes)"),
        }
    }
}

impl std::fmt::Debug for FrameDecoder {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "FrameDecoder({} bytes held)", self.buffered())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Decoded, FrameDecoder, FrameLimits, Pause, encode_frame};

    const SMALL: FrameLimits = FrameLimits { max_frame: 8, keep_oversize: 4, open_end: false };

    fn drain(decoder: &mut FrameDecoder) -> Vec<Decoded> {
        std::iter::from_fn(|| decoder.next_frame()).collect()
    }

    fn decode(bytes: &[u8]) -> Vec<Decoded> {
        let mut decoder = FrameDecoder::new(SMALL);
        decoder.push(bytes);
        drain(&mut decoder)
    }

    fn frame(content: &'static [u8]) -> Decoded {
        Decoded::Frame(content.into())
    }

    #[test]
    fn frames_are_found_between_what_is_none() {
        assert_eq!(decode(b"\x0Babc\r\x1C\r\x0Bdef\x1C\r"), [frame(b"abc\r"), frame(b"def")]);
        assert_eq!(decode(b"\x0Babc\x1C\r\n\x0Bdef\x1C\r"), [frame(b"abc"), frame(b"def")]);
        assert_eq!(decode(b"GET /\r\n\x0Bx\x1C\r"), [Decoded::Junk { bytes: 5 }, frame(b"x")]);
        assert_eq!(decode(b"\x0B\x1C\r"), [frame(b"")]);
        assert_eq!(decode(b"\x0Babc\x1C\x0Bdef\x1C\r"), [frame(b"abc"), frame(b"def")]);
        assert_eq!(decode(b"\x0Ba\x1Cb\x0Bc\x1C\r"), [frame(b"a\x1Cb\x0Bc")]);
        assert_eq!(decode(b"\x0Babc\x1C"), []);
    }

    #[test]
    fn a_doubled_end_is_one() {
        assert_eq!(decode(b"\x0Babc\x1C\x1C\r\x0Bd\x1C\r"), [frame(b"abc"), frame(b"d")]);
        assert_eq!(decode(b"\x0Babc\x1C\r\x1C\r\x0Bd\x1C\r"), [frame(b"abc"), frame(b"d")]);
    }

    #[test]
    fn a_peer_that_leaves_out_the_end_can_be_served_where_that_is_said() {
        let bytes = b"\x0BMSH|1\r\x0BMSH|2\r\x0BPID\r\x0BMS";
        assert_eq!(decode(bytes), [], "VT is content otherwise");
        let limits = FrameLimits { open_end: true, ..FrameLimits::default() };
        let mut decoder = FrameDecoder::new(limits);
        decoder.push(bytes);
        assert_eq!(drain(&mut decoder), [frame(b"MSH|1\r")]);
        assert_eq!(decoder.pause(), Pause::Nothing, "a segment has begun");
        decoder.push(b"H|3\r");
        assert_eq!(drain(&mut decoder), [frame(b"MSH|2\r\x0BPID\r")]);
        assert_eq!(decoder.pause(), Pause::MayHaveEnded);
        decoder.end_by_pause();
        assert_eq!(drain(&mut decoder), [frame(b"MSH|3\r")]);
        decoder.push(b"\x0BMSH|4\r\x1C\r");
        assert_eq!(drain(&mut decoder), [frame(b"MSH|4\r")]);
    }

    #[test]
    fn a_long_frame_costs_its_head_only_and_the_next_one_is_found() {
        let mut decoder = FrameDecoder::new(SMALL);
        decoder.push(b"\x0Bhead");
        for _ in 0..1000 {
            decoder.push(&[b'x'; 1000]);
            assert_eq!(decoder.next_frame(), None);
            assert!(decoder.buffered() <= 4 && decoder.in_frame());
        }
        decoder.push(b"\x1C\r\x0Bnext\x1C\r");
        let head = b"head".as_slice().into();
        let size = 1_000_004;
        assert_eq!(drain(&mut decoder), [Decoded::Oversize { head, size }, frame(b"next")]);
        assert!(!decoder.in_frame());
        assert_eq!(decode(b"\x0B12345678\x1C\r"), [frame(b"12345678")]);
    }

    #[test]
    fn junk_without_end_is_counted_and_not_held() {
        let mut decoder = FrameDecoder::new(SMALL);
        for _ in 0..100 {
            decoder.push(b"MSH|^~\\&|\r");
            assert_eq!(decoder.next_frame(), None);
        }
        assert_eq!((decoder.junk(), decoder.buffered(), decoder.in_frame()), (900, 0, false));
    }

    #[test]
    fn a_peer_that_leaves_out_the_last_return_can_be_served() {
        let mut decoder = FrameDecoder::new(SMALL);
        decoder.push(b"\x0Babc\x1C");
        assert_eq!(decoder.next_frame(), None);
        assert_eq!(decoder.pause(), Pause::Ended);
        decoder.end_by_pause();
        assert_eq!(decoder.next_frame(), Some(frame(b"abc")));
        // Should the return come late, it is nothing.
        decoder.push(b"\r\x0Bdef\x1C\r");
        assert_eq!(drain(&mut decoder), [frame(b"def")]);
        decoder.end_by_pause();
        assert_eq!(decoder.next_frame(), None);
    }

    #[test]
    fn a_long_frame_leaves_no_large_buffer_behind() {
        let limits = FrameLimits { max_frame: 1 << 20, ..SMALL };
        let mut decoder = FrameDecoder::new(limits);
        decoder.push(&encode_frame(&vec![b'x'; 1 << 20]));
        decoder.push(b"\x0Bshort");
        let found = decoder.next_frame();
        assert!(matches!(found, Some(Decoded::Frame(content)) if content.len() == 1 << 20));
        assert_eq!(decoder.next_frame(), None);
        assert!(decoder.buffer.capacity() < 1024);
    }

    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(prop::sample::select(b"ab\x0B\x1C\r\n".to_vec()), 0..20),
            prop::sample::select(vec![b"\r\x0BMSH".to_vec(), b"\x0BMSH".to_vec()]),
            prop::collection::vec(prop::sample::select(b"abc\r".to_vec()), 0..12)
                .prop_map(|content| encode_frame(&content)),
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn the_same_frames_however_the_bytes_are_cut(
            bytes in pieces(),
            cuts in prop::collection::vec(1_usize..6, 1..40),
            open_end in any::<bool>(),
        ) {
            let limits = FrameLimits { open_end, ..SMALL };
            let mut decoder = FrameDecoder::new(limits);
            let mut found = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, behind) = rest.split_at((*cut).min(rest.len()));
                decoder.push(piece);
                found.extend(drain(&mut decoder));
                rest = behind;
            }
            let mut whole = FrameDecoder::new(limits);
            whole.push(&bytes);
            prop_assert_eq!(found, drain(&mut whole));
            prop_assert_eq!(decoder.in_frame(), whole.in_frame());
            prop_assert_eq!(decoder.junk(), whole.junk());
        }

        #[test]
        fn what_was_framed_is_found(contents in prop::collection::vec("[a-z\\r]{0,40}", 0..6)) {
            let mut decoder = FrameDecoder::new(FrameLimits::default());
            for content in &contents {
                decoder.push(&encode_frame(content.as_bytes()));
            }
            let expected: Vec<Decoded> =
                contents.into_iter().map(|content| Decoded::Frame(content.into())).collect();
            prop_assert_eq!(drain(&mut decoder), expected);
        }
    }
}
