//! The finished event: CloudEvents 1.0, structured mode, as the bytes that leave.
//!
//! Attributes that CloudEvents does not define are extensions: lower-case letters and digits, at
//! most twenty. Two of them say how to apply `data`: `cleared` and `replaced` are `FHIRPath`s separated
//! by one blank, absent when empty; `data` itself is a plain FHIR Bundle. `keyrepeated` says that the
//! keys of a result hold within its message only: it reports one number and test, or one observation
//! without sub-id, more than once.
//!
//! `partitionkey` is the internal patient id: no identifier and no hash of one, which could be
//! guessed. It stays the same when the patient's number changes, so consumers partition by it.

use crate::name_based::name_based;
use hl7::header::Header;
use hl7::message::Message;
use jiff::Timestamp;
use uuid::Uuid;

use crate::catalogue::EventType;
use crate::fhir::report::summary;
use crate::identity::Identity;
use crate::json::{Object, Value};
use crate::marks::{self, Marks};
use crate::redaction::redact;
use crate::replay::is_replay;
use crate::result::is_shared;
use crate::sensitivity::Sensitivity;
use crate::site;
use crate::source::Source;
use crate::text::printable;
use crate::timing::Timing;
use crate::whereabouts::Told;

/// Everything an event is made of; the same input gives the same bytes.
#[derive(Clone, Debug)]
pub struct EventInput<'a> {
    /// What happened.
    pub event_type: &'static EventType,
    /// The message it is made from.
    pub message: &'a Message,
    /// Its header.
    pub header: &'a Header,
    /// Where it came from.
    pub source: &'a Source,
    /// Whom it is about.
    pub identity: &'a Identity,
    /// What is known of the patient besides.
    pub known: Known<'a>,
    /// Authority of the local identifier to name in `localid`, if not the best.
    pub local: Option<&'a str>,
    /// Number of the message in the journal.
    pub message_id: u64,
    /// Which event of the message it is, from 1.
    pub position: u32,
    /// Which event of its type it is within the message, from 1.
    pub nth_of_type: u32,
    /// The Bundle.
    pub data: Value,
    /// `FHIRPath`s that the message deletes.
    pub cleared: Vec<String>,
    /// `FHIRPath`s whose full set it states.
    pub replaced: Vec<String>,
    /// When it happened.
    pub timing: &'a Timing,
    /// When the outcome was recorded.
    pub recorded: Timestamp,
    /// Hash of the configuration with its scripts and tables.
    pub configversion: &'a str,
    /// 0, and one more whenever an operator has the message processed again.
    pub revision: u32,
    /// The events of the revision before, which those of this one replace.
    pub left: &'a [Uuid],
    /// Whether the same bytes came before under the same control id, or under none: then the
    /// message's number is part of its identity, since one id never has two contents.
    pub repeated: bool,
    /// Whether an operator edited the message.
    pub edited: bool,
    /// Whether later messages of the patient may have gone before it.
    pub out_of_order: bool,
    /// Hash of the message's bytes.
    pub content_hash: &'a [u8],
    /// W3C trace context, if the message is traced.
    pub traceparent: Option<&'a str>,
}

/// What the identity index knows of the patient of an event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known<'a> {
    /// The internal patient id: `partitionkey`.
    pub partition: Option<&'a str>,
    /// What the events of one change of identity have in common: `causationid`.
    pub causation: Option<&'a str>,
    /// What sets the event apart: protection and dissent as any source said them so far.
    pub marks: Marks,
    /// What sources stated of where the patient is, if that is protected.
    pub told: &'a [Told],
}

/// An event ready to be published.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// Its `id`: the same whenever the same message is processed again in the same revision.
    pub id: Uuid,
    /// Its `type`.
    pub event_type: String,
    /// `<ods>.<entity>.<verb>.<marks>`; no identifiers.
    pub routing_key: String,
    /// Whether it may go where all events go.
    pub sensitivity: Sensitivity,
    /// Whether it is keyed by an NHS Number.
    pub keyed: bool,
    /// Its `time`.
    pub time: String,
    /// CloudEvents JSON, `application/cloudevents+json`.
    pub body: Vec<u8>,
    /// What was taken out of it, to be counted.
    pub quality: Vec<&'static str>,
}

