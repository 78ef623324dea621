//! Order is kept per patient: the keyed queue.
//!
//! A message runs when it is at the head of the queue of *every* key it holds; messages that share
//! no key run side by side. The queue is plain data: no task, no lock, no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What orders messages: one patient as one source names it. Opaque, compared only.
pub type OrderKey = Arc<str>;

/// Work waiting behind earlier work of the same patient.
#[derive(Debug)]
pub struct Order<W> {
    queues: HashMap<OrderKey, VecDeque<u64>>,
    waiting: HashMap<u64, Waiting<W>>,
}

#[derive(Debug)]
struct Waiting<W> {
    keys: Vec<OrderKey>,
    /// Keys at whose head this message does not stand yet.
    blocked_by: usize,
    /// Taken when the message starts to run.
    work: Option<W>,
}

impl<W> Default for Order<W> {
    fn default() -> Self {
        Self { queues: HashMap::new(), waiting: HashMap::new() }
    }
}

impl<W> Order<W> {
    /// Queues `work` under its keys; gives it back at once when nothing of theirs is before it.
    /// Call in message order. A message without keys never waits.
    pub fn admit(&mut self, message: u64, mut keys: Vec<OrderKey>, work: W) -> Option<W> {
        keys.sort_unstable();
        keys.dedup();
        let mut blocked_by = 0;
        for key in &keys {
            let queue = self.queues.entry(key.clone()).or_default();
            blocked_by += usize::from(!queue.is_empty());
            queue.push_back(message);
        }
        let (now, later) = if blocked_by == 0 { (Some(work), None) } else { (None, Some(work)) };
        self.waiting.insert(message, Waiting { keys, blocked_by, work: later });
        now
    }

    /// Frees the keys of a message that is done and gives back what may run now, in message order.
    pub fn finish(&mut self, message: u64) -> Vec<W> {
        let Some(done) = self.waiting.remove(&message) else { return Vec::new() };
        let mut runnable: Vec<(u64, W)> = Vec::new();
        for key in done.keys {
            let Some(queue) = self.queues.get_mut(&key) else { continue };
            queue.pop_front();
            let Some(&head) = queue.front() else {
                self.queues.remove(&key);
                continue;
            };
            if let Some(waiting) = self.waiting.get_mut(&head) {
                waiting.blocked_by -= 1;
                if waiting.blocked_by == 0
                    && let Some(work) = waiting.work.take()
                {
                    runnable.push((head, work));
                }
            }
        }
        runnable.sort_unstable_by_key(|(id, _)| *id);
        runnable.into_iter().map(|(_, work)| work).collect()
    }

    /// Messages admitted and not finished.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing is queued or running.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(names: &[&str]) -> Vec<OrderKey> {
        names.iter().map(|name| OrderKey::from(*name)).collect()
    }

    #[test]
    fn one_patient_runs_in_order_and_another_does_not_wait() {
        let mut order = Order::default();
        assert_eq!(order.admit(1, keys(&["a"]), 1), Some(1));
        assert_eq!(order.admit(2, keys(&["a"]), 2), None);
        assert_eq!(order.admit(3, keys(&["b"]), 3), Some(3));
        assert_eq!(order.finish(3), Vec::<i32>::new());
        assert_eq!(order.finish(1), vec![2]);
        assert!(order.finish(2).is_empty());
        assert!(order.is_empty());
    }

    #[test]
    fn a_message_of_two_patients_waits_for_both_and_holds_both() {
        let mut order = Order::default();
        order.admit(1, keys(&["a"]), 1);
        order.admit(2, keys(&["b"]), 2);
        assert_eq!(order.admit(3, keys(&["a", "b"]), 3), None);
        assert_eq!(order.admit(4, keys(&["b"]), 4), None);
        assert!(order.finish(1).is_empty());
        assert_eq!(order.finish(2), vec![3]);
        assert_eq!(order.finish(3), vec![4]);
    }

    #[test]
    fn the_same_key_twice_is_one_key_and_no_key_never_waits() {
        let mut order = Order::default();
        assert_eq!(order.admit(1, keys(&["a", "a"]), 1), Some(1));
        assert_eq!(order.admit(2, Vec::new(), 2), Some(2));
        assert!(order.finish(2).is_empty());
        assert_eq!(order.admit(3, keys(&["a"]), 3), None);
        assert_eq!(order.finish(1), vec![3]);
    }

    /// Under every interleaving that a seed gives, messages of one key start in message order.
    #[test]
    fn starts_follow_message_order_per_key_whatever_finishes_first() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut order = Order::default();
            let mut running: Vec<u64> = Vec::new();
            let mut started: HashMap<u64, usize> = HashMap::new();
            let mut held: HashMap<u64, Vec<OrderKey>> = HashMap::new();
            let mut count = 0;
            for message in 0..60_u64 {
                let names: Vec<String> =
                    (0..random.usize(0..3)).map(|_| random.u8(0..5).to_string()).collect();
                let names: Vec<OrderKey> =
                    names.iter().map(|n| OrderKey::from(n.as_str())).collect();
                held.insert(message, names.clone());
                running.extend(order.admit(message, names, message));
                while !running.is_empty() && random.bool() {
                    let done = running.swap_remove(random.usize(0..running.len()));
                    started.insert(done, count);
                    count += 1;
                    running.extend(order.finish(done));
                }
            }
            while let Some(done) = running.pop() {
                started.insert(done, count);
                count += 1;
                running.extend(order.finish(done));
            }
            assert!(order.is_empty(), "seed {seed}: everything ran");
            for (later, later_keys) in &held {
                for earlier in 0..*later {
                    if held[&earlier].iter().any(|key| later_keys.contains(key)) {
                        assert!(
                            started[&earlier] < started[later],
                            "seed {seed}: {earlier} before {later}"
                        );
                    }
                }
            }
        }
    }
}
