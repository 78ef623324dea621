//! The books of `tieline bench --faults`: what was answered, what was published, what does not agree.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// A message by its patient and its place among the patient's messages, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) patient: u32,
    pub(crate) sequence: u32,
}

impl Entry {
    /// Its MSH-10, which becomes the event's `correlationid`.
    pub(crate) fn control_id(self) -> String {
        format!("B{}N{}", self.patient, self.sequence)
    }

    pub(crate) fn of(control_id: &str) -> Option<Self> {
        let (patient, sequence) = control_id.strip_prefix('B')?.split_once('N')?;
        Some(Self { patient: patient.parse().ok()?, sequence: sequence.parse().ok()? })
    }
}

/// What does not agree; all zero when the promise was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Differences {
    /// Answered positively, and no event.
    pub(crate) lost: usize,
    /// Good messages that were answered negatively.
    pub(crate) refused: usize,
    /// Events of messages that were never sent.
    pub(crate) invented: usize,
    /// A later message of the patient was published first.
    pub(crate) out_of_order: usize,
    /// Made from a message a second time.
    pub(crate) repeated: usize,
    /// Messages that the ledger has in no state or in two.
    pub(crate) unbalanced: u64,
}

/// Compares the answers with the published events, in publishing order, each by its message. What
/// was sent without an answer may have been published or not.
pub(crate) fn compare(
    sent: &BTreeSet<Entry>,
    answered: &BTreeSet<Entry>,
    published: &[Entry],
) -> Differences {
    let mut differences = Differences::default();
    let mut known = BTreeSet::new();
    let mut newest: BTreeMap<u32, u32> = BTreeMap::new();
    for entry in published {
        if !known.insert(*entry) {
            differences.repeated += 1;
            continue;
        }
        if !sent.contains(entry) {
            differences.invented += 1;
        }
        let newest = newest.entry(entry.patient).or_default();
        if entry.sequence < *newest {
            differences.out_of_order += 1;
        }
        *newest = entry.sequence.max(*newest);
    }
    differences.lost = answered.difference(&known).count();
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(all: &[(u32, u32)]) -> Vec<Entry> {
        all.iter().map(|&(patient, sequence)| Entry { patient, sequence }).collect()
    }

    fn compared(answered: &[(u32, u32)], published: &[(u32, u32)]) -> Differences {
        let answered: BTreeSet<Entry> = entries(answered).into_iter().collect();
        let unanswered = entries(&[(9, 1)]);
        let sent = answered.iter().copied().chain(unanswered).collect();
        compare(&sent, &answered, &entries(published))
    }

    #[test]
    fn what_agrees_has_no_differences() {
        let answered = [(1, 1), (1, 2), (2, 1)];
        assert_eq!(compared(&answered, &[(2, 1), (1, 1), (1, 2)]), Differences::default());
        let one_more = [(2, 1), (9, 1), (1, 1), (1, 2)];
        assert_eq!(compared(&answered, &one_more), Differences::default(), "it had no answer");
    }

    #[test]
    fn each_difference_is_told_apart() {
        let found = |published: &[(u32, u32)]| compared(&[(1, 1), (1, 2)], published);
        let none = Differences::default();
        assert_eq!(found(&[(1, 2)]), Differences { lost: 1, ..none });
        assert_eq!(found(&[(1, 2), (1, 1)]), Differences { out_of_order: 1, ..none });
        assert_eq!(found(&[(1, 1), (1, 2), (1, 1)]), Differences { repeated: 1, ..none });
        assert_eq!(found(&[(1, 1), (1, 2), (7, 1)]), Differences { invented: 1, ..none });
    }

    #[test]
    fn a_control_id_leads_back_to_its_message() {
        let entry = Entry { patient: 12, sequence: 345 };
        assert_eq!(Entry::of(&entry.control_id()), Some(entry));
        for other in ["", "12N3", "B12", "B1Nx"] {
            assert_eq!(Entry::of(other), None, "{other}");
        }
    }
}
