//! PV1 and PV2 as UK Core Encounter.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::demographics::stands_for_none;
use crate::fhir::built::{Built, Draft, Unmappable, coded_extension, id, reference};
use crate::fhir::coded::{CODED, concept, in_system, in_words};
use crate::fhir::datatypes::{
    PERSON, entity, identifier, identifier_type, logical, organisation, practitioner,
};
use crate::fhir::location::{PLACED, PLACED_IN_CLINIC, Placed, places};
use crate::fhir::names::{Extension, extension, fhir_r5, terminology, tieline, uk_codes, uk_core};
use crate::fhir::tables::{
    ADMISSION_METHOD, ADMISSION_SOURCE, ATTENDANCE_DISPOSAL, DISCHARGE_DESTINATION,
    DISCHARGE_METHOD, LEGAL_STATUS, MAIN_SPECIALTY, OUTCOME_OF_ATTENDANCE, PATIENT_CLASS, day,
};
use crate::json::{Object, Value, object, only};
use crate::site;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;
use crate::trigger::trigger;

const EXPECTED_START: Extension = extension!(fhir_r5 "extension-Encounter.plannedStartDate");
const EXPECTED_END: Extension = extension!(fhir_r5 "extension-Encounter.plannedEndDate");
const READY: Extension = extension!(tieline "ready-for-discharge");
const OUTCOME: Extension = extension!(uk_core "Extension-UKCore-OutcomeOfAttendance");
const LAW: Extension = extension!(uk_core "Extension-UKCore-LegalStatus");
/// Each legal status apart from the others: one may be taken away and another stated.
const LAW_OF_STAY: &str = concat!(
    "extension('",
    uk_core!("Extension-UKCore-LegalStatus"),
    "').where(extension('legalStatusContext').value.coding.exists())"
);
const LAW_AT_CENSUS: &str = concat!(
    "extension('",
    uk_core!("Extension-UKCore-LegalStatus"),
    "').where(extension('legalStatusContext').value.text='census')"
);
const ADMITTED: &str = uk_core!("Extension-UKCore-AdmissionMethod");
const ADMITTED_PATH: &str =
    concat!("hospitalization.extension('", uk_core!("Extension-UKCore-AdmissionMethod"), "')");
const DISCHARGED: Extension = extension!(uk_core "Extension-UKCore-DischargeMethod");

/// Fields of people (XCN), their part in the visit, and the path that names them.
const PARTICIPANTS: [(usize, &str, &str); 5] = [
    (7, "ATND", "participant.where(type.coding.code='ATND')"),
    (8, "REF", "participant.where(type.coding.code='REF')"),
    (9, "CON", "participant.where(type.coding.code='CON')"),
    (17, "ADM", "participant.where(type.coding.code='ADM')"),
    (52, "PART", "participant.where(type.coding.code='PART')"),
];

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
    let profile = uk_core!("UKCore-Encounter");
    let mut draft = Draft::new("Encounter", &id(message, "Encounter", 1), profile);
    let trigger = trigger(message).unwrap_or_default();
    visit_numbers(&mut draft, message, &pv1, source);
    if !draft.body.contains_key("identifier") {
        if CANCELLATIONS.split(' ').any(|each| each == trigger) {
            return Err(Unmappable::in_field("encounter.no-number", &pv1, 19));
        }
        draft.quality.push("encounter.no-number");
    }
    let status = status.unwrap_or_else(|| status_of(&trigger, &pv1));
    draft.set("status", Value::text(status));
    set_class(&mut draft, &class);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    let day = day(message);
    let specialty = draft.tabled(&pv1, 10, "serviceType", (&MAIN_SPECIALTY, &day));
    draft.set("serviceType", specialty);
    participants(&mut draft, &pv1);
    // What the discharge said no longer holds, whether or not PV1 still says it.
    let reopened = trigger == "A13";
    period(&mut draft, &pv1, source, reopened);
    hospitalization(&mut draft, &pv1, (&class, reopened), &day);
    locations(&mut draft, &pv1, source, status, &class);
    plan(&mut draft, message, source);
    attendance(&mut draft, message, &trigger, &day);
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
pub(crate) fn set_class(draft: &mut Draft, class: &str) {
    let (system, code) = match PATIENT_CLASS.code(class) {
        Some(code) => (PATIENT_CLASS.system(), code.into()),
        None if class.is_empty() => {
            draft.quality.push("encounter.class-absent");
            (terminology!("v3-NullFlavor"), "UNK".into())
        }
        None if matches!(class, "B" | "C") => (terminology!("v2-0004"), class.to_owned().into()),
        // The waiting list, which HL7 UK adds to the table.
        None if class == "W" => ("urn:tieline:codes:patient-class", class.to_owned().into()),
        None => {
            draft.quality.push("code.unknown");
            ("urn:tieline:codes:patient-class", class.to_owned().into())
        }
    };
    let coding = [("system", system.into()), ("code", Value::String(code))];
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
        _ if stated(pv1.text(45, 1)).is_some_and(|end| !stands_for_none(&end)) => "finished",
        _ => "in-progress",
    }
}

