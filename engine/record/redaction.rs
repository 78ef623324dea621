//! What is taken out of the events of a patient whose whereabouts are protected.
//!
//! Nothing that tells where the patient lives, is treated or can be asked after may leave: the
//! sensitivity flag of PDS, PV1-16 and ZU8-4 ask for it, and who gets restricted events at all does
//! not change it. An event has one content, so nobody gets another: who may know asks the source.
//!
//! Three nets, one behind the other. The elements of each type that may stay are listed
//! (`disclosed.rs`), and nothing else stays, whichever script built it. Below those, elements
//! that never stay are taken out at any depth, and references that lead to something taken out.
//! Last, the words by which the message itself names the patient's places, contacts and earlier names,
//! and those by which any source named them before, are taken out of every text that is left
//! (`whereabouts.rs`).

use std::cell::Cell;
use std::collections::BTreeSet;

use hl7::message::Message;

use crate::disclosed::{is_harmless, is_in_part, is_kept, is_never, kept};
use crate::fhir::names::{NHS_NUMBER, RESULT_KEY, TERMINOLOGY};
use crate::json::{Object, Text, Value, object, only};
use crate::source::Source;
use crate::whereabouts::{Told, WITHHELD, Whereabouts};

/// Takes everything out of a Bundle that tells where its patient is or was, and out of the two lists
/// of paths what they say of it. The Bundle says of itself that something is missing
/// (`meta.security`: `REDACTED`), since absence otherwise means that nothing was stated. `told` is what
/// sources stated of the patient before.
///
/// Gives back in how many texts words were withheld. The same input gives the same Bundle.
pub fn redact(
    data: &mut Value,
    cleared: &mut Vec<String>,
    replaced: &mut Vec<String>,
    message: &Message,
    told: &[Told],
    source: &Source,
) -> usize {
    let entries = match data.get_mut("entry").map(Value::take) {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    };
    let kinds: Vec<Option<String>> = entries.iter().map(kind_of).collect();
    let moved = Moved::new(&kinds);
    cleared.retain_mut(|path| moved.follow(path, false));
    replaced.retain_mut(|path| moved.follow(path, true));
    let remaining: Vec<Value> = entries
        .into_iter()
        .zip(&kinds)
        .filter(|(_, kind)| kind.is_some())
        .map(|(e, _)| e)
        .collect();
    let known: BTreeSet<String> = remaining.iter().flat_map(names_of).collect();
    let patients: BTreeSet<String> =
        remaining.iter().filter(|e| is_patient(e)).flat_map(names_of).collect();
    let words = Whereabouts::of(message, told);
    let redaction = Redaction { known, patients, source, words, withheld: Cell::new(0) };
    let entries: Vec<Value> = remaining.into_iter().map(|entry| redaction.entry(entry)).collect();
    let kind = data.get_mut("type").map_or_else(|| Value::from("collection"), Value::take);
    *data = object([
        ("resourceType", "Bundle".into()),
        ("meta", object([("security", security())])),
        ("type", kind),
        ("entry", entries.into()),
    ]);
    redaction.withheld.get()
}

/// HL7's labels: restricted, and not whole.
fn security() -> Value {
    let label = |system: &str, code: &'static str| {
        object([("system", [TERMINOLOGY, system].concat().into()), ("code", code.into())])
    };
    vec![label("v3-Confidentiality", "R"), label("v3-ObservationValue", "REDACTED")].into()
}

/// Says in FHIR's words that there is something that is not told.
fn masked() -> Value {
    only(object([
        ("url", "http://hl7.org/fhir/StructureDefinition/data-absent-reason".into()),
        ("valueCode", "masked".into()),
    ]))
}

/// Why a list is empty of which nothing may be told.
fn withheld() -> Value {
    let system = [TERMINOLOGY, "list-empty-reason"].concat();
    let coding = object([("system", system.into()), ("code", "withheld".into())]);
    object([("coding", only(coding))])
}

/// The type of an entry's resource, if it may stay.
fn kind_of(entry: &Value) -> Option<String> {
    let kind = entry["resource"]["resourceType"].as_str()?;
    kept(kind).map(|_| kind.to_owned())
}

fn is_patient(entry: &Value) -> bool {
    entry["resource"]["resourceType"] == "Patient"
}

/// By what others refer to an entry.
fn names_of(entry: &Value) -> Vec<String> {
    let resource = &entry["resource"];
    let id = resource["id"].as_str();
    let kind = resource["resourceType"].as_str().unwrap_or_default();
    let url = entry["fullUrl"].as_str().map(str::to_owned);
    let relative = id.map(|id| format!("{kind}/{id}"));
    let urn = id.map(|id| format!("urn:uuid:{id}"));
    [url, relative, urn].into_iter().flatten().collect()
}

