//! Dropping old days, so that space is free.

use std::time::Duration;

use roaring::RoaringTreemap;

use crate::archive::Archive;
use crate::companions;
use crate::day::{Day, Shelf};
use crate::error::ArchiveError;
use crate::life::Life;
use crate::writer::Writer;

/// How much is kept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// A day is dropped when its end is longer ago.
    pub max_age: Option<Duration>,
    /// The oldest days are dropped while all together take more bytes; the newest always stays.
    pub max_bytes: Option<u64>,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Days.
    pub days: u64,
    /// Messages of theirs that are unsettled, and were kept.
    pub kept: u64,
    /// Bytes freed.
    pub bytes: u64,
}

impl Archive {
    /// Drops what is older or more than the limits allow: whole days, the oldest first, as files.
    ///
    /// Messages that are still pending or parked move to a file of their own, and leave it with the
    /// first pruning after they settled. A day that lies in the future, because a clock was wrong,
    /// is dropped when its time has come. What operators did is never dropped.
    pub fn prune(&self, limits: &Limits, now_ms: i64) -> Result<Pruned, ArchiveError> {
        let mut writer = self.writer();
        let before = self.facts()?.bytes;
        let mut pruned = Pruned::default();
        for day in self.overdue(limits, now_ms) {
            pruned.kept += self.drop_day(&mut writer, day)?;
            pruned.days += 1;
        }
        self.drop_settled(&mut writer)?;
        pruned.bytes = before.saturating_sub(self.facts()?.bytes);
        Ok(pruned)
    }

    fn overdue(&self, limits: &Limits, now_ms: i64) -> Vec<Day> {
        let age = limits.max_age.map(|age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
        let horizon = age.map_or(i64::MIN, |age| now_ms.saturating_sub(age));
        let all = self.spans.all().into_iter();
        let days: Vec<(Day, u64)> = all
            .filter_map(|(shelf, _)| match shelf {
                Shelf::Day(day) => Some((day, companions::size(&shelf.path(&self.folder)))),
                Shelf::Kept => None,
            })
            .collect();
        let mut bytes: u64 = days.iter().map(|(_, bytes)| bytes).sum();
        let newest = days.last().map(|(day, _)| *day);
        let mut overdue = Vec::new();
        for (day, size) in days {
            let too_much = limits.max_bytes.is_some_and(|most| bytes > most) && Some(day) != newest;
            if too_much || day.end_ms() <= horizon {
                bytes -= size;
                overdue.push(day);
            }
        }
        overdue
    }

    /// Keeps what is unsettled, then drops the file. A crash between leaves both, and the next
    /// opening puts that right.
    fn drop_day(&self, writer: &mut Writer, day: Day) -> Result<u64, ArchiveError> {
        let shelf = Shelf::Day(day);
        let path = shelf.path(&self.folder);
        let failed = || ArchiveError::storage(&path);
        let binder = writer.binder(shelf)?;
        let mut lives = Vec::new();
        for id in binder.ids(true).map_err(failed())? {
            lives.extend(binder.load(id).map_err(failed())?.map(Life::carried));
        }
        if !lives.is_empty() {
            writer.save(&self.spans, Shelf::Kept, &lives.iter().collect::<Vec<_>>())?;
        }
        let catalogue = &writer.catalogue;
        let noted = catalogue.note_day(day, false);
        noted.map_err(ArchiveError::storage(&catalogue.path))?;
        self.spans.remove(shelf);
        writer.close(shelf);
        self.readers.forget(shelf);
        companions::remove(&path).map_err(ArchiveError::folder(&path))?;
        companions::sync_folder(&self.folder).map_err(ArchiveError::folder(&self.folder))?;
        Ok(lives.len() as u64)
    }

    fn drop_settled(&self, writer: &mut Writer) -> Result<(), ArchiveError> {
        if writer.kept.is_empty() {
            return Ok(());
        }
        let path = Shelf::Kept.path(&self.folder);
        let failed = || ArchiveError::storage(&path);
        let binder = writer.binder(Shelf::Kept)?;
        let settled = binder.ids(false).map_err(failed())?;
        if settled.is_empty() {
            return Ok(());
        }
        binder.remove(&settled).map_err(failed())?;
        let span = binder.span().map_err(failed())?;
        writer.kept -= RoaringTreemap::from_iter(settled);
        self.spans.remove(Shelf::Kept);
        if let Some(span) = span {
            self.spans.add(Shelf::Kept, span);
        }
        Ok(())
    }
}
