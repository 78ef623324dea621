//! Where a decision is made: the index with the facts found so far, and what they come to.

use std::sync::Arc;

use record::local::LocalId;
use record::nhs_number::NhsNumber;
use record::whereabouts::Told;

use crate::decision::{Decision, Parked};
use crate::draft::{Draft, From};
use crate::error::IndexError;
use crate::event::{EngineEvent, Other, What};
use crate::fact::Fact;
use crate::forbidden::{Identifier, apart, is_forbidden};
use crate::key::Key;
use crate::overlay::Overlay;
use crate::patient::{Bound, Patient, PatientId};
use crate::places::told;
use crate::rules::{Resolution, Rules};
use crate::stated::Stated;
use crate::statement::{PROTECTED_BY_FLAG, Statement};

/// Why a decision is not made.
pub(crate) enum Stop {
    /// A person has to.
    Parked(Parked),
    /// The index cannot be read.
    Failed(IndexError),
}

impl std::convert::From<IndexError> for Stop {
    fn from(error: IndexError) -> Self {
        Stop::Failed(error)
    }
}

/// A conflict between message and index.
pub(crate) fn conflict<T>(code: &'static str, detail: &'static str) -> Result<T, Stop> {
    Err(Stop::Parked(Parked { code, detail }))
}

pub(crate) struct Desk<'l, 'r> {
    draft: Draft<'l>,
    pub(crate) rules: &'r Rules<'r>,
    /// Whether what the message says of identifiers counts: its source teaches, or a person
    /// approved it.
    pub(crate) teaches: bool,
    /// Whether a person decided that the names of the message do not count.
    pub(crate) ignores_names: bool,
    /// Whether the message comes from an archive: it takes nothing back.
    pub(crate) replays: bool,
    message_id: u64,
    /// Whether it is a row of a load, of which a message's number says nothing.
    loads: bool,
    from: From,
    /// Patients made so far.
    made: u64,
    facts: Vec<Fact>,
    events: Vec<EngineEvent>,
    /// Everybody concerned, the patient of the message first.
    pub(crate) concerned: Vec<PatientId>,
    pub(crate) quality: Vec<&'static str>,
}

impl<'l, 'r> Desk<'l, 'r> {
    pub(crate) fn new(
        mut draft: Draft<'l>,
        rules: &'r Rules<'r>,
        message_id: u64,
        at_ms: i64,
    ) -> Result<Self, IndexError> {
        let source = draft.layers().names.number(rules.source).ok_or(IndexError::TooManyNames)?;
        Ok(Self {
            draft,
            rules,
            teaches: rules.teaches,
            ignores_names: false,
            replays: false,
            message_id,
            loads: false,
            from: From { source, at_ms },
            made: 0,
            facts: Vec::new(),
            events: Vec::new(),
            concerned: Vec::new(),
            quality: Vec::new(),
        })
    }

    /// Where a row of a load is looked at: patients whom it makes known have ids of loads.
    pub(crate) fn of_load(draft: Draft<'l>, rules: &'r Rules<'r>) -> Result<Self, IndexError> {
        Ok(Self { loads: true, ..Self::new(draft, rules, 0, 0)? })
    }

    /// Whether a person decided so.
    pub(crate) fn resolved(&self, resolution: Resolution) -> bool {
        self.rules.resolution == Some(resolution)
    }

    /// Finds a fact.
    pub(crate) fn learn(&mut self, fact: Fact) -> Result<(), IndexError> {
        self.draft.apply(&fact, self.from)?;
        self.facts.push(fact);
        Ok(())
    }

    /// A patient who was not known; parks when the ids of the message do not suffice.
    pub(crate) fn create(&mut self) -> Result<PatientId, Stop> {
        let id = if self.loads {
            Some(self.draft.layers().reserve())
        } else {
            PatientId::of_message(self.message_id, self.made)
        };
        let Some(patient) = id else {
            return conflict("merge.unreadable", "it names more than eight patients nobody knows");
        };
        self.made += 1;
        self.learn(Fact::Created { patient })?;
        Ok(patient)
    }

    pub(crate) fn patient(&mut self, id: PatientId) -> Result<Arc<Patient>, IndexError> {
        Ok(self.draft.patient(id)?.unwrap_or_default())
    }

    pub(crate) fn canonical(&mut self, id: PatientId) -> Result<PatientId, IndexError> {
        self.draft.canonical(id)
    }

    pub(crate) fn number_of(&mut self, id: PatientId) -> Result<Option<NhsNumber>, IndexError> {
        Ok(self.patient(id)?.number())
    }

    /// Whose number it is or was.
    pub(crate) fn by_number(&mut self, number: NhsNumber) -> Result<Option<PatientId>, IndexError> {
        self.draft.find(&Key::Number(number))
    }

