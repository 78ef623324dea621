//! Frames on their way to a peer, well made or not.

use bytes::{Buf, BytesMut};
use hl7::mllp::encode_frame;

use crate::misbehaviour::Misbehaviour;

/// What is to be written, and how.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: BytesMut,
    /// So many of them, from the first, go one by one.
    singly: usize,
    /// What happens to the connection when all is written.
    ending: Option<Ending>,
}

/// How a connection is ended on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Close,
    Reset,
}

impl Outgoing {
    /// Adds a frame.
    pub(crate) fn add(&mut self, content: &[u8], manner: Option<Misbehaviour>) {
        let mut frame = encode_frame(content);
        match manner {
            Some(Misbehaviour::HalfFrame) => {
                frame.truncate(frame.len() / 2);
                self.ending = Some(Ending::Close);
            }
            Some(Misbehaviour::Reset) => self.ending = Some(Ending::Reset),
            Some(Misbehaviour::NoEndByte) => {
                frame.remove(frame.len() - 2);
            }
            _ => {}
        }
        self.bytes.extend_from_slice(&frame);
        if manner == Some(Misbehaviour::ByteAtATime) {
            self.singly = self.bytes.len();
        }
    }

    /// Nothing more is said: the connection is reset.
    pub(crate) fn reset(&mut self) {
        self.ending = Some(Ending::Reset);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the next write is to take.
    pub(crate) fn next(&self) -> &[u8] {
        if self.singly > 0 { &self.bytes[..1] } else { &self.bytes }
    }

    /// So much of it was written.
    pub(crate) fn written(&mut self, count: usize) {
        self.bytes.advance(count);
        self.singly = self.singly.saturating_sub(count);
    }

    /// Whether nothing may follow what is there.
    pub(crate) fn is_last(&self) -> bool {
        self.ending.is_some()
    }

    /// How the connection ends now.
    pub(crate) fn ending(&self) -> Option<Ending> {
        self.ending.filter(|_| self.bytes.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drained(manner: Option<Misbehaviour>) -> (Vec<Vec<u8>>, Option<Ending>) {
        let mut outgoing = Outgoing::default();
        outgoing.add(b"abcd\r", manner);
        assert!(outgoing.ending().is_none());
        let mut writes = Vec::new();
        while !outgoing.is_empty() {
            writes.push(outgoing.next().to_vec());
            outgoing.written(outgoing.next().len());
        }
        (writes, outgoing.ending())
    }

    #[test]
    fn each_kind_does_what_it_says() {
        assert_eq!(drained(None), (vec![b"\x0babcd\r\x1c\r".to_vec()], None));
        let half = drained(Some(Misbehaviour::HalfFrame));
        assert_eq!(half, (vec![b"\x0babc".to_vec()], Some(Ending::Close)));
        let unended = drained(Some(Misbehaviour::NoEndByte));
        assert_eq!(unended, (vec![b"\x0babcd\r\r".to_vec()], None));
        assert_eq!(drained(Some(Misbehaviour::Reset)).1, Some(Ending::Reset));
        let (bytes, ending) = drained(Some(Misbehaviour::ByteAtATime));
        assert_eq!((bytes.len(), ending), (8, None));
    }
}
