//! What a person decides about the index itself.

use record::local::LocalId;
use record::nhs_number::{NhsNumber, Status};
use serde_json::json;

use crate::decision::Decision;
use crate::desk::Desk;
use crate::draft::Draft;
use crate::error::IndexError;
use crate::event::{Role, What};
use crate::fact::Fact;
use crate::forbidden::{Identifier, entry};
use crate::index::Index;
use crate::key::Key;
use crate::patient::PatientId;
use crate::protection::pass_on;
use crate::question::{Asked, record};
use crate::rules::{Merges, Rules};

impl Index {
    /// Undoes a merge: the record that `retired` names (by an identifier of its own, also one that
    /// it lost by the merge, or by its id) stands for itself again, with what the survivor got by
    /// the merge: identifiers, and the number, which keys again unless it was replaced or withdrawn
    /// since. What became known of the survivor meanwhile stays with the survivor; protection and
    /// dissent are both's.
    ///
    /// `entry_id` is the operator's entry in the journal, `at_ms` its time. Apply the facts once
    /// they are durable; subscribers have to repair what they joined.
    pub fn unmerge(
        &self,
        entry_id: u64,
        at_ms: i64,
        retired: &Asked,
    ) -> Result<Decision, IndexError> {
        let mut layers = self.layers();
        let mut draft = Draft::new(&mut layers);
        let retired = meant(&mut draft, retired)?;
        let facts = undoing(&mut draft, retired)?;
        let of = draft.patient(retired)?.ok_or(IndexError::Nobody)?;
        let survivor = draft.canonical(of.alias_of.ok_or(IndexError::NotMerged)?)?;
        let rules = Rules {
            source: "operator",
            teaches: true,
            merges: Merges::Automatic,
            may_lower_sensitivity: false,
            resolution: None,
        };
        let mut desk = Desk::new(Draft::new(&mut layers), &rules, entry_id, at_ms)?;
        for fact in facts {
            desk.learn(fact)?;
        }
        // Which of the two it was said of meanwhile, nobody can tell.
        pass_on(&mut desk, survivor, retired)?;
        desk.tell(What::Unmerged(Role::Survivor), survivor, Some(retired));
        desk.tell(What::Unmerged(Role::Retired), retired, Some(survivor));
        desk.concern([survivor, retired]);
        let held = desk.patient(survivor)?.held;
        let number = held.map(|held| (held.number, held.status));
        desk.decided(Decision { number, stated: json!({}), ..Decision::default() })
    }

    /// The fact that takes a pair off the do-not-link list; nothing if it does not stand there.
    pub fn may_link_again(&self, one: &Identifier, other: &Identifier) -> Option<Fact> {
        let (salt, hash) = entry(&self.layers().forbidden, one, other)?;
        Some(Fact::MayLink { salt, hash })
    }
}

/// A merge as the history has it.
struct Joined {
    retired: PatientId,
    survivor: PatientId,
    /// What was held for the retired record.
    number: Option<NhsNumber>,
    status: Option<Status>,
    /// What went to the survivor and stayed in use.
    locals: Vec<LocalId>,
}

/// The merges of a record, the latest first.
fn merges(draft: &mut Draft<'_>, id: PatientId) -> Result<Vec<Joined>, IndexError> {
    let history = draft.layers().history(id)?;
    let joined = |fact: &str| match serde_json::from_str(fact).ok()? {
        Fact::Merged { retired, survivor, number, status } => {
            Some(Joined { retired, survivor, number, status, locals: Vec::new() })
        }
        Fact::United { retired, survivor, number, status, locals } => {
            Some(Joined { retired, survivor, number, status, locals })
        }
        _ => None,
    };
    Ok(history.iter().rev().filter_map(|row| joined(&row.fact)).collect())
}

/// The merged record that is asked for. What it lost by the merge finds the survivor now.
fn meant(draft: &mut Draft<'_>, asked: &Asked) -> Result<PatientId, IndexError> {
    let found = record(draft, asked)?.ok_or(IndexError::Nobody)?;
    let of = draft.patient(found)?.ok_or(IndexError::Nobody)?;
    if of.alias_of.is_some() {
        return Ok(found);
    }
    for merge in merges(draft, found)? {
        let brought = match asked {
            Asked::Number(number) => merge.number == Some(*number),
            Asked::Local(local) => merge.locals.contains(local),
            Asked::Patient(_) => false,
        };
        let record = draft.patient(merge.retired)?;
        if brought && record.is_some_and(|of| of.alias_of == Some(found)) {
            return Ok(merge.retired);
        }
    }
    Err(IndexError::NotMerged)
}

/// The facts that undo the merge of a record: what it brought comes back, if no third one has it.
fn undoing(draft: &mut Draft<'_>, retired: PatientId) -> Result<Vec<Fact>, IndexError> {
    let of = draft.patient(retired)?.ok_or(IndexError::Nobody)?;
    let survivor = of.alias_of.ok_or(IndexError::NotMerged)?;
    let chain = draft.chain(survivor)?;
    let merge = merges(draft, retired)?
        .into_iter()
        .find(|merge| (merge.retired, merge.survivor) == (retired, survivor));
    let (mut number, mut status, mut former) = (None, None, Vec::new());
    let brought = merge.as_ref().and_then(|merge| merge.number);
    if let Some(brought) = brought {
        let holder = draft.holder(&Key::Number(brought))?;
        if holder == Some(retired) {
            // The merge itself replaced it.
            (number, status) = (Some(brought), merge.as_ref().and_then(|merge| merge.status));
        } else if let Some(holder) = holder.filter(|holder| chain.contains(holder)) {
            match draft.patient(holder)?.and_then(|of| of.held) {
                Some(held) if held.number == brought => {
                    (number, status) = (Some(brought), held.status);
                }
                _ => former.push(brought),
            }
        }
    }
    let mut facts = vec![Fact::Unmerged { retired, survivor, number, status, former }];
    for local in merge.into_iter().flat_map(|merge| merge.locals) {
        let space = draft.layers().names.space(&local).ok_or(IndexError::TooManyNames)?;
        let holder = draft.holder(&Key::Local(space, local.value.as_str().into()))?;
        let Some(holder) = holder.filter(|holder| chain.contains(holder)) else { continue };
        let bound = draft.patient(holder)?.unwrap_or_default();
        let mut bound = bound.locals.iter();
        let is_it = |of: &&crate::patient::Bound| of.space == space && *of.value == *local.value;
        let retired_since = bound.find(is_it).is_some_and(|of| of.retired);
        facts.push(Fact::Bound { patient: retired, local, retired: retired_since });
    }
    Ok(facts)
}
