//! NK1, and the mother of PID-21, as UK Core `RelatedPerson`.

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::claim::claims_nhs_number;
use crate::fhir::built::{Built, Draft, id, identifier_in, reference};
use crate::fhir::coded::{concept, in_system};
use crate::fhir::datatypes::{
    ADDRESSED, NAMED, NUMBERED, REACHED, address, human_name, identifier, telecom,
};
use crate::fhir::names::{NHS_NUMBER, RANK, terminology, uk_core};
use crate::fhir::patient::gender;
use crate::fhir::tables::RELATIONSHIP;
use crate::json::{Object, Value, object, only};
use crate::nhs_number::NhsNumber;
use crate::source::Source;
use crate::text::{stated, whole_of};

/// Builds a `RelatedPerson` of each NK1, and one of the mother if PID-21 identifies her or PID-6
/// names her. An NK1 that names nobody gives none.
///
/// The NK1 of a message are all that there are (HL7 v2, chapter 2: a snapshot), and so replace what was
/// held: none of them has an identifier by which a later message could take it away. One whose name is
/// null is nobody any more (`active` is false).
pub fn related_persons(message: &Message, source: &Source) -> Vec<Built> {
    let listed = message.segments_named("NK1").filter_map(|nk1| related(message, &nk1, source));
    let mut all: Vec<Built> = listed.collect();
    if let Some(first) = all.first_mut() {
        first.replaced.push("RelatedPerson".to_owned());
    }
    all.extend(mother(message, source));
    all
}

fn draft(message: &Message, number: usize) -> Draft {
    let own_id = id(message, "RelatedPerson", number);
    let mut draft = Draft::new("RelatedPerson", &own_id, uk_core!("UKCore-RelatedPerson"));
    draft.set("patient", reference(&id(message, "Patient", 1)));
    draft
}

fn related(message: &Message, nk1: &Segment<'_>, source: &Source) -> Option<Built> {
    let mut draft = draft(message, nk1.index());
    let zone = &source.zone;
    draft.set_all(nk1, 33, ("identifier", "identifier"), NUMBERED, |id| number(id, source));
    relationship(&mut draft, nk1);
    let name_field = if is_stated(nk1, 2) { 2 } else { 30 };
    draft.set_all(nk1, name_field, ("name", "name"), NAMED, |name| human_name(name, zone));
    draft
        .set_all(nk1, 5, ("telecom", "telecom.where(use='home')"), REACHED, |t| telecom(t, "home"));
    draft
        .set_all(nk1, 6, ("telecom", "telecom.where(use='work')"), REACHED, |t| telecom(t, "work"));
    if let Some(sex) = draft.read(nk1, 15, "gender") {
        gender(&mut draft, &sex, source);
    }
    let birth = draft.moment(nk1, 16, "birthDate", source);
    draft.set("birthDate", birth.map(|birth| Value::text(birth.date())));
    draft.set_all(nk1, 4, ("address", "address"), ADDRESSED, |each| address(each, zone));
    period(&mut draft, nk1, source);
    if let Some(language) = draft.read_coded(nk1, 20, "communication", concept) {
        draft.set("communication", only(object([("language", language)])));
    }
    let rank = stated(nk1.text(1, 1)).and_then(|rank| rank.parse::<u16>().ok());
    if let Some(rank) = rank.filter(|rank| *rank > 0) {
        draft.extension(object([
            ("url", Value::from(RANK)),
            ("valuePositiveInt", Value::from(rank)),
        ]));
    }
    // An organisation as next of kin, a care home for example, has only a name.
    if !draft.body.contains_key("name")
        && let Some(name) = whole_of(nk1, 13, 1)
    {
        draft.set("name", only(object([("text", Value::from(name))])));
    }
    let about = ["identifier", "name", "telecom", "address"];
    let says = about.iter().any(|key| draft.body.contains_key(key));
    if !says && nk1.field(name_field).is_some_and(|name| name.is_null()) {
        draft.set("active", Value::from(false));
    }
    (says || !draft.cleared.is_empty()).then(|| draft.finish())
}

