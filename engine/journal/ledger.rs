//! What the entries written so far amount to: ids given out, what is settled, what was carried.

use std::collections::BTreeMap;

use crate::{
    entry::{Kind, MessageId, Position},
    settlement::Settlement,
};

/// The sums over all durable entries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ledger {
    /// Which messages are not settled.
    pub(crate) settlement: Settlement,
    /// The id that the next accepted message gets.
    pub(crate) next_id: u64,
    /// Where the newest copy of a carried message lies.
    pub(crate) carried: BTreeMap<u64, Position>,
    /// Everything unsettled that lay at or before this position has been carried forward.
    pub(crate) carried_through: Position,
}

impl Ledger {
    /// The ledger of a journal whose oldest volume starts at message `first_id`: what is not there
    /// any more was settled, or lies further on as a copy.
    pub(crate) fn starting_at(first_id: u64) -> Ledger {
        Ledger {
            settlement: Settlement::default(),
            next_id: first_id.max(1),
            carried: BTreeMap::new(),
            carried_through: Position::START,
        }
    }

    /// Notes that every id below `next_id` was given out.
    pub(crate) fn advance(&mut self, next_id: u64) {
        if next_id > self.next_id {
            self.settlement.open_range(self.next_id..next_id);
            self.next_id = next_id;
        }
    }

    /// Adds one durable entry. Adding it again, in order, changes nothing.
    pub(crate) fn note(
        &mut self,
        kind: Kind,
        id: MessageId,
        settles: bool,
        position: Position,
        origin: Option<Position>,
    ) {
        match origin {
            Some(origin) => {
                self.carried_through = self.carried_through.max(origin);
                if kind == Kind::Accepted {
                    // Only what is unsettled is carried, and what settles it comes behind.
                    self.settlement.open(id.0);
                    self.carried.insert(id.0, position);
                }
            }
            None if kind == Kind::Accepted => self.advance(id.0 + 1),
            None => {}
        }
        if settles && id != MessageId::NONE {
            self.settlement.settle(id.0);
        }
    }

    /// Whether the message was given out and is settled.
    pub(crate) fn is_settled(&self, id: MessageId) -> bool {
        id != MessageId::NONE && id.0 < self.next_id && !self.settlement.is_open(id.0)
    }

    /// Forgets copies that lie in a dropped volume.
    pub(crate) fn forget(&mut self, volume: u64) {
        self.carried.retain(|_, position| position.volume != volume);
    }
}
