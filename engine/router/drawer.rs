//! Sightings whose names begin with the same bits: sorted, in blocks that are all of one size.
//!
//! New entries are few and sorted in at once; when there are enough they are merged into the blocks.
//! Blocks of one size never leave gaps in the allocator that no other drawer could use.

/// Bits of a name that choose its drawer; the others are kept in the entry.
pub(crate) const DRAWER_BITS: u32 = 10;

/// The latest time that fits: in the year 2109.
pub(crate) const LATEST: u64 = (1 << (u32::BITS + DRAWER_BITS)) - 1;

/// New entries that a drawer takes before they are merged.
pub(crate) const RECENT: usize = 256;

/// Of one name the newest so many are kept, or a few more: a sender that gives all its messages the
/// same control id must not make every look long.
pub(crate) const OF_ONE_NAME: usize = 256;

/// Entries of a block: 8 bytes less than a page.
const BLOCK: usize = 146;

/// A sighting in 28 bytes. The name's first bits are the number of the drawer; in their place stand
/// the first bits of the time.
#[derive(Clone, Copy, Default)]
#[repr(Rust, packed(4))]
pub(crate) struct Entry {
    name_and_time: u64,
    content: u64,
    id: u64,
    time: u32,
}

/// Entries, at most one of a name and an id: the latest. Both parts are sorted by name, then id.
#[derive(Default)]
pub(crate) struct Drawer {
    settled: Blocks,
    recent: Vec<Entry>,
}

/// A vector in blocks. All but the last are full.
#[derive(Default)]
struct Blocks {
    #[expect(clippy::vec_box, reason = "growing must not move the entries to a larger allocation")]
    blocks: Vec<Box<[Entry; BLOCK]>>,
    len: usize,
}

impl Entry {
    /// `time` in milliseconds since 1970, at most [`LATEST`].
    pub(crate) fn new(name: u64, content: u64, id: u64, time: u64) -> Entry {
        let name_and_time = (name << DRAWER_BITS) | (time >> u32::BITS);
        #[expect(clippy::cast_possible_truncation, reason = "the other bits are with the name")]
        Entry { name_and_time, content, id, time: time as u32 }
    }

    pub(crate) fn content(self) -> u64 {
        self.content
    }

    pub(crate) fn id(self) -> u64 {
        self.id
    }

