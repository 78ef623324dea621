//! Walking through all volumes in order, telling damage from the end.
//!
//! Batches are numbered without gaps, and a batch is only written when the one before is durable.
//! So a number that is missing while a later one is there was durable once: that is damage. What
//! is invalid at the very end, with nothing later, was never promised to anybody.

use std::{io, sync::Arc};

use bytes::Bytes;

use crate::{
    entries::Entries,
    entry::Position,
    format::{BatchHeader, UNIT},
    report::Corruption,
    volume::Volume,
    volumes::Volumes,
    walk::{Step, Walk},
};

/// How far a cursor may look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    /// As far as there is anything: nobody knows yet what is durable.
    Unknown,
    /// Up to here, because everything before is durable.
    Durable(Position),
}

impl Bound {
    fn allows(self, volume: u64) -> bool {
        match self {
            Bound::Unknown => true,
            Bound::Durable(end) => volume <= end.volume,
        }
    }

    fn limit(self, volume: &Volume) -> u64 {
        match self {
            Bound::Durable(end) if end.volume == volume.id => u64::from(end.batch) * UNIT,
            Bound::Durable(_) | Bound::Unknown => volume.size,
        }
    }
}

/// A place between two batches.
#[derive(Debug)]
pub(crate) struct Cursor {
    volumes: Arc<Volumes>,
    from: Position,
    /// The number of the next batch, when that is known.
    pub(crate) expected: Option<u64>,
    here: Option<Here>,
}

#[derive(Debug)]
struct Here {
    volume: Arc<Volume>,
    walk: Walk,
}

/// What a cursor comes to.
#[derive(Debug)]
pub(crate) enum Turn {
    /// A valid batch.
    Batch { volume: Arc<Volume>, at: u64, header: BatchHeader, body: Bytes },
    /// Damage, and what could be saved of it. The cursor stands behind it.
    Lost { damage: Corruption, saved: Entries },
    /// The volume it should read is not there any more; the cursor stands at the oldest one.
    Gone { first: Position },
    /// Nothing more yet. `torn` when something stands there that never became durable.
    End { volume: Option<Arc<Volume>>, at: u64, torn: bool },
}

impl Cursor {
    /// A cursor at `from`; `expected` is the number of the batch there, when that is known.
    pub(crate) fn new(volumes: Arc<Volumes>, from: Position, expected: Option<u64>) -> Cursor {
        Cursor { volumes, from, expected, here: None }
    }

    /// The next thing it comes to.
    pub(crate) fn turn(&mut self, bound: Bound) -> io::Result<Turn> {
        loop {
            if self.here.is_none()
                && let Some(turn) = self.enter(bound)?
            {
                return Ok(turn);
            }
            let Some(here) = &mut self.here else { continue };
            here.walk.limit = bound.limit(&here.volume);
            let next = self.volumes.from(here.volume.id + 1).filter(|next| bound.allows(next.id));
            let turn = match here.walk.step()? {
                Step::Batch { at, header, body } => self.batch(at, header, body, next),
                Step::Bad(number) => self.bad(number, next, bound)?,
                Step::End => self.end(next),
            };
            if let Some(turn) = turn {
                return Ok(turn);
            }
        }
    }

    /// Opens the volume that `from` names.
    fn enter(&mut self, bound: Bound) -> io::Result<Option<Turn>> {
        let end = Turn::End { volume: None, at: 0, torn: false };
        let Some(first) = self.volumes.first().filter(|first| bound.allows(first.id)) else {
            return Ok(Some(end));
        };
        if self.from != Position::START && self.from.volume < first.id {
            self.from = Position { volume: first.id, batch: 1, entry: 0 };
            self.expected = None;
            return Ok(Some(Turn::Gone { first: self.from }));
        }
        let Some(volume) = self.volumes.from(self.from.volume).filter(|v| bound.allows(v.id))
        else {
            return Ok(Some(end));
        };
        let at = if volume.id == self.from.volume { self.from.batch.max(1) } else { 1 };
        if at == 1 && self.expected.is_none() {
            self.expected = Some(volume.first_batch);
        }
        let at = u64::from(at) * UNIT;
        // None when it was dropped this moment: the next look at the table tells.
        if let Some(contents) = self.volumes.open(&volume)? {
            let walk = Walk::new(contents, volume.id, at, volume.size);
            self.here = Some(Here { volume, walk });
        }
        Ok(None)
    }

