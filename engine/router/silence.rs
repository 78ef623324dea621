//! When silence is a fault: a feed said that it would be heard from, and is not.

use std::time::Duration;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;

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
