//! Order is kept per patient: the keyed queue.
//!
//! A message runs when it is at the head of the queue of *every* key it holds; messages that share
//! no key run side by side. Beside its own keys a message holds those of its kin: what is under way
//! may prove that two names are of one patient, so that whoever follows under either name waits
//! (`kin.rs`). The queue is plain data: no task, no lock, no clock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::kin::Kin;

/// What orders messages: one name of one patient. Opaque, compared only.
pub type OrderKey = Arc<str>;

/// Work waiting behind earlier work of the same patient.
#[derive(Debug)]
pub struct Order<W> {
    queues: HashMap<OrderKey, VecDeque<u64>>,
    waiting: HashMap<u64, Waiting<W>>,
    kin: Kin<OrderKey>,
}

#[derive(Debug)]
struct Waiting<W> {
    keys: Vec<OrderKey>,
    /// One of the patient's own, by which its kin is found.
    kin: Option<OrderKey>,
    /// Keys at whose head this message does not stand yet.
    blocked_by: usize,
    /// Taken when the message starts to run.
    work: Option<W>,
}

impl<W> Default for Order<W> {
    fn default() -> Self {
        Self { queues: HashMap::new(), waiting: HashMap::new(), kin: Kin::default() }
    }
}

impl<W> Order<W> {
    /// Queues `work` under the names of its patients and, if all of a channel is in order, under
    /// the channel; gives it back at once when nothing of theirs is before it. Call in message
    /// order. A message without keys never waits.
    pub fn admit(
        &mut self,
        message: u64,
        patients: &[OrderKey],
        channel: Option<OrderKey>,
        work: W,
    ) -> Option<W> {
        let mut keys = self.kin.join(patients);
        keys.extend(channel);
        let mut blocked_by = 0;
        for key in &keys {
            let queue = self.queues.entry(key.clone()).or_default();
            blocked_by += usize::from(!queue.is_empty());
            queue.push_back(message);
        }
        let (now, later) = if blocked_by == 0 { (Some(work), None) } else { (None, Some(work)) };
        let kin = patients.first().cloned();
        self.waiting.insert(message, Waiting { keys, kin, blocked_by, work: later });
        now
    }

    /// Frees the keys of a message that is done and gives back what may run now, in message order.
    pub fn finish(&mut self, message: u64) -> Vec<W> {
        let Some(done) = self.waiting.remove(&message) else { return Vec::new() };
        if let Some(key) = &done.kin {
            self.kin.leave(key);
        }
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

    fn admit(order: &mut Order<u64>, message: u64, names: &[&str]) -> Option<u64> {
        order.admit(message, &keys(names), None, message)
    }

    #[test]
    fn one_patient_runs_in_order_and_another_does_not_wait() {
        let mut order = Order::default();
        assert_eq!(admit(&mut order, 1, &["a"]), Some(1));
        assert_eq!(admit(&mut order, 2, &["a"]), None);
        assert_eq!(admit(&mut order, 3, &["b"]), Some(3));
        assert_eq!(order.finish(3), Vec::<u64>::new());
        assert_eq!(order.finish(1), vec![2]);
        assert!(order.finish(2).is_empty());
        assert!(order.is_empty());
    }

    #[test]
    fn a_message_of_two_patients_waits_for_both_and_holds_both() {
        let mut order = Order::default();
        admit(&mut order, 1, &["a"]);
        admit(&mut order, 2, &["b"]);
        assert_eq!(admit(&mut order, 3, &["a", "b"]), None);
        assert_eq!(admit(&mut order, 4, &["b"]), None);
        assert!(order.finish(1).is_empty());
        assert_eq!(order.finish(2), vec![3]);
        assert_eq!(order.finish(3), vec![4]);
    }

    /// While a merge is under way, what follows under either number is in order with the other.
    #[test]
    fn whoever_follows_a_merge_waits_under_either_name() {
        let mut order = Order::default();
        assert_eq!(admit(&mut order, 1, &["a", "b"]), Some(1));
        assert_eq!(admit(&mut order, 2, &["a"]), None);
        assert_eq!(admit(&mut order, 3, &["b"]), None);
        assert_eq!(order.finish(1), vec![2]);
        assert_eq!(order.finish(2), vec![3]);
        assert!(order.finish(3).is_empty());
        // Nothing of theirs is under way: the two names are strangers again.
        assert_eq!(admit(&mut order, 4, &["a"]), Some(4));
        assert_eq!(admit(&mut order, 5, &["b"]), Some(5));
    }

    #[test]
    fn an_ordered_channel_does_not_make_its_patients_kin() {
        let mut order = Order::default();
        let channel = || Some(OrderKey::from("channel:pas"));
        assert_eq!(order.admit(1, &keys(&["a"]), channel(), 1), Some(1));
        assert_eq!(order.admit(2, &keys(&["b"]), channel(), 2), None);
        assert_eq!(order.admit(3, &keys(&["c"]), None, 3), Some(3));
        assert_eq!(order.admit(4, &keys(&["a"]), None, 4), None);
        assert_eq!(order.finish(1), vec![2, 4]);
    }

    #[test]
    fn the_same_key_twice_is_one_key_and_no_key_never_waits() {
        let mut order = Order::default();
        assert_eq!(admit(&mut order, 1, &["a", "a"]), Some(1));
        assert_eq!(admit(&mut order, 2, &[]), Some(2));
        assert!(order.finish(2).is_empty());
        assert_eq!(admit(&mut order, 3, &["a"]), None);
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
                    (0..random.usize(0..3)).map(|_| random.u8(0..8).to_string()).collect();
                let names: Vec<OrderKey> =
                    names.iter().map(|n| OrderKey::from(n.as_str())).collect();
                held.insert(message, names.clone());
                running.extend(order.admit(message, &names, None, message));
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
            let shares =
                |one: &u64, other: &u64| held[one].iter().any(|key| held[other].contains(key));
            for later in 0..60 {
                for earlier in (0..later).filter(|earlier| shares(earlier, &later)) {
                    assert!(
                        started[&earlier] < started[&later],
                        "seed {seed}: {earlier} before {later}"
                    );
                }
            }
        }
    }
}
