//! What of a message reached no event: nothing may get lost without somebody being able to see it.
//!
//! A value counts as arrived where its text is found in the data of an event: as a whole text, as words
//! inside one, as a number or as a time, or as the system of a code. A short code may be found by chance;
//! what is listed was found nowhere. An HL7 null counts as arrived where an event clears something of
//! what its segment becomes.

use std::collections::HashSet;

use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::Segment;
use hl7::tree;
use serde_json::Value;

use crate::fhir::coded::system;

/// Places in a message whose text is in no event by its nature, and why.
#[derive(Debug)]
pub struct PassedOver {
    /// Segments, fields and components.
    pub places: &'static [&'static str],
    /// Why nobody misses the text.
    pub why: &'static str,
}

/// What is not looked for.
pub const PASSED_OVER: &[PassedOver] = &[
    PassedOver {
        places: &[
            "MSH", "EVN-1", "EVN-2", "EVN-6", "MSA", "ERR", "SFT", "BHS", "BTS", "FHS", "FTS",
        ],
        why: "The envelope. `source`, `type`, `time`, `correlationid` and `replay` say of it what \
              matters.",
    },
    PassedOver {
        places: &[
            "PID-1", "PV1-1", "NK1-1", "AL1-1", "IAM-1", "DG1-1", "PR1-1", "OBR-1", "OBX-1",
            "NTE-1", "SPM-1", "TXA-1", "RGS-1", "AIS-1", "AIG-1", "AIL-1", "AIP-1", "TQ1-1",
            "IN1-1", "ROL-1",
        ],
        why: "Numbers that count the segments of the message.",
    },
    PassedOver {
        places: &[
            "OBX-2", "PID-3.5", "PID-5.7", "PID-11.7", "PID-13.2", "PID-13.3", "PID-14.2",
            "PID-14.3", "PID-32", "PV1-7.8", "PV1-19.5", "PV1-50.5", "NK1-2.7", "NK1-4.7",
            "NK1-5.2", "NK1-5.3", "NK1-6.2", "NK1-6.3", "PRD-1",
        ],
        why: "Kinds of numbers, names, addresses and values: they decide which element a value becomes.",
    },
    PassedOver {
        places: &[
            "PID-8", "PID-24", "PID-30", "PV1-2", "AL1-2", "AL1-4", "IAM-2", "IAM-4", "IAM-6",
            "ORC-1", "ORC-5", "OBR-24", "OBR-25", "OBX-8", "OBX-11", "SCH-6", "SCH-10", "SCH-25",
            "AIS-8", "RF1-1", "RF1-2", "TXA-17", "TXA-18", "TXA-19", "DG1-6", "DG1-21", "PR1-20",
            "PV1-16", "ZU3-3", "ZU8-2", "ZU8-4",
        ],
        why: "Codes that FHIR says in words of its own; some stand beside them as they were sent.",
    },
    PassedOver {
        places: &["PID-19"],
        why: "The social security number of the US, which is no identifier in the UK. An NHS Number is read \
              from there where `fallbacks` names it; a National Insurance number never leaves.",
    },
];

/// The values of a message that are in no event, by where they stand. Empty without events: then the
/// message as a whole was parked or filtered, with a reason.
pub fn unreached(message: &Message, events: &[Value]) -> Vec<Location> {
    if events.is_empty() {
        return Vec::new();
    }
    let mut said = Said::default();
    for event in events {
        said.take(&event["data"]);
        let cleared = event["cleared"].as_str().into_iter().flat_map(|paths| paths.split(' '));
        said.cleared.extend(cleared.map(str::to_owned));
    }
    let passed_over = Places::read();
    let mut found = Vec::new();
    for segment in message.segments() {
        let Ok(tree) = tree::tree(&segment, message.delimiters(), message.charset()) else {
            continue;
        };
        let leaves: Vec<(Location, hl7::value::Value<&str>)> = tree.leaves().collect();
        for &(at, value) in &leaves {
            if value.is_null() {
                if !passed_over.has(&at) && !says_nothing(&at) && !said.clears(segment.name()) {
                    found.push(at);
                }
                continue;
            }
            let Some(text) = value.into_option().map(str::trim).filter(|text| !text.is_empty())
            else {
                continue;
            };
            let beside = || {
                let of_field = leaves.iter().filter(|(other, _)| is_beside(other, &at));
                of_field.filter_map(|(_, value)| value.into_option())
            };
            if !passed_over.has(&at)
                && !is_said_by_the_value(&segment, &at)
                && !said.has(text)
                && !said.has_short(text, beside())
            {
                found.push(at);
            }
        }
    }
    found
}

