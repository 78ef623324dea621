//! A time as the sender wrote it, in the sender's zone, with its precision.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use crate::dtm::Written;
use crate::precision::Precision;

/// A date or time of a message, ready for FHIR.
///
/// A time of day always has an offset: the one that was sent, else that of the source's zone.
/// A date never has one and never passes through a zone, so a date of birth cannot move.
#[derive(Clone, PartialEq, Eq)]
pub struct Moment {
    text: String,
    instant: Option<Timestamp>,
    /// How much was stated.
    pub precision: Precision,
    /// The local time occurs twice, on the night the clocks go back; the first was taken.
    pub ambiguous: bool,
    /// The local time does not exist, on the night the clocks go forward; it was moved forward.
    pub shifted: bool,
    /// The sender gave the offset; nothing had to be supposed.
    pub offset_given: bool,
}

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Nothing there.
    #[error("no time is stated")]
    Empty,
    /// Not the form of an HL7 DTM nor of an ISO 8601 date or time.
    #[error("a time is written yyyymmddhhmmss[.ffff][+zzzz] or yyyy-mm-dd hh:mm:ss")]
    Format,
    /// The right form, but no such date or time exists: month 13, hour 24.
    #[error("no such date or time exists")]
    OutOfRange,
}

impl Moment {
    /// Reads an HL7 DTM `YYYY[MM[DD[HH[MM[SS[.S...]]]]]][+/-ZZZZ]`, or `yyyy-mm-dd[ hh:mm[:ss]]`
    /// with a blank or `T` between, as some feeds send. Only the first component belongs here.
    pub fn read(text: &str, zone: &TimeZone) -> Result<Moment, TimeError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TimeError::Empty);
        }
        if !text.is_ascii() || text.len() > 40 {
            return Err(TimeError::Format);
        }
        let written = Written::read(text).ok_or(TimeError::Format)?;
        Moment::of(&written, zone)
    }

    /// FHIR `dateTime`: `2024`, `2024-07`, `2024-07-27` or `2024-07-27T14:22:00+01:00`.
    /// Minutes and seconds that were not stated are zero, as FHIR asks; `precision` tells.
    pub fn fhir(&self) -> &str {
        &self.text
    }

    /// FHIR `date`: the same without time of day.
    pub fn date(&self) -> &str {
        self.text.get(..10).unwrap_or(&self.text)
    }

    /// Whether a time of day was stated.
    pub fn has_time(&self) -> bool {
        self.precision > Precision::Day
    }

    /// The instant; none for a date.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.instant
    }

    /// Whether it is surely earlier than another: by instants, or by what both state of the date.
    pub fn is_before(&self, other: &Moment) -> bool {
        if let (Some(one), Some(another)) = (self.instant, other.instant) {
            return one < another;
        }
        let shown = self.date().len().min(other.date().len());
        self.date()[..shown] < other.date()[..shown]
    }

    /// The first instant of the stated time in `zone`, for an attribute that must be an instant.
    pub fn start(&self, zone: &TimeZone) -> Option<Zoned> {
        if let Some(instant) = self.instant {
            return Some(instant.to_zoned(zone.clone()));
        }
        let padded = match self.text.len() {
            4 => format!("{}-01-01", self.text),
            7 => format!("{}-01", self.text),
            _ => self.text.clone(),
        };
        let date: Date = padded.parse().ok()?;
        date.to_zoned(zone.clone()).ok()
    }
}

/// A time is patient data, a date of birth for example: its value never reaches a log.
impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").field("precision", &self.precision).finish_non_exhaustive()
    }
}

/// RFC 3339 with the offset of `zone`, whole seconds.
pub fn rfc3339(instant: Timestamp, zone: &TimeZone) -> String {
    let zoned = instant.to_zoned(zone.clone());
    with_offset(zoned.datetime(), zoned.offset(), false)
}

impl Moment {
    /// Reads when somebody died. Midnight is what systems write that know only the day, so that it is
    /// one: who did die at midnight has the right day all the same.
    pub fn of_death(text: &str, zone: &TimeZone) -> Result<Moment, TimeError> {
        let of_day =
            |rest: &str| !rest.is_empty() && rest.bytes().all(|b| matches!(b, b'0' | b'.'));
        match text.split_at_checked(8) {
            Some((day, rest)) if of_day(rest) => Moment::read(day, zone),
            _ => Moment::read(text, zone),
        }
    }
}

