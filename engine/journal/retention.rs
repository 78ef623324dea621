//! Dropping the oldest volumes, and carrying forward what in them is not settled.

use std::{
    io,
    sync::{Arc, PoisonError},
    time::{Instant, SystemTime},
};

use crate::{
    age::newest_time,
    cursor::{Bound, Cursor, Turn},
    entries::{Draft, Entries, Found},
    entry::{MessageId, Position},
    format::units,
    queue::{AppendError, Job, Whose},
    report::Retained,
    settings::milliseconds,
    store::Store,
    volume::{Place, Volume, packed_name, volume_name},
    volumes::Volumes,
};

/// Why retention stopped. What it dropped before is gone, everything else is there.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// What must be kept could not be carried forward.
    #[error("what is unsettled cannot be carried forward")]
    Carry(#[source] AppendError),
    /// The disk cannot read or remove a volume.
    #[error("volume {volume} cannot be dropped")]
    Disk {
        /// The volume's id.
        volume: u64,
        /// What the operating system answered.
        source: io::Error,
    },
}

/// Drops what may go at `now` and lies in volumes before `before`.
pub(crate) fn retain(
    store: &Store,
    now: SystemTime,
    before: Position,
) -> Result<Retained, RetainError> {
    let mut done = Retained::default();
    // Held to the end, so that no checkpoint moves the floor and no second round interferes.
    let kept = store.kept();
    let Some(floor) = kept.floor() else { return Ok(done) };
    let floor = floor.min(before);
    let mut look = store.look.lock().unwrap_or_else(PoisonError::into_inner);
    let leapt = look.leapt(Instant::now(), milliseconds(now));
    drop(look);
    for volume in store.volumes.all() {
        let old = || !leapt && is_old(store, &volume, now);
        if volume.id >= floor.volume || !(too_many(store) || old()) {
            break;
        }
        let disk = |source| RetainError::Disk { volume: volume.id, source };
        // Gone when only the sync of its removal failed, and then all was carried.
        let there = *volume.place() != Place::Gone;
        let keep = if there { unsettled(store, &volume).map_err(disk)? } else { Vec::new() };
        let bytes: usize = keep.iter().map(|found| found.entry.body.len()).sum();
        if bytes as u64 > volume.size / 2 {
            // Moving it would free next to nothing, and be done again and again.
            tracing::warn!(volume = volume.id, "most of the oldest journal volume is unsettled");
            break;
        }
        done.carried += carry(store, keep).map_err(RetainError::Carry)?;
        remove(store, &volume).map_err(disk)?;
        store.volumes.remove(volume.id);
        store.ledger().forget(volume.id);
        store.finder.lock().unwrap_or_else(PoisonError::into_inner).forget(volume.id);
        done.volumes += 1;
        done.freed += volume.stored();
        store.space.try_now();
    }
    drop(kept);
    Ok(done)
}

/// Removes the files of a volume. Whoever packs it meanwhile sees that it is gone.
fn remove(store: &Store, volume: &Volume) -> io::Result<()> {
    let Store { disk, settings, .. } = store;
    let mut place = volume.place();
    if matches!(*place, Place::Packed | Place::Both) {
        disk.remove(&settings.folder.join(packed_name(volume.id)))?;
    }
    if *place == Place::Both {
        *place = Place::Raw;
    }
    if *place == Place::Raw {
        disk.remove(&settings.folder.join(volume_name(volume.id)))?;
    }
    *place = Place::Gone;
    disk.sync_dir(&settings.folder)
}

/// Whether all volumes together are too many.
fn too_many(store: &Store) -> bool {
    let spares: u64 = store.space.spares().iter().map(|(_, size)| size).sum();
    let sum = || store.volumes.all().iter().map(|volume| volume.stored()).sum::<u64>() + spares;
    store.settings.retain.size.is_some_and(|size| sum() > size)
}

/// Whether the oldest volume is old enough. When that cannot be said, it is not.
fn is_old(store: &Store, volume: &Volume, now: SystemTime) -> bool {
    let Some(age) = store.settings.retain.age else { return false };
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let now = milliseconds(now);
    let stated =
        store.volumes.all().into_iter().skip_while(|other| other.id < volume.id).map(|v| {
            // What was not scanned since the journal was opened is read once.
            let known = v.written() > 0 || each_batch(&store.volumes, &v, |_| ()).is_ok();
            if known { v.written() } else { u64::MAX }
        });
    newest_time(stated, now).is_some_and(|written| written.saturating_add(age) < now)
}

/// Reads every batch of a volume that can be read.
fn each_batch(
    volumes: &Arc<Volumes>,
    volume: &Volume,
    mut each: impl FnMut(Entries),
) -> io::Result<()> {
    let from = Position { volume: volume.id, batch: 1, entry: 0 };
    let behind = match volumes.from(volume.id + 1) {
        Some(next) => Position { volume: next.id, batch: 1, entry: 0 },
        None => Position { volume: volume.id, batch: units(volume.end()), entry: 0 },
    };
    let mut cursor = Cursor::new(Arc::clone(volumes), from, None);
    loop {
        match cursor.turn(Bound::Durable(behind))? {
            Turn::Batch { at, header, body, .. } => {
                volume.note(at + header.stride(), header.written);
                each(Entries::of(header.volume, header.written, units(at), body, true));
            }
            Turn::Lost { saved, .. } => each(saved),
            Turn::Gone { .. } | Turn::End { .. } => return Ok(()),
        }
    }
}

/// The entries of unsettled messages in a volume that were not carried forward before.
fn unsettled(store: &Store, volume: &Volume) -> io::Result<Vec<Found>> {
    let mut keep = Vec::new();
    each_batch(&store.volumes, volume, |entries| {
        let ledger = store.ledger();
        keep.extend(entries.filter(|found| {
            let entry = &found.entry;
            entry.id != MessageId::NONE
                && entry.position > ledger.carried_through
                && !ledger.is_settled(entry.id)
        }));
    })?;
    Ok(keep)
}

/// Appends copies and waits until they are durable. One batch after the other, each whole or not
/// at all: what is carried is remembered as "everything up to here", so nothing may be left out.
fn carry(store: &Store, keep: Vec<Found>) -> Result<u64, AppendError> {
    let mut carried = 0;
    let mut keep = keep.into_iter().peekable();
    while keep.peek().is_some() {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while let Some(Found { entry, .. }) =
            keep.next_if(|_| jobs.is_empty() || bytes < store.settings.batch_bytes / 8)
        {
            let (kind, origin) = (entry.kind, Some(entry.position));
            let draft = Draft { kind, settles: false, origin, body: entry.body };
            bytes += draft.size();
            jobs.push(Job { whose: Whose::Carried(entry.id), draft });
        }
        for ticket in store.queue.push_together(jobs) {
            let (id, _) = ticket.wait()?;
            carried += u64::from(id != MessageId::NONE);
        }
    }
    Ok(carried)
}
