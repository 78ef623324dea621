//! Whom one side of a message is about: found, made known, or contradicted.

use std::collections::BTreeSet;
use std::sync::Arc;

use record::demographics::{Agreement, agreement, nothing_in_common};
use record::local::LocalId;
use record::movement::Side;
use record::nhs_number::{NhsNumber, Status};

use crate::desk::{Desk, Stop, conflict};
use crate::error::IndexError;
use crate::event::{Reason, Role, What};
use crate::fact::{Fact, Names};
use crate::forbidden::Identifier;
use crate::handover::hand_over;
use crate::patient::{Held, Patient, PatientId};
use crate::protection::{pass_on, protect};
use crate::rules::Resolution;

/// Whom it is about, and what keys the events of that patient.
#[derive(Clone, Copy, Default)]
pub(crate) struct Placed {
    pub(crate) patient: Option<PatientId>,
    pub(crate) number: Option<(NhsNumber, Option<Status>)>,
}

/// One side, and what was found out about it so far.
struct Placing<'s> {
    side: &'s Side,
    /// Local identifiers that a merge explains, and that are no rivals of the stated ones.
    excused: &'s [LocalId],
    /// The trusted number, unless it turned out that it does not count.
    number: Option<NhsNumber>,
    /// The valid number, unless it turned out that it does not count.
    found: Option<NhsNumber>,
    /// Who has the stated local identifiers, the best first.
    bearers: Vec<PatientId>,
    /// Who holds the number.
    holder: Option<PatientId>,
    learns: bool,
}

/// Finds the patient of a side, by the number and by the local identifiers; makes known what is
/// not; parks what contradicts the index.
pub(crate) fn place(
    desk: &mut Desk<'_, '_>,
    side: &Side,
    excused: &[LocalId],
) -> Result<Placed, Stop> {
    let mut placing = Placing {
        side,
        excused,
        number: side.number,
        found: side.found,
        bearers: bearers(desk, &side.locals)?,
        holder: None,
        learns: true,
    };
    let number = side.found.map(Identifier::Number);
    let locals = side.locals.iter().cloned().map(Identifier::Local);
    let stated: Vec<Identifier> = number.into_iter().chain(locals).collect();
    desk.may_join(&stated, &stated)?;
    placing.compare_numbers(desk)?;
    placing.find_holder(desk)?;
    placing.look_for_rivals(desk)?;
    placing.compare_demographics(desk)?;
    placing.compare_records(desk)?;
    let patient = if desk.teaches { placing.teach(desk)? } else { placing.attend(desk)? };
    let Some(patient) = patient else { return Ok(Placed::default()) };
    protect(desk, side.sensitivity, patient)?;
    desk.concern([patient]);
    desk.concern(placing.bearers.iter().copied().chain(placing.holder));
    let own = placing.number.map(|number| (number, side.status));
    let held = desk.patient(patient)?.held.map(|held| (held.number, held.status));
    Ok(Placed { patient: Some(patient), number: own.or(held) })
}

/// Who has these identifiers, each patient once.
pub(crate) fn bearers(
    desk: &mut Desk<'_, '_>,
    locals: &[LocalId],
) -> Result<Vec<PatientId>, IndexError> {
    let mut found = Vec::new();
    for local in locals {
        if let Some(bearer) = desk.by_local(local)?.filter(|bearer| !found.contains(bearer)) {
            found.push(bearer);
        }
    }
    Ok(found)
}

