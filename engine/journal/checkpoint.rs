//! Checkpoints: what need not be read again.

use std::{io, path::Path};

use bytes::Bytes;

use crate::{
    disk::Disk, entry::Position, format::Eye, ledger::Ledger, settlement::Settlement,
    volume::unfinished,
};

const MAGIC: [u8; 8] = *b"TLNCHECK";
const VERSION: u32 = 1;

/// Why a checkpoint was not taken. The ones before it stay good.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The position lies behind what is durable.
    #[error("the checkpoint covers {covered}, but only what lies before {durable} is durable")]
    NotDurable {
        /// What was to be covered.
        covered: Position,
        /// The end of what is durable.
        durable: Position,
    },
    /// The position lies before what an earlier checkpoint covers.
    #[error("the checkpoint covers {covered}, less than the one before, which covers {before}")]
    Backwards {
        /// What was to be covered.
        covered: Position,
        /// What the checkpoint before covers.
        before: Position,
    },
    /// It could not be written, or not be read back.
    #[error("the checkpoint cannot be written")]
    Disk(#[source] io::Error),
}

/// All that a checkpoint holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Checkpoint {
    /// The owner has taken in everything before this position.
    pub(crate) covered: Position,
    /// The number of the batch there.
    pub(crate) covered_batch: u64,
    /// Batches below this number were durable when it was taken.
    pub(crate) next_batch: u64,
    pub(crate) ledger: Ledger,
    pub(crate) body: Bytes,
}

/// The file name of a checkpoint.
pub(crate) fn checkpoint_name(number: u64) -> String {
    format!("checkpoint-{number:020}")
}

/// The number in a checkpoint's file name.
pub(crate) fn checkpoint_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("checkpoint-")?;
    (digits.len() == 20).then(|| digits.parse().ok()).flatten()
}

impl Checkpoint {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256 + self.body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.covered.to_bytes());
        let mut number = |number: u64| bytes.extend_from_slice(&number.to_le_bytes());
        number(self.covered_batch);
        number(self.next_batch);
        number(self.ledger.next_id);
        let settlement = self.ledger.settlement.encode();
        number(settlement.len() as u64);
        bytes.extend_from_slice(&settlement);
        bytes.extend_from_slice(&(self.ledger.carried.len() as u64).to_le_bytes());
        for (&id, position) in &self.ledger.carried {
            bytes.extend_from_slice(&id.to_le_bytes());
            bytes.extend_from_slice(&position.to_bytes());
        }
        bytes.extend_from_slice(&self.ledger.carried_through.to_bytes());
        bytes.extend_from_slice(&(self.body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.body);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    fn decode(bytes: &Bytes) -> Option<Checkpoint> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(covered).to_le_bytes() != *crc {
            return None;
        }
        let mut eye = Eye(covered);
        if eye.take::<8>()? != MAGIC || eye.u32()? != VERSION {
            return None;
        }
        let position = Position::from_bytes(eye.take()?);
        let (covered_batch, next_batch, next_id) = (eye.u64()?, eye.u64()?, eye.u64()?);
        let mut ledger = Ledger::starting_at(next_id);
        let length = usize::try_from(eye.u64()?).ok()?;
        ledger.settlement = Settlement::decode(eye.slice(length)?).ok()?;
        for _ in 0..eye.u64()? {
            ledger.carried.insert(eye.u64()?, Position::from_bytes(eye.take()?));
        }
        ledger.carried_through = Position::from_bytes(eye.take()?);
        let length = usize::try_from(eye.u64()?).ok()?;
        let body = bytes.slice_ref(eye.slice(length)?);
        Some(Checkpoint { covered: position, covered_batch, next_batch, ledger, body })
    }

    /// Reads a checkpoint; none when it is not whole.
    pub(crate) fn load(disk: &dyn Disk, path: &Path) -> io::Result<Option<Checkpoint>> {
        Ok(Checkpoint::decode(&read(disk, path)?.into()))
    }

    /// Writes it as file `number` of `folder`, durable under its name, and reads it back.
    pub(crate) fn save(&self, disk: &dyn Disk, folder: &Path, number: u64) -> io::Result<()> {
        let path = folder.join(checkpoint_name(number));
        let temporary = unfinished(&path);
        let bytes = self.encode();
        let written = disk.create(&temporary).and_then(|file| {
            file.write_at(&bytes, 0)?;
            file.sync()
        });
        if let Err(error) = written {
            // A half-written file would keep the room that is missing.
            disk.remove(&temporary).ok();
            return Err(error);
        }
        disk.rename(&temporary, &path)?;
        disk.sync_dir(folder)?;
        if read(disk, &path)? == bytes {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, "it reads back differently"))
        }
    }
}

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, 0)?;
    bytes.truncate(read);
    Ok(bytes)
}

/// The checkpoints that are kept: the two newest good ones, as number and what each covers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) newest: Option<(u64, Position)>,
    pub(crate) older: Option<(u64, Position)>,
    /// The highest number ever seen, good or bad.
    pub(crate) last_number: u64,
}

impl Kept {
    /// Volumes that lie wholly before this are needed by no kept checkpoint. Both must be there:
    /// should the newest turn out bad, recovery starts from the older one.
    pub(crate) fn floor(&self) -> Option<Position> {
        self.newest.and(self.older).map(|(_, covered)| covered)
    }

    /// Notes a new checkpoint.
    pub(crate) fn push(&mut self, number: u64, covered: Position) {
        self.older = self.newest;
        self.newest = Some((number, covered));
        self.last_number = number;
    }

    pub(crate) fn has(&self, number: u64) -> bool {
        [self.newest, self.older].iter().flatten().any(|(kept, _)| *kept == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    fn checkpoint() -> Checkpoint {
        let mut ledger = Ledger::starting_at(9);
        ledger.settlement.open(4);
        ledger.carried.insert(4, Position { volume: 3, batch: 9, entry: 64 });
        let covered = Position { volume: 3, batch: 40, entry: 0 };
        let body = Bytes::from_static(b"the owner's own");
        Checkpoint { covered, covered_batch: 7, next_batch: 8, ledger, body }
    }

    #[test]
    fn a_checkpoint_survives() {
        let folder = tempfile::tempdir().unwrap();
        checkpoint().save(&RealDisk, folder.path(), 1).unwrap();
        let path = folder.path().join(checkpoint_name(1));
        assert_eq!(Checkpoint::load(&RealDisk, &path).unwrap(), Some(checkpoint()));
    }

    #[test]
    fn any_flipped_bit_or_missing_byte_spoils_it() {
        let whole = checkpoint().encode();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            assert_eq!(Checkpoint::decode(&bytes.into()), None);
            assert_eq!(Checkpoint::decode(&whole[..at].to_vec().into()), None);
        }
    }
}
