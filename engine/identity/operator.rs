//! What a person decides about the index itself.

use record::local::LocalId;
use record::nhs_number::{NhsNumber, Status};

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
        desk.decided(Decision { number, ..Decision::default() }, None)
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
    /// Its local identifiers.
    locals: Vec<LocalId>,
}

/// The merges of a record, the latest first.
fn merges(draft: &mut Draft<'_>, id: PatientId) -> Result<Vec<Joined>, IndexError> {
    let history = draft.layers().history(id)?;
    let joined = |fact: &str| match serde_json::from_str(fact).ok()? {
        Fact::Merged { retired, survivor, number, status, mut locals, past }
        | Fact::United { retired, survivor, number, status, mut locals, past } => {
            locals.extend(past);
            Some(Joined { retired, survivor, number, status, locals })
        }
        _ => None,
    };
    Ok(history.iter().rev().filter_map(|row| joined(&row.fact)).collect())
}

/// The merged record that is asked for. What it lost by the merge finds the survivor now, or whom
/// that was merged into.
fn meant(draft: &mut Draft<'_>, asked: &Asked) -> Result<PatientId, IndexError> {
    let found = record(draft, asked)?.ok_or(IndexError::Nobody)?;
    let of = draft.patient(found)?.ok_or(IndexError::Nobody)?;
    if of.alias_of.is_some() {
        return Ok(found);
    }
    for survivor in draft.records(found)? {
        let absorbed = draft.patient(survivor)?.unwrap_or_default().absorbed.clone();
        for retired in absorbed.into_iter().rev() {
            // A merge that was undone since names nobody any more.
            let Some(merge) = latest(draft, retired, survivor)? else { continue };
            let brought = match asked {
                Asked::Number(number) => merge.number == Some(*number),
                Asked::Local(local) => merge.locals.contains(local),
                Asked::Patient(_) => false,
            };
            if brought {
                return Ok(retired);
            }
        }
    }
    Err(IndexError::NotMerged)
}

/// The facts that undo the merge of a record: what it brought comes back, if no third one has it.
fn undoing(draft: &mut Draft<'_>, retired: PatientId) -> Result<Vec<Fact>, IndexError> {
    let of = draft.patient(retired)?.ok_or(IndexError::Nobody)?;
    let survivor = of.alias_of.ok_or(IndexError::NotMerged)?;
    let chain = draft.chain(survivor)?;
    let merge = latest(draft, retired, survivor)?;
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
                // Replaced or withdrawn of both together: of which of the two that was said, nobody
                // can tell, so it keys neither.
                _ => former.push(brought),
            }
        }
    }
    let mut facts = vec![Fact::Unmerged { retired, survivor, number, status, former }];
    // Of its own, and of the records that were merged into it before: an identifier that came into
    // use again went up to the survivor.
    let mut brought = merge.map(|merge| merge.locals).unwrap_or_default();
    for below in draft.records(retired)?.into_iter().skip(1) {
        let Some(into) = draft.patient(below)?.and_then(|of| of.alias_of) else { continue };
        brought.extend(latest(draft, below, into)?.into_iter().flat_map(|merge| merge.locals));
    }
    for local in brought {
        if let Some((holder, in_use)) = binding(draft, &local)?
            && chain.contains(&holder)
        {
            facts.push(Fact::Bound { patient: retired, local, retired: !in_use });
        }
    }
    Ok(facts)
}

/// The merge by which a record became one with another.
fn latest(
    draft: &mut Draft<'_>,
    retired: PatientId,
    survivor: PatientId,
) -> Result<Option<Joined>, IndexError> {
    let mut merges = merges(draft, retired)?.into_iter();
    Ok(merges.find(|merge| (merge.retired, merge.survivor) == (retired, survivor)))
}

/// Which record has a local identifier, and whether it is in use.
fn binding(
    draft: &mut Draft<'_>,
    local: &LocalId,
) -> Result<Option<(PatientId, bool)>, IndexError> {
    let space = draft.layers().names.space(local).ok_or(IndexError::TooManyNames)?;
    let Some(holder) = draft.holder(&Key::Local(space, local.value.as_str().into()))? else {
        return Ok(None);
    };
    let of = draft.patient(holder)?.unwrap_or_default();
    let mut bound = of.locals.iter();
    let bound = bound.find(|of| of.space == space && *of.value == *local.value);
    Ok(bound.map(|bound| (holder, !bound.retired)))
}