/// PV2-3 why, PV2-8 and 9 when it is expected to begin and end, ZU1-24 since when the patient could
/// leave.
fn plan(draft: &mut Draft, message: &Message, source: &Source) {
    if let Some(pv2) = message.segment("PV2", 1) {
        dated(draft, &pv2, 8, EXPECTED_START, source);
        dated(draft, &pv2, 9, EXPECTED_END, source);
        draft.set_all(&pv2, 3, ("reasonCode", "reasonCode"), CODED, concept);
        draft.coded(&pv2, 25, "priority");
    }
    if let Some(zu1) = message.segment("ZU1", 1) {
        dated(draft, &zu1, 24, READY, source);
    }
}

fn dated(draft: &mut Draft, of: &Segment<'_>, field: usize, as_: Extension, source: &Source) {
    if let Some(moment) = draft.moment(of, field, as_.path, source) {
        let when = Value::text(moment.fhir());
        draft.extension(object([("url", Value::from(as_.url)), ("valueDateTime", when)]));
    }
}

/// What UK segments say of it: the outcome of an attendance (ZU3-4), the legal status of a patient of
/// mental health (ZU5-2, and 3 for the census).
fn attendance(draft: &mut Draft, message: &Message, trigger: &str, day: &str) {
    let zu3 = message.segment("ZU3", 1);
    let outcomes = (&OUTCOME_OF_ATTENDANCE, day);
    if let Some(outcome) = zu3.and_then(|zu3| draft.tabled(&zu3, 4, OUTCOME.path, outcomes)) {
        draft.extension(coded_extension(OUTCOME.url, outcome));
    }
    if let Some(zu5) = message.segment("ZU5", 1) {
        let moment = if trigger == "A03" { "discharge" } else { "admission" };
        let moment = in_system(uk_codes!("UKCore-LegalStatusContext"), moment, None);
        let contexts = [(2, moment, LAW_OF_STAY), (3, in_words("census"), LAW_AT_CENSUS)];
        for (field, context, path) in contexts {
            let Some(status) = draft.tabled(&zu5, field, path, (&LEGAL_STATUS, day)) else {
                continue;
            };
            let parts = vec![
                coded_extension("legalStatusContext", context),
                coded_extension("legalStatusClassification", status),
            ];
            let parts = [("url", Value::from(LAW.url)), ("extension", Value::Array(parts))];
            draft.extension(object(parts));
        }
    }
}

