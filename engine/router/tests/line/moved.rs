//! The second opinion on who is who: merges, moves and changes of identifiers, and a merge that is
//! taken back.

use identity::rules::Resolution::{self, Message};

use crate::line::said::Id;
use crate::line::who::{CONFLICT, Verdict, Who};

impl Who {
    fn approved(&self, code: &'static str, by: Option<Resolution>) -> Result<(), &'static str> {
        if self.approve && by != Some(Message) { Err(code) } else { Ok(()) }
    }

    pub(crate) fn merge(&mut self, survivor: u64, retired: u64, by: Option<Resolution>) -> Verdict {
        let held = |at: Option<usize>| at.and_then(|at| self.records[at].number);
        let numbers = [held(self.of_local(survivor)), held(self.of_local(retired))];
        let differ = matches!(numbers, [Some(one), Some(other)] if one != other);
        if differ && by != Some(Message) {
            return Err("merge.different-numbers");
        }
        let into = self.known(survivor);
        let gone = self.of_local(retired).unwrap_or_else(|| self.make());
        if gone == into {
            if self.records[into].live.contains(&retired) {
                self.bind(into, retired, false);
            }
        } else {
            let mut both = [self.ids(into), self.ids(gone)];
            both[0].push(Id::Local(survivor));
            both[1].push(Id::Local(retired));
            self.may_join(&both[0], &both[1])?;
            if self.of_local(retired).is_none() {
                self.bind(gone, retired, false);
            }
            let number = self.records[gone].number;
            if let Some(number) = number.filter(|_| differ) {
                self.replace(gone, number);
            }
            self.unite(gone, into, false);
            self.records[gone].brought.0 = number;
        }
        if !self.records[into].live.contains(&survivor) {
            self.bind(into, survivor, true);
        }
        self.say(into);
        self.approved("merge.approval", by)?;
        Ok(Some(into))
    }

    pub(crate) fn move_visit(
        &mut self,
        to: u64,
        number: Option<usize>,
        from: u64,
        by: Option<Resolution>,
    ) -> Verdict {
        let at = self.state(to, number, by)?;
        let other = self.known(from);
        if other != at {
            self.may_join(&self.ids(at), &self.ids(other))?;
        }
        self.approved("move.approval", by)?;
        Ok(Some(at))
    }

    pub(crate) fn hand(
        &mut self,
        to: u64,
        number: Option<usize>,
        local: u64,
        by: Option<Resolution>,
    ) -> Verdict {
        let at = self.state(to, number, by)?;
        let from = self.of_local(local);
        self.may_join(&self.ids(at), &[Id::Local(local)])?;
        if from != Some(at) {
            if let Some(from) = from {
                self.may_join(&self.ids(at), &self.ids(from))?;
            }
            self.take(local, at, false);
        }
        self.approved("move.approval", by)?;
        Ok(Some(at))
    }

    /// Another number takes the place of the one that is held, and a hospital number goes.
    pub(crate) fn change(
        &mut self,
        local: u64,
        number: usize,
        gone: u64,
        by: Option<Resolution>,
    ) -> Verdict {
        let at = self.known(local);
        if let Some(old) = self.records[at].number.filter(|old| *old != number) {
            self.may_join(&self.ids(at), &[Id::Number(number)])?;
            if self.of_number(Some(number)).is_some_and(|holder| holder != at) {
                return Err(CONFLICT);
            }
            self.replace(at, old);
            self.hold(at, number);
        }
        self.may_join(&self.ids(at), &[Id::Local(gone)])?;
        self.bind(at, gone, false);
        let at = self.state(local, Some(number), by)?;
        self.approved("merge.approval", by)?;
        Ok(Some(at))
    }

    /// What a merge brought comes back, as far as nobody else has it by now.
    pub(crate) fn unmerge(&mut self, local: u64) -> Verdict {
        let found = self.bearer(local).ok_or("identity.unreadable")?;
        let gone = if self.records[found].into.is_some() {
            found
        } else {
            let brought = |at: &usize| self.records[*at].brought.1.contains(&local);
            let merged = |at: usize| self.records[at].absorbed.iter().rev().copied();
            let mut all = self.tree(found).into_iter().flat_map(merged);
            all.find(brought).ok_or("identity.unreadable")?
        };
        let Some(into) = self.records[gone].into.take() else { return Err("identity.unreadable") };
        self.records[into].absorbed.retain(|at| *at != gone);
        let root = self.root(into);
        let mut above = vec![into];
        while let Some(next) = self.records[above[above.len() - 1]].into {
            above.push(next);
        }
        if let Some(number) = self.records[gone].brought.0 {
            let held = |at: &usize| self.records[*at].number == Some(number);
            if self.records[gone].former.contains(&number) || above.iter().any(held) {
                self.hold(gone, number);
            } else if above.iter().any(|at| self.records[*at].former.contains(&number)) {
                self.replace(gone, number);
            }
        }
        for below in self.tree(gone) {
            for local in self.records[below].brought.1.clone() {
                let Some(at) = self.bearer(local).filter(|at| above.contains(at)) else { continue };
                let live = self.records[at].live.contains(&local);
                self.bind(gone, local, live);
            }
        }
        // Which of the two it was said of meanwhile, nobody can tell.
        self.pass(root, gone);
        Ok(Some(root))
    }
}