    pub(crate) fn by_local(&mut self, local: &LocalId) -> Result<Option<PatientId>, IndexError> {
        let space = self.space(local)?;
        self.draft.find(&Key::Local(space, local.value.as_str().into()))
    }

    pub(crate) fn space(&mut self, local: &LocalId) -> Result<u16, IndexError> {
        self.draft.layers().names.space(local).ok_or(IndexError::TooManyNames)
    }

    /// Local identifiers of a record, those in use first, then the retired ones.
    pub(crate) fn locals_of(&mut self, id: PatientId) -> Result<Vec<LocalId>, IndexError> {
        let mut bound = self.patient(id)?.locals.clone();
        bound.sort_by_key(|local| local.retired);
        Ok(self.named(&bound))
    }

    /// Those in use, and those that others replaced.
    pub(crate) fn locals_by_use(&mut self, id: PatientId) -> Result<[Vec<LocalId>; 2], IndexError> {
        let bound = self.patient(id)?.locals.clone();
        let (past, in_use): (Vec<Bound>, _) = bound.into_iter().partition(|local| local.retired);
        Ok([self.named(&in_use), self.named(&past)])
    }

    fn named(&mut self, bound: &[Bound]) -> Vec<LocalId> {
        let names = &self.draft.layers().names;
        bound.iter().map(|local| names.local(local.space, &local.value)).collect()
    }

    /// All identifiers of a patient, past ones and those of absorbed records included.
    pub(crate) fn identifiers(&mut self, id: PatientId) -> Result<Vec<Identifier>, IndexError> {
        let mut all = Vec::new();
        for record in self.draft.records(id)? {
            let patient = self.patient(record)?;
            let numbers = patient.number().into_iter().chain(patient.former.iter().copied());
            all.extend(numbers.map(Identifier::Number));
            all.extend(self.locals_of(record)?.into_iter().map(Identifier::Local));
        }
        Ok(all)
    }

    /// Parks when the list of identifiers that must not be linked holds one of each side.
    pub(crate) fn may_join(
        &mut self,
        ones: &[Identifier],
        others: &[Identifier],
    ) -> Result<(), Stop> {
        let list = &self.draft.layers().forbidden;
        if is_forbidden(list, ones, others) {
            return conflict("identity.do-not-link", "it would link identifiers that must not be");
        }
        Ok(())
    }

    /// As [`Desk::may_join`], of two patients.
    pub(crate) fn may_unite(&mut self, one: PatientId, other: PatientId) -> Result<(), Stop> {
        if self.draft.layers().forbidden.is_empty() {
            return Ok(());
        }
        let (ones, others) = (self.identifiers(one)?, self.identifiers(other)?);
        self.may_join(&ones, &others)
    }

    /// Whether the message itself made the patient known.
    pub(crate) fn is_new(&self, id: PatientId) -> bool {
        self.facts.iter().any(|fact| matches!(fact, Fact::Created { patient } if *patient == id))
    }

    /// What each source states, by its name.
    pub(crate) fn statements(
        &mut self,
        id: PatientId,
    ) -> Result<Vec<(String, Arc<Statement>)>, IndexError> {
        let all = self.draft.statements(id)?;
        let names = &self.draft.layers().names;
        Ok(all.into_iter().map(|(source, of)| (names.text(source).to_owned(), of)).collect())
    }

    /// What a source states.
    pub(crate) fn statement_of(
        &mut self,
        id: PatientId,
        source: &str,
    ) -> Result<Option<Arc<Statement>>, IndexError> {
        let source = self.draft.layers().names.number(source).ok_or(IndexError::TooManyNames)?;
        self.draft.statement(id, source)
    }

    pub(crate) fn statement(
        &mut self,
        id: PatientId,
    ) -> Result<Option<Arc<Statement>>, IndexError> {
        self.draft.statement(id, self.from.source)
    }

    /// A record with all that were merged into it.
    pub(crate) fn records(&mut self, id: PatientId) -> Result<Vec<PatientId>, IndexError> {
        self.draft.records(id)
    }

    /// Whether any source last said by the flag of ZU8-4 that the patient is protected.
    pub(crate) fn is_flagged(&mut self, id: PatientId) -> Result<bool, IndexError> {
        let all = self.draft.statements(id)?;
        Ok(all.values().any(|statement| statement.contains_key(PROTECTED_BY_FLAG)))
    }

    /// Whether it changed anything so far.
    pub(crate) fn has_learned(&self) -> bool {
        !self.facts.is_empty()
    }

    /// Tells subscribers, once all facts are found.
    pub(crate) fn tell(&mut self, what: What, patient: PatientId, other: Option<PatientId>) {
        let other = other.map(|patient| Other { patient, number: None, locals: Vec::new() });
        let (number, locals, restricted) = (None, Vec::new(), false);
        self.events.push(EngineEvent { what, patient, number, locals, other, restricted });
    }