/// An NHS Number where the source marks it as one and it is valid; else an identifier of the
/// organisation that it names.
fn number(id: &Repetition<'_>, source: &Source) -> Option<Value> {
    let claimed = claims_nhs_number(id, &source.nhs_number).then(|| stated(id.text(1, 1)));
    match claimed.flatten().and_then(|text| NhsNumber::parse(&text).ok()) {
        Some(number) => Some(identifier_in(NHS_NUMBER, number.to_string())),
        None => identifier(id, &source.zone),
    }
}

fn is_stated(nk1: &Segment<'_>, field: usize) -> bool {
    nk1.field(field).is_some_and(|field| !field.is_empty())
}

/// NK1-3 who it is (table 0063), NK1-7 what for (table 0131).
fn relationship(draft: &mut Draft, nk1: &Segment<'_>) {
    if let Some(kin) = draft.read_coded(nk1, 3, "relationship", kinship) {
        draft.push("relationship", kin);
    }
    if let Some(role) = draft.read_coded(nk1, 7, "relationship", contact_role) {
        draft.push("relationship", role);
    }
}

/// The code as sent, and behind it the one of v3 `RoleCode` where there is a sure one.
fn kinship(kin: &Repetition<'_>) -> Option<Value> {
    let mut found = concept(kin)?;
    let sent = found["coding"][0]["code"].as_str().and_then(|code| RELATIONSHIP.code(code));
    if let (Some(code), Some(codings)) = (sent, found["coding"].as_array_mut()) {
        let mut known = Object::with_capacity(2);
        known.insert("system", Value::from(RELATIONSHIP.system()));
        known.insert("code", Value::from(code));
        codings.push(Value::Object(known));
    }
    Some(found)
}

/// N is the next of kin, C and C1 to C3 an emergency contact: codes of table 0131, which a sender need
/// not name.
fn contact_role(role: &Repetition<'_>) -> Option<Value> {
    let mut found = concept(role)?;
    let code = found["coding"][0]["code"].as_str().unwrap_or_default();
    let known = matches!(code, "N" | "C" | "CP" | "EP" | "E" | "F" | "I" | "S" | "U" | "PR");
    let codings = found["coding"].as_array_mut().filter(|_| known);
    if let Some(coding) = codings.and_then(|codings| codings.first_mut())
        && coding.get("system").is_none()
    {
        coding["system"] = Value::from(terminology!("v2-0131"));
    }
    Some(found)
}

/// NK1-8 and NK1-9: from when to when this person is to be contacted.
fn period(draft: &mut Draft, nk1: &Segment<'_>, source: &Source) {
    let mut period = Object::with_capacity(2);
    for (field, key, path) in [(8, "start", "period.start"), (9, "end", "period.end")] {
        if let Some(moment) = draft.moment(nk1, field, path, source) {
            period.insert(key.to_owned(), Value::text(moment.fhir()));
        }
    }
    draft.set("period", Value::Object(period));
}

