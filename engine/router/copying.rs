//! Verified copies of the identity index, and what of the journal they make dispensable.

use std::time::{Duration, Instant};

use journal::entry::Position;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::event::Event;
use crate::patients::Patients;

/// How often it is asked whether a copy is due.
const LOOK: Duration = Duration::from_secs(2);
/// Age of the newest copy after which another one is due in any case.
const COPY: Duration = Duration::from_hours(1);
/// While retention may be waiting for one, copying takes at most one part in so many of the time.
const COPY_SHARE: u32 = 20;
/// Copies kept.
const COPIES: usize = 2;

impl Patients {
    /// Keeps verified copies until stopped. Blocks; give it a thread.
    pub(crate) fn keep_copies(&self, runtime: &Handle, stop: &CancellationToken) {
        // When the last copy was begun, how long it took, and how far it reaches.
        let mut last: Option<(Instant, Duration, Position)> = None;
        while !stop.is_cancelled() {
            let now = self.read_to();
            let covered = self.covered();
            let wanted = covered.is_none_or(|covered| covered.volume < now.volume);
            let due = match last {
                None => wanted,
                Some((_, _, reaches)) if reaches == now => false,
                Some((begun, took, _)) if wanted => begun.elapsed() >= took * COPY_SHARE,
                Some((begun, ..)) => begun.elapsed() >= COPY,
            };
            if due && self.knows_anybody() {
                let begun = Instant::now();
                if let Err(error) = self.index().snapshot(COPIES) {
                    Event::IdentityUnwritable { error: &error }.emit();
                }
                last = Some((begun, begun.elapsed(), now));
            }
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LOOK) => {}
                }
            });
        }
    }

    /// From where on the index still needs the journal: what two verified copies hold is safe.
    pub(crate) fn needed(&self) -> Position {
        match self.covered() {
            Some(covered) => covered,
            None if self.knows_anybody() => Position::START,
            None => Position::END,
        }
    }

    fn covered(&self) -> Option<Position> {
        // What cannot be read covers nothing.
        self.index().covered().ok().flatten().map(Position::from_bytes)
    }

    /// In doubt it does.
    fn knows_anybody(&self) -> bool {
        let figures = self.index().figures();
        self.index().unflushed() > 0 || figures.is_ok_and(|figures| figures.patients > 0)
    }
}
