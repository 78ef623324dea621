//! What may run now: the workers take from the channels in turn, so that the backlog of one does not
//! make the others wait.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Work of several channels. Bounded by who puts it in.
#[derive(Debug)]
pub(crate) struct Runnable<W> {
    turns: Mutex<Turns<W>>,
    more: Condvar,
}

#[derive(Debug)]
struct Turns<W> {
    of: HashMap<String, VecDeque<W>>,
    /// Channels that have work, the next one first.
    next: VecDeque<String>,
    closed: bool,
}

impl<W> Default for Runnable<W> {
    fn default() -> Self {
        let turns = Turns { of: HashMap::new(), next: VecDeque::new(), closed: false };
        Self { turns: Mutex::new(turns), more: Condvar::new() }
    }
}

impl<W> Runnable<W> {
    /// Adds work of a channel, behind what it has.
    pub(crate) fn push(&self, channel: &str, work: W) {
        let mut turns = self.turns();
        if let Some(queue) = turns.of.get_mut(channel) {
            queue.push_back(work);
        } else {
            turns.of.insert(channel.to_owned(), VecDeque::from([work]));
            turns.next.push_back(channel.to_owned());
        }
        drop(turns);
        self.more.notify_one();
    }

    /// The next work; waits for it. Nothing once closed: what is left stays undone.
    pub(crate) fn take(&self) -> Option<W> {
        let mut turns = self.turns();
        loop {
            if turns.closed {
                return None;
            }
            if let Some(channel) = turns.next.pop_front() {
                let queue = turns.of.get_mut(&channel)?;
                let work = queue.pop_front();
                if queue.is_empty() {
                    turns.of.remove(&channel);
                } else {
                    turns.next.push_back(channel);
                }
                return work;
            }
            turns = self.more.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends every waiting and later [`Runnable::take`].
    pub(crate) fn close(&self) {
        self.turns().closed = true;
        self.more.notify_all();
    }

    fn turns(&self) -> MutexGuard<'_, Turns<W>> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_take_turns_and_each_keeps_its_order() {
        let runnable = Runnable::default();
        for number in 1..=3 {
            runnable.push("pas", number);
        }
        runnable.push("labs", 10);
        runnable.push("labs", 11);
        let taken: Vec<i32> = (0..5).filter_map(|_| runnable.take()).collect();
        assert_eq!(taken, [1, 10, 2, 11, 3]);
        runnable.push("pas", 4);
        runnable.close();
        assert_eq!(runnable.take(), None);
    }
}