/// PID-21, the mother of a newborn, with the name of PID-6: who is looking for the child may know
/// only hers.
fn mother(message: &Message, source: &Source) -> Option<Built> {
    let pid = message.segment("PID", 1)?;
    let mut draft = draft(message, 0);
    let zone = &source.zone;
    draft.set_all(&pid, 21, ("identifier", "identifier"), NUMBERED, |id| number(id, source));
    let known = draft.body.contains_key("identifier") || !draft.cleared.is_empty();
    if !known {
        return None;
    }
    let system = terminology!("v3-RoleCode");
    draft.set("relationship", only(in_system(system, "MTH", None)));
    let name = pid.field(6).and_then(|field| human_name(&field.repetition(1)?, zone));
    if let Some(mut name) = name {
        name["use"] = Value::from("maiden");
        draft.set("name", only(name));
    }
    Some(draft.finish())
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(body: &str) -> Vec<Built> {
        related_persons(&message("ADT^A28", body), &source())
    }

    #[test]
    fn a_next_of_kin_is_reached_by_name_and_telephone() {
        let nk1 = "NK1|1|TEST^BOB^^^MR|SPO^Spouse|1 ROAD^^TOWN^^AA1 1AA|01130000000^PRN^PH|01130000001^WPN^PH|N^Next of kin|20200101";
        let person = built(nk1).remove(0).resource;
        assert_eq!(person["name"][0]["family"], "TEST");
        let codes: Vec<_> = person["relationship"][0]["coding"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|c| &c["code"])
            .collect();
        assert_eq!(codes, ["SPO", "SPS"]);
        assert_eq!(
            person["relationship"][1]["coding"][0]["system"],
            "http://terminology.hl7.org/CodeSystem/v2-0131"
        );
        assert_eq!(person["telecom"][1]["use"], "work");
        assert_eq!(person["address"][0]["postalCode"], "AA1 1AA");
        assert_eq!(person["period"], json!({ "start": "2020-01-01" }));
        assert_eq!(person["extension"][0]["valuePositiveInt"], 1);
    }

    #[test]
    fn a_newborn_has_a_mother() {
        let pid =
            segment("PID", &[(3, "7^^^RXX01^MR"), (6, "OLD^ANN"), (21, "1234567^^^RXX01^MR")]);
        let mother = built(&pid).remove(0).resource;
        assert_eq!(mother["identifier"][0]["value"], "1234567");
        assert_eq!(code(&mother["relationship"][0]), "MTH");
        assert_eq!(
            (&mother["name"][0]["use"], &mother["name"][0]["family"]),
            (&json!("maiden"), &json!("OLD"))
        );
        assert!(built("PID|1||7^^^RXX01^MR||||").is_empty());
        let pid = segment("PID", &[(21, "9990000018^^^NHS^NH~9990000011^^^NHS^NH")]);
        let mother = built(&pid).remove(0).resource;
        assert_eq!(mother["identifier"][0]["system"], NHS_NUMBER);
        assert!(mother["identifier"][0].get("assigner").is_none());
        assert!(mother["identifier"][1].get("system").is_none(), "a wrong check digit is none");
    }

    #[test]
    fn the_next_of_kin_of_a_message_are_all_that_there_are() {
        let all = built(
            "PID|1||7^^^RXX01^MR||||||||||||||||||8^^^RXX01^MR\rNK1|1|TEST^BOB\rNK1|2|TEST^EVE",
        );
        let replaces = |one: &&Built| one.replaced.iter().any(|path| path == "RelatedPerson");
        assert_eq!((all.len(), all.iter().filter(replaces).count()), (3, 1));
        let gone = built("NK1|1|\"\"").remove(0);
        assert_eq!(gone.resource["active"], false);
        assert!(replaces(&&gone));
        // A mother is not among them.
        let child = built("PID|1||7^^^RXX01^MR||||||||||||||||||8^^^RXX01^MR");
        assert_eq!((child.len(), child.iter().filter(replaces).count()), (1, 0));
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert!(built("NK1|1").is_empty());
        assert!(built("NK1|1||SPO^Spouse").is_empty());
        let nulls = built("NK1|1|^\"\"|SPO|\"\"|\"\"|^^^\"\"").remove(0);
        let cleared = ["name.given", "telecom.where(use='home')"];
        let cleared = cleared
            .into_iter()
            .chain(["telecom.where(use='work').where(system='email')", "address"]);
        let cleared: Vec<String> = cleared.map(|path| format!("RelatedPerson.{path}")).collect();
        assert_eq!(nulls.cleared, cleared);
        let home = built("NK1|1||||||||||||Rose care home").remove(0).resource;
        assert_eq!(home["name"][0]["text"], "Rose care home");
    }
}
