//! Where a message claims to state an NHS Number.

use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::nhs_number::{NhsNumber, NhsNumberError};
use crate::source::{NhsNumberRules, Source};
use crate::text::stated;

/// One place that claimed to hold an NHS Number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Where it stands.
    pub at: Location,
    /// What it is worth.
    pub verdict: Result<NhsNumber, NhsNumberError>,
}

/// Whether a repetition of PID-3 claims to be an NHS Number of the source.
pub fn claims_nhs_number(identifier: &Repetition<'_>, rules: &NhsNumberRules) -> bool {
    let authority = stated(identifier.text(4, 1)).unwrap_or_default();
    let kind = stated(identifier.text(5, 1)).unwrap_or_default();
    if holds(&rules.other_authorities, &authority) {
        return false;
    }
    if holds(&rules.authorities, &authority) {
        return true;
    }
    // Marked by its type alone, a value with letters is another kind of number: `NI` is also the
    // type of National Insurance numbers.
    let value = stated(identifier.text(1, 1)).unwrap_or_default();
    holds(&rules.types, &kind) && !value.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn holds(list: &[String], text: &str) -> bool {
    !text.is_empty() && list.iter().any(|entry| entry.eq_ignore_ascii_case(text))
}

/// A position counted from 0 as one counted from 1.
pub(crate) fn occurrence(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

/// The claims of a PID segment, the `occurrence`th of the message.
pub(crate) fn candidates(pid: &Segment<'_>, occurrence: u32, source: &Source) -> Vec<Stated> {
    let Some(field) = pid.field(3) else { return Vec::new() };
    let rules = &source.nhs_number;
    let marked = field.repetitions().enumerate().filter(|(_, id)| claims_nhs_number(id, rules));
    marked
        .filter_map(|(index, id)| {
            let value = stated(id.text(1, 1))?;
            let at = pid3(occurrence, index)?;
            Some(Stated { at, verdict: NhsNumber::parse(&value) })
        })
        .collect()
}

fn pid3(occurrence: u32, index: usize) -> Option<Location> {
    let mut at: Location = "PID-3.1".parse().ok()?;
    at.occurrence = occurrence;
    at.repetition = u32::try_from(index + 1).ok()?;
    Some(at)
}

/// A fallback place may hold anything, so that only ten digits are a claim.
pub(crate) fn fallback(message: &Message, at: Location) -> Option<Stated> {
    let value = stated(message.text(&at))?;
    match NhsNumber::parse(&value) {
        Err(NhsNumberError::Format) => None,
        verdict => Some(Stated { at, verdict }),
    }
}
