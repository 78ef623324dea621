//! What the index would be with some facts more. Deciding tries facts out in one, and applying them
//! is keeping it.

use std::collections::BTreeMap;
use std::sync::Arc;

use record::demographics::Demographics;

use crate::error::IndexError;
use crate::fact::Fact;
use crate::key::Key;
use crate::layers::Layers;
use crate::overlay::{Happening, Overlay};
use crate::patient::{Bound, Held, Patient, PatientId};
use crate::statement::{Statement, combined};

/// Changes over all layers; dropped unless they are kept.
pub(crate) struct Draft<'l> {
    over: Overlay,
    layers: &'l mut Layers,
    /// What the layers said already: a decision asks for the same few again and again.
    patients: Vec<(PatientId, Option<Arc<Patient>>)>,
    holders: Vec<(Key, Option<PatientId>)>,
    aliases: Vec<(PatientId, Option<PatientId>)>,
}

/// Where a fact comes from: its source as a number of `Names`, and when.
#[derive(Clone, Copy)]
pub(crate) struct From {
    pub(crate) source: u16,
    pub(crate) at_ms: i64,
}

/// Chains of merged records are short; a longer one is a circle.
const LONGEST_CHAIN: usize = 64;

impl<'l> Draft<'l> {
    pub(crate) fn new(layers: &'l mut Layers) -> Self {
        let (patients, holders, aliases) = (Vec::new(), Vec::new(), Vec::new());
        Self { over: Overlay::default(), layers, patients, holders, aliases }
    }

    /// Its changes, for one who keeps them elsewhere.
    pub(crate) fn into_changes(self) -> Overlay {
        self.over
    }

    /// Makes its changes those of the layers.
    pub(crate) fn keep(self) {
        for ((salt, hash), there) in &self.over.forbidden {
            let list = &mut self.layers.forbidden;
            if *there {
                list.insert((*salt, *hash))
            } else {
                list.remove(&(*salt, *hash))
            };
        }
        self.layers.last_loaded = self.layers.last_loaded.max(self.over.last_loaded);
        self.layers.changed.add(self.over);
    }

    pub(crate) fn layers(&mut self) -> &mut Layers {
        self.layers
    }

    /// Adds a row to the history.
    pub(crate) fn note(&mut self, row: Happening) {
        self.over.history.push(row);
    }

    pub(crate) fn patient(&mut self, id: PatientId) -> Result<Option<Arc<Patient>>, IndexError> {
        if let Some(patient) = self.over.patients.get(&id) {
            return Ok(Some(patient.clone()));
        }
        if let Some((_, patient)) = self.patients.iter().find(|(of, _)| *of == id) {
            return Ok(patient.clone());
        }
        let patient = self.layers.patient(id)?;
        self.patients.push((id, patient.clone()));
        Ok(patient)
    }

    /// Whose identifier it is, which may be a record that was merged into another one.
    pub(crate) fn holder(&mut self, key: &Key) -> Result<Option<PatientId>, IndexError> {
        if let Some(holder) = self.over.keys.get(key) {
            return Ok(*holder);
        }
        if let Some((_, holder)) = self.holders.iter().find(|(of, _)| of == key) {
            return Ok(*holder);
        }
        let holder = self.layers.holder(key)?;
        self.holders.push((key.clone(), holder));
        Ok(holder)
    }

    /// The record that this one was merged into, or itself.
    pub(crate) fn canonical(&mut self, id: PatientId) -> Result<PatientId, IndexError> {
        let mut id = id;
        for _ in 0..LONGEST_CHAIN {
            match self.alias_of(id)? {
                Some(next) => id = next,
                None => break,
            }
        }
        Ok(id)
    }

    fn alias_of(&mut self, id: PatientId) -> Result<Option<PatientId>, IndexError> {
        if let Some(patient) = self.over.patients.get(&id) {
            return Ok(patient.alias_of);
        }
        if let Some((_, alias)) = self.aliases.iter().find(|(of, _)| *of == id) {
            return Ok(*alias);
        }
        let alias = self.layers.alias_of(id)?;
        self.aliases.push((id, alias));
        Ok(alias)
    }

