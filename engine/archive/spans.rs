//! Which shelves there are, and which ids each holds; in memory.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use rusqlite::{Connection, Result};

use crate::coding::unsigned;
use crate::day::Shelf;

/// The ids of a shelf. Ids rise with the time of receipt except where a clock jumped, so spans of
/// different days may overlap, and an id in a span need not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) rows: u64,
}

impl Span {
    /// As a shelf's file says; none if it holds nothing.
    pub(crate) fn read(connection: &Connection) -> Result<Option<Self>> {
        let sql = "SELECT min(first_id), max(last_id), sum(rows) FROM minutes";
        connection.query_row(sql, [], |columns| {
            let number = |column| columns.get::<_, Option<i64>>(column).map(|it| it.map(unsigned));
            let (first, last, rows) = (number(0)?, number(1)?, number(2)?);
            let ids = first.zip(last).zip(rows);
            Ok(ids.map(|((first, last), rows)| Self { first, last, rows }))
        })
    }

    /// Whether an id may be there.
    pub(crate) fn holds(self, id: u64) -> bool {
        (self.first..=self.last).contains(&id)
    }

    fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            rows: self.rows + other.rows,
        }
    }
}

/// All shelves.
#[derive(Debug, Default)]
pub(crate) struct Spans(RwLock<BTreeMap<Shelf, Span>>);

impl Spans {
    /// Every shelf that holds something, the days in order, then `kept`.
    pub(crate) fn all(&self) -> Vec<(Shelf, Span)> {
        let spans = self.0.read().unwrap_or_else(PoisonError::into_inner);
        spans.iter().map(|(shelf, span)| (*shelf, *span)).collect()
    }

    /// The span of one.
    pub(crate) fn of(&self, shelf: Shelf) -> Option<Span> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&shelf).copied()
    }

    /// A shelf holds these too, from now on.
    pub(crate) fn add(&self, shelf: Shelf, span: Span) {
        let mut spans = self.0.write().unwrap_or_else(PoisonError::into_inner);
        spans.entry(shelf).and_modify(|all| *all = all.and(span)).or_insert(span);
    }

    /// A shelf is gone.
    pub(crate) fn remove(&self, shelf: Shelf) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(&shelf);
    }
}
