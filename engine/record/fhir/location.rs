//! PL: where a patient is, by the order of parts that the source uses.

use hl7::message::Message;
use hl7::segment::Repetition;

use crate::fhir::built::{Built, Draft, Parts, id, reference};
use crate::fhir::coded::in_system;
use crate::fhir::datatypes::organisation;
use crate::fhir::names::{terminology, uk_core};
use crate::json::{Object, Value, object, only};
use crate::source::{PointOfCare, Source};
use crate::text::{is_ods_code, stated};

/// One part of a location: a site, ward, room or bed.
pub(crate) struct Placed {
    /// Code of FHIR's `location-physical-type`: `si`, `wa`, `ro`, `bd`.
    pub(crate) kind: &'static str,
    /// A reference by identifier, or by name alone.
    pub(crate) location: Value,
}

/// PL-1 of a sender in the UK order who leaves PL-2 empty: its ward, unless it is the organisation.
fn ward_alone(pl: &Repetition<'_>) -> Option<String> {
    let site = stated(pl.text(4, 1)).unwrap_or_default();
    stated(pl.text(1, 1)).filter(|first| !site.starts_with(first.as_str()))
}

/// The parts of a PL from the narrowest to the widest. Wards, rooms and beds are identified within
/// the site that PL-4 names, if it has an ODS code.
pub(crate) fn places(pl: &Repetition<'_>, order: PointOfCare) -> Vec<Placed> {
    let part = |component: usize| stated(pl.text(component, 1));
    let (ward, room) = match order {
        PointOfCare::Uk => (part(2).or_else(|| ward_alone(pl)), None),
        PointOfCare::International => (part(1), part(2)),
    };
    let site = part(4);
    let inside = |kind, code: Option<String>| {
        let location = within(&code?, site.as_deref());
        Some(Placed { kind, location })
    };
    let whole =
        site.as_deref().map(|code| Placed { kind: "si", location: organisation(code, None) });
    [inside("bd", part(3)), inside("ro", room), inside("wa", ward), whole]
        .into_iter()
        .flatten()
        .collect()
}

/// What the components of a PL in the UK order stand for.
pub(crate) const PLACED: Parts = &[
    (2, "where(physicalType.coding.code='wa')"),
    (3, "where(physicalType.coding.code='bd')"),
    (4, "where(physicalType.coding.code='si')"),
];

/// The same of a clinic, which has no physical type where a ward would stand.
pub(crate) const PLACED_IN_CLINIC: Parts = &[
    (2, "where(physicalType.empty())"),
    (3, "where(physicalType.coding.code='bd')"),
    (4, "where(physicalType.coding.code='si')"),
];

/// Where places stand (PL).
const PLACES: [(&str, usize); 5] = [("PV1", 3), ("PV1", 6), ("PV1", 11), ("PV1", 42), ("AIL", 3)];

/// Builds a Location of every site, ward, room and bed that a message names, once each, the widest
/// first, each a part of the wider one.
pub fn locations(message: &Message, source: &Source) -> Vec<Built> {
    let mut seen: Vec<Value> = Vec::new();
    let mut all = Vec::new();
    for (name, field) in PLACES {
        for segment in message.segments_named(name) {
            let field = segment.field(field).filter(|field| !field.is_null());
            for pl in field.into_iter().flat_map(|field| field.repetitions()) {
                let mut whole: Option<String> = None;
                for place in places(&pl, source.point_of_care).into_iter().rev() {
                    // A bed is known by its number within its ward only.
                    let key = object([
                        ("place", place.location.clone()),
                        ("whole", whole.as_deref().map_or(Value::Null, Value::text)),
                    ]);
                    let known = seen.iter().position(|each| *each == key);
                    let number = known.unwrap_or(seen.len()) + 1;
                    let own_id = id(message, "Location", number);
                    if known.is_none() {
                        seen.push(key);
                        all.push(location(&own_id, &place, whole.as_deref(), source));
                    }
                    whole = Some(own_id);
                }
            }
        }
    }
    all
}

fn location(own_id: &str, place: &Placed, whole: Option<&str>, source: &Source) -> Built {
    let mut draft = Draft::new("Location", own_id, uk_core!("UKCore-Location"));
    let known = &place.location;
    draft.set("identifier", known.get("identifier").cloned().map(only));
    draft.set("name", known.get("display").cloned());
    let system = terminology!("location-physical-type");
    draft.set("physicalType", in_system(system, place.kind, None));
    draft.set("managingOrganization", organisation(&source.organisation, None));
    draft.set("partOf", whole.map(reference));
    draft.finish()
}

fn within(code: &str, site: Option<&str>) -> Value {
    let mut identifier = Object::with_capacity(2);
    identifier.put("value", Some(code.to_owned()));
    if let Some(site) = site.filter(|site| is_ods_code(site)) {
        identifier.insert("assigner", organisation(site, None));
    }
    object([("identifier", Value::Object(identifier)), ("display", Value::text(code))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{message, source};

    fn built(body: &str, order: PointOfCare) -> Vec<(String, String, Option<usize>)> {
        let mut source = source();
        source.point_of_care = order;
        let all = locations(&message("ADT^A02", body), &source);
        let url =
            |built: &Built| format!("urn:uuid:{}", built.resource["id"].as_str().expect("an id"));
        all.iter()
            .map(|each| {
                let whole = &each.resource["partOf"]["reference"];
                let whole = all.iter().position(|other| *whole == url(other));
                let value = each.resource["identifier"][0]["value"].as_str().unwrap_or_default();
                let kind = each.resource["physicalType"]["coding"][0]["code"].as_str();
                (kind.unwrap_or_default().to_owned(), value.to_owned(), whole)
            })
            .collect()
    }

    fn place(kind: &str, value: &str, whole: Option<usize>) -> (String, String, Option<usize>) {
        (kind.to_owned(), value.to_owned(), whole)
    }

    #[test]
    fn a_bed_is_a_part_of_its_ward_and_site() {
        let body = "PV1|1|I|RXX^W1^B2^RXX01|||RXX^W1^B3^RXX01";
        let uk = [
            place("si", "RXX01", None),
            place("wa", "W1", Some(0)),
            place("bd", "B2", Some(1)),
            place("bd", "B3", Some(1)),
        ];
        assert_eq!(built(body, PointOfCare::Uk), uk);
        assert_eq!(built("PV1|1|I|W12^^^RXX01", PointOfCare::Uk)[1], place("wa", "W12", Some(0)));
        assert_eq!(built("PV1|1|I|RXX^^^RXX01", PointOfCare::Uk).len(), 1);
        let abroad = built("PV1|1|I|W1^R4^B2^RXX01", PointOfCare::International);
        assert_eq!(abroad[2], place("ro", "R4", Some(1)));
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        for body in ["", "PV1|1|I|", "PV1|1|I|\"\"", "PV1|1|I|^\"\"^"] {
            assert!(built(body, PointOfCare::Uk).is_empty(), "{body}");
        }
    }
}