/// Where each entry of the Bundle is afterwards.
struct Moved<'k> {
    kinds: &'k [Option<String>],
}

impl<'k> Moved<'k> {
    fn new(kinds: &'k [Option<String>]) -> Self {
        Self { kinds }
    }

    /// Whether a path still says something; it then names the entry where it is now. One that names
    /// a full set (`whole`) says nothing any more where a part was taken out.
    fn follow(&self, path: &mut String, whole: bool) -> bool {
        const ENTRY: &str = "Bundle.entry[";
        let (kind, rest) = if let Some((index, rest)) =
            path.strip_prefix(ENTRY).and_then(|rest| rest.split_once("].resource."))
        {
            let Ok(index) = index.parse::<usize>() else { return false };
            let Some(Some(kind)) = self.kinds.get(index) else { return false };
            (kind.clone(), rest.to_owned())
        } else {
            // All resources of a type: what is kept of the type is kept of each of them.
            let Some((kind, rest)) = path.split_once('.') else { return kept(path).is_some() };
            (kind.to_owned(), rest.to_owned())
        };
        let Some(elements) = kept(&kind) else { return false };
        let element = rest.split(['.', '[', '(']).next().unwrap_or_default();
        let inner = rest.split(['.', '[', '(', '\'']);
        if !is_kept(elements, element) || inner.into_iter().any(is_never) {
            return false;
        }
        if element == "extension" && !is_harmless(&rest, std::iter::empty::<&str>()) {
            return false;
        }
        if whole && (is_in_part(&kind, element) || element == "extension") {
            return false;
        }
        if let Some((index, rest)) = path.strip_prefix(ENTRY).and_then(|rest| rest.split_once(']'))
        {
            let Ok(index) = index.parse::<usize>() else { return false };
            let before = self.kinds.iter().take(index).flatten().count();
            *path = format!("{ENTRY}{before}]{rest}");
        }
        true
    }
}

struct Redaction<'a> {
    /// What references may lead to.
    known: BTreeSet<String>,
    patients: BTreeSet<String>,
    source: &'a Source,
    words: Whereabouts,
    /// Texts that are not whole any more.
    withheld: Cell<usize>,
}

