//! When silence is a fault: a feed said that it would be heard from, and is not.
//!
//! Silence is counted within the expected hours only, from the last message, the opening of the
//! hours or the moment the channel began to listen, whichever was last. Hours are those of the
//! channel's clock: on the days when that changes they begin and end by what it shows.

use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::config::measure::Hours;

/// What a feed said of itself.
#[derive(Clone, Debug)]
pub struct ExpectPlan {
    /// The longest silence.
    pub every: Duration,
    /// The hours in which it counts; the whole day if absent.
    pub between: Option<Hours>,
    /// The days on which those hours begin; every day if empty.
    pub days: Vec<Weekday>,
    /// The clock of hours and days.
    pub zone: TimeZone,
}

impl ExpectPlan {
    /// Since when a channel has been silent, if that is longer than it may be. `listening` is since
    /// when it takes messages.
    pub fn silent_since(
        &self,
        last_received: Option<Timestamp>,
        listening: Timestamp,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let opened = self.opened(now)?;
        let since = opened.max(listening).max(last_received.unwrap_or(Timestamp::MIN));
        let every = SignedDuration::try_from(self.every).unwrap_or(SignedDuration::MAX);
        (now.duration_since(since) >= every).then_some(since)
    }

    /// When the hours began in which `now` lies; absent outside of them.
    fn opened(&self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(self.zone.clone()).date();
        match self.between {
            Some(hours) => [Some(today), today.yesterday().ok()]
                .into_iter()
                .flatten()
                .filter(|date| self.counts(*date))
                .filter_map(|date| self.hours_of(date, hours))
                .find(|(from, to)| *from <= now && now < *to)
                .map(|(from, _)| from),
            None => self.counts(today).then(|| self.first_of_run(today)),
        }
    }

    /// When the hours that begin on a date begin and end.
    fn hours_of(&self, date: Date, hours: Hours) -> Option<(Timestamp, Timestamp)> {
        let last = if hours.from < hours.to { date } else { date.tomorrow().ok()? };
        let from = date.to_datetime(hours.from).to_zoned(self.zone.clone()).ok()?;
        let to = last.to_datetime(hours.to).to_zoned(self.zone.clone()).ok()?;
        Some((from.timestamp(), to.timestamp()))
    }

    /// The beginning of the first of the days in a row that count and end with this one.
    fn first_of_run(&self, today: Date) -> Timestamp {
        let mut first = today;
        for _ in 0..7 {
            match first.yesterday() {
                Ok(before) if self.counts(before) => first = before,
                _ => return self.midnight(first),
            }
        }
        // A whole week in a row: there is no day on which it began.
        Timestamp::MIN
    }

    fn midnight(&self, date: Date) -> Timestamp {
        let start = date.to_zoned(self.zone.clone()).and_then(|day| day.start_of_day());
        start.map_or(Timestamp::MIN, |start| start.timestamp())
    }

