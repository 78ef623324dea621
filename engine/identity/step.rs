//! What a message does to a visit, by its trigger event, its class and what it says of the end.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::ended::{has_come, was_seen};

/// What a message does to a visit. Statuses are words of FHIR's; there is none while it is in progress.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    /// It begins, or goes on after all.
    Opens,
    /// It begins as an attendance, without a bed; one in progress goes on as what it is.
    Attends,
    /// It is planned, or is so no more. One that has begun is neither.
    Plans(&'static str),
    /// It has that status now, unless it is over.
    Goes(Option<&'static str>),
    /// Something is said of it. That does not open again what is over: coding comes after discharge.
    Tells,
    /// It is over.
    Ends(&'static str),
    /// It never was.
    Forgets,
}

/// The step of a message; `class` is PV1-2 in capitals.
pub(crate) fn step(trigger: &str, class: &str, pv1: &Segment<'_>, message: &Message) -> Step {
    match (trigger, was_seen(pv1, message)) {
        ("A03" | "A04" | "A08" | "A10", Some(false)) => return Step::Ends("cancelled"),
        ("A08", Some(true)) => return Step::Ends("finished"),
        _ => {}
    }
    match (trigger, class) {
        // Who is in the emergency department may be expected on a ward, and who is on the way there.
        ("A05" | "A14", "E") if has_come(pv1, 44, message) => return Step::Tells,
        // Regular attenders, and who is to give birth, arrive at no bed; A01 says that they have one.
        ("A04", "R" | "B") | ("A10", "R") => return Step::Attends,
        _ => {}
    }
    match trigger {
        "A01" | "A04" | "A06" | "A07" | "A10" | "A13" => Step::Opens,
        "A05" | "A14" => Step::Plans("planned"),
        "A27" | "A38" => Step::Plans("cancelled"),
        "A21" | "A53" => Step::Goes(Some("onleave")),
        "A22" | "A52" => Step::Goes(None),
        "A03" => Step::Ends("finished"),
        "A11" | "A32" => Step::Ends("cancelled"),
        "A23" => Step::Forgets,
        "A08" if has_come(pv1, 45, message) => Step::Goes(Some("finished")),
        _ => Step::Tells,
    }
}
