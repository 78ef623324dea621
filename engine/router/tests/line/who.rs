//! A second opinion on who is who: what messages, loads and decisions come to, in sets of small
//! numbers. It knows nothing of the index, its facts or its file; only that records have ages, and
//! that a merged one goes on as another.

use std::collections::BTreeSet;

use identity::rules::Resolution::{self, Index, Message};

use crate::line::said::{Id, Says, Step};

/// One record. Where it came from says its age and, of a message, its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// 0 of a load, 1 of a message; its number; the how-manieth record it made.
    pub(crate) made_by: (u8, u64, u64),
    pub(crate) live: BTreeSet<u64>,
    pub(crate) past: BTreeSet<u64>,
    pub(crate) number: Option<usize>,
    pub(crate) former: BTreeSet<usize>,
    pub(crate) into: Option<usize>,
    pub(crate) absorbed: Vec<usize>,
    /// What it had when it was merged.
    pub(crate) brought: (Option<usize>, BTreeSet<u64>),
    /// Its number is from a load, of which nobody is told.
    pub(crate) silent: bool,
    /// Whether its whereabouts are protected, and whether it dissents.
    pub(crate) guarded: [bool; 2],
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Who {
    pub(crate) records: Vec<Record>,
    /// Pairs that must never be linked.
    pub(crate) forbidden: BTreeSet<(Id, Id)>,
    /// Whether merges and moves wait for a person.
    pub(crate) approve: bool,
    /// The message or load that is looked at, and how many records it made.
    pub(crate) by: (u8, u64),
    pub(crate) made: u64,
    /// What the message says of protection and dissent, and whether it may lower them.
    pub(crate) says: Says,
    pub(crate) may_lower: bool,
    /// Hospital numbers that the message takes from one record to another.
    pub(crate) handed: Vec<(u64, usize, usize)>,
}

/// Whose record it is about, or why it waits.
pub(crate) type Verdict = Result<Option<usize>, &'static str>;

pub(crate) const CONFLICT: &str = "identity.number-conflict";
const SHARED: &str = "identity.shared-number";
pub(crate) const APART: &str = "identity.do-not-link";

impl Who {
    /// What a message comes to. A contradiction changes nothing.
    pub(crate) fn step(
        &mut self,
        id: u64,
        step: Step,
        says: Says,
        by: Option<Resolution>,
    ) -> Verdict {
        self.handed.clear();
        let before = self.clone();
        (self.by, self.made) = ((1, id), 0);
        // The laboratory may not.
        (self.says, self.may_lower) = (says, !matches!(step, Step::Result { .. }));
        let verdict = match step {
            Step::State { local, number } => self.state(local, number, by).map(Some),
            Step::Result { local, number } => self.result(local, number, by),
            Step::Withdraw { local } => self.state(local, None, by).map(|at| {
                if let Some(number) = self.records[at].number.take() {
                    self.records[at].former.insert(number);
                }
                Some(at)
            }),
            // Whoever is asked takes the index for right: nobody merges or moves.
            Step::Merge { survivor: local, .. } if by == Some(Index) => {
                self.state(local, None, by).map(Some)
            }
            Step::Move { to: local, number, .. } | Step::Hand { to: local, number, .. }
                if by == Some(Index) =>
            {
                self.state(local, number, by).map(Some)
            }
            Step::Change { local, number, .. } if by == Some(Index) => {
                self.state(local, Some(number), by).map(Some)
            }
            Step::Merge { survivor, retired } => self.merge(survivor, retired, by),
            Step::Move { to, number, from } => self.move_visit(to, number, from, by),
            Step::Hand { to, number, local } => self.hand(to, number, local, by),
            Step::Change { local, number, gone } => self.change(local, number, gone, by),
            Step::Unmerge { local } => self.unmerge(local),
        };
        if verdict.is_err() {
            *self = before;
        }
        verdict
    }

