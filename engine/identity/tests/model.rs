//! A second opinion: what groups of identifiers admissions, results, merges and changes come to, in
//! sets and without records, aliases or layers.

use std::collections::BTreeSet;

/// One message, as far as identity is concerned. Hospital and NHS Numbers are small numbers here.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Admit { local: u8, number: Option<u8> },
    Result { local: Option<u8>, number: Option<u8> },
    Merge { survivor: u8, retired: u8 },
    ChangeNumber { local: u8, number: u8 },
    Withdraw { local: u8 },
    Protect { local: u8, protected: bool },
}

/// One patient.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    pub(crate) live: BTreeSet<u8>,
    retired: BTreeSet<u8>,
    pub(crate) number: Option<u8>,
    former: BTreeSet<u8>,
    pub(crate) protected: bool,
}

impl Group {
    fn has(&self, local: u8) -> bool {
        self.live.contains(&local) || self.retired.contains(&local)
    }

    fn knows(&self, number: u8) -> bool {
        self.number == Some(number) || self.former.contains(&number)
    }

    fn hold(&mut self, number: u8) {
        self.former.remove(&number);
        self.number = Some(number);
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    groups: Vec<Group>,
}

/// Which number keys, or the reason code.
pub(crate) type Verdict = Result<Option<u8>, &'static str>;

impl Model {
    pub(crate) fn of_local(&self, local: u8) -> Option<&Group> {
        self.local(local).map(|at| &self.groups[at])
    }

    pub(crate) fn of_number(&self, number: u8) -> Option<&Group> {
        self.number(number).map(|at| &self.groups[at])
    }

    /// Whether two hospital numbers are one patient's.
    pub(crate) fn are_one(&self, one: u8, other: u8) -> bool {
        self.local(one).is_some() && self.local(one) == self.local(other)
    }

    fn local(&self, local: u8) -> Option<usize> {
        self.groups.iter().position(|group| group.has(local))
    }

    fn number(&self, number: u8) -> Option<usize> {
        self.groups.iter().position(|group| group.knows(number))
    }

    fn make(&mut self) -> usize {
        self.groups.push(Group::default());
        self.groups.len() - 1
    }

    /// The group of a hospital number, made if there is none.
    fn known(&mut self, local: u8) -> usize {
        self.local(local).unwrap_or_else(|| {
            let at = self.make();
            self.groups[at].live.insert(local);
            at
        })
    }

    /// Everything of one group goes to another; what was in use stays so if `live`.
    fn unite(&mut self, from: usize, into: usize, live: bool) {
        let gone = std::mem::take(&mut self.groups[from]);
        let group = &mut self.groups[into];
        if live {
            group.live.extend(gone.live);
        } else {
            group.retired.extend(gone.live);
        }
        group.retired.extend(gone.retired);
        group.former.extend(gone.former);
        group.number = group.number.or(gone.number);
        group.protected |= gone.protected;
    }

    pub(crate) fn step(&mut self, step: Step) -> Verdict {
        match step {
            Step::Admit { local, number } => self.admit(local, number),
            Step::Result { local, number } => self.result(local, number),
            Step::Merge { survivor, retired } => self.merge(survivor, retired),
            Step::ChangeNumber { local, number } => self.change(local, number),
            Step::Withdraw { local } => {
                let at = self.known(local);
                let number = self.groups[at].number.take();
                self.groups[at].former.extend(number);
                Ok(None)
            }
            Step::Protect { local, protected } => {
                let at = self.known(local);
                self.groups[at].protected = protected;
                Ok(self.groups[at].number)
            }
        }
    }

    fn admit(&mut self, local: u8, number: Option<u8>) -> Verdict {
        let Some(number) = number else {
            let at = self.known(local);
            return Ok(self.groups[at].number);
        };
        let own = self.local(local);
        let holder = self.number(number);
        if own.is_some_and(|at| self.groups[at].number.is_some_and(|held| held != number)) {
            return Err("identity.number-conflict");
        }
        if let Some(holder) = holder.filter(|holder| Some(*holder) != own) {
            let group = &self.groups[holder];
            if group.number.is_some_and(|held| held != number) {
                return Err("identity.number-conflict");
            }
            if !group.live.is_empty() {
                return Err("identity.shared-number");
            }
        }
        let at = match (own, holder) {
            (Some(own), Some(holder)) if own != holder => {
                self.unite(holder, own, true);
                own
            }
            (None, Some(holder)) => {
                self.groups[holder].live.insert(local);
                holder
            }
            _ => self.known(local),
        };
        self.groups[at].hold(number);
        Ok(Some(number))
    }

    fn result(&mut self, local: Option<u8>, number: Option<u8>) -> Verdict {
        let own = local.and_then(|local| self.local(local));
        let held = own.and_then(|at| self.groups[at].number);
        let Some(number) = number else {
            let Some(local) = local else { return Ok(None) };
            self.known(local);
            return Ok(held);
        };
        if let Some(held) = held.filter(|held| *held != number) {
            let superseded = own.is_some_and(|at| self.groups[at].former.contains(&number));
            return if superseded { Ok(Some(held)) } else { Err("identity.number-conflict") };
        }
        let Some(holder) = self.number(number) else {
            let at = self.make();
            self.groups[at].hold(number);
            return Ok(Some(number));
        };
        if self.groups[holder].number != Some(number) {
            // It finds and does not key: whoever has a number, the stated local identifier first.
            return Ok(held.or(self.groups[holder].number));
        }
        if local.is_some() && own != Some(holder) && !self.groups[holder].live.is_empty() {
            return Err("identity.shared-number");
        }
        Ok(Some(number))
    }

    fn merge(&mut self, survivor: u8, retired: u8) -> Verdict {
        if survivor == retired {
            return Err("merge.unreadable");
        }
        let held = |at: Option<usize>| at.and_then(|at| self.groups[at].number);
        let numbers = [held(self.local(survivor)), held(self.local(retired))];
        if matches!(numbers, [Some(one), Some(other)] if one != other) {
            return Err("merge.different-numbers");
        }
        let into = self.known(survivor);
        let from = self.known(retired);
        if from != into {
            self.unite(from, into, false);
        }
        let group = &mut self.groups[into];
        group.live.remove(&retired);
        group.retired.insert(retired);
        group.retired.remove(&survivor);
        group.live.insert(survivor);
        Ok(group.number)
    }

    fn change(&mut self, local: u8, number: u8) -> Verdict {
        let at = self.known(local);
        let Some(old) = self.groups[at].number.filter(|old| *old != number) else {
            return Err("merge.unreadable");
        };
        if self.number(number).is_some_and(|holder| holder != at) {
            return Err("identity.number-conflict");
        }
        self.groups[at].former.insert(old);
        self.groups[at].hold(number);
        Ok(Some(number))
    }
}
