//! PV1 and PV2 as UK Core Encounter.

use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Map, Value, json};

use crate::fhir::built::{Built, Draft, Unmappable, coded_extension, id, reference};
use crate::fhir::coded::{concept, in_system, uk};
use crate::fhir::datatypes::{identifier, identifier_type, organisation, practitioner};
use crate::fhir::location::{Placed, places};
use crate::fhir::names::{TERMINOLOGY, UK_CODES, UK_CORE};
use crate::site;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// National codes (NHS Data Dictionary); ITK's tables of 2014 have the older 28 for 2A to 2D.
const ADMISSION_METHOD: &str = "11 12 13 21 22 23 24 25 2A 2B 2C 2D 28 31 32 81 82 83 84 89 98 99";
const ADMISSION_SOURCE: &str =
    "19 29 37 39 40 42 48 49 50 51 52 53 54 55 56 65 66 79 85 87 88 98 99";
const DISCHARGE_METHOD: &str = "1 2 3 4 5 6 7 8 9";
const DESTINATION: &str =
    "19 29 30 37 38 40 42 48 49 50 51 52 53 54 55 56 65 66 79 84 85 87 88 98 99";

/// Builds the Encounter that a message states.
///
/// `status` is FHIR's; without one it follows from the event, so that a cancelled admission is not
/// shown as one in progress. A message whose PV1 is missing, or only there to satisfy the standard
/// (class N or U in person events), has no encounter.
pub fn encounter(
    message: &Message,
    source: &Source,
    status: Option<&str>,
) -> Result<Built, Unmappable> {
    let absent = Unmappable { code: "encounter.absent", at: None };
    let pv1 = message.segment("PV1", 1).ok_or(absent)?;
    let class = stated(pv1.text(2, 1)).unwrap_or_default().to_ascii_uppercase();
    if matches!(class.as_str(), "N" | "U" | "NA") {
        return Err(Unmappable::in_field("encounter.absent", &pv1, 2));
    }
    let profile = format!("{UK_CORE}UKCore-Encounter");
    let mut draft = Draft::new("Encounter", &id(message, "Encounter", 1), &profile);
    visit_numbers(&mut draft, &pv1, source);
    let status = status.unwrap_or_else(|| status_of(message, &pv1)).to_owned();
    draft.set("status", json!(status));
    set_class(&mut draft, &class);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.set("serviceType", coded(&pv1, 10, &format!("{TERMINOLOGY}v2-0069")));
    participants(&mut draft, &pv1);
    period(&mut draft, &pv1, source);
    hospitalization(&mut draft, &pv1);
    locations(&mut draft, &pv1, source, &status);
    if let Some(pv2) = message.segment("PV2", 1) {
        draft.set_all(&pv2, 3, ("reasonCode", "reasonCode"), concept);
    }
    if let Some(site) = site::of(message, source) {
        draft.set("serviceProvider", organisation(&site, None));
    }
    Ok(draft.finish())
}

/// Table 0004 as `ActCode` where FHIR has a word for it, else the code as sent.
fn set_class(draft: &mut Draft, class: &str) {
    let act = |code: &str| json!({ "system": format!("{TERMINOLOGY}v3-ActCode"), "code": code });
    let class = match class {
        "I" => act("IMP"),
        "O" | "R" => act("AMB"),
        "E" => act("EMER"),
        "P" => act("PRENC"),
        "" => {
            draft.quality.push("encounter.class-absent");
            json!({ "system": format!("{TERMINOLOGY}v3-NullFlavor"), "code": "UNK" })
        }
        other => json!({ "system": format!("{TERMINOLOGY}v2-0004"), "code": other }),
    };
    draft.set("class", class);
}

