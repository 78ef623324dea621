//! Reading one entry, by its position or by the id of its message, and all that is about a message.

use std::sync::{Arc, TryLockError};

use crate::{
    cursor::{Bound, Cursor, Turn},
    entries::{ENTRY_HEADER, Entries, EntryHeader},
    entry::{Entry, MessageId, Position},
    finder::{Finder, owned},
    format::{BatchHeader, HEADER, UNIT, units},
    reader::ReadError,
    report::Corruption,
    settlement::Unsettled,
    store::Store,
    volume::Volume,
};

/// Bytes read at first for one entry; most need no second read.
const GUESS: u64 = 4096;

/// The entry at `position`.
pub(crate) fn read(store: &Store, position: Position) -> Result<Entry, ReadError> {
    let none = ReadError::NoEntry(position);
    if position >= *store.durable.borrow() || (position.entry as usize) < HEADER {
        return Err(none);
    }
    let Some(volume) = store.volumes.get(position.volume) else {
        return Err(dropped(store, position).unwrap_or(none));
    };
    let Some(contents) = store.volumes.open(&volume).map_err(ReadError::Disk)? else {
        return Err(dropped(store, position).unwrap_or(none));
    };
    let batch = u64::from(position.batch) * UNIT;
    let at = batch + u64::from(position.entry);
    let piece = |at, length: usize| contents.piece(at, length as u64).map_err(ReadError::Disk);
    let mut bytes = contents.piece(at, GUESS).map_err(ReadError::Disk)?;
    let damage = |length: usize| {
        let bytes = at..at + length as u64;
        ReadError::Corrupt(Corruption { volume: volume.id, bytes, batches: 0..0, saved: 0 })
    };
    let header = EntryHeader::decode(&bytes).ok_or_else(|| damage(ENTRY_HEADER))?;
    if at + (ENTRY_HEADER + header.length) as u64 > volume.size {
        return Err(damage(ENTRY_HEADER));
    }
    if header.stride() > bytes.len() {
        bytes = piece(at, header.stride())?;
    }
    if !header.holds(volume.id, &bytes) {
        return Err(damage(header.stride()));
    }
    let head = BatchHeader::decode(&piece(batch, HEADER)?, volume.id);
    let written = head.map_or(0, |head| head.written);
    header.entry(position, written, &bytes).map(|found| found.entry).ok_or(none)
}

/// What is told of a position that lies before everything there is.
fn dropped(store: &Store, position: Position) -> Option<ReadError> {
    let first = store.volumes.first().filter(|first| position.volume < first.id)?;
    Some(ReadError::Dropped { first: start_of(&first) })
}

fn start_of(volume: &Volume) -> Position {
    Position { volume: volume.id, batch: 1, entry: 0 }
}

/// The accepted entry of message `id`: the original, or else its carried copy.
pub(crate) fn find(store: &Store, id: MessageId) -> Result<Option<Entry>, ReadError> {
    match store.finder.try_lock() {
        Ok(mut finder) => find_with(store, &mut finder, id),
        Err(TryLockError::Poisoned(finder)) => find_with(store, &mut finder.into_inner(), id),
        // Somebody else is looking: better than to wait for them.
        Err(TryLockError::WouldBlock) => find_with(store, &mut Finder::default(), id),
    }
}

fn find_with(
    store: &Store,
    finder: &mut Finder,
    id: MessageId,
) -> Result<Option<Entry>, ReadError> {
    if id == MessageId::NONE || id.0 >= store.next_id() {
        return Ok(None);
    }
    let durable = *store.durable.borrow();
    if let Some(original) = finder.find(&store.volumes, durable, id.0).map_err(ReadError::Disk)? {
        return Ok(Some(original));
    }
    let copy = || store.ledger().carried.get(&id.0).copied();
    let mut known = copy();
    while let Some(position) = known {
        match read(store, position) {
            // Carried on once more while we looked.
            Err(ReadError::Dropped { .. }) if copy() != known => known = copy(),
            answer => return answer.map(Some),
        }
    }
    Ok(None)
}

/// Everything durable about message `id` that starts before `upto`.
pub(crate) fn records_about(
    store: &Store,
    id: MessageId,
    upto: Option<Position>,
) -> Result<Vec<Entry>, ReadError> {
    let mut records = Vec::new();
    if id == MessageId::NONE || id.0 >= store.next_id() {
        return Ok(records);
    }
    let accepted = find(store, id)?.filter(|entry| !entry.carried);
    let from = match accepted {
        Some(entry) => Position { entry: 0, ..entry.position },
        // Its copy comes behind what is still there about it.
        None => match store.volumes.of_message(id.0).or_else(|| store.volumes.first()) {
            Some(volume) => start_of(&volume),
            None => return Ok(records),
        },
    };
    // Copies of what lies in volumes that are still there would be told twice.
    let floor = store.volumes.first().map_or(0, |first| first.id);
    let end = *store.durable.borrow();
    let upto = upto.unwrap_or(end);
    let mut cursor = Cursor::new(Arc::clone(&store.volumes), from, None);
    loop {
        let entries = match cursor.turn(Bound::Durable(end)).map_err(ReadError::Disk)? {
            Turn::Batch { at, header, body, .. } => {
                Entries::of(header.volume, header.written, units(at), body, true)
            }
            Turn::Lost { saved, .. } => saved,
            Turn::Gone { .. } => continue,
            Turn::End { .. } => return Ok(records),
        };
        for found in entries {
            if found.entry.position >= upto {
                return Ok(records);
            }
            if found.entry.id == id && found.origin.is_none_or(|origin| origin.volume < floor) {
                records.push(owned(&found.entry));
            }
        }
    }
}

/// The accepted entries of messages that are not settled, in rising order of their ids: see
/// [`crate::journal::Journal::unsettled_entries`].
#[derive(Debug)]
pub struct UnsettledEntries {
    store: Arc<Store>,
    ids: Unsettled,
    finder: Finder,
    /// Found behind damage that was told first.
    next: Option<Entry>,
    ended: bool,
}

impl UnsettledEntries {
    pub(crate) fn new(store: Arc<Store>, below: MessageId) -> UnsettledEntries {
        let ids = store.ledger().settlement.unsettled(below.0);
        UnsettledEntries { store, ids, finder: Finder::default(), next: None, ended: false }
    }
}

impl Iterator for UnsettledEntries {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.next.take() {
            return Some(Ok(entry));
        }
        if self.ended {
            return None;
        }
        loop {
            let id = self.ids.next()?;
            if self.store.ledger().is_settled(id) {
                continue;
            }
            let found = find_with(&self.store, &mut self.finder, id);
            self.ended = matches!(found, Err(ReadError::Disk(_)));
            if let Some(damage) = self.finder.damage() {
                self.next = found.ok().flatten();
                return Some(Err(ReadError::Corrupt(damage)));
            }
            if let Some(found) = found.transpose() {
                return Some(found);
            }
        }
    }
}