/// Whether two places are parts of one repetition of one field.
fn is_beside(one: &Location, other: &Location) -> bool {
    one != other && one.field == other.field && one.repetition == other.repetition
}

/// Source, type and encoding of a document in OBX-5 (ED, RP), which its media type says; comparator and
/// separator of a number (SN), which the form of its value says.
fn is_said_by_the_value(segment: &Segment<'_>, at: &Location) -> bool {
    let is_value = segment.name() == "OBX" && at.field == Some(5);
    let kind = segment.text(2, 1).into_option();
    let component = at.component.unwrap_or(1);
    is_value
        && kind.is_some_and(|kind| match &*kind {
            "ED" | "RP" => component < 5,
            "SN" => matches!(component, 1 | 3),
            _ => false,
        })
}

/// Nulls in identifiers: the index decides what they take away, and says so by events of its own.
fn says_nothing(at: &Location) -> bool {
    at.segment.as_str() == "PID" && matches!(at.field, Some(2..=4 | 18 | 19))
        || at.segment.as_str() == "MRG"
}

/// Segments and the resource in which the HL7 null of one clears something.
const CLEARS: [(&str, &str); 17] = [
    ("PID", "Patient"),
    ("PD1", "Patient"),
    ("NK1", "RelatedPerson"),
    ("PV1", "Encounter"),
    ("PV2", "Encounter"),
    ("ZU1", "Encounter"),
    ("ZU3", "Encounter"),
    ("ZU4", "Encounter"),
    ("ZU5", "Encounter"),
    ("AL1", "AllergyIntolerance"),
    ("IAM", "AllergyIntolerance"),
    ("DG1", "Condition"),
    ("PR1", "Procedure"),
    ("SCH", "Appointment"),
    ("RF1", "ServiceRequest"),
    ("TXA", "DocumentReference"),
    ("OBX", "Observation"),
];

/// The list above, read.
struct Places(Vec<Location>);

impl Places {
    fn read() -> Self {
        let places = PASSED_OVER.iter().flat_map(|part| part.places);
        Self(places.filter_map(|place| place.parse().ok()).collect())
    }

    fn has(&self, at: &Location) -> bool {
        self.0.iter().any(|place| {
            place.segment == at.segment
                && (place.field.is_none() || place.field == at.field)
                && place.component.is_none_or(|wanted| at.component.unwrap_or(1) == wanted)
        })
    }
}

/// What events say, in the forms in which it is looked for.
#[derive(Default)]
struct Said {
    whole: HashSet<String>,
    /// All texts, each in a line.
    text: String,
    numbers: Vec<f64>,
    /// The digits of dates and times, without offset.
    times: Vec<String>,
    /// The paths that events name as cleared.
    cleared: Vec<String>,
}

/// A shorter text is looked for as a whole one only: as a part of words it is everywhere.
const SHORT: usize = 3;
/// The digits of a date.
const DATE: usize = 8;
/// The digits of a month.
const MONTH: usize = 6;

impl Said {
    fn take(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                let text = plain(text);
                self.times.extend(time_digits(&text));
                self.text.push_str(&text);
                self.text.push('\n');
                self.whole.insert(text);
            }
            Value::Number(number) => {
                self.whole.insert(number.to_string());
                self.numbers.extend(number.as_f64());
            }
            Value::Array(list) => list.iter().for_each(|each| self.take(each)),
            Value::Object(map) => map.values().for_each(|each| self.take(each)),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn has(&self, text: &str) -> bool {
        let text = plain(&unformatted(text));
        // A comparator stands beside its number.
        let number = text.trim_start_matches(['<', '>']).trim_start_matches('=').trim_start();
        self.whole.contains(&text)
            || self.whole.contains(&plain(&system(&text)))
            || (text.len() >= SHORT && has_words(&self.text, &text))
            || number.parse().is_ok_and(|number: f64| self.numbers.contains(&number))
            || self.has_time(&text)
    }

