//! What a message says of the verification of its NHS Number.

use std::borrow::Cow;

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::claim::{claims_nhs_number, every};
use crate::nhs_number::Status;
use crate::source::Source;
use crate::text::{meant, stated};

/// What a message says of the verification of its NHS Number.
#[derive(Clone, Copy)]
pub(crate) enum Statuses {
    None,
    One(Status),
    /// An unknown code, two that differ, or one that was deleted: worth no trust.
    Unclear,
}

impl Statuses {
    pub(crate) fn one(self) -> Option<Status> {
        match self {
            Statuses::One(status) => Some(status),
            Statuses::None | Statuses::Unclear => None,
        }
    }

    /// `None` when no text means to be a status.
    fn of<'m>(texts: impl Iterator<Item = Cow<'m, str>>) -> Statuses {
        let mut found =
            texts.filter(|text| Status::looks_like_one(text)).map(|text| Status::normalise(&text));
        let Some(first) = found.next() else { return Statuses::None };
        let agree = found.all(|status| status == first);
        first.filter(|_| agree).map_or(Statuses::Unclear, Statuses::One)
    }
}

/// PID-32 in any repetition, CX-2 of the identifier where the profile says so, and the legacy field
/// ZU1-27. All of them are asked: places that contradict each other are worth no more than none.
pub(crate) fn statuses(message: &Message, persons: &[Segment<'_>], source: &Source) -> Statuses {
    let reliability = || persons.iter().filter_map(|pid| pid.field(32));
    // The null deletes the status that is held; the number was verified and is so no longer.
    let mut codes = reliability().flat_map(|field| field.repetitions());
    if codes.any(|code| code.text(1, 1).is_null()) {
        return Statuses::Unclear;
    }
    let mut texts: Vec<Cow<'_, str>> = reliability()
        .flat_map(|field| field.repetitions())
        .filter_map(|code| meant(code.text(1, 1)))
        .collect();
    if source.nhs_number.status_in_check_digit {
        texts.extend(beside_numbers(message, persons, source).into_iter().map(Cow::Owned));
    }
    texts.extend(message.segment("ZU1", 1).and_then(|zu1| meant(zu1.text(27, 1))));
    Statuses::of(texts.into_iter())
}

/// CX-2 of every identifier that claims to be an NHS Number.
fn beside_numbers(message: &Message, persons: &[Segment<'_>], source: &Source) -> Vec<String> {
    let rules = &source.nhs_number;
    let status = |identifier: &Repetition<'_>| {
        let claims = claims_nhs_number(identifier, rules);
        claims.then(|| stated(identifier.text(2, 1))).flatten()
    };
    let listed = persons.iter().filter_map(|pid| pid.field(3));
    let mut found: Vec<String> =
        listed.flat_map(|field| field.repetitions()).filter_map(|id| status(&id)).collect();
    for at in &rules.fallbacks {
        found.extend(every(message, *at).filter_map(|(_, id)| status(&id)));
    }
    found
}
