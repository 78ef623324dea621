//! How much of an answer is wanted, and from which end.

use std::cmp::Reverse;

use crate::spans::Span;

/// Which messages come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those received last.
    NewestFirst,
    /// Those received first.
    OldestFirst,
}

/// A part of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// At most so many messages.
    pub limit: usize,
    /// Which come first.
    pub order: Order,
    /// The last message of the page before.
    pub after: Option<u64>,
}

impl Page {
    /// The newest so many.
    pub fn newest(limit: usize) -> Self {
        Self { limit, order: Order::NewestFirst, after: None }
    }

    /// The oldest so many.
    pub fn oldest(limit: usize) -> Self {
        Self { limit, order: Order::OldestFirst, after: None }
    }

    /// The page behind one that ended with this message.
    #[must_use]
    pub fn after(self, id: u64) -> Self {
        Self { after: Some(id), ..self }
    }

    /// The ids that are left of a range.
    pub(crate) fn within(&self, (first, last): (u64, u64)) -> (u64, u64) {
        match (self.order, self.after) {
            (_, None) => (first, last),
            // Nothing is before message 0, and no range is empty: 0 is no message.
            (Order::NewestFirst, Some(id)) => (first, last.min(id.saturating_sub(1))),
            (Order::OldestFirst, Some(id)) => (first.max(id.saturating_add(1)), last),
        }
    }
}

impl Order {
    /// What to sort by: the end at which to begin, for something that goes from an id to an id.
    pub(crate) fn key(self, first: u64, last: u64) -> (Reverse<u64>, u64) {
        match self {
            Self::NewestFirst => (Reverse(last), 0),
            Self::OldestFirst => (Reverse(0), first),
        }
    }

    /// Whether all of a span comes behind an id.
    pub(crate) fn is_past(self, id: u64, span: &Span) -> bool {
        match self {
            Self::NewestFirst => id > span.last,
            Self::OldestFirst => id < span.first,
        }
    }

    /// The word in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::NewestFirst => "DESC",
            Self::OldestFirst => "ASC",
        }
    }
}
