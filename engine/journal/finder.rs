//! Finding accepted entries by the ids of their messages. Whoever asks for rising ids reads every
//! volume at most once, and jumps over what holds none of them.

use std::{
    cmp::Ordering,
    io,
    iter::Peekable,
    sync::{Arc, PoisonError},
};

use bytes::Bytes;

use crate::{
    contents::Contents,
    entries::Entries,
    entry::{Entry, Kind, Position},
    format::{UNIT, units},
    report::Corruption,
    volume::{Index, Volume},
    volumes::Volumes,
    walk::{Step, Walk},
};

/// Bytes between two points of a volume's index.
const SPACING: u64 = 256 << 10;

/// Finds originals, and remembers where it found the last one.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    here: Option<Here>,
    /// Damage that was met since it was last asked for.
    damage: Option<Corruption>,
}

#[derive(Debug)]
struct Here {
    volume: u64,
    contents: Arc<Contents>,
    /// Behind the batch of `entries`.
    walk: Walk,
    /// What follows the entry that was found last, in its batch.
    entries: Peekable<Entries>,
    /// The id that was looked for last.
    id: u64,
}

impl Finder {
    /// The accepted entry of message `id` where it was first written; none when it is not there any
    /// more. Nothing behind `durable` is looked at.
    pub(crate) fn find(
        &mut self,
        volumes: &Volumes,
        durable: Position,
        id: u64,
    ) -> io::Result<Option<Entry>> {
        let Some(volume) = volumes.of_message(id) else { return Ok(None) };
        let end = durable_end(durable, &volume);
        let known = self.here.take().filter(|here| here.volume == volume.id);
        let contents = match &known {
            Some(here) => Arc::clone(&here.contents),
            None => match volumes.open(&volume)? {
                Some(contents) => contents,
                None => return Ok(None),
            },
        };
        let Some(start) = start(&volume, &contents, end, id)? else { return Ok(None) };
        let mut here = match known.filter(|here| here.id < id && here.walk.at >= start) {
            Some(here) => here,
            None => Here {
                volume: volume.id,
                walk: Walk::new(Arc::clone(&contents), volume.id, start, end),
                contents,
                entries: Entries::none().peekable(),
                id: 0,
            },
        };
        here.walk.limit = end;
        let found = here.seek(id, &mut self.damage)?;
        here.id = id;
        self.here = Some(here);
        Ok(found)
    }

    /// The damage that was met since this was last asked.
    pub(crate) fn damage(&mut self) -> Option<Corruption> {
        self.damage.take()
    }

    /// Lets go of a volume's file.
    pub(crate) fn forget(&mut self, volume: u64) {
        self.here = self.here.take().filter(|here| here.volume != volume);
    }
}

impl Here {
    fn seek(&mut self, id: u64, damage: &mut Option<Corruption>) -> io::Result<Option<Entry>> {
        loop {
            while let Some(found) = self.entries.peek() {
                let entry = &found.entry;
                if entry.kind == Kind::Accepted && !entry.carried {
                    match entry.id.0.cmp(&id) {
                        Ordering::Less => {}
                        Ordering::Equal => return Ok(Some(owned(entry))),
                        // This one's entry is damaged; the next one may be asked for later.
                        Ordering::Greater => return Ok(None),
                    }
                }
                self.entries.next();
            }
            match self.walk.step()? {
                Step::Batch { at, header, .. } if header.first_id > id => {
                    self.walk.at = at;
                    return Ok(None);
                }
                Step::Batch { at, header, body } => {
                    self.entries =
                        Entries::of(header.volume, header.written, units(at), body, true)
                            .peekable();
                }
                Step::Bad(_) => {
                    let from = self.walk.at;
                    let later = self.walk.look_ahead(0..u64::MAX)?;
                    let to = later.map_or(self.walk.limit, |(to, _)| to);
                    let entries = self.walk.salvage(to)?;
                    let saved = entries.clone().count() as u64;
                    self.entries = entries.peekable();
                    self.walk.at = to;
                    // What stands last in a raw volume may be torn, and was then never promised.
                    let promised =
                        matches!(&*self.contents, Contents::Packed(packed) if from < packed.end());
                    if later.is_some() || promised {
                        let volume = self.volume;
                        *damage =
                            Some(Corruption { volume, bytes: from..to, batches: 0..0, saved });
                    }
                }
                Step::End => return Ok(None),
            }
        }
    }
}

/// The entry with a body of its own, so that whoever keeps it does not keep its neighbours.
pub(crate) fn owned(entry: &Entry) -> Entry {
    Entry { body: Bytes::copy_from_slice(&entry.body), ..entry.clone() }
}

/// The byte up to which a volume may be read.
fn durable_end(durable: Position, volume: &Volume) -> u64 {
    match durable.volume.cmp(&volume.id) {
        Ordering::Less => UNIT,
        Ordering::Equal => u64::from(durable.batch) * UNIT,
        Ordering::Greater => volume.size,
    }
}

/// Where to look for message `id`: the last known place that starts at or before it. Several may
/// start at the same id, and the message is in the last of these, or in none.
fn start(volume: &Volume, contents: &Arc<Contents>, end: u64, id: u64) -> io::Result<Option<u64>> {
    if let Contents::Packed(packed) = &**contents {
        return Ok(packed.start(id));
    }
    let mut index = volume.index.lock().unwrap_or_else(PoisonError::into_inner);
    if index.points.last().is_none_or(|(first_id, _)| *first_id <= id) {
        let from = index.upto.max(UNIT);
        let mut walk = Walk::new(Arc::clone(contents), volume.id, from, end);
        extend(&mut index, &mut walk, id)?;
    }
    let behind = index.points.partition_point(|(first_id, _)| *first_id <= id);
    Ok(index.points.get(behind.saturating_sub(1)).map(|(_, at)| *at))
}

/// Reads headers of batches on to the first point behind message `id`.
fn extend(index: &mut Index, walk: &mut Walk, id: u64) -> io::Result<()> {
    while walk.at + UNIT <= walk.limit {
        let Some(header) = walk.header_at(walk.at)? else {
            walk.at = walk.look_ahead(0..u64::MAX)?.map_or(walk.limit, |(at, _)| at);
            continue;
        };
        let point = index.points.last().is_none_or(|(_, last)| walk.at - last >= SPACING);
        if point {
            index.points.push((header.first_id, walk.at));
        }
        walk.at += header.stride();
        if point && header.first_id > id {
            break;
        }
    }
    index.upto = walk.at;
    Ok(())
}
