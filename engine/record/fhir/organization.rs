//! The organisations that a message names as UK Core Organization.

use hl7::message::Message;

use crate::fhir::built::{Built, Draft, id, reference};
use crate::fhir::datatypes::{named_organisation, organisation};
use crate::fhir::names::uk_core;
use crate::json::{Value, only};
use crate::site;
use crate::source::Source;

/// Where organisations stand beside the sender's (XON).
const PLACES: [(&str, usize); 5] = [("PD1", 3), ("ORC", 21), ("NK1", 13), ("OBX", 23), ("IAM", 19)];

/// Builds an Organization of the sender, of its site where that has a code of its own, and of every
/// organisation that the message names, once each.
pub fn organizations(message: &Message, source: &Source) -> Vec<Built> {
    let sender = organisation(&source.organisation, None);
    let mut named = vec![(sender, false)];
    let site = site::of(message, source).filter(|site| *site != source.organisation);
    if let Some(site) = site {
        let part = site.starts_with(source.organisation.as_str());
        named.push((organisation(&site, None), part));
    }
    for (name, field) in PLACES {
        for segment in message.segments_named(name) {
            let field = segment.field(field).filter(|field| !field.is_null());
            let all = field.into_iter().flat_map(|field| field.repetitions());
            named.extend(all.filter_map(|each| Some((named_organisation(&each)?, false))));
        }
    }
    let mut seen: Vec<Value> = Vec::new();
    let mut all: Vec<Built> = Vec::new();
    for (found, part) in named {
        let key = found.get("identifier").or_else(|| found.get("display")).cloned();
        let Some(key) = key.filter(|key| !seen.contains(key)) else { continue };
        seen.push(key);
        let own_id = id(message, "Organization", seen.len());
        let whole = part.then(|| id(message, "Organization", 1));
        all.push(organization(&own_id, &found, whole.as_deref()));
    }
    all
}

fn organization(own_id: &str, found: &Value, whole: Option<&str>) -> Built {
    let profile = uk_core!("UKCore-Organization");
    let mut draft = Draft::new("Organization", own_id, profile);
    draft.set("identifier", found.get("identifier").cloned().map(only));
    draft.set("name", found.get("display").cloned());
    draft.set("partOf", whole.map(reference));
    draft.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{message, source};

    #[test]
    fn the_sender_its_site_and_the_practice_are_named_once() {
        let body = "PD1|||HILL SURGERY^^Y06601~HILL SURGERY^^Y06601\rPV1|1|I|RXX^W1^B2^RXX02";
        let all = organizations(&message("ADT^A01", body), &source());
        let named: Vec<_> = all
            .iter()
            .map(|b| (b.resource["identifier"][0]["value"].clone(), b.resource["name"].clone()))
            .collect();
        let expected =
            [("RXX", Value::Null), ("RXX02", Value::Null), ("Y06601", "HILL SURGERY".into())];
        assert_eq!(named, expected.map(|(code, name)| (Value::from(code), name)));
        let whole = &all[1].resource["partOf"]["reference"];
        assert_eq!(*whole, format!("urn:uuid:{}", all[0].resource["id"].as_str().expect("an id")));
    }

    #[test]
    fn nothing_is_made_of_nothing() {
        for body in ["", "PD1|||", "PD1|||\"\"", "PD1|||^\"\"^"] {
            let all = organizations(&message("ADT^A28", body), &source());
            // MSH-4 names the site.
            assert_eq!(all.len(), 2, "{body}");
        }
        let named = organizations(&message("ADT^A28", "PD1|||Corner surgery"), &source());
        assert_eq!(named[2].resource["name"], "Corner surgery");
        assert!(named[2].resource.get("identifier").is_none());
    }
}
