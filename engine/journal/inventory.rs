//! The files of a journal's folder: which volumes are in use, which are spares, which are packed.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    contents::Contents,
    disk::{Disk, DiskFile},
    format::{HEADER, PackHeader, UNIT, VolumeHeader},
    packed::{self, Packed},
    report::Corruption,
    volume::{Place, Spare, Volume, packed_id, packed_name, volume_id, volume_name},
    volumes::Volumes,
    walk::Walk,
};

/// The files of the folder.
#[derive(Debug)]
pub(crate) struct Inventory {
    pub(crate) volumes: Arc<Volumes>,
    pub(crate) spares: VecDeque<Spare>,
    /// Above the id of every file there is.
    pub(crate) next_volume: u64,
    pub(crate) damaged: Vec<Corruption>,
}

/// What the disk refused.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) doing: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

fn doing(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Refused {
    let path = path.to_owned();
    move |source| Refused { doing, path, source }
}

/// Reads the header of every volume, and no more of those whose header is whole. Leaves no file
/// open but those of spares.
pub(crate) fn take(
    disk: &Arc<dyn Disk>,
    folder: &Path,
    names: &[String],
) -> Result<Inventory, Refused> {
    let packed = names.iter().filter_map(|name| packed_id(name)).map(|id| (id, Place::Packed));
    let mut files: BTreeMap<u64, Place> = packed.collect();
    for id in names.iter().filter_map(|name| volume_id(name)) {
        files.entry(id).and_modify(|place| *place = Place::Both).or_insert(Place::Raw);
    }
    let mut inventory = Inventory {
        volumes: Arc::new(Volumes::new(Arc::clone(disk), folder.to_owned())),
        spares: VecDeque::new(),
        next_volume: files.last_key_value().map_or(1, |(last, _)| last + 1),
        damaged: Vec::new(),
    };
    for (id, place) in files {
        let name = if place == Place::Packed { packed_name(id) } else { volume_name(id) };
        let path = folder.join(name);
        let file = disk.open(&path).map_err(doing("open", &path))?;
        let found = match place {
            Place::Packed => packed_volume(&file, id),
            _ => raw_volume(&file, id, place),
        };
        match found.map_err(doing("read", &path))? {
            Found::Spare(size) => inventory.spares.push_back(Spare { id, file, size }),
            Found::Volume(volume, damage) => {
                // Spares are used in order: one before a volume in use was passed over.
                for spare in inventory.spares.drain(..) {
                    let path = folder.join(volume_name(spare.id));
                    disk.remove(&path).map_err(doing("remove", &path))?;
                }
                inventory.damaged.extend(damage);
                inventory.volumes.insert(Arc::new(volume));
            }
            Found::Nothing(damage) => inventory.damaged.push(damage),
        }
    }
    Ok(inventory)
}

/// What a file turned out to be.
enum Found {
    /// An unused volume of this size.
    Spare(u64),
    Volume(Volume, Option<Corruption>),
    /// A volume in which nothing can be read; it is left alone.
    Nothing(Corruption),
}

fn damage(id: u64, end: u64) -> Corruption {
    Corruption { volume: id, bytes: 0..end, batches: 0..0, saved: 0 }
}

/// A raw volume, by its header, or else by the first batch that can be read in it.
fn raw_volume(file: &Arc<dyn DiskFile>, id: u64, place: Place) -> io::Result<Found> {
    let length = file.len()?;
    if let Some(header) = volume_header(&**file, id)? {
        let header = VolumeHeader { size: header.size.min(length), ..header };
        return Ok(match header.first_batch {
            0 => Found::Spare(header.size),
            _ => Found::Volume(Volume::raw(&header, place), None),
        });
    }
    // From the header's own place, so that the first look is at the first batch.
    let mut walk = Walk::new(Arc::new(Contents::Raw(Arc::clone(file))), id, 0, length);
    Ok(match walk.look_ahead(0..u64::MAX)? {
        Some((_, first)) => {
            let (first_batch, first_id) = (first.number, first.first_id);
            let header = VolumeHeader { id, first_batch, first_id, size: length };
            Found::Volume(Volume::raw(&header, place), Some(damage(id, UNIT)))
        }
        None => Found::Nothing(damage(id, length)),
    })
}

/// The header of raw volume `id`, if it is whole and the file's own.
pub(crate) fn volume_header(file: &dyn DiskFile, id: u64) -> io::Result<Option<VolumeHeader>> {
    let mut bytes = [0; HEADER];
    file.read_at(&mut bytes, 0)?;
    Ok(VolumeHeader::decode(&bytes).filter(|header| header.id == id))
}

/// A packed volume, by its header, or else by its frames.
fn packed_volume(file: &Arc<dyn DiskFile>, id: u64) -> io::Result<Found> {
    let length = file.len()?;
    let volume = |header: PackHeader| Volume::packed(&header, length);
    if let Some(header) = packed::header(&**file, id)? {
        return Ok(Found::Volume(volume(header), None));
    }
    Ok(match Packed::open(Arc::clone(file), id)?.derived() {
        Some(header) => Found::Volume(volume(header), Some(damage(id, UNIT))),
        None => Found::Nothing(damage(id, length)),
    })
}
