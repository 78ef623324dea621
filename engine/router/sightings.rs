//! Messages seen lately, in memory: 28 bytes each, found by sender and control id.

use std::{fmt, iter};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Part of the format on disk, like the hash itself: never change them.
const SENDER_SEED: u64 = 0x5365_6e64_6572_0001;
const CONTENT_SEED: u64 = 0x436f_6e74_656e_7401;

/// Bits of a name that choose its drawer; the others are kept in the entry.
const DRAWER_BITS: u32 = 10;

/// New entries that a drawer takes before they are sorted in among the others.
const RECENT: usize = 256;

/// Of one name the newest so many are kept, or a few more: a sender that gives all its messages the
/// same control id must not make every look long.
const OF_ONE_NAME: usize = 256;

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
///
/// Most are in large allocations of just the right size. Small ones that grow would be spread over
/// the allocator's size classes, and cost half as much again.
pub(crate) struct Sightings {
    drawers: Vec<Drawer>,
    len: usize,
}

/// The sightings whose names begin with the same bits. Both parts are sorted by name, then id.
#[derive(Default)]
struct Drawer {
    settled: Vec<Entry>,
    recent: Vec<Entry>,
}

/// A sighting in 28 bytes. The name's first bits are the number of the drawer, and in their place
/// stand the first bits of the time, of which 42 bits (until the year 2109) are kept.
#[derive(Clone, Copy)]
#[repr(Rust, packed(4))]
struct Entry {
    name_and_time: u64,
    content: u64,
    id: u64,
    time: u32,
}

const LATEST_MS: i64 = (1 << (u32::BITS + DRAWER_BITS)) - 1;

impl Entry {
    fn new(sighting: &Sighting) -> Entry {
        let time = sighting.received_ms.clamp(0, LATEST_MS).cast_unsigned();
        Entry {
            name_and_time: (sighting.name << DRAWER_BITS) | (time >> u32::BITS),
            content: sighting.content,
            id: sighting.id,
            time: (time & u64::from(u32::MAX)) as u32,
        }
    }

    fn sighting(self, name: u64) -> Sighting {
        let (content, id, received_ms) = (self.content, self.id, self.received_ms());
        Sighting { name, content, id, received_ms }
    }

    fn received_ms(self) -> i64 {
        let first = self.name_and_time & ((1 << DRAWER_BITS) - 1);
        ((first << u32::BITS) | u64::from(self.time)).cast_signed()
    }

    /// The name without its first bits.
    fn name(self) -> u64 {
        self.name_and_time >> DRAWER_BITS
    }

    /// What drawers are sorted by.
    fn rank(self) -> (u64, u64) {
        (self.name(), self.id)
    }
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
        let entry = Entry::new(sighting);
        let drawer = &mut self.drawers[drawer_of(sighting.name)];
        if let Some(known) = find(&mut drawer.settled, entry).or(find(&mut drawer.recent, entry)) {
            let later = known.received_ms() < entry.received_ms();
            if later {
                *known = entry;
            }
            return later;
        }
        let at = drawer.recent.partition_point(|other| other.rank() < entry.rank());
        drawer.recent.insert(at, entry);
        self.len += 1;
        if drawer.recent.len() == RECENT {
            self.len -= drawer.settle();
        }
        true
    }

    /// Those of a name, in no order.
    pub(crate) fn of_name(&self, name: u64) -> impl Iterator<Item = Sighting> {
        let drawer = &self.drawers[drawer_of(name)];
        let rest = (name << DRAWER_BITS) >> DRAWER_BITS;
        let group = move |part: &'_ [Entry]| {
            let start = part.partition_point(|entry| entry.name() < rest);
            let others = part[start..].iter().take_while(|entry| entry.name() == rest);
            start..start + others.count()
        };
        let settled = &drawer.settled[group(&drawer.settled)];
        let recent = &drawer.recent[group(&drawer.recent)];
        settled.iter().chain(recent).map(move |entry| entry.sighting(name))
    }

    /// Drops those received before `before_ms`; gives back the lowest id that is left.
    pub(crate) fn forget(&mut self, before_ms: i64) -> Option<u64> {
        let mut lowest = None;
        self.len = 0;
        for drawer in &mut self.drawers {
            for part in [&mut drawer.settled, &mut drawer.recent] {
                part.retain(|entry| entry.received_ms() >= before_ms);
                if part.capacity() / 8 > part.len() / 7 {
                    part.shrink_to_fit();
                }
                self.len += part.len();
                lowest = part.iter().map(|entry| entry.id).chain(lowest).min();
            }
        }
        lowest
    }
}

impl Drawer {
    /// Sorts the recent in; gives back how many were dropped, since too many have the same name.
    fn settle(&mut self) -> usize {
        let all = self.settled.len() + self.recent.len();
        let mut merged: Vec<Entry> = Vec::with_capacity(all);
        let mut push = |entry: Entry| {
            merged.push(entry);
            let too_old = merged.len().checked_sub(OF_ONE_NAME + 1);
            if let Some(at) = too_old.filter(|at| merged[*at].name() == entry.name()) {
                merged.remove(at);
            }
        };
        let mut settled = self.settled.drain(..).peekable();
        for entry in self.recent.drain(..) {
            while let Some(before) = settled.next_if(|settled| settled.rank() < entry.rank()) {
                push(before);
            }
            push(entry);
        }
        settled.for_each(push);
        self.settled = merged;
        all - self.settled.len()
    }
}
impl fmt::Debug for Sightings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sightings({})", self.len)
    }
}

fn drawer_of(name: u64) -> usize {
    (name >> (u64::BITS - DRAWER_BITS)) as usize
}

/// The entry of the same name and id.
fn find(part: &mut [Entry], entry: Entry) -> Option<&mut Entry> {
    let at = part.partition_point(|other| other.rank() < entry.rank());
    part.get_mut(at).filter(|other| other.rank() == entry.rank())
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(size_of::<Entry>(), 28);
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
