//! What people ask: what is known of a patient, and how it came to be known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use record::local::LocalId;
use record::nhs_number::{NhsNumber, Status};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::draft::Draft;
use crate::error::IndexError;
use crate::forbidden::{Identifier, apart};
use crate::index::Index;
use crate::key::Key;
use crate::patient::PatientId;

/// By what a patient is asked for.
#[derive(Clone, PartialEq, Eq)]
pub enum Asked {
    /// An NHS Number, held or former.
    Number(NhsNumber),
    /// A local identifier.
    Local(LocalId),
    /// Our own id, also of a merged record.
    Patient(PatientId),
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Number(_) => f.write_str("Number(***)"),
            Asked::Local(local) => fmt::Debug::fmt(local, f),
            Asked::Patient(id) => fmt::Debug::fmt(id, f),
        }
    }
}

/// Everything that is held of a patient.
#[derive(Clone, PartialEq, Serialize)]
pub struct Known {
    /// The record in use.
    pub patient: PatientId,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<KnownNumber>,
    /// Numbers that were replaced or invalidated.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<NhsNumber>,
    /// Local identifiers, also those of merged records.
    pub locals: Vec<KnownLocal>,
    /// Records that were merged into this one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<PatientId>,
    /// Records that belong with this one and stay their own.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub linked: BTreeSet<PatientId>,
    /// Whether whereabouts are protected.
    pub protected: bool,
    /// Whether the patient dissents from sharing.
    pub dissent: bool,
    /// What each source last stated.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stated: BTreeMap<String, Map<String, Value>>,
    /// Whether something is left out, since it must not be linked with what is shown.
    pub withheld: bool,
}

/// A number that is held as trusted.
#[derive(Clone, PartialEq, Serialize)]
pub struct KnownNumber {
    /// The number.
    pub number: NhsNumber,
    /// The status that was stated with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Since when, milliseconds since 1970.
    pub since_ms: i64,
    /// From which source.
    pub source: String,
}

/// A local identifier.
#[derive(Clone, PartialEq, Serialize)]
pub struct KnownLocal {
    /// It.
    #[serde(flatten)]
    pub local: LocalId,
    /// Whether another one replaced it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// The merged record it came with, if it is not the record in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<PatientId>,
}

/// One thing that became known.
#[derive(Clone, PartialEq, Serialize)]
pub struct Happened {
    /// When, milliseconds since 1970.
    pub at_ms: i64,
    /// From which source.
    pub source: String,
    /// By which message or operator's entry.
    pub message_id: u64,
    /// Who decided, when a person did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The fact, names left out.
    pub what: Value,
}

macro_rules! shows_nothing {
    ($($name:ident),*) => { $(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    )* };
}
shows_nothing!(Known, KnownNumber, KnownLocal, Happened);

/// A patient with all records that were merged into it.
struct Found {
    patient: PatientId,
    records: Vec<PatientId>,
    /// Identifiers that must not be linked with the one that was asked for, or with one that is shown.
    hidden: Vec<Identifier>,
}

impl Index {
    /// Whether the list of what must not be linked holds two of these.
    pub fn must_stay_apart(&self, identifiers: impl IntoIterator<Item = Identifier>) -> bool {
        let layers = self.layers();
        !layers.forbidden.is_empty() && !apart(&layers.forbidden, identifiers).1.is_empty()
    }

    /// Whether both are held for one patient.
    pub fn are_of_one(&self, one: &Identifier, other: &Identifier) -> Result<bool, IndexError> {
        let mut layers = self.layers();
        let mut draft = Draft::new(&mut layers);
        let mut of = |identifier: &Identifier| {
            let asked = match identifier {
                Identifier::Number(number) => Asked::Number(*number),
                Identifier::Local(local) => Asked::Local(local.clone()),
            };
            let found = record(&mut draft, &asked)?;
            found.map(|found| draft.canonical(found)).transpose()
        };
        let (one, other) = (of(one)?, of(other)?);
        Ok(one.is_some() && one == other)
    }

