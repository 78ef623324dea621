//! The index: asked by many, changed by facts, written behind.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::decide;
use crate::decision::Decision;
use crate::disk::{self, Disk};
use crate::draft::{Draft, From};
use crate::error::IndexError;
use crate::fact::Fact;
use crate::layers::Layers;
use crate::overlay::Happening;
use crate::patient::PatientId;
use crate::rules::Rules;
use crate::schema;
use crate::stated::Stated;

/// The file that is worked with, in the index's folder.
pub(crate) const FILE: &str = "identity.db";

/// How the index is used.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// About how many patients are kept at hand; below 200 bytes each.
    pub cached: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cached: 100_000 }
    }
}

/// Whose entry of the journal facts stand in.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// When the message was received or the operator decided, milliseconds since 1970.
    pub at_ms: i64,
    /// The source of the message; of an operator's decision or a load, whatever names it.
    pub source: &'a str,
    /// The message or operator entry.
    pub message_id: u64,
    /// Who decided, when a person did.
    pub actor: Option<&'a str>,
}

/// How large the index is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Records of patients on disk, merged ones included.
    pub patients: u64,
    /// NHS Numbers on disk, former ones included.
    pub numbers: u64,
    /// Local identifiers on disk.
    pub locals: u64,
    /// Patients at hand.
    pub cached: usize,
    /// Patients whose changes are not on disk yet.
    pub unflushed: usize,
}

/// Identifiers, the patients they name, and what is known of those.
///
/// Two locks: those who ask share one with `apply`, microseconds each; flushing and copying hold
/// another one, so that nobody waits for the disk to write.
pub struct Index {
    pub(crate) folder: PathBuf,
    layers: Mutex<Layers>,
    writer: Mutex<Writer>,
}

pub(crate) struct Writer {
    pub(crate) connection: Connection,
    /// How many names are on disk.
    names: usize,
}

impl Index {
    /// Over a working file that is there, or is made.
    pub(crate) fn over(folder: &Path, settings: Settings) -> Result<Self, IndexError> {
        fs::create_dir_all(folder).map_err(IndexError::folder(folder))?;
        let path = folder.join(FILE);
        let failed = || IndexError::storage(&path);
        let connection = schema::open_for_writing(&path).map_err(failed())?;
        let disk = Disk::open(&path).map_err(failed())?;
        let layers = Layers::open(disk, settings.cached).map_err(failed())?;
        let writer = Writer { connection, names: layers.names.len() };
        let (layers, writer) = (Mutex::new(layers), Mutex::new(writer));
        Ok(Self { folder: folder.to_owned(), layers, writer })
    }

    /// A panic while the lock was held left at most a draft behind, which nobody keeps.
    pub(crate) fn layers(&self) -> MutexGuard<'_, Layers> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file that is worked with.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// Everybody whom the message names and who is known, each as the record that is in use.
    /// Identifiers that nobody knows give nothing.
    pub fn resolve(&self, stated: &Stated) -> Result<Vec<PatientId>, IndexError> {
        decide::resolve(&mut self.layers(), stated)
    }

    /// Decides about a message. It depends on the index, the message and the rules only, and
    /// changes nothing: apply the decision's facts once they are durable.
    pub fn decide(
        &self,
        message_id: u64,
        received_ms: i64,
        stated: &Stated,
        rules: &Rules<'_>,
    ) -> Result<Decision, IndexError> {
        decide::decide(&mut self.layers(), message_id, received_ms, stated, rules)
    }

    /// Applies the facts of the entry at `position`, visible at once. They stand in the history
    /// under it, so two entries never share one. [`Index::reached`] says how far everything is in.
    ///
    /// Facts of one patient are to come in the order of the journal; the same row of them once more,
    /// to its end, changes nothing. After an error nothing of the entry was applied.
    pub fn apply(
        &self,
        position: [u8; 16],
        origin: &Origin<'_>,
        facts: &[Fact],
    ) -> Result<(), IndexError> {
        let mut layers = self.layers();
        let source = layers.names.number(origin.source).ok_or(IndexError::TooManyNames)?;
        let from = From { source, at_ms: origin.at_ms };
        // Tried out first: one that fails half-way leaves nothing behind.
        let mut draft = Draft::new(&mut layers);
        for fact in facts {
            draft.apply(fact, from)?;
        }
        for (fact, nth) in facts.iter().zip(0..) {
            let text = fact.for_history().to_string();
            for patient in fact.patients() {
                draft.note(Happening {
                    patient,
                    position,
                    nth,
                    at_ms: origin.at_ms,
                    source,
                    message_id: origin.message_id,
                    actor: origin.actor.map(Into::into),
                    fact: text.clone(),
                });
            }
        }
        draft.keep();
        Ok(())
    }

    /// Whether the entry at `position` is in already. What a load says depends on what was held then:
    /// it must not be applied to what came of it.
    pub fn knows(&self, position: [u8; 16], facts: &[Fact]) -> Result<bool, IndexError> {
        let of = facts.iter().zip(0..).find_map(|(fact, nth)| Some((fact.patients().next()?, nth)));
        let Some((patient, nth)) = of else { return Ok(false) };
        let rows = self.layers().history(patient)?;
        Ok(rows.iter().any(|row| row.position == position && row.nth == nth))
    }

    /// All facts before this position are in: what [`Index::flush`] will write down.
    pub fn reached(&self, position: [u8; 16]) {
        self.layers().position = Some(position);
    }

    /// Writes what was applied, with its position, in one transaction. Deciding and applying go on
    /// meanwhile.
    pub fn flush(&self) -> Result<Option<[u8; 16]>, IndexError> {
        let mut writer = self.writer();
        self.flush_with(&mut writer)
    }

    pub(crate) fn flush_with(&self, writer: &mut Writer) -> Result<Option<[u8; 16]>, IndexError> {
        let failed = || IndexError::storage(&self.path());
        let (changed, names, position) = {
            let mut layers = self.layers();
            // What an earlier flush could not write is written with what came since.
            let changed = match layers.flushing.take() {
                None => std::mem::take(&mut layers.changed),
                Some(unwritten) => {
                    let mut unwritten = Arc::unwrap_or_clone(unwritten);
                    unwritten.add(std::mem::take(&mut layers.changed));
                    unwritten
                }
            };
            let changed = Arc::new(changed);
            layers.flushing = Some(changed.clone());
            let names: Vec<(u16, Box<str>)> =
                layers.names.since(writer.names).map(|(at, text)| (at, text.into())).collect();
            (changed, names, layers.position)
        };
        let writing = writer.connection.transaction().map_err(failed())?;
        disk::write(&writing, &changed, &names, position).map_err(failed())?;
        writing.commit().map_err(failed())?;
        writer.names += names.len();
        self.layers().flushed();
        Ok(position)
    }

    /// How many patients have changes that are not on disk yet.
    pub fn unflushed(&self) -> usize {
        self.layers().changed.patients.len()
    }

    /// How large the index is; counting takes a moment with millions of patients.
    pub fn figures(&self) -> Result<Figures, IndexError> {
        let layers = self.layers();
        let [patients, numbers, locals] =
            layers.disk.counts().map_err(IndexError::storage(&self.path()))?;
        let (cached, unflushed) = (layers.cache.len(), layers.changed.patients.len());
        Ok(Figures { patients, numbers, locals, cached, unflushed })
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index").field("folder", &self.folder).finish_non_exhaustive()
    }
}