    /// Counts everybody named as concerned.
    pub(crate) fn concern(&mut self, ids: impl IntoIterator<Item = PatientId>) {
        for id in ids {
            if !self.concerned.contains(&id) {
                self.concerned.push(id);
            }
        }
    }

    /// What was found, and what it would change.
    pub(crate) fn into_facts(self) -> (Vec<Fact>, Overlay) {
        (self.facts, self.draft.into_changes())
    }

    /// The decision, with what the facts come to, about what was `stated`.
    pub(crate) fn decided(
        mut self,
        mut decision: Decision,
        stated: Option<&Stated>,
    ) -> Result<Decision, IndexError> {
        for event in std::mem::take(&mut self.events) {
            let event = self.complete(event, stated)?;
            decision.events.push(event);
        }
        // Whoever is raised is told of first.
        let order = |event: &EngineEvent| !matches!(event.what, What::SensitivityChanged { .. });
        decision.events.sort_by_key(order);
        self.concerns(&mut decision)?;
        decision.facts = self.facts;
        decision.quality = self.quality;
        Ok(decision)
    }

    /// What a parked message is about, as things stand.
    pub(crate) fn parked(mut self, parked: Parked) -> Result<Decision, IndexError> {
        let mut decision = Decision { parked: Some(parked), ..Decision::default() };
        self.concerns(&mut decision)?;
        decision.quality = self.quality;
        Ok(decision)
    }

    fn concerns(&mut self, decision: &mut Decision) -> Result<(), IndexError> {
        let mut all = Vec::new();
        for id in std::mem::take(&mut self.concerned) {
            for id in [self.canonical(id)?, id] {
                let patient = self.patient(id)?;
                decision.protected |= patient.protected.is_some();
                decision.dissent |= patient.dissent.is_some();
                if !all.contains(&id) {
                    all.push(id);
                }
            }
        }
        // Nobody else's whereabouts matter, and most patients are somebody else.
        if decision.protected && decision.parked.is_none() {
            decision.told = self.told(&all)?;
        }
        let mut all = all.into_iter();
        decision.patient = all.next();
        decision.others = all.collect();
        Ok(())
    }

    /// What any source stated of where they are, under any of their records.
    fn told(&mut self, ids: &[PatientId]) -> Result<Vec<Told>, IndexError> {
        let mut records = Vec::new();
        for id in ids {
            records.extend(self.draft.records(*id)?);
        }
        let mut all = Vec::new();
        for record in records {
            for statement in self.draft.statements(record)?.values() {
                all.extend(told(statement));
            }
        }
        Ok(all)
    }

    /// Those that may be told beside the number and each other.
    fn told_together(&mut self, number: Option<NhsNumber>, locals: Vec<LocalId>) -> Vec<LocalId> {
        let number = number.map(Identifier::Number);
        let locals = locals.into_iter().map(Identifier::Local);
        let all = number.into_iter().chain(locals);
        let (together, _) = apart(&self.draft.layers().forbidden, all);
        let local = |identifier| match identifier {
            Identifier::Local(local) => Some(local),
            Identifier::Number(_) => None,
        };
        together.into_iter().filter_map(local).collect()
    }

    /// Fills in what is held of the two sides.
    fn complete(
        &mut self,
        mut event: EngineEvent,
        stated: Option<&Stated>,
    ) -> Result<EngineEvent, IndexError> {
        let canonical = self.canonical(event.patient)?;
        let patient = self.patient(canonical)?;
        let mut restricted = patient.protected.or(patient.dissent).is_some();
        let mut locals = self.locals_of(event.patient)?;
        if locals.is_empty() {
            locals = self.locals_of(canonical)?;
        }
        if event.what.is_of_visit() {
            // Under which one a visit is told is the message's to say, whichever record has that.
            let mut named = Vec::new();
            for local in stated.into_iter().flat_map(Stated::locals) {
                if !named.contains(local) && self.by_local(local)? == Some(canonical) {
                    named.push(local.clone());
                }
            }
            locals.retain(|local| !named.contains(local));
            locals.splice(..0, named);
        }
        let mut locals = self.told_together(patient.number(), locals);
        if let What::IdentifiersMoved { locals: moved, .. } = &mut event.what {
            let all = [&locals[..], &moved[..]].concat();
            let together = self.told_together(patient.number(), all);
            moved.retain(|local| together.contains(local));
            if locals.is_empty() {
                // By what else could the record be known?
                locals.clone_from(moved);
            }
        }
        let other = match event.other {
            Some(other) => {
                let canonical = self.canonical(other.patient)?;
                let record = self.patient(canonical)?;
                restricted |= record.protected.or(record.dissent).is_some();
                let locals = self.locals_of(other.patient)?;
                let locals = self.told_together(record.number(), locals);
                Some(Other { number: record.number(), locals, ..other })
            }
            None => None,
        };
        let number = patient.held.map(|held| (held.number, held.status));
        Ok(EngineEvent { number, locals, other, restricted, ..event })
    }
}
