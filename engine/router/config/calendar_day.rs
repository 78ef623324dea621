//! Days of the calendar, as they are written.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::written::written;

/// A day: `2027-03-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalendarDay(pub Date);

/// Why a text is no day. The second line says what to write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a day\nwrite year, month and day, such as 2027-03-31")]
pub struct CalendarDayError(String);

impl CalendarDay {
    /// When it is over in London.
    pub fn end(self) -> Timestamp {
        let next = self.0.tomorrow().unwrap_or(Date::MAX);
        let zone = TimeZone::get("Europe/London").unwrap_or(TimeZone::UTC);
        next.to_zoned(zone).map_or(Timestamp::MAX, |midnight| midnight.timestamp())
    }
}

impl FromStr for CalendarDay {
    type Err = CalendarDayError;

    fn from_str(text: &str) -> Result<Self, CalendarDayError> {
        let refused = || CalendarDayError(text.to_owned());
        if text.len() != 10 {
            return Err(refused());
        }
        Date::strptime("%Y-%m-%d", text).map(CalendarDay).map_err(|_| refused())
    }
}

impl fmt::Display for CalendarDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

written!(CalendarDay, "A day.", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", ["2027-03-31"]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_in_london() {
        let day = |text: &str| text.parse::<CalendarDay>();
        let end = |text: &str| day(text).map(|day| day.end().to_string());
        assert_eq!(end("2027-01-31"), Ok("2027-02-01T00:00:00Z".to_owned()));
        assert_eq!(end("2027-06-30"), Ok("2027-06-30T23:00:00Z".to_owned()));
        assert_eq!(day("2027-06-30").map(|day| day.to_string()), Ok("2027-06-30".to_owned()));
        for bad in ["2027-02-30", "30/06/2027", "never", "2027-6-1"] {
            assert_eq!(day(bad), Err(CalendarDayError(bad.to_owned())));
        }
    }
}
