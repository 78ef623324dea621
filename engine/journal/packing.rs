//! When sealed volumes are packed: on a thread of their own, which gives way to all others, soon
//! after the first batch of the next volume is durable.

use std::{
    io, mem,
    sync::{MutexGuard, PoisonError},
};

use crate::{
    pack::{pack, verify},
    packed,
    store::Store,
    volume::{Index, Place, Volume, packed_name, unfinished, volume_name},
};

/// How much nicer than the rest the thread is (0 to 19).
const NICE: i32 = 10;

/// Packs every sealed volume that can be packed and is not, and answers how many it packed. Volumes
/// that must stay as they are, because there is damage in them, are left alone.
pub(crate) fn pack_all(store: &Store, go_on: &mut dyn FnMut() -> bool) -> io::Result<u64> {
    // One at a time.
    let _turn = store.packing.turn();
    let mut packed = 0;
    let all = store.volumes.all();
    for (volume, next) in all.iter().zip(all.iter().skip(1)) {
        // Until then a crash could show that the last batch here is not the last one.
        let sealed = store.durable.borrow().volume > volume.id;
        if !sealed || !go_on() {
            break;
        }
        let (place, upto) = (*volume.place(), next.first_batch);
        let mut done = place == Place::Both && check_one(store, volume, upto, go_on)?;
        let place = *volume.place();
        if place == Place::Raw && store.settings.compress && !volume.stays_raw() {
            done = pack_one(store, volume, upto, go_on)?;
        }
        packed += u64::from(done);
    }
    Ok(packed)
}

fn pack_one(
    store: &Store,
    volume: &Volume,
    upto: u64,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    let Store { disk, settings, .. } = store;
    let Some(contents) = store.volumes.open(volume)? else { return Ok(false) };
    let mut make = || pack(&**disk, &settings.folder, volume, &contents, upto, go_on);
    if !store.space.stand_aside(&mut make)? {
        volume.keep_raw();
        return Ok(false);
    }
    let path = settings.folder.join(packed_name(volume.id));
    let unfinished = unfinished(&path);
    let mut place = volume.place();
    if *place != Place::Raw {
        // Dropped meanwhile.
        drop(place);
        disk.remove(&unfinished).ok();
        return Ok(false);
    }
    disk.rename(&unfinished, &path)?;
    // From here on both are there, whatever happens.
    *place = Place::Both;
    disk.sync_dir(&settings.folder)?;
    switch(store, volume, place)?;
    Ok(true)
}

/// Takes over a packed file that was found beside the raw one, if it is whole.
fn check_one(
    store: &Store,
    volume: &Volume,
    upto: u64,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    let Store { disk, settings, .. } = store;
    let path = settings.folder.join(packed_name(volume.id));
    let file = disk.open(&path)?;
    let good = verify(&file, volume, upto, go_on)?;
    drop(file);
    let mut place = volume.place();
    if *place != Place::Both {
        return Ok(false);
    }
    // Its name may be as new as the crash that left both.
    disk.sync_dir(&settings.folder)?;
    if good {
        switch(store, volume, place)?;
    } else {
        disk.remove(&path)?;
        *place = Place::Raw;
    }
    Ok(good)
}

/// Reads the packed file from now on, and removes the raw one.
fn switch(store: &Store, volume: &Volume, mut place: MutexGuard<'_, Place>) -> io::Result<()> {
    let Store { disk, settings, .. } = store;
    let file = disk.open(&settings.folder.join(packed_name(volume.id)))?;
    let stored = file.len()?;
    if let Some(header) = packed::header(&*file, volume.id)? {
        volume.note(header.end, header.written);
    }
    disk.remove(&settings.folder.join(volume_name(volume.id)))?;
    *place = Place::Packed;
    volume.note_stored(stored);
    // Whoever opens the volume now waits for the place.
    store.volumes.shelf.forget(volume.id);
    drop(place);
    // Whoever finds holds the finder while it opens a volume, so the place comes first.
    store.finder.lock().unwrap_or_else(PoisonError::into_inner).forget(volume.id);
    *volume.index.lock().unwrap_or_else(PoisonError::into_inner) = Index::default();
    store.space.try_now();
    disk.sync_dir(&settings.folder)
}

/// Packs what there is whenever the bell rings; the body of the thread.
pub(crate) fn run(store: &Store) {
    let thread = rustix::thread::gettid();
    if rustix::process::setpriority_process(Some(thread), NICE).is_err() {
        tracing::debug!("the priority of the thread that packs volumes could not be lowered");
    }
    let mut failing = false;
    while store.packing.goes_on() {
        let done = pack_all(store, &mut || store.packing.goes_on());
        let again = match done {
            Ok(_) => None,
            Err(_) if !store.packing.goes_on() => None,
            Err(error) => {
                if !mem::replace(&mut failing, true) {
                    tracing::warn!(%error, "a full journal volume cannot be packed yet");
                }
                Some(store.settings.space_check * 10)
            }
        };
        failing &= again.is_some();
        if store.packing.goes_on() {
            store.packing.wait(again);
        }
    }
}
