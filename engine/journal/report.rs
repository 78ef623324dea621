//! What the journal says about itself.

use std::{fmt, ops::Range, time::SystemTime};

use bytes::Bytes;

use crate::entry::Position;

/// What opening a journal found.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// What was read, and what was wrong with it.
    pub report: Report,
    /// What the owner gave to the newest good checkpoint; none when there is none.
    pub checkpoint: Option<Bytes>,
    /// Where the owner reads on: what it covers, or [`Position::START`] without a checkpoint.
    pub replay_from: Position,
}

/// What a recovery read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes scanned, from the checkpoint on.
    pub scanned: u64,
    /// Batches found valid.
    pub batches: u64,
    /// Entries found valid.
    pub entries: u64,
    /// Which checkpoint was used.
    pub checkpoint: CheckpointUsed,
    /// A commit that a crash cut short; nobody was told that it was durable.
    pub torn: Option<Torn>,
    /// What was durable once and cannot be read any more.
    pub corrupt: Vec<Corruption>,
}

/// Which checkpoint a recovery started from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointUsed {
    /// There was none: everything was scanned.
    #[default]
    None,
    /// The newest.
    Newest,
    /// The one before, because the newest could not be read.
    Older,
    /// None of those there could be read: everything was scanned.
    AllBad,
}

/// The end of a commit that never became durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The volume's id.
    pub volume: u64,
    /// Where the commit starts in the volume, in bytes.
    pub offset: u64,
}

/// Bytes that were durable and are damaged. They stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// The volume's id.
    pub volume: u64,
    /// The damaged bytes of the volume.
    pub bytes: Range<u64>,
    /// The numbers of the damaged batches; empty when only a header that can be derived is.
    pub batches: Range<u64>,
    /// Entries of these batches that could still be read.
    pub saved: u64,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "volume {} is damaged from byte {} to byte {} (batches {} to {}, {} entries saved)",
            self.volume,
            self.bytes.start,
            self.bytes.end,
            self.batches.start,
            self.batches.end.saturating_sub(1),
            self.saved
        )
    }
}

/// Why the journal stopped for good. The process must stop and recover from disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What was tried.
    pub doing: &'static str,
    /// What the operating system answered.
    pub error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the journal cannot {}: {}", self.doing, self.error)
    }
}

/// One volume, for those who watch the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFacts {
    /// The volume's id.
    pub id: u64,
    /// The file's size in bytes.
    pub size: u64,
    /// Bytes of batches in it, as far as known; of a packed one, before it was packed.
    pub used: u64,
    /// What it is for.
    pub state: VolumeState,
    /// The first message id that can be in it; none for a spare.
    pub first_id: Option<u64>,
    /// When its newest known batch was written.
    pub written: Option<SystemTime>,
}

/// What a volume is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeState {
    /// Full; only read.
    Sealed,
    /// Full, and packed; only read.
    Packed,
    /// Being written.
    Current,
    /// Filled with zeros ahead.
    Spare,
}

/// What one round of retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Volumes dropped.
    pub volumes: u64,
    /// Bytes of disk given back.
    pub freed: u64,
    /// Entries of unsettled messages carried forward.
    pub carried: u64,
}