impl Redaction<'_> {
    fn entry(&self, mut entry: Value) -> Value {
        let mut out = Object::with_capacity(2);
        if let Some(url) = entry.get_mut("fullUrl").map(Value::take) {
            out.insert("fullUrl", url);
        }
        let resource = entry.get_mut("resource").map(Value::take);
        let Some(Value::Object(resource)) = resource else { return Value::Object(out) };
        out.insert("resource", Value::Object(self.resource(resource)));
        Value::Object(out)
    }

    fn resource(&self, resource: Object) -> Object {
        let kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        let kind = kind.to_owned();
        let elements = kept(&kind).unwrap_or_default();
        let listed = resource.contains_key("entry");
        let mut out = Object::with_capacity(resource.len());
        for (element, value) in resource {
            if !is_kept(elements, &element) {
                continue;
            }
            let value = match (kind.as_str(), &*element) {
                (_, "resourceType" | "id") => Some(value),
                (_, "meta") => profile(value),
                ("Patient", "identifier") => self.clean(of_list(value, |each| self.is_own(each))),
                ("Patient", "name") => self.names(value),
                ("Patient", "link") => self.clean(of_list(value, |each| self.links_own(each))),
                ("List", "entry") => self.items(value),
                ("Appointment", "participant") => Some(self.participants(value)),
                ("DocumentReference", "content") => Some(self.content(value)),
                ("DocumentReference", "context") => {
                    self.clean(these(value, &["encounter", "event", "period"]))
                }
                _ if is_word(&element, &value) => Some(value),
                ("Observation" | "DiagnosticReport", "code" | "valueCodeableConcept") => {
                    self.coded(value)
                }
                _ => self.clean(value),
            };
            out.extend(value.map(|value| (element, value)));
        }
        if kind == "List" && listed && !out.contains_key("entry") {
            // An empty list would say that there is nothing.
            out.insert("emptyReason", withheld());
        }
        out
    }

    /// Those of a list whose resource may be told.
    fn items(&self, value: Value) -> Option<Value> {
        let Some(Value::Array(list)) = self.clean(value) else { return None };
        let list: Vec<Value> = list.into_iter().filter(|entry| !entry["item"].is_null()).collect();
        (!list.is_empty()).then_some(Value::Array(list))
    }

    /// What was looked for or found, by a code: words of its code system are no words of the message. A
    /// text that only repeats them is none, either.
    fn coded(&self, concept: Value) -> Option<Value> {
        let Value::Object(concept) = concept else { return self.clean(concept) };
        let mut named: Vec<String> = Vec::new();
        let mut out = Object::with_capacity(2);
        for (element, value) in concept {
            let value = match (&*element, value) {
                ("coding", Value::Array(codings)) => {
                    let kept = codings.into_iter().filter_map(|coding| {
                        let named_in = coding["system"].as_str();
                        // Without a code it is a text, whatever it says of a system.
                        let known = named_in.is_some_and(|system| system.contains(':'));
                        if !known || coding["code"].is_null() {
                            return self.clean(coding);
                        }
                        named.extend(coding["display"].as_str().map(str::to_owned));
                        Some(these(coding, &["code", "display", "system", "version"]))
                    });
                    Some(Value::Array(kept.collect()))
                }
                ("text", Value::String(text)) if named.iter().any(|name| *name == *text) => {
                    Some(Value::String(text))
                }
                (_, value) => {
                    let alone = Object::from_iter([(element.clone(), value)]);
                    self.clean_object(alone).and_then(|mut kept| kept.remove(&element))
                }
            };
            out.extend(value.map(|value| (element, value)));
        }
        (!out.is_empty()).then_some(Value::Object(out))
    }

    /// The NHS Number, and the numbers by which the source itself knows the patient. One of another
    /// hospital tells where the patient was.
    fn is_own(&self, identifier: &Value) -> bool {
        if identifier["system"] == NHS_NUMBER {
            return true;
        }
        let assigner = &identifier["assigner"];
        let authority = assigner["identifier"]["value"].as_str().or(assigner["display"].as_str());
        let local = self.source.local.iter().map(|local| local.authority.as_str());
        let mut own = local.chain([self.source.organisation.as_str()]);
        authority.is_some_and(|authority| own.any(|own| own == authority))
    }

    /// Those used now. One that shares a word with an earlier one goes as a whole.
    fn names(&self, value: Value) -> Option<Value> {
        let Value::Array(list) = of_list(value, is_present) else { return None };
        let told = |name: &Value| !name.to_string().contains(WITHHELD);
        let list: Vec<Value> =
            list.into_iter().filter_map(|name| self.clean(name)).filter(told).collect();
        (!list.is_empty()).then_some(Value::Array(list))
    }

    /// To a patient of the same Bundle, or by a number that may be told.
    fn links_own(&self, link: &Value) -> bool {
        let other = &link["other"];
        other["identifier"].is_null() || self.is_own(&other["identifier"])
    }

    /// The patient; somebody is required, so that otherwise there is one who is not told.
    fn participants(&self, value: Value) -> Value {
        let Value::Array(list) = value else { return vec![nobody()].into() };
        let patient = |each: &Value| {
            each["actor"]["reference"].as_str().is_some_and(|to| self.patients.contains(to))
        };
        let of: Vec<Value> = list
            .into_iter()
            .filter(patient)
            .filter_map(|each| self.clean(these(each, &["actor", "required", "status", "type"])))
            .collect();
        if of.is_empty() { vec![nobody()].into() } else { Value::Array(of) }
    }

    /// Of a document that there is one, and of what kind: letters have addresses in their heads.
    fn content(&self, value: Value) -> Value {
        let Value::Array(list) = value else {
            return vec![object([("attachment", object([("extension", masked())]))])].into();
        };
        let each = |mut content: Value| {
            let attachment = content.get_mut("attachment").map_or(Value::Null, Value::take);
            let mut attachment =
                these(attachment, &["contentType", "creation", "hash", "language", "size"]);
            if !attachment.is_object() {
                attachment = Object::new().into();
            }
            attachment["extension"] = masked();
            let mut out = these(content, &["format"]);
            if !out.is_object() {
                out = Object::new().into();
            }
            out["attachment"] = attachment;
            out
        };
        Value::Array(list.into_iter().map(each).filter_map(|each| self.clean(each)).collect())
    }

    /// What may stay of a value; nothing where nothing may.
    fn clean(&self, value: Value) -> Option<Value> {
        match value {
            Value::Object(map) => self.clean_object(map).map(Value::Object),
            Value::Array(list) => {
                let list: Vec<Value> =
                    list.into_iter().filter_map(|each| self.clean(each)).collect();
                (!list.is_empty()).then_some(Value::Array(list))
            }
            Value::String(text) => {
                let left = self.words.withheld_from(&text);
                self.withheld.update(|count| count + usize::from(left.is_some()));
                Some(Value::String(left.map_or(text, Text::from)))
            }
            Value::Null => None,
            other => Some(other),
        }
    }

    fn clean_object(&self, map: Object) -> Option<Object> {
        if map.get("reference").is_some_and(|to| !self.leads_somewhere(to)) || is_of_another(&map) {
            return None;
        }
        let coded = map.contains_key("code") || map.contains_key("system");
        let public = map.get("system").and_then(Value::as_str).is_some_and(is_public);
        let exact = map.get("system").is_some_and(|system| system == RESULT_KEY);
        let mut out = Object::with_capacity(map.len());
        for (element, value) in map {
            let value = match &*element {
                _ if is_never(&element) => None,
                // A narrative, and what a reference is called.
                "text" if value.is_object() => None,
                "display" if !coded => None,
                "extension" | "modifierExtension" => self.extensions(value),
                // Words of FHIR, and keys that others compare.
                "reference" => Some(value),
                "system" | "url" if is_address(&value) => Some(value),
                "code" if public => Some(value),
                "value" if exact => Some(value),
                _ if is_word(&element, &value) => Some(value),
                _ => self.clean(value),
            };
            out.extend(value.map(|value| (element, value)));
        }
        (!out.is_empty()).then_some(out)
    }

    fn extensions(&self, value: Value) -> Option<Value> {
        let harmless = |each: &Value| {
            let url = each["url"].as_str().unwrap_or_default();
            each.as_object().is_some_and(|each| is_harmless(url, each.keys()))
        };
        let Value::Array(list) = of_list(value, harmless) else { return None };
        let list: Vec<Value> = list
            .into_iter()
            .filter_map(|each| self.clean(each))
            .filter(|each| each.as_object().is_some_and(|each| each.len() > 1))
            .collect();
        (!list.is_empty()).then_some(Value::Array(list))
    }

    /// To an entry that stays.
    fn leads_somewhere(&self, reference: &Value) -> bool {
        reference.as_str().is_some_and(|to| self.known.contains(to))
    }
}