impl Placing<'_> {
    /// A local identifier whose patient holds another number than the message states.
    fn compare_numbers(&mut self, desk: &mut Desk<'_, '_>) -> Result<(), Stop> {
        for bearer in self.bearers.clone() {
            let record = desk.patient(bearer)?;
            let (Some(held), Some(stated)) = (record.number(), self.found) else { continue };
            if held == stated {
                continue;
            }
            if !desk.teaches && desk.by_number(stated)? == Some(bearer) {
                desk.quality.push("identity.superseded-number");
                self.forget_number();
                continue;
            }
            match (desk.rules.resolution, self.number) {
                (None, _) => {
                    return conflict(
                        "identity.number-conflict",
                        "the local identifier is held with another nhs number",
                    );
                }
                (Some(Resolution::Message), Some(number)) => {
                    self.correct(desk, bearer, held, number)?;
                }
                // A number that may not key cannot take the place of one that does.
                (Some(_), _) => self.forget_number(),
            }
        }
        let mut numbers = BTreeSet::new();
        if self.found.is_none() {
            for bearer in &self.bearers {
                numbers.extend(desk.number_of(*bearer)?);
            }
        }
        if numbers.len() > 1 {
            if desk.rules.resolution.is_none() {
                return conflict(
                    "identity.two-patients",
                    "its local identifiers are held with different nhs numbers",
                );
            }
            self.bearers.truncate(1);
        }
        Ok(())
    }

    fn forget_number(&mut self) {
        (self.number, self.found) = (None, None);
    }

    /// The index was wrong, a person decided: the local identifier goes with the stated number, to
    /// whoever holds that.
    fn correct(
        &mut self,
        desk: &mut Desk<'_, '_>,
        bearer: PatientId,
        old: NhsNumber,
        new: NhsNumber,
    ) -> Result<(), Stop> {
        let holder = desk.by_number(new)?.filter(|holder| *holder != bearer);
        if let Some(holder) = holder {
            let mut moved = Vec::new();
            for local in &self.side.locals {
                if desk.by_local(local)? == Some(bearer) {
                    moved.push(local.clone());
                }
            }
            let mut ones = vec![Identifier::Number(old)];
            ones.extend(moved.iter().cloned().map(Identifier::Local));
            let mut others = desk.identifiers(holder)?;
            others.push(Identifier::Number(new));
            desk.may_join(&ones, &others)?;
            hand_over(desk, &moved, holder, false)?;
            self.bearers = bearers(desk, &self.side.locals)?;
            return Ok(());
        }
        let own = desk.identifiers(bearer)?;
        desk.may_join(&own, &[Identifier::Number(new)])?;
        desk.learn(Fact::NumberReleased { patient: bearer, number: old })?;
        let status = self.side.status;
        desk.learn(Fact::NumberHeld { patient: bearer, number: new, status })?;
        let what = What::NumberChanged { old, new, reason: Reason::Corrected };
        desk.tell(what, bearer, None);
        desk.concern([bearer]);
        Ok(())
    }

    /// Who holds the stated number; one that was replaced or invalidated finds and does not key.
    fn find_holder(&mut self, desk: &mut Desk<'_, '_>) -> Result<(), Stop> {
        let Some(number) = self.number else { return Ok(()) };
        self.holder = desk.by_number(number)?;
        let Some(holder) = self.holder else { return Ok(()) };
        let held = desk.number_of(holder)?;
        if held == Some(number) || (held.is_none() && desk.teaches) {
            return Ok(());
        }
        if held.is_some() && desk.teaches && !self.bearers.contains(&holder) {
            match desk.rules.resolution {
                None => {
                    return conflict(
                        "identity.number-conflict",
                        "the nhs number was replaced by another one",
                    );
                }
                Some(Resolution::Message) => {
                    desk.learn(Fact::NumberReleased { patient: holder, number })?;
                }
                Some(Resolution::Index) => self.forget_number(),
            }
            self.holder = None;
            return Ok(());
        }
        desk.quality.push(match held {
            Some(_) => "identity.superseded-number",
            None => "identity.invalidated-number",
        });
        self.forget_number();
        self.holder = None;
        if !self.bearers.contains(&holder) {
            self.bearers.push(holder);
        }
        Ok(())
    }

    /// Another local identifier of the same authority and type that holds the number.
    fn look_for_rivals(&mut self, desk: &mut Desk<'_, '_>) -> Result<(), Stop> {
        let Some(holder) = self.holder else { return Ok(()) };
        let record = desk.patient(holder)?;
        let mut stated = Vec::new();
        for local in self.side.locals.iter().chain(self.excused) {
            stated.push((desk.space(local)?, local.value.clone()));
        }
        let is_stated =
            |space: u16, value: &str| stated.iter().any(|(of, text)| *of == space && text == value);
        for local in &self.side.locals {
            let space = desk.space(local)?;
            if desk.by_local(local)? == Some(holder) {
                continue;
            }
            let mut rivals = record.locals.iter().filter(|of| of.space == space && !of.retired);
            let confirmed = rivals.clone().any(|of| is_stated(space, &of.value));
            if confirmed || rivals.next().is_none() {
                continue;
            }
            match desk.rules.resolution {
                None => {
                    return conflict(
                        "identity.shared-number",
                        "another local identifier of the same authority holds the nhs number",
                    );
                }
                Some(Resolution::Message) => {}
                Some(Resolution::Index) => {
                    self.forget_number();
                    self.holder = None;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Names and birth date against those known for the number, or for a local identifier that was
    /// never seen with one. Of the latter much is put right that was put down in haste, so that only
    /// somebody else altogether counts: numbers of hospitals are used again.
    fn compare_demographics(&mut self, desk: &mut Desk<'_, '_>) -> Result<(), Stop> {
        for id in self.holder.into_iter().chain(self.bearers.clone()) {
            let record = desk.patient(id)?;
            let (held, stated) = (&record.demographics, &self.side.demographics);
            if record.held.is_none() && !nothing_in_common(held, stated) {
                continue;
            }
            match agreement(held, stated) {
                Agreement::Same | Agreement::Unknown => {}
                Agreement::Twin => desk.quality.push("identity.twin-warning"),
                Agreement::Differs => match desk.rules.resolution {
                    None => {
                        return conflict(
                            "identity.demographics",
                            "two of family name, given name and birth date are not those of the patient",
                        );
                    }
                    Some(Resolution::Message) => {}
                    Some(Resolution::Index) => {
                        self.learns = false;
                        desk.ignores_names = true;
                    }
                },
            }
            break;
        }
        Ok(())
    }

    /// Everybody whom the identifiers name, the oldest first.
    fn known(&self) -> Vec<PatientId> {
        let mut known = self.bearers.clone();
        known.extend(self.holder.filter(|holder| !self.bearers.contains(holder)));
        known.sort_by_key(|id| id.age());
        known
    }

    /// Before two records become one, or one gets a number: whatever names and birth dates are
    /// known of either, and stated, can be one person's.
    fn compare_records(&mut self, desk: &mut Desk<'_, '_>) -> Result<(), Stop> {
        if !desk.teaches {
            return Ok(());
        }
        let mut records = Vec::new();
        for id in self.known() {
            records.push(desk.patient(id)?);
        }
        let gets_number = |of: &Arc<Patient>| self.number.is_some() && of.number() != self.number;
        if records.len() < 2 && !records.iter().any(gets_number) {
            return Ok(());
        }
        let mut people = vec![&self.side.demographics];
        people.extend(records.iter().map(|record| &record.demographics));
        let differs = people.iter().enumerate().any(|(at, one)| {
            people[..at].iter().any(|other| agreement(one, other) == Agreement::Differs)
        });
        if !differs {
            return Ok(());
        }
        match desk.rules.resolution {
            None => conflict(
                "identity.demographics",
                "its identifiers are of records with other names and birth dates",
            ),
            Some(Resolution::Message) => Ok(()),
            Some(Resolution::Index) => {
                self.forget_number();
                self.holder = None;
                self.bearers.truncate(1);
                self.learns = false;
                desk.ignores_names = true;
                Ok(())
            }
        }
    }

    /// Of a source that teaches: what it states belongs to one patient from now on.
    fn teach(&mut self, desk: &mut Desk<'_, '_>) -> Result<Option<PatientId>, Stop> {
        let known = self.known();
        let was_known = !known.is_empty();
        let patient = match known[..] {
            [] if self.number.is_none() && self.side.locals.is_empty() => return Ok(None),
            [] => desk.create()?,
            [oldest, ref others @ ..] => {
                for other in others {
                    prove_one(desk, *other, oldest)?;
                }
                oldest
            }
        };
        let mut locals = Vec::new();
        for local in &self.side.locals {
            let bearer = desk.by_local(local)?;
            // What the index holds of somebody else stays, where a person says that it is right.
            let stays = bearer.is_some() && desk.resolved(Resolution::Index);
            if bearer != Some(patient) && !stays {
                locals.push(local.clone());
            }
        }
        let (held, status) = (desk.patient(patient)?.held, self.side.status);
        let number =
            self.number.filter(|number| held.is_none_or(|held| is_news(held, *number, status)));
        let mut added: Vec<Identifier> = locals.iter().cloned().map(Identifier::Local).collect();
        added.extend(number.map(Identifier::Number));
        if !added.is_empty() {
            let before = desk.identifiers(patient)?;
            desk.may_join(&before, &added)?;
        }
        let had_locals = !desk.identifiers(patient)?.is_empty();
        hand_over(desk, &locals, patient, false)?;
        if let Some(number) = number {
            desk.learn(Fact::NumberHeld { patient, number, status })?;
        }
        if was_known && had_locals && held.is_none() && self.number.is_some() {
            desk.tell(What::Identified, patient, None);
        }
        if self.learns && !desk.patient(patient)?.knows(&self.side.demographics) {
            desk.learn(Fact::Learned { patient, names: Names::from(&self.side.demographics) })?;
        }
        Ok(Some(patient))
    }

    /// Of a source that does not teach: the number finds or makes its patient, and a local
    /// identifier that nobody knows makes one without a number.
    fn attend(&mut self, desk: &mut Desk<'_, '_>) -> Result<Option<PatientId>, Stop> {
        if self.holder.is_some() {
            return Ok(self.holder);
        }
        if let Some(number) = self.number {
            let patient = desk.create()?;
            desk.learn(Fact::NumberHeld { patient, number, status: self.side.status })?;
            return Ok(Some(patient));
        }
        for bearer in &self.bearers {
            if desk.number_of(*bearer)?.is_some() {
                return Ok(Some(*bearer));
            }
        }
        if let Some(bearer) = self.bearers.first() {
            return Ok(Some(*bearer));
        }
        let Some(local) = self.side.locals.first().cloned() else { return Ok(None) };
        let patient = desk.create()?;
        desk.learn(Fact::Bound { patient, local, retired: false })?;
        Ok(Some(patient))
    }
}

/// Whether the number or its status is another one; a status that is left out says nothing.
fn is_news(held: Held, number: NhsNumber, status: Option<Status>) -> bool {
    held.number != number || (status.is_some() && held.status != status)
}

/// Two records prove to be of one patient, of which at most one holds a number.
fn prove_one(desk: &mut Desk<'_, '_>, retired: PatientId, survivor: PatientId) -> Result<(), Stop> {
    desk.may_unite(retired, survivor)?;
    let numbers = [desk.number_of(retired)?, desk.number_of(survivor)?];
    let [locals, past] = desk.locals_by_use(retired)?;
    let survivor_has_locals = !desk.locals_of(survivor)?.is_empty();
    let has_locals = !locals.is_empty();
    let held = desk.patient(retired)?.held;
    let (number, status) = (held.map(|held| held.number), held.and_then(|held| held.status));
    unite(desk, Fact::United { retired, survivor, number, status, locals, past })?;
    match numbers {
        // Whoever had local identifiers only is identified by the number of the other.
        [Some(_), None] if survivor_has_locals => {
            desk.tell(What::Identified, survivor, Some(retired));
        }
        [None, Some(_)] if has_locals => desk.tell(What::Identified, retired, Some(survivor)),
        _ => {}
    }
    // Always: who knows both only by their number would not follow when that changes for one of them.
    desk.tell(What::Merged(Role::Survivor), survivor, Some(retired));
    desk.tell(What::Merged(Role::Retired), retired, Some(survivor));
    Ok(())
}

/// Learns that two records are one, and what passes from one to the other: the number, protection
/// and dissent.
pub(crate) fn unite(desk: &mut Desk<'_, '_>, fact: Fact) -> Result<(), IndexError> {
    let (Fact::Merged { retired, survivor, .. } | Fact::United { retired, survivor, .. }) = fact
    else {
        return Ok(());
    };
    let (from, to) = (desk.patient(retired)?, desk.patient(survivor)?);
    desk.learn(fact)?;
    if let (Some(held), None) = (from.held, to.held) {
        let (number, status) = (held.number, held.status);
        desk.learn(Fact::NumberHeld { patient: survivor, number, status })?;
    }
    pass_on(desk, retired, survivor)?;
    desk.concern([survivor, retired]);
    Ok(())
}
