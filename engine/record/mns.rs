//! An event as a signal of NHS England's Multicast Notification Service: who, what, when, and where
//! to ask. No clinical content, no demographics but the NHS Number.
//!
//! The service takes CloudEvents 1.0 with an object `filtering`, which CloudEvents has no type for;
//! a breaking change of an event is a new type, `-2` after `-1`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// What a producer of signals has agreed with the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `uk.nhs.<product>`, or the address of an ASID.
    pub source: String,
    /// The beginning of every type.
    pub producer: String,
    /// Types of events that are called otherwise, by `<entity>.<verb>`.
    pub types: BTreeMap<String, String>,
    /// Where to ask: `{id}`, `{message}` and `{type}` stand for the event's own.
    pub dataref: Option<String>,
    /// Keys of `filtering`, as far as the event knows them.
    pub filtering: Vec<Filter>,
}

/// A key of `filtering`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// ODS code of the practice.
    GeneralPractitioner,
    /// ODS code of the organisation that sent the message.
    SourceOrganisation,
    /// The channel that took it.
    SourceApplication,
    /// ODS code of the site.
    Site,
    /// `CREATE`, `UPDATE` or `DELETE`.
    Action,
}

/// Why an event makes no signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Omitted {
    /// It is keyed by no trusted NHS Number, so nobody could tell whom it is about.
    #[error("the event has no trusted NHS Number")]
    NoNumber,
    /// It is not an event of this engine.
    #[error("the event lacks an attribute that every event has")]
    Unreadable,
}

