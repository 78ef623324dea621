//! Patients that were asked for lately, in bounded memory.
//!
//! Two tables of small sets, as a processor's cache has them: a key belongs into one set, which
//! keeps its eight latest. No lists, no clock, no memory beyond the tables and the patients' compact
//! forms. The table of keys holds hashes; what it says is believed only when the patient's own
//! record confirms it.

use std::hash::{BuildHasher, RandomState};

use crate::key::Key;
use crate::patient::PatientId;

const WAYS: usize = 8;
/// Identifiers by which a patient is usually found: the number and a local identifier or two.
const KEYS_PER_PATIENT: usize = 2;

/// At most so many patients, and what finds them.
pub(crate) struct Cache {
    patients: Sets<PatientId, Box<[u8]>>,
    keys: Sets<u64, PatientId>,
    hasher: RandomState,
}

impl Cache {
    /// Room for about so many patients.
    pub(crate) fn new(patients: usize) -> Self {
        Self {
            patients: Sets::new(patients),
            keys: Sets::new(patients * KEYS_PER_PATIENT),
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn patient(&mut self, id: PatientId) -> Option<&[u8]> {
        let set = self.hasher.hash_one(id);
        self.patients.get(set, id).map(|bytes| &**bytes)
    }

    pub(crate) fn keep(&mut self, id: PatientId, bytes: Box<[u8]>) {
        let set = self.hasher.hash_one(id);
        self.patients.put(set, id, bytes);
    }

    pub(crate) fn holder(&mut self, key: &Key) -> Option<PatientId> {
        let hash = self.hasher.hash_one(key);
        self.keys.get(hash, hash).copied()
    }

    pub(crate) fn keep_key(&mut self, key: &Key, holder: PatientId) {
        let hash = self.hasher.hash_one(key);
        self.keys.put(hash, hash, holder);
    }

    pub(crate) fn forget_key(&mut self, key: &Key) {
        let hash = self.hasher.hash_one(key);
        self.keys.remove(hash, hash);
    }

    /// How many patients are held.
    pub(crate) fn len(&self) -> usize {
        self.patients.len()
    }
}

/// Sets of at most [`WAYS`] entries, the latest first.
struct Sets<K, V> {
    slots: Vec<Option<(K, V)>>,
    /// One less than the number of sets, a power of two.
    mask: u64,
}

impl<K: Copy + Eq, V> Sets<K, V> {
    fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).next_power_of_two();
        let slots = std::iter::repeat_with(|| None).take(sets * WAYS).collect();
        Self { slots, mask: sets as u64 - 1 }
    }

    fn set(&mut self, hash: u64) -> &mut [Option<(K, V)>] {
        let set = usize::try_from(hash & self.mask).unwrap_or(0);
        let from = set * WAYS;
        &mut self.slots[from..from + WAYS]
    }

    fn find(set: &[Option<(K, V)>], key: K) -> Option<usize> {
        set.iter().position(|slot| slot.as_ref().is_some_and(|(held, _)| *held == key))
    }

    fn get(&mut self, hash: u64, key: K) -> Option<&V> {
        let set = self.set(hash);
        let at = Self::find(set, key)?;
        set[..=at].rotate_right(1);
        set[0].as_ref().map(|(_, value)| value)
    }

    fn put(&mut self, hash: u64, key: K, value: V) {
        let set = self.set(hash);
        let at = Self::find(set, key).unwrap_or(WAYS - 1);
        set[..=at].rotate_right(1);
        set[0] = Some((key, value));
    }

    fn remove(&mut self, hash: u64, key: K) {
        let set = self.set(hash);
        if let Some(at) = Self::find(set, key) {
            set[at..].rotate_left(1);
            set[WAYS - 1] = None;
        }
    }

    fn len(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}
