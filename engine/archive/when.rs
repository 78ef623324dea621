//! Times in a query: a span back from now, a date, a moment.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// What `2h` and `2026-11-22` mean.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The present.
    pub now: Timestamp,
    /// The zone of dates and times without one.
    pub zone: TimeZone,
}

/// What may be written, for the message of an error.
pub(crate) const FORMS: &str = "a span such as 30m, 2h, 7d or 2w, a date such as 2026-11-22, or a time such as 2026-11-22T10:00";

/// Seconds of each unit.
const UNITS: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];

/// A stretch of time, milliseconds since 1970: a day for a date, else a single moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) begins: i64,
    /// For a date, the begin of the next day.
    pub(crate) ends: i64,
}

impl Clock {
    /// What a text means, if it is one of the [`FORMS`].
    pub(crate) fn read(&self, text: &str) -> Option<Stretch> {
        let moment = self.span(text).or_else(|| self.moment(text));
        moment.map(|at| Stretch { begins: at, ends: at }).or_else(|| self.date(text))
    }

    /// `1h30m`: so long ago.
    fn span(&self, text: &str) -> Option<i64> {
        let mut rest = text;
        let mut seconds = 0_i64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: i64 = rest[..digits].parse().ok()?;
            let unit = rest[digits..].chars().next()?;
            let (_, each) = UNITS.iter().find(|(name, _)| *name == unit)?;
            seconds = seconds.checked_add(number.checked_mul(*each)?)?;
            rest = &rest[digits + 1..];
        }
        let back = seconds.checked_mul(1000).filter(|_| !text.is_empty())?;
        self.now.as_millisecond().checked_sub(back)
    }

    /// `2026-11-22T10:00`, in the clock's zone unless it names its own.
    fn moment(&self, text: &str) -> Option<i64> {
        let (_, time) = text.split_once(['T', 't'])?;
        if time.ends_with(['Z', 'z']) || time.contains(['+', '-']) {
            return text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
        }
        let local: DateTime = text.parse().ok()?;
        Some(self.zone.to_timestamp(local).ok()?.as_millisecond())
    }

    fn date(&self, text: &str) -> Option<Stretch> {
        // Dates are also written in shorter ways, which a person may mean as a number.
        let date: Date = text.parse().ok().filter(|_| text.len() == 10)?;
        let begin = |date: Date| self.zone.to_timestamp(date.at(0, 0, 0, 0)).ok();
        let next = date.checked_add(1.day()).ok()?;
        let (begins, ends) = (begin(date)?.as_millisecond(), begin(next)?.as_millisecond());
        Some(Stretch { begins, ends })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> Clock {
        let zone = TimeZone::get("Europe/London").unwrap();
        Clock { now: "2026-11-22T12:00:00Z".parse().unwrap(), zone }
    }

    fn begins(text: &str) -> String {
        let stretch = clock().read(text).expect(text);
        Timestamp::from_millisecond(stretch.begins).unwrap().to_string()
    }

    #[test]
    fn spans_count_back_from_now() {
        assert_eq!(begins("2h"), "2026-11-22T10:00:00Z");
        assert_eq!(begins("1d30m"), "2026-11-21T11:30:00Z");
        assert_eq!(begins("0s"), "2026-11-22T12:00:00Z");
    }

    #[test]
    fn dates_and_times_are_local() {
        assert_eq!(begins("2026-07-01"), "2026-06-30T23:00:00Z");
        assert_eq!(begins("2026-07-01T10:00"), "2026-07-01T09:00:00Z");
        assert_eq!(begins("2026-07-01T10:00:30Z"), "2026-07-01T10:00:30Z");
        assert_eq!(begins("2026-07-01T10:00+02:00"), "2026-07-01T08:00:00Z");
        // The day on which clocks go forward has 23 hours.
        let short = clock().read("2026-03-29").unwrap();
        assert_eq!(short.ends - short.begins, 23 * 3_600_000);
    }

    #[test]
    fn all_else_is_no_time() {
        for text in ["", "2", "h", "2y", "-2h", "99999999999999999999h", "9999999999999999w"] {
            assert_eq!(clock().read(text), None, "{text}");
        }
        for text in ["2026-13-01", "2026-11-22 10:00", "2026-11-22T25:00", "T", "20261122", "2hé"]
        {
            assert_eq!(clock().read(text), None, "{text}");
        }
    }
}