    fn counts(&self, date: Date) -> bool {
        self.days.is_empty() || self.days.contains(&date.weekday())
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz;

    use super::*;

    fn london() -> TimeZone {
        tz::db().get("Europe/London").expect("zone")
    }

    fn plan(every_minutes: u64, between: Option<&str>, days: &[Weekday]) -> ExpectPlan {
        ExpectPlan {
            every: Duration::from_mins(every_minutes),
            between: between.map(|hours| hours.parse().expect("hours")),
            days: days.to_vec(),
            zone: london(),
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    /// Silent since when, for a channel that has listened all year.
    #[track_caller]
    fn check(plan: &ExpectPlan, last: Option<&str>, now: &str, wanted: Option<&str>) {
        let found = plan.silent_since(last.map(at), at("2026-01-01T00:00:00Z"), at(now));
        assert_eq!(found, wanted.map(at), "{last:?} {now}");
    }

    #[test]
    fn silence_counts_from_the_last_message() {
        let plan = plan(30, None, &[]);
        let last = Some("2026-02-02T10:00:00Z");
        check(&plan, last, "2026-02-02T10:29:59Z", None);
        check(&plan, last, "2026-02-02T10:30:00Z", last);
        // A clock that was set back makes no alarm.
        check(&plan, last, "2026-02-02T09:00:00Z", None);
        check(&plan, None, "2026-02-02T10:30:00Z", Some("2026-01-01T00:00:00Z"));
    }

    #[test]
    fn what_could_not_be_heard_is_no_silence() {
        let plan = plan(30, None, &[]);
        let (last, started) = (at("2026-02-02T08:00:00Z"), at("2026-02-02T10:00:00Z"));
        assert_eq!(plan.silent_since(Some(last), started, at("2026-02-02T10:29:00Z")), None);
        let found = plan.silent_since(Some(last), started, at("2026-02-02T10:31:00Z"));
        assert_eq!(found, Some(started));
    }

    #[test]
    fn the_opening_of_the_hours_starts_the_count_afresh() {
        let plan = plan(30, Some("07:00-22:00"), &[]);
        let last = Some("2026-02-01T21:58:00Z");
        check(&plan, last, "2026-02-01T22:40:00Z", None);
        check(&plan, last, "2026-02-02T03:00:00Z", None);
        check(&plan, last, "2026-02-02T07:29:00Z", None);
        check(&plan, last, "2026-02-02T07:30:00Z", Some("2026-02-02T07:00:00Z"));
        check(&plan, Some("2026-02-02T07:10:00Z"), "2026-02-02T07:30:00Z", None);
        check(&plan, last, "2026-02-02T22:00:00Z", None);
    }

    #[test]
    fn hours_are_those_of_the_channels_clock_in_summer_and_winter() {
        let plan = plan(30, Some("07:00-22:00"), &[]);
        // 07:00 is 06:00 UTC in summer.
        check(&plan, None, "2026-07-01T06:29:00Z", None);
        check(&plan, None, "2026-07-01T06:30:00Z", Some("2026-07-01T06:00:00Z"));
        check(&plan, None, "2026-07-01T21:00:00Z", None);
    }

    #[test]
    fn nights_keep_their_length_when_the_clock_changes() {
        // 22:00 to 06:00 lasts 7 hours when the clock goes forward and 9 when it goes back.
        let plan = plan(30, Some("22:00-06:00"), &[]);
        check(&plan, None, "2026-03-29T04:59:00Z", Some("2026-03-28T22:00:00Z"));
        check(&plan, None, "2026-03-29T05:00:00Z", None);
        check(&plan, None, "2026-10-25T05:59:00Z", Some("2026-10-24T21:00:00Z"));
        check(&plan, None, "2026-10-25T06:00:00Z", None);
    }

    #[test]
    fn an_hour_that_is_missing_or_comes_twice_is_no_trap() {
        // 01:30 does not occur on 29 March 2026: the hours begin at 02:30, which is 01:30 UTC.
        let early = plan(30, Some("01:30-05:00"), &[]);
        check(&early, None, "2026-03-29T01:59:00Z", None);
        check(&early, None, "2026-03-29T02:00:00Z", Some("2026-03-29T01:30:00Z"));
        // 01:30 occurs twice on 25 October 2026: the hours begin with the first.
        check(&early, None, "2026-10-25T01:00:00Z", Some("2026-10-25T00:30:00Z"));
        // A message in the first 01:45 is an hour and a quarter before the second 02:00.
        let last = Some("2026-10-25T00:45:00Z");
        check(&plan(75, None, &[]), last, "2026-10-25T02:00:00Z", last);
        check(&plan(76, None, &[]), last, "2026-10-25T02:00:00Z", None);
    }

    #[test]
    fn days_in_a_row_are_one_stretch_of_time() {
        use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
        let week = [Monday, Tuesday, Wednesday, Thursday, Friday];
        let plan = plan(6 * 60, None, &week);
        // 2 February 2026 is a Monday.
        let friday = Some("2026-01-30T23:00:00Z");
        check(&plan, friday, "2026-02-01T12:00:00Z", None);
        check(&plan, friday, "2026-02-02T05:59:00Z", None);
        check(&plan, friday, "2026-02-02T06:00:00Z", Some("2026-02-02T00:00:00Z"));
        let tuesday = Some("2026-02-03T20:00:00Z");
        check(&plan, tuesday, "2026-02-04T02:00:00Z", tuesday);
    }

    #[test]
    fn hours_that_pass_midnight_belong_to_the_day_they_begin_on() {
        let plan = plan(30, Some("22:00-06:00"), &[Weekday::Friday]);
        check(&plan, None, "2026-02-07T05:00:00Z", Some("2026-02-06T22:00:00Z"));
        check(&plan, None, "2026-02-07T23:00:00Z", None);
        check(&plan, None, "2026-02-06T05:00:00Z", None);
    }
}
