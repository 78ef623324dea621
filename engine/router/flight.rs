//! What of the accepted messages is in memory, and what waits on disk, for those who watch.

use std::collections::BTreeMap;

/// Messages in memory, and counts of those that wait on disk.
#[derive(Debug, Default)]
pub(crate) struct Flight {
    /// Channel and time of receipt in milliseconds since 1970 in UTC, by message.
    in_memory: BTreeMap<u64, (String, i64)>,
    /// Waiting on disk, by channel.
    pub(crate) held: BTreeMap<String, u64>,
    /// Results and documents among them.
    pub(crate) held_results: u64,
}

impl Flight {
    pub(crate) fn enter(&mut self, id: u64, channel: &str, received: i64) {
        self.in_memory.insert(id, (channel.to_owned(), received));
    }

    /// Whether the message is in memory.
    pub(crate) fn has(&self, id: u64) -> bool {
        self.in_memory.contains_key(&id)
    }

    pub(crate) fn leave(&mut self, id: u64) {
        self.in_memory.remove(&id);
    }

    /// A message of the channel went to wait on disk.
    pub(crate) fn hold(&mut self, channel: &str, result: bool) {
        self.held_results += u64::from(result);
        *self.held.entry(channel.to_owned()).or_default() += 1;
    }

    /// One came back.
    pub(crate) fn release(&mut self, channel: &str, result: bool) {
        self.held_results = self.held_results.saturating_sub(u64::from(result));
        if let Some(count) = self.held.get_mut(channel) {
            *count = count.saturating_sub(1);
        }
    }

    /// When the oldest in memory was received, by channel.
    pub(crate) fn oldest(&self) -> BTreeMap<String, i64> {
        let mut oldest: BTreeMap<String, i64> = BTreeMap::new();
        for (channel, received) in self.in_memory.values() {
            let known = oldest.entry(channel.clone()).or_insert(*received);
            *known = (*known).min(*received);
        }
        oldest
    }
}