impl Moment {
    fn of(written: &Written, zone: &TimeZone) -> Result<Moment, TimeError> {
        let year: i16 = written.digits[..4].parse().map_err(|_| TimeError::Format)?;
        let month = written.number(4, 6).unwrap_or(1);
        let day = written.number(6, 8).unwrap_or(1);
        if year == 0 {
            return Err(TimeError::OutOfRange);
        }
        let date = Date::new(year, month, day).map_err(|_| TimeError::OutOfRange)?;
        let precision = written.precision();
        if precision <= Precision::Day {
            return Ok(Moment::of_date(date, precision));
        }
        let hour = written.number(8, 10).unwrap_or(0);
        let minute = written.number(10, 12).unwrap_or(0);
        let second = written.number(12, 14).unwrap_or(0);
        let time = Time::new(hour, minute, second, written.nanoseconds.unwrap_or(0))
            .map_err(|_| TimeError::OutOfRange)?;
        Moment::of_time(date.to_datetime(time), written.offset, zone, precision)
    }

    fn of_date(date: Date, precision: Precision) -> Moment {
        let mut text = String::with_capacity(10);
        self::date(&mut text, date);
        text.truncate(match precision {
            Precision::Year => 4,
            Precision::Month => 7,
            _ => 10,
        });
        Moment {
            text,
            instant: None,
            precision,
            ambiguous: false,
            shifted: false,
            offset_given: false,
        }
    }

    fn of_time(
        local: DateTime,
        offset: Option<Offset>,
        zone: &TimeZone,
        precision: Precision,
    ) -> Result<Moment, TimeError> {
        let fraction = precision == Precision::Fraction;
        if let Some(offset) = offset {
            let instant = offset.to_timestamp(local).map_err(|_| TimeError::OutOfRange)?;
            return Ok(Moment {
                text: with_offset(local, offset, fraction),
                instant: Some(instant),
                precision,
                ambiguous: false,
                shifted: false,
                offset_given: true,
            });
        }
        let found = zone.to_ambiguous_zoned(local);
        let (ambiguous, shifted) = match found.offset() {
            AmbiguousOffset::Unambiguous { .. } => (false, false),
            AmbiguousOffset::Gap { .. } => (false, true),
            AmbiguousOffset::Fold { .. } => (true, false),
        };
        // `compatible`: in the repeated hour the first, in the missing hour moved forward.
        let zoned = found.compatible().map_err(|_| TimeError::OutOfRange)?;
        Ok(Moment {
            text: with_offset(zoned.datetime(), zoned.offset(), fraction),
            instant: Some(zoned.timestamp()),
            precision,
            ambiguous,
            shifted,
            offset_given: false,
        })
    }
}

fn with_offset(local: DateTime, offset: Offset, fraction: bool) -> String {
    let seconds = offset.seconds();
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
    // Written digit by digit: an event has dozens of times.
    let mut out = String::with_capacity(36);
    date(&mut out, local.date());
    for (before, number) in [('T', local.hour()), (':', local.minute()), (':', local.second())] {
        out.push(before);
        two(&mut out, i32::from(number));
    }
    if fraction {
        // As many digits as were sent matter less than that none is invented: at least one.
        let nanoseconds = format!("{:09}", local.subsec_nanosecond());
        let shown = nanoseconds.trim_end_matches('0');
        out.push('.');
        out.push_str(if shown.is_empty() { "0" } else { shown });
    }
    out.push(sign);
    two(&mut out, hours);
    out.push(':');
    two(&mut out, minutes);
    out
}

/// `yyyy-mm-dd` of a year of four digits.
fn date(out: &mut String, date: Date) {
    two(out, i32::from(date.year()) / 100);
    two(out, i32::from(date.year()) % 100);
    for part in [date.month(), date.day()] {
        out.push('-');
        two(out, i32::from(part));
    }
}

