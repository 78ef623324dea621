//! The bytes on disk, as drawn in the crate's documentation: volumes and batches.
//!
//! Whoever changes a field here changes every journal in the field: raise [`VERSION`] and keep
//! reading the old one.

/// The format that is written.
pub(crate) const VERSION: u32 = 1;
/// Batches start at multiples of this; headers of volumes and batches are this long.
pub(crate) const UNIT: u64 = 64;
/// `UNIT` as a length in memory.
pub(crate) const HEADER: usize = 64;

const VOLUME_MAGIC: [u8; 8] = *b"TLNVOL\r\n";
const BATCH_MAGIC: [u8; 8] = *b"TLNBATCH";
const PACK_MAGIC: [u8; 8] = *b"TLNPACK\n";
const FRAME_MAGIC: [u8; 8] = *b"TLNFRAME";

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

/// The start of a packed volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PackHeader {
    pub(crate) frames: u32,
    pub(crate) id: u64,
    pub(crate) first_batch: u64,
    pub(crate) first_id: u64,
    /// The byte of the raw volume behind its last batch.
    pub(crate) end: u64,
    /// The newest time that a batch in it states, in milliseconds since 1970.
    pub(crate) written: u64,
}

impl PackHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut pen = Pen { bytes: &mut bytes, at: 0 };
        pen.put(&PACK_MAGIC);
        pen.put(&VERSION.to_le_bytes());
        pen.put(&self.frames.to_le_bytes());
        pen.put(&self.id.to_le_bytes());
        pen.put(&self.first_batch.to_le_bytes());
        pen.put(&self.first_id.to_le_bytes());
        pen.put(&self.end.to_le_bytes());
        pen.put(&self.written.to_le_bytes());
        seal(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<PackHeader> {
        let mut eye = sealed(bytes)?;
        if eye.take::<8>()? != PACK_MAGIC || eye.u32()? != VERSION {
            return None;
        }
        Some(PackHeader {
            frames: eye.u32()?,
            id: eye.u64()?,
            first_batch: eye.u64()?,
            first_id: eye.u64()?,
            end: eye.u64()?,
            written: eye.u64()?,
        })
    }
}

/// The start of every frame of a packed volume, and its line in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) volume: u64,
    /// The byte of the raw volume that it starts with.
    pub(crate) raw_at: u64,
    pub(crate) first_batch: u64,
    /// The next message id before it.
    pub(crate) first_id: u64,
    pub(crate) raw_length: u32,
    pub(crate) stored_length: u32,
    pub(crate) stored_crc: u32,
    /// Where it starts in the packed file, in units.
    pub(crate) place: u32,
}

impl FrameHeader {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        let mut pen = Pen { bytes: &mut bytes, at: 0 };
        pen.put(&FRAME_MAGIC);
        pen.put(&self.volume.to_le_bytes());
        pen.put(&self.raw_at.to_le_bytes());
        pen.put(&self.first_batch.to_le_bytes());
        pen.put(&self.first_id.to_le_bytes());
        pen.put(&self.raw_length.to_le_bytes());
        pen.put(&self.stored_length.to_le_bytes());
        pen.put(&self.stored_crc.to_le_bytes());
        pen.put(&self.place.to_le_bytes());
        seal(bytes)
    }

    /// The header at the start of `bytes`, if it is of a frame of this volume.
    pub(crate) fn decode(bytes: &[u8], volume: u64) -> Option<FrameHeader> {
        if !bytes.starts_with(&FRAME_MAGIC) {
            return None;
        }
        let mut eye = sealed(bytes)?;
        eye.take::<8>()?;
        let header = FrameHeader {
            volume: eye.u64()?,
            raw_at: eye.u64()?,
            first_batch: eye.u64()?,
            first_id: eye.u64()?,
            raw_length: eye.u32()?,
            stored_length: eye.u32()?,
            stored_crc: eye.u32()?,
            place: eye.u32()?,
        };
        (header.volume == volume).then_some(header)
    }

    /// The byte of the raw volume behind it.
    pub(crate) fn end(&self) -> u64 {
        self.raw_at + u64::from(self.raw_length)
    }

    /// The byte where it starts in the packed file.
    pub(crate) fn at(&self) -> u64 {
        u64::from(self.place) * UNIT
    }

    /// Bytes from its start to the next one's in the packed file.
    pub(crate) fn stride(&self) -> u64 {
        (UNIT + u64::from(self.stored_length)).next_multiple_of(UNIT)
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

    #[test]
    fn headers_survive_and_know_their_volume() {
        let header = BatchHeader {
            volume: 9,
            number: 3,
            durable_up_to: 2,
            first_id: 1,
            written: 7,
            length: 100,
            count: 1,
            body_crc: 5,
        };
        assert_eq!(BatchHeader::decode(&header.encode(), 9), Some(header));
        assert_eq!(BatchHeader::decode(&header.encode(), 8), None);
        assert_eq!(header.stride(), 192);
        let volume = VolumeHeader { id: 9, first_batch: 3, first_id: 4, size: 4096 };
        assert_eq!(VolumeHeader::decode(&volume.encode()), Some(volume));
        let mut broken = volume.encode();
        broken[20] ^= 1;
        assert_eq!(VolumeHeader::decode(&broken), None);
    }

    #[test]
    fn the_same_bytes_in_another_volume_have_another_checksum() {
        assert_ne!(checksum(1, b"bytes"), checksum(2, b"bytes"));
    }
}
