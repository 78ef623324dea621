//! The trigger event of a message, and which triggers are about records rather than care.

use std::borrow::Cow;

use hl7::message::Message;

use crate::text::{capitals, meant, stated};

/// What a message moves, merges, renames or links (HL7 v2 chapter 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Two records are of one patient: A18, A30, A34, A36, A39, A40.
    Merge,
    /// One identifier goes to another patient, with all that stands under it: A43.
    MoveIdentifier,
    /// A patient has other identifiers than before: A46, A47.
    Change,
    /// Two accounts or visits of a patient are one: A35, A41, A42.
    MergeVisits,
    /// An account or visit goes to another patient: A44, A45.
    MoveVisits,
    /// An account or visit has another number than before: A49, A50, A51; A06 and A07 whose MRG says
    /// that the visit had another one (MRG-5) than it has now.
    Renumber,
    /// Two records belong together and stay two: A24.
    Link,
    /// They do so no more: A37.
    Unlink,
}

impl Kind {
    /// The kind of an ADT message with that trigger. A17, which swaps two beds, is none.
    pub fn of(message: &Message) -> Option<Kind> {
        let msh = message.segment("MSH", 1)?;
        meant(msh.text(9, 1)).filter(|code| code.eq_ignore_ascii_case("ADT"))?;
        Some(match trigger(message)?.as_ref() {
            "A18" | "A30" | "A34" | "A36" | "A39" | "A40" => Kind::Merge,
            "A43" => Kind::MoveIdentifier,
            "A46" | "A47" => Kind::Change,
            "A35" | "A41" | "A42" => Kind::MergeVisits,
            "A44" | "A45" => Kind::MoveVisits,
            "A49" | "A50" | "A51" => Kind::Renumber,
            "A06" | "A07" if has_another_number(message) => Kind::Renumber,
            "A24" => Kind::Link,
            "A37" => Kind::Unlink,
            _ => return None,
        })
    }

    /// Whether it is about accounts or visits.
    pub fn is_about_visits(self) -> bool {
        matches!(self, Kind::MergeVisits | Kind::MoveVisits | Kind::Renumber)
    }

    fn is_move(self) -> bool {
        self.is_about_visits() || self == Kind::MoveIdentifier
    }

    /// The reason code of a message of this kind that cannot be read.
    pub fn unreadable(self) -> &'static str {
        if self.is_move() { "move.unreadable" } else { "merge.unreadable" }
    }

    /// The reason code of a message of this kind that waits for a person.
    pub fn approval(self) -> &'static str {
        if self.is_move() { "move.approval" } else { "merge.approval" }
    }
}

/// The trigger event in capitals: MSH-9.2, else EVN-1.
pub fn trigger(message: &Message) -> Option<Cow<'_, str>> {
    let at = |name, field, part| meant(message.segment(name, 1)?.text(field, part));
    at("MSH", 9, 2).or_else(|| at("EVN", 1, 1)).map(capitals)
}

/// Whether the one visit of a message had another number before.
fn has_another_number(message: &Message) -> bool {
    let number = |segment, field| stated(message.segment(segment, 1)?.text(field, 1));
    let (before, now) = (number("MRG", 5), number("PV1", 19));
    before.zip(now).is_some_and(|(before, now)| before != now)
}

/// Whether it is about records rather than care: its PID segments then name different patients.
pub(crate) fn is_movement(message: &Message) -> bool {
    Kind::of(message).is_some()
}
