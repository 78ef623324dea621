//! Reading one entry: by its position, or by the id of its message.

use std::{
    cmp::Ordering,
    io,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;

use crate::{
    entries::{ENTRY_HEADER, Entries, EntryHeader},
    entry::{Entry, Kind, MessageId, Position},
    format::{HEADER, UNIT, units},
    reader::ReadError,
    report::Corruption,
    store::Store,
    volume::{Index, Volume},
    walk::{Step, Walk},
};

/// Bytes between two points of a volume's index.
const SPACING: u64 = 256 << 10;
/// Bytes read at first for one entry; most need no second read.
const GUESS: usize = 4096;

/// The entry at `position`.
pub(crate) fn read(store: &Store, position: Position) -> Result<Entry, ReadError> {
    let none = ReadError::NoEntry(position);
    if position >= *store.durable.borrow() || (position.entry as usize) < HEADER {
        return Err(none);
    }
    let Some(volume) = store.volumes.get(position.volume) else {
        return Err(match store.volumes.first() {
            Some(first) if position.volume < first.id => {
                ReadError::Dropped { first: Position { volume: first.id, batch: 1, entry: 0 } }
            }
            _ => none,
        });
    };
    let batch = u64::from(position.batch) * UNIT;
    let at = batch + u64::from(position.entry);
    let mut bytes = piece(&volume, at, GUESS)?;
    let damage = |length: usize| {
        let bytes = at..at + length as u64;
        ReadError::Corrupt(Corruption { volume: volume.id, bytes, batches: 0..0, saved: 0 })
    };
    let header = EntryHeader::decode(&bytes).ok_or_else(|| damage(ENTRY_HEADER))?;
    if at + (ENTRY_HEADER + header.length) as u64 > volume.size {
        return Err(damage(ENTRY_HEADER));
    }
    if header.stride() > bytes.len() {
        bytes = piece(&volume, at, header.stride())?;
    }
    if !header.holds(volume.id, &bytes) {
        return Err(damage(header.stride()));
    }
    let head = Walk::new(Arc::clone(&volume.file), volume.id, batch, batch + UNIT)
        .header_at(batch)
        .map_err(ReadError::Disk)?;
    let written = head.map_or(0, |head| head.written);
    header.entry(position, written, &bytes).map(|found| found.entry).ok_or(none)
}

fn piece(volume: &Volume, at: u64, length: usize) -> Result<Bytes, ReadError> {
    let mut bytes = vec![0; length];
    let read = volume.file.read_at(&mut bytes, at).map_err(ReadError::Disk)?;
    bytes.truncate(read);
    Ok(bytes.into())
}

/// The accepted entry of message `id`: the original, or else its carried copy.
pub(crate) fn find(store: &Store, id: MessageId) -> Result<Option<Entry>, ReadError> {
    if id == MessageId::NONE || id.0 >= store.next_id() {
        return Ok(None);
    }
    let original = match store.volumes.last_where(|volume| volume.first_id <= id.0) {
        Some(volume) => find_in(store, &volume, id).map_err(ReadError::Disk)?,
        None => None,
    };
    if original.is_some() {
        return Ok(original);
    }
    let copy = store.ledger().carried.get(&id.0).copied();
    copy.map(|position| read(store, position)).transpose()
}

fn find_in(store: &Store, volume: &Arc<Volume>, id: MessageId) -> io::Result<Option<Entry>> {
    let end = durable_end(store, volume);
    let start = {
        let mut index = volume.index.lock().unwrap_or_else(PoisonError::into_inner);
        extend(&mut index, volume, end)?;
        // The last batch that starts at or before the id: several may start at the same one, and
        // the id is in the last of these, or in none.
        let behind = index.points.partition_point(|(first_id, _)| *first_id <= id.0);
        let Some(&(_, at)) = index.points.get(behind.saturating_sub(1)) else { return Ok(None) };
        at
    };
    let mut walk = Walk::new(Arc::clone(&volume.file), volume.id, start, end);
    loop {
        match walk.step()? {
            Step::Batch { header, .. } if header.first_id > id.0 => return Ok(None),
            Step::Batch { at, header, body } => {
                let mut entries = Entries::of(header.volume, header.written, units(at), body, true);
                if let Some(entry) = entries.find_map(|found| original(found.entry, id)) {
                    return Ok(Some(entry));
                }
            }
            Step::Bad(_) => {
                let later = walk.look_ahead(0..u64::MAX)?;
                let to = later.map_or(end, |(to, _)| to);
                let mut saved = walk.salvage(to)?;
                if let Some(entry) = saved.find_map(|found| original(found.entry, id)) {
                    return Ok(Some(entry));
                }
                walk.at = to;
            }
            Step::End => return Ok(None),
        }
    }
}

fn original(entry: Entry, id: MessageId) -> Option<Entry> {
    (entry.kind == Kind::Accepted && !entry.carried && entry.id == id).then_some(entry)
}

/// The byte up to which a volume may be read.
fn durable_end(store: &Store, volume: &Volume) -> u64 {
    let durable = *store.durable.borrow();
    match durable.volume.cmp(&volume.id) {
        Ordering::Less => UNIT,
        Ordering::Equal => u64::from(durable.batch) * UNIT,
        Ordering::Greater => volume.size,
    }
}

/// Adds what was written since the index was last asked.
fn extend(index: &mut Index, volume: &Volume, end: u64) -> io::Result<()> {
    let mut walk = Walk::new(Arc::clone(&volume.file), volume.id, index.upto.max(UNIT), end);
    while walk.at + UNIT <= end {
        let Some(header) = walk.header_at(walk.at)? else {
            match walk.look_ahead(0..u64::MAX)? {
                Some((at, _)) => walk.at = at,
                None => walk.at = end,
            }
            continue;
        };
        if index.points.last().is_none_or(|(_, last)| walk.at - last >= SPACING) {
            index.points.push((header.first_id, walk.at));
        }
        walk.at += header.stride();
    }
    index.upto = walk.at;
    Ok(())
}
