//! How old a volume is, by clocks that jump.
//!
//! Batches state when they were written, by the machine's clock, which may be set forwards or
//! backwards at any time. (Summer time does not matter: times are UTC.) Age is only used to drop
//! volumes, so what is in doubt counts as young:
//!
//! - A volume is as old as the newest time that one of its batches states, and volumes are dropped
//!   in the order of the journal: so one that was written while the clock was set back goes after
//!   the one before it, never sooner, and batches with a clock set back make their volume no older.
//! - A volume from the future, one that states a time the clock has not come to, has no age of its
//!   own: one batch written while the clock stood ten years ahead does not keep the volume for ten
//!   years, nor drop the others. It goes when the next volume that states a believable time is due.
//! - When the clock has jumped ahead by more than [`LEAP`] since the last look, measured against a
//!   clock that cannot be set, nothing is dropped by age on this look. A jump that is mended before
//!   the next look has done no harm; one that stays is believed from then on.

use std::time::{Duration, Instant};

/// A clock that is this much ahead of the time that has passed was set.
const LEAP: Duration = Duration::from_hours(24);

/// The newest time that the oldest volume can have been written at, from the `newest` times that it
/// and those behind it state, in milliseconds since 1970; none when that cannot be said at `now`.
pub(crate) fn newest_time(newest: impl IntoIterator<Item = u64>, now: u64) -> Option<u64> {
    newest.into_iter().find(|stated| *stated <= now)
}

/// The last look at the clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LastLook(Option<(Instant, u64)>);

impl LastLook {
    /// Whether the clock, which shows `now` at `instant`, has leapt ahead since the last look.
    pub(crate) fn leapt(&mut self, instant: Instant, now: u64) -> bool {
        let before = self.0.replace((instant, now));
        before.is_some_and(|(then, shown)| {
            let passed = instant.saturating_duration_since(then) + LEAP;
            let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
            now > shown.saturating_add(passed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_from_the_future_waits_for_the_next_believable_one() {
        assert_eq!(newest_time([10, 20], 100), Some(10));
        assert_eq!(newest_time([900, 20], 100), Some(20));
        assert_eq!(newest_time([900, 901], 100), None);
    }

    #[test]
    fn a_clock_that_leaps_is_not_believed_at_once() {
        const DAY: u64 = 86_400_000;
        let start = Instant::now();
        let mut look = LastLook::default();
        assert!(!look.leapt(start, 0));
        assert!(look.leapt(start, 3650 * DAY));
        assert!(!look.leapt(start, 3650 * DAY + 1));
        assert!(!look.leapt(start, 5));
        assert!(!look.leapt(start + Duration::from_hours(48), 3 * DAY));
    }
}
