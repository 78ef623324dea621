//! PV1 and PV2 as UK Core Encounter.

use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Map, Value};

use crate::fhir::built::{Built, Draft, Unmappable, coded_extension, id, reference};
use crate::fhir::coded::{CODED, concept, in_system};
use crate::fhir::datatypes::{
    PERSON, identifier, identifier_type, logical, organisation, practitioner,
};
use crate::fhir::location::{Placed, places};
use crate::fhir::names::{TERMINOLOGY, UK_CORE};
use crate::fhir::object::{object, only};
use crate::fhir::tables::{
    ADMISSION_METHOD, ADMISSION_SOURCE, DISCHARGE_DESTINATION, DISCHARGE_METHOD, MAIN_SPECIALTY,
    PATIENT_CLASS, day,
};
use crate::site;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

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
    let day = day(message);
    let specialty = draft.tabled(&pv1, 10, "serviceType", (&MAIN_SPECIALTY, &day));
    draft.set("serviceType", specialty);
    participants(&mut draft, &pv1);
    // What the discharge said no longer holds, whether or not PV1 still says it.
    let reopened = trigger == "A13";
    period(&mut draft, &pv1, source, reopened);
    hospitalization(&mut draft, &pv1, reopened, &day);
    locations(&mut draft, &pv1, source, status);
    if let Some(pv2) = message.segment("PV2", 1) {
        draft.set_all(&pv2, 3, ("reasonCode", "reasonCode"), CODED, concept);
    }
    if let Some(site) = site::of(message, source) {
        draft.set("serviceProvider", organisation(&site, None));
    }
    Ok(draft.finish())
}

/// A reference to the visit of a message by its number: others need not carry the Encounter along.
pub(crate) fn visit(message: &Message, source: &Source) -> Option<Value> {
    let pv1 = message.segment("PV1", 1)?;
    Some(logical("Encounter", visit_number(&pv1, 19, Some("VN"), source)?))
}

/// Table 0004 as `ActCode` where FHIR has a word for it, else the code as sent: B and C are of the
/// table, others of the sender.
fn set_class(draft: &mut Draft, class: &str) {
    let (system, code) = match PATIENT_CLASS.code(class) {
        Some(code) => (PATIENT_CLASS.system().to_owned(), code),
        None if class.is_empty() => {
            draft.quality.push("encounter.class-absent");
            (format!("{TERMINOLOGY}v3-NullFlavor"), "UNK")
        }
        None if matches!(class, "B" | "C") => (format!("{TERMINOLOGY}v2-0004"), class),
        None => {
            draft.quality.push("code.unknown");
            (PATIENT_CLASS.local(), class)
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
        if let Some(visit) = visit_number(pv1, field, default_type, source) {
            draft.push("identifier", visit);
        }
    }
}

/// An identifier of a visit, of the sender's organisation where it names no other.
pub(crate) fn visit_number(
    pv1: &Segment<'_>,
    field: usize,
    default_type: Option<&str>,
    source: &Source,
) -> Option<Value> {
    let first = pv1.field(field)?.repetition(1)?;
    let mut visit = identifier(&first, &source.zone)?;
    if let (None, Some(kind)) = (visit.get("type"), default_type) {
        visit["type"] = identifier_type(kind);
    }
    if visit.get("assigner").is_none() {
        visit["assigner"] = organisation(&source.organisation, None);
    }
    Some(visit)
}

/// PV1-7 attending (in the NHS the consultant in charge), 8 referring, 9 consulting, 17 admitting.
fn participants(draft: &mut Draft, pv1: &Segment<'_>) {
    for (field, role) in [(7, "ATND"), (8, "REF"), (9, "CON"), (17, "ADM")] {
        let system = format!("{TERMINOLOGY}v3-ParticipationType");
        let path = format!("participant.where(type.coding.code='{role}')");
        draft.set_all(pv1, field, ("participant", &path), PERSON, |doctor| {
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
fn hospitalization(draft: &mut Draft, pv1: &Segment<'_>, reopened: bool, day: &str) {
    let mut stay = Map::with_capacity(3);
    let method = format!("{UK_CORE}Extension-UKCore-AdmissionMethod");
    let path = format!("hospitalization.extension('{method}')");
    if let Some(concept) = draft.tabled(pv1, 4, &path, (&ADMISSION_METHOD, day)) {
        stay.insert("extension".to_owned(), only(coded_extension(&method, concept)));
    }
    let path = "hospitalization.admitSource";
    if let Some(concept) = draft.tabled(pv1, 14, path, (&ADMISSION_SOURCE, day)) {
        stay.insert("admitSource".to_owned(), concept);
    }
    let destination_path = "hospitalization.dischargeDisposition";
    let method = format!("{UK_CORE}Extension-UKCore-DischargeMethod");
    let method_path = format!("extension('{method}')");
    if reopened {
        draft.clear(destination_path);
        draft.clear(&method_path);
    } else {
        if let Some(concept) =
            draft.tabled(pv1, 37, destination_path, (&DISCHARGE_DESTINATION, day))
        {
            stay.insert("dischargeDisposition".to_owned(), concept);
        }
        if let Some(concept) = draft.tabled(pv1, 36, &method_path, (&DISCHARGE_METHOD, day)) {
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
        let specialty = json!({ "coding": [{ "system": MAIN_SPECIALTY.system(), "code": "300" }] });
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
        assert_eq!(built.quality, ["code.unknown"]);
        let method = &built.resource["hospitalization"]["extension"][0]["valueCodeableConcept"];
        let local = json!([{ "system": "urn:tieline:codes:admission-method", "code": "77" }]);
        assert_eq!(*method, json!({ "coding": local, "text": "77" }));
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
    fn codes_that_a_table_does_not_have_stay_as_sent() {
        let fields =
            [(2, "W"), (4, "89"), (10, "FRAILTY^Frailty team"), (19, "V1"), (36, "2"), (37, "99")];
        let built = built("A03", &pv1(&fields)).expect("an encounter");
        let encounter = &built.resource;
        let stay = &encounter["hospitalization"];
        let local = |table: &str, code: &str| {
            json!({ "coding": [{ "system": format!("urn:tieline:codes:{table}"), "code": code }],
                    "text": code })
        };
        let specialty = &encounter["serviceType"];
        assert_eq!(specialty["coding"][0]["system"], "urn:tieline:codes:main-specialty");
        assert_eq!(specialty["text"], "Frailty team");
        let method = &stay["extension"][0]["valueCodeableConcept"];
        assert_eq!(*method, local("admission-method", "89"));
        let method = &encounter["extension"][0]["valueCodeableConcept"];
        assert_eq!(*method, local("discharge-method", "2"));
        assert_eq!(stay["dischargeDisposition"]["coding"][0]["code"], "99");
        let class = json!({ "system": "urn:tieline:codes:patient-class", "code": "W" });
        assert_eq!(encounter["class"], class);
        let unknown = built.quality.iter().filter(|code| **code == "code.unknown");
        assert_eq!(unknown.count(), 4);
    }
}
