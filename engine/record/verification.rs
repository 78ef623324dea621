//! What a message says of the verification of its NHS Number.

use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::Segment;

use crate::claim::claims_nhs_number;
use crate::nhs_number::Status;
use crate::source::Source;
use crate::text::stated;

/// What a message says of the verification of its NHS Number.
pub(crate) enum Statuses {
    None,
    One(Status),
    /// An unknown code, or two that differ: worth no trust.
    Unclear,
}

impl Statuses {
    pub(crate) fn one(&self) -> Option<Status> {
        match self {
            Statuses::One(status) => Some(*status),
            Statuses::None | Statuses::Unclear => None,
        }
    }

    /// `None` when no text means to be a status.
    fn of(texts: impl Iterator<Item = String>) -> Option<Statuses> {
        let found: Vec<_> = texts
            .filter(|text| Status::looks_like_one(text))
            .map(|text| Status::normalise(&text))
            .collect();
        let first = *found.first()?;
        let agree = found.iter().all(|status| *status == first);
        Some(first.filter(|_| agree).map_or(Statuses::Unclear, Statuses::One))
    }
}

/// PID-32 in any repetition, else CX-2 of the identifier where the profile says so, else the
/// legacy field ZU1-27: the first place that states one.
pub(crate) fn statuses(message: &Message, pid: Option<&Segment<'_>>, source: &Source) -> Statuses {
    let texts = |number: usize, marked: bool| -> Vec<String> {
        let Some(field) = pid.and_then(|pid| pid.field(number)) else { return Vec::new() };
        let chosen = field
            .repetitions()
            .filter(|repetition| !marked || claims_nhs_number(repetition, &source.nhs_number));
        let component = if marked { 2 } else { 1 };
        chosen.filter_map(|repetition| stated(repetition.text(component, 1))).collect()
    };
    let reliability = Statuses::of(texts(32, false).into_iter());
    let check_digit = || {
        let configured = source.nhs_number.status_in_check_digit;
        configured.then(|| Statuses::of(texts(3, true).into_iter())).flatten()
    };
    let legacy = || {
        let at: Location = "ZU1-27".parse().ok()?;
        Statuses::of(stated(message.text(&at)).into_iter())
    };
    reliability.or_else(check_digit).or_else(legacy).unwrap_or(Statuses::None)
}
