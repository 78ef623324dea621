//! A UTC day, and the files that hold messages.

use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::{Timestamp, tz};

const DAY_MS: i64 = 86_400_000;
/// 9999-12-30, counted from 1970: what a clock says beyond stands there.
const LAST_DAY: i64 = 2_932_895;

/// A UTC day from 1970 on. What was received before, or after the year 9999, counts to the first
/// or the last one: a clock may say anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Day(i64);

impl Day {
    /// The day of a moment, milliseconds since 1970.
    pub(crate) fn of(ms: i64) -> Self {
        Self(ms.div_euclid(DAY_MS).clamp(0, LAST_DAY))
    }

    /// Its number, counted from 1970.
    pub(crate) fn number(self) -> i64 {
        self.0
    }

    /// The day with that number.
    pub(crate) fn from_number(number: i64) -> Option<Self> {
        (0..=LAST_DAY).contains(&number).then_some(Self(number))
    }

    /// Its first moment.
    pub(crate) fn start_ms(self) -> i64 {
        self.0 * DAY_MS
    }

    /// The moment after its last.
    pub(crate) fn end_ms(self) -> i64 {
        self.start_ms() + DAY_MS
    }

    /// Whether it may hold what was received in `from..until`.
    pub(crate) fn meets(self, from: i64, until: i64) -> bool {
        let begins = if self.0 == 0 { i64::MIN } else { self.start_ms() };
        let ends = if self.0 == LAST_DAY { i64::MAX } else { self.end_ms() };
        from < ends && begins < until
    }

    fn name(self) -> String {
        let start = Timestamp::from_millisecond(self.start_ms()).unwrap_or_default();
        start.to_zoned(tz::TimeZone::UTC).date().to_string()
    }

    fn from_name(name: &str) -> Option<Self> {
        let date: Date = name.parse().ok()?;
        let start = date.to_zoned(tz::TimeZone::UTC).ok()?.timestamp();
        let day = Self(start.as_millisecond().div_euclid(DAY_MS));
        (day.name() == name && (0..=LAST_DAY).contains(&day.0)).then_some(day)
    }
}

/// A file that holds messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Shelf {
    /// Those received on one day.
    Day(Day),
    /// Those that were unsettled when their day was dropped.
    Kept,
}

impl Shelf {
    /// `2026-11-22.db` or `kept.db`.
    pub(crate) fn file_name(self) -> String {
        match self {
            Self::Day(day) => format!("{}.db", day.name()),
            Self::Kept => "kept.db".to_owned(),
        }
    }

    /// The shelf whose file is called so.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        match name.strip_suffix(".db")? {
            "kept" => Some(Self::Kept),
            date => Day::from_name(date).map(Self::Day),
        }
    }

    /// Its file in the archive's folder.
    pub(crate) fn path(self, folder: &Path) -> PathBuf {
        folder.join(self.file_name())
    }

    /// Whether it may hold what was received in `from..until`.
    pub(crate) fn meets(self, from: i64, until: i64) -> bool {
        match self {
            Self::Day(day) => day.meets(from, until),
            Self::Kept => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_named_by_its_date_in_utc() {
        let day = Day::of(1_795_305_599_999);
        assert_eq!(Shelf::Day(day).file_name(), "2026-11-21.db");
        assert_eq!(Shelf::Day(Day::of(1_795_305_600_000)).file_name(), "2026-11-22.db");
        assert_eq!(Shelf::from_file_name("2026-11-21.db"), Some(Shelf::Day(day)));
        assert_eq!(Shelf::from_file_name("kept.db"), Some(Shelf::Kept));
        for other in
            ["archive.db", "2026-11-31.db", "2026-11-21.db-wal", "20261121.db", "1969-12-31.db"]
        {
            assert_eq!(Shelf::from_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn what_no_clock_should_say_still_has_a_day() {
        for ms in [i64::MIN, -1, 0, i64::MAX] {
            let day = Day::of(ms);
            assert!(day.meets(ms, i64::MAX) || ms == i64::MAX);
            let shelf = Shelf::Day(day);
            assert_eq!(Shelf::from_file_name(&shelf.file_name()), Some(shelf));
        }
        assert!(!Day::of(0).meets(DAY_MS, i64::MAX));
        assert!(!Day::of(DAY_MS).meets(0, DAY_MS));
        assert!(Day::of(DAY_MS).meets(0, DAY_MS + 1));
    }
}