    /// On to the next volume.
    fn leave(&mut self, next: &Volume) {
        self.from = Position { volume: next.id, batch: 1, entry: 0 };
        self.expected = Some(next.first_batch);
        self.here = None;
    }

    fn batch(
        &mut self,
        at: u64,
        header: BatchHeader,
        body: Bytes,
        next: Option<Arc<Volume>>,
    ) -> Option<Turn> {
        let here = self.here.as_mut()?;
        // A commit that was given up for torn and is readable after all: its number was given
        // again, to the first batch of the next volume.
        let stale = next.as_ref().is_some_and(|next| header.number >= next.first_batch)
            || self.expected.is_some_and(|expected| header.number < expected);
        if stale {
            here.walk.at = at;
            return match next {
                Some(next) => self.pass(at..at, &next),
                None => Some(Turn::End { volume: Some(Arc::clone(&here.volume)), at, torn: true }),
            };
        }
        if let Some(expected) = self.expected.filter(|expected| header.number > *expected) {
            let damage = damage(here.volume.id, at..at, expected..header.number);
            here.walk.at = at;
            self.expected = Some(header.number);
            return Some(Turn::Lost { damage, saved: Entries::none() });
        }
        self.expected = Some(header.number + 1);
        Some(Turn::Batch { volume: Arc::clone(&here.volume), at, header, body })
    }

    /// Leaves a volume, telling what is missing between it and the next one.
    fn pass(&mut self, bytes: std::ops::Range<u64>, next: &Volume) -> Option<Turn> {
        let volume = self.here.as_ref()?.volume.id;
        let expected = self.expected;
        self.leave(next);
        let missing = expected?..next.first_batch;
        if missing.is_empty() {
            return None;
        }
        Some(Turn::Lost { damage: damage(volume, bytes, missing), saved: Entries::none() })
    }

    fn end(&mut self, next: Option<Arc<Volume>>) -> Option<Turn> {
        let here = self.here.as_ref()?;
        let at = here.walk.at;
        match next {
            Some(next) => self.pass(at..at, &next),
            None => Some(Turn::End { volume: Some(Arc::clone(&here.volume)), at, torn: false }),
        }
    }

    fn bad(
        &mut self,
        number_here: Option<u64>,
        next: Option<Arc<Volume>>,
        bound: Bound,
    ) -> io::Result<Option<Turn>> {
        let Some(here) = self.here.as_mut() else { return Ok(None) };
        let at = here.walk.at;
        let upper = next.as_ref().map_or(u64::MAX, |next| next.first_batch);
        if let Some(next) = next.as_ref().filter(|_| self.expected == Some(upper)) {
            // Everything that belongs here was read; the rest is blank or a commit given up.
            self.leave(next);
            return Ok(None);
        }
        let numbers = self.expected.map_or(0, |expected| expected + 1)..upper;
        let later = here.walk.look_ahead(numbers)?;
        let (to, number) = match (&later, &next, bound) {
            (Some((to, header)), _, _) => (*to, header.number),
            (None, Some(next), _) => {
                let Some(_) = self.expected else {
                    self.leave(next);
                    return Ok(None);
                };
                (here.walk.limit, next.first_batch)
            }
            (None, None, Bound::Durable(_)) => {
                (here.walk.limit, self.expected.map_or(0, |expected| expected + 1))
            }
            (None, None, Bound::Unknown) => {
                let torn = !here.walk.rest_is_blank()?;
                return Ok(Some(Turn::End { volume: Some(Arc::clone(&here.volume)), at, torn }));
            }
        };
        // Only what surely is the missing batch: its number says so, or it is the only one missing.
        let its_own = match (number_here, self.expected) {
            (Some(here), Some(expected)) => here == expected,
            (None, Some(expected)) => number == expected + 1 && later.is_some(),
            (_, None) => number_here.is_some(),
        };
        let saved = if its_own { here.walk.salvage(to)? } else { Entries::none() };
        let mut damage = damage(here.volume.id, at..to, self.expected.unwrap_or(number)..number);
        damage.saved = saved.clone().count() as u64;
        here.walk.at = to;
        match next {
            Some(next) if later.is_none() => self.leave(&next),
            _ => self.expected = later.map(|(_, header)| header.number),
        }
        Ok(Some(Turn::Lost { damage, saved }))
    }
}

fn damage(volume: u64, bytes: std::ops::Range<u64>, batches: std::ops::Range<u64>) -> Corruption {
    Corruption { volume, bytes, batches, saved: 0 }
}
