//! The bytes of a volume as they were written, whether it lies there raw or packed.

use std::{io, sync::Arc};

use bytes::Bytes;

use crate::{disk::DiskFile, packed::Packed};

/// Bytes read at once when less is asked for.
pub(crate) const CHUNK: u64 = 256 << 10;

/// An open volume, to be read.
#[derive(Debug)]
pub(crate) enum Contents {
    Raw(Arc<dyn DiskFile>),
    Packed(Packed),
}

impl Contents {
    /// Bytes around `at`, and where they start: `length` from `at` on, or more, or fewer where the
    /// limit, the file or a packed frame ends. A batch never goes over the end of a frame.
    pub(crate) fn window(&self, at: u64, length: u64, limit: u64) -> io::Result<(u64, Bytes)> {
        match self {
            Contents::Raw(file) => {
                let wanted = length.max(CHUNK).min(limit.saturating_sub(at));
                Ok((at, piece(&**file, at, wanted)?))
            }
            Contents::Packed(packed) => packed.window(at),
        }
    }

    /// `length` bytes from `at` on, and no more; fewer where the volume ends.
    pub(crate) fn piece(&self, at: u64, length: u64) -> io::Result<Bytes> {
        match self {
            Contents::Raw(file) => piece(&**file, at, length),
            Contents::Packed(packed) => {
                let (start, bytes) = packed.window(at)?;
                let from = usize::try_from(at - start).unwrap_or(usize::MAX).min(bytes.len());
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let to = from.saturating_add(length).min(bytes.len());
                // A copy, so that an entry that is kept does not keep its frame.
                Ok(Bytes::copy_from_slice(bytes.get(from..to).unwrap_or_default()))
            }
        }
    }
}

fn piece(file: &dyn DiskFile, at: u64, length: u64) -> io::Result<Bytes> {
    let mut buffer = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
    let read = file.read_at(&mut buffer, at)?;
    buffer.truncate(read);
    Ok(buffer.into())
}
