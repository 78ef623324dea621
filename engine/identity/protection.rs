//! Protection and dissent: said by messages, kept by the patient, and passed on with identifiers.

use record::sensitivity::Stated;

use crate::desk::Desk;
use crate::error::IndexError;
use crate::event::What;
use crate::fact::Fact;
use crate::patient::PatientId;

/// Any source raises protection and dissent; only one that may lowers them, and only outright.
pub(crate) fn protect(
    desk: &mut Desk<'_, '_>,
    stated: Stated,
    patient: PatientId,
) -> Result<(), IndexError> {
    let record = desk.patient(patient)?;
    let may_lower = desk.rules.may_lower_sensitivity;
    let mut refused = false;
    let mut now = |held: bool, stated: Option<bool>| match stated {
        Some(true) => true,
        Some(false) if held && !may_lower => {
            refused = true;
            true
        }
        Some(false) => false,
        None => held,
    };
    let protected = now(record.protected, stated.protected);
    let dissent = now(record.dissent, stated.dissent);
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
    let protected = from.protected || record.protected;
    hold(desk, to, protected, from.dissent || record.dissent)
}

fn hold(
    desk: &mut Desk<'_, '_>,
    patient: PatientId,
    protected: bool,
    dissent: bool,
) -> Result<(), IndexError> {
    let record = desk.patient(patient)?;
    if (protected, dissent) != (record.protected, record.dissent) {
        desk.learn(Fact::Sensitivity { patient, protected, dissent })?;
        desk.tell(What::SensitivityChanged { protected, dissent }, patient, None);
    }
    Ok(())
}
