//! Protection and dissent: said by messages, kept by the patient, and passed on with identifiers.

use record::sensitivity::Stated;

use crate::desk::Desk;
use crate::error::IndexError;
use crate::event::{Role, What};
use crate::fact::Fact;
use crate::patient::PatientId;

/// Any source raises protection and dissent; only one that may lowers them, and only outright.
pub(crate) fn protect(
    desk: &mut Desk<'_, '_>,
    stated: Stated,
    patient: PatientId,
) -> Result<(), IndexError> {
    let record = desk.patient(patient)?;
    let may_lower = desk.rules.may_lower_sensitivity && !desk.replays;
    let lowers = stated.protected == Some(false) && record.protected.is_some();
    // Many systems write N in PV1-16 whenever they were told nothing.
    let by_visit = lowers && stated.by_flag.is_none();
    let may_lower_it = may_lower && !(by_visit && desk.is_flagged(patient)?);
    let mut refused = false;
    let mut now = |held: bool, stated: Option<bool>, may_lower: bool| match stated {
        Some(true) => true,
        Some(false) if held && !may_lower => {
            refused = true;
            true
        }
        Some(false) => false,
        None => held,
    };
    let protected = now(record.protected.is_some(), stated.protected, may_lower_it);
    let dissent = now(record.dissent.is_some(), stated.dissent, may_lower);
    if refused && !desk.quality.contains(&"sensitivity.not-lowered") {
        desk.quality.push("sensitivity.not-lowered");
    }
    if stated.is_unclear() && !desk.quality.contains(&"sensitivity.unknown") {
        desk.quality.push("sensitivity.unknown");
    }
    hold(desk, patient, protected, dissent)
}

/// What stood under one record stands under another one from now on, and stays as protected as it
/// was.
pub(crate) fn pass_on(
    desk: &mut Desk<'_, '_>,
    from: PatientId,
    to: PatientId,
) -> Result<(), IndexError> {
    let (from, record) = (desk.patient(from)?, desk.patient(to)?);
    let protected = from.protected.or(record.protected).is_some();
    hold(desk, to, protected, from.dissent.or(record.dissent).is_some())
}

fn hold(
    desk: &mut Desk<'_, '_>,
    patient: PatientId,
    protected: bool,
    dissent: bool,
) -> Result<(), IndexError> {
    let record = desk.patient(patient)?;
    // Only what changes: nothing is said of the other, which a load may raise meanwhile.
    let change = |held: Option<i64>, now: bool| (held.is_some() != now).then_some(now);
    let seen = |held: Option<i64>, now: bool| held.filter(|_| !now);
    let fact = Fact::Sensitivity {
        patient,
        protected: change(record.protected, protected),
        dissent: change(record.dissent, dissent),
        protected_since: seen(record.protected, protected),
        dissent_since: seen(record.dissent, dissent),
    };
    if (protected, dissent) != (record.protected.is_some(), record.dissent.is_some()) {
        desk.learn(fact)?;
        desk.tell(What::SensitivityChanged { protected, dissent }, patient, None);
        if !protected && !dissent {
            tell_again(desk, patient)?;
        }
    }
    Ok(())
}

/// Whoever may not hear of protected patients missed which records became one meanwhile, and will be
/// sent under the one what they hold under the other.
fn tell_again(desk: &mut Desk<'_, '_>, patient: PatientId) -> Result<(), IndexError> {
    for retired in desk.records(patient)?.into_iter().skip(1) {
        desk.tell(What::Merged(Role::Survivor), patient, Some(retired));
        desk.tell(What::Merged(Role::Retired), retired, Some(patient));
    }
    Ok(())
}