impl Omitted {
    /// One word, for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoNumber => "no-number",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The signal of an event, which is CloudEvents JSON as it left.
pub fn signal(event: &Value, rules: &Rules) -> Result<Value, Omitted> {
    let text = |name: &str| event[name].as_str().ok_or(Omitted::Unreadable);
    let subject = event["subject"].as_str().ok_or(Omitted::NoNumber)?;
    let (name, major) = named(text("type")?).ok_or(Omitted::Unreadable)?;
    let time: Timestamp = text("time")?.parse().map_err(|_| Omitted::Unreadable)?;
    let version = version(text("sequence")?);
    let mut out = Map::new();
    let mut put = |name: &str, value: String| {
        out.insert(name.to_owned(), Value::String(value));
    };
    put("specversion", "1.0".to_owned());
    put("id", text("id")?.to_owned());
    put("source", rules.source.clone());
    put("type", kind(&name, major, rules));
    put("time", format!("{time:.0}"));
    put("subject", subject.to_owned());
    if let Some(template) = &rules.dataref {
        let (message, _) = version.split_once('.').unwrap_or((&version, ""));
        let filled = template.replace("{id}", text("id")?).replace("{type}", &name);
        put("dataref", filled.replace("{message}", message));
    }
    put("versionid", format!("W/\"{version}\""));
    let filtering: Map<String, Value> =
        rules.filtering.iter().filter_map(|filter| filter.of(event, &name)).collect();
    if !filtering.is_empty() {
        out.insert("filtering".to_owned(), Value::Object(filtering));
    }
    Ok(Value::Object(out))
}

/// `encounter.admitted` and `1` of `uk.nhs.sharedrecord.encounter.admitted.v1`.
fn named(event_type: &str) -> Option<(String, &str)> {
    let (name, major) = event_type.rsplit_once(".v")?;
    let mut words = name.rsplitn(3, '.');
    let (verb, entity) = (words.next()?, words.next()?);
    Some((format!("{entity}.{verb}"), major))
}

fn kind(name: &str, major: &str, rules: &Rules) -> String {
    let own = || format!("{}-{}-{major}", rules.producer, name.replace('.', "-"));
    rules.types.get(name).cloned().unwrap_or_else(own)
}

/// `42.1` of `00000000000000000042.00001`: it grows with every event of a source.
fn version(sequence: &str) -> String {
    let parts = sequence.split('.').map(|part| match part.trim_start_matches('0') {
        "" => "0",
        number => number,
    });
    parts.collect::<Vec<_>>().join(".")
}

impl Filter {
    fn of(self, event: &Value, name: &str) -> Option<(String, Value)> {
        let attribute = |name: &str| event[name].as_str().map(str::to_owned);
        // urn:tieline:source:RXX:pas-adt
        let mut source = event["source"].as_str().unwrap_or_default().split(':').skip(3);
        // Who sent it tells where somebody is whose whereabouts are protected.
        let restrictions = event["restrictions"].as_str().unwrap_or_default();
        if self != Self::Action && restrictions.split(' ').any(|word| word == "protected") {
            return None;
        }
        let (key, value) = match self {
            Self::GeneralPractitioner => ("generalpractitioner", attribute("generalpractitioner")),
            Self::SourceOrganisation => ("sourceorganisation", source.next().map(str::to_owned)),
            Self::SourceApplication => ("sourceapplication", source.nth(1).map(str::to_owned)),
            Self::Site => ("site", attribute("site")),
            Self::Action => ("action", Some(action(name).to_owned())),
        };
        value.map(|value| (key.to_owned(), Value::String(value)))
    }
}

/// What the event does to what is known.
fn action(name: &str) -> &'static str {
    const CREATED: [&str; 14] = [
        "added",
        "admitted",
        "arrived",
        "available",
        "birth-recorded",
        "booked",
        "identified",
        "placed",
        "preadmitted",
        "raised",
        "received",
        "recorded",
        "registered",
        "started",
    ];
    const DELETED: [&str; 7] =
        ["cancelled", "cleared", "deleted", "invalidated", "removed", "revoked", "withdrawn"];
    let verb = name.rsplit('.').next().unwrap_or_default();
    let ends = |words: &[&str]| {
        words.iter().any(|word| verb == *word || verb.ends_with(&format!("-{word}")))
    };
    if ends(&DELETED) {
        "DELETE"
    } else if ends(&CREATED) {
        "CREATE"
    } else {
        "UPDATE"
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn event() -> Value {
        json!({
            "specversion": "1.0", "id": "7b7a2c0e-6f0a-5a7e-9a53-0d1c2b3a4f50",
            "source": "urn:tieline:source:RXX:pas-adt",
            "type": "uk.nhs.sharedrecord.encounter.admitted.v1", "subject": "9990000018",
            "time": "2024-06-01T14:00:00+01:00", "sequence": "00000000000000000042.00001",
            "generalpractitioner": "Y06601", "site": "RXX01", "sensitivity": "normal",
            "localid": "1234567^^^RXX01^MR",
            "data": { "resourceType": "Bundle", "entry": [{ "resource": {
                "resourceType": "Patient", "name": [{ "family": "TEST" }], "birthDate": "1965-12-13" } }] },
        })
    }

    pub(crate) fn rules() -> Rules {
        Rules {
            source: "uk.nhs.example-service".to_owned(),
            producer: "example".to_owned(),
            types: [("patient.gp-changed".to_owned(), "example-change-of-gp-2".to_owned())].into(),
            dataref: Some("https://example.nhs.uk/events/{message}/{id}?type={type}".to_owned()),
            filtering: vec![Filter::GeneralPractitioner, Filter::Action],
        }
    }

    #[test]
    fn a_signal_has_the_published_shape() {
        let signal = signal(&event(), &rules()).expect("a signal");
        assert_eq!(
            signal,
            json!({
                "specversion": "1.0", "id": "7b7a2c0e-6f0a-5a7e-9a53-0d1c2b3a4f50",
                "source": "uk.nhs.example-service", "type": "example-encounter-admitted-1",
                "time": "2024-06-01T13:00:00Z", "subject": "9990000018",
                "dataref": "https://example.nhs.uk/events/42/7b7a2c0e-6f0a-5a7e-9a53-0d1c2b3a4f50?type=encounter.admitted",
                "versionid": "W/\"42.1\"",
                "filtering": { "generalpractitioner": "Y06601", "action": "CREATE" },
            })
        );
    }

    #[test]
    fn a_table_names_types_and_what_is_not_known_is_left_out() {
        let mut event = event();
        event["type"] = json!("uk.nhs.sharedrecord.patient.gp-changed.v1");
        event.as_object_mut().expect("an object").remove("generalpractitioner");
        let rules = Rules {
            dataref: None,
            filtering: vec![
                Filter::GeneralPractitioner,
                Filter::SourceOrganisation,
                Filter::SourceApplication,
                Filter::Site,
                Filter::Action,
            ],
            ..rules()
        };
        let signal = signal(&event, &rules).expect("a signal");
        assert_eq!(signal["type"], "example-change-of-gp-2");
        assert_eq!(signal.get("dataref"), None);
        assert_eq!(
            signal["filtering"],
            json!({ "sourceorganisation": "RXX", "sourceapplication": "pas-adt", "site": "RXX01", "action": "UPDATE" })
        );
    }

    #[test]
    fn a_signal_of_somebody_protected_names_no_organisation() {
        let mut event = event();
        event["restrictions"] = json!("protected dissent");
        let filtering = [Filter::Site, Filter::SourceOrganisation, Filter::SourceApplication];
        let filtering = [&filtering[..], &[Filter::GeneralPractitioner, Filter::Action]].concat();
        let rules = Rules { filtering, ..rules() };
        let signal = signal(&event, &rules).expect("a signal");
        assert_eq!(signal["filtering"], json!({ "action": "CREATE" }));
    }

    #[test]
    fn without_a_trusted_number_there_is_no_signal() {
        let mut event = event();
        event.as_object_mut().expect("an object").remove("subject");
        assert_eq!(signal(&event, &rules()), Err(Omitted::NoNumber));
        assert_eq!(signal(&json!({ "subject": "9990000018" }), &rules()), Err(Omitted::Unreadable));
    }

    #[test]
    fn an_action_says_what_becomes_of_what_is_known() {
        for (name, wanted) in [
            ("encounter.admission-cancelled", "DELETE"),
            ("patient.death-revoked", "DELETE"),
            ("result.corrected", "UPDATE"),
            ("patient.merged", "UPDATE"),
            ("waitinglist.added", "CREATE"),
            ("encounter.leave-started", "CREATE"),
        ] {
            assert_eq!(action(name), wanted, "{name}");
        }
    }
}