    /// What is known of a patient; nothing of one whom nobody knows.
    ///
    /// What must not be linked with the identifier that was asked for, or with another one that is
    /// shown, is left out, and with it what sources stated and which records were merged, since
    /// names would link them too.
    pub fn show(&self, asked: &Asked) -> Result<Option<Known>, IndexError> {
        let mut layers = self.layers();
        let mut draft = Draft::new(&mut layers);
        let Some(found) = find(&mut draft, asked)? else { return Ok(None) };
        let patient = draft.patient(found.patient)?.unwrap_or_default();
        let shown = |identifier: &Identifier| !found.hidden.contains(identifier);
        let (mut locals, mut former) = (Vec::new(), Vec::new());
        for record in &found.records {
            let of = draft.patient(*record)?.unwrap_or_default();
            former.extend(of.former.iter().copied());
            let names = &draft.layers().names;
            locals.extend(of.locals.iter().map(|bound| KnownLocal {
                local: names.local(bound.space, &bound.value),
                retired: bound.retired,
                record: Some(*record).filter(|record| *record != found.patient),
            }));
        }
        locals.retain(|known| shown(&Identifier::Local(known.local.clone())));
        let layers = draft.layers();
        let withheld = !found.hidden.is_empty();
        let mut known = Known {
            patient: found.patient,
            number: patient.held.map(|held| KnownNumber {
                number: held.number,
                status: held.status,
                since_ms: held.since_ms,
                source: layers.names.text(held.source).to_owned(),
            }),
            former,
            locals,
            merged: found.records[1..].to_vec(),
            linked: layers.linked(found.patient)?,
            protected: patient.protected.is_some(),
            dissent: patient.dissent.is_some(),
            stated: BTreeMap::new(),
            withheld,
        };
        known.number = known.number.filter(|of| shown(&Identifier::Number(of.number)));
        known.former.retain(|number| shown(&Identifier::Number(*number)));
        if withheld {
            known.merged.clear();
            known.linked.clear();
        } else {
            for (source, statement) in layers.statements(found.patient)? {
                known
                    .stated
                    .insert(layers.names.text(source).to_owned(), Arc::unwrap_or_clone(statement));
            }
        }
        Ok(Some(known))
    }

    /// How it came to be known, the oldest first; of all records that were merged into the patient.
    /// [`IndexError::Withheld`] where it would link what must not be linked.
    pub fn history(&self, asked: &Asked) -> Result<Vec<Happened>, IndexError> {
        let mut layers = self.layers();
        let found = find(&mut Draft::new(&mut layers), asked)?.ok_or(IndexError::Nobody)?;
        if !found.hidden.is_empty() {
            return Err(IndexError::Withheld);
        }
        let mut rows = Vec::new();
        for record in &found.records {
            rows.extend(layers.history(*record)?);
        }
        rows.sort_by_key(|row| (row.at_ms, row.message_id, row.position, row.nth));
        rows.dedup_by_key(|row| (row.position, row.nth));
        let happened = rows.into_iter().map(|row| Happened {
            at_ms: row.at_ms,
            source: layers.names.text(row.source).to_owned(),
            message_id: row.message_id,
            actor: row.actor.map(Into::into),
            what: serde_json::from_str(&row.fact).unwrap_or_default(),
        });
        Ok(happened.collect())
    }
}

/// The record that is asked for, which may be one that was merged into another.
pub(crate) fn record(
    draft: &mut Draft<'_>,
    asked: &Asked,
) -> Result<Option<PatientId>, IndexError> {
    match asked {
        Asked::Patient(id) => Ok(Some(*id)),
        Asked::Number(number) => draft.holder(&Key::Number(*number)),
        Asked::Local(local) => {
            // A question makes nothing known, not even a kind of identifiers.
            let Some(space) = draft.layers().names.known_space(local) else { return Ok(None) };
            draft.holder(&Key::Local(space, local.value.as_str().into()))
        }
    }
}

fn find(draft: &mut Draft<'_>, asked: &Asked) -> Result<Option<Found>, IndexError> {
    let Some(record) = record(draft, asked)? else { return Ok(None) };
    if draft.patient(record)?.is_none() {
        return Ok(None);
    }
    let patient = draft.canonical(record)?;
    let records = draft.records(patient)?;
    let identifiers = identifiers(draft, &records)?;
    let anchor = match asked {
        Asked::Number(number) => Some(Identifier::Number(*number)),
        Asked::Local(local) => Some(Identifier::Local(local.clone())),
        Asked::Patient(_) => None,
    };
    let (_, hidden) = apart(&draft.layers().forbidden, anchor.into_iter().chain(identifiers));
    Ok(Some(Found { patient, records, hidden }))
}

/// All identifiers of some records; the number that is held comes first.
fn identifiers(
    draft: &mut Draft<'_>,
    records: &[PatientId],
) -> Result<Vec<Identifier>, IndexError> {
    let mut numbers = Vec::new();
    let mut locals = Vec::new();
    for record in records {
        let of = draft.patient(*record)?.unwrap_or_default();
        numbers.extend(
            of.number().into_iter().chain(of.former.iter().copied()).map(Identifier::Number),
        );
        let names = &draft.layers().names;
        let local = |bound: &crate::patient::Bound| names.local(bound.space, &bound.value);
        locals.extend(of.locals.iter().map(local).map(Identifier::Local));
    }
    Ok(numbers.into_iter().chain(locals).collect())
}