    /// Whether a short text stands in one with a longer part of its own field: `Dr` in the name of the
    /// doctor.
    fn has_short<'b>(&self, text: &str, mut beside: impl Iterator<Item = &'b str>) -> bool {
        let text = plain(text);
        text.len() < SHORT
            && beside.any(|other| {
                let other = plain(other);
                let both = |line: &str| has_words(line, &text) && has_words(line, &other);
                other.len() >= SHORT && self.text.lines().any(both)
            })
    }

    /// Whether something of what a segment becomes is cleared: which `""` did it, the paths do not say.
    /// Segments that are not listed clear nothing of their own.
    fn clears(&self, segment: &str) -> bool {
        let resource = CLEARS.iter().find(|(name, _)| *name == segment).map(|(_, of)| *of);
        resource.is_some_and(|of| self.cleared.iter().any(|path| path.starts_with(of)))
    }

    /// Whether the same moment is stated, as precisely or less so.
    fn has_time(&self, text: &str) -> bool {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let with_dashes = time_digits(&text.replacen(' ', "t", 1));
        let digits = with_dashes.as_deref().unwrap_or(&text[..end]);
        let same = |time: &String| {
            let both_days = digits.len() >= DATE && time.len() >= DATE;
            *time == digits
                || both_days && (time.starts_with(digits) || digits.starts_with(&**time))
        };
        digits.len() >= MONTH && self.times.iter().any(same)
    }
}

/// Whether words stand in a text with no letter or digit directly before or behind them.
fn has_words(text: &str, words: &str) -> bool {
    text.match_indices(words).any(|(at, found)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + found.len()..].chars().next();
        ![before, behind].into_iter().flatten().any(char::is_alphanumeric)
    })
}

/// A text without the sequences that format it: `\.br\` is a line break in an event.
fn unformatted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, sequence)) = rest.split_once("\\.") {
        let Some((_, behind)) = sequence.split_once('\\') else { break };
        out.push_str(before);
        out.push(' ');
        rest = behind;
    }
    out + rest
}

