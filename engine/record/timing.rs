//! When an event happened: the catalogue's rule applied to a message.

use std::ops::Range;

use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::Segment;
use jiff::{SignedDuration, Timestamp};

use crate::catalogue::EventType;
use crate::deceased::can_be_a_death;
use crate::demographics::stands_for_none;
use crate::precision::Precision;
use crate::source::Source;
use crate::text::stated;
use crate::time::{Moment, rfc3339};

/// A time this far ahead of the clock is flagged: clocks of two machines differ by less.
const FUTURE: SignedDuration = SignedDuration::from_mins(5);

/// The time of an event and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// RFC 3339 with offset.
    pub time: String,
    /// The field it was taken from, such as `PV1-44`; `script` if a script gave it, `recorded` if
    /// the message states no readable time and the time of recording stands in.
    pub basis: String,
    /// How much was stated; a mere date counts from midnight in the source's zone.
    pub precision: Precision,
    /// The local time occurs twice, on the night the clocks go back.
    pub ambiguous: bool,
    /// The local time does not exist, on the night the clocks go forward.
    pub shifted: bool,
    /// More than five minutes after the time of recording: kept as it is.
    pub future: bool,
    /// Data-quality findings, to be counted.
    pub quality: Vec<&'static str>,
}

/// The time of an event: what a script gave, else the first readable place of the type's rule.
///
/// `group` is the range of segment positions of the result the event is about; places in ORC, OBR
/// and OBX are looked for only there. A place that holds something unreadable is passed over and
/// counted.
pub fn event_time(
    kind: &EventType,
    message: &Message,
    group: Option<Range<usize>>,
    source: &Source,
    given: Option<&str>,
    recorded: Timestamp,
) -> Timing {
    let mut quality = Vec::new();
    let scripted = given.map(|text| ("script", text.to_owned()));
    let group = group.unwrap_or(0..usize::MAX);
    let stated = kind.times.iter().filter_map(|&at| Some((at, text_at(message, at, &group)?)));
    let pid = message.segment("PID", 1);
    for (basis, text) in scripted.into_iter().chain(stated) {
        let is_death = basis == "PID-29";
        let read = if is_death { Moment::of_death } else { Moment::read }(&text, &source.zone);
        let can_be = |pid: &Segment<'_>| can_be_a_death(&text, pid, message, source);
        let is_none = stands_for_none(&text) || (is_death && !pid.as_ref().is_some_and(can_be));
        let found = read
            .ok()
            .filter(|_| !is_none)
            .and_then(|moment| timing(basis, &moment, source, recorded));
        if let Some(found) = found {
            return Timing { quality, ..found };
        }
        quality.push("time.unreadable");
    }
    quality.push("time.absent");
    Timing {
        time: rfc3339(recorded, &source.zone),
        basis: "recorded".to_owned(),
        precision: Precision::Second,
        ambiguous: false,
        shifted: false,
        future: false,
        quality,
    }
}

fn timing(basis: &str, moment: &Moment, source: &Source, recorded: Timestamp) -> Option<Timing> {
    let start = moment.start(&source.zone)?;
    let time = match moment.timestamp() {
        Some(_) => moment.fhir().to_owned(),
        None => rfc3339(start.timestamp(), &source.zone),
    };
    Some(Timing {
        time,
        basis: basis.to_owned(),
        precision: moment.precision,
        ambiguous: moment.ambiguous,
        shifted: moment.shifted,
        future: start.timestamp().duration_since(recorded) > FUTURE,
        quality: Vec::new(),
    })
}

