//! Which messages are settled: an interval set, so that memory grows with the exceptions only.

use std::{collections::BTreeMap, ops::Range, vec};

use crate::entry::MessageId;

/// The settled ids, as ranges that neither touch nor overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settlement {
    /// First id of a range -> the id behind its last.
    ranges: BTreeMap<u64, u64>,
}

impl Settlement {
    /// The set that holds exactly these ranges.
    pub(crate) fn from_ranges(ranges: impl IntoIterator<Item = Range<u64>>) -> Settlement {
        let mut settlement = Settlement::default();
        for range in ranges {
            settlement.insert_range(range);
        }
        settlement
    }

    /// The ranges, rising.
    pub(crate) fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.ranges.iter().map(|(&start, &end)| start..end)
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.ranges.range(..=id).next_back().is_some_and(|(_, &end)| id < end)
    }

    pub(crate) fn insert(&mut self, id: u64) {
        // The common case: ids are settled nearly in order, one behind the last range.
        self.insert_range(id..id.saturating_add(1));
    }

    pub(crate) fn insert_range(&mut self, mut range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        // Swallow every range that touches the new one; its start is at most the new end.
        while let Some((&start, &end)) = self.ranges.range(..=range.end).next_back() {
            if end < range.start {
                break;
            }
            self.ranges.remove(&start);
            range = range.start.min(start)..range.end.max(end);
        }
        self.ranges.insert(range.start, range.end);
    }

    pub(crate) fn remove(&mut self, id: u64) {
        let found = self.ranges.range(..=id).next_back().map(|(&start, &end)| (start, end));
        let Some((start, end)) = found.filter(|&(_, end)| id < end) else {
            return;
        };
        self.ranges.remove(&start);
        if start < id {
            self.ranges.insert(start, id);
        }
        if id + 1 < end {
            self.ranges.insert(id + 1, end);
        }
    }

    /// How many of the ids below `end` are settled.
    pub(crate) fn count_below(&self, end: u64) -> u64 {
        self.ranges.range(..end).map(|(&from, &to)| to.min(end) - from).sum()
    }

    /// The ids from 1 up to, not including, `end` that are not settled.
    pub(crate) fn unsettled(&self, end: u64) -> Unsettled {
        let mut gaps = Vec::new();
        let mut next = 1;
        for (&from, &to) in self.ranges.range(..end) {
            if next < from {
                gaps.push(next..from);
            }
            next = to;
        }
        if next < end {
            gaps.push(next..end);
        }
        Unsettled { gaps: gaps.into_iter(), current: 0..0 }
    }
}

/// The ids of unsettled messages, rising, as they were when asked for.
#[derive(Clone, Debug)]
pub struct Unsettled {
    gaps: vec::IntoIter<Range<u64>>,
    current: Range<u64>,
}

impl Iterator for Unsettled {
    type Item = MessageId;

    fn next(&mut self) -> Option<MessageId> {
        loop {
            if let Some(id) = self.current.next() {
                return Some(MessageId(id));
            }
            self.current = self.gaps.next()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn settling_in_order_is_one_range() {
        let mut settlement = Settlement::default();
        for id in [1, 3, 2, 5, 4] {
            settlement.insert(id);
        }
        assert_eq!(settlement.ranges().len(), 1);
        assert_eq!(settlement.unsettled(8).collect::<Vec<_>>(), [MessageId(6), MessageId(7)]);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((1_u64..40, 0_u64..6, any::<bool>()), 0..60)) {
            let mut settlement = Settlement::default();
            let mut model = BTreeSet::new();
            for (id, length, add) in steps {
                if add {
                    settlement.insert_range(id..id + length);
                    model.extend(id..id + length);
                } else {
                    settlement.remove(id);
                    model.remove(&id);
                }
                let pairs: Vec<_> = settlement.ranges().collect();
                prop_assert!(pairs.windows(2).all(|pair| pair[0].end < pair[1].start));
            }
            for id in 1..50 {
                prop_assert_eq!(settlement.contains(id), model.contains(&id));
                prop_assert_eq!(settlement.count_below(id), model.range(..id).count() as u64);
            }
            let open: Vec<u64> = settlement.unsettled(50).map(|id| id.0).collect();
            let expected: Vec<u64> = (1..50).filter(|id| !model.contains(id)).collect();
            prop_assert_eq!(open, expected);
        }
    }
}
