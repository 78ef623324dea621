//! The bytes on disk, as drawn in the crate's documentation.
//!
//! Whoever changes a field here changes every journal in the field: raise [`VERSION`] and keep
//! reading the old one.

use bytes::Bytes;

use crate::entry::{Entry, Kind, MessageId, Position};

/// The format that is written.
pub(crate) const VERSION: u32 = 1;
/// Batches start at multiples of this; headers of volumes and batches are this long.
pub(crate) const UNIT: u64 = 64;
/// `UNIT` as a length in memory.
pub(crate) const HEADER: usize = 64;
/// An entry's header in bytes.
pub(crate) const ENTRY_HEADER: usize = 24;
/// What stands before the body of a carried entry: the position it was copied from.
const ORIGIN: usize = 16;

const VOLUME_MAGIC: [u8; 8] = *b"TLNVOL\r\n";
const BATCH_MAGIC: [u8; 8] = *b"TLNBATCH";
const SETTLES: u8 = 1;
const CARRIED: u8 = 2;

/// The start of every volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VolumeHeader {
    pub(crate) id: u64,
    /// 0 while the volume is a spare, which then holds nothing but zeros.
    pub(crate) first_batch: u64,
    /// The next message id when the volume came into use: its own originals start here.
    pub(crate) first_id: u64,
    pub(crate) size: u64,
}

impl VolumeHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut pen = Pen { bytes: &mut bytes, at: 0 };
        pen.put(&VOLUME_MAGIC);
        pen.put(&VERSION.to_le_bytes());
        pen.put(&[0; 4]);
        pen.put(&self.id.to_le_bytes());
        pen.put(&self.first_batch.to_le_bytes());
        pen.put(&self.first_id.to_le_bytes());
        pen.put(&self.size.to_le_bytes());
        seal(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<VolumeHeader> {
        let mut eye = sealed(bytes)?;
        if eye.take::<8>()? != VOLUME_MAGIC || eye.u32()? != VERSION {
            return None;
        }
        eye.u32()?;
        Some(VolumeHeader {
            id: eye.u64()?,
            first_batch: eye.u64()?,
            first_id: eye.u64()?,
            size: eye.u64()?,
        })
    }
}

/// The start of every batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) volume: u64,
    /// Counted from 1 over all volumes, without gaps.
    pub(crate) number: u64,
    /// Every batch up to this number was durable before this one was written.
    pub(crate) durable_up_to: u64,
    /// The next message id before this batch.
    pub(crate) first_id: u64,
    pub(crate) written: u64,
    pub(crate) length: u32,
    pub(crate) count: u32,
    pub(crate) body_crc: u32,
}

impl BatchHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut pen = Pen { bytes: &mut bytes, at: 0 };
        pen.put(&BATCH_MAGIC);
        pen.put(&self.volume.to_le_bytes());
        pen.put(&self.number.to_le_bytes());
        pen.put(&self.durable_up_to.to_le_bytes());
        pen.put(&self.first_id.to_le_bytes());
        pen.put(&self.written.to_le_bytes());
        pen.put(&self.length.to_le_bytes());
        pen.put(&self.count.to_le_bytes());
        pen.put(&self.body_crc.to_le_bytes());
        seal(bytes)
    }

    /// The header at the start of `bytes`, if a batch of this volume starts there.
    pub(crate) fn decode(bytes: &[u8], volume: u64) -> Option<BatchHeader> {
        // Checked before the checksum, because recovery asks this at every multiple of 64 bytes.
        if !bytes.starts_with(&BATCH_MAGIC) {
            return None;
        }
        let mut eye = sealed(bytes)?;
        eye.take::<8>()?;
        let header = BatchHeader {
            volume: eye.u64()?,
            number: eye.u64()?,
            durable_up_to: eye.u64()?,
            first_id: eye.u64()?,
            written: eye.u64()?,
            length: eye.u32()?,
            count: eye.u32()?,
            body_crc: eye.u32()?,
        };
        (header.volume == volume && header.number > 0).then_some(header)
    }

    /// Bytes from this batch's start to the next one's.
    pub(crate) fn stride(&self) -> u64 {
        (UNIT + u64::from(self.length)).next_multiple_of(UNIT)
    }
}