/// It holds patient data: what is shown says only which it is.
impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("routing_key", &self.routing_key)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Makes the event.
pub fn event(mut input: EventInput<'_>) -> Event {
    let id = event_id(&input, input.revision);
    let event_type = input.event_type.full(&input.source.namespace);
    let marks = input.known.marks.about(input.event_type, &input.data);
    if marks.safeguarding {
        marks::point(&mut input.data, &mut input.cleared, &mut input.replaced);
    }
    let mut quality = Vec::new();
    if marks.protected {
        let EventInput { data, cleared, replaced, message, source, known, .. } = &mut input;
        let texts = redact(data, cleared, replaced, message, known.told, source);
        quality.push("redaction.event");
        quality.extend(std::iter::repeat_n("redaction.text", texts));
    }
    let routing_key = routing_key(&input, marks);
    let (keyed, time) = (input.identity.nhs_number.is_some(), input.timing.time.clone());
    let mut out = Attributes(Object::with_capacity(32));
    out.text("specversion", "1.0");
    out.text("id", id.to_string());
    out.text("source", input.source.uri());
    out.text("type", event_type.as_str());
    out.option("subject", input.identity.nhs_number.map(|number| number.to_string()));
    out.text("time", time.as_str());
    out.text("datacontenttype", "application/fhir+json");
    out.text("dataschema", input.event_type.schema_uri());
    whom_and_where(&mut out, &input, marks);
    when(&mut out, &input);
    lineage(&mut out, &input);
    if let Some(report) = summary(&input.data) {
        out.text("resultkey", report.key.as_str());
        out.0.insert("preliminary", Value::Bool(report.preliminary));
        out.flag("keyrepeated", report.counted || is_shared(input.message, &report.key));
    }
    out.paths("cleared", &input.cleared);
    out.paths("replaced", &input.replaced);
    out.0.insert("data", input.data);
    let mut body = Vec::with_capacity(ROOM);
    out.0.write(&mut body);
    Event {
        id,
        event_type,
        routing_key,
        sensitivity: marks.sensitivity(),
        keyed,
        time,
        body,
        quality,
    }
}

/// Bytes that most events fit in.
const ROOM: usize = 8 * 1024;

const EVENTS: Uuid = Uuid::from_u128(0x9d0f_43c6_1b52_5e0a_8e7f_2a64_c1d9_35b8);

/// `UUIDv5` over source, message identity (sender, control id, content), revision, type, and the
/// number among events of that type. Each part is preceded by its length, so that no two different
/// lists of parts give the same bytes.
fn event_id(input: &EventInput<'_>, revision: u32) -> Uuid {
    let source = input.source.uri();
    let sender = input.header.sender();
    let (revision, nth) = (revision.to_be_bytes(), input.nth_of_type.to_be_bytes());
    let number = input.message_id.to_be_bytes();
    let parts: [&[u8]; 8] = [
        source.as_bytes(),
        sender.as_bytes(),
        &input.header.control_id,
        input.content_hash,
        &revision,
        input.event_type.name.as_bytes(),
        &nth,
        &number,
    ];
    let parts = if input.repeated { &parts[..] } else { &parts[..7] };
    let mut name = Vec::new();
    for part in parts {
        name.extend_from_slice(&(part.len() as u64).to_be_bytes());
        name.extend_from_slice(part);
    }
    name_based(&EVENTS, &name)
}

fn routing_key(input: &EventInput<'_>, marks: Marks) -> String {
    let ods = input.source.organisation.chars().filter(char::is_ascii_alphanumeric);
    let ods: String = ods.collect();
    [&*ods, ".", input.event_type.name, ".", &*marks.word()].concat()
}

fn whom_and_where(out: &mut Attributes, input: &EventInput<'_>, marks: Marks) {
    if input.identity.nhs_number.is_none() {
        let local = input.identity.local_of(input.local);
        out.option("localid", local.map(ToString::to_string));
    }
    let shown = input.identity.nhs_number.or(input.identity.valid);
    let status = shown.and(input.identity.status);
    out.option("nhsnumberstatus", status.map(|status| status.to_string()));
    out.option("partitionkey", input.known.partition.map(str::to_owned));
    out.text("sensitivity", marks.sensitivity().as_str());
    out.option("restrictions", marks.restrictions());
    // Both tell where a patient is.
    if !marks.protected {
        out.option("site", site::of(input.message, input.source));
        out.option("generalpractitioner", site::practice(input.message));
    }
}

fn when(out: &mut Attributes, input: &EventInput<'_>) {
    let timing = input.timing;
    out.text("timebasis", timing.basis.as_str());
    out.text("timeprecision", timing.precision.as_str());
    out.flag("timeambiguous", timing.ambiguous);
    out.flag("timeshifted", timing.shifted);
    out.flag("timefuture", timing.future);
    out.text("recordedtime", input.recorded.to_string());
}

