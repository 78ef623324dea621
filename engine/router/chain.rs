//! The file of held messages: linked records of 32 bytes, freed slots used again.
//!
//! A record says who waits and where its message lies in the journal; the message itself is never
//! here. The file means nothing without the memory that goes with it: it starts empty.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, path::PathBuf};

use roaring::RoaringBitmap;

/// Bytes of a record, little endian: seat 8, place 16, copies 4, next 4.
const RECORD: usize = 32;

/// The file is cut when it is this many slots longer than twice what is in use.
const SLACK: u32 = 4096;

/// The number of a record in the file.
pub(crate) type Slot = u32;

/// One message waiting in one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Where it stands in the order: its id, or the id of the message whose place it took.
    pub(crate) seat: u64,
    /// Where it lies in the journal.
    pub(crate) place: [u8; 16],
    /// How many records the message had in the file when it joined.
    pub(crate) copies: u32,
    /// The slot where the next record of this chain is, or will be.
    pub(crate) next: Slot,
}

/// Slots of records, on disk. Slots in use cost no memory; free ones a bit each at most.
#[derive(Debug)]
pub(crate) struct ChainFile {
    file: File,
    path: PathBuf,
    free: RoaringBitmap,
    /// Slots from here on were never used, or were given back.
    end: Slot,
    /// The highest `end` since the file was last cut.
    reached: Slot,
}

impl ChainFile {
    /// Starts an empty file at `path`; what was there is gone.
    pub(crate) fn create(path: &Path) -> io::Result<ChainFile> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let path = path.to_owned();
        let file = file.map_err(|error| at(&path, "cannot be created", &error))?;
        Ok(ChainFile { file, path, free: RoaringBitmap::new(), end: 0, reached: 0 })
    }

    /// A slot to write to. It is taken until it is given to [`Self::release`].
    pub(crate) fn reserve(&mut self) -> io::Result<Slot> {
        if let Some(slot) = self.free.min() {
            self.free.remove(slot);
            return Ok(slot);
        }
        let slot = self.end;
        let full = || at(&self.path, "is full", &io::ErrorKind::FileTooLarge.into());
        self.end = slot.checked_add(1).ok_or_else(full)?;
        self.reached = self.reached.max(self.end);
        Ok(slot)
    }

    /// Gives a slot back.
    pub(crate) fn release(&mut self, slot: Slot) {
        self.free.insert(slot);
        while self.end > 0 && self.free.max() == Some(self.end - 1) {
            self.end -= 1;
            self.free.remove(self.end);
        }
        if self.reached / 2 > self.end.saturating_add(SLACK) {
            self.cut();
        }
    }

    /// Gives all slots back.
    pub(crate) fn clear(&mut self) {
        self.free.clear();
        self.end = 0;
        if self.reached > 0 {
            self.cut();
        }
    }

    pub(crate) fn write(&self, slot: Slot, record: &Record) -> io::Result<()> {
        let mut bytes = [0; RECORD];
        bytes[..8].copy_from_slice(&record.seat.to_le_bytes());
        bytes[8..24].copy_from_slice(&record.place);
        bytes[24..28].copy_from_slice(&record.copies.to_le_bytes());
        bytes[28..].copy_from_slice(&record.next.to_le_bytes());
        let written = self.file.write_all_at(&bytes, offset(slot));
        written.map_err(|error| at(&self.path, "cannot be written", &error))
    }

    pub(crate) fn read(&self, slot: Slot) -> io::Result<Record> {
        let mut bytes = [0; RECORD];
        let read = self.file.read_exact_at(&mut bytes, offset(slot));
        read.map_err(|error| at(&self.path, "cannot be read", &error))?;
        let (seat, rest) = split(&bytes);
        let (place, rest) = split(rest);
        let (copies, rest) = split(rest);
        let (next, _) = split(rest);
        Ok(Record {
            seat: u64::from_le_bytes(seat),
            place,
            copies: u32::from_le_bytes(copies),
            next: u32::from_le_bytes(next),
        })
    }

    /// Bytes of the file.
    #[cfg(test)]
    pub(crate) fn length(&self) -> u64 {
        self.file.metadata().map_or(0, |data| data.len())
    }

    /// Shortens the file to what is in use. A file that stays long does no harm: it is tried again
    /// when it has grown.
    fn cut(&mut self) {
        self.file.set_len(offset(self.end)).ok();
        self.reached = self.end;
    }
}

fn offset(slot: Slot) -> u64 {
    u64::from(slot) * RECORD as u64
}

/// The first `N` bytes, and the rest.
fn split<const N: usize>(bytes: &[u8]) -> ([u8; N], &[u8]) {
    let (first, rest) = bytes.split_first_chunk().expect("a record has 8 + 16 + 4 + 4 bytes");
    (*first, rest)
}

fn at(path: &Path, what: &str, error: &io::Error) -> io::Error {
    let path = path.display();
    io::Error::new(error.kind(), format!("the index of held messages, {path}, {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_slots_are_used_again() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut file = ChainFile::create(&folder.path().join("held"))?;
        let slots = [file.reserve()?, file.reserve()?, file.reserve()?];
        assert_eq!(slots, [0, 1, 2]);
        let record = Record { seat: u64::MAX - 1, place: [7; 16], copies: 3, next: 2 };
        file.write(1, &record)?;
        assert_eq!(file.read(1)?, record);
        file.release(0);
        assert_eq!(file.reserve()?, 0);
        assert_eq!(file.reserve()?, 3);
        Ok(())
    }

    #[test]
    fn the_file_shrinks_with_what_is_in_it_and_says_where_it_is() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut file = ChainFile::create(&folder.path().join("held"))?;
        let record = Record { seat: 1, place: [7; 16], copies: 1, next: 0 };
        for _ in 0..20_000 {
            let slot = file.reserve()?;
            file.write(slot, &record)?;
        }
        assert_eq!(file.length(), 20_000 * 32);
        for slot in 100..20_000 {
            file.release(slot);
        }
        assert!(file.length() < 10_000 * 32, "{}", file.length());
        assert_eq!(file.read(99)?, record);
        let beyond = file.read(19_999).expect_err("the file is shorter").to_string();
        assert!(beyond.contains("held messages") && beyond.contains("/held"), "{beyond}");
        file.clear();
        assert_eq!(file.length(), 0);
        Ok(())
    }
}
