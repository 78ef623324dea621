//! Reading packed volumes, as drawn in the crate's documentation: frames of whole batches, each
//! compressed on its own, under the same positions as the raw volume had.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use zstd::bulk::Decompressor;

use crate::{
    disk::DiskFile,
    format::{FrameHeader, HEADER, PackHeader, UNIT, checksum},
};

/// No frame claims to be larger: what does is damaged.
const LARGEST: u32 = 1 << 31;

/// An open packed volume.
#[derive(Debug)]
pub(crate) struct Packed {
    file: Arc<dyn DiskFile>,
    volume: u64,
    /// By the raw bytes they stand for, rising, without overlap.
    frames: Vec<FrameHeader>,
    last: Mutex<Last>,
}

/// What is kept from one frame to the next.
#[derive(Default)]
struct Last {
    decompressor: Option<Decompressor<'static>>,
    /// The frame that was unpacked last, by its place in `frames`.
    frame: Option<(usize, Bytes)>,
}

impl fmt::Debug for Last {
    /// Never shows the bytes, which may be a patient's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.frame.as_ref().map(|(place, _)| place);
        f.debug_struct("Last").field("frame", &frame).finish_non_exhaustive()
    }
}

/// The header of packed volume `id`, if it is whole and the file's own.
pub(crate) fn header(file: &dyn DiskFile, id: u64) -> io::Result<Option<PackHeader>> {
    let mut bytes = [0; HEADER];
    file.read_at(&mut bytes, 0)?;
    Ok(PackHeader::decode(&bytes).filter(|header| header.id == id))
}

impl Packed {
    /// Opens packed volume `id` by its index, or by the headers of its frames when that is damaged.
    pub(crate) fn open(file: Arc<dyn DiskFile>, id: u64) -> io::Result<Packed> {
        let frames = match header(&*file, id)? {
            Some(header) => index(&*file, &header)?,
            None => None,
        };
        let frames = match frames {
            Some(frames) => frames,
            None => found(&*file, id)?,
        };
        Ok(Packed { file, volume: id, frames, last: Mutex::default() })
    }

    /// What the frames say of the volume, for when its header is damaged.
    pub(crate) fn derived(&self) -> Option<PackHeader> {
        let (first, last) = (self.frames.first()?, self.frames.last()?);
        Some(PackHeader {
            id: self.volume,
            frames: u32::try_from(self.frames.len()).unwrap_or(u32::MAX),
            first_batch: first.first_batch,
            first_id: first.first_id,
            end: last.end(),
            // Unknown, and so never old enough by itself.
            written: u64::MAX,
        })
    }

    /// The byte of the raw volume behind its last frame.
    pub(crate) fn end(&self) -> u64 {
        self.frames.last().map_or(0, FrameHeader::end)
    }

    /// The raw byte of the last frame that starts at or before message `id`.
    pub(crate) fn start(&self, id: u64) -> Option<u64> {
        let behind = self.frames.partition_point(|frame| frame.first_id <= id);
        self.frames.get(behind.saturating_sub(1)).map(|frame| frame.raw_at)
    }

    /// The raw bytes around `at` and where they start: the frame that holds it, or zeros where a
    /// frame is damaged. Nothing behind the last frame.
    pub(crate) fn window(&self, at: u64) -> io::Result<(u64, Bytes)> {
        let behind = self.frames.partition_point(|frame| frame.raw_at <= at);
        let place = behind.checked_sub(1);
        if let Some((place, frame)) = place.and_then(|place| Some((place, self.frames.get(place)?)))
            && at < frame.end()
        {
            return Ok((frame.raw_at, self.unpacked(place, frame)?));
        }
        // Between two frames: one is missing altogether.
        let missing = self.frames.get(behind).map_or(0, |next| next.raw_at - at);
        let missing = usize::try_from(missing.min(256 << 10)).unwrap_or(0);
        Ok((at, vec![0; missing].into()))
    }

    fn unpacked(&self, place: usize, frame: &FrameHeader) -> io::Result<Bytes> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bytes)) = last.frame.as_ref().filter(|(known, _)| *known == place) {
            return Ok(bytes.clone());
        }
        let bytes = match self.stored(frame)? {
            Some(stored) => last.unpack(&stored, frame.raw_length as usize)?,
            None => None,
        };
        let bytes = Bytes::from(bytes.unwrap_or_else(|| vec![0; frame.raw_length as usize]));
        last.frame = Some((place, bytes.clone()));
        Ok(bytes)
    }

    /// The stored bytes of a frame; none when they are damaged.
    fn stored(&self, frame: &FrameHeader) -> io::Result<Option<Vec<u8>>> {
        let mut stored = vec![0; frame.stored_length as usize];
        let read = self.file.read_at(&mut stored, frame.at() + UNIT)?;
        let whole = read == stored.len() && checksum(self.volume, &stored) == frame.stored_crc;
        Ok(whole.then_some(stored))
    }
}

impl Last {
    /// The raw bytes of a frame; none when they are not what they should be.
    fn unpack(&mut self, stored: &[u8], length: usize) -> io::Result<Option<Vec<u8>>> {
        let decompressor = match &mut self.decompressor {
            Some(kept) => kept,
            none => none.insert(Decompressor::new()?),
        };
        let raw = decompressor.decompress(stored, length).ok();
        Ok(raw.filter(|raw| raw.len() == length))
    }
}

/// The frames that the index at the file's end names, if it is whole.
fn index(file: &dyn DiskFile, header: &PackHeader) -> io::Result<Option<Vec<FrameHeader>>> {
    let length = u64::from(header.frames) * UNIT;
    let Some(at) = file.len()?.checked_sub(length) else { return Ok(None) };
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut bytes, at)?;
    bytes.truncate(read);
    let frames: Vec<FrameHeader> = bytes
        .chunks_exact(HEADER)
        .map_while(|bytes| FrameHeader::decode(bytes, header.id))
        .collect();
    let whole = frames.len() == header.frames as usize && fits(&frames, at);
    Ok(whole.then_some(frames))
}

/// The frames that can be found without the index, by the header before each.
fn found(file: &dyn DiskFile, id: u64) -> io::Result<Vec<FrameHeader>> {
    let length = file.len()?;
    let mut frames: Vec<FrameHeader> = Vec::new();
    let mut at = UNIT;
    let mut chunk = vec![0; 256 << 10];
    while at + UNIT <= length {
        let read = file.read_at(&mut chunk, at)?;
        let units = chunk.get(..read).unwrap_or_default().chunks_exact(HEADER);
        let mut step = (units.len() * HEADER) as u64;
        for (bytes, place) in units.zip((at..).step_by(HEADER)) {
            let Some(frame) = FrameHeader::decode(bytes, id).filter(|f| f.at() == place) else {
                continue;
            };
            let room = place + UNIT + u64::from(frame.stored_length) <= length;
            if room && frames.last().is_none_or(|last| last.end() <= frame.raw_at) {
                step = (place - at) + frame.stride();
                frames.push(frame);
                break;
            }
        }
        if step == 0 {
            break;
        }
        at += step;
    }
    frames.retain(|frame| frame.raw_length <= LARGEST);
    Ok(frames)
}

/// Whether frames lie one behind the other, before `end`.
fn fits(frames: &[FrameHeader], end: u64) -> bool {
    let order = frames.windows(2).all(|pair| matches!(pair, [one, two] if one.end() <= two.raw_at));
    let inside = |frame: &FrameHeader| {
        frame.raw_length <= LARGEST && frame.at() + UNIT + u64::from(frame.stored_length) <= end
    };
    order && frames.iter().all(inside)
}
