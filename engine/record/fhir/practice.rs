//! PD1-3 and PD1-4: the practice and the general practitioner a patient is registered with.

use hl7::segment::{Repetition, Segment};

use crate::fhir::built::Draft;
use crate::fhir::datatypes::{PERSON, practice, practitioner};
use crate::json::Value;
use crate::site::is_practice_among_doctors;
use crate::text::{stated, whole};

/// Only the first repetition of PD1-3 is the practice; the second is the surgery. Some feeds mix
/// practices with practitioners in PD1-4, and write `UNK` where they know neither.
pub(crate) fn general_practitioner(draft: &mut Draft, pd1: &Segment<'_>) {
    let organisations = "generalPractitioner.where(type='Organization')";
    if is_null(pd1, 3) {
        draft.clear(organisations);
    } else if let Some(found) = pd1.field(3).and_then(|field| named(&field.repetition(1)?)) {
        draft.push("generalPractitioner", found);
        draft.replace(organisations);
    }
    let element = "generalPractitioner";
    let path = "generalPractitioner.where(type='Practitioner')";
    draft.set_all(pd1, 4, (element, path), PERSON, doctor);
}

fn is_null(pd1: &Segment<'_>, field: usize) -> bool {
    pd1.field(field).is_some_and(|field| field.is_null())
}

/// XON: name in component 1, code in component 3, or 10 in later versions.
fn named(practice_field: &Repetition<'_>) -> Option<Value> {
    let part = |component: usize| stated(practice_field.text(component, 1));
    let code = part(3).or_else(|| part(10));
    if code.as_deref() == Some("UNK") {
        return None;
    }
    practice(code.as_deref(), whole(practice_field, 1).as_deref())
}

fn doctor(entry: &Repetition<'_>) -> Option<Value> {
    let code = stated(entry.text(1, 1));
    match code.filter(|code| is_practice_among_doctors(code)) {
        Some(code) => practice(Some(&code), None),
        None => practitioner(entry),
    }
}