/// The first value at a place, a field or a component, over all segments of that name inside the group.
fn text_at(message: &Message, place: &str, group: &Range<usize>) -> Option<String> {
    let at: Location = place.parse().ok()?;
    let in_group = |segment: &Segment<'_>| {
        !matches!(segment.name(), "ORC" | "OBR" | "OBX") || group.contains(&segment.index())
    };
    let mut named = message.segments().filter(|s| s.name() == at.segment.as_str() && in_group(s));
    let component = at.component.unwrap_or(1) as usize;
    named.find_map(|segment| stated(segment.text(at.field? as usize, component)))
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;
    use crate::catalogue::lookup;

    fn at(name: &str, body: &str, given: Option<&str>) -> Timing {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|202401101418||ADT^A01|1|P|2.4\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        let kind = lookup(name).expect("in the catalogue");
        let groups = message.groups(&["ORC", "OBR"]);
        let group = groups.last().map(hl7::group::Group::range);
        let recorded = "2024-07-01T12:00:00Z".parse().expect("a timestamp");
        event_time(kind, &message, group, &Source::new("pas-adt", "RXX"), given, recorded)
    }

    #[test]
    fn each_type_has_its_own_order_of_places() {
        let evn = "EVN||202401101400|||op|202401101330\r";
        let found = at("encounter.transferred", evn, None);
        assert_eq!(
            (found.basis.as_str(), found.time.as_str()),
            ("EVN-6", "2024-01-10T13:30:00+00:00")
        );
        let pv1 = format!("{evn}PV1|1|I{}202406101316", "|".repeat(42));
        let found = at("encounter.admitted", &pv1, None);
        assert_eq!(
            (found.basis.as_str(), found.time.as_str()),
            ("PV1-44", "2024-06-10T13:16:00+01:00")
        );
        assert_eq!(at("encounter.admission-cancelled", &pv1, None).basis, "EVN-2");
        assert_eq!(at("patient.updated", "", None).basis, "MSH-7");
        for none in ["19000101", "190001010000", "99991231"] {
            let pv1 = format!("{evn}PV1|1|I{}{none}", "|".repeat(42));
            assert_eq!(at("encounter.admitted", &pv1, None).basis, "EVN-6", "{none}");
        }
        let found = at("encounter.admitted", &pv1, Some("20240102030405"));
        assert_eq!((found.basis.as_str(), found.precision), ("script", Precision::Second));
    }

    #[test]
    fn a_result_takes_the_times_of_its_own_group() {
        let body = "OBR|1||F1|A|||202401010800\rOBX|1|NM|A||1||||||F|||202401010900\r\
                    OBR|2||F2|B|||202401020800\rOBX|1|NM|B||1||||||F";
        let found = at("result.available", body, None);
        assert_eq!(
            (found.basis.as_str(), found.time.as_str()),
            ("OBR-7", "2024-01-02T08:00:00+00:00")
        );
    }

    #[test]
    fn what_is_odd_about_a_time_is_said() {
        let found = at("encounter.transferred", "EVN||20240110|||op|20241301", None);
        assert_eq!((found.basis.as_str(), found.precision), ("EVN-2", Precision::Day));
        assert_eq!(found.time, "2024-01-10T00:00:00+00:00");
        assert_eq!(found.quality, ["time.unreadable"]);
        assert!(at("patient.updated", "EVN||202310290130", None).ambiguous);
        assert!(at("patient.updated", "EVN||202303260130", None).shifted);
        assert!(at("patient.updated", "EVN||202407011306", None).future);
        assert!(!at("patient.updated", "EVN||202407011304", None).future);
    }

    #[test]
    fn without_any_time_the_time_of_recording_stands_in() {
        let message =
            Message::parse(&b"MSH|^~\\&|PAS"[..], &Reading::default()).expect("a message");
        let kind = lookup("patient.updated").expect("in the catalogue");
        let recorded: Timestamp = "2024-07-01T12:00:00Z".parse().expect("a timestamp");
        let source = Source::new("pas-adt", "RXX");
        let found = event_time(kind, &message, None, &source, None, recorded);
        assert_eq!(
            (found.basis.as_str(), found.time.as_str()),
            ("recorded", "2024-07-01T13:00:00+01:00")
        );
        assert_eq!(found.quality, ["time.absent"]);
    }
}