/// A byte offset in units, as positions count.
pub(crate) fn units(at: u64) -> u32 {
    u32::try_from(at / UNIT).unwrap_or(u32::MAX)
}

/// The checksum of a batch's or an entry's bytes: the volume's id is in it, so that bytes that
/// were left over from another volume never look valid.
pub(crate) fn checksum(volume: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&volume.to_le_bytes()), bytes)
}

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

/// Writes the checksum of a header's first sixty bytes into its last four.
fn seal(mut bytes: [u8; HEADER]) -> [u8; HEADER] {
    let crc = crc32c::crc32c(&bytes[..HEADER - 4]);
    bytes[HEADER - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The first sixty bytes of a header whose checksum holds.
fn sealed(bytes: &[u8]) -> Option<Eye<'_>> {
    let (covered, crc) = bytes.get(..HEADER)?.split_at(HEADER - 4);
    (crc32c::crc32c(covered).to_le_bytes() == crc).then_some(Eye(covered))
}

struct Pen<'b> {
    bytes: &'b mut [u8; HEADER],
    at: usize,
}

impl Pen<'_> {
    fn put(&mut self, field: &[u8]) {
        let end = self.at + field.len();
        self.bytes[self.at..end].copy_from_slice(field);
        self.at = end;
    }
}

/// Reads fixed fields from the front; every read says when the bytes are not there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eye<'b>(pub(crate) &'b [u8]);

impl<'b> Eye<'b> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    pub(crate) fn slice(&mut self, length: usize) -> Option<&'b [u8]> {
        let (field, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(volume: u64, drafts: &[Draft]) -> (BatchHeader, Bytes) {
        let mut body = Vec::new();
        for (id, draft) in (1..).zip(drafts) {
            draft.encode(id, volume, &mut body);
        }
        let header = BatchHeader {
            volume,
            number: 3,
            durable_up_to: 2,
            first_id: 1,
            written: 7,
            length: u32::try_from(body.len()).unwrap(),
            count: u32::try_from(drafts.len()).unwrap(),
            body_crc: checksum(volume, &body),
        };
        (header, body.into())
    }

    fn draft(body: &'static [u8], origin: Option<Position>) -> Draft {
        Draft { kind: Kind::Accepted, settles: false, origin, body: Bytes::from_static(body) }
    }

    #[test]
    fn headers_survive_and_know_their_volume() {
        let (header, _) = batch(9, &[draft(b"one", None)]);
        assert_eq!(BatchHeader::decode(&header.encode(), 9), Some(header));
        assert_eq!(BatchHeader::decode(&header.encode(), 8), None);
        let volume = VolumeHeader { id: 9, first_batch: 3, first_id: 4, size: 4096 };
        assert_eq!(VolumeHeader::decode(&volume.encode()), Some(volume));
        let mut broken = volume.encode();
        broken[20] ^= 1;
        assert_eq!(VolumeHeader::decode(&broken), None);
    }

    #[test]
    fn entries_come_back_with_their_origin() {
        let origin = Position { volume: 1, batch: 2, entry: 64 };
        let (header, body) = batch(9, &[draft(b"one", None), draft(b"", Some(origin))]);
        let found: Vec<Found> = Entries::of(header.volume, header.written, 1, body, true).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].entry.body, Bytes::from_static(b"one"));
        assert_eq!((found[0].origin, found[1].origin), (None, Some(origin)));
        assert_eq!(found[0].entry.after, found[1].entry.position);
        assert!(found[1].entry.carried && found[1].entry.body.is_empty());
    }

    #[test]
    fn a_flipped_bit_costs_one_entry_of_a_damaged_batch() {
        let (header, body) = batch(9, &[draft(b"one", None), draft(b"two", None)]);
        let mut damaged = body.to_vec();
        damaged[ENTRY_HEADER] ^= 4;
        let found: Vec<Found> =
            Entries::of(header.volume, header.written, 1, damaged.into(), false).collect();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].entry.body, Bytes::from_static(b"two"));
    }
}