    /// A record, the one it was merged into, and so on to the one that is in use.
    pub(crate) fn chain(&mut self, id: PatientId) -> Result<Vec<PatientId>, IndexError> {
        let mut chain = vec![id];
        while let Some(next) = self.patient(chain[chain.len() - 1])?.and_then(|of| of.alias_of)
            && chain.len() < LONGEST_CHAIN
        {
            chain.push(next);
        }
        Ok(chain)
    }

    /// A record with all that were merged into it, and into those.
    pub(crate) fn records(&mut self, id: PatientId) -> Result<Vec<PatientId>, IndexError> {
        let mut records = vec![id];
        let mut at = 0;
        while let Some(record) = records.get(at).copied() {
            let of = self.patient(record)?.unwrap_or_default();
            for id in &of.absorbed {
                if !records.contains(id) {
                    records.push(*id);
                }
            }
            at += 1;
        }
        Ok(records)
    }

    /// Whose identifier it is, through merges.
    pub(crate) fn find(&mut self, key: &Key) -> Result<Option<PatientId>, IndexError> {
        match self.holder(key)? {
            Some(id) => self.canonical(id).map(Some),
            None => Ok(None),
        }
    }

    /// What each source states of a patient.
    pub(crate) fn statements(
        &self,
        id: PatientId,
    ) -> Result<BTreeMap<u16, Arc<Statement>>, IndexError> {
        let mut statements = self.layers.statements(id)?;
        let changed = self.over.statements.iter().filter(|((of, _), _)| *of == id);
        statements.extend(changed.map(|((_, source), of)| (*source, of.clone())));
        Ok(statements)
    }

    pub(crate) fn statement(
        &self,
        id: PatientId,
        source: u16,
    ) -> Result<Option<Arc<Statement>>, IndexError> {
        match self.over.statements.get(&(id, source)) {
            Some(statement) => Ok(Some(statement.clone())),
            None => self.layers.statement(id, source),
        }
    }

    fn change(
        &mut self,
        id: PatientId,
        change: impl FnOnce(&mut Patient),
    ) -> Result<(), IndexError> {
        let mut patient = self.patient(id)?.unwrap_or_default();
        change(Arc::make_mut(&mut patient));
        self.over.patients.insert(id, patient);
        Ok(())
    }

    /// Applies one fact.
    pub(crate) fn apply(&mut self, fact: &Fact, from: From) -> Result<(), IndexError> {
        match fact {
            Fact::Created { patient } => self.change(*patient, |_| {}),
            Fact::Loaded { .. } => self.load(fact, from),
            Fact::Bound { patient, local, retired } => self.bind(*patient, local, *retired),
            Fact::NumberHeld { .. } | Fact::NumberRetired { .. } | Fact::NumberReleased { .. } => {
                self.number(fact, from)
            }
            Fact::Merged { retired, survivor, .. } => self.merge(*retired, *survivor),
            Fact::United { retired, survivor, locals, .. } => {
                self.merge(*retired, *survivor)?;
                locals.iter().try_for_each(|local| self.bind(*survivor, local, false))
            }
            Fact::Unmerged { .. } => self.unmerge(fact, from),
            Fact::Linked { patient, other } => {
                self.link(*patient, *other, true);
                Ok(())
            }
            Fact::Unlinked { patient, other } => {
                self.link(*patient, *other, false);
                Ok(())
            }
            Fact::Learned { patient, names } => {
                self.change(*patient, |of| of.learn(&Demographics::from(names)))
            }
            Fact::Sensitivity { patient, protected, dissent, protected_since, dissent_since } => {
                self.change(*patient, |of| {
                    now(&mut of.protected, *protected, *protected_since, from.at_ms);
                    now(&mut of.dissent, *dissent, *dissent_since, from.at_ms);
                })
            }
            Fact::Stated { patient, statement, source } => {
                let source = match source {
                    Some(name) => self.layers.names.number(name).ok_or(IndexError::TooManyNames)?,
                    None => from.source,
                };
                self.over.statements.insert((*patient, source), Arc::new(statement.clone()));
                Ok(())
            }
            // What it changes are statements, which are facts of their own.
            Fact::VisitMoved { .. } => Ok(()),
            Fact::DoNotLink { salt, hash } => {
                self.over.forbidden.insert((*salt, *hash), true);
                Ok(())
            }
            Fact::MayLink { salt, hash } => {
                self.over.forbidden.insert((*salt, *hash), false);
                Ok(())
            }
        }
    }

