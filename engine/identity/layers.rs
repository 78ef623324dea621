//! What is known now: what changed since the last flush, what is being flushed, what was asked for
//! lately, what is on disk; the first that knows answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::cache::Cache;
use crate::disk::{Disk, contradiction, decoded};
use crate::error::IndexError;
use crate::key::{Key, Names};
use crate::overlay::{Happening, Overlay};
use crate::patient::{Bound, Patient, PatientId};
use crate::peek::{alias_in, bears};
use crate::statement::Statement;

/// All layers.
pub(crate) struct Layers {
    /// What a load found in earlier rows of its batch, while it looks at the next one.
    pub(crate) trial: Option<Overlay>,
    pub(crate) changed: Overlay,
    pub(crate) flushing: Option<Arc<Overlay>>,
    pub(crate) cache: Cache,
    pub(crate) disk: Disk,
    pub(crate) names: Names,
    /// Pairs of identifiers that must not be linked, as salt and hash.
    pub(crate) forbidden: BTreeSet<(Uuid, Uuid)>,
    /// Behind the last entry whose facts are in.
    pub(crate) position: Option<[u8; 16]>,
    /// The number of the last patient that was loaded.
    pub(crate) last_loaded: u64,
    /// The number of the last patient that a load was given, whatever became of it.
    reserved: u64,
}

impl Layers {
    pub(crate) fn open(disk: Disk, cached: usize) -> rusqlite::Result<Self> {
        Ok(Self {
            trial: None,
            changed: Overlay::default(),
            flushing: None,
            cache: Cache::new(cached),
            names: disk.names()?,
            forbidden: disk.forbidden()?.into_iter().collect(),
            position: disk.position()?,
            last_loaded: disk.last_loaded()?,
            reserved: 0,
            disk,
        })
    }

    /// An id for a patient of a load; nobody else is given it.
    pub(crate) fn reserve(&mut self) -> PatientId {
        self.reserved = self.reserved.max(self.last_loaded) + 1;
        PatientId::of_load(self.reserved)
    }

    fn overlays(&self) -> impl Iterator<Item = &Overlay> {
        self.trial.iter().chain([&self.changed]).chain(self.flushing.as_deref())
    }

    fn failed(&self) -> impl FnOnce(rusqlite::Error) -> IndexError + use<> {
        IndexError::storage(&self.disk.path)
    }

    pub(crate) fn patient(&mut self, id: PatientId) -> Result<Option<Arc<Patient>>, IndexError> {
        if let Some(patient) = self.overlays().find_map(|over| over.patients.get(&id)) {
            return Ok(Some(patient.clone()));
        }
        if let Some(bytes) = self.cache.patient(id) {
            let patient = decoded(bytes).map_err(self.failed())?;
            return Ok(Some(Arc::new(patient)));
        }
        let Some(bytes) = self.disk.patient(id).map_err(self.failed())? else { return Ok(None) };
        let patient = decoded(&bytes).map_err(self.failed())?;
        self.cache.keep(id, bytes);
        Ok(Some(Arc::new(patient)))
    }

    /// Whose identifier it is, which may be a record that was merged into another one.
    pub(crate) fn holder(&mut self, key: &Key) -> Result<Option<PatientId>, IndexError> {
        if let Some(holder) = self.overlays().find_map(|over| over.keys.get(key)) {
            return Ok(*holder);
        }
        if let Some(id) = self.cache.holder(key)
            && self.bears(id, key)?
        {
            return Ok(Some(id));
        }
        let Some(id) = self.disk.holder(key).map_err(self.failed())? else { return Ok(None) };
        if !self.bears(id, key)? {
            // To take it for nobody's would make a second patient of whoever has it.
            return Err(self.failed()(contradiction()));
        }
        self.cache.keep_key(key, id);
        Ok(Some(id))
    }