/// PV1-19 is the visit; PV1-50 an alternate id, typically the consultant episode (CX-5 `CE`); PID-18 an
/// account, by which some systems merge visits. PV1-54 is the episode that the visit is a part of.
fn visit_numbers(draft: &mut Draft, message: &Message, pv1: &Segment<'_>, source: &Source) {
    for (field, default_type) in [(19, Some("VN")), (50, None)] {
        if let Some(visit) = visit_number(pv1, field, default_type, source) {
            draft.push("identifier", visit);
        }
    }
    let pid = message.segment("PID", 1);
    if let Some(account) = pid.and_then(|pid| visit_number(&pid, 18, Some("AN"), source)) {
        // Where it is the visit, it stands in PV1-19 by now.
        let held = draft.body.get("identifier").and_then(Value::as_array);
        let is_it =
            |of: &Value| of["value"] == account["value"] && of["assigner"] == account["assigner"];
        if !held.is_some_and(|held| held.iter().any(is_it)) {
            draft.push("identifier", account);
        }
    }
    if let Some(episode) = visit_number(pv1, 54, None, source) {
        draft.push("episodeOfCare", logical("EpisodeOfCare", episode));
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

/// PV1-7 attending (in the NHS the consultant in charge), 8 referring, 9 consulting, 17 admitting, 52
/// others.
fn participants(draft: &mut Draft, pv1: &Segment<'_>) {
    for (field, role, path) in PARTICIPANTS {
        let system = terminology!("v3-ParticipationType");
        draft.set_all(pv1, field, ("participant", path), PERSON, |doctor| {
            let individual = practitioner(doctor)?;
            let role = only(in_system(system, role, None));
            Some(object([("type", role), ("individual", individual)]))
        });
    }
}

pub(crate) fn period(draft: &mut Draft, pv1: &Segment<'_>, source: &Source, reopened: bool) {
    let mut period = Object::with_capacity(2);
    let (mut start, mut reversed) = (None::<Moment>, false);
    for (field, key, path) in [(44, "start", "period.start"), (45, "end", "period.end")] {
        if reopened && key == "end" {
            draft.clear(path);
            continue;
        }
        let Some(text) = draft.read(pv1, field, path) else { continue };
        match Moment::read(&text, &source.zone) {
            Ok(moment) if !stands_for_none(&text) => {
                period.insert(key.to_owned(), Value::text(moment.fhir()));
                reversed |= start.as_ref().is_some_and(|start| moment.is_before(start));
                start = Some(moment);
            }
            _ => draft.quality.push("date.unreadable"),
        }
    }
    // No reader takes such a period. The end is what is new; the start was told by the admission.
    if reversed {
        period.remove("start");
        draft.quality.push("encounter.ends-before-start");
    }
    draft.set("period", Value::Object(period));
}

/// PV1-4 is the admission method in the NHS, not the type of admission; PV1-14 its source, PV1-36
/// the discharge method (of class E the attendance disposal) and PV1-37 the destination.
fn hospitalization(
    draft: &mut Draft,
    pv1: &Segment<'_>,
    (class, reopened): (&str, bool),
    day: &str,
) {
    let mut stay = Object::with_capacity(4);
    if let Some(number) = draft.read_coded(pv1, 5, "hospitalization.preAdmissionIdentifier", entity)
    {
        stay.insert("preAdmissionIdentifier", number);
    }
    if let Some(concept) = draft.tabled(pv1, 4, ADMITTED_PATH, (&ADMISSION_METHOD, day)) {
        stay.insert("extension", only(coded_extension(ADMITTED, concept)));
    }
    let path = "hospitalization.admitSource";
    if let Some(concept) = draft.tabled(pv1, 14, path, (&ADMISSION_SOURCE, day)) {
        stay.insert("admitSource", concept);
    }
    let destination_path = "hospitalization.dischargeDisposition";
    if reopened {
        draft.clear(destination_path);
        draft.clear(DISCHARGED.path);
    } else {
        if let Some(concept) =
            draft.tabled(pv1, 37, destination_path, (&DISCHARGE_DESTINATION, day))
        {
            stay.insert("dischargeDisposition", concept);
        }
        // An emergency department has the attendance disposal there, whose 5 is the fracture clinic
        // and not the stillborn child of the other list.
        let methods = if class == "E" { &ATTENDANCE_DISPOSAL } else { &DISCHARGE_METHOD };
        if let Some(concept) = draft.tabled(pv1, 36, DISCHARGED.path, (methods, day)) {
            draft.extension(coded_extension(DISCHARGED.url, concept));
        }
    }
    if let Some(again) = draft.read_coded(pv1, 13, "hospitalization.reAdmission", concept) {
        stay.insert("reAdmission", again);
    }
    let path = "hospitalization.specialArrangement";
    if let Some(arrangement) = draft.read_coded(pv1, 15, path, concept) {
        stay.insert("specialArrangement", only(arrangement));
    }
    draft.set("hospitalization", Value::Object(stay));
}

/// PV1-3 where the patient is, 6 where before, 11 for a while, 42 where to. Who did not come was at no
/// place: it was planned. What stands where a ward would is a clinic for class O and C, of which FHIR's
/// physical types know nothing.
fn locations(draft: &mut Draft, pv1: &Segment<'_>, source: &Source, status: &str, class: &str) {
    let present = match status {
        "finished" | "entered-in-error" => "completed",
        "planned" | "cancelled" => "planned",
        _ => "active",
    };
    let system = terminology!("location-physical-type");
    let in_clinic = matches!(class, "O" | "C");
    let components = if in_clinic { PLACED_IN_CLINIC } else { PLACED };
    for (field, state) in [(3, present), (6, "completed"), (11, "active"), (42, "reserved")] {
        let Some(field) = pv1.field(field).filter(|field| !field.is_empty()) else { continue };
        if field.is_null() {
            draft.clear(&format!("location.where(status='{state}')"));
            continue;
        }
        for pl in field.repetitions() {
            let parts = places(&pl, source.point_of_care);
            if parts.is_empty() {
                draft.clear_parts(&pl, &format!("location.where(status='{state}')"), components);
            }
            for Placed { kind, location } in parts {
                let mut entry = Object::with_capacity(3);
                entry.insert("location", location);
                entry.insert("status", Value::from(state));
                if !(in_clinic && kind == "wa") {
                    entry.insert("physicalType", in_system(system, kind, None));
                }
                draft.push("location", Value::Object(entry));
            }
        }
    }
    if draft.body.contains_key("location") {
        draft.replace("location");
    }
}

#[cfg(test)]
mod tests;
