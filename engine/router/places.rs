//! Where in the journal a restart must begin to read.

use std::collections::BTreeMap;

use journal::entry::{MessageId, Position};

/// What was read and is not settled, and how far the reader is.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// Where each lies, and when it was received in milliseconds since 1970 in UTC.
    in_flight: BTreeMap<u64, (Position, i64)>,
    read: Position,
}

impl Places {
    /// Nothing in flight, everything before `read` done with.
    pub(crate) fn from(read: Position) -> Self {
        Self { in_flight: BTreeMap::new(), read }
    }

    /// The reader stands here now.
    pub(crate) fn read(&mut self, position: Position) {
        self.read = self.read.max(position);
    }

    pub(crate) fn enter(&mut self, id: MessageId, position: Position, received: i64) {
        self.in_flight.insert(id.0, (position, received));
    }

    /// The message is settled or parked, *durably*: a restart need not see it again.
    pub(crate) fn leave(&mut self, id: MessageId) {
        self.in_flight.remove(&id.0);
    }

    /// Everything before is settled or parked.
    pub(crate) fn low_water(&self) -> Position {
        // Message order is journal order, so the first is the lowest.
        let first = self.in_flight.values().next().map(|(position, _)| *position);
        first.unwrap_or(self.read).min(self.read)
    }

    /// When the oldest was received.
    pub(crate) fn oldest(&self) -> Option<i64> {
        self.in_flight.values().next().map(|(_, received)| *received)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_reads_from_the_oldest_that_is_not_done_with() {
        let at = |batch| Position { volume: 1, batch, entry: 32 };
        let mut places = Places::from(Position::START);
        for number in 1..=3 {
            places.enter(MessageId(number), at(u32::try_from(number).unwrap()), 0);
            places.read(at(u32::try_from(number).unwrap()));
        }
        assert_eq!(places.low_water(), at(1));
        places.leave(MessageId(2));
        assert_eq!(places.low_water(), at(1));
        places.leave(MessageId(1));
        assert_eq!(places.low_water(), at(3));
        places.leave(MessageId(3));
        assert_eq!(places.low_water(), at(3), "the reader has been there");
    }
}
