//! Seats: a message's standing in the order of the held, which an edit takes over.

use std::collections::HashMap;

use roaring::RoaringTreemap;

use crate::chain::Record;

/// Who sits where, as far as it is not the message whose id the seat has.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    by_seat: HashMap<u64, (u64, [u8; 16])>,
    by_id: HashMap<u64, u64>,
}

impl Seats {
    /// The seat of `id`; none if another took it over.
    pub(crate) fn of(&self, id: u64) -> Option<u64> {
        match self.by_id.get(&id) {
            Some(seat) => Some(*seat),
            None => (!self.by_seat.contains_key(&id)).then_some(id),
        }
    }

    /// Who sits there.
    pub(crate) fn who(&self, seat: u64) -> u64 {
        self.by_seat.get(&seat).map_or(seat, |(id, _)| *id)
    }

    /// Where the message that took over this seat lies in the journal.
    pub(crate) fn place(&self, seat: u64) -> Option<[u8; 16]> {
        self.by_seat.get(&seat).map(|(_, place)| *place)
    }

    /// `new` takes over the seat of `old`.
    pub(crate) fn sit(&mut self, seat: u64, old: u64, new: u64, place: [u8; 16]) {
        self.by_id.remove(&old);
        self.by_id.insert(new, seat);
        self.by_seat.insert(seat, (new, place));
    }

    /// `id` is done, and its seat with it.
    pub(crate) fn leave(&mut self, id: u64) {
        if let Some(seat) = self.by_id.remove(&id) {
            self.by_seat.remove(&seat);
        }
    }
}

/// Seats of messages that left while records of them were still in the file: skipped when met.
#[derive(Debug, Default)]
pub(crate) struct Gone {
    seats: RoaringTreemap,
    /// Records that are left, where that is not what the record says.
    left: HashMap<u64, u32>,
}

impl Gone {
    /// `left`: how many of its records are in the file, unless the record knows.
    pub(crate) fn add(&mut self, seat: u64, left: Option<u32>) {
        self.seats.insert(seat);
        self.left.extend(left.map(|left| (seat, left)));
    }

    pub(crate) fn contains(&self, seat: u64) -> bool {
        self.seats.contains(seat)
    }

    /// A record of it was taken out of the file.
    pub(crate) fn met(&mut self, record: &Record) {
        let left = self.left.remove(&record.seat).unwrap_or(record.copies) - 1;
        if left == 0 {
            self.seats.remove(record.seat);
        } else {
            self.left.insert(record.seat, left);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.seats.clear();
        self.left.clear();
    }
}
