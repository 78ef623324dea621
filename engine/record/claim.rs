//! Where a message claims to state an NHS Number.

use hl7::location::{Location, SegmentName};
use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::nhs_number::{NhsNumber, NhsNumberError};
use crate::source::{NhsNumberRules, Source};
use crate::text::{meant, stated};

/// One place that claimed to hold an NHS Number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Where it stands.
    pub at: Location,
    /// What it is worth.
    pub verdict: Result<NhsNumber, NhsNumberError>,
}

/// Whether an identifier (data type CX) claims to be an NHS Number of the source. A masked or
/// mistyped one does too: it is no NHS Number, and nothing else either.
pub fn claims_nhs_number(identifier: &Repetition<'_>, rules: &NhsNumberRules) -> bool {
    let authority = meant(identifier.text(4, 1)).unwrap_or_default();
    if holds(&rules.other_authorities, &authority) {
        return false;
    }
    if holds(&rules.authorities, &authority) {
        return true;
    }
    let kind = meant(identifier.text(5, 1)).unwrap_or_default();
    // `NI` is also the type of National Insurance numbers, which their letters tell apart.
    holds(&rules.types, &kind)
        && !meant(identifier.text(1, 1)).is_some_and(|value| is_national_insurance(&value))
}

/// Two letters, six digits, and mostly one letter more: `QQ 12 34 56 C`.
fn is_national_insurance(text: &str) -> bool {
    let letters: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    matches!(letters.len(), 8 | 9)
        && letters.iter().enumerate().all(|(position, byte)| match position {
            2..=7 => byte.is_ascii_digit(),
            _ => byte.is_ascii_alphabetic(),
        })
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
    marked(pid, 3, occurrence, source)
}

/// Valid NHS Numbers that are marked as such in PID-2 and PID-4, where nobody looks for one. They find
/// nobody and key nothing: one that differs from the patient's says that two people were mixed up.
pub(crate) fn witnesses(pid: &Segment<'_>, occurrence: u32, source: &Source) -> Vec<Stated> {
    let fields = [2, 4].into_iter();
    let all = fields.flat_map(|field| marked(pid, field, occurrence, source));
    all.filter(|stated| stated.verdict.is_ok()).collect()
}

/// What is marked as an NHS Number in a field of identifiers.
fn marked(pid: &Segment<'_>, number: u32, occurrence: u32, source: &Source) -> Vec<Stated> {
    let Some(field) = pid.field(number as usize) else { return Vec::new() };
    let rules = &source.nhs_number;
    let marked = field.repetitions().enumerate().filter(|(_, id)| claims_nhs_number(id, rules));
    marked
        .filter_map(|(index, id)| {
            let value = meant(id.text(1, 1))?;
            let at = within_pid(number, occurrence, index)?;
            Some(Stated { at, verdict: NhsNumber::parse(&value) })
        })
        .collect()
}

fn within_pid(field: u32, occurrence: u32, index: usize) -> Option<Location> {
    let repetition = u32::try_from(index + 1).ok()?;
    let pid = Location::segment(SegmentName::new(b"PID")?).with_occurrence(occurrence);
    Some(Location { field: Some(field), repetition, component: Some(1), ..pid })
}

/// The claims of a fallback place, in every segment of that name.
///
/// Such a place may hold anything. Where the identifier says by its authority or type what it is,
/// that counts; where it says neither, only ten digits are a claim.
pub(crate) fn fallback(message: &Message, at: Location, rules: &NhsNumberRules) -> Vec<Stated> {
    let places = every(message, at).filter_map(|(at, identifier)| {
        let component = at.component.unwrap_or(1) as usize;
        let value = stated(identifier.text(component, at.subcomponent.unwrap_or(1) as usize))?;
        let verdict = NhsNumber::parse(&value);
        let counts = if component == 1 && is_labelled(&identifier) {
            claims_nhs_number(&identifier, rules)
        } else {
            verdict != Err(NhsNumberError::Format)
        };
        counts.then_some(Stated { at, verdict })
    });
    places.collect()
}

/// What stands at a fallback place, in every segment of its name.
pub(crate) fn every(
    message: &Message,
    at: Location,
) -> impl Iterator<Item = (Location, Repetition<'_>)> {
    let named = message.segments().filter(move |segment| segment.name() == at.segment.as_str());
    named.enumerate().filter_map(move |(index, segment)| {
        let field = segment.field(at.field? as usize)?;
        let found = field.repetition(at.repetition as usize)?;
        Some((Location { occurrence: occurrence(index), ..at }, found))
    })
}

/// Whether an identifier says whose it is (CX-4) or what kind (CX-5).
pub(crate) fn is_labelled(identifier: &Repetition<'_>) -> bool {
    meant(identifier.text(4, 1)).or_else(|| meant(identifier.text(5, 1))).is_some()
}
