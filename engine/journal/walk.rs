//! Walking through the batches of one volume, in large reads.

use std::{io, sync::Arc};

use bytes::Bytes;

use crate::{
    contents::{CHUNK, Contents},
    entries::Entries,
    format::{BatchHeader, HEADER, UNIT, checksum, units},
};

/// A place in a volume, and the bytes read around it.
#[derive(Debug)]
pub(crate) struct Walk {
    contents: Arc<Contents>,
    volume: u64,
    /// The byte where the next batch should start.
    pub(crate) at: u64,
    /// The byte behind the last that may be looked at. May rise; what was read before stays true,
    /// because nothing below it is ever written again.
    pub(crate) limit: u64,
    window: Bytes,
    window_at: u64,
}

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Step {
    /// A valid batch; the walk went on behind it.
    Batch { at: u64, header: BatchHeader, body: Bytes },
    /// No valid batch; the walk stays. The number of the batch, if its header is valid.
    Bad(Option<u64>),
    /// Nothing more may be looked at.
    End,
}

impl Walk {
    pub(crate) fn new(contents: Arc<Contents>, volume: u64, at: u64, limit: u64) -> Walk {
        Walk { contents, volume, at, limit, window: Bytes::new(), window_at: 0 }
    }

    /// `length` bytes from `at`, or fewer at the limit or where the volume's bytes end.
    fn bytes(&mut self, at: u64, length: u64) -> io::Result<Bytes> {
        let length = length.min(self.limit.saturating_sub(at));
        let have = self.window_at..self.window_at + self.window.len() as u64;
        if at < have.start || at + length > have.end {
            (self.window_at, self.window) = self.contents.window(at, length, self.limit)?;
        }
        let start = usize::try_from(at - self.window_at).unwrap_or(usize::MAX);
        let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(self.window.slice(start.min(self.window.len())..end.min(self.window.len())))
    }

    /// The header of the batch that starts at `at`, if one does.
    pub(crate) fn header_at(&mut self, at: u64) -> io::Result<Option<BatchHeader>> {
        Ok(BatchHeader::decode(&self.bytes(at, UNIT)?, self.volume))
    }

    /// The batch at the present place, verified, and on to the next.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        if self.at + UNIT > self.limit {
            return Ok(Step::End);
        }
        let at = self.at;
        let Some(header) = self.header_at(at)? else {
            return Ok(Step::Bad(None));
        };
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let mut body = self.bytes(at, UNIT + u64::from(header.length))?;
        if body.len() != HEADER.saturating_add(length) {
            return Ok(Step::Bad(None));
        }
        let body = body.split_off(HEADER);
        if checksum(self.volume, &body) != header.body_crc {
            return Ok(Step::Bad(Some(header.number)));
        }
        self.at = at + header.stride();
        Ok(Step::Batch { at, header, body })
    }

    /// The next place behind the present one where a valid header stands whose number is in
    /// `numbers`. The walk stays.
    pub(crate) fn look_ahead(
        &mut self,
        numbers: std::ops::Range<u64>,
    ) -> io::Result<Option<(u64, BatchHeader)>> {
        let mut at = self.at + UNIT;
        while at + UNIT <= self.limit {
            let chunk = self.bytes(at, CHUNK)?;
            if chunk.len() < HEADER {
                break;
            }
            for (unit, place) in chunk.chunks_exact(HEADER).zip((at..).step_by(HEADER)) {
                let header = BatchHeader::decode(unit, self.volume);
                if let Some(header) = header.filter(|header| numbers.contains(&header.number)) {
                    return Ok(Some((place, header)));
                }
            }
            at += (chunk.len() / HEADER * HEADER) as u64;
        }
        Ok(None)
    }

    /// What can be saved of a damaged batch at the present place, whose bytes end before `to`.
    pub(crate) fn salvage(&mut self, to: u64) -> io::Result<Entries> {
        let body_at = self.at + UNIT;
        let known = self.header_at(self.at)?;
        let length = known.map_or(u64::MAX, |header| u64::from(header.length));
        let body = self.bytes(body_at, length.min(to.saturating_sub(body_at)))?;
        let written = known.map_or(0, |header| header.written);
        Ok(Entries::of(self.volume, written, units(self.at), body, false))
    }

    /// Whether nothing but zeros stands from the present place to the limit.
    pub(crate) fn rest_is_blank(&mut self) -> io::Result<bool> {
        let mut at = self.at;
        while at < self.limit {
            let chunk = self.bytes(at, CHUNK)?;
            if chunk.is_empty() {
                break;
            }
            // Whole words at a time; this runs over a volume at every start.
            let (words, rest) = chunk.as_chunks::<64>();
            if words.iter().any(|word| *word != [0; 64]) || rest.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += chunk.len() as u64;
        }
        Ok(true)
    }
}