/// A number below 100 in two digits.
fn two(out: &mut String, number: i32) {
    for digit in [number / 10, number % 10] {
        out.push(char::from_digit(digit.unsigned_abs() % 10, 10).unwrap_or('0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn london() -> TimeZone {
        TimeZone::get("Europe/London").expect("the zone is built in")
    }

    fn fhir(text: &str) -> String {
        Moment::read(text, &london()).expect(text).fhir().to_owned()
    }

    #[test]
    fn local_time_gets_the_offset_of_the_season() {
        assert_eq!(fhir("20240110140000"), "2024-01-10T14:00:00+00:00");
        assert_eq!(fhir("202407271422"), "2024-07-27T14:22:00+01:00");
        assert_eq!(fhir("2024072714"), "2024-07-27T14:00:00+01:00");
        assert_eq!(fhir("20240727142201.25"), "2024-07-27T14:22:01.25+01:00");
        assert_eq!(fhir("2025-05-05 23:23:32"), "2025-05-05T23:23:32+01:00");
        assert_eq!(fhir("2025-05-05T23:23:32Z"), "2025-05-05T23:23:32+00:00");
    }

    #[test]
    fn a_given_offset_is_kept() {
        let moment = Moment::read("20240727142200+0000", &london()).expect("a time");
        assert_eq!(moment.fhir(), "2024-07-27T14:22:00+00:00");
        assert!(moment.offset_given);
        assert_eq!(fhir("202407271422-0530"), "2024-07-27T14:22:00-05:30");
    }

    #[test]
    fn dates_never_pass_through_a_zone() {
        let far = TimeZone::get("Pacific/Kiritimati").expect("the zone is built in");
        for (text, shown) in [
            ("1965", "1965"),
            ("196512", "1965-12"),
            ("19651213", "1965-12-13"),
            ("19651213+0000", "1965-12-13"),
            ("19651213+", "1965-12-13"),
            ("196512-", "1965-12"),
            ("1965-12-13", "1965-12-13"),
        ] {
            let moment = Moment::read(text, &far).expect(text);
            assert_eq!((moment.fhir(), moment.timestamp()), (shown, None));
        }
    }

    #[test]
    fn the_hour_that_does_not_exist_is_moved_forward_and_flagged() {
        let moment = Moment::read("20240331013000", &london()).expect("a time");
        assert_eq!(moment.fhir(), "2024-03-31T02:30:00+01:00");
        assert!(moment.shifted && !moment.ambiguous);
        let after = Moment::read("20240331020000", &london()).expect("a time");
        assert!(!after.shifted);
    }

    #[test]
    fn the_hour_that_occurs_twice_is_the_first_and_flagged() {
        let moment = Moment::read("20241027013000", &london()).expect("a time");
        assert_eq!(moment.fhir(), "2024-10-27T01:30:00+01:00");
        assert!(moment.ambiguous && !moment.shifted);
        let told = Moment::read("20241027013000+0000", &london()).expect("a time");
        assert!(!told.ambiguous);
        assert_eq!(told.fhir(), "2024-10-27T01:30:00+00:00");
    }

    #[test]
    fn what_does_not_exist_is_an_error() {
        for text in ["19991301", "20240230", "2024010124", "202401011260", "00000000"] {
            assert_eq!(Moment::read(text, &london()), Err(TimeError::OutOfRange), "{text}");
        }
        for text in [
            "yesterday",
            "2024010",
            "RESURREC",
            "20240101++",
            "2024-01-",
            "2024-1-1",
            "1999-0500",
            "é",
        ] {
            assert_eq!(Moment::read(text, &london()), Err(TimeError::Format), "{text}");
        }
        assert_eq!(Moment::read(" ", &london()), Err(TimeError::Empty));
    }

    #[test]
    fn a_death_at_midnight_is_of_that_day() {
        let fhir =
            |text: &str| Moment::of_death(text, &london()).expect("a time").fhir().to_owned();
        assert_eq!(fhir("202506090000"), "2025-06-09");
        assert_eq!(fhir("20250609000000.000"), "2025-06-09");
        assert_eq!(fhir("20250609"), "2025-06-09");
        assert_eq!(fhir("202506090001"), "2025-06-09T00:01:00+01:00");
        assert!(Moment::of_death("2025", &london()).is_ok());
    }

    #[test]
    fn the_start_of_a_date_is_local_midnight() {
        let moment = Moment::read("20240727", &london()).expect("a date");
        let start = moment.start(&london()).expect("an instant");
        assert_eq!(rfc3339(start.timestamp(), &london()), "2024-07-27T00:00:00+01:00");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "[-0-9TZ+:. é]{0,40}") {
            let _read = Moment::read(&text, &london());
        }

        #[test]
        fn a_real_date_is_shown_as_it_was_sent(year in 1900_i16..2100, month in 1_u8..13, day in 1_u8..29) {
            let sent = format!("{year:04}{month:02}{day:02}");
            prop_assert_eq!(fhir(&sent), format!("{year:04}-{month:02}-{day:02}"));
        }
    }
}
