//! Which messages are not settled: a compressed bitmap, so that a million of them between settled
//! ones take a few hundred KiB, and what is settled takes nothing.

use std::{fmt, io, ops::Range};

use roaring::{RoaringTreemap, treemap};

use crate::entry::MessageId;

/// The ids that were given out and are not settled.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settlement {
    open: RoaringTreemap,
}

impl Settlement {
    /// Notes ids that are given out: from now on they are not settled.
    pub(crate) fn open_range(&mut self, ids: Range<u64>) {
        match ids.end.saturating_sub(ids.start) {
            0 => {}
            // The common case, at the end of the last bitmap.
            1 => self.open(ids.start),
            _ => {
                self.open.insert_range(ids);
            }
        }
    }

    /// Notes that a message is not settled.
    pub(crate) fn open(&mut self, id: u64) {
        self.open.insert(id);
    }

    /// Notes that a message is settled.
    pub(crate) fn settle(&mut self, id: u64) {
        self.open.remove(id);
    }

    pub(crate) fn is_open(&self, id: u64) -> bool {
        self.open.contains(id)
    }

    /// How many messages are not settled.
    pub(crate) fn count(&self) -> u64 {
        self.open.len()
    }

    /// The ids below `end` that are not settled.
    pub(crate) fn unsettled(&self, end: u64) -> Unsettled {
        let mut open = self.open.clone();
        open.remove_range(end..);
        Unsettled(open.into_iter())
    }

    /// Its bytes, in the portable form of Roaring bitmaps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut open = self.open.clone();
        open.optimize();
        let mut bytes = Vec::with_capacity(open.serialized_size());
        open.serialize_into(&mut bytes).expect("a vector takes every write");
        bytes
    }

    /// The set that [`Settlement::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> io::Result<Settlement> {
        Ok(Settlement { open: RoaringTreemap::deserialize_from(bytes)? })
    }
}

/// The ids of unsettled messages, rising, as they were when asked for.
pub struct Unsettled(treemap::IntoIter);

impl Iterator for Unsettled {
    type Item = MessageId;

    fn next(&mut self) -> Option<MessageId> {
        self.0.next().map(MessageId)
    }
}

impl fmt::Debug for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsettled").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_million_between_settled_ones_stay_small() {
        let mut settlement = Settlement::default();
        settlement.open_range(1..12_000_001);
        (1..12_000_001).filter(|id| *id < 10_000_001 || id % 2 == 0).for_each(|id| {
            settlement.settle(id);
        });
        assert_eq!(settlement.count(), 1_000_000);
        let bytes = settlement.encode();
        assert!(bytes.len() < 300 << 10, "{} bytes", bytes.len());
        let containers = settlement.open.bitmaps().map(|(_, bitmap)| bitmap.statistics());
        let memory: u64 = containers.map(|kept| kept.n_bytes_bitset_containers).sum();
        assert!(memory < 300 << 10, "{memory} bytes");
        assert_eq!(Settlement::decode(&bytes).unwrap(), settlement);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((1_u64..40, 0_u64..6, any::<bool>()), 0..60)) {
            let mut settlement = Settlement::default();
            let mut model = BTreeSet::new();
            for (id, length, add) in steps {
                if add {
                    settlement.open_range(id..id + length);
                    model.extend(id..id + length);
                } else {
                    settlement.settle(id);
                    model.remove(&id);
                }
                prop_assert_eq!(Settlement::decode(&settlement.encode()).unwrap(), settlement.clone());
            }
            for id in 1..50 {
                prop_assert_eq!(settlement.is_open(id), model.contains(&id));
                let open: Vec<u64> = settlement.unsettled(id).map(|id| id.0).collect();
                let expected: Vec<u64> = model.range(..id).copied().collect();
                prop_assert_eq!(open, expected);
            }
            prop_assert_eq!(settlement.count(), model.len() as u64);
        }
    }
}
