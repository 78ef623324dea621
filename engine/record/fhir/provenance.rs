//! Where the resources of an event come from, as UK Core Provenance.

use crate::name_based::name_based;
use hl7::message::Message;
use jiff::Timestamp;
use uuid::Uuid;

use crate::fhir::built::{Built, Draft, id, identifier_in, reference};
use crate::fhir::coded::in_system;
use crate::fhir::datatypes::{logical, organisation, practitioner};
use crate::fhir::names::{CHANNEL, CONTROL_ID, SCRIPT, terminology, uk_core};
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::stated;
use crate::time::{Moment, rfc3339};

/// The script that made the resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maker {
    /// Its path below the transforms folder.
    pub path: String,
    /// The hash of its text, its libraries and its tables, as [`version`] gives it.
    pub version: String,
}

const SCRIPTS: Uuid = Uuid::from_u128(0x2f60_71b4_c9d8_5a3e_8e21_70ad_1b93_64f5);

/// The version of a script by all the texts it is made of: the same texts, the same version.
pub fn version<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> String {
    let mut name = Vec::new();
    for (path, text) in texts {
        for part in [path, text] {
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part.as_bytes());
        }
    }
    name_based(&SCRIPTS, &name).to_string()
}

/// Builds the Provenance of a message: it aims at the Patient, and a bundle adds its other resources.
///
/// `recorded` is EVN-2, else MSH-7, else when the message was received; `occurred` EVN-6, else the
/// last update of the person, PID-33. Agents are the sending system, who entered it (EVN-5), and the
/// script.
pub fn provenance(message: &Message, source: &Source, maker: &Maker, received: Timestamp) -> Built {
    let profile = uk_core!("UKCore-Provenance");
    let mut draft = Draft::new("Provenance", &id(message, "Provenance", 1), profile);
    draft.push("target", reference(&id(message, "Patient", 1)));
    let at = |segment: &str, field: usize| {
        let text = stated(message.segment(segment, 1)?.text(field, 1))?;
        Moment::read(&text, &source.zone).ok()
    };
    let occurred = at("EVN", 6).or_else(|| at("PID", 33));
    draft.set("occurredDateTime", occurred.map(|moment| Value::text(moment.fhir())));
    let recorded = at("EVN", 2).filter(Moment::has_time).or_else(|| at("MSH", 7));
    let recorded = recorded.filter(Moment::has_time).map(|moment| moment.fhir().to_owned());
    let recorded = recorded.unwrap_or_else(|| rfc3339(received, &source.zone));
    draft.set("recorded", Value::from(recorded));
    event(&mut draft, message);
    agents(&mut draft, message, source, maker);
    if let Some(control) = text(message, "MSH", 10, 1) {
        let what = logical("MessageHeader", identifier_in(CONTROL_ID, control));
        draft.set("entity", only(object([("role", Value::from("source")), ("what", what)])));
    }
    draft.finish()
}

fn text(message: &Message, segment: &str, field: usize, component: usize) -> Option<String> {
    stated(message.segment(segment, 1)?.text(field, component))
}

/// MSH-9.2, the trigger event (table 0003), as what was done; EVN-4 why.
fn event(draft: &mut Draft, message: &Message) {
    if let Some(trigger) = text(message, "MSH", 9, 2) {
        draft.set("activity", in_system(terminology!("v2-0003"), trigger, None));
    }
    if let Some(reason) = text(message, "EVN", 4, 1) {
        draft.set("reason", only(in_system(terminology!("v2-0062"), reason, None)));
    }
}

fn agents(draft: &mut Draft, message: &Message, source: &Source, maker: &Maker) {
    let kind =
        |code: &'static str| in_system(terminology!("provenance-participant-type"), code, None);
    let sender = [3, 4].into_iter().filter_map(|field| text(message, "MSH", field, 1));
    let sender = sender.collect::<Vec<_>>().join("/");
    let mut system = logical("Device", identifier_in(CHANNEL, source.uri()));
    if !sender.is_empty() {
        system["display"] = Value::from(sender);
    }
    let of = organisation(&source.organisation, None);
    let sending = [("type", kind("transmitter")), ("who", system), ("onBehalfOf", of)];
    draft.push("agent", object(sending));
    let operator = message.segment("EVN", 1);
    let operator = operator.and_then(|evn| practitioner(&evn.field(5)?.repetition(1)?));
    if let Some(who) = operator {
        draft.push("agent", object([("type", kind("enterer")), ("who", who)]));
    }
    let mut script = Object::with_capacity(3);
    script.insert("type", Value::from("Device"));
    script.insert("identifier", identifier_in(SCRIPT, maker.version.clone()));
    script.insert("display", Value::text(&maker.path));
    draft.push("agent", object([("type", kind("assembler")), ("who", Value::Object(script))]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{code, message, source};

    fn built(body: &str) -> Value {
        let maker = Maker { path: "pas_adt.rhai".to_owned(), version: "v".to_owned() };
        provenance(&message("ADT^A01", body), &source(), &maker, Timestamp::UNIX_EPOCH).resource
    }

    #[test]
    fn it_says_from_whom_when_and_by_what() {
        let provenance = built("");
        assert_eq!(provenance["recorded"], "2024-01-10T14:30:00+00:00");
        assert_eq!(code(&provenance["activity"]), "A01");
        assert_eq!(provenance["entity"][0]["what"]["identifier"]["value"], "M1");
        let agents = provenance["agent"].as_array().expect("a list");
        assert_eq!(agents.len(), 2);
        assert_eq!(agents[0]["who"]["display"], "PAS/RXX01");
        assert_eq!(agents[1]["who"]["identifier"]["value"], "v");
        let updated =
            built("PID|||||||||||||||||||||||||||||||||20240109").get("occurredDateTime").cloned();
        assert_eq!(updated, Some(Value::from("2024-01-09")));
    }

    #[test]
    fn a_message_without_times_was_recorded_when_it_was_received() {
        let text = "MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A01|1|P|2.4\rEVN||\"\"||||\"\"";
        let message =
            Message::parse(text.as_bytes(), &hl7::message::Reading::default()).expect("a message");
        let maker = Maker { path: "p".to_owned(), version: "v".to_owned() };
        let built = provenance(&message, &source(), &maker, Timestamp::UNIX_EPOCH).resource;
        assert_eq!(built["recorded"], "1970-01-01T01:00:00+01:00");
        assert!(built.get("occurredDateTime").is_none());
    }

    #[test]
    fn the_version_of_a_script_is_that_of_its_texts() {
        let one = version([("a.rhai", "x"), ("b.rhai", "y")]);
        assert_eq!(one, version([("a.rhai", "x"), ("b.rhai", "y")]));
        assert_ne!(one, version([("a.rhai", "xb"), (".rhai", "y")]));
    }
}
