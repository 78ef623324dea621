//! How many messages a channel received in the last minute.

use std::collections::VecDeque;

/// The span, in seconds.
const SPAN: i64 = 60;

/// Counts by second; at most a minute of them.
#[derive(Clone, Debug, Default)]
pub struct Rate {
    seconds: VecDeque<(i64, u64)>,
}

impl Rate {
    /// Counts one message received at `milliseconds` since 1970.
    pub fn count(&mut self, milliseconds: i64) {
        let second = milliseconds.div_euclid(1000);
        match self.seconds.back_mut() {
            Some((last, count)) if *last >= second => *count += 1,
            _ => self.seconds.push_back((second, 1)),
        }
        while self.seconds.front().is_some_and(|(first, _)| *first <= second - SPAN) {
            self.seconds.pop_front();
        }
    }

    /// Messages of the minute before `milliseconds`.
    pub fn last_minute(&self, milliseconds: i64) -> u64 {
        let since = milliseconds.div_euclid(1000) - SPAN;
        self.seconds.iter().filter(|(second, _)| *second > since).map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_and_forgotten() {
        let mut rate = Rate::default();
        for second in 0..90 {
            rate.count(second * 1000);
            rate.count(second * 1000 + 999);
        }
        assert_eq!(rate.last_minute(89_999), 120);
        assert_eq!(rate.last_minute(119_999), 60);
        assert_eq!(rate.last_minute(500_000), 0);
        assert!(rate.seconds.len() <= 60);
    }
}