fn lineage(out: &mut Attributes, input: &EventInput<'_>) {
    out.text("sequence", format!("{:020}.{:05}", input.message_id, input.position));
    out.text("correlationid", input.header.control_id_text());
    out.option("causationid", input.known.causation.map(str::to_owned));
    out.text("configversion", input.configversion);
    out.0.insert("revision", Value::from(input.revision));
    let before = input.revision.checked_sub(1).map(|revision| event_id(input, revision));
    out.option("replaces", before.filter(|id| input.left.contains(id)).map(|id| id.to_string()));
    out.flag("edited", input.edited);
    out.flag("outoforder", input.out_of_order);
    out.flag("replay", is_replay(input.message));
    out.option("traceparent", input.traceparent.map(str::to_owned));
}

/// The attributes of an event in the order in which people read them.
struct Attributes(Object);

impl Attributes {
    /// CloudEvents strings hold no control characters, and an empty one says nothing.
    fn text(&mut self, name: &'static str, value: impl Into<String>) {
        let value = printable(value);
        if !value.is_empty() {
            self.0.insert(name, value);
        }
    }

    fn option(&mut self, name: &'static str, value: Option<String>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        if value {
            self.0.insert(name, true);
        }
    }

    /// A blank inside a path would look like the end of it, and means nothing in `FHIRPath`.
    fn paths(&mut self, name: &'static str, paths: &[String]) {
        let mut joined = String::with_capacity(paths.iter().map(|path| path.len() + 1).sum());
        for path in paths {
            if !joined.is_empty() {
                joined.push(' ');
            }
            joined.extend(path.split(' '));
        }
        self.text(name, joined);
    }
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::catalogue::lookup;
    use crate::fhir::bundle::bundle;
    use crate::fhir::encounter::encounter;
    use crate::fhir::patient::patient;
    use crate::fhir::report::report;
    use crate::source::LocalAuthority;
    use crate::timing::event_time;
    const ADMISSION: &str = "MSH|^~\\&|PAS|RXX01|TIE|RXX|202407271422||ADT^A01^ADT_A01|000123|P|2.4\r\
        EVN||202407271420|||op|202407271400\r\
        PID|1||9990000018^^^NHS^NH~1234567^^^RXX01^MR||TEST^ANN||19651213|2||||||||||||||||||||||||STATUS\r\
        PD1|||THE SURGERY^^Y06601\rPV1|1|I|RXX^W1^B2^RXX01";

    fn source() -> Source {
        let mut source = Source::new("pas-adt", "RXX");
        source.nhs_number.test_data = true;
        source.local = vec![LocalAuthority {
            authority: "RXX01".to_owned(),
            kind: "MR".to_owned(),
            default: true,
        }];
        source
    }

    fn made(text: &str, revision: u32, nth_of_type: u32) -> Event {
        let message =
            Message::parse(text.to_owned().into_bytes(), &Reading::default()).expect("a message");
        let header = Header::read(&message).expect("a header");
        let source = source();
        let identity = Identity::read(&message, &source).expect("no conflict");
        let event_type = lookup("encounter.admitted").expect("in the catalogue");
        let recorded = "2024-07-27T13:22:05Z".parse().expect("a timestamp");
        let timing = event_time(event_type, &message, None, &source, None, recorded);
        let built = bundle(vec![
            patient(&message, &source, &identity).expect("a patient"),
            encounter(&message, &source, None).expect("an encounter"),
        ]);
        event(EventInput {
            event_type,
            message: &message,
            header: &header,
            source: &source,
            identity: &identity,
            known: Known::default(),
            local: None,
            message_id: 42,
            position: 1,
            nth_of_type,
            data: built.resource,
            cleared: built.cleared,
            replaced: built.replaced,
            timing: &timing,
            recorded,
            configversion: "c0ffee",
            revision,
            left: &[],
            repeated: false,
            edited: false,
            out_of_order: false,
            content_hash: text.as_bytes(),
            traceparent: None,
        })
    }

    fn attributes(event: &Event) -> serde_json::Value {
        let mut body: serde_json::Value = serde_json::from_slice(&event.body).expect("JSON");
        let data = body.as_object_mut().and_then(|body| body.shift_remove("data"));
        assert_eq!(data.expect("data")["resourceType"], "Bundle");
        body
    }

    #[test]
    fn an_admission_is_an_event_keyed_by_nhs_number() {
        let event = made(&ADMISSION.replace("STATUS", "NSTS01"), 0, 1);
        assert_eq!(event.routing_key, "RXX.encounter.admitted.normal");
        assert!(event.keyed);
        let expected = json!({
            "specversion": "1.0",
            "id": event.id.to_string(),
            "source": "urn:tieline:source:RXX:pas-adt",
            "type": "uk.nhs.sharedrecord.encounter.admitted.v1",
            "subject": "9990000018",
            "time": "2024-07-27T14:00:00+01:00",
            "datacontenttype": "application/fhir+json",
            "dataschema": "urn:tieline:schema:encounter.admitted:1",
            "nhsnumberstatus": "01",
            "sensitivity": "normal",
            "site": "RXX01",
            "generalpractitioner": "Y06601",
            "timebasis": "EVN-6",
            "timeprecision": "minute",
            "recordedtime": "2024-07-27T13:22:05Z",
            "sequence": "00000000000000000042.00001",
            "correlationid": "000123",
            "configversion": "c0ffee",
            "revision": 0,
            "replaced": "Patient.identifier Patient.name \
                         Patient.generalPractitioner.where(type='Organization') Encounter.location",
        });
        assert_eq!(attributes(&event), expected);
    }

    #[test]
    fn what_comes_out_of_a_store_says_so() {
        let event = made(&ADMISSION.replace("|P|2.4", "|P^I|2.4"), 0, 1);
        assert_eq!(attributes(&event)["replay"], true);
        assert!(attributes(&made(ADMISSION, 0, 1)).get("replay").is_none());
    }

    #[test]
    fn an_untrusted_number_is_no_subject() {
        let event = made(&ADMISSION.replace("STATUS", "NSTS02"), 0, 1);
        let attributes = attributes(&event);
        assert!(attributes.get("subject").is_none() && !event.keyed);
        assert_eq!(attributes["localid"], "1234567^^^RXX01^MR");
        assert_eq!(attributes["nhsnumberstatus"], "02");
    }

    #[test]
    fn attribute_names_are_those_cloudevents_allows() {
        for name in attributes(&made(ADMISSION, 3, 1)).as_object().expect("an object").keys() {
            let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            assert!(plain && name.len() <= 20, "{name}");
        }
    }

    #[test]
    fn neither_routing_key_nor_debug_names_the_patient() {
        let event = made(&ADMISSION.replace("STATUS", "NSTS01"), 0, 1);
        let shown = format!("{event:?} {}", event.routing_key);
        for secret in ["9990000018", "1234567", "TEST"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    fn result(body: &str) -> serde_json::Value {
        let text = format!("MSH|^~\\&|LIMS|RXX01|TIE|RXX|20240110||ORU^R01|1|P|2.5.1\r{body}")
            .into_bytes();
        let message = Message::parse(text, &Reading::default()).expect("a message");
        let header = Header::read(&message).expect("a header");
        let source = source();
        let identity = Identity::read(&message, &source).expect("no conflict");
        let event_type = lookup("result.available").expect("in the catalogue");
        let recorded = "2024-07-27T13:22:05Z".parse().expect("a timestamp");
        let timing = event_time(event_type, &message, None, &source, None, recorded);
        let group = &message.groups(&["ORC", "OBR"])[0];
        let data = bundle(report(&message, group, &source).expect("a report")).resource;
        let made = event(EventInput {
            event_type,
            message: &message,
            header: &header,
            source: &source,
            identity: &identity,
            known: Known::default(),
            local: None,
            message_id: 42,
            position: 1,
            nth_of_type: 1,
            data,
            cleared: Vec::new(),
            replaced: Vec::new(),
            timing: &timing,
            recorded,
            configversion: "c0ffee",
            revision: 0,
            left: &[],
            repeated: false,
            edited: false,
            out_of_order: false,
            content_hash: b"",
            traceparent: None,
        });
        serde_json::from_slice(&made.body).expect("JSON")
    }

    #[test]
    fn an_event_says_where_its_keys_hold_for_one_message_only() {
        let once = "OBR|1||F9|WS^Wound swab\rOBX|1|ST|GERM|1|x||||||F";
        assert!(result(once).get("keyrepeated").is_none());
        let lines = "OBR|1||F9|WS^Wound swab\rOBX|1|ST|GERM||x||||||F\rOBX|2|ST|GERM||y||||||F";
        assert_eq!(result(lines)["keyrepeated"], true);
        let reports = format!("{once}\rOBR|2||F9|WS^Wound swab");
        assert_eq!(result(&reports)["keyrepeated"], true);
    }

    proptest! {
        #[test]
        fn the_same_input_gives_the_same_event(control in "[A-Z0-9]{1,20}", revision in 0_u32..5, nth in 1_u32..5) {
            let text = ADMISSION.replace("000123", &control);
            let event = made(&text, revision, nth);
            prop_assert_eq!(&event, &made(&text, revision, nth));
            prop_assert_ne!(event.id, made(&text, revision + 1, nth).id);
            prop_assert_ne!(event.id, made(&text, revision, nth + 1).id);
            prop_assert_ne!(event.id, made(&format!("{text}|"), revision, nth).id);
        }
    }
}
