//! The held messages, as plainly as can be said.

use std::collections::{BTreeMap, BTreeSet};

use crate::CHANNEL;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Waiting,
    Blocked,
}

/// The same, as plainly as can be said: every chain is a set of seats, and chains of patients that
/// ever were occupied together by one message are a family.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) chains: BTreeMap<usize, BTreeSet<u64>>,
    families: Vec<BTreeSet<usize>>,
    pub(crate) messages: BTreeMap<u64, (State, u64)>,
}

impl Model {
    pub(crate) fn seat(&self, id: u64) -> Option<u64> {
        let sits = self.messages.iter().find(|(_, (_, who))| *who == id).map(|(seat, _)| *seat);
        sits.or_else(|| (!self.messages.contains_key(&id)).then_some(id))
    }

    pub(crate) fn state(&self, id: u64) -> Option<State> {
        self.seat(id).and_then(|seat| self.messages.get(&seat)).map(|(state, _)| *state)
    }

    pub(crate) fn first(&self, key: usize) -> Option<u64> {
        self.chains.get(&key).and_then(|chain| chain.first()).copied()
    }

    pub(crate) fn is_first(&self, seat: u64) -> bool {
        self.chains.values().all(|chain| !chain.contains(&seat) || chain.first() == Some(&seat))
    }

    pub(crate) fn stand(&mut self, seat: u64, keys: &[usize]) {
        for key in keys {
            self.chains.entry(*key).or_default().insert(seat);
        }
    }

    pub(crate) fn unite(&mut self, keys: &[usize]) {
        let mut home: BTreeSet<usize> =
            keys.iter().copied().filter(|key| *key != CHANNEL).collect();
        let (together, apart) = self.families.drain(..).partition(|one| !one.is_disjoint(&home));
        self.families = apart;
        let together: Vec<BTreeSet<usize>> = together;
        home.extend(together.into_iter().flatten());
        self.families.push(home);
    }

    /// What nobody stands in is of no family.
    pub(crate) fn forget_empty(&mut self) {
        self.chains.retain(|_, chain| !chain.is_empty());
        let chains = &self.chains;
        self.families.iter_mut().for_each(|one| one.retain(|key| chains.contains_key(key)));
    }

    pub(crate) fn block(&mut self, id: u64, keys: &[usize]) {
        let Some(seat) = self.seat(id) else { return };
        self.stand(seat, keys);
        self.unite(keys);
        self.messages.insert(seat, (State::Blocked, id));
    }

    pub(crate) fn block_only(&mut self, id: u64, keys: &[usize]) -> Vec<u64> {
        let Some(seat) = self.seat(id) else { return Vec::new() };
        self.block(id, keys);
        let mut left = BTreeSet::new();
        for (key, chain) in &mut self.chains {
            if !keys.contains(key) && chain.remove(&seat) {
                left.extend(chain.first().copied());
            }
        }
        self.forget_empty();
        self.start(&left)
    }

    /// Those of them that wait for nobody now run.
    pub(crate) fn start(&mut self, seats: &BTreeSet<u64>) -> Vec<u64> {
        let free = |seat: &u64| self.messages[seat].0 == State::Waiting && self.is_first(*seat);
        let next: Vec<u64> = seats.iter().copied().filter(free).collect();
        let start = |seat: &u64| {
            let (state, id) = self.messages.get_mut(seat).unwrap();
            *state = State::Running;
            *id
        };
        next.iter().map(start).collect()
    }

    pub(crate) fn wait(&mut self, id: u64, own: &[usize], others: &[usize]) -> bool {
        let Some(seat) = self.seat(id) else { return false };
        if matches!(self.state(id), Some(State::Waiting | State::Blocked)) {
            return true;
        }
        let all: Vec<usize> = own.iter().chain(others).copied().collect();
        if all.iter().all(|key| self.first(*key).is_none_or(|first| first == seat)) {
            return false;
        }
        let occupied: Vec<usize> =
            others.iter().copied().filter(|key| self.first(*key).is_some()).collect();
        let named: Vec<usize> = own.iter().copied().chain(occupied).collect();
        let kin = self.families.iter().filter(|one| named.iter().any(|key| one.contains(key)));
        let kin: Vec<usize> = kin.flatten().copied().collect();
        self.stand(seat, &named);
        self.stand(seat, &kin);
        self.unite(&named);
        let waits = !self.is_first(seat);
        self.messages.insert(seat, (if waits { State::Waiting } else { State::Running }, id));
        waits
    }

    pub(crate) fn unblock(&mut self, id: u64) -> bool {
        let Some(seat) = self.seat(id) else { return false };
        let first = self.is_first(seat);
        if self.state(id) == Some(State::Blocked) {
            let state = if first { State::Running } else { State::Waiting };
            self.messages.insert(seat, (state, id));
            self.drop_if_nowhere(seat);
        }
        first
    }

    /// A message that runs and occupies nothing is no longer known; an edit keeps its place.
    pub(crate) fn drop_if_nowhere(&mut self, seat: u64) {
        let stands = self.chains.values().any(|chain| chain.contains(&seat));
        if !stands && self.messages[&seat] == (State::Running, seat) {
            self.messages.remove(&seat);
        }
    }

    pub(crate) fn free(&mut self, id: u64) -> Vec<u64> {
        let Some(seat) = self.seat(id) else { return Vec::new() };
        self.messages.remove(&seat);
        self.chains.values_mut().for_each(|chain| _ = chain.remove(&seat));
        self.forget_empty();
        let all = self.messages.keys().copied().collect();
        self.start(&all)
    }

    pub(crate) fn pass(&mut self, id: u64, key: usize) -> Option<u64> {
        let seat = self.seat(id)?;
        let chain = self.chains.get_mut(&key).filter(|chain| chain.contains(&seat))?;
        chain.remove(&seat);
        let next = chain.first().copied().into_iter().collect();
        self.forget_empty();
        self.start(&next).pop()
    }

    pub(crate) fn replace(&mut self, old: u64, new: u64) -> bool {
        let Some(seat) = self.seat(old).filter(|seat| self.messages.contains_key(seat)) else {
            return false;
        };
        if old == new || self.state(new).is_some() || (self.seat(new).is_none() && new != seat) {
            return false;
        }
        self.messages.get_mut(&seat).unwrap().1 = new;
        true
    }

    pub(crate) fn running(&self) -> Vec<u64> {
        let running = self.messages.values().filter(|(state, _)| *state == State::Running);
        running.map(|(_, id)| *id).collect()
    }
}
