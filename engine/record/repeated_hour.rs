//! Which of the two times is meant that a clock shows twice, on the night it goes back, where the
//! message says so by the offset of MSH-7.

use hl7::dictionary::book;
use hl7::dictionary::version::Version;
use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::Segment;
use hl7::tree::{SegmentTree, tree};
use jiff::tz::TimeZone;

use crate::dtm::Written;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// The times of a message that occur twice in its source's zone, each with the offset of MSH-7, which is
/// that of the whole message (HL7 v2 chapter 2, MSH-7). It is asked for them alone, and only on the
/// day itself: of any other time the zone is sure, and what is told the day after may be of either.
pub(crate) fn told_apart(message: &Message, source: &Source) -> Vec<(Location, String)> {
    let offset = message.segment("MSH", 1).and_then(|msh| offset_of_the_day(&msh, &source.zone));
    let Some(offset) = offset else { return Vec::new() };
    let version = message.segment("MSH", 1).and_then(|msh| stated(msh.text(12, 1)));
    let version = version.map_or(Version::UK, |text| Version::nearest(&text));
    let mut found = Vec::new();
    for segment in message.segments() {
        let read = tree(&segment, message.delimiters(), message.charset());
        for (at, value) in read.iter().flat_map(SegmentTree::leaves) {
            let Some(text) = value.into_option().filter(|_| is_time(&segment, &at, version)) else {
                continue;
            };
            let twice = Moment::read(text, &source.zone).is_ok_and(|moment| moment.ambiguous);
            let one = format!("{}{offset}", text.trim().trim_end_matches(['+', '-']));
            if twice && is_of(&one, &source.zone) {
                found.push((at, one));
            }
        }
    }
    found
}

/// The offset of MSH-7, as it is written, if the message was made on a day whose clock goes back.
fn offset_of_the_day(msh: &Segment<'_>, zone: &TimeZone) -> Option<String> {
    let text = stated(msh.text(7, 1))?;
    let written = Written::read(text.trim()).filter(|written| written.offset.is_some())?;
    let day = written.digits.get(..8)?;
    let hours = ["0030", "0130", "0230", "0330"];
    let repeats = hours.iter().any(|hour| {
        Moment::read(&format!("{day}{hour}"), zone).is_ok_and(|moment| moment.ambiguous)
    });
    let offset =
        if text.trim().ends_with('Z') { "+0000" } else { &text[text.rfind(['+', '-'])?..] };
    repeats.then(|| offset.trim().to_owned())
}

/// Whether a time with offset has the one that its zone has then.
fn is_of(text: &str, zone: &TimeZone) -> bool {
    let offset = Written::read(text).and_then(|written| written.offset);
    let instant = Moment::read(text, zone).ok().and_then(|moment| moment.timestamp());
    offset.zip(instant).is_some_and(|(offset, instant)| zone.to_offset(instant) == offset)
}

/// Whether the standard has a time at a place: numbers may look like one.
fn is_time(segment: &Segment<'_>, at: &Location, version: Version) -> bool {
    let is = |datatype: &str| matches!(datatype, "TS" | "DTM");
    let Some(number) = at.field else { return false };
    let first = |part: Option<u32>| part.unwrap_or(1) == 1;
    let Some(field) = book::field(version, segment.name(), number) else { return false };
    if is(field.datatype)
        || (field.varies() && stated(segment.text(2, 1)).is_some_and(|of| is(&of)))
    {
        return first(at.component) && first(at.subcomponent);
    }
    let component = at.component.unwrap_or(1);
    book::field_component(version, segment.name(), number, component)
        .is_some_and(|part| is(part.datatype) && first(at.subcomponent))
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn told(sent: &str, body: &str) -> Vec<String> {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|{sent}||ADT^A01|1|P|2.4\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        let told = told_apart(&message, &Source::new("pas-adt", "RXX"));
        told.into_iter().map(|(at, text)| format!("{at} {text}")).collect()
    }

    #[test]
    fn the_offset_of_the_message_says_which_of_two_hours_is_meant() {
        let evn = "EVN||202510260115|||1|202510260010\r";
        assert_eq!(told("20251026012000+0000", evn), ["EVN-2 202510260115+0000"]);
        assert_eq!(told("20251026012000+0100", evn), ["EVN-2 202510260115+0100"]);
        assert_eq!(told("2025-10-26T01:20:00Z", evn), ["EVN-2 202510260115+0000"]);
        // No offset, one of elsewhere, and one of another day say nothing.
        for sent in
            ["20251026012000", "20251026012000-0500", "20251027090000+0000", "20250726012000+0100"]
        {
            assert!(told(sent, evn).is_empty(), "{sent}");
        }
    }

    #[test]
    fn only_times_are_told_apart() {
        let body = "PID|1||202510260115^^^RXX01^MR||||20251026\r\
                    SCH|202510260116||||||||||^^^202510260117^20251026013000+0100\r\
                    OBX|1|TS|X||202510260118\rOBX|2|ST|X||202510260119\r";
        let found = told("20251026012000+0000", body);
        assert_eq!(found, ["SCH-11.4 202510260117+0000", "OBX-5 202510260118+0000"]);
    }
}
