//! The one who writes: batches of records, each into the files of its days.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use roaring::RoaringTreemap;

use crate::binder::Binder;
use crate::catalogue::Catalogue;
use crate::coding::MOST_ID;
use crate::companions::sync_folder;
use crate::day::{Day, Shelf};
use crate::error::ArchiveError;
use crate::life::Life;
use crate::record::{Record, What};
use crate::spans::{Span, Spans};

/// Shelves that stay open for writing: today's, yesterday's around midnight, the kept ones, and one
/// for an operator who settles something old.
const MOST_BINDERS: usize = 4;

/// Messages of one batch, by where they are.
type Lives = BTreeMap<Shelf, BTreeMap<u64, Life>>;

/// All that is open for writing.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: PathBuf,
    /// How far the journal was taken.
    pub(crate) catalogue: Catalogue,
    /// The one used last at the end.
    binders: Vec<(Shelf, Binder)>,
    /// The ids on the shelf of kept messages.
    pub(crate) kept: RoaringTreemap,
}

impl Writer {
    /// Begins with nothing but the catalogue open.
    pub(crate) fn new(folder: &Path, catalogue: Catalogue, kept: RoaringTreemap) -> Self {
        Self { folder: folder.to_owned(), catalogue, binders: Vec::new(), kept }
    }

    /// Writes a batch; gives back how many records were about messages that are not here.
    ///
    /// Each shelf is written in a transaction of its own and is durable then; the position follows
    /// at last. After a crash between two of them the same records come again, and change nothing
    /// where they were written.
    pub(crate) fn take(
        &mut self,
        spans: &Spans,
        batch: &[Record],
        position: &str,
    ) -> Result<u64, ArchiveError> {
        let (lives, unknown) = self.fold(spans, batch)?;
        for (shelf, lives) in &lives {
            let lives: Vec<&Life> = lives.values().collect();
            self.save(spans, *shelf, &lives)?;
        }
        let shelves: Vec<Shelf> = lives.into_keys().collect();
        let path = self.catalogue.path.clone();
        let taken = self.catalogue.take(batch, &shelves, position);
        taken.map_err(ArchiveError::storage(&path))?;
        Ok(unknown)
    }

    /// Writes messages into one shelf.
    pub(crate) fn save(
        &mut self,
        spans: &Spans,
        shelf: Shelf,
        lives: &[&Life],
    ) -> Result<(), ArchiveError> {
        if let Err(error) = self.binder(shelf)?.save(lives) {
            self.close(shelf);
            return Err(ArchiveError::storage(shelf.path(&self.folder))(error));
        }
        if spans.of(shelf).is_none() {
            sync_folder(&self.folder).map_err(ArchiveError::folder(&self.folder))?;
        }
        for id in lives.iter().filter(|life| life.is_new).map(|life| life.story.row.id) {
            spans.add(shelf, Span { first: id, last: id, rows: 1 });
            if shelf == Shelf::Kept {
                self.kept.insert(id);
            }
        }
        Ok(())
    }

    /// The shelf that is open for writing.
    pub(crate) fn binder(&mut self, shelf: Shelf) -> Result<&mut Binder, ArchiveError> {
        if let Some(at) = self.binders.iter().position(|(of, _)| *of == shelf) {
            let binder = self.binders.remove(at);
            self.binders.push(binder);
        } else {
            let failed = ArchiveError::storage(shelf.path(&self.folder));
            let binder = Binder::open(&self.folder, shelf).map_err(failed)?;
            if self.binders.len() == MOST_BINDERS {
                let (of, rests) = self.binders.remove(0);
                rests.rest().map_err(ArchiveError::storage(of.path(&self.folder)))?;
            }
            self.binders.push((shelf, binder));
        }
        let (_, binder) = self.binders.last_mut().expect("one was just pushed");
        Ok(binder)
    }

    /// Closes a shelf, if it is open.
    pub(crate) fn close(&mut self, shelf: Shelf) {
        self.binders.retain(|(of, _)| *of != shelf);
    }

    /// Applies records to messages, in memory.
    fn fold(&mut self, spans: &Spans, batch: &[Record]) -> Result<(Lives, u64), ArchiveError> {
        let mut lives = Lives::new();
        let mut homes: HashMap<u64, Shelf> = HashMap::new();
        let mut unknown = 0;
        for record in batch.iter().filter(|record| record.id != 0) {
            let id = record.id;
            if id > MOST_ID {
                return Err(ArchiveError::IdTooLarge { id });
            }
            if let Entry::Vacant(home) = homes.entry(id)
                && let Some((shelf, life)) = self.home(spans, record)?
            {
                home.insert(shelf);
                lives.entry(shelf).or_default().insert(id, life);
            }
            let life = homes.get(&id).and_then(|shelf| lives.get_mut(shelf)?.get_mut(&id));
            match life {
                Some(life) => life.apply(record),
                None => unknown += 1,
            }
        }
        Ok((lives, unknown))
    }

    /// The message that a record is about, and where it stands or is to stand.
    fn home(
        &mut self,
        spans: &Spans,
        record: &Record,
    ) -> Result<Option<(Shelf, Life)>, ArchiveError> {
        for shelf in self.candidates(spans, record) {
            let loaded = self.binder(shelf)?.load(record.id);
            let failed = ArchiveError::storage(shelf.path(&self.folder));
            if let Some(life) = loaded.map_err(failed)? {
                return Ok(Some((shelf, life)));
            }
        }
        Ok(began(record))
    }

    /// Where it may stand, the likeliest first.
    fn candidates(&self, spans: &Spans, record: &Record) -> Vec<Shelf> {
        let id = record.id;
        let received = match &record.what {
            What::Accepted(accepted) => Some(accepted.received_ms),
            What::Outcome(outcome) => Some(outcome.received_ms),
            What::State(change) => Some(change.received_ms),
            What::Operator(_) => None,
        };
        let day = received.map(|ms| Shelf::Day(Day::of(ms)));
        if self.kept.contains(id) {
            return vec![Shelf::Kept];
        }
        let holds = |shelf: &Shelf| spans.of(*shelf).is_some_and(|span| span.holds(id));
        let mut candidates: Vec<Shelf> = day.filter(holds).into_iter().collect();
        // A message is accepted on its own day or nowhere.
        if !matches!(record.what, What::Accepted(_)) {
            let others = spans.all().into_iter().rev();
            let others = others.filter(|(shelf, span)| Some(*shelf) != day && span.holds(id));
            candidates.extend(others.map(|(shelf, _)| shelf));
        }
        candidates
    }
}

/// A message that begins with this record.
fn began(record: &Record) -> Option<(Shelf, Life)> {
    let What::Accepted(accepted) = &record.what else { return None };
    let day = Day::of(accepted.received_ms);
    Some((Shelf::Day(day), Life::begin(record, accepted)))
}