/// The trigger event decides; PV1-45 alone would leave a cancelled admission in progress, and a
/// cancelled discharge finished.
fn status_of(message: &Message, pv1: &Segment<'_>) -> &'static str {
    let msh = message.segment("MSH", 1);
    let trigger = msh.and_then(|msh| stated(msh.text(9, 2))).unwrap_or_default();
    match trigger.as_str() {
        "A03" => "finished",
        "A04" | "A10" => "arrived",
        "A05" | "A14" => "planned",
        "A11" | "A27" | "A38" | "A32" => "cancelled",
        "A23" => "entered-in-error",
        "A21" => "onleave",
        "A12" | "A13" | "A22" | "A25" | "A26" | "A33" | "A52" | "A53" => "in-progress",
        _ if stated(pv1.text(45, 1)).is_some() => "finished",
        _ => "in-progress",
    }
}

/// PV1-19 is the visit; PV1-50 an alternate id, typically the consultant episode (CX-5 `CE`).
fn visit_numbers(draft: &mut Draft, pv1: &Segment<'_>, source: &Source) {
    for (field, default_type) in [(19, Some("VN")), (50, None)] {
        let Some(first) = pv1.field(field).and_then(|field| field.repetition(1)) else { continue };
        if let Some(mut visit) = identifier(&first, &source.zone) {
            if let (None, Some(kind)) = (visit.get("type"), default_type) {
                visit["type"] = identifier_type(kind);
            }
            if visit.get("assigner").is_none() {
                visit["assigner"] = organisation(&source.organisation, None);
            }
            draft.push("identifier", visit);
        }
    }
}

fn coded(segment: &Segment<'_>, field: usize, system: &str) -> Option<Value> {
    let code = stated(segment.text(field, 1))?;
    Some(in_system(system, &code, stated(segment.text(field, 2)).as_deref()))
}

/// PV1-7 attending (in the NHS the consultant in charge), 8 referring, 9 consulting, 17 admitting.
fn participants(draft: &mut Draft, pv1: &Segment<'_>) {
    for (field, role) in [(7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM")] {
        let system = format!("{TERMINOLOGY}v3-ParticipationType");
        let path = format!("participant.where(type.coding.code='{role}')");
        draft.set_all(pv1, field, ("participant", &path), |doctor| {
            let individual = practitioner(doctor)?;
            Some(json!({ "type": [in_system(&system, role, None)], "individual": individual }))
        });
    }
}

fn period(draft: &mut Draft, pv1: &Segment<'_>, source: &Source) {
    let mut period = Map::new();
    for (field, key, path) in [(44, "start", "period.start"), (45, "end", "period.end")] {
        let Some(text) = draft.read(pv1, field, path) else { continue };
        match Moment::read(&text, &source.zone) {
            Ok(moment) => {
                period.insert(key.to_owned(), json!(moment.fhir()));
            }
            Err(_) => draft.quality.push("date.unreadable"),
        }
    }
    draft.set("period", Value::Object(period));
}

/// PV1-4 is the admission method in the NHS, not the type of admission; PV1-14 its source, PV1-36
/// the discharge method and PV1-37 the destination.
fn hospitalization(draft: &mut Draft, pv1: &Segment<'_>) {
    let national = |draft: &mut Draft, field: usize, path: &str, list: (&str, &str)| {
        let code = draft.read(pv1, field, path)?;
        let concept = uk(
            &format!("{UK_CODES}{}", list.0),
            list.1,
            &code,
            stated(pv1.text(field, 2)).as_deref(),
        );
        if concept.get("coding").is_none() {
            draft.quality.push("encounter.code-unmapped");
        }
        Some(concept)
    };
    let mut stay = Map::new();
    let method = format!("{UK_CORE}Extension-UKCore-AdmissionMethod");
    let path = format!("hospitalization.extension('{method}')");
    let list = ("UKCore-AdmissionMethodEngland", ADMISSION_METHOD);
    if let Some(concept) = national(draft, 4, &path, list) {
        stay.insert("extension".to_owned(), json!([coded_extension(&method, &concept)]));
    }
    let list = ("UKCore-SourceOfAdmissionEngland", ADMISSION_SOURCE);
    if let Some(concept) = national(draft, 14, "hospitalization.admitSource", list) {
        stay.insert("admitSource".to_owned(), concept);
    }
    let list = ("UKCore-DischargeDestinationEngland", DESTINATION);
    if let Some(concept) = national(draft, 37, "hospitalization.dischargeDisposition", list) {
        stay.insert("dischargeDisposition".to_owned(), concept);
    }
    draft.set("hospitalization", Value::Object(stay));
    let method = format!("{UK_CORE}Extension-UKCore-DischargeMethod");
    let list = ("UKCore-DischargeMethodEngland", DISCHARGE_METHOD);
    if let Some(concept) = national(draft, 36, &format!("extension('{method}')"), list) {
        draft.extension(coded_extension(&method, &concept));
    }
}

/// PV1-3 where the patient is, 6 where before, 11 for a while, 42 where to.
fn locations(draft: &mut Draft, pv1: &Segment<'_>, source: &Source, status: &str) {
    let present = match status {
        "finished" | "cancelled" | "entered-in-error" => "completed",
        "planned" => "planned",
        _ => "active",
    };
    for (field, state) in [(3, present), (6, "completed"), (11, "active"), (42, "reserved")] {
        let Some(field) = pv1.field(field).filter(|field| !field.is_empty()) else { continue };
        if field.is_null() {
            draft.clear(&format!("location.where(status='{state}')"));
            continue;
        }
        for location in field.repetitions() {
            for Placed { kind, location } in places(&location, source.point_of_care) {
                let system = format!("{TERMINOLOGY}location-physical-type");
                let kind = in_system(&system, kind, None);
                let entry = json!({ "location": location, "status": state, "physicalType": kind });
                draft.push("location", entry);
            }
        }
    }
    if draft.body.contains_key("location") {
        draft.replace("location");
    }
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn built(trigger: &str, pv1: &str) -> Result<Built, Unmappable> {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^{trigger}|1|P|2.4\r{pv1}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        encounter(&message, &Source::new("pas-adt", "RXX"), None)
    }

    const INPATIENT: &str = "PV1|1|I|RXX^W1^B2^RXX01|2A||RXX^W0^B1^RXX01|C3456789^DOE^SAM|||300||||19|||||\
        2139^^^VISITID|||||||||||||||||||||||||202401102316|";

    #[test]
    fn an_admission_is_mapped_with_uk_meanings() {
        let built = built("A01", INPATIENT).expect("an encounter");
        let encounter = &built.resource;
        assert_eq!(
            (&encounter["status"], &encounter["class"]["code"]),
            (&json!("in-progress"), &json!("IMP"))
        );
        assert_eq!(encounter["identifier"][0]["value"], "2139");
        let stay = &encounter["hospitalization"];
        assert_eq!(stay["extension"][0]["valueCodeableConcept"]["coding"][0]["code"], "2A");
        assert_eq!(stay["admitSource"]["coding"][0]["code"], "19");
        assert_eq!(encounter["period"], json!({ "start": "2024-01-10T23:16:00+00:00" }));
        let places: Vec<_> = encounter["location"].as_array().expect("a list").iter().collect();
        assert_eq!(places.len(), 6);
        assert_eq!(places[1]["location"]["identifier"]["value"], "W1");
        assert_eq!(
            places[2]["location"]["identifier"]["system"],
            "https://fhir.nhs.uk/Id/ods-site-code"
        );
        assert_eq!(
            (&places[0]["status"], &places[3]["status"]),
            (&json!("active"), &json!("completed"))
        );
        let doctor = &encounter["participant"][0]["individual"];
        assert_eq!(doctor["identifier"]["system"], "https://fhir.hl7.org.uk/Id/gmc-number");
        assert_eq!(encounter["serviceProvider"]["identifier"]["value"], "RXX01");
    }

    #[test]
    fn the_status_follows_the_event() {
        let status = |trigger: &str| {
            built(trigger, INPATIENT).expect("an encounter").resource["status"].clone()
        };
        for (trigger, word) in [
            ("A03", "finished"),
            ("A11", "cancelled"),
            ("A12", "in-progress"),
            ("A13", "in-progress"),
            ("A04", "arrived"),
        ] {
            assert_eq!(status(trigger), word, "{trigger}");
        }
    }

    #[test]
    fn a_person_event_has_no_encounter() {
        for pv1 in ["", "PV1||N", "PV1||U", "PV1||NA"] {
            let refused = built("A31", pv1).expect_err("no encounter");
            assert_eq!(refused.code, "encounter.absent");
        }
    }

    #[test]
    fn null_clears_and_foreign_codes_stay_text() {
        let built = built("A13", &format!("PV1|1|I|\"\"|77{}202401102316|\"\"", "|".repeat(40)))
            .expect("an encounter");
        assert_eq!(
            built.cleared,
            ["Encounter.period.end", "Encounter.location.where(status='active')"]
        );
        assert_eq!(built.quality, ["encounter.code-unmapped"]);
        let method = &built.resource["hospitalization"]["extension"][0]["valueCodeableConcept"];
        assert_eq!(*method, json!({ "text": "77" }));
    }
}
