//! What may run now: the workers take from the channels in turn, so that the backlog of one does not
//! make the others wait; and what comes from an archive or an initial load yields to what happens
//! now.
//!
//! Only heads of the order stand here, so the lanes change nothing in the order of a patient. A live
//! message behind one of the bulk lane waits for that: hence one turn in [`SHARE`] is the bulk's
//! while there is both.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Of so many turns one is the bulk lane's when both have work.
const SHARE: u32 = 16;

/// By how much work hurries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// It happens now.
    Live,
    /// It yields.
    Bulk,
}

/// Work of several channels. Bounded by who puts it in.
#[derive(Debug)]
pub(crate) struct Runnable<W> {
    lanes: Mutex<Lanes<W>>,
    more: Condvar,
}

#[derive(Debug)]
struct Lanes<W> {
    live: Turns<W>,
    bulk: Turns<W>,
    /// Turns of the live lane while the bulk lane waited.
    passed: u32,
    closed: bool,
}

#[derive(Debug)]
struct Turns<W> {
    of: HashMap<String, VecDeque<W>>,
    /// Channels that have work, the next one first.
    next: VecDeque<String>,
}

impl<W> Default for Turns<W> {
    fn default() -> Self {
        Self { of: HashMap::new(), next: VecDeque::new() }
    }
}

impl<W> Turns<W> {
    fn push(&mut self, channel: &str, work: W) {
        if let Some(queue) = self.of.get_mut(channel) {
            queue.push_back(work);
        } else {
            self.of.insert(channel.to_owned(), VecDeque::from([work]));
            self.next.push_back(channel.to_owned());
        }
    }

    fn take(&mut self) -> Option<W> {
        let channel = self.next.pop_front()?;
        let queue = self.of.get_mut(&channel)?;
        let work = queue.pop_front();
        if queue.is_empty() {
            self.of.remove(&channel);
        } else {
            self.next.push_back(channel);
        }
        work
    }
}

impl<W> Lanes<W> {
    fn take(&mut self) -> Option<W> {
        if self.bulk.next.is_empty() {
            self.passed = 0;
            return self.live.take();
        }
        if self.live.next.is_empty() || self.passed + 1 >= SHARE {
            self.passed = 0;
            return self.bulk.take();
        }
        self.passed += 1;
        self.live.take()
    }
}

impl<W> Default for Runnable<W> {
    fn default() -> Self {
        let (live, bulk) = (Turns::default(), Turns::default());
        let lanes = Lanes { live, bulk, passed: 0, closed: false };
        Self { lanes: Mutex::new(lanes), more: Condvar::new() }
    }
}

impl<W> Runnable<W> {
    /// Adds work of a channel, behind what it has in that lane.
    pub(crate) fn push(&self, channel: &str, lane: Lane, work: W) {
        let mut lanes = self.lanes();
        match lane {
            Lane::Live => lanes.live.push(channel, work),
            Lane::Bulk => lanes.bulk.push(channel, work),
        }
        drop(lanes);
        self.more.notify_one();
    }

    /// The next work; waits for it. Nothing once closed: what is left stays undone.
    pub(crate) fn take(&self) -> Option<W> {
        let mut lanes = self.lanes();
        loop {
            if lanes.closed {
                return None;
            }
            if let Some(work) = lanes.take() {
                return Some(work);
            }
            lanes = self.more.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends every waiting and later [`Runnable::take`].
    pub(crate) fn close(&self) {
        self.lanes().closed = true;
        self.more.notify_all();
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<W>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_take_turns_and_each_keeps_its_order() {
        let runnable = Runnable::default();
        for number in 1..=3 {
            runnable.push("pas", Lane::Live, number);
        }
        runnable.push("labs", Lane::Live, 10);
        runnable.push("labs", Lane::Live, 11);
        let taken: Vec<i32> = (0..5).filter_map(|_| runnable.take()).collect();
        assert_eq!(taken, [1, 10, 2, 11, 3]);
        runnable.push("pas", Lane::Live, 4);
        runnable.close();
        assert_eq!(runnable.take(), None);
    }

    #[test]
    fn bulk_yields_and_is_never_starved() {
        let runnable = Runnable::default();
        for number in 0..40 {
            runnable.push("load", Lane::Bulk, 1000 + number);
        }
        for number in 0..30 {
            runnable.push("pas", Lane::Live, number);
        }
        let taken: Vec<i32> = (0..70).filter_map(|_| runnable.take()).collect();
        let bulk: Vec<usize> =
            taken.iter().enumerate().filter(|(_, n)| **n >= 1000).map(|(at, _)| at).collect();
        assert_eq!(bulk[..3], [15, 31, 32], "one in sixteen, then what is left");
        for lane in [0..1000, 1000..2000] {
            let of: Vec<&i32> = taken.iter().filter(|n| lane.contains(*n)).collect();
            assert!(of.is_sorted(), "{of:?}");
        }
        // Bulk alone has the workers to itself.
        runnable.push("load", Lane::Bulk, 1);
        assert_eq!(runnable.take(), Some(1));
    }
}