    pub(crate) fn time(self) -> u64 {
        let first = self.name_and_time & ((1 << DRAWER_BITS) - 1);
        (first << u32::BITS) | u64::from(self.time)
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

impl Drawer {
    pub(crate) fn len(&self) -> usize {
        self.settled.len + self.recent.len()
    }

    /// False if it is known already: the same name and id, and not earlier.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        let at = search(self.settled.len, |at| self.settled.get(at), entry.rank());
        let known = (at < self.settled.len).then(|| self.settled.get_mut(at));
        if let Some(known) = known.filter(|known| known.rank() == entry.rank()) {
            return renew(known, entry);
        }
        let at = search(self.recent.len(), |at| self.recent[at], entry.rank());
        if let Some(known) = self.recent.get_mut(at).filter(|known| known.rank() == entry.rank()) {
            return renew(known, entry);
        }
        self.recent.insert(at, entry);
        if self.recent.len() == RECENT {
            self.settle();
        }
        true
    }

    /// Those of a name, in no order.
    pub(crate) fn of_name(&self, name: u64) -> impl Iterator<Item = Entry> {
        let name = (name << DRAWER_BITS) >> DRAWER_BITS;
        let settled = search(self.settled.len, |at| self.settled.get(at), (name, 0));
        let recent = search(self.recent.len(), |at| self.recent[at], (name, 0));
        let settled = (settled..self.settled.len).map(|at| self.settled.get(at));
        let recent = self.recent[recent..].iter().copied();
        let named = move |entry: &Entry| entry.name() == name;
        settled.take_while(named).chain(recent.take_while(named))
    }

    /// Drops those from before `time`; gives back the lowest id that is left.
    pub(crate) fn forget(&mut self, time: u64) -> Option<u64> {
        let mut lowest = None;
        let mut keep = |entry: Entry| {
            let stays = entry.time() >= time;
            if stays {
                lowest = Some(lowest.map_or(entry.id, |lowest: u64| lowest.min(entry.id)));
            }
            stays
        };
        self.recent.retain(|entry| keep(*entry));
        self.settled.retain(|blocks, at| keep(blocks.get(at)));
        lowest
    }

    /// Merges the recent into the blocks, from behind, where there is room.
    fn settle(&mut self) {
        let mut from = self.settled.len;
        let mut to = from + self.recent.len();
        self.settled.grow(to);
        for entry in self.recent.drain(..).rev() {
            while from > 0 && self.settled.get(from - 1).rank() > entry.rank() {
                (from, to) = (from - 1, to - 1);
                *self.settled.get_mut(to) = self.settled.get(from);
            }
            to -= 1;
            *self.settled.get_mut(to) = entry;
        }
        self.settled.retain(|settled, at| {
            let later = at + OF_ONE_NAME;
            later >= settled.len || settled.get(later).name() != settled.get(at).name()
        });
    }
}

/// The later time counts. False if that is the one that is known.
fn renew(known: &mut Entry, entry: Entry) -> bool {
    let later = known.time() < entry.time();
    if later {
        *known = entry;
    }
    later
}

/// Where `rank` is, or would be, in a sorted sequence. Names are hashes, thus evenly spread: the
/// search starts where it must be nearly, and so touches a page of memory or two.
fn search(len: usize, get: impl Fn(usize) -> Entry, rank: (u64, u64)) -> usize {
    let before = |at: usize| get(at).rank() < rank;
    let guess = (u128::from(rank.0) * len as u128) >> (u64::BITS - DRAWER_BITS);
    let guess = usize::try_from(guess).unwrap_or(len);
    let (mut low, mut high) = (guess.min(len), len);
    let mut step = 8;
    if low < len && before(low) {
        while low + step < len && before(low + step) {
            low += step;
            step *= 2;
        }
        high = high.min(low + step);
    } else {
        high = high.min(low);
        while low > 0 && !before(low - 1) {
            high = low;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    // It is not before `low` and not behind `high`.
    while low < high {
        let middle = low.midpoint(high);
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

impl Blocks {
    fn get(&self, at: usize) -> Entry {
        self.blocks[at / BLOCK][at % BLOCK]
    }

    fn get_mut(&mut self, at: usize) -> &mut Entry {
        &mut self.blocks[at / BLOCK][at % BLOCK]
    }

    /// Makes room: what the new places hold does not matter yet.
    fn grow(&mut self, len: usize) {
        self.blocks.resize_with(len.div_ceil(BLOCK), || Box::new([Entry::default(); BLOCK]));
        self.len = len;
    }

    /// Keeps those that `keep` says, which sees those to come as they were.
    fn retain(&mut self, mut keep: impl FnMut(&Blocks, usize) -> bool) {
        let mut kept = 0;
        for at in 0..self.len {
            if keep(self, at) {
                *self.get_mut(kept) = self.get(at);
                kept += 1;
            }
        }
        self.blocks.truncate(kept.div_ceil(BLOCK));
        self.len = kept;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_entry_is_small_and_blocks_are_of_a_page() {
        assert_eq!(size_of::<Entry>(), 28);
        assert!(size_of::<[Entry; BLOCK]>() <= 4096 - 8);
    }

    /// Evenly spread names, as hashes are, and others, which only take longer to find.
    #[test]
    fn a_drawer_is_a_sorted_map() {
        let mut random = fastrand::Rng::with_seed(1);
        for spread in [u64::MAX, 1 << 50, 3000] {
            let mut drawer = Drawer::default();
            let mut map: BTreeMap<(u64, u64), (u64, u64)> = BTreeMap::new();
            for step in 0..20_000 {
                let name = random.u64(0..spread) & (u64::MAX >> DRAWER_BITS);
                let (id, time) = (random.u64(0..3), random.u64(0..=LATEST));
                let known = map.get(&(name, id)).is_some_and(|(_, known)| *known >= time);
                assert_eq!(drawer.insert(Entry::new(name, step, id, time)), !known);
                if !known {
                    map.insert((name, id), (step, time));
                }
                if step % 6000 == 5999 {
                    map.retain(|_, (_, time)| *time >= LATEST / 4);
                    assert_eq!(drawer.forget(LATEST / 4), map.keys().map(|(_, id)| *id).min());
                }
                assert_eq!(drawer.len(), map.len());
            }
            for name in map.keys().map(|(name, _)| *name).chain([0, u64::MAX >> DRAWER_BITS]) {
                let mut found: Vec<_> =
                    drawer.of_name(name).map(|e| (e.id(), (e.content(), e.time()))).collect();
                found.sort_unstable();
                let wanted = map.range((name, 0)..=(name, u64::MAX));
                assert!(found.into_iter().eq(wanted.map(|((_, id), value)| (*id, *value))));
            }
        }
    }
}
