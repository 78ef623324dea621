//! PL: where a patient is, by the order of parts that the source uses.

use hl7::segment::Repetition;
use serde_json::{Map, Value};

use crate::fhir::datatypes::organisation;
use crate::fhir::object::{object, put};
use crate::source::PointOfCare;
use crate::text::{is_ods_code, stated};

/// One part of a location: a site, ward, room or bed.
pub(crate) struct Placed {
    /// Code of FHIR's `location-physical-type`: `si`, `wa`, `ro`, `bd`.
    pub(crate) kind: &'static str,
    /// A reference by identifier, or by name alone.
    pub(crate) location: Value,
}

/// The parts of a PL from the narrowest to the widest. Wards, rooms and beds are identified within
/// the site that PL-4 names, if it has an ODS code.
pub(crate) fn places(pl: &Repetition<'_>, order: PointOfCare) -> Vec<Placed> {
    let part = |component: usize| stated(pl.text(component, 1));
    let (ward, room) = match order {
        PointOfCare::Uk => (part(2), None),
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

fn within(code: &str, site: Option<&str>) -> Value {
    let mut identifier = Map::with_capacity(2);
    put(&mut identifier, "value", Some(code.to_owned()));
    if let Some(site) = site.filter(|site| is_ods_code(site)) {
        identifier.insert("assigner".to_owned(), organisation(site, None));
    }
    object([("identifier", Value::Object(identifier)), ("display", Value::from(code))])
}
