//! FHIR resources as opaque values: built by the record crate, changed by path, cheap to pass.

use std::ops::Range;
use std::sync::Arc;

use record::fhir::built::Built;
use record::json::Value;
use rhai::{Array, Dynamic, EvalAltResult, Map};

use crate::json;
use crate::natives::message::{GroupView, Handle};
use crate::natives::tables;
use crate::null::{self, Null};
use crate::path::Path;
use crate::reference::Part;
use crate::run;
use crate::vocabulary::Vocabulary;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// A FHIR resource. A copy is made only when one of two holders changes it.
#[derive(Clone)]
pub(crate) struct Resource(Arc<Body>);

#[derive(Clone)]
struct Body {
    built: Built,
    /// Positions of the segments of the message that it was built from, if they are a group.
    at: Option<Range<usize>>,
}

pub(crate) fn register(words: &mut Vocabulary) {
    words.named_type::<Resource>("resource");
    words.add(
        Part::Resources,
        "patient(msg)",
        "The UK Core Patient of the message.",
        |_: &mut Handle| run::with(|run| Ok(Resource::new(run.patient_to_edit()?, None))),
    );
    words.add(
        Part::Resources,
        "encounter(msg)",
        "The UK Core Encounter of PV1 and PV2, its status by the trigger event.",
        |message: &mut Handle| encounter(message, None),
    );
    words.add(
        Part::Resources,
        "encounter(msg, status)",
        "The same with a FHIR status: \"planned\", \"in-progress\", \"finished\", \"cancelled\"...",
        |message: &mut Handle, status: &str| encounter(message, Some(status)),
    );
    words.add(
        Part::Resources,
        "report(group)",
        "A list of the DiagnosticReport of an OBR, its Observations and its Specimens.",
        |group: &mut GroupView| report(group),
    );
    words.add(
        Part::Resources,
        "result_type(group)",
        "The event type of a result: \"result.available\", \"result.corrected\", \
         \"result.withdrawn\" or \"result.cancelled\"; `()` when there are no results yet.",
        |group: &mut GroupView| {
            group.with(|group| {
                Ok(record::result::classify(group).name().map_or(Dynamic::UNIT, Dynamic::from))
            })
        },
    );
    of_any_resource(words);
}

/// What reads and writes one, whatever it is of.
fn of_any_resource(words: &mut Vocabulary) {
    words.document(
        Part::Resources,
        "resource[\"identifier[0].value\"]",
        "The value at a path, list positions from 0 as in FHIRPath; `()` when it is not there.",
    );
    words.document(
        Part::Resources,
        "resource[\"status\"] = value",
        "Writes at a path and makes what is missing; `()` removes, the HL7 null removes and names \
         the path as cleared, which may also be `extension('url')`. The identifiers of a Patient cannot be written.",
    );
    words.index_get(|resource: &mut Resource, path: &str| resource.get(path));
    words.index_set(|resource: &mut Resource, path: &str, value: Dynamic| {
        resource.set(path, &value)
    });
    words.add(
        Part::Resources,
        "resource.count(path)",
        "How many items the list at a path has; 0 when there is none. Reading one by one is far cheaper \
         than the list as a whole.",
        |resource: &mut Resource, path: &str| resource.count(path),
    );
    words.add(
        Part::Resources,
        "name_wards(encounter, table, site)",
        "Writes the name of each ward among the locations of an Encounter as `location.display`: what \
         the table has for `SITE.WARD`, else its code. A ward that says no site is of `site`.",
        |resource: &mut Resource, table: &str, site: &str| resource.name_wards(table, site),
    );
    words.add(
        Part::Resources,
        "name_service(encounter, table)",
        "Writes the name of the specialty of an Encounter as `serviceType.text`, unless it has one: what \
         the table has for its code, else the code.",
        |resource: &mut Resource, table: &str| resource.name_service(table),
    );
    words.add(
        Part::Resources,
        "resource(map)",
        "A resource of a map that has a `resourceType`.",
        |map: Map| Resource::from_map(&map),
    );
    words.add(
        Part::Resources,
        "to_map(resource)",
        "A map of everything in the resource.",
        |resource: &mut Resource| json::to_dynamic(&resource.0.built.resource),
    );
}

fn encounter(message: &Handle, status: Option<&str>) -> Fallible<Resource> {
    run::with(|run| {
        let (message, _) = message.now();
        let built = record::fhir::encounter::encounter(&message, &run.input.source, status);
        Ok(Resource::new(run.built(built)?, None))
    })
}

fn report(view: &GroupView) -> Fallible<Array> {
    view.with(|group| {
        run::with(|run| {
            let built = record::fhir::report::report(view.message(), group, &run.input.source);
            let resource = |built| Dynamic::from(Resource::new(built, Some(view.range())));
            Ok(run.built(built)?.into_iter().map(resource).collect())
        })
    })
}

impl Resource {
    pub(crate) fn new(built: Built, at: Option<Range<usize>>) -> Self {
        Self(Arc::new(Body { built, at }))
    }

