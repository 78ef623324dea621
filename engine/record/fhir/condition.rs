//! DG1 as UK Core Condition.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, reference};
use crate::fhir::coded::{concept_of, in_system};
use crate::fhir::datatypes::{entity, practitioner};
use crate::fhir::encounter::visit;
use crate::fhir::names::{AS_SENT, RANK, terminology, uk_core};
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::{stated, whole_of};

/// Builds a Condition of each DG1 in order. One whose DG1-3 is HL7 null names nothing: all the
/// diagnoses are to be deleted, which is for the event to say. One without code and text names nothing,
/// and gives none.
pub fn conditions(message: &Message, source: &Source) -> Result<Vec<Built>, Unmappable> {
    let all = message.segments_named("DG1").filter(|dg1| !is_deletion(dg1));
    let named = all.filter(|dg1| named(dg1).is_some());
    named.map(|dg1| condition(message, &dg1, source)).collect()
}

/// Whether diagnoses are stated, or deleted by a DG1 whose code is HL7 null.
pub(crate) fn is_deletion(dg1: &Segment<'_>) -> bool {
    dg1.field(3).is_some_and(|code| code.is_null())
}

fn condition(message: &Message, dg1: &Segment<'_>, source: &Source) -> Result<Built, Unmappable> {
    let profile = uk_core!("UKCore-Condition");
    let mut draft = Draft::new("Condition", &id(message, "Condition", dg1.index()), profile);
    let number = draft.read_coded(dg1, 20, "identifier", entity);
    draft.set("identifier", number.map(only));
    let code = named(dg1).ok_or_else(|| Unmappable::in_field("condition.no-code", dg1, 3))?;
    draft.set("code", code);
    standing(&mut draft, dg1);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.set("encounter", visit(message, source));
    draft.date_time(dg1, 5, "onsetDateTime", source);
    let asserter = draft.read_coded(dg1, 16, "asserter", practitioner);
    draft.set("asserter", asserter);
    draft.date_time(dg1, 19, "recordedDate", source);
    let rank = stated(dg1.text(15, 1)).or_else(|| stated(dg1.text(1, 1)));
    if let Some(rank) = rank.and_then(|rank| rank.parse::<u16>().ok()).filter(|rank| *rank > 0) {
        draft.extension(object([
            ("url", Value::from(RANK)),
            ("valuePositiveInt", Value::from(rank)),
        ]));
    }
    Ok(draft.finish())
}

/// DG1-3, in the coding system that DG1-2 names where the code itself does not, with DG1-4, the
/// description of older versions, as text.
fn named(dg1: &Segment<'_>) -> Option<Value> {
    let coded = dg1.field(3).and_then(|field| field.repetition(1));
    let mut concept = coded.and_then(|coded| concept_of(&coded, stated(dg1.text(2, 1)).as_deref()));
    if let Some(text) = whole_of(dg1, 4, 1) {
        let concept = concept.get_or_insert_with(|| Value::Object(Object::new()));
        if concept.get("text").is_none() {
            concept["text"] = Value::from(text);
        }
    }
    concept
}

/// DG1-6 (table 0052): W is a working diagnosis and provisional, F a final one and confirmed. An
/// admitting diagnosis is what was thought at that time. DG1-21 D takes it back.
fn standing(draft: &mut Draft, dg1: &Segment<'_>) {
    let system = terminology!("condition-category");
    draft.push("category", in_system(system, "encounter-diagnosis", None));
    let kind = draft.read(dg1, 6, "verificationStatus");
    if let Some(kind) = &kind {
        if matches!(kind.as_str(), "A" | "W" | "F") {
            draft.push("category", in_system(terminology!("v2-0052"), kind.clone(), None));
        } else {
            draft.quality.push("code.unknown");
            draft.extension(code_as_sent(AS_SENT, kind.clone()));
        }
    }
    let word = match (stated(dg1.text(21, 1)).as_deref(), kind.as_deref()) {
        (Some("D"), _) => Some("entered-in-error"),
        (_, Some("A" | "W")) => Some("provisional"),
        (_, Some("F")) => Some("confirmed"),
        _ => None,
    };
    let system = terminology!("condition-ver-status");
    draft.set("verificationStatus", word.map(|word| in_system(system, word, None)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{code, message, source};

    fn built(dg1: &str) -> Result<Vec<Built>, Unmappable> {
        let body = format!("PV1|1|I|RXX^W1^B2^RXX01{}V77\r{dg1}", "|".repeat(16));
        conditions(&message("ADT^A03", &body), &source())
    }

    #[test]
    fn a_diagnosis_keeps_its_code_kind_and_rank() {
        let all = built("DG1|1||J18.9^Pneumonia^I10|||F\rDG1|2|I10|I10|Hypertension|20240101|W")
            .expect("two");
        let first = &all[0].resource;
        assert_eq!(first["code"]["coding"][0]["system"], "http://hl7.org/fhir/sid/icd-10");
        assert_eq!(code(&first["verificationStatus"]), "confirmed");
        assert_eq!(code(&first["category"][1]), "F");
        assert_eq!(first["extension"][0]["valuePositiveInt"], 1);
        assert_eq!(first["encounter"]["identifier"]["value"], "V77");
        let second = &all[1].resource;
        assert_eq!(second["code"]["coding"][0]["system"], "http://hl7.org/fhir/sid/icd-10");
        assert_eq!(second["code"]["text"], "Hypertension");
        assert_eq!(second["onsetDateTime"], "2024-01-01");
        assert_eq!(code(&second["verificationStatus"]), "provisional");
    }

    #[test]
    fn absent_null_and_deleted_stay_apart() {
        assert!(built("").expect("none").is_empty());
        assert!(built("DG1|1||\"\"").expect("none").is_empty());
        assert!(built("DG1|1|").expect("none").is_empty());
        assert!(built("DG1|1||^\"\"").expect("none").is_empty());
        let nulls = built("DG1|1||J18||\"\"|\"\"").expect("one").remove(0);
        assert_eq!(nulls.cleared, ["Condition.verificationStatus", "Condition.onsetDateTime"]);
        let gone = built(&format!("DG1|1||J18{}D", "|".repeat(18))).expect("one").remove(0);
        assert_eq!(code(&gone.resource["verificationStatus"]), "entered-in-error");
    }
}
