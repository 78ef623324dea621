//! Waiting longer each time, with jitter, up to a limit.

use std::time::Duration;

/// Exponential backoff: 250 ms, doubling to 5 s, each wait between half and all of that.
#[derive(Clone, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(250);
    const LIMIT: Duration = Duration::from_secs(5);

    /// The next wait.
    pub fn wait(&mut self) -> Duration {
        let full = Self::FIRST.saturating_mul(1 << self.failures.min(10)).min(Self::LIMIT);
        self.failures = self.failures.saturating_add(1);
        full.mul_f64(0.5 + 0.5 * fastrand::f64())
    }

    /// After a success the next wait is short again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_below_the_limit() {
        let mut backoff = Backoff::default();
        let first = backoff.wait();
        assert!(first >= Backoff::FIRST / 2 && first <= Backoff::FIRST);
        for _ in 0..40 {
            assert!(backoff.wait() <= Backoff::LIMIT);
        }
        assert!(backoff.wait() >= Backoff::LIMIT / 2);
        backoff.reset();
        assert!(backoff.wait() <= Backoff::FIRST);
    }
}