    /// A load takes nothing from anybody, and what became known since it looked stays as it is: in
    /// whatever order it and a message are applied, the index comes to the same.
    fn load(&mut self, fact: &Fact, from: From) -> Result<(), IndexError> {
        let Fact::Loaded { patient, number, status, locals, names, protected, dissent, stated } =
            fact
        else {
            return Ok(());
        };
        self.over.last_loaded = patient.loaded().unwrap_or(0).max(self.over.last_loaded);
        let id = self.canonical(*patient)?;
        let mut keys = Vec::new();
        for local in locals {
            let space = self.layers.names.space(local).ok_or(IndexError::TooManyNames)?;
            keys.push(Key::Local(space, local.value.as_str().into()));
        }
        if !self.is_meant(id, keys.iter().cloned().chain(number.map(Key::Number)))? {
            return Ok(());
        }
        self.change(id, |of| {
            of.learn_below(&Demographics::from(names));
            now(&mut of.protected, protected.then_some(true), None, from.at_ms);
            now(&mut of.dissent, dissent.then_some(true), None, from.at_ms);
        })?;
        for (local, key) in locals.iter().zip(&keys) {
            if self.holder(key)?.is_none() {
                self.bind(id, local, false)?;
            }
        }
        if let Some(number) = *number {
            let held = self.patient(id)?.and_then(|of| of.held);
            let adds = match held {
                Some(held) => held.number == number && held.status.is_none() && status.is_some(),
                None => self.holder(&Key::Number(number))?.is_none(),
            };
            if adds {
                self.number(&Fact::NumberHeld { patient: id, number, status: *status }, from)?;
            }
        }
        if let Some(stated) = stated
            && stated.is_over(self.statement(id, from.source)?.as_deref())
        {
            self.over.statements.insert((id, from.source), Arc::new(stated.statement.clone()));
        }
        Ok(())
    }

