//! Coded values: CE and CWE, and the code systems of UK feeds.

use hl7::segment::Repetition;

use crate::fhir::built::Parts;
use crate::fhir::names::{LOCAL_CODES, TERMINOLOGY};
use crate::json::{Object, Text, Value, object, only};
use crate::text::{whole, words};

/// Code systems by the names that feeds give them (table 0396 and common others), in capitals.
const SYSTEMS: [(&str, &str); 14] = [
    ("SCT", "http://snomed.info/sct"),
    ("SNM", "http://snomed.info/sct"),
    ("SNOMED", "http://snomed.info/sct"),
    ("SNOMED-CT", "http://snomed.info/sct"),
    ("SNOMED CT", "http://snomed.info/sct"),
    ("LN", "http://loinc.org"),
    ("LOINC", "http://loinc.org"),
    ("UCUM", "http://unitsofmeasure.org"),
    ("I10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD10", "http://hl7.org/fhir/sid/icd-10"),
    ("ICD-10", "http://hl7.org/fhir/sid/icd-10"),
    ("OPCS4", "https://fhir.hl7.org.uk/CodeSystem/OPCS-4"),
    ("DMD", "https://dmd.nhs.uk"),
    ("READ", "http://read.info/readv2"),
];

/// What the components of a CE or CWE stand for.
pub(crate) const CODED: Parts = &[(1, "coding"), (2, "text")];

/// The URI of a code system as HL7 v2 names it: a known one, an HL7 table (`HL70078`), an OID, a
/// URI already, or a name that only the sender knows.
pub fn system(name: &str) -> String {
    let capitals = name.trim().to_ascii_uppercase();
    if let Some((_, uri)) = SYSTEMS.iter().find(|(known, _)| *known == capitals) {
        return (*uri).to_owned();
    }
    if let Some(table) = capitals.strip_prefix("HL7").filter(|table| table.len() == 4) {
        return format!("{TERMINOLOGY}v2-{table}");
    }
    let is_uri = ["http://", "https://", "urn:"].iter().any(|scheme| name.starts_with(scheme));
    if is_uri && !name.contains(char::is_whitespace) {
        return name.to_owned();
    }
    if is_oid(&capitals) {
        return format!("urn:oid:{capitals}");
    }
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._".contains(c) { c } else { '-' };
    format!("{LOCAL_CODES}{}", name.trim().chars().map(plain).collect::<String>())
}

/// Whether one of the codes of a CE or CWE is of a system that others know, too.
pub(crate) fn has_public_code(of: &Repetition<'_>) -> bool {
    [(1, 3), (4, 6)].into_iter().any(|(code, name)| {
        let name = whole(of, code).and_then(|_| whole(of, name));
        name.is_some_and(|name| system(&name).starts_with("http"))
    })
}

/// Whether a text can be the name of a code system: `L`, `99LAB`, `ISO+` or an OID, but not `9/L`.
pub(crate) fn is_system_name(text: &str) -> bool {
    let named = text.bytes().any(|byte| byte.is_ascii_alphabetic()) && !text.contains('/');
    named || is_oid(text)
}

fn is_oid(text: &str) -> bool {
    text.contains('.') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// A coded field as `CodeableConcept`: the code and the alternate code, each with text and system
/// as sent; a text that stands alone is the concept's text (CWE-9 before CE-2). Nothing is looked
/// up and nothing invented.
pub fn concept(coded: &Repetition<'_>) -> Option<Value> {
    concept_of(coded, None)
}

/// As [`concept`]; `named` is the system that another field names for the code, where the code
/// itself names none.
pub(crate) fn concept_of(coded: &Repetition<'_>, named: Option<&str>) -> Option<Value> {
    let part = |component: usize| whole(coded, component);
    let coding = |code: usize| {
        let id = part(code)?;
        let mut coding = Object::with_capacity(3);
        let elsewhere = || named.filter(|_| code == 1).map(system);
        let system = part(code + 2).map(|name| system(&name)).or_else(elsewhere);
        coding.put("system", system);
        coding.put("code", Some(id));
        coding.put("display", words(coded, code + 1));
        Some(Value::Object(coding))
    };
    let codings: Vec<Value> = [1, 4].into_iter().filter_map(coding).collect();
    let text = [9, 2, 5].into_iter().find_map(|component| words(coded, component));
    let mut concept = Object::with_capacity(2);
    if !codings.is_empty() {
        concept.insert("coding", Value::Array(codings));
    }
    concept.put("text", text);
    (!concept.is_empty()).then_some(Value::Object(concept))
}

/// A concept of one code in one system, with the text that was sent beside it.
pub fn in_system(system: impl Into<Text>, code: impl Into<Text>, text: Option<&str>) -> Value {
    let mut coding = Object::with_capacity(3);
    coding.insert("system", system.into());
    coding.insert("code", code.into());
    coding.put("display", text.map(str::to_owned));
    object([("coding", only(Value::Object(coding)))])
}

/// A concept that is only a text.
pub(crate) fn in_words(text: &str) -> Value {
    object([("text", Value::text(text))])
}

#[cfg(test)]
mod tests {
    use hl7::message::{Message, Reading};

    use super::*;
    use crate::json::json;

    #[test]
    fn a_text_is_not_cut_where_it_says_and() {
        let text =
            "MSH|^~\\&|LIMS\rOBX|1|CE|A||^Adenovirus & RSV not detected~MV^Measles & mumps^LIMS";
        let message = Message::parse(text.as_bytes(), &Reading::default()).expect("a message");
        let field = message.segment("OBX", 1).and_then(|obx| obx.field(5)).expect("a value");
        let concepts: Vec<_> = field.repetitions().filter_map(|each| concept(&each)).collect();
        assert_eq!(concepts[0], json!({ "text": "Adenovirus & RSV not detected" }));
        assert_eq!(concepts[1]["coding"][0]["display"], "Measles & mumps");
    }

    #[test]
    fn systems_are_known_tables_oids_or_the_senders_own() {
        assert_eq!(system("SCT"), "http://snomed.info/sct");
        assert_eq!(system("HL70078"), "http://terminology.hl7.org/CodeSystem/v2-0078");
        assert_eq!(system("2.16.840.1.113883"), "urn:oid:2.16.840.1.113883");
        assert_eq!(system("http://snomed.info/sct"), "http://snomed.info/sct");
        assert_eq!(system("WinPath codes"), "urn:tieline:codes:WinPath-codes");
    }
}
