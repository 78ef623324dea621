//! How long answers took: a histogram of fixed size, exact to about one and a half per cent.

use std::time::Duration;

/// Parts between two powers of two.
const PARTS: u64 = 64;
const PART_BITS: u32 = PARTS.trailing_zeros();

/// Counts of lengths of time, in microseconds; memory does not grow with their number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Latencies {
    pub(crate) fn record(&mut self, length: Duration) {
        let slot = slot(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
        if slot >= self.counts.len() {
            self.counts.resize(slot + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(slot) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(length);
    }

    /// Adds what another connection measured.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// The length that so many in a thousand did not exceed; nothing when nothing was measured.
    pub(crate) fn per_mille(&self, share: u64) -> Option<Duration> {
        let rank = (self.total * share).div_ceil(1000).max(1);
        let mut seen = 0;
        let slot = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(upper_bound(slot)).min(self.longest))
    }

    /// The longest; nothing when nothing was measured.
    pub(crate) fn longest(&self) -> Option<Duration> {
        (self.total > 0).then_some(self.longest)
    }
}

/// Below `PARTS` every microsecond has its own slot; above, each power of two has `PARTS`.
fn slot(micros: u64) -> usize {
    let power = micros.checked_ilog2().unwrap_or(0).saturating_sub(PART_BITS);
    let slot = u64::from(power) * PARTS + (micros >> power);
    usize::try_from(slot).expect("65 powers of 64 parts fit")
}

/// The greatest length that a slot counts, in microseconds.
fn upper_bound(slot: usize) -> u64 {
    let slot = slot as u64;
    let power = (slot / PARTS).saturating_sub(1);
    let mantissa = u128::from(slot - power * PARTS) + 1;
    u64::try_from((mantissa << power) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_holds_the_values_it_says() {
        let mut value: u64 = 1;
        while value < u64::MAX / 3 {
            let bound = upper_bound(slot(value));
            assert!(bound >= value, "{value}");
            assert!(bound - value <= value / 32, "{value} is told as {bound}");
            value = value * 3 / 2 + 1;
        }
        assert_eq!(upper_bound(slot(u64::MAX)), u64::MAX);
    }

    #[test]
    fn quantiles_of_a_thousand() {
        let mut all = Latencies::default();
        assert_eq!(all.per_mille(500), None);
        for millisecond in 1..=1000 {
            all.record(Duration::from_millis(millisecond));
        }
        let p50 = all.per_mille(500).expect("measured");
        assert!(p50.abs_diff(Duration::from_millis(500)) < Duration::from_millis(10), "{p50:?}");
        assert_eq!(all.per_mille(1000), Some(Duration::from_secs(1)));
        assert_eq!(all.longest(), Some(Duration::from_secs(1)));
    }

    #[test]
    fn merging_is_as_if_measured_together() {
        let (mut one, mut other) = (Latencies::default(), Latencies::default());
        one.record(Duration::from_micros(10));
        other.record(Duration::from_secs(2));
        one.merge(&other);
        assert_eq!(one.per_mille(500), Some(Duration::from_micros(10)));
        assert_eq!(one.longest(), Some(Duration::from_secs(2)));
    }
}
