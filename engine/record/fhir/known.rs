//! What the engine itself says of a person: which identifiers are theirs, and whose they became.
//!
//! These resources are of events that follow from the identity index (merges, moves, changes of
//! number). They state identifiers and links only, never what a message says of the person.

use hl7::message::Message;

use crate::demographics::stands_for_none;
use crate::fhir::built::{Built, Draft, id, identifier_in};
use crate::fhir::coded::in_system;
use crate::fhir::datatypes::{identifier_type, organisation};
use crate::fhir::encounter::{period, set_class, visit_number};
use crate::fhir::names::{NHS_NUMBER, terminology, uk_core};
use crate::json::{Value, object};
use crate::local::LocalId;
use crate::nhs_number::NhsNumber;
use crate::source::Source;
use crate::text::stated;

/// A person by the identifiers that the index holds; nobody by default.
#[derive(Clone, Copy, Default)]
pub struct Person<'a> {
    /// The trusted number.
    pub number: Option<NhsNumber>,
    /// Identifiers of sources.
    pub local: &'a [LocalId],
}

/// Nothing of whom it is.
impl std::fmt::Debug for Person<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Person").field("local", &self.local.len()).finish_non_exhaustive()
    }
}

/// How another record of the person is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// This record goes on for both.
    Replaces,
    /// The other one goes on for both; this one is not to be used any more.
    ReplacedBy,
    /// Both go on.
    SeeAlso,
}

impl Link {
    fn code(self) -> &'static str {
        match self {
            Self::Replaces => "replaces",
            Self::ReplacedBy => "replaced-by",
            Self::SeeAlso => "seealso",
        }
    }
}

/// A Patient with these identifiers. `old` are those that are theirs no more. What belongs to the other
/// record stands in the link alone, which names that record by an identifier of its own.
pub fn person(
    message: &Message,
    person: Person<'_>,
    link: Option<(Person<'_>, Link)>,
    old: Person<'_>,
) -> Built {
    let profile = uk_core!("UKCore-Patient");
    let mut draft = Draft::new("Patient", &id(message, "Patient", 1), profile);
    let own = identifiers(&person);
    let others = link.map(|(other, _)| identifiers(&other)).unwrap_or_default();
    let of_other = link.is_some_and(|(_, link)| link != Link::SeeAlso);
    for found in &own {
        let is_local = found.get("assigner").is_some();
        if !(of_other && is_local && others.contains(found)) {
            draft.push("identifier", found.clone());
        }
    }
    for mut retired in identifiers(&old) {
        retired["use"] = Value::from("old");
        draft.push("identifier", retired);
    }
    if let Some((other, link)) = link {
        if link == Link::ReplacedBy {
            draft.set("active", Value::Bool(false));
        }
        // Once merged, the number is the survivor's: it tells no record from the other.
        let shared = |each: &Value| person.number == other.number && each.get("assigner").is_none();
        if let Some(best) = others.into_iter().find(|each| !shared(each)) {
            let whom = object([("type", Value::from("Patient")), ("identifier", best)]);
            draft.push("link", object([("other", whom), ("type", Value::from(link.code()))]));
        }
    }
    draft.finish()
}

/// How a visit stands, as far as its source said: what is not known is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// PV1-2.
    pub class: Option<String>,
    /// One of FHIR's words.
    pub status: Option<String>,
}