/// Somebody who is not told.
fn nobody() -> Value {
    object([("actor", object([("extension", masked())])), ("status", "needs-action".into())])
}

/// The profiles alone: tags and a source may say anything.
fn profile(meta: Value) -> Option<Value> {
    let meta = these(meta, &["profile"]);
    meta.is_object().then_some(meta)
}

/// These elements of an object; nothing of anything else.
fn these(value: Value, elements: &[&str]) -> Value {
    let Value::Object(map) = value else { return Value::Null };
    let of: Object =
        map.into_iter().filter(|(element, _)| elements.contains(&&**element)).collect();
    if of.is_empty() { Value::Null } else { Value::Object(of) }
}

fn of_list(value: Value, wanted: impl Fn(&Value) -> bool) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.into_iter().filter(wanted).collect()),
        _ => Value::Null,
    }
}

/// A name that is used now. One without a use may be an earlier one, unless it stands alone; what
/// the message itself calls an earlier name is found by its words.
fn is_present(name: &Value) -> bool {
    matches!(name["use"].as_str(), None | Some("official" | "usual"))
}

/// Whether a reference without address is to somebody or something that is not told: by its type, or
/// by a number of an organisation or a professional.
fn is_of_another(reference: &Object) -> bool {
    let kind = reference.get("type").and_then(Value::as_str);
    let system = reference.get("identifier").and_then(|number| number["system"].as_str());
    let named = system.unwrap_or_default();
    kind.is_some_and(|kind| kind.starts_with(char::is_uppercase) && kept(kind).is_none())
        || ["/Id/ods-", "/Id/gmp-", "/Id/gmc-", "/Id/sds-"].iter().any(|part| named.contains(part))
}

/// Whether a value is one of FHIR's own small words where FHIR asks for one: a ward may be called
/// like it.
fn is_word(element: &str, value: &Value) -> bool {
    const ELEMENTS: [&str; 10] = [
        "category",
        "criticality",
        "docStatus",
        "gender",
        "intent",
        "priority",
        "status",
        "type",
        "use",
        "severity",
    ];
    let word = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    ELEMENTS.contains(&element) && value.as_str().is_some_and(word)
}

/// Whether codes of a system mean the same to everybody, so that none is the name of a ward.
fn is_public(system: &str) -> bool {
    system.starts_with("http://") || system.starts_with("https://")
}

fn is_address(value: &Value) -> bool {
    let schemes = ["http://", "https://", "urn:"];
    value.as_str().is_some_and(|text| schemes.iter().any(|scheme| text.starts_with(scheme)))
}
