//! Accounts and visits that are one, go to another patient, or have another number; links.

use std::sync::Arc;

use record::fhir::known::Standing;
use record::movement::{Pair, Renumbered};

use crate::carried::{give_visit, take_visits, tell_under};
use crate::desk::{Desk, Stop, conflict};
use crate::ended::STATUS;
use crate::error::IndexError;
use crate::event::{Role, What};
use crate::fact::Fact;
use crate::forbidden::Identifier;
use crate::handover::hand_over;
use crate::patient::PatientId;
use crate::place::{Placed, bearers, place};
use crate::places::VISITS;
use crate::rules::Resolution;

/// Two accounts or visits of a patient are one.
pub(crate) fn merge_visits(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<Placed, Stop> {
    let placed = place(desk, &pair.survivor, &pair.retired.locals)?;
    let Some(patient) = placed.patient else { return Ok(placed) };
    let from = other_side(desk, pair, false)?.unwrap_or(patient);
    if from != patient {
        desk.may_unite(patient, from)?;
    }
    let numbers = [desk.number_of(patient)?, desk.number_of(from)?];
    if from != patient
        && matches!(numbers, [Some(one), Some(other)] if one != other)
        && !desk.resolved(Resolution::Message)
    {
        return conflict(
            "merge.different-numbers",
            "the visits are held for patients with different nhs numbers",
        );
    }
    for Renumbered { from: old, to } in &pair.visits {
        let Some(new) = to else { continue };
        carry(desk, pair, [from, patient], [old, new])?;
        let into = Some(new.clone());
        let visit = old.clone();
        desk.learn(Fact::VisitMoved { patient: from, to: patient, visit, into })?;
        let standing = standing(desk, patient, new)?;
        let what = What::EncounterMerged { from: old.clone(), to: new.clone(), standing };
        desk.tell(what, patient, (from != patient).then_some(from));
    }
    desk.concern([from]);
    Ok(placed)
}

/// An account or visit goes to another patient.
pub(crate) fn move_visits(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<Placed, Stop> {
    // Two people, and rivals for a number like any others.
    let placed = place(desk, &pair.survivor, &[])?;
    let (Some(to), Some(from)) = (placed.patient, other_side(desk, pair, true)?) else {
        return Ok(placed);
    };
    if to == from {
        return Ok(placed);
    }
    desk.may_unite(to, from)?;
    for renumbered in &pair.visits {
        let now = renumbered.to.as_ref().unwrap_or(&renumbered.from);
        carry(desk, pair, [from, to], [&renumbered.from, now])?;
        let (visit, into) = (renumbered.from.clone(), renumbered.to.clone());
        desk.learn(Fact::VisitMoved { patient: from, to, visit, into })?;
    }
    for renumbered in &pair.visits {
        let visit = renumbered.to.as_ref().unwrap_or(&renumbered.from);
        let moved = |role, standing| What::EncounterMoved { visit: visit.clone(), role, standing };
        let stands = standing(desk, to, visit)?;
        desk.tell(moved(Role::Survivor, stands), to, Some(from));
        desk.tell(moved(Role::Retired, Standing::default()), from, Some(to));
    }
    desk.concern([to, from]);
    Ok(placed)
}

/// Identifiers go to another patient, with all that was told under them.
pub(crate) fn move_identifier(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<Placed, Stop> {
    let placed = place(desk, &pair.survivor, &[])?;
    let Some(to) = placed.patient else { return Ok(placed) };
    let locals = &pair.retired.locals;
    let moved: Vec<Identifier> = locals.iter().cloned().map(Identifier::Local).collect();
    let own = desk.identifiers(to)?;
    desk.may_join(&moved, &moved)?;
    desk.may_join(&own, &moved)?;
    for from in bearers(desk, locals)? {
        if from != to {
            desk.may_unite(to, from)?;
        }
    }
    hand_over(desk, locals, to, true)?;
    Ok(placed)
}

/// An account or visit has another number than before.
pub(crate) fn renumber(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<Placed, Stop> {
    let placed = place(desk, &pair.survivor, &pair.retired.locals)?;
    let Some(patient) = placed.patient else { return Ok(placed) };
    for Renumbered { from, to } in &pair.visits {
        let Some(to) = to else { continue };
        carry(desk, pair, [patient, patient], [from, to])?;
        let (visit, into) = (from.clone(), Some(to.clone()));
        desk.learn(Fact::VisitMoved { patient, to: patient, visit, into })?;
        let standing = standing(desk, patient, to)?;
        let what = What::EncounterRenumbered { from: from.clone(), to: to.clone(), standing };
        desk.tell(what, patient, None);
    }
    Ok(placed)
}

/// Two records belong together and stay two, or do so no more.
pub(crate) fn link(desk: &mut Desk<'_, '_>, pair: &Pair, linked: bool) -> Result<Placed, Stop> {
    let placed = place(desk, &pair.survivor, &[])?;
    let other = place(desk, &pair.retired, &[])?;
    let (Some(patient), Some(other)) = (placed.patient, other.patient) else { return Ok(placed) };
    if patient == other {
        return Ok(placed);
    }
    if linked {
        desk.may_unite(patient, other)?;
        desk.learn(Fact::Linked { patient, other })?;
    } else {
        desk.learn(Fact::Unlinked { patient, other })?;
    }
    let what = if linked { What::Linked } else { What::Unlinked };
    desk.tell(what.clone(), patient, Some(other));
    desk.tell(what, other, Some(patient));
    Ok(placed)
}

/// Whom MRG names; made known, if it must be somebody.
fn other_side(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    must_be: bool,
) -> Result<Option<PatientId>, Stop> {
    if let Some(bearer) = bearers(desk, &pair.retired.locals)?.first() {
        return Ok(Some(*bearer));
    }
    if let Some(number) = pair.retired.found
        && let Some(holder) = desk.by_number(number)?
    {
        return Ok(Some(holder));
    }
    if !must_be || pair.retired.locals.is_empty() {
        return Ok(None);
    }
    let stated: Vec<Identifier> =
        pair.retired.locals.iter().cloned().map(Identifier::Local).collect();
    desk.may_join(&stated, &stated)?;
    let patient = desk.create()?;
    for local in &pair.retired.locals {
        desk.learn(Fact::Bound { patient, local: local.clone(), retired: false })?;
    }
    Ok(Some(patient))
}

/// What the source of the message last said of a visit of a patient.
fn standing(
    desk: &mut Desk<'_, '_>,
    patient: PatientId,
    number: &str,
) -> Result<Standing, IndexError> {
    let statement = desk.statement(patient)?;
    let visit = statement.as_ref().and_then(|of| of.get(VISITS)?.get(number));
    let said = |key: &str| Some(visit?.get(key)?.as_str()?.trim().to_owned());
    let class = said("class").map(|class| class.to_ascii_uppercase());
    Ok(Standing { class, status: said(STATUS) })
}

/// Takes a visit from one statement into another; it is PID's from now on.
fn carry(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    [from, to]: [PatientId; 2],
    [old, new]: [&str; 2],
) -> Result<(), IndexError> {
    let Some(statement) = desk.statement(from)? else { return Ok(()) };
    let mut statement = Arc::unwrap_or_clone(statement);
    let Some(mut taken) = take_visits(&mut statement, |number, _| number == old).pop() else {
        return Ok(());
    };
    if let Some(local) = pair.survivor.locals.first() {
        tell_under(&mut taken.visit, local);
    }
    desk.learn(Fact::Stated { patient: from, statement, source: None })?;
    let mut statement = Arc::unwrap_or_clone(desk.statement(to)?.unwrap_or_default());
    give_visit(&mut statement, new, taken);
    desk.learn(Fact::Stated { patient: to, statement, source: None })
}
