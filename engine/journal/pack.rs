//! Packing a sealed volume: into a new file, read back before it counts, and only when every batch
//! of the volume is there and valid. Holds one frame and one batch in memory.

use std::{io, path::Path, sync::Arc};

use zstd::bulk::Compressor;

use crate::{
    contents::Contents,
    disk::{Disk, DiskFile},
    format::{BatchHeader, FrameHeader, HEADER, PackHeader, UNIT, checksum, units},
    inventory::volume_header,
    packed::{self, Packed},
    volume::{Volume, packed_name, unfinished},
    walk::{Step, Walk},
};

/// Raw bytes of a frame, or one batch when that is larger: what is unpacked to read one entry.
const FRAME: usize = 512 << 10;
/// Packed bytes between two syncs, so that a commit never waits long behind them.
const STEP: u64 = 1 << 20;
const LEVEL: i32 = 3;

/// Writes the packed form of `volume`, which holds the batches up to, not including, `upto`, under
/// a temporary name. False when the volume must stay as it is: there is damage in it, or a torn end.
/// `pause` is called after every frame and may stop the work by answering false.
pub(crate) fn pack(
    disk: &dyn Disk,
    folder: &Path,
    volume: &Volume,
    contents: &Arc<Contents>,
    upto: u64,
    pause: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    if let Contents::Raw(raw) = &**contents
        && volume_header(&**raw, volume.id)?.is_none()
    {
        return Ok(false);
    }
    let path = unfinished(&folder.join(packed_name(volume.id)));
    // Left over when a removal failed.
    disk.remove(&path).ok();
    let file = disk.create(&path)?;
    let written = write(&file, volume, contents, upto, pause)
        .and_then(|whole| Ok(whole && verify(&file, volume, upto, pause)?));
    if !matches!(written, Ok(true)) {
        // The error that matters is the first one; opening the journal removes it otherwise.
        disk.remove(&path).ok();
    }
    written
}

fn write(
    file: &Arc<dyn DiskFile>,
    volume: &Volume,
    contents: &Arc<Contents>,
    upto: u64,
    pause: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    let mut walk = Walk::new(Arc::clone(contents), volume.id, UNIT, volume.size);
    let mut press = Press::new(Arc::clone(file), volume)?;
    let mut written = 0;
    for number in volume.first_batch..upto {
        let Step::Batch { header, body, .. } = walk.step()? else { return Ok(false) };
        if header.number != number {
            return Ok(false);
        }
        written = written.max(header.written);
        if press.is_full_for(&header) && !(press.press(walk.at - header.stride())? && pause()) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        press.add(&header, &body);
    }
    if !walk.rest_is_blank()? {
        return Ok(false);
    }
    press.press(walk.at)?;
    let Volume { id, first_batch, first_id, .. } = *volume;
    let header = PackHeader { frames: 0, id, first_batch, first_id, end: walk.at, written };
    press.finish(header)?;
    Ok(true)
}

/// Makes frames of batches.
struct Press {
    file: Arc<dyn DiskFile>,
    compressor: Compressor<'static>,
    volume: u64,
    /// The raw bytes of the frame that is being gathered.
    raw: Vec<u8>,
    first: Option<BatchHeader>,
    frames: Vec<FrameHeader>,
    at: u64,
    synced: u64,
}

impl Press {
    fn new(file: Arc<dyn DiskFile>, volume: &Volume) -> io::Result<Press> {
        Ok(Press {
            file,
            compressor: Compressor::new(LEVEL)?,
            volume: volume.id,
            raw: Vec::new(),
            first: None,
            frames: Vec::new(),
            at: UNIT,
            synced: 0,
        })
    }

    /// Whether the frame is too full for another batch.
    fn is_full_for(&self, next: &BatchHeader) -> bool {
        let next = usize::try_from(next.stride()).unwrap_or(usize::MAX);
        !self.raw.is_empty() && self.raw.len().saturating_add(next) > FRAME
    }

    fn add(&mut self, header: &BatchHeader, body: &[u8]) {
        self.first.get_or_insert(*header);
        self.raw.extend_from_slice(&header.encode());
        self.raw.extend_from_slice(body);
        self.raw.resize(self.raw.len().next_multiple_of(HEADER), 0);
    }

    /// Writes what was gathered, which ends at byte `end` of the raw volume.
    fn press(&mut self, end: u64) -> io::Result<bool> {
        let Some(first) = self.first.take() else { return Ok(true) };
        let stored = self.compressor.compress(&self.raw)?;
        let frame = FrameHeader {
            volume: self.volume,
            raw_at: end - self.raw.len() as u64,
            first_batch: first.number,
            first_id: first.first_id,
            raw_length: u32::try_from(self.raw.len()).map_err(io::Error::other)?,
            stored_length: u32::try_from(stored.len()).map_err(io::Error::other)?,
            stored_crc: checksum(self.volume, &stored),
            place: units(self.at),
        };
        let mut bytes = Vec::with_capacity(stored.len() + 2 * HEADER);
        bytes.extend_from_slice(&frame.encode());
        bytes.extend_from_slice(&stored);
        bytes.resize(bytes.len().next_multiple_of(HEADER), 0);
        self.write(&bytes)?;
        self.frames.push(frame);
        // Nothing is kept of a frame that was larger than others.
        self.raw.clear();
        self.raw.shrink_to(FRAME);
        Ok(true)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        if self.at - self.synced >= STEP {
            self.file.sync()?;
            self.synced = self.at;
        }
        Ok(())
    }

    /// Writes the index, and the header last.
    fn finish(mut self, header: PackHeader) -> io::Result<()> {
        let index: Vec<u8> = self.frames.iter().flat_map(FrameHeader::encode).collect();
        self.write(&index)?;
        let frames = u32::try_from(self.frames.len()).map_err(io::Error::other)?;
        self.file.write_at(&PackHeader { frames, ..header }.encode(), 0)?;
        self.file.sync()
    }
}

/// Whether the packed `file` holds every batch of `volume` up to, not including, `upto`, whole.
pub(crate) fn verify(
    file: &Arc<dyn DiskFile>,
    volume: &Volume,
    upto: u64,
    pause: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    let Some(header) = packed::header(&**file, volume.id)? else { return Ok(false) };
    let expected = (volume.first_batch, volume.first_id);
    if (header.first_batch, header.first_id) != expected {
        return Ok(false);
    }
    let contents = Arc::new(Contents::Packed(Packed::open(Arc::clone(file), volume.id)?));
    let mut walk = Walk::new(contents, volume.id, UNIT, header.end);
    for (count, number) in (volume.first_batch..upto).enumerate() {
        match walk.step()? {
            Step::Batch { header, .. } if header.number == number => {}
            _ => return Ok(false),
        }
        if count % 1024 == 0 && !pause() {
            return Err(io::ErrorKind::Interrupted.into());
        }
    }
    Ok(walk.at == header.end)
}
