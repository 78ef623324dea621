//! The consultant episode of PV1 and ZU1 as UK Core `EpisodeOfCare`.

use hl7::message::Message;

use crate::fhir::built::{Built, Draft, id, reference};
use crate::fhir::datatypes::{organisation, practitioner};
use crate::fhir::encounter::visit_number;
use crate::fhir::names::uk_core;
use crate::fhir::tables::{MAIN_SPECIALTY, day};
use crate::json::{Object, Value, only};
use crate::source::Source;

/// Builds the `EpisodeOfCare` that a message states; none without a number of its own: PV1-54, else
/// PV1-50, which UK systems use for the consultant episode (CX-5 `CE`).
pub fn episode(message: &Message, source: &Source) -> Option<Built> {
    let pv1 = message.segment("PV1", 1)?;
    let number = visit_number(&pv1, 54, None, source);
    let number = number.or_else(|| visit_number(&pv1, 50, Some("CE"), source))?;
    let profile = uk_core!("UKCore-EpisodeOfCare");
    let mut draft = Draft::new("EpisodeOfCare", &id(message, "EpisodeOfCare", 1), profile);
    draft.set("identifier", only(number));
    let zu1 = message.segment("ZU1", 1);
    let mut period = Object::with_capacity(2);
    for (field, key, path) in [(4, "start", "period.start"), (5, "end", "period.end")] {
        let moment = zu1.as_ref().and_then(|zu1| draft.moment(zu1, field, path, source));
        if let Some(moment) = moment {
            period.insert(key.to_owned(), Value::text(moment.fhir()));
        }
    }
    let finished = period.contains_key("end");
    draft.set("status", Value::from(if finished { "finished" } else { "active" }));
    let day = day(message);
    // The consultant's specialty, else that of the visit.
    let own = zu1.as_ref();
    let own = own.and_then(|zu1| draft.tabled(zu1, 6, "type", (&MAIN_SPECIALTY, &day)));
    let specialty = own.or_else(|| draft.tabled(&pv1, 10, "type", (&MAIN_SPECIALTY, &day)));
    draft.set("type", specialty.map(only));
    draft.set("patient", reference(&id(message, "Patient", 1)));
    draft.set("managingOrganization", organisation(&source.organisation, None));
    draft.set("period", Value::Object(period));
    let consultant = [9, 7].into_iter();
    let mut consultant =
        consultant.filter_map(|field| practitioner(&pv1.field(field)?.repetition(1)?));
    draft.set("careManager", consultant.next());
    Some(draft.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(pv1: &[(usize, &str)], zu1: &str) -> Option<Built> {
        let body = format!("{}\r{zu1}", segment("PV1", pv1));
        episode(&message("ADT^A02", &body), &source())
    }

    #[test]
    fn an_episode_has_its_consultant_specialty_and_period() {
        let pv1 = [(2, "I"), (7, "C3456789^DOE^SAM"), (10, "300"), (50, "E5^^^RXX01^CE")];
        let open = built(&pv1, "ZU1||||202401101300||100").expect("an episode").resource;
        assert_eq!((open["status"].as_str(), code(&open["type"][0])), (Some("active"), "100"));
        assert_eq!(open["identifier"][0]["value"], "E5");
        assert_eq!(open["careManager"]["display"], "SAM DOE");
        let closed = built(&pv1, "ZU1||||202401101300|202401121100").expect("an episode").resource;
        assert_eq!(
            (closed["status"].as_str(), code(&closed["type"][0])),
            (Some("finished"), "300")
        );
        assert_eq!(closed["period"]["end"], "2024-01-12T11:00:00+00:00");
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert!(built(&[(2, "I"), (19, "V1")], "").is_none());
        assert!(built(&[(2, "I"), (50, "\"\"")], "").is_none());
        assert!(built(&[(2, "I"), (50, "^\"\"")], "").is_none());
        let nulls = built(&[(2, "I"), (54, "E5")], "ZU1||||\"\"|\"\"").expect("an episode");
        assert_eq!(nulls.cleared, ["EpisodeOfCare.period.start", "EpisodeOfCare.period.end"]);
        let odd = built(&[(2, "I"), (10, "FRAIL^Frailty"), (54, "E5")], "").expect("an episode");
        assert_eq!(odd.quality, ["code.unknown"]);
        assert_eq!(
            odd.resource["type"][0]["coding"][0]["system"],
            "urn:tieline:codes:main-specialty"
        );
    }
}
