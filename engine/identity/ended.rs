//! Whether a visit has begun or is over by what is held of it; and what a message says of its end: that it
//! has come, whether the patient was seen, and whether the discharge says that the patient died.

use hl7::message::Message;
use hl7::segment::Segment;
use record::text::{meant, stated};
use record::trigger::trigger;
use serde_json::Value;

/// Of a visit: that it is not in progress, but planned, interrupted or over.
pub(crate) const STATUS: &str = "status";

/// Whether the discharge of the visit of that number says that the patient died.
#[derive(Clone)]
pub(crate) struct Discharge {
    pub(crate) number: String,
    pub(crate) died: bool,
    /// This message says that the visit is over; else it must be known to be.
    pub(crate) ends: bool,
}

/// Discharge methods of those who live: on advice, of their own will or their family's, by a tribunal.
const WENT_HOME: &[&str] = &["1", "2", "3", "6", "7"];
/// Attendance disposals of those who live. 4 and 5, which are clinics, mean a death where a department
/// sends the discharge methods of a ward, and the destination says which.
const LEFT_THE_DEPARTMENT: &[&str] = &["1", "2", "3", "6", "7", "11", "12", "13"];

/// Whether what is held of a visit says that it is over.
pub(crate) fn is_over(visit: &Value) -> bool {
    matches!(visit.get(STATUS).and_then(Value::as_str), Some("finished" | "cancelled"))
}

/// Whether the patient is or was there: it is of a class of its own by then, no longer planned or of the
/// waiting list.
pub(crate) fn has_begun(visit: &Value) -> bool {
    let planned = matches!(visit[STATUS].as_str(), Some("planned" | "cancelled"));
    !planned && visit.get("class").is_some() && !is_of_class(visit, &["P", "W"])
}

/// Whether what is held of a visit is of one of the classes.
pub(crate) fn is_of_class(visit: &Value, classes: &[&str]) -> bool {
    visit.get("class").is_some_and(|class| is_one_of(class, classes))
}

pub(crate) fn is_one_of(class: &Value, classes: &[&str]) -> bool {
    let class = class.as_str().unwrap_or_default().trim();
    classes.iter().any(|each| class.eq_ignore_ascii_case(each))
}

/// Whether a day is there and not after that of the message: an end may be known before it comes.
pub(crate) fn has_come(pv1: &Segment<'_>, field: usize, message: &Message) -> bool {
    let day = |text: &str| text.chars().filter(char::is_ascii_digit).take(8).collect::<String>();
    let at = |segment: &str, field: usize| stated(message.segment(segment, 1)?.text(field, 1));
    let now = at("EVN", 2).or_else(|| at("MSH", 7));
    stated(pv1.text(field, 1)).is_some_and(|time| now.is_none_or(|now| day(&time) <= day(&now)))
}

/// ZU3-3 of a visit to a clinic or of the community: whether the patient was seen (5, 6) or not (2, 3,
/// 4, 7).
pub(crate) fn was_seen(pv1: &Segment<'_>, message: &Message) -> Option<bool> {
    let clinic = |class: &str| ["O", "C"].iter().any(|clinic| class.eq_ignore_ascii_case(clinic));
    meant(pv1.text(2, 1)).filter(|class| clinic(class))?;
    let outcome = stated(message.segment("ZU3", 1)?.text(3, 1))?;
    match outcome.trim().trim_start_matches('0') {
        "5" | "6" => Some(true),
        "2" | "3" | "4" | "7" => Some(false),
        _ => None,
    }
}

/// The visit whose end a message is about, and whether it says that the patient died: of a discharge,
/// of what cancels one, and of an update, which may put method or destination right. Nothing where PID-30
/// denies the death that the discharge states, or the method that of the destination: nobody is declared
/// dead, or alive, by a contradiction.
pub(crate) fn discharge(message: &Message) -> Option<Discharge> {
    let trigger = trigger(message)?;
    if !matches!(trigger.as_ref(), "A03" | "A08" | "A11" | "A13" | "A23") {
        return None;
    }
    let pv1 = message.segment("PV1", 1)?;
    let number = stated(pv1.text(19, 1)).unwrap_or_default();
    let method = stated(pv1.text(36, 1));
    let destination = stated(pv1.text(37, 1));
    let code = |text: &Option<String>| {
        text.as_deref().map(|text| text.trim().trim_start_matches('0').to_owned())
    };
    let is_emergency =
        stated(pv1.text(2, 1)).is_some_and(|class| class.trim().eq_ignore_ascii_case("E"));
    let by_destination = code(&destination).as_deref() == Some("79");
    let method_code = code(&method);
    let died = match method_code.as_deref() {
        // An emergency department has the attendance disposal there: 4 and 5 are clinics.
        Some(disposal) if is_emergency => disposal == "10" || by_destination,
        // Stillborn is the child, even where the discharge of the mother says so.
        Some("5") => is_newborn(message),
        Some("4") => true,
        _ => by_destination,
    };
    // Sent home, left, or before a tribunal: whoever did so lives, whatever the destination says.
    let alive = if is_emergency { LEFT_THE_DEPARTMENT } else { WENT_HOME };
    let lives = method_code.is_some_and(|code| alive.contains(&code.as_str()));
    let denied = message.segment("PID", 1).and_then(|pid| stated(pid.text(30, 1)));
    if died && (lives || denied.is_some_and(|code| code.trim().eq_ignore_ascii_case("N"))) {
        return None;
    }
    match trigger.as_ref() {
        "A03" => Some(Discharge { number, died, ends: true }),
        "A08" if method.is_none() && destination.is_none() => None,
        "A08" => Some(Discharge { number, died, ends: has_come(&pv1, 45, message) }),
        _ => Some(Discharge { number, died: false, ends: false }),
    }
}

/// Born in the year of the message or the one before; without a birth date, with a mother (PID-21).
fn is_newborn(message: &Message) -> bool {
    let year = |segment: &str, field: usize| {
        let text = stated(message.segment(segment, 1)?.text(field, 1))?;
        text.get(..4)?.parse::<u32>().ok()
    };
    match (year("PID", 7), year("EVN", 2).or_else(|| year("MSH", 7))) {
        (Some(born), Some(now)) => now.saturating_sub(born) <= 1,
        _ => message.segment("PID", 1).is_some_and(|pid| stated(pid.text(21, 1)).is_some()),
    }
}
