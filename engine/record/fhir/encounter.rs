//! PV1 and PV2 as UK Core Encounter.

use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Map, Value};

use crate::fhir::built::{Built, Draft, Unmappable, coded_extension, id, reference};
use crate::fhir::coded::{concept, in_system, uk};
use crate::fhir::datatypes::{identifier, identifier_type, organisation, practitioner};
use crate::fhir::location::{Placed, places};
use crate::fhir::names::{LOCAL_CODES, TERMINOLOGY, UK_CODES, UK_CORE};
use crate::fhir::object::{object, only};
use crate::site;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// A code system of UK Core, and the codes it has. The NHS Data Dictionary has newer ones (40, 42,
/// 55 and 56 of source and destination) that UK Core has not taken over; they stay text.
type CodeList = (&'static str, &'static str);

/// ITK's tables of 2014 have the older 28 for 2A to 2D.
const ADMISSION_METHOD: CodeList = (
    "UKCore-AdmissionMethodEngland",
    "11 12 13 21 22 23 24 25 2A 2B 2C 2D 28 31 32 81 82 83 98 99",
);
const ADMISSION_SOURCE: CodeList =
    ("UKCore-SourceOfAdmissionEngland", "19 29 39 49 51 52 53 54 65 66 79 85 87 88 98 99");
const DISCHARGE_METHOD: CodeList = ("UKCore-DischargeMethodEngland", "1 3 4 5 6 7 8 9");
const DESTINATION: CodeList = (
    "UKCore-DischargeDestinationEngland",
    "19 29 30 37 38 48 49 50 51 52 53 54 65 66 79 84 85 87 88 98 99",
);
const SPECIALTY: CodeList = (
    "UKCore-MainSpecialtyEngland",
    "100 101 107 110 120 130 140 141 142 143 145 146 147 148 149 150 160 170 171 180 190 191 192 \
     200 300 301 302 303 304 305 310 311 312 313 314 315 317 320 321 325 326 330 340 350 352 360 \
     361 370 371 400 401 410 420 421 430 450 451 460 500 501 502 504 510 520 560 600 601 610 620 \
     700 710 711 712 713 715 800 810 820 821 822 823 824 830 831 832 833 834 900 901 902",
);

/// Triggers that take back what an earlier message said (table 0003).
const CANCELLATIONS: &str = "A11 A12 A13 A23 A25 A26 A27 A32 A33 A38 A52 A53";

/// Builds the Encounter that a message states.
///
/// `status` is FHIR's; without one it follows from the event, so that a cancelled admission is not
/// shown as one in progress. A message whose PV1 is missing, or only there to satisfy the standard
/// (class N or U in person events), has no encounter. A message that takes something back without
/// saying of which visit is refused: nobody could tell what no longer holds.
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
    let trigger = message.segment("MSH", 1).and_then(|msh| stated(msh.text(9, 2)));
    let trigger = trigger.unwrap_or_default();
    visit_numbers(&mut draft, &pv1, source);
    if !draft.body.contains_key("identifier") {
        if CANCELLATIONS.split(' ').any(|each| each == trigger) {
            return Err(Unmappable::in_field("encounter.no-number", &pv1, 19));
        }
        draft.quality.push("encounter.no-number");
    }
    let status = status.unwrap_or_else(|| status_of(&trigger, &pv1));
    draft.set("status", Value::from(status));
    set_class(&mut draft, &class);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    let specialty = national(&mut draft, &pv1, 10, "serviceType", SPECIALTY);
    draft.set("serviceType", specialty);
    participants(&mut draft, &pv1);
    // What the discharge said no longer holds, whether or not PV1 still says it.
    let reopened = trigger == "A13";
    period(&mut draft, &pv1, source, reopened);
    hospitalization(&mut draft, &pv1, reopened);
    locations(&mut draft, &pv1, source, status);
    if let Some(pv2) = message.segment("PV2", 1) {
        draft.set_all(&pv2, 3, ("reasonCode", "reasonCode"), concept);
    }
    if let Some(site) = site::of(message, source) {
        draft.set("serviceProvider", organisation(&site, None));
    }
    Ok(draft.finish())
}