    /// Whether a record is nobody's yet, or has one of these identifiers.
    fn is_meant(
        &mut self,
        id: PatientId,
        keys: impl Iterator<Item = Key>,
    ) -> Result<bool, IndexError> {
        if self.patient(id)?.is_none_or(|of| of.is_nobody()) {
            return Ok(true);
        }
        for key in keys {
            if self.find(&key)? == Some(id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn bind(
        &mut self,
        id: PatientId,
        local: &record::local::LocalId,
        retired: bool,
    ) -> Result<(), IndexError> {
        let space = self.layers.names.space(local).ok_or(IndexError::TooManyNames)?;
        let key = Key::Local(space, local.value.as_str().into());
        if let Some(before) = self.holder(&key)?.filter(|before| *before != id) {
            self.change(before, |of| of.unbind(space, &local.value))?;
        }
        self.change(id, |of| {
            of.unbind(space, &local.value);
            of.locals.push(Bound { space, value: local.value.as_str().into(), retired });
        })?;
        self.over.keys.insert(key, Some(id));
        Ok(())
    }

    fn number(&mut self, fact: &Fact, from: From) -> Result<(), IndexError> {
        match *fact {
            Fact::NumberHeld { patient, number, status } => {
                let held = self.patient(patient)?.and_then(|of| of.held);
                // A status that is learned later does not make the number younger.
                let (since_ms, source) = held
                    .filter(|held| held.number == number)
                    .map_or((from.at_ms, from.source), |held| (held.since_ms, held.source));
                self.hold(patient, Held { number, status, since_ms, source })
            }
            Fact::NumberRetired { patient, number } => {
                self.change(patient, |of| {
                    of.held = of.held.filter(|held| held.number != number);
                    of.former.retain(|former| *former != number);
                    of.former.push(number);
                })?;
                self.give(Key::Number(number), Some(patient))
            }
            Fact::NumberReleased { patient, number } => {
                self.change(patient, |of| of.let_go(number))?;
                let key = Key::Number(number);
                match self.holder(&key)? {
                    // It may have come with a record that was merged.
                    Some(holder) if self.canonical(holder)? == self.canonical(patient)? => {
                        self.give(key, None)
                    }
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn hold(&mut self, id: PatientId, held: Held) -> Result<(), IndexError> {
        self.change(id, |of| {
            // One in its place does not make a number nobody's: facts that come again pass through
            // such a state, and the identifiers of a record and its row agree in every one.
            let before = of.held.map(|before| before.number);
            of.former.extend(before.filter(|before| !of.former.contains(before)));
            of.former.retain(|former| *former != held.number);
            of.held = Some(held);
        })?;
        self.give(Key::Number(held.number), Some(id))
    }

    /// An identifier has one holder: whoever had it before has it no more.
    fn give(&mut self, key: Key, to: Option<PatientId>) -> Result<(), IndexError> {
        let before = self.holder(&key)?.filter(|before| Some(*before) != to);
        if let (Some(before), Key::Number(number)) = (before, &key) {
            self.change(before, |of| of.let_go(*number))?;
        }
        self.over.keys.insert(key, to);
        Ok(())
    }

    fn merge(&mut self, retired: PatientId, survivor: PatientId) -> Result<(), IndexError> {
        self.change(retired, |of| of.alias_of = Some(survivor))?;
        let gone = self.patient(retired)?.unwrap_or_default();
        let known = &gone.demographics;
        self.change(survivor, |of| {
            let born = of.demographics.birth_date;
            let names = of.demographics.clone();
            of.learn(known);
            of.learn(&names);
            of.demographics.birth_date = born.or(known.birth_date);
            of.absorbed.retain(|id| *id != retired);
            of.absorbed.push(retired);
            of.alias_of = of.alias_of.filter(|id| *id != retired);
        })?;
        for (source, statement) in self.statements(retired)? {
            let held = self.statement(survivor, source)?;
            let both = combined(held.as_deref(), &statement);
            self.over.statements.insert((survivor, source), Arc::new(both));
        }
        Ok(())
    }

    fn unmerge(&mut self, fact: &Fact, from: From) -> Result<(), IndexError> {
        let Fact::Unmerged { retired, survivor, number, status, former } = fact else {
            return Ok(());
        };
        let patient = *retired;
        self.change(patient, |of| of.alias_of = None)?;
        self.change(*survivor, |of| of.absorbed.retain(|id| id != retired))?;
        for number in former {
            self.number(&Fact::NumberRetired { patient, number: *number }, from)?;
        }
        match *number {
            Some(number) => {
                self.number(&Fact::NumberHeld { patient, number, status: *status }, from)
            }
            None => Ok(()),
        }
    }

    fn link(&mut self, one: PatientId, other: PatientId, linked: bool) {
        self.over.links.insert((one.min(other), one.max(other)), linked);
    }
}

/// Protection or dissent as it is from now on. It ends only if it is what the fact saw, if it says:
/// whatever raised it since was not known to who lowered it.
fn now(held: &mut Option<i64>, said: Option<bool>, seen: Option<i64>, at_ms: i64) {
    match said {
        Some(true) => *held = Some(at_ms),
        Some(false) if seen.is_none() || seen == *held => *held = None,
        Some(false) | None => {}
    }
}

impl Patient {
    fn unbind(&mut self, space: u16, value: &str) {
        self.locals.retain(|local| local.space != space || *local.value != *value);
    }

    fn let_go(&mut self, number: record::nhs_number::NhsNumber) {
        self.held = self.held.filter(|held| held.number != number);
        self.former.retain(|former| *former != number);
    }
}
