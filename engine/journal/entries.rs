//! The bytes of entries in a batch, as drawn in the crate's documentation.

use bytes::Bytes;

use crate::{
    entry::{Entry, Kind, MessageId, Position},
    format::{Eye, HEADER, checksum},
};

/// An entry's header in bytes.
pub(crate) const ENTRY_HEADER: usize = 24;
/// What stands before the body of a carried entry: the position it was copied from.
const ORIGIN: usize = 16;

const SETTLES: u8 = 1;
const CARRIED: u8 = 2;

/// An entry to be written.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: Kind,
    pub(crate) settles: bool,
    /// Where a carried entry was copied from.
    pub(crate) origin: Option<Position>,
    pub(crate) body: Bytes,
}

impl Draft {
    fn stored(&self) -> usize {
        self.body.len() + if self.origin.is_some() { ORIGIN } else { 0 }
    }

    /// Bytes it takes in a batch.
    pub(crate) fn size(&self) -> usize {
        (ENTRY_HEADER + self.stored()).next_multiple_of(8)
    }

    /// Appends the entry's bytes to a batch's.
    pub(crate) fn encode(&self, id: u64, volume: u64, batch: &mut Vec<u8>) {
        let start = batch.len();
        let length = u32::try_from(self.stored()).unwrap_or(u32::MAX);
        let flags = if self.settles { SETTLES } else { 0 }
            | if self.origin.is_some() { CARRIED } else { 0 };
        batch.extend_from_slice(&[0; 4]);
        batch.extend_from_slice(&length.to_le_bytes());
        batch.extend_from_slice(&id.to_le_bytes());
        batch.extend_from_slice(&[self.kind as u8, flags, 0, 0, 0, 0, 0, 0]);
        if let Some(origin) = self.origin {
            batch.extend_from_slice(&origin.to_bytes());
        }
        batch.extend_from_slice(&self.body);
        let crc = checksum(volume, batch.get(start + 4..).unwrap_or_default());
        if let Some(place) = batch.get_mut(start..start + 4) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        batch.resize(start + self.size(), 0);
    }
}

/// An entry's header as read, and whether the entry's own checksum holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryHeader {
    crc: u32,
    pub(crate) length: usize,
    id: u64,
    kind: u8,
    flags: u8,
}

impl EntryHeader {
    pub(crate) fn decode(bytes: &[u8]) -> Option<EntryHeader> {
        let mut eye = Eye(bytes);
        Some(EntryHeader {
            crc: eye.u32()?,
            length: usize::try_from(eye.u32()?).ok()?,
            id: eye.u64()?,
            kind: eye.take::<1>()?[0],
            flags: eye.take::<1>()?[0],
        })
    }

    /// Bytes from this entry's start to the next one's.
    pub(crate) fn stride(&self) -> usize {
        (ENTRY_HEADER + self.length).next_multiple_of(8)
    }

    /// Whether `bytes`, which start with this header, are as they were written.
    pub(crate) fn holds(&self, volume: u64, bytes: &[u8]) -> bool {
        bytes
            .get(4..ENTRY_HEADER + self.length)
            .is_some_and(|covered| checksum(volume, covered) == self.crc)
    }

    /// The entry, from the bytes that start with this header.
    pub(crate) fn entry(&self, position: Position, written: u64, bytes: &Bytes) -> Option<Found> {
        let carried = self.flags & CARRIED != 0;
        let end = ENTRY_HEADER + self.length;
        let start = ENTRY_HEADER + if carried { ORIGIN } else { 0 };
        if start > end || end > bytes.len() {
            return None;
        }
        let origin = if carried {
            let mut eye = Eye(bytes.get(ENTRY_HEADER..start)?);
            Some(Position::from_bytes(eye.take()?))
        } else {
            None
        };
        let after = Position {
            entry: position.entry.checked_add(u32::try_from(self.stride()).ok()?)?,
            ..position
        };
        let entry = Entry {
            kind: Kind::from_byte(self.kind)?,
            id: MessageId(self.id),
            settles: self.flags & SETTLES != 0,
            carried,
            position,
            after,
            written,
            body: bytes.slice(start..end),
        };
        Some(Found { entry, origin })
    }
}

/// An entry and, when it is a carried copy, where it was copied from.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) entry: Entry,
    pub(crate) origin: Option<Position>,
}

/// The entries of one batch.
#[derive(Clone, Debug)]
pub(crate) struct Entries {
    volume: u64,
    batch: u32,
    written: u64,
    body: Bytes,
    at: usize,
    /// The batch's own checksum holds, so entries need no check of theirs.
    whole: bool,
}

impl Entries {
    /// The entries in the body of the batch at `batch` (in units); `whole` when the batch's own
    /// checksum holds.
    pub(crate) fn of(volume: u64, written: u64, batch: u32, body: Bytes, whole: bool) -> Entries {
        Entries { volume, batch, written, body, at: 0, whole }
    }

    /// A batch without entries.
    pub(crate) fn none() -> Entries {
        Entries { volume: 0, batch: 0, written: 0, body: Bytes::new(), at: 0, whole: true }
    }
}

impl Iterator for Entries {
    type Item = Found;

    /// The next entry; from a damaged batch, the next one whose own checksum still holds.
    fn next(&mut self) -> Option<Found> {
        loop {
            let rest = self.body.get(self.at..).filter(|rest| rest.len() >= ENTRY_HEADER)?;
            let header = EntryHeader::decode(rest)?;
            let good = self.whole || header.holds(self.volume, rest);
            let start = self.at;
            self.at = self.at.checked_add(header.stride())?;
            if good {
                let position = Position {
                    volume: self.volume,
                    batch: self.batch,
                    entry: u32::try_from(HEADER + start).ok()?,
                };
                return header.entry(position, self.written, &self.body.slice(start..));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(volume: u64, drafts: &[Draft]) -> Vec<u8> {
        let mut body = Vec::new();
        for (id, draft) in (1..).zip(drafts) {
            draft.encode(id, volume, &mut body);
        }
        body
    }

    fn draft(body: &'static [u8], origin: Option<Position>) -> Draft {
        Draft { kind: Kind::Accepted, settles: false, origin, body: Bytes::from_static(body) }
    }

    #[test]
    fn entries_come_back_with_their_origin() {
        let origin = Position { volume: 1, batch: 2, entry: 64 };
        let body = body(9, &[draft(b"one", None), draft(b"", Some(origin))]);
        let found: Vec<Found> = Entries::of(9, 7, 1, body.into(), true).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].entry.body, Bytes::from_static(b"one"));
        assert_eq!((found[0].origin, found[1].origin), (None, Some(origin)));
        assert_eq!(found[0].entry.after, found[1].entry.position);
        assert!(found[1].entry.carried && found[1].entry.body.is_empty());
    }

    #[test]
    fn a_flipped_bit_costs_one_entry_of_a_damaged_batch() {
        let mut damaged = body(9, &[draft(b"one", None), draft(b"two", None)]);
        damaged[ENTRY_HEADER] ^= 4;
        let found: Vec<Found> = Entries::of(9, 7, 1, damaged.into(), false).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].entry.body, Bytes::from_static(b"two"));
    }
}
