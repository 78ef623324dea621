//! The archive: one writes, many ask.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use roaring::RoaringTreemap;

use crate::catalogue::Catalogue;
use crate::companions;
use crate::day::Shelf;
use crate::error::ArchiveError;
use crate::page::Page;
use crate::query::Query;
use crate::readers::Readers;
use crate::reading;
use crate::record::Record;
use crate::row::{AuditRow, Facts, Row, Story, Sums};
use crate::search;
use crate::spans::Spans;
use crate::sql::Bounds;
use crate::state::State;
use crate::writer::Writer;

/// Everything that happened, as far as the journal was taken. All functions block.
///
/// One thread should feed it; any number may ask meanwhile, and neither waits for the other.
#[derive(Debug)]
pub struct Archive {
    pub(crate) folder: PathBuf,
    pub(crate) spans: Spans,
    pub(crate) readers: Readers,
    position: RwLock<Option<String>>,
    writer: Mutex<Writer>,
    /// The catalogue once more, for those who ask.
    audits: Mutex<Catalogue>,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Records about messages that are not here: the journal no longer holds their acceptance, or
    /// their day was dropped.
    pub unknown: u64,
}

impl Archive {
    /// Puts together what was opened.
    pub(crate) fn assemble(
        folder: &Path,
        readers: usize,
        spans: Spans,
        kept: RoaringTreemap,
    ) -> Result<Self, ArchiveError> {
        let open = || Catalogue::open(folder);
        let path = folder.join(crate::catalogue::FILE);
        let catalogue = open().map_err(ArchiveError::storage(&path))?;
        let position = catalogue.position().map_err(ArchiveError::storage(&path))?;
        Ok(Self {
            folder: folder.to_owned(),
            spans,
            readers: Readers::new(folder, readers),
            position: RwLock::new(position),
            writer: Mutex::new(Writer::new(folder, catalogue, kept)),
            audits: Mutex::new(open().map_err(ArchiveError::storage(&path))?),
        })
    }

    /// Takes a batch of records, about a thousand at best, and the position of the journal behind
    /// them. After an error the position stands where it stood: feed the same again, or more.
    ///
    /// Records that were taken before change nothing, as long as they come in the same order.
    pub fn take(&self, batch: &[Record], position: &str) -> Result<Taken, ArchiveError> {
        let unknown = self.writer().take(&self.spans, batch, position)?;
        let mut stands = self.position.write().unwrap_or_else(PoisonError::into_inner);
        *stands = Some(position.to_owned());
        Ok(Taken { unknown })
    }

    /// How far the journal was taken; none if it must be read from its beginning.
    pub fn position(&self) -> Option<String> {
        self.position.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The messages that a query asks for, as many as fit the page, in the page's order.
    ///
    /// The order is that of the ids, which is the order of receipt whatever a clock said.
    pub fn messages(&self, query: &Query, page: &Page) -> Result<Vec<Row>, ArchiveError> {
        let mut bounds = Bounds::of(query);
        bounds.ids = page.within(bounds.ids);
        let mut shelves = self.spans.all();
        shelves.retain(|(shelf, span)| {
            shelf.meets(bounds.from_ms, bounds.until_ms)
                && span.first <= bounds.ids.1
                && bounds.ids.0 <= span.last
        });
        shelves.sort_by_key(|(_, span)| page.order.key(span.first, span.last));
        let mut rows: Vec<Row> = Vec::new();
        for (shelf, span) in shelves {
            let full = rows.len() >= page.limit;
            if full && rows.last().is_none_or(|row| page.order.is_past(row.id, &span)) {
                break;
            }
            let found =
                self.readers.ask(shelf, |reader| search::rows(reader, query, &bounds, page))?;
            rows.extend(found.into_iter().flatten());
            rows.sort_by_key(|row| page.order.key(row.id, row.id));
            rows.truncate(page.limit);
        }
        Ok(rows)
    }

    /// A message and all that happened to it.
    pub fn message(&self, id: u64) -> Result<Option<Story>, ArchiveError> {
        // `kept` is last in the order of shelves and is asked first; then the newest day.
        for (shelf, _) in self.spans.all().into_iter().rev().filter(|(_, span)| span.holds(id)) {
            let story = self.readers.ask(shelf, |reader| {
                // One moment in time for all tables.
                let reader = reader.transaction()?;
                reading::story(&reader, id)
            })?;
            if let Some(story) = story.flatten() {
                return Ok(Some(story));
            }
        }
        Ok(None)
    }

    /// What operators did since a moment (milliseconds since 1970), the newest first.
    pub fn audit(&self, since_ms: i64, limit: usize) -> Result<Vec<AuditRow>, ArchiveError> {
        let audits = self.audits.lock().unwrap_or_else(PoisonError::into_inner);
        audits.audit(since_ms, limit).map_err(ArchiveError::storage(&audits.path))
    }

    /// How many messages of each channel and UTC hour of receipt are in which state, counted from
    /// the rows of what was received since a moment (milliseconds since 1970).
    pub fn sums(&self, since_ms: i64) -> Result<Sums, ArchiveError> {
        let mut sums = Sums::new();
        for (shelf, _) in self.spans.all() {
            if shelf.meets(since_ms, i64::MAX) {
                self.readers.ask(shelf, |reader| search::sums(reader, since_ms, &mut sums))?;
            }
        }
        Ok(sums)
    }

    /// The ids of all messages from one on, by state.
    pub fn ids_by_state(
        &self,
        from_id: u64,
    ) -> Result<BTreeMap<State, RoaringTreemap>, ArchiveError> {
        let mut ids = BTreeMap::new();
        for (shelf, _) in self.spans.all().iter().filter(|(_, span)| span.last >= from_id) {
            self.readers.ask(*shelf, |reader| search::ids_by_state(reader, from_id, &mut ids))?;
        }
        Ok(ids)
    }

    /// How much there is.
    pub fn facts(&self) -> Result<Facts, ArchiveError> {
        let shelves = self.spans.all();
        let days = shelves.iter().filter_map(|(shelf, _)| match shelf {
            Shelf::Day(day) => Some(day),
            Shelf::Kept => None,
        });
        let files = shelves.iter().map(|(shelf, _)| companions::size(&shelf.path(&self.folder)));
        let catalogue = companions::size(&self.folder.join(crate::catalogue::FILE));
        Ok(Facts {
            days: days.clone().count() as u64,
            rows: shelves.iter().map(|(_, span)| span.rows).sum(),
            bytes: files.sum::<u64>() + catalogue,
            oldest_ms: days.min().map(|day| day.start_ms()),
        })
    }

    /// The one who writes, for whoever changes files.
    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