    /// Whether the patient's own record says so.
    fn bears(&mut self, id: PatientId, key: &Key) -> Result<bool, IndexError> {
        let changed = self.overlays().any(|over| over.patients.contains_key(&id));
        if !changed && let Some(bytes) = self.cache.patient(id) {
            return Ok(bears(bytes, key).unwrap_or(false));
        }
        Ok(self.patient(id)?.is_some_and(|patient| is_of(&patient, key)))
    }

    /// The record that this one was merged into, if it was.
    pub(crate) fn alias_of(&mut self, id: PatientId) -> Result<Option<PatientId>, IndexError> {
        let changed = self.overlays().any(|over| over.patients.contains_key(&id));
        if !changed
            && let Some(bytes) = self.cache.patient(id)
            && let Ok(alias) = alias_in(bytes)
        {
            return Ok(alias);
        }
        Ok(self.patient(id)?.and_then(|patient| patient.alias_of))
    }

    pub(crate) fn statement(
        &self,
        id: PatientId,
        source: u16,
    ) -> Result<Option<Arc<Statement>>, IndexError> {
        match self.overlays().find_map(|over| over.statements.get(&(id, source))) {
            Some(statement) => Ok(Some(statement.clone())),
            None => Ok(self.disk.statement(id, source).map_err(self.failed())?.map(Arc::new)),
        }
    }

    pub(crate) fn statements(
        &self,
        id: PatientId,
    ) -> Result<BTreeMap<u16, Arc<Statement>>, IndexError> {
        let written = self.disk.statements(id).map_err(self.failed())?.into_iter();
        let mut all: BTreeMap<_, _> = written.map(|(source, of)| (source, Arc::new(of))).collect();
        let overlays: Vec<&Overlay> = self.overlays().collect();
        for over in overlays.into_iter().rev() {
            let of = over.statements.iter().filter(|((patient, _), _)| *patient == id);
            all.extend(of.map(|((_, source), statement)| (*source, statement.clone())));
        }
        Ok(all)
    }

    pub(crate) fn linked(&self, id: PatientId) -> Result<BTreeSet<PatientId>, IndexError> {
        let mut all: BTreeSet<_> =
            self.disk.linked(id).map_err(self.failed())?.into_iter().collect();
        let overlays: Vec<&Overlay> = self.overlays().collect();
        for over in overlays.into_iter().rev() {
            for ((one, other), linked) in &over.links {
                let found = if *one == id {
                    *other
                } else if *other == id {
                    *one
                } else {
                    continue;
                };
                if *linked {
                    all.insert(found)
                } else {
                    all.remove(&found)
                };
            }
        }
        Ok(all)
    }

    /// The history of a record, what came first at the beginning.
    pub(crate) fn history(&self, id: PatientId) -> Result<Vec<Happening>, IndexError> {
        let mut rows = self.disk.history(id).map_err(self.failed())?;
        for over in self.overlays() {
            rows.extend(over.history.iter().filter(|row| row.patient == id).cloned());
        }
        rows.sort_by_key(|row| (row.at_ms, row.message_id, row.position, row.nth));
        rows.dedup_by_key(|row| (row.position, row.nth));
        Ok(rows)
    }

    /// Forgets the changes that are on disk now; those who are asked for lately stay at hand.
    pub(crate) fn flushed(&mut self) {
        let Some(flushed) = self.flushing.take() else { return };
        for (id, patient) in &flushed.patients {
            self.cache.keep(*id, patient.encode());
        }
        for (key, holder) in &flushed.keys {
            match holder {
                Some(id) => self.cache.keep_key(key, *id),
                None => self.cache.forget_key(key),
            }
        }
    }
}

/// Whether the patient's own record says so.
fn is_of(patient: &Patient, key: &Key) -> bool {
    match key {
        Key::Number(number) => patient.number() == Some(*number) || patient.former.contains(number),
        Key::Local(space, value) => patient.is_bound(*space, value),
    }
}

impl Patient {
    /// Whether the identifier is the patient's.
    pub(crate) fn is_bound(&self, space: u16, value: &str) -> bool {
        self.locals.iter().any(|local: &Bound| local.space == space && *local.value == *value)
    }
}