/// An Encounter by its number, and the number it had before; each with the type and the authority
/// that the message gives it, else those that a visit of the source has. Beside them stands what is
/// known of it, and what the PV1 of that number says: a reader puts down what it is told, and a stay
/// that goes on under another number, or with another patient, is not one of which nothing is known.
pub fn visit(
    message: &Message,
    source: &Source,
    number: &str,
    before: Option<&str>,
    standing: &Standing,
) -> Built {
    let profile = uk_core!("UKCore-Encounter");
    let mut draft = Draft::new("Encounter", &id(message, "Encounter", 1), profile);
    draft.push("identifier", numbered(message, source, number));
    if let Some(before) = before {
        let mut old = numbered(message, source, before);
        old["use"] = Value::from("old");
        draft.push("identifier", old);
    }
    let mut all = message.segments_named("PV1");
    let pv1 = all.find(|pv1| stated(pv1.text(19, 1)).as_deref() == Some(number));
    let field = |field| pv1.as_ref().and_then(|pv1| stated(pv1.text(field, 1)));
    let class = field(2).map(|class| class.to_ascii_uppercase());
    let class = class.filter(|class| !matches!(class.as_str(), "N" | "U" | "NA"));
    let class = class.or(standing.class.clone());
    let has_ended = field(45).is_some_and(|end| !stands_for_none(&end));
    let status = match (&standing.status, &standing.class) {
        (Some(status), _) => status,
        _ if has_ended => "finished",
        (None, Some(class)) if matches!(class.as_str(), "P" | "W") => "planned",
        (None, Some(_)) => "in-progress",
        (None, None) => "unknown",
    };
    draft.set("status", Value::text(status));
    if let Some(class) = class {
        set_class(&mut draft, &class);
    } else {
        let unknown = in_system(terminology!("v3-NullFlavor"), "UNK", None);
        draft.set("class", unknown["coding"][0].clone());
    }
    if let Some(pv1) = &pv1 {
        period(&mut draft, pv1, source, false);
    }
    let reference = format!("urn:uuid:{}", id(message, "Patient", 1));
    draft.set("subject", object([("reference", Value::from(reference))]));
    draft.finish()
}

/// Where the numbers of visits and accounts stand, and their type where the sender names none. What
/// other events say of a visit comes from PV1 and PID, so that these are asked first.
const NUMBERS: [(&str, usize, Option<&str>); 6] = [
    ("PV1", 19, Some("VN")),
    ("PV1", 50, None),
    ("PID", 18, Some("AN")),
    ("MRG", 5, Some("VN")),
    ("MRG", 3, Some("AN")),
    ("MRG", 6, None),
];

fn numbered(message: &Message, source: &Source, number: &str) -> Value {
    let stated = NUMBERS.iter().find_map(|(name, field, kind)| {
        let mut all = message.segments_named(name);
        let segment = all.find(|of| stated(of.text(*field, 1)).as_deref() == Some(number))?;
        visit_number(&segment, *field, *kind, source)
    });
    stated.unwrap_or_else(|| {
        object([
            ("type", identifier_type("VN")),
            ("value", Value::text(number)),
            ("assigner", organisation(&source.organisation, None)),
        ])
    })
}

/// The same of a visit that was not this patient's.
pub fn misfiled(message: &Message, source: &Source, number: &str) -> Built {
    let mut built = visit(message, source, number, None, &Standing::default());
    built.resource["status"] = Value::from("entered-in-error");
    built
}