/// Small letters, one blank between words.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// `2024-01-10t10:00:00+00:00` as `20240110100000`.
fn time_digits(text: &str) -> Option<String> {
    let (date, time) = text.split_once('t').unwrap_or((text, ""));
    let lengths = || date.split('-').map(str::len);
    let is_date = lengths().eq([4, 2, 2]) || lengths().eq([4, 2]);
    let time = time.split(['+', '-', 'z', '.']).next().unwrap_or_default();
    let digits: String = date.chars().chain(time.chars()).filter(char::is_ascii_digit).collect();
    (is_date && digits.len() >= MONTH).then_some(digits)
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;
    use serde_json::json;

    use super::*;

    fn missing(body: &str, data: &Value) -> Vec<String> {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A01|1|P|2.4\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        let found = unreached(&message, &[json!({ "data": data })]);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_no_event_says_is_listed_by_its_place() {
        let data = json!({ "name": [{ "family": "TEST" }], "birthDate": "1965-12-13",
                           "value": 7.10, "text": "1 Road, AA1 1AA" });
        assert_eq!(missing("PID|1||||TEST^ANN||19651213", &data), ["PID-5.2"]);
        assert_eq!(missing("PID|||||test||1965121309|||1  ROAD^^^^AA1 1AA", &data), [""; 0]);
        assert_eq!(missing("OBX|1|NM|K||7.1\rZAB|1|secret", &data), ["OBX-3", "ZAB-1", "ZAB-2"]);
    }

    #[test]
    fn a_null_that_clears_nothing_is_listed() {
        let text = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A08|1|P|2.4\r\
                    PID|1||1^^^RXX01^MR\rPV1|1|W\rZU4||||||\"\"\rZAL|\"\"";
        let message = Message::parse(text.as_bytes(), &Reading::default()).expect("a message");
        let listed = |cleared: &str| {
            let event = json!({ "data": ["1", "RXX01"], "cleared": cleared });
            let found = unreached(&message, &[event]);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(listed("Patient.telecom"), ["ZU4-6", "ZAL-1"]);
        assert_eq!(listed("Patient.telecom Encounter.extension('x')"), ["ZAL-1"]);
    }

    #[test]
    fn every_repetition_and_segment_is_looked_at() {
        let data = json!({ "value": ["one", "two"] });
        let found = missing("NTE|1||one\rNTE|2||three~two~four", &data);
        assert_eq!(found, ["NTE(2)-3", "NTE(2)-3(3)"]);
    }

    #[test]
    fn a_part_of_a_word_is_not_the_word() {
        let data = json!({ "text": "PETERSON", "code": "W1" });
        assert_eq!(
            missing("PV1|1||W^W1\rPID|||||PETER^SON", &data),
            ["PV1-3.1", "PID-5.1", "PID-5.2"]
        );
    }

    #[test]
    fn times_are_the_same_in_both_spellings() {
        let data = json!({ "start": "2024-07-10T10:31:00+01:00", "end": "2024-07-11" });
        assert_eq!(missing("PV2||||||||202407101031|20240711", &data), [""; 0]);
        assert_eq!(missing("PV2||||||||202407101032|202407", &data), ["PV2-8", "PV2-9"]);
    }

    #[test]
    fn what_a_value_says_in_another_form_is_not_missing() {
        let data = json!({ "valueQuantity": { "comparator": "<", "value": 5 }, "high": 10, "low": 1000,
            "note": "first line\nsecond line", "month": "2026-01" });
        let body = "OBX|1|ST|||< 5\rOBX|2|NM|||>=1000\rOBX|3|SN|||<^5^-^10\rOBX|4|FT|||first line\\.br\\second line\r\
                    OBX|5|DT|||202601";
        assert_eq!(missing(body, &data), [""; 0]);
        assert_eq!(missing("OBX|5|DT|||202602\rOBX|1|NM|||<6", &data), ["OBX-5", "OBX(2)-5"]);
    }

    #[test]
    fn a_title_is_said_in_the_name_that_it_belongs_to() {
        let data = json!({ "display": "Dr Al Achterberg", "other": "ward w1 of dr who" });
        assert_eq!(missing("PD1||||G1^Achterberg^Al^^^DR", &data), ["PD1-4.1"]);
        assert_eq!(missing("PD1||||^Bellweather^^^^Dr", &data), ["PD1-4.2", "PD1-4.6"]);
        assert_eq!(missing("PV1|1||W1", &data), ["PV1-3"]);
    }

    #[test]
    fn the_system_of_a_code_is_said_by_its_uri() {
        let data = json!({ "code": "S72.0", "system": "http://hl7.org/fhir/sid/icd-10",
                           "other": "urn:tieline:codes:L" });
        assert_eq!(missing("DG1|1|I10|S72.0^^ICD10", &data), [""; 0]);
        assert_eq!(missing("OBX|1|CE|S72.0^^L|LN", &data), ["OBX-4"]);
    }

    #[test]
    fn a_date_with_dashes_is_the_same_date() {
        let data = json!({ "birthDate": "1965-12-13" });
        assert_eq!(missing("PID|||||||1965-12-13 00:00:00^D", &data), ["PID-7.2"]);
        assert_eq!(missing("PID|||||||1965-12-14 00:00:00", &data), ["PID-7"]);
    }

    #[test]
    fn envelope_counts_and_kinds_are_not_looked_for() {
        let body =
            "EVN|A01|202401101400\rPID|7||1^^^^MR||X^^^^^^L\rOBX|1|ED|||IM^AP^PDF^Base64^QUJD";
        let data = json!({ "value": ["1", "X"], "data": "QUJD" });
        assert_eq!(missing(body, &data), [""; 0]);
        let listed: usize = PASSED_OVER.iter().map(|part| part.places.len()).sum();
        assert_eq!(Places::read().0.len(), listed, "every place can be read");
    }

    #[test]
    fn a_message_without_events_is_told_by_its_reason() {
        let message = Message::parse(&b"MSH|^~\\&|PAS\rPID|||1"[..], &Reading::default());
        assert!(unreached(&message.expect("a message"), &[]).is_empty());
    }
}
