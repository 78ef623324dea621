//! What a builder gives: a resource, and what the message deleted or stated as a full set.

use std::fmt;

use crate::name_based::name_based;
use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::{Repetition, Segment};
use hl7::value::Value as Sent;
use uuid::Uuid;

use crate::json::{Object, Text, Value, object, only};
use crate::text::stated;

/// A resource that states only what the message stated.
///
/// An element that is absent means: no change. What HL7 null deletes is named in `cleared`; a
/// repeating element that was sent, and therefore replaces all that is held, in `replaced`. Both
/// are `FHIRPath`.
#[derive(Clone, PartialEq)]
pub struct Built {
    /// The resource as FHIR JSON.
    pub resource: Value,
    /// Elements that the message asked to delete.
    pub cleared: Vec<String>,
    /// Elements whose full set the message stated.
    pub replaced: Vec<String>,
    /// Data-quality findings, to be counted.
    pub quality: Vec<&'static str>,
}

/// A message from which no safe resource can be built; it is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be mapped safely ({code})")]
pub struct Unmappable {
    /// The reason code, such as `unit.lost`.
    pub code: &'static str,
    /// Where the trouble stands.
    pub at: Option<Location>,
}

impl Unmappable {
    /// Trouble in a field of a segment.
    pub fn in_field(code: &'static str, segment: &Segment<'_>, field: u32) -> Self {
        let at = segment.location().map(|at| Location { field: Some(field), ..at });
        Unmappable { code, at }
    }
}

/// A resource is patient data: only its type and the counts are shown.
impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Built")
            .field("type", &self.resource["resourceType"])
            .field("cleared", &self.cleared)
            .field("replaced", &self.replaced)
            .field("quality", &self.quality)
            .finish_non_exhaustive()
    }
}

/// Components of a data type, each with the element of FHIR's that it stands for.
pub(crate) type Parts = &'static [(usize, &'static str)];

/// A resource in the making.
pub(crate) struct Draft {
    kind: &'static str,
    pub(crate) body: Object,
    pub(crate) cleared: Vec<String>,
    pub(crate) replaced: Vec<String>,
    pub(crate) quality: Vec<&'static str>,
}

impl Draft {
    /// A resource with its type, the id by which others of the bundle refer to it, and a profile.
    pub(crate) fn new(kind: &'static str, id: &str, profile: &'static str) -> Draft {
        let mut body = Object::with_capacity(12);
        body.insert("resourceType", Value::from(kind));
        body.insert("id", Value::text(id));
        body.insert("meta", object([("profile", only(Value::from(profile)))]));
        Draft { kind, body, cleared: Vec::new(), replaced: Vec::new(), quality: Vec::new() }
    }

    /// Sets an element, if there is something to set.
    pub(crate) fn set(&mut self, element: &'static str, value: impl Into<Option<Value>>) {
        let empty = |value: &Value| match value {
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            other => other.is_null(),
        };
        if let Some(value) = value.into().filter(|value| !empty(value)) {
            self.body.insert(element, value);
        }
    }

    /// Adds to a list; the list comes into being with its first entry.
    pub(crate) fn push(&mut self, element: &'static str, value: Value) {
        let list = self.body.get_or_insert_with(element, || Value::Array(Vec::new()));
        if let Value::Array(list) = list {
            list.push(value);
        }
    }

    /// Names an element as deleted; the path begins below the resource.
    pub(crate) fn clear(&mut self, path: &str) {
        self.cleared.push([self.kind, ".", path].concat());
    }

    /// Names a repeating element as sent in full.
    pub(crate) fn replace(&mut self, path: &str) {
        self.replaced.push([self.kind, ".", path].concat());
    }

    /// Reads one value in its three states: present is returned, null clears the path.
    pub(crate) fn read(
        &mut self,
        segment: &Segment<'_>,
        field: usize,
        path: &str,
    ) -> Option<String> {
        match segment.text(field, 1) {
            Sent::Null => {
                self.clear(path);
                None
            }
            sent => stated(sent),
        }
    }

