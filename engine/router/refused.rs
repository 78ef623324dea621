//! The ring of refused frames: what was answered negatively stays to be looked at, never delivered.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// How many bytes of refused frames a listener keeps.
const RING_BYTES: usize = 64 * 1024 * 1024;
/// What a frame costs besides its bytes; an empty frame is not free.
const OVERHEAD: usize = 512;

/// One refused frame.
#[derive(Clone)]
pub struct RefusedFrame {
    /// When, milliseconds since 1970 in UTC.
    pub received: i64,
    /// From where.
    pub peer: String,
    /// Reason code.
    pub reason: &'static str,
    /// Size on the wire; larger than `bytes` when the frame was over the limit.
    pub size: u64,
    /// The frame, or its first 64 KiB.
    pub bytes: Bytes,
}

impl std::fmt::Debug for RefusedFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RefusedFrame")
            .field("reason", &self.reason)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Bounded by bytes; the oldest go first.
#[derive(Debug, Default)]
pub struct RefusedRing {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<RefusedFrame>,
    bytes: usize,
    total: u64,
    /// The second in which a refusal was last told of.
    told: Option<i64>,
}

impl RefusedRing {
    /// Keeps a frame, dropping the oldest ones beyond the limit. Says whether the log may tell of
    /// it: once a second, whatever a peer does.
    pub fn keep(&self, frame: RefusedFrame) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.total += 1;
        inner.bytes += frame.bytes.len() + OVERHEAD;
        let second = frame.received.div_euclid(1000);
        inner.frames.push_back(frame);
        while inner.bytes > RING_BYTES {
            let Some(oldest) = inner.frames.pop_front() else { break };
            inner.bytes -= oldest.bytes.len() + OVERHEAD;
        }
        inner.told.replace(second) != Some(second)
    }

    /// How many were refused since start.
    pub fn total(&self) -> u64 {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).total
    }

    /// What is kept, oldest first.
    pub fn frames(&self) -> Vec<RefusedFrame> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.frames.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_by_bytes_and_counts_everything() {
        let ring = RefusedRing::default();
        for _ in 0..5 {
            ring.keep(RefusedFrame {
                received: 0,
                peer: "127.0.0.1:9".into(),
                reason: "oversize",
                size: 1 << 30,
                bytes: Bytes::from(vec![0; 20 * 1024 * 1024]),
            });
        }
        assert_eq!(ring.total(), 5);
        assert_eq!(ring.frames().len(), 3);
    }

    #[test]
    fn empty_frames_are_not_free_and_the_log_hears_of_one_a_second() {
        let ring = RefusedRing::default();
        let told = (0..300_000)
            .filter(|number| {
                ring.keep(RefusedFrame {
                    received: number / 100,
                    peer: String::new(),
                    reason: "unreadable",
                    size: 0,
                    bytes: Bytes::new(),
                })
            })
            .count();
        assert!(ring.frames().len() <= RING_BYTES / OVERHEAD);
        assert_eq!(told, 3);
    }
}
