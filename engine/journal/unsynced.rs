//! Writes that are not on the disk yet, and how a power cut tears them.

use std::io;

use crate::disk::DiskFile;

/// A write reaches the disk in pieces of this size, each whole or not at all.
const SECTOR: usize = 512;

/// A write that a process made and perhaps nobody else ever sees.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) fate: Fate,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Unsynced,
    /// On the disk; remembered because something older hides what the disk says.
    Synced,
    /// A sync of it failed: the machine calls it clean, shows it, and never writes it again.
    GivenUp,
}

impl Write {
    /// Lays it over what was read at `offset`.
    pub(crate) fn show(&self, buffer: &mut [u8], offset: u64) {
        let end = offset + buffer.len() as u64;
        let from = self.offset.max(offset);
        let to = (self.offset + self.bytes.len() as u64).min(end);
        let place = |at: u64, zero: u64| usize::try_from(at.saturating_sub(zero)).unwrap_or(0);
        if from < to
            && let Some(into) = buffer.get_mut(place(from, offset)..place(to, offset))
            && let Some(bytes) = self.bytes.get(place(from, self.offset)..place(to, self.offset))
        {
            into.copy_from_slice(bytes);
        }
    }

    /// Puts all, nothing or any of its sectors on the disk.
    pub(crate) fn tear(&self, file: &dyn DiskFile, chance: &mut Chance) -> io::Result<()> {
        let fate = chance.below(4);
        let mut at = self.offset;
        let mut rest = self.bytes.as_slice();
        while !rest.is_empty() {
            let aligned = SECTOR - usize::try_from(at % SECTOR as u64).unwrap_or(0);
            let (sector, more) = rest.split_at(aligned.min(rest.len()));
            if fate == 0 || (fate > 1 && chance.below(2) == 0) {
                file.write_at(sector, at)?;
            }
            at += sector.len() as u64;
            rest = more;
        }
        Ok(())
    }
}

/// Pseudo-random numbers that a seed repeats (`SplitMix64`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.draw() % end.max(1)
    }
}
