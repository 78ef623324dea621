//! Whether what PID-29 says can be when somebody died.

use hl7::message::Message;
use hl7::segment::Segment;
use jiff::SignedDuration;

use crate::demographics::stands_for_none;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// How much later than its message a death may be: clocks and zones differ, and no more.
const TOLERANCE: SignedDuration = SignedDuration::from_hours(24);

/// Whether a text of PID-29 is the time of a death: a time, not one that stands for none (31 December
/// 9999, 1 January 1900), not before the birth, and not after the day of the message. Of anything else
/// nobody can tell whether the patient died, unless PID-30 says so.
pub fn can_be_a_death(text: &str, pid: &Segment<'_>, message: &Message, source: &Source) -> bool {
    let Ok(died) = Moment::of_death(text, &source.zone) else { return false };
    let of = |segment: &str, field| stated(message.segment(segment, 1)?.text(field, 1));
    let start = |text: String| Moment::read(&text, &source.zone).ok()?.start(&source.zone);
    let sent = of("MSH", 7).and_then(start).or_else(|| of("EVN", 2).and_then(start));
    let is_to_come = died
        .start(&source.zone)
        .zip(sent)
        .is_none_or(|(died, sent)| died.timestamp().duration_since(sent.timestamp()) > TOLERANCE);
    let born = stated(pid.text(7, 1)).filter(|born| !stands_for_none(born));
    let born = born.and_then(|born| Moment::read(&born, &source.zone).ok());
    let is_unborn = born.is_some_and(|born| {
        let shown = died.date().len().min(born.date().len());
        died.date()[..shown] < born.date()[..shown]
    });
    !stands_for_none(text) && !is_to_come && !is_unborn
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    #[test]
    fn what_no_death_can_be_is_none() {
        let can = |text: &str, born: &str| {
            let body = format!(
                "MSH|^~\\&|PAS|RXX01|TIE|RXX|20251102101000||ADT^A31|1|P|2.4\rPID|||1||||{born}"
            );
            let message =
                Message::parse(body.into_bytes(), &Reading::default()).expect("a message");
            let pid = message.segment("PID", 1).expect("a PID");
            can_be_a_death(text, &pid, &message, &Source::new("pas-adt", "RXX"))
        };
        for text in [
            "20251102",
            "202511020005",
            "20251103",
            "202511",
            "2025",
            "2025-11-01 10:00",
            "19480211",
        ] {
            assert!(can(text, "19480211"), "{text}");
        }
        for text in
            ["99991231", "19000101", "00000000", "20251301", "UNK", "20251105", "2026", "19470101"]
        {
            assert!(!can(text, "19480211"), "{text}");
        }
        // A birth date that is not known says nothing; a child may live for less than a day.
        assert!(can("19470101", "19000101") && can("19470101", "UNK"));
        assert!(can("20251102", "202511020400") && can("2025", "20251102"));
    }
}