    /// Sets a repeating element from a field that states its full set: null clears it. Where nothing
    /// but nulls in components was sent, each clears what its component stands for in `parts`.
    pub(crate) fn set_all(
        &mut self,
        segment: &Segment<'_>,
        field: usize,
        (element, path): (&'static str, &str),
        parts: Parts,
        read: impl Fn(&Repetition<'_>) -> Option<Value>,
    ) {
        let Some(field) = segment.field(field).filter(|field| !field.is_empty()) else { return };
        if field.is_null() {
            return self.clear(path);
        }
        let mut values = field.repetitions().filter_map(|each| read(&each)).peekable();
        if values.peek().is_none() {
            for each in field.repetitions() {
                self.clear_parts(&each, path, parts);
            }
            return;
        }
        for value in values {
            self.push(element, value);
        }
        self.replace(path);
    }

    /// Names what each component that is null stands for as deleted.
    pub(crate) fn clear_parts(&mut self, of: &Repetition<'_>, path: &str, parts: Parts) {
        for (component, element) in parts {
            if of.component(*component).is_some_and(|found| found.is_null()) {
                self.clear(&[path, ".", element].concat());
                // Two components may stand for one element.
                self.cleared.dedup();
            }
        }
    }

    pub(crate) fn extension(&mut self, extension: Value) {
        self.push("extension", extension);
    }

    pub(crate) fn finish(mut self) -> Built {
        if !self.cleared.is_empty() {
            self.clear_only_what_is_gone();
        }
        Built {
            resource: Value::Object(self.body),
            cleared: self.cleared,
            replaced: self.replaced,
            quality: self.quality,
        }
    }

    /// What two fields may state is not gone where one of them is null and the other has a value. Of a
    /// list that is then the whole: what was held of it goes.
    fn clear_only_what_is_gone(&mut self) {
        let Self { kind, body, cleared, replaced, .. } = self;
        cleared.retain(|path| {
            let below = path.strip_prefix(*kind).and_then(|path| path.strip_prefix('.'));
            // One that is told by a condition is one of several, and the others may be stated.
            let Some(below) = below.filter(|path| !path.contains('(')) else { return true };
            let top = below.split('.').next().unwrap_or(below);
            let Some(element) = body.get(top) else { return true };
            let rest = below.split('.').skip(1);
            if !is_stated(element, rest) {
                return true;
            }
            let list = [*kind, ".", top].concat();
            if element.as_array().is_some() && !replaced.contains(&list) {
                replaced.push(list);
            }
            false
        });
    }
}

/// Whether an element has something at a path; of a list, whether any of it has.
fn is_stated<'p>(element: &Value, mut path: impl Iterator<Item = &'p str> + Clone) -> bool {
    if let Some(list) = element.as_array() {
        return list.iter().any(|each| is_stated(each, path.clone()));
    }
    let Some(name) = path.next() else { return true };
    element.get(name).is_some_and(|found| is_stated(found, path))
}

/// An extension with one coded value.
pub(crate) fn coded_extension(url: &'static str, concept: Value) -> Value {
    object([("url", Value::from(url)), ("valueCodeableConcept", concept)])
}

/// An extension with the code that a sender wrote.
pub(crate) fn code_as_sent(url: &'static str, code: impl Into<Text>) -> Value {
    object([("url", url.into()), ("valueCode", Value::String(code.into()))])
}

/// An identifier of a system.
pub(crate) fn identifier_in(system: impl Into<Text>, value: impl Into<Text>) -> Value {
    object([("system", Value::String(system.into())), ("value", Value::String(value.into()))])
}

const RESOURCES: Uuid = Uuid::from_u128(0x4c1b_8f0e_94a7_5d43_9b0d_51c2_6f0a_7e11);

/// The id of a resource made from this message: the same whenever it is made again, and never that
/// of another message or resource. `number` tells resources of one kind apart.
pub(crate) fn id(message: &Message, kind: &str, number: usize) -> String {
    let mut name = Vec::with_capacity(128);
    if let Some(msh) = message.segment("MSH", 1) {
        for field in [3, 4, 7, 10].into_iter().filter_map(|field| msh.field(field)) {
            name.extend_from_slice(field.raw());
            name.push(b'\r');
        }
    }
    name.extend_from_slice(kind.as_bytes());
    name.push(b'/');
    name.extend_from_slice(number.to_string().as_bytes());
    name_based(&RESOURCES, &name).to_string()
}

/// The URL of a resource in its bundle.
pub(crate) fn url(id: &str) -> String {
    ["urn:uuid:", id].concat()
}

/// A reference to a resource of the same bundle.
pub(crate) fn reference(id: &str) -> Value {
    object([("reference", Value::from(url(id)))])
}