    /// A resource, or a map that is one.
    pub(crate) fn from_dynamic(value: Dynamic) -> Fallible<Self> {
        let value = match value.flatten().try_cast_result::<Self>() {
            Ok(resource) => return Ok(resource),
            Err(value) => value,
        };
        let map = value.read_lock::<Map>().ok_or_else(|| {
            let kind = value.type_name();
            format!("an event is about resources, or maps with a resourceType, not {kind}")
        })?;
        Self::from_map(&map)
    }

    fn from_map(map: &Map) -> Fallible<Self> {
        let kind = map.get("resourceType").map(null::text).unwrap_or_default();
        if kind.is_empty() {
            return Err("the map of a resource needs a `resourceType`".into());
        }
        let (resource, cleared) = json::from_map_noting_nulls(map, &kind)?;
        let built = Built { resource, cleared, replaced: Vec::new(), quality: Vec::new() };
        Ok(Self::new(built, None))
    }

    /// Positions of the segments it was built from, if they are a group.
    pub(crate) fn at(&self) -> Option<&Range<usize>> {
        self.0.at.as_ref()
    }

    pub(crate) fn into_built(self) -> Built {
        Arc::unwrap_or_clone(self.0).built
    }

    fn get(&self, path: &str) -> Fallible<Dynamic> {
        let path: Path<'_> = Path::parse(path)?;
        Ok(path.read(&self.0.built.resource).map_or(Dynamic::UNIT, json::to_dynamic))
    }

    fn count(&self, path: &str) -> Fallible<i64> {
        let path: Path<'_> = Path::parse(path)?;
        let list = path.read(&self.0.built.resource).and_then(Value::as_array);
        Ok(list.map_or(0, |list| i64::try_from(list.len()).unwrap_or(i64::MAX)))
    }

    fn name_wards(&mut self, table: &str, site: &str) -> Fallible<()> {
        let built = &mut Arc::make_mut(&mut self.0).built;
        let places = built.resource.get_mut("location").and_then(Value::as_array_mut);
        for place in places.into_iter().flatten() {
            let kind = place["physicalType"]["coding"][0]["code"].as_str();
            if !matches!(kind, None | Some("wa")) {
                continue;
            }
            let identifier = &place["location"]["identifier"];
            let named = identifier["assigner"]["identifier"]["value"].as_str().unwrap_or(site);
            let Some(ward) = identifier["value"].as_str() else { continue };
            let code = Dynamic::from(format!("{named}.{ward}"));
            let name = run::with(|run| tables::look_up(run, table, &code))?;
            let name = name.map_or_else(|| ward.into(), |name| null::text(&name));
            if let Some(location) = place.get_mut("location").and_then(Value::as_object_mut) {
                location.insert("display", Value::text(&name));
            }
        }
        Ok(())
    }

    fn name_service(&mut self, table: &str) -> Fallible<()> {
        let service = &self.0.built.resource["serviceType"];
        let Some(code) = service["coding"][0]["code"].as_str() else { return Ok(()) };
        if !service["text"].is_null() {
            return Ok(());
        }
        let name = run::with(|run| tables::look_up(run, table, &code.into()))?;
        let name = name.map_or_else(|| code.into(), |name| null::text(&name));
        let built = &mut Arc::make_mut(&mut self.0).built;
        built.resource["serviceType"]["text"] = Value::text(&name);
        Ok(())
    }

    fn set(&mut self, text: &str, value: &Dynamic) -> Fallible<()> {
        if value.is::<Null>() && is_extension(text) {
            let built = &mut Arc::make_mut(&mut self.0).built;
            let kind = built.resource.get("resourceType").and_then(Value::as_str);
            let full = format!("{}.{text}", kind.unwrap_or_default());
            built.cleared.retain(|cleared| *cleared != full);
            built.cleared.push(full);
            return Ok(());
        }
        let path: Path<'_> = Path::parse(text)?;
        if path.begins_with("identifier") && is_patient(&self.0.built) {
            return Err("who the patient is cannot be written by a script".into());
        }
        let built = &mut Arc::make_mut(&mut self.0).built;
        let full = {
            let kind = built.resource.get("resourceType").and_then(Value::as_str);
            format!("{}.{text}", kind.unwrap_or_default())
        };
        built.cleared.retain(|cleared| *cleared != full);
        if value.is::<Null>() {
            path.remove(&mut built.resource);
            built.cleared.push(full);
        } else if value.is_unit() {
            path.remove(&mut built.resource);
        } else {
            path.write(&mut built.resource, json::from_dynamic(value)?)?;
        }
        Ok(())
    }
}

/// Whether a path is `extension('url')`, which a script can only name as cleared.
fn is_extension(path: &str) -> bool {
    let url = path.strip_prefix("extension('").and_then(|rest| rest.strip_suffix("')"));
    url.is_some_and(|url| !url.is_empty() && !url.contains(['\'', '"', ' ']))
}

/// Whether a resource is a Patient.
pub(crate) fn is_patient(built: &Built) -> bool {
    built.resource.get("resourceType").and_then(Value::as_str) == Some("Patient")
}
