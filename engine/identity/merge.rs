//! Merges, and changes of a patient's identifiers.

use std::collections::BTreeSet;

use record::demographics::{Agreement, agreement};
use record::movement::{Pair, Side};
use record::nhs_number::NhsNumber;

use crate::desk::{Desk, Stop, conflict};
use crate::error::IndexError;
use crate::event::{Reason, Role, What};
use crate::fact::Fact;
use crate::forbidden::Identifier;
use crate::patient::PatientId;
use crate::place::{Placed, bearers, place, unite};
use crate::rules::Resolution;

/// Two records are of one patient: MRG's goes, PID's stays.
pub(crate) fn merge(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<Placed, Stop> {
    let survivor = survivor(desk, pair)?;
    let retired = retired(desk, pair, survivor)?;
    // Whoever has to decide about their numbers must know first that they are not to be linked.
    for old in retired.iter().filter(|old| **old != survivor) {
        may_merge(desk, pair, *old, survivor)?;
    }
    let different = compare_numbers(desk, pair)?;
    let mut merged = Vec::new();
    let mut replaced = Vec::new();
    for old in retired {
        if old == survivor {
            continue;
        }
        compare_people(desk, pair, old, survivor)?;
        if merged.is_empty() {
            // Its own before it is merged, so that they come back with it.
            keep_unknown(desk, pair, old)?;
        }
        let held = desk.patient(old)?.held;
        let (number, status) = (held.map(|held| held.number), held.and_then(|held| held.status));
        let [locals, past] = desk.locals_by_use(old)?;
        if let Some(number) = number.filter(|_| different) {
            // It finds the survivor through the record that it stays with.
            desk.learn(Fact::NumberRetired { patient: old, number })?;
            replaced.push((old, number));
        }
        unite(desk, Fact::Merged { retired: old, survivor, number, status, locals, past })?;
        merged.push(old);
    }
    if different {
        settle_number(desk, &pair.survivor, survivor)?;
    }
    let is_news = retire_locals(desk, pair, survivor)?;
    revive_locals(desk, pair, survivor)?;
    let placed = place(desk, &pair.survivor, &pair.retired.locals)?;
    // Its number may have shown that it is somebody known for longer, who goes on for all of them.
    let survivor = desk.canonical(survivor)?;
    for (patient, old) in replaced {
        if let Some(new) = desk.number_of(survivor)?.filter(|new| *new != old) {
            let what = What::NumberChanged { old, new, reason: Reason::Replaced };
            desk.tell(what, patient, Some(survivor));
        }
    }
    for old in &merged {
        desk.tell(What::Merged(Role::Survivor), survivor, Some(*old));
        desk.tell(What::Merged(Role::Retired), *old, Some(survivor));
    }
    if merged.is_empty() && is_news {
        // One patient here already; what is new is that an identifier of it is not used any more.
        desk.tell(What::Merged(Role::Survivor), survivor, None);
    }
    Ok(placed)
}

/// The numbers that both sides state or hold; more than one is a conflict, unless a person decided.
fn compare_numbers(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<bool, Stop> {
    let mut numbers = numbers_of(desk, &pair.survivor)?;
    numbers.extend(numbers_of(desk, &pair.retired)?);
    let different = numbers.len() > 1;
    if different && !desk.resolved(Resolution::Message) {
        return conflict(
            "merge.different-numbers",
            "the two sides of the merge have different nhs numbers",
        );
    }
    Ok(different)
}

/// What a side states, and what is held of whom it names; a number that was replaced counts as the
/// one in its place.
fn numbers_of(desk: &mut Desk<'_, '_>, side: &Side) -> Result<BTreeSet<NhsNumber>, IndexError> {
    let mut numbers = BTreeSet::new();
    if let Some(found) = side.found {
        match desk.by_number(found)? {
            Some(holder) => numbers.extend(desk.number_of(holder)?),
            None => drop(numbers.insert(found)),
        }
    }
    for bearer in bearers(desk, &side.locals)? {
        numbers.extend(desk.number_of(bearer)?);
    }
    Ok(numbers)
}

/// Whose record stays: who has the local identifiers of PID, else whose number it is, else nobody
/// known yet.
fn survivor(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<PatientId, Stop> {
    let retired = bearers(desk, &pair.retired.locals)?;
    if let Some(bearer) = bearers(desk, &pair.survivor.locals)?.first() {
        return Ok(*bearer);
    }
    if let Some(number) = pair.survivor.number
        && let Some(holder) = desk.by_number(number)?
        && (pair.survivor.locals.is_empty() || !retired.contains(&holder))
    {
        return Ok(holder);
    }
    let patient = desk.create()?;
    for local in &pair.survivor.locals {
        desk.learn(Fact::Bound { patient, local: local.clone(), retired: false })?;
    }
    Ok(patient)
}

/// Whose records go: who has the identifiers of MRG, else somebody who is made known so that later
/// messages under them find their way.
fn retired(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    survivor: PatientId,
) -> Result<Vec<PatientId>, Stop> {
    let mut found = bearers(desk, &pair.retired.locals)?;
    if found.is_empty()
        && let Some(number) = pair.retired.found
    {
        found.extend(desk.by_number(number)?);
    }
    if found.is_empty() && !pair.retired.locals.is_empty() {
        found.push(desk.create()?);
    }
    found.sort_by_key(|id| (*id != survivor, id.age()));
    Ok(found)
}

fn may_merge(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    retired: PatientId,
    survivor: PatientId,
) -> Result<(), Stop> {
    let mut both = [desk.identifiers(survivor)?, desk.identifiers(retired)?];
    for (list, side) in both.iter_mut().zip([&pair.survivor, &pair.retired]) {
        list.extend(side.found.map(Identifier::Number));
        list.extend(side.locals.iter().cloned().map(Identifier::Local));
    }
    desk.may_join(&both[0], &both[1])
}

/// Names and birth dates that are known of the one who goes, and of the one who stays, can be one
/// person's.
fn compare_people(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    retired: PatientId,
    survivor: PatientId,
) -> Result<(), Stop> {
    if desk.resolved(Resolution::Message) {
        return Ok(());
    }
    let (retired, survivor) = (desk.patient(retired)?, desk.patient(survivor)?);
    let who = [&survivor.demographics, &pair.survivor.demographics];
    if who.iter().any(|of| agreement(&retired.demographics, of) == Agreement::Differs) {
        return conflict(
            "identity.demographics",
            "names and birth date of the two sides of the merge are not one person's",
        );
    }
    Ok(())
}

/// After a merge of different numbers that a person approved: PID's own trusted number is the one.
fn settle_number(
    desk: &mut Desk<'_, '_>,
    side: &Side,
    survivor: PatientId,
) -> Result<(), IndexError> {
    let held = desk.number_of(survivor)?;
    if let (Some(new), Some(old)) = (side.number.filter(|new| held != Some(*new)), held) {
        desk.learn(Fact::NumberRetired { patient: survivor, number: old })?;
        desk.learn(Fact::NumberHeld { patient: survivor, number: new, status: side.status })?;
        let what = What::NumberChanged { old, new, reason: Reason::Replaced };
        desk.tell(what, survivor, None);
    }
    Ok(())
}

/// Identifiers of MRG that nobody knows are those of the record that goes.
fn keep_unknown(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    retired: PatientId,
) -> Result<(), IndexError> {
    for local in &pair.retired.locals {
        if desk.by_local(local)?.is_none() {
            let local = local.clone();
            desk.learn(Fact::Bound { patient: retired, local, retired: true })?;
        }
    }
    Ok(())
}

/// The identifiers of MRG are used no more. Whether any of them was in use.
fn retire_locals(desk: &mut Desk<'_, '_>, pair: &Pair, survivor: PatientId) -> Result<bool, Stop> {
    let mut is_news = false;
    for local in &pair.retired.locals {
        let space = desk.space(local)?;
        let is_known = desk.by_local(local)?.is_some();
        let own = desk.patient(survivor)?;
        let bound = own.locals.iter().find(|of| of.space == space && *of.value == *local.value);
        let patient = match bound {
            Some(bound) if bound.retired => continue,
            Some(_) => survivor,
            // It stays with the record that was merged, so that the merge can be undone.
            None if is_known => continue,
            None => {
                let own = desk.identifiers(survivor)?;
                desk.may_join(&own, &[Identifier::Local(local.clone())])?;
                survivor
            }
        };
        is_news = true;
        desk.learn(Fact::Bound { patient, local: local.clone(), retired: true })?;
    }
    Ok(is_news)
}

/// The identifiers of PID are in use, whatever an earlier merge said.
fn revive_locals(
    desk: &mut Desk<'_, '_>,
    pair: &Pair,
    survivor: PatientId,
) -> Result<(), IndexError> {
    for local in &pair.survivor.locals {
        let space = desk.space(local)?;
        let own = desk.patient(survivor)?;
        let mut own = own.locals.iter().filter(|of| of.space == space && *of.value == *local.value);
        let in_use = own.any(|of| !of.retired);
        if !in_use && desk.by_local(local)? == Some(survivor) {
            let local = local.clone();
            desk.learn(Fact::Bound { patient: survivor, local, retired: false })?;
        }
    }
    Ok(())
}

/// A patient has other identifiers than before (A46, A47): those of MRG, which now are those of PID.
pub(crate) fn change(desk: &mut Desk<'_, '_>, pair: &Pair) -> Result<Placed, Stop> {
    let before = bearers(desk, &pair.retired.locals)?;
    let now = bearers(desk, &pair.survivor.locals)?;
    let by_number = match pair.retired.found {
        Some(number) => desk.by_number(number)?,
        None => None,
    };
    let Some(patient) = before.first().or(now.first()).copied().or(by_number) else {
        return merge(desk, pair);
    };
    if before.iter().chain(&now).chain(&by_number).any(|other| *other != patient) {
        // The new identifiers are somebody's already: two records are one.
        return merge(desk, pair);
    }
    change_number(desk, pair, patient)?;
    let mut added = Vec::new();
    for local in &pair.survivor.locals {
        if desk.by_local(local)?.is_none() {
            added.push(local.clone());
        }
    }
    let identifiers = desk.identifiers(patient)?;
    let new: Vec<Identifier> = added.iter().cloned().map(Identifier::Local).collect();
    desk.may_join(&identifiers, &new)?;
    for local in added {
        desk.learn(Fact::Bound { patient, local, retired: false })?;
    }
    let is_news = retire_locals(desk, pair, patient)?;
    let placed = place(desk, &pair.survivor, &pair.retired.locals)?;
    if is_news {
        let patient = desk.canonical(patient)?;
        desk.tell(What::Merged(Role::Survivor), patient, None);
    }
    Ok(placed)
}

/// The number of PID takes the place of the one that is held.
fn change_number(desk: &mut Desk<'_, '_>, pair: &Pair, patient: PatientId) -> Result<(), Stop> {
    let held = desk.number_of(patient)?;
    let (side, gone) = (&pair.survivor, pair.retired.found);
    let Some(old) = held.filter(|old| side.found != Some(*old)) else { return Ok(()) };
    let Some(new) = side.number else {
        // It names the number as gone, and no trusted one in its place.
        if gone == Some(old) {
            desk.learn(Fact::NumberRetired { patient, number: old })?;
            desk.tell(What::NumberInvalidated { old }, patient, None);
        }
        return Ok(());
    };
    let own = desk.identifiers(patient)?;
    desk.may_join(&own, &[Identifier::Number(new)])?;
    if desk.by_number(new)?.is_some_and(|holder| holder != patient) {
        // Two records with a number each.
        return conflict(
            "identity.number-conflict",
            "the new nhs number is held for another patient",
        );
    }
    desk.learn(Fact::NumberRetired { patient, number: old })?;
    desk.learn(Fact::NumberHeld { patient, number: new, status: side.status })?;
    desk.tell(What::NumberChanged { old, new, reason: Reason::Replaced }, patient, None);
    Ok(())
}