/// The number first: it names the person best.
fn identifiers(person: &Person<'_>) -> Vec<Value> {
    let number = person.number.map(|number| identifier_in(NHS_NUMBER, number.to_string()));
    let local = person.local.iter().map(|local| {
        object([
            ("type", identifier_type(&local.kind)),
            ("value", Value::text(&local.value)),
            ("assigner", organisation(&local.authority, None)),
        ])
    });
    number.into_iter().chain(local).collect()
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;
    use crate::fhir::example;

    fn local(value: &str) -> LocalId {
        let (authority, kind) = ("RXX01".to_owned(), "MR".to_owned());
        LocalId { authority, kind, value: value.to_owned() }
    }

    #[test]
    fn the_retired_record_says_who_goes_on_and_is_not_active() {
        let text = b"MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A40|1|P|2.4\r".to_vec();
        let message = Message::parse(text, &Reading::default()).expect("a message");
        let number = NhsNumber::parse("9990000018").expect("a number");
        let (survivor, retired) = ([local("1")], [local("2")]);
        let survivor = Person { number: Some(number), local: &survivor };
        let retired = Person { number: None, local: &retired };
        let nobody = Person::default();
        let tombstone =
            person(&message, retired, Some((survivor, Link::ReplacedBy)), nobody).resource;
        assert_eq!(tombstone["active"], false);
        assert_eq!(tombstone["identifier"][0]["value"], "2");
        assert_eq!(tombstone["link"][0]["type"], "replaced-by");
        assert_eq!(tombstone["link"][0]["other"]["identifier"]["value"], "9990000018");
        let goes_on = person(&message, survivor, Some((retired, Link::Replaces)), nobody).resource;
        assert_eq!(goes_on["link"][0]["other"]["identifier"]["value"], "2");
        assert_eq!(goes_on["identifier"][1]["assigner"]["identifier"]["value"], "RXX01");
        assert!(goes_on.get("active").is_none());
        let (other, old) = ([local("3")], NhsNumber::parse("9990000026").ok());
        let old = Person { number: old, local: &other };
        let changed = person(&message, survivor, None, old).resource;
        let used: Vec<_> = changed["identifier"].as_array().into_iter().flatten().collect();
        let used: Vec<_> = used.iter().map(|id| (&id["value"], id["use"] == "old")).collect();
        assert_eq!(
            format!("{used:?}"),
            r#"[(String("9990000018"), false), (String("1"), false), (String("9990000026"), true), (String("3"), true)]"#
        );
    }

    #[test]
    fn records_of_one_number_are_told_apart_by_their_own_identifiers() {
        let message = example::message("ADT^A40", "");
        let number = NhsNumber::parse("9990000018").ok();
        let (survivor, retired) = ([local("1"), local("2")], [local("2")]);
        let survivor = Person { number, local: &survivor };
        let retired = Person { number, local: &retired };
        let nobody = Person::default();
        let goes_on = person(&message, survivor, Some((retired, Link::Replaces)), nobody).resource;
        assert_eq!(goes_on["link"][0]["other"]["identifier"]["value"], "2");
        let values: Vec<&Value> =
            goes_on["identifier"].as_array().into_iter().flatten().map(|id| &id["value"]).collect();
        assert_eq!(values, ["9990000018", "1"]);
    }

    #[test]
    fn a_moved_visit_keeps_its_authority() {
        let body = "PID|1||1^^^RXX01^MR\rMRG|2^^^RXX01^MR||||V1^^^RXX01^VN\rPV1|1|I";
        let message = example::message("ADT^A50", &format!("{body}{}V2", "|".repeat(17)));
        let source = example::source();
        let moved = visit(&message, &source, "V2", Some("V1"), &Standing::default()).resource;
        let authority = |at: usize| &moved["identifier"][at]["assigner"]["identifier"]["value"];
        assert_eq!(moved["identifier"][1]["value"], "V1");
        assert_eq!(moved["identifier"][1]["use"], "old");
        assert_eq!(authority(0), source.organisation.as_str());
        assert_eq!(authority(1), "RXX01");
        assert_eq!((&moved["status"] == "unknown", &moved["class"]["code"] == "IMP"), (true, true));
        let gone = misfiled(&message, &source, "V9").resource;
        assert_eq!(gone["status"], "entered-in-error");
        assert!(gone["identifier"][0].get("assigner").is_some());
    }

    #[test]
    fn a_moved_visit_stands_as_it_stood() {
        let source = example::source();
        let pv1 = |rest: &str| format!("PID|1||1^^^RXX01^MR\rPV1|1||{}V1{rest}", "|".repeat(16));
        let times = |end: &str| format!("{}202401091530|{end}", "|".repeat(25));
        for (rest, class, status, expected) in [
            ("", None, None, "UNK unknown -"),
            ("", Some("I"), None, "IMP in-progress -"),
            ("", Some("P"), None, "PRENC planned -"),
            ("", Some("I"), Some("onleave"), "IMP onleave -"),
            (&times(""), Some("I"), None, "IMP in-progress 2024-01-09T15:30:00+00:00"),
            (&times("202401100900"), None, None, "UNK finished 2024-01-09T15:30:00+00:00"),
            (
                &times("202401100900"),
                Some("E"),
                Some("finished"),
                "EMER finished 2024-01-09T15:30:00+00:00",
            ),
        ] {
            let message = example::message("ADT^A45", &pv1(rest));
            let [class, status] = [class, status].map(|text: Option<&str>| text.map(str::to_owned));
            let moved = visit(&message, &source, "V1", None, &Standing { class, status }).resource;
            let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
            let start = text(&moved["period"]["start"]);
            let found = [text(&moved["class"]["code"]), text(&moved["status"]), start];
            assert_eq!(found.join(" "), expected, "{rest}");
        }
        // Another visit's PV1 says nothing of it.
        let message = example::message("ADT^A45", &pv1(&times("202401100900")));
        let moved = visit(&message, &source, "V2", None, &Standing::default()).resource;
        assert!(moved["status"] == "unknown" && moved.get("period").is_none());
    }
}
