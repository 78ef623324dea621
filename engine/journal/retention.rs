//! Dropping the oldest volumes, and carrying forward what in them is not settled.

use std::{io, sync::Arc, time::SystemTime};

use crate::{
    cursor::{Bound, Cursor, Turn},
    entries::{Draft, Entries, Found},
    entry::{MessageId, Position},
    format::units,
    queue::{AppendError, Job, Whose},
    report::Retained,
    settings::milliseconds,
    store::Store,
    volume::{Volume, Volumes, volume_name},
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

/// Drops what may go at `now`.
pub(crate) fn retain(store: &Store, now: SystemTime) -> Result<Retained, RetainError> {
    let mut done = Retained::default();
    // Held to the end, so that no checkpoint moves the floor and no second round interferes.
    let kept = store.kept();
    let Some(floor) = kept.floor() else { return Ok(done) };
    for volume in store.volumes.all() {
        if volume.id >= floor.volume || !due(store, &volume, now) {
            break;
        }
        let disk = |source| RetainError::Disk { volume: volume.id, source };
        let keep = unsettled(store, &volume).map_err(disk)?;
        let bytes: usize = keep.iter().map(|found| found.entry.body.len()).sum();
        if bytes as u64 > volume.size / 2 {
            // Moving it would free next to nothing, and be done again and again.
            tracing::warn!(volume = volume.id, "most of the oldest journal volume is unsettled");
            break;
        }
        done.carried += carry(store, keep).map_err(RetainError::Carry)?;
        let path = store.settings.folder.join(volume_name(volume.id));
        store
            .disk
            .remove(&path)
            .and_then(|()| store.disk.sync_dir(&store.settings.folder))
            .map_err(disk)?;
        store.volumes.remove(volume.id);
        store.ledger().forget(volume.id);
        done.volumes += 1;
        done.freed += volume.size;
        store.space.try_now();
    }
    drop(kept);
    Ok(done)
}

/// Whether the oldest volume is old enough, or all of them are too many.
fn due(store: &Store, volume: &Volume, now: SystemTime) -> bool {
    let retain = store.settings.retain;
    let old = retain.age.is_some_and(|age| {
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let written = match volume.written() {
            // Not scanned since the journal was opened.
            0 => newest_batch(&store.volumes, volume),
            written => written,
        };
        written.saturating_add(age) < milliseconds(now)
    });
    let spares: u64 = store.space.spares().iter().map(|(_, size)| size).sum();
    let sum = || store.volumes.all().iter().map(|volume| volume.size).sum::<u64>() + spares;
    old || retain.size.is_some_and(|size| sum() > size)
}

/// When the last batch of a volume was written, learned by reading the volume once.
fn newest_batch(volumes: &Arc<Volumes>, volume: &Volume) -> u64 {
    let Ok(()) = each_batch(volumes, volume, |_| ()) else { return u64::MAX };
    volume.written()
}

/// Reads every batch of a volume that can be read.
fn each_batch(
    volumes: &Arc<Volumes>,
    volume: &Volume,
    mut each: impl FnMut(Entries),
) -> io::Result<()> {
    let from = Position { volume: volume.id, batch: 1, entry: 0 };
    // Only what lies before the floor is asked for, so there is a next volume.
    let next = volumes.from(volume.id + 1).map_or(volume.id, |next| next.id);
    let behind = Position { volume: next, batch: 1, entry: 0 };
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
