//! A look into the compact form of a patient, where taking it apart would cost more than the answer.

use crate::compact::Reader;
use crate::key::Key;
use crate::patient::{ALIAS, BORN, HELD, PatientId};

/// These bytes are no patient.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPatient;

/// The record that this one was merged into, if it was.
pub(crate) fn alias_in(bytes: &[u8]) -> Result<Option<PatientId>, NoPatient> {
    let mut from = Reader::new(bytes);
    let flags = from.byte().ok_or(NoPatient)?;
    if flags & HELD != 0 {
        held(&mut from).ok_or(NoPatient)?;
    }
    if flags & ALIAS == 0 {
        return Ok(None);
    }
    from.number().map(PatientId).map(Some).ok_or(NoPatient)
}

/// Whether the identifier is the patient's, a former number included; nothing for bytes that are no
/// patient.
pub(crate) fn bears(bytes: &[u8], key: &Key) -> Option<bool> {
    let mut from = Reader::new(bytes);
    let flags = from.byte()?;
    let wanted = match key {
        Key::Number(number) => Some(number.as_u64()),
        Key::Local(..) => None,
    };
    let number = if flags & HELD != 0 { Some(held(&mut from)?) } else { None };
    if wanted.is_some() && wanted == number {
        return Some(true);
    }
    if flags & ALIAS != 0 {
        from.number()?;
    }
    if flags & BORN != 0 {
        from.number()?;
    }
    // Absorbed records, then former numbers.
    for _ in 0..from.number()? {
        from.number()?;
    }
    let mut found = false;
    for _ in 0..from.number()? {
        found |= Some(from.number()?) == wanted;
    }
    let Key::Local(space, value) = key else { return Some(found) };
    for _ in 0..from.number()? {
        let of = from.number()? >> 1;
        found |= from.text()? == &**value && of == u64::from(*space);
    }
    Some(found)
}

/// The number, and past what belongs to it.
fn held(from: &mut Reader<'_>) -> Option<u64> {
    let number = from.number()?;
    from.byte()?;
    from.number()?;
    from.number()?;
    Some(number)
}
