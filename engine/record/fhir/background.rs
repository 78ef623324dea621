//! What PID says of a person's background: language, marital status, religion, ethnicity, birth.

use hl7::segment::{Repetition, Segment};

use crate::fhir::built::{Draft, coded_extension};
use crate::fhir::coded::concept;
use crate::fhir::names::{Extension, extension, fhir, uk_core};
use crate::fhir::tables::{ETHNIC_CATEGORY, MARITAL_STATUS};
use crate::fhir::yes_or_no::yes_or_no;
use crate::json::{Value, object, only};
use crate::text::{whole, whole_of};

const ETHNICITY: Extension = extension!(uk_core "Extension-UKCore-EthnicCategory");
const RELIGION: Extension = extension!(fhir "patient-religion");
const NATIONALITY: Extension = extension!(fhir "patient-nationality");
const BIRTH_PLACE: Extension = extension!(fhir "patient-birthPlace");
const MOTHERS_NAME: Extension = extension!(fhir "patient-mothersMaidenName");

/// PID-6, 15 to 17, 22 to 25, 28.
pub(crate) fn background(draft: &mut Draft, pid: &Segment<'_>, day: &str) {
    if let Some(language) = draft.read_coded(pid, 15, "communication", concept) {
        draft.set("communication", only(object([("language", language)])));
    }
    let marital = draft.tabled(pid, 16, "maritalStatus", (&MARITAL_STATUS, day));
    draft.set("maritalStatus", marital);
    if let Some(concept) = draft.read_coded(pid, 17, RELIGION.path, concept) {
        draft.extension(coded_extension(RELIGION.url, concept));
    }
    if let Some(concept) = draft.tabled(pid, 22, ETHNICITY.path, (&ETHNIC_CATEGORY, day)) {
        draft.extension(coded_extension(ETHNICITY.url, concept));
    }
    nationality(draft, pid);
    multiple_birth(draft, pid);
    birth_place(draft, pid);
    mothers_name(draft, pid);
}

/// PID-28, an extension with parts.
fn nationality(draft: &mut Draft, pid: &Segment<'_>) {
    if let Some(concept) = draft.read_coded(pid, 28, NATIONALITY.path, concept) {
        let code = only(coded_extension("code", concept));
        draft.extension(object([("url", Value::from(NATIONALITY.url)), ("extension", code)]));
    }
}

/// PID-23, the name of a place.
fn birth_place(draft: &mut Draft, pid: &Segment<'_>) {
    if draft.read(pid, 23, BIRTH_PLACE.path).is_some()
        && let Some(text) = whole_of(pid, 23, 1)
    {
        let place = object([("text", Value::from(text))]);
        draft.extension(object([("url", Value::from(BIRTH_PLACE.url)), ("valueAddress", place)]));
    }
}

/// PID-6, by which a newborn may be looked for.
fn mothers_name(draft: &mut Draft, pid: &Segment<'_>) {
    let family = |name: &Repetition<'_>| whole(name, 1).map(Value::from);
    if let Some(name) = draft.read_coded(pid, 6, MOTHERS_NAME.path, family) {
        draft.extension(object([("url", Value::from(MOTHERS_NAME.url)), ("valueString", name)]));
    }
}

/// PID-25 the order of a birth among several, PID-24 whether there were several.
fn multiple_birth(draft: &mut Draft, pid: &Segment<'_>) {
    let order = draft.read(pid, 25, "multipleBirth");
    let multiple = draft.read(pid, 24, "multipleBirth");
    if let Some(order) = order.and_then(|order| order.parse::<u8>().ok()).filter(|order| *order > 0)
    {
        draft.set("multipleBirthInteger", Value::from(order));
    } else if let Some(multiple) = multiple.as_deref().and_then(yes_or_no) {
        draft.set("multipleBirthBoolean", Value::Bool(multiple));
    }
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::built::Built;
    use crate::fhir::example::{message, segment};

    fn built(fields: &[(usize, &str)]) -> Built {
        let message = message("ADT^A31", &segment("PID", fields));
        let mut draft = Draft::new("Patient", "p", "profile");
        background(&mut draft, &message.segment("PID", 1).expect("a PID"), "20240110");
        draft.finish()
    }

    #[test]
    fn a_background_is_kept_in_the_words_of_the_nhs() {
        let fields = [
            (6, "OLD^ANN"),
            (15, "cy^Welsh^ISO639"),
            (16, "M"),
            (17, "C10^Christian^L"),
            (22, "A^White British"),
            (23, "Cardiff"),
            (25, "2"),
            (28, "GBR^British"),
        ];
        let patient = built(&fields).resource;
        assert_eq!(patient["communication"][0]["language"]["coding"][0]["code"], "cy");
        assert_eq!(patient["maritalStatus"]["coding"][0]["code"], "M");
        let extensions = patient["extension"].as_array().expect("a list");
        let by = |name: &str| {
            extensions
                .iter()
                .find(|each| each["url"].as_str().is_some_and(|url| url.ends_with(name)))
        };
        let ethnicity = by("EthnicCategory").expect("an ethnicity");
        assert_eq!(ethnicity["valueCodeableConcept"]["coding"][0]["code"], "A");
        let nationality = by("nationality").expect("a nationality");
        let code = &nationality["extension"][0]["valueCodeableConcept"]["coding"][0]["code"];
        assert_eq!(
            (nationality["extension"][0]["url"].as_str(), code),
            (Some("code"), &json!("GBR"))
        );
        assert_eq!(by("birthPlace").expect("a place")["valueAddress"]["text"], "Cardiff");
        assert_eq!(by("mothersMaidenName").expect("a name")["valueString"], "OLD");
        assert_eq!(patient["multipleBirthInteger"], 2);
    }

    #[test]
    fn absent_null_and_unknown_stay_apart() {
        assert_eq!(built(&[(3, "7")]).resource.as_object().map(crate::json::Object::len), Some(3));
        let nulls = built(&[(15, "\"\""), (16, "\"\""), (17, "^\"\""), (22, "\"\""), (24, "\"\"")]);
        let cleared = [
            "communication",
            "maritalStatus",
            "extension('http://hl7.org/fhir/StructureDefinition/patient-religion').text",
            "extension('https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-EthnicCategory')",
            "multipleBirth",
        ];
        assert_eq!(nulls.cleared, cleared.map(|path| format!("Patient.{path}")));
        let odd = built(&[(16, "Q"), (22, "XYZ^Other")]);
        assert_eq!(odd.quality, ["code.unknown", "code.unknown"]);
        let sent = &odd.resource["extension"][0]["valueCodeableConcept"];
        assert_eq!(sent["coding"][0]["code"], "XYZ");
        assert_eq!(sent["text"], "Other");
    }
}
