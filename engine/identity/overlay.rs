//! Changes that lie over what is on disk.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::key::Key;
use crate::patient::{Patient, PatientId};
use crate::statement::Statement;

/// Everything that facts changed since the last flush, or within one decision.
#[derive(Clone, Default)]
pub(crate) struct Overlay {
    pub(crate) patients: HashMap<PatientId, Arc<Patient>>,
    /// Nothing where an identifier is nobody's any more.
    pub(crate) keys: HashMap<Key, Option<PatientId>>,
    pub(crate) statements: HashMap<(PatientId, u16), Arc<Statement>>,
    /// Two patients, the lower id first, and whether they are linked.
    pub(crate) links: BTreeMap<(PatientId, PatientId), bool>,
    pub(crate) forbidden: BTreeMap<(Uuid, Uuid), bool>,
    pub(crate) history: Vec<Happening>,
    /// The number of the last loaded patient.
    pub(crate) last_loaded: u64,
}

/// One row of the history.
#[derive(Clone)]
pub(crate) struct Happening {
    pub(crate) patient: PatientId,
    pub(crate) position: [u8; 16],
    /// Which fact of its entry, from 0.
    pub(crate) nth: u32,
    pub(crate) at_ms: i64,
    pub(crate) source: u16,
    pub(crate) message_id: u64,
    pub(crate) actor: Option<Box<str>>,
    /// The fact as JSON.
    pub(crate) fact: String,
}

impl Overlay {
    /// Puts later changes on top.
    pub(crate) fn add(&mut self, later: Overlay) {
        self.patients.extend(later.patients);
        self.keys.extend(later.keys);
        self.statements.extend(later.statements);
        self.links.extend(later.links);
        self.forbidden.extend(later.forbidden);
        self.history.extend(later.history);
        self.last_loaded = self.last_loaded.max(later.last_loaded);
    }
}
