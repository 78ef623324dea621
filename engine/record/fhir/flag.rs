//! A Flag: that there is something to know of a patient, and where. Never what.

use hl7::message::Message;

use crate::fhir::built::{Built, Draft, id, reference};
use crate::fhir::coded::{in_system, in_words};
use crate::fhir::names::{fhir, uk_core};
use crate::json::{Text, Value, object, only};

/// What a script says of a flag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlagInput {
    /// The kind of flag: a code.
    pub code: String,
    /// The system of the code; SNOMED CT when empty.
    pub system: String,
    /// The name of the code for people.
    pub display: String,
    /// FHIR's status: `active`, `inactive` or `entered-in-error`.
    pub status: String,
    /// Where those who may can read what it is about: a URL, or the name of a system.
    pub pointer: String,
    /// A code of FHIR's flag-category, such as `safety`.
    pub category: String,
    /// FHIR date or dateTime from which it holds.
    pub start: String,
    /// FHIR date or dateTime until which it holds.
    pub end: String,
}

const STATUSES: [&str; 3] = ["active", "inactive", "entered-in-error"];
const CATEGORIES: &str = "http://terminology.hl7.org/CodeSystem/flag-category";

/// Builds the Flag, or says what is wrong with it.
pub fn flag(message: &Message, input: &FlagInput) -> Result<Built, &'static str> {
    if input.code.is_empty() && input.display.is_empty() {
        return Err("a flag needs a `code`, or at least a `display`");
    }
    if !STATUSES.contains(&input.status.as_str()) {
        return Err("the `status` of a flag is \"active\", \"inactive\" or \"entered-in-error\"");
    }
    // A message may raise several: which flag it is, its code says.
    let own_id = id(message, &format!("Flag/{}|{}", input.system, input.code), 1);
    let mut draft = Draft::new("Flag", &own_id, uk_core!("UKCore-Flag"));
    draft.set("status", Value::text(&input.status));
    if !input.category.is_empty() {
        draft.set("category", only(in_system(CATEGORIES, input.category.clone(), None)));
    }
    let system = if input.system.is_empty() {
        "http://snomed.info/sct".into()
    } else {
        Text::from(input.system.clone())
    };
    let display = Some(input.display.as_str()).filter(|text| !text.is_empty());
    let code = match display {
        Some(text) if input.code.is_empty() => in_words(text),
        text => in_system(system, input.code.clone(), text),
    };
    draft.set("code", code);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    let period = [("start", &input.start), ("end", &input.end)];
    let period = period.into_iter().filter(|(_, text)| !text.is_empty());
    let period = period.map(|(key, text)| (key, Value::text(text)));
    draft.set("period", Value::Object(period.collect()));
    if !input.pointer.is_empty() {
        let url = Value::from(fhir!("flag-detail"));
        let is_url = input.pointer.contains("://");
        let key = if is_url { "reference" } else { "display" };
        let pointer = object([(key, Value::text(&input.pointer))]);
        draft.extension(object([("url", url), ("valueReference", pointer)]));
    }
    Ok(draft.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{code, message};

    fn input() -> FlagInput {
        FlagInput {
            code: "902961000000107".to_owned(),
            status: "active".to_owned(),
            pointer: "https://flags.example/1".to_owned(),
            start: "2024-01-10".to_owned(),
            ..FlagInput::default()
        }
    }

    #[test]
    fn a_flag_is_a_pointer_with_a_status() {
        let flag = flag(&message("ADT^A31", ""), &input()).expect("a flag").resource;
        assert_eq!(
            (code(&flag["code"]), flag["status"].as_str()),
            ("902961000000107", Some("active"))
        );
        assert_eq!(flag["extension"][0]["valueReference"]["reference"], "https://flags.example/1");
        assert_eq!(flag["period"]["start"], "2024-01-10");
    }

    #[test]
    fn a_flag_without_code_or_status_is_an_error() {
        let wrong = |input: FlagInput| flag(&message("ADT^A31", ""), &input).is_err();
        assert!(wrong(FlagInput { code: String::new(), ..input() }));
        assert!(wrong(FlagInput { status: "on".to_owned(), ..input() }));
    }
}