    /// A row of a load: it takes nothing from anybody and joins nobody; whether it counts.
    pub(crate) fn load(&mut self, nth: u64, local: u64, number: Option<usize>) -> bool {
        let before = self.clone();
        (self.by, self.made, self.says) = ((0, nth), 0, [None; 2]);
        let known = self.of_number(number).is_some();
        let apart = [self.of_local(local), self.of_number(number)];
        let joins = matches!(apart, [Some(one), Some(other)] if one != other);
        let counts = match self.state(local, number, None) {
            // Whether a number was held before or is new: one that was withdrawn stays so.
            Ok(at) if !joins => {
                let held = |who: &Self| who.records.get(at).and_then(|record| record.number);
                let is_new = held(self).is_some() && held(&before) != held(self);
                self.records[at].silent |= is_new;
                !(is_new && known)
            }
            _ => false,
        };
        if !counts {
            *self = before;
        }
        counts
    }

    /// Whether anybody whom the message names is protected or dissents.
    pub(crate) fn any_guarded(&self, step: Step) -> bool {
        let (locals, number) = match step {
            Step::State { local, number } => (vec![local], number),
            Step::Result { local, number } => (local.into_iter().collect(), number),
            Step::Merge { survivor, retired } => (vec![survivor, retired], None),
            Step::Move { to, number, from } => (vec![to, from], number),
            Step::Hand { to, number, local } => (vec![to, local], number),
            Step::Change { local, number, gone } => (vec![local, gone], Some(number)),
            Step::Withdraw { local } | Step::Unmerge { local } => (vec![local], None),
        };
        let named = locals.into_iter().filter_map(|local| self.of_local(local));
        let mut all: Vec<usize> = named.chain(self.of_number(number)).collect();
        if matches!(step, Step::Merge { .. } | Step::Unmerge { .. }) {
            // One that was merged keeps what was said of it.
            all = all.into_iter().flat_map(|at| self.tree(at)).collect();
        }
        all.into_iter().any(|at| self.records[at].guarded != [false; 2])
    }

    pub(crate) fn root(&self, mut at: usize) -> usize {
        while let Some(into) = self.records[at].into {
            at = into;
        }
        at
    }

    pub(crate) fn of_local(&self, local: u64) -> Option<usize> {
        self.bearer(local).map(|at| self.root(at))
    }

    pub(crate) fn of_number(&self, number: Option<usize>) -> Option<usize> {
        let number = number?;
        let has = |r: &Record| r.number == Some(number) || r.former.contains(&number);
        self.records.iter().position(has).map(|at| self.root(at))
    }

    pub(crate) fn bearer(&self, local: u64) -> Option<usize> {
        self.records.iter().position(|r| r.live.contains(&local) || r.past.contains(&local))
    }

    pub(crate) fn tree(&self, at: usize) -> Vec<usize> {
        let mut all = vec![at];
        let mut next = 0;
        while let Some(record) = all.get(next).copied() {
            all.extend(&self.records[record].absorbed);
            next += 1;
        }
        all
    }

    pub(crate) fn ids(&self, at: usize) -> Vec<Id> {
        let mut ids = Vec::new();
        for record in self.tree(at).into_iter().map(|at| &self.records[at]) {
            ids.extend(record.live.iter().chain(&record.past).map(|local| Id::Local(*local)));
            ids.extend(record.number.iter().chain(&record.former).map(|n| Id::Number(*n)));
        }
        ids
    }