/// Table 0004 as `ActCode` where FHIR has a word for it, else the code as sent: B and C are of the
/// table, others of the sender.
fn set_class(draft: &mut Draft, class: &str) {
    let (system, code) = match class {
        "I" => (format!("{TERMINOLOGY}v3-ActCode"), "IMP"),
        "O" | "R" => (format!("{TERMINOLOGY}v3-ActCode"), "AMB"),
        "E" => (format!("{TERMINOLOGY}v3-ActCode"), "EMER"),
        "P" => (format!("{TERMINOLOGY}v3-ActCode"), "PRENC"),
        "" => {
            draft.quality.push("encounter.class-absent");
            (format!("{TERMINOLOGY}v3-NullFlavor"), "UNK")
        }
        "B" | "C" => (format!("{TERMINOLOGY}v2-0004"), class),
        other => {
            draft.quality.push("encounter.class-unmapped");
            (format!("{LOCAL_CODES}patient-class"), other)
        }
    };
    let coding = [("system", Value::String(system)), ("code", Value::from(code))];
    draft.set("class", object(coding));
}

/// The trigger event decides; PV1-45 alone would leave a cancelled admission in progress, and a
/// cancelled discharge finished.
fn status_of(trigger: &str, pv1: &Segment<'_>) -> &'static str {
    match trigger {
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

/// A field with a national code; one that the list does not have stays text and is counted.
fn national(
    draft: &mut Draft,
    pv1: &Segment<'_>,
    field: usize,
    path: &str,
    (list, known): CodeList,
) -> Option<Value> {
    let code = draft.read(pv1, field, path)?;
    let text = stated(pv1.text(field, 2));
    let concept = uk(&format!("{UK_CODES}{list}"), known, &code, text.as_deref());
    if concept.get("coding").is_none() {
        draft.quality.push("encounter.code-unmapped");
    }
    Some(concept)
}

/// PV1-7 attending (in the NHS the consultant in charge), 8 referring, 9 consulting, 17 admitting.
fn participants(draft: &mut Draft, pv1: &Segment<'_>) {
    for (field, role) in [(7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM")] {
        let system = format!("{TERMINOLOGY}v3-ParticipationType");
        let path = format!("participant.where(type.coding.code='{role}')");
        draft.set_all(pv1, field, ("participant", &path), |doctor| {
            let individual = practitioner(doctor)?;
            let role = only(in_system(&system, role, None));
            Some(object([("type", role), ("individual", individual)]))
        });
    }
}

fn period(draft: &mut Draft, pv1: &Segment<'_>, source: &Source, reopened: bool) {
    let mut period = Map::with_capacity(2);
    for (field, key, path) in [(44, "start", "period.start"), (45, "end", "period.end")] {
        if reopened && key == "end" {
            draft.clear(path);
            continue;
        }
        let Some(text) = draft.read(pv1, field, path) else { continue };
        match Moment::read(&text, &source.zone) {
            Ok(moment) => {
                period.insert(key.to_owned(), Value::from(moment.fhir()));
            }
            Err(_) => draft.quality.push("date.unreadable"),
        }
    }
    draft.set("period", Value::Object(period));
}

/// PV1-4 is the admission method in the NHS, not the type of admission; PV1-14 its source, PV1-36
/// the discharge method and PV1-37 the destination.
fn hospitalization(draft: &mut Draft, pv1: &Segment<'_>, reopened: bool) {
    let mut stay = Map::with_capacity(3);
    let method = format!("{UK_CORE}Extension-UKCore-AdmissionMethod");
    let path = format!("hospitalization.extension('{method}')");
    if let Some(concept) = national(draft, pv1, 4, &path, ADMISSION_METHOD) {
        stay.insert("extension".to_owned(), only(coded_extension(&method, concept)));
    }
    let path = "hospitalization.admitSource";
    if let Some(concept) = national(draft, pv1, 14, path, ADMISSION_SOURCE) {
        stay.insert("admitSource".to_owned(), concept);
    }
    let destination_path = "hospitalization.dischargeDisposition";
    let method = format!("{UK_CORE}Extension-UKCore-DischargeMethod");
    let method_path = format!("extension('{method}')");
    if reopened {
        draft.clear(destination_path);
        draft.clear(&method_path);
    } else {
        if let Some(concept) = national(draft, pv1, 37, destination_path, DESTINATION) {
            stay.insert("dischargeDisposition".to_owned(), concept);
        }
        if let Some(concept) = national(draft, pv1, 36, &method_path, DISCHARGE_METHOD) {
            draft.extension(coded_extension(&method, concept));
        }
    }
    draft.set("hospitalization", Value::Object(stay));
}

/// PV1-3 where the patient is, 6 where before, 11 for a while, 42 where to.
fn locations(draft: &mut Draft, pv1: &Segment<'_>, source: &Source, status: &str) {
    let present = match status {
        "finished" | "cancelled" | "entered-in-error" => "completed",
        "planned" => "planned",
        _ => "active",
    };
    let system = format!("{TERMINOLOGY}location-physical-type");
    for (field, state) in [(3, present), (6, "completed"), (11, "active"), (42, "reserved")] {
        let Some(field) = pv1.field(field).filter(|field| !field.is_empty()) else { continue };
        if field.is_null() {
            draft.clear(&format!("location.where(status='{state}')"));
            continue;
        }
        for location in field.repetitions() {
            for Placed { kind, location } in places(&location, source.point_of_care) {
                let kind = in_system(&system, kind, None);
                let entry = [
                    ("location", location),
                    ("status", Value::from(state)),
                    ("physicalType", kind),
                ];
                draft.push("location", object(entry));
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
    use serde_json::json;

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
        let specialty = json!({ "coding": [{ "system": format!("{UK_CODES}UKCore-MainSpecialtyEngland"), "code": "300" }] });
        assert_eq!(encounter["serviceType"], specialty);
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
        let built = built(
            "A01",
            &format!("PV1|1|I|\"\"|77{}V1|{}202401102316|\"\"", "|".repeat(15), "|".repeat(24)),
        )
        .expect("an encounter");
        assert_eq!(
            built.cleared,
            ["Encounter.period.end", "Encounter.location.where(status='active')"]
        );
        assert_eq!(built.quality, ["encounter.code-unmapped"]);
        let method = &built.resource["hospitalization"]["extension"][0]["valueCodeableConcept"];
        assert_eq!(*method, json!({ "text": "77" }));
    }

    /// A PV1 with these fields, by their numbers in ascending order.
    fn pv1(fields: &[(usize, &str)]) -> String {
        let mut out = "PV1".to_owned();
        let mut at = 0;
        for (field, value) in fields {
            out.push_str(&"|".repeat(field - at));
            out.push_str(value);
            at = *field;
        }
        out
    }

    #[test]
    fn a_cancelled_discharge_leaves_nothing_of_it() {
        let mut fields = vec![(2, "I"), (4, "21"), (19, "V77^^^RXX01^VN"), (36, "1"), (37, "19")];
        fields.extend([(44, "202406011015"), (45, "202406031740")]);
        let discharge = pv1(&fields);
        let finished = built("A03", &discharge).expect("an encounter");
        assert!(finished.cleared.is_empty());
        assert_eq!(finished.resource["period"]["end"], "2024-06-03T17:40:00+01:00");
        let cleared = [
            "Encounter.period.end",
            "Encounter.hospitalization.dischargeDisposition",
            "Encounter.extension('https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-DischargeMethod')",
        ];
        for said in [discharge, pv1(&fields[..3])] {
            let reopened = built("A13", &said).expect("an encounter");
            assert_eq!(reopened.cleared, cleared);
            let encounter = &reopened.resource;
            assert!(
                encounter["period"].get("end").is_none() && encounter.get("extension").is_none()
            );
            assert!(encounter["hospitalization"].get("dischargeDisposition").is_none());
            assert_eq!(encounter["status"], "in-progress");
        }
    }

    #[test]
    fn a_cancellation_says_of_which_visit() {
        for trigger in ["A11", "A12", "A13"] {
            let refused = built(trigger, "PV1|1|I|RXX^W1^B2^RXX01").expect_err("no number");
            let at = refused.at.map(|at| at.to_string());
            assert_eq!((refused.code, at.as_deref()), ("encounter.no-number", Some("PV1-19")));
        }
        let admitted = built("A01", "PV1|1|I|RXX^W1^B2^RXX01").expect("an encounter");
        assert_eq!(admitted.quality, ["encounter.no-number"]);
        assert!(built("A11", &pv1(&[(2, "I"), (50, "E5^^^RXX01^CE")])).is_ok());
    }

    #[test]
    fn codes_that_a_list_does_not_have_stay_text() {
        let fields =
            [(2, "W"), (4, "89"), (10, "FRAILTY^Frailty team"), (19, "V1"), (36, "2"), (37, "99")];
        let built = built("A03", &pv1(&fields)).expect("an encounter");
        let encounter = &built.resource;
        let stay = &encounter["hospitalization"];
        assert_eq!(encounter["serviceType"], json!({ "text": "Frailty team" }));
        assert_eq!(stay["extension"][0]["valueCodeableConcept"], json!({ "text": "89" }));
        assert_eq!(encounter["extension"][0]["valueCodeableConcept"], json!({ "text": "2" }));
        assert_eq!(stay["dischargeDisposition"]["coding"][0]["code"], "99");
        assert_eq!(
            encounter["class"],
            json!({ "system": "urn:tieline:codes:patient-class", "code": "W" })
        );
        let unmapped = built.quality.iter().filter(|code| **code == "encounter.code-unmapped");
        assert_eq!(unmapped.count(), 3);
    }
}
