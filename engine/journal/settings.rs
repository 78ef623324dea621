//! How a journal is to be kept.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration, time::SystemTime};

/// Settings of one journal. [`Settings::new`] gives what a trust in production wants; every field
/// may be changed before the journal is opened.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder that holds the volumes and checkpoints, and nothing else; made when absent.
    pub folder: PathBuf,
    /// Size of a volume in bytes; an entry that needs more gets a volume of its own size.
    pub volume_size: u64,
    /// Size of the very first volume in bytes: small, so that a first start does not wait.
    pub first_volume_size: u64,
    /// Bytes zero-filled ahead that intake may never use up, so that what was accepted can drain.
    pub reserve: u64,
    /// Most bytes of bodies that one commit takes together.
    pub batch_bytes: usize,
    /// Most entries that one commit takes together.
    pub batch_entries: usize,
    /// Largest body of one entry, in bytes.
    pub max_entry: usize,
    /// Whether full volumes are packed, in the background. Packed ones are read in any case.
    pub compress: bool,
    /// What [`crate::journal::Journal::retain`] may drop.
    pub retain: Retention,
    /// How often a full disk is tried again.
    pub space_check: Duration,
    /// The clock that stamps batches; nothing but retention by age depends on it.
    pub clock: Clock,
    /// Told how far a long recovery has come.
    pub progress: Option<Progress>,
}

impl Settings {
    /// Production settings for a journal in `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Settings {
        const MIB: u64 = 1 << 20;
        Settings {
            folder: folder.into(),
            volume_size: 64 * MIB,
            first_volume_size: 4 * MIB,
            reserve: 128 * MIB,
            batch_bytes: 8 << 20,
            batch_entries: 1024,
            max_entry: 64 << 20,
            compress: true,
            retain: Retention::default(),
            space_check: Duration::from_secs(1),
            clock: Clock::default(),
            progress: None,
        }
    }
}

/// When a volume is old enough to go. Nothing set keeps everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Drop volumes whose newest entry is older than this. A clock that jumps does little harm: one
    /// entry from the future neither drops nor keeps its neighbours, volumes go in the order of the
    /// journal whatever they state, and a clock found a day ahead is believed on the next look only.
    pub age: Option<Duration>,
    /// Drop the oldest volumes while all of them together take more bytes than this.
    pub size: Option<u64>,
}

/// A clock that tests can turn.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// A clock that shows what `now` returns.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now))
    }

    /// Milliseconds since 1970; a clock set before that reads 0.
    pub(crate) fn milliseconds(&self) -> u64 {
        milliseconds((self.0)())
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new(SystemTime::now)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Milliseconds since 1970 of `time`.
pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A listener to recovery: called with the bytes read so far and the bytes there are.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(u64, u64) + Send + Sync>);

impl Progress {
    /// A listener that calls `told` with bytes done and bytes in all, at most once per volume chunk.
    pub fn new(told: impl Fn(u64, u64) + Send + Sync + 'static) -> Progress {
        Progress(Arc::new(told))
    }

    /// Tells how far it is.
    pub(crate) fn tell(&self, done: u64, all: u64) {
        (self.0)(done, all);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
