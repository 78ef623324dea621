//! Which bytes were refused before, and how often: a sender that waits for AA sends them for ever.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_128;

/// How many different frames are remembered for a listener; the one unseen for longest goes first.
const REMEMBERED: usize = 1024;

/// Counts by content, until the engine stops.
#[derive(Debug, Default)]
pub struct Repeats(Mutex<VecDeque<(u128, u32)>>);

impl Repeats {
    /// How often these bytes were refused before now.
    pub(crate) fn before(&self, frame: &[u8]) -> u32 {
        let content = xxh3_128(frame);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen.iter().position(|(known, _)| *known == content);
        let before = known.and_then(|at| seen.remove(at)).map_or(0, |(_, times)| times);
        seen.push_back((content, before.saturating_add(1)));
        if seen.len() > REMEMBERED {
            seen.pop_front();
        }
        before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_counted_and_old_ones_forgotten() {
        let repeats = Repeats::default();
        assert_eq!([b"a", b"b", b"a", b"a"].map(|frame| repeats.before(frame)), [0, 0, 1, 2]);
        for number in 0..REMEMBERED - 1 {
            repeats.before(&number.to_be_bytes());
        }
        assert_eq!((repeats.before(b"a"), repeats.before(b"b")), (3, 0));
        assert_eq!(repeats.0.lock().unwrap().len(), REMEMBERED);
    }
}
