//! Messages seen lately, in memory: 28 bytes each, found by sender and control id.

use std::{fmt, iter};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::drawer::{DRAWER_BITS, Drawer, Entry, LATEST};

/// Part of the format on disk, like the hash itself: never change them.
const SENDER_SEED: u64 = 0x5365_6e64_6572_0001;
const CONTENT_SEED: u64 = 0x436f_6e74_656e_7401;

/// One message, as a resend would look too. The names are hashes: nothing here tells of a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Sender and control id: [`name_of`].
    pub name: u64,
    /// The exact bytes: [`content_of`].
    pub content: u64,
    /// The message's id; of a copy, that of its original.
    pub id: u64,
    /// When it came, in milliseconds since 1970. Times before 1970 count as 1970.
    pub received_ms: i64,
}

impl Sighting {
    /// The same sighting, as one more of message `original`. What is noted is always an original,
    /// so that copies of copies are copies of it.
    #[must_use]
    pub fn copy_of(self, original: u64) -> Sighting {
        Sighting { id: original, ..self }
    }
}

/// The hash of a sender. Stable for ever.
pub fn sender_of(sender: &[u8]) -> u64 {
    xxh3_64_with_seed(sender, SENDER_SEED)
}

/// The hash of a sender and a control id of it. Stable for ever.
pub fn name_of(sender: &[u8], control_id: &[u8]) -> u64 {
    xxh3_64_with_seed(control_id, sender_of(sender))
}

/// The hash of a message's bytes. Stable for ever.
pub fn content_of(bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, CONTENT_SEED)
}

/// Sightings, at most one of a name and an id: the latest.
pub(crate) struct Sightings {
    drawers: Vec<Drawer>,
    len: usize,
}

impl Default for Sightings {
    fn default() -> Self {
        let drawers = iter::repeat_with(Drawer::default).take(1 << DRAWER_BITS).collect();
        Self { drawers, len: 0 }
    }
}

impl Sightings {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// False if it is known already: the same name and id, and not earlier.
    pub(crate) fn insert(&mut self, sighting: &Sighting) -> bool {
        let time = sighting.received_ms.clamp(0, LATEST_MS).cast_unsigned();
        let entry = Entry::new(sighting.name, sighting.content, sighting.id, time);
        let drawer = &mut self.drawers[drawer_of(sighting.name)];
        let before = drawer.len();
        let new = drawer.insert(entry);
        self.len = self.len + drawer.len() - before;
        new
    }

    /// Those of a name, in no order.
    pub(crate) fn of_name(&self, name: u64) -> impl Iterator<Item = Sighting> {
        self.drawers[drawer_of(name)].of_name(name).map(move |entry| Sighting {
            name,
            content: entry.content(),
            id: entry.id(),
            received_ms: entry.time().cast_signed(),
        })
    }

    /// Drops those received before `before_ms`; gives back the lowest id that is left.
    pub(crate) fn forget(&mut self, before_ms: i64) -> Option<u64> {
        let before = u64::try_from(before_ms).unwrap_or(0);
        let lowest = self.drawers.iter_mut().filter_map(|drawer| drawer.forget(before)).min();
        self.len = self.drawers.iter().map(Drawer::len).sum();
        lowest
    }
}

impl fmt::Debug for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sightings({})", self.len)
    }
}

const LATEST_MS: i64 = LATEST.cast_signed();

fn drawer_of(name: u64) -> usize {
    (name >> (u64::BITS - DRAWER_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawer::{OF_ONE_NAME, RECENT};

    /// These are in files on disk: a change here is a change of their format.
    #[test]
    fn hashes_stay_for_ever() {
        assert_eq!(sender_of(b"PAS/RXX"), 0x28ce_7675_c95a_07e2);
        assert_eq!(name_of(b"PAS/RXX", b"MSG00001"), 0x3f31_b436_fb92_b9cb);
        assert_eq!(content_of(b"MSH|^~\\&|PAS|RXX"), 0xc3d9_b309_144b_f51d);
        assert_eq!(content_of(b""), 0xd1d7_3727_f941_2400);
        assert_ne!(name_of(b"PAS/R", b"XX1"), name_of(b"PAS/RXX", b"1"));
    }

    #[test]
    fn a_sighting_comes_back_as_it_was() {
        let mut sightings = Sightings::default();
        for (id, received_ms) in [(1, 0), (u64::MAX, LATEST_MS), (7, 1_795_305_600_123)] {
            for name in [0, u64::MAX, 0x0123_4567_89ab_cdef, 1 << 50] {
                let sighting = Sighting { name, content: !name, id, received_ms };
                assert!(sightings.insert(&sighting));
                assert!(!sightings.insert(&sighting), "twice is once");
                assert!(sightings.of_name(name).any(|found| found == sighting));
            }
        }
        assert_eq!(sightings.len(), 12);
    }

    #[test]
    fn a_later_copy_moves_the_time_of_its_original() {
        let mut sightings = Sightings::default();
        let first = Sighting { name: 5, content: 6, id: 7, received_ms: 1000 };
        let copy = Sighting { received_ms: 2000, id: 9, ..first }.copy_of(7);
        assert!(sightings.insert(&copy));
        assert!(!sightings.insert(&first), "read again after a restart");
        assert_eq!(sightings.of_name(5).collect::<Vec<_>>(), [copy]);
        assert_eq!(sightings.forget(2000), Some(7));
        assert_eq!(sightings.forget(2001), None);
        assert_eq!(sightings.len(), 0);
    }

    #[test]
    fn of_one_name_the_newest_are_kept() {
        let mut sightings = Sightings::default();
        let of = |id| Sighting { name: 5, content: id, id, received_ms: 1 };
        let all = 10 * RECENT as u64;
        for id in (0..all).filter(|id| id % 3 != 0).chain((0..all).filter(|id| id % 3 == 0)) {
            sightings.insert(&of(id));
            sightings.insert(&Sighting { name: 4, ..of(1) });
            sightings.insert(&Sighting { name: 6, ..of(1) });
        }
        let mut kept: Vec<u64> = sightings.of_name(5).map(|sighting| sighting.id).collect();
        kept.sort_unstable();
        assert!(kept.ends_with(&(all - OF_ONE_NAME as u64..all).collect::<Vec<_>>()));
        assert!(kept.len() < OF_ONE_NAME + RECENT);
        assert_eq!(sightings.len(), kept.len() + 2);
        assert_eq!(sightings.of_name(6).collect::<Vec<_>>(), [Sighting { name: 6, ..of(1) }]);
    }
}