    pub(crate) fn may_join(&self, ones: &[Id], others: &[Id]) -> Result<(), &'static str> {
        let pair = |one: Id, other: Id| (one.min(other), one.max(other));
        let apart = ones
            .iter()
            .any(|one| others.iter().any(|other| self.forbidden.contains(&pair(*one, *other))));
        if apart { Err(APART) } else { Ok(()) }
    }

    pub(crate) fn make(&mut self) -> usize {
        let made_by = (self.by.0, self.by.1, self.made);
        self.made += 1;
        self.records.push(Record { made_by, ..Record::default() });
        self.records.len() - 1
    }

    pub(crate) fn bind(&mut self, at: usize, local: u64, live: bool) {
        for record in &mut self.records {
            record.live.remove(&local);
            record.past.remove(&local);
        }
        let record = &mut self.records[at];
        if live { &mut record.live } else { &mut record.past }.insert(local);
    }

    fn let_go(&mut self, number: usize) {
        for record in &mut self.records {
            record.number = record.number.filter(|held| *held != number);
            record.former.remove(&number);
        }
    }

    pub(crate) fn hold(&mut self, at: usize, number: usize) {
        self.let_go(number);
        let before = self.records[at].number.replace(number);
        self.records[at].former.extend(before);
        self.records[at].silent = false;
    }

    /// Anybody raises protection, and who may lowers it.
    pub(crate) fn say(&mut self, at: usize) {
        let (says, may_lower) = (self.says, self.may_lower);
        for (held, said) in self.records[at].guarded.iter_mut().zip(says) {
            match said {
                Some(true) => *held = true,
                Some(false) if may_lower => *held = false,
                _ => {}
            }
        }
    }

    /// What stood under one record stands under another, as protected as it was.
    pub(crate) fn pass(&mut self, from: usize, to: usize) {
        let from = self.records[from].guarded;
        for (held, other) in self.records[to].guarded.iter_mut().zip(from) {
            *held |= other;
        }
    }

    /// A hospital number goes to another record, with all that was told under it.
    pub(crate) fn take(&mut self, local: u64, at: usize, live: bool) {
        let from = self.of_local(local);
        self.bind(at, local, live);
        if let Some(from) = from {
            self.pass(from, at);
            self.handed.push((local, from, at));
        }
    }

    /// A number that is its record's no more, and still finds it.
    pub(crate) fn replace(&mut self, at: usize, number: usize) {
        self.let_go(number);
        self.records[at].former.insert(number);
    }

    pub(crate) fn unite(&mut self, gone: usize, into: usize, live: bool) {
        let record = &mut self.records[gone];
        record.brought = (record.number, record.live.union(&record.past).copied().collect());
        record.into = Some(into);
        let (number, locals) = (record.number, record.live.clone());
        self.records[into].absorbed.push(gone);
        for local in locals.into_iter().filter(|_| live) {
            self.bind(into, local, true);
        }
        if let (Some(number), None) = (number, self.records[into].number) {
            self.hold(into, number);
        }
        self.pass(gone, into);
    }

    /// Whether another hospital number in use has the number.
    fn has_rival(&self, holder: usize, local: u64) -> bool {
        self.of_local(local) != Some(holder)
            && self.records[holder].live.iter().any(|rival| *rival != local)
    }

    pub(crate) fn state(
        &mut self,
        local: u64,
        number: Option<usize>,
        by: Option<Resolution>,
    ) -> Result<usize, &'static str> {
        let mut number = number;
        let stated: Vec<Id> =
            number.map(Id::Number).into_iter().chain([Id::Local(local)]).collect();
        self.may_join(&stated, &stated)?;
        let mut own = self.of_local(local);
        let held = own.and_then(|at| self.records[at].number);
        if let (Some(at), Some(old), Some(new)) = (own, held, number)
            && old != new
        {
            match by {
                None => return Err(CONFLICT),
                Some(Index) => number = None,
                Some(Message) => own = Some(self.correct(at, local, old, new)?),
            }
        }
        let mut holder = self.of_number(number);
        if let (Some(at), Some(stated)) = (holder, number) {
            let held = self.records[at].number;
            if held.is_some_and(|held| held != stated) {
                // It was replaced, of the same person or of somebody else.
                match by {
                    _ if own == Some(at) => number = None,
                    None => return Err(CONFLICT),
                    Some(Index) => number = None,
                    Some(Message) => self.let_go(stated),
                }
                holder = None;
            }
        }
        if holder.is_some_and(|at| self.has_rival(at, local)) {
            match by {
                None => return Err(SHARED),
                Some(Index) => (number, holder) = (None, None),
                Some(Message) => {}
            }
        }
        let mut known: Vec<usize> = own.into_iter().chain(holder).collect();
        known.sort_by_key(|at| self.records[*at].made_by);
        known.dedup();
        let at = match known[..] {
            [] => self.make(),
            [at] => at,
            [at, other, ..] => {
                self.may_join(&self.ids(other), &self.ids(at))?;
                self.unite(other, at, true);
                at
            }
        };
        let mut added = Vec::new();
        if self.of_local(local) != Some(at) {
            added.push(Id::Local(local));
        }
        added.extend(number.filter(|n| self.records[at].number != Some(*n)).map(Id::Number));
        self.may_join(&self.ids(at), &added)?;
        for id in added {
            match id {
                Id::Local(local) => self.bind(at, local, true),
                Id::Number(number) => self.hold(at, number),
            }
        }
        self.say(at);
        Ok(at)
    }

    /// A person says that the hospital number goes with this number.
    fn correct(
        &mut self,
        at: usize,
        local: u64,
        old: usize,
        new: usize,
    ) -> Result<usize, &'static str> {
        if let Some(holder) = self.of_number(Some(new)).filter(|holder| *holder != at) {
            let mut others = self.ids(holder);
            others.push(Id::Number(new));
            self.may_join(&[Id::Number(old), Id::Local(local)], &others)?;
            self.take(local, holder, true);
            return Ok(holder);
        }
        self.may_join(&self.ids(at), &[Id::Number(new)])?;
        self.let_go(old);
        self.hold(at, new);
        Ok(at)
    }

    fn result(
        &mut self,
        local: Option<u64>,
        number: Option<usize>,
        by: Option<Resolution>,
    ) -> Verdict {
        let at = self.found(local, number, by)?;
        if let Some(at) = at {
            self.say(at);
        }
        Ok(at)
    }

    /// Whom a result is about: found, or made known with what it states and nothing else.
    fn found(
        &mut self,
        local: Option<u64>,
        number: Option<usize>,
        by: Option<Resolution>,
    ) -> Verdict {
        let mut number = number;
        let stated: Vec<Id> =
            number.map(Id::Number).into_iter().chain(local.map(Id::Local)).collect();
        self.may_join(&stated, &stated)?;
        let own = local.and_then(|local| self.of_local(local));
        let held = own.and_then(|at| self.records[at].number);
        if held.is_some() && number.is_some() && held != number {
            if self.of_number(number) == own || by == Some(Index) {
                number = None;
            } else {
                return Err(CONFLICT);
            }
        }
        let mut bearers: Vec<usize> = own.into_iter().collect();
        let mut holder = self.of_number(number);
        if let Some(at) = holder.filter(|at| self.records[*at].number != number) {
            // It finds, and does not key.
            bearers.push(at);
            (number, holder) = (None, None);
        }
        if let (Some(at), Some(local)) = (holder, local)
            && self.has_rival(at, local)
        {
            if by != Some(Index) {
                return Err(SHARED);
            }
            (number, holder) = (None, None);
        }
        if holder.is_some() {
            return Ok(holder);
        }
        if let Some(number) = number {
            let at = self.make();
            self.hold(at, number);
            return Ok(Some(at));
        }
        let numbered = bearers.iter().find(|at| self.records[**at].number.is_some());
        if let Some(at) = numbered.or(bearers.first()) {
            return Ok(Some(*at));
        }
        Ok(local.map(|local| {
            let at = self.make();
            self.bind(at, local, true);
            at
        }))
    }

    pub(crate) fn known(&mut self, local: u64) -> usize {
        self.of_local(local).unwrap_or_else(|| {
            let at = self.make();
            self.bind(at, local, true);
            at
        })
    }
}
