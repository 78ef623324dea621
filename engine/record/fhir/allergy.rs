//! AL1 and IAM as UK Core `AllergyIntolerance`, and what a list of them says as a whole.
//!
//! AL1 has neither number nor status: what is no longer sent is no longer held, so the list is
//! always stated whole. An IAM that says what to do (IAM-6 A, D or U) is a change of the list, and says
//! nothing of what it leaves out. Four ways of having nothing in it are four different things: somebody asked
//! and there is none, nobody asked, the sender deleted what was held, the sender said nothing.

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::fhir::absence::{absence, begins_with_denial, is_unclear};
use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, reference};
use crate::fhir::coded::{concept, has_public_code, in_system, in_words};
use crate::fhir::datatypes::{entity, named_organisation, practitioner};
use crate::fhir::names::{AS_SENT, terminology, uk_core};
use crate::fhir::tables::{ALLERGY_CATEGORY, ALLERGY_SEVERITY};
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::{stated, whole, whole_of};

/// What the allergies of a message say as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllergyStatus {
    /// At least one allergy.
    List,
    /// Somebody asked, and there is none, or none of a kind.
    NoneKnown,
    /// Nobody has asked, or nobody knows.
    NotAsked,
    /// Nothing was said: what is held stays.
    Absent,
    /// The sender deletes what it held.
    Cleared,
    /// There is none, and there is one: a person must look.
    Contradiction,
    /// Words of which nobody can tell whether they name or deny an allergy: a person must read them.
    Unclear,
}

impl AllergyStatus {
    /// The word for scripts.
    pub fn name(self) -> &'static str {
        match self {
            AllergyStatus::List => "list",
            AllergyStatus::NoneKnown => "none-known",
            AllergyStatus::NotAsked => "not-asked",
            AllergyStatus::Absent => "absent",
            AllergyStatus::Cleared => "cleared",
            AllergyStatus::Contradiction => "contradiction",
            AllergyStatus::Unclear => "unclear",
        }
    }
}

/// One AL1 or IAM.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Nothing,
    Null,
    NotAsked,
    /// None, or none of a category.
    NoneOf(Option<&'static str>),
    Allergy(Option<&'static str>),
    /// Of an absence, but nobody can tell of which.
    Unclear,
    /// What was said is taken back (IAM-6 D).
    Withdrawn,
}

/// Reads what the allergies of a message say as a whole.
pub fn status(message: &Message) -> AllergyStatus {
    let all: Vec<Says> = entries(message).map(|entry| says(&entry)).collect();
    let denied = |category: Option<&str>| {
        all.iter().any(|each| match each {
            Says::NoneOf(None) => true,
            // An allergy of no stated kind may be of the kind that is denied.
            Says::NoneOf(Some(kind)) => category.is_none_or(|category| category == *kind),
            _ => false,
        })
    };
    let none = all.iter().any(|each| matches!(each, Says::NoneOf(_)));
    let unasked = all.contains(&Says::NotAsked);
    let mut allergies = all.iter().filter_map(|each| match each {
        Says::Allergy(category) => Some(*category),
        _ => None,
    });
    let mut listed = allergies.clone();
    if allergies.any(denied) || (listed.next().is_some() || none) && unasked {
        AllergyStatus::Contradiction
    } else if all.contains(&Says::Unclear) {
        AllergyStatus::Unclear
    } else if all.iter().any(|each| matches!(each, Says::Allergy(_) | Says::Withdrawn)) {
        AllergyStatus::List
    } else if none {
        AllergyStatus::NoneKnown
    } else if unasked {
        AllergyStatus::NotAsked
    } else if all.contains(&Says::Null) {
        AllergyStatus::Cleared
    } else {
        AllergyStatus::Absent
    }
}

/// Builds a FHIR List of the allergies, and each of them behind it. The List is there even when
/// nothing is in it and then says why; a message that says nothing of allergies gives no List. One
/// that contradicts itself is refused (`allergy.contradiction`).
///
/// Words that may name or deny an allergy are an unconfirmed one in these words, for a person to read, and
/// nothing beside them is coded as none known. Such a list takes nothing away: what is held stays.
pub fn allergies(message: &Message, source: &Source) -> Result<Vec<Built>, Unmappable> {
    let status = status(message);
    if status == AllergyStatus::Absent {
        return Ok(Vec::new());
    }
    if status == AllergyStatus::Contradiction {
        let code = "allergy.contradiction";
        let first = entries(message).next();
        let nowhere = Unmappable { code, at: None };
        return Err(first.map_or(nowhere, |entry| Unmappable::in_field(code, &entry, 3)));
    }
    let unclear = status == AllergyStatus::Unclear;
    let mut list = Draft::new("List", &id(message, "List", 1), uk_core!("UKCore-List"));
    list.set("status", Value::from("current"));
    let changes = unclear || entries(message).any(|entry| action(&entry).is_some());
    list.set("mode", Value::from(if changes { "changes" } else { "snapshot" }));
    list.set("code", in_system(SNOMED, "886921000000105", Some("Allergies and adverse reactions")));
    list.set("subject", reference(&id(message, "Patient", 1)));
    let mut all = Vec::new();
    for entry in entries(message) {
        let says = says(&entry);
        if matches!(says, Says::Allergy(_) | Says::NoneOf(_) | Says::Unclear | Says::Withdrawn) {
            let own_id = id(message, "AllergyIntolerance", entry.index());
            let mut item = Object::with_capacity(2);
            if says == Says::Withdrawn {
                item.insert("deleted", Value::Bool(true));
            }
            item.insert("item", reference(&own_id));
            list.push("entry", Value::Object(item));
            let words_only = unclear && matches!(says, Says::NoneOf(_) | Says::Unclear);
            all.push(allergy(message, &entry, &own_id, source, words_only)?);
        }
    }
    match status {
        AllergyStatus::NotAsked => {
            let system = terminology!("list-empty-reason");
            let mut reason = in_system(system, "notasked", None);
            // Not asked, not known, not to be had: the words say more than the code.
            if let Some(words) = entries(message).find_map(|entry| words_of(&entry)) {
                reason["text"] = Value::from(words);
            }
            list.set("emptyReason", reason);
        }
        AllergyStatus::Cleared => {
            list.set("emptyReason", in_words("deleted by the sender"));
            list.cleared.push("AllergyIntolerance".to_owned());
        }
        _ if changes => {}
        _ => list.replaced.push("AllergyIntolerance".to_owned()),
    }
    all.insert(0, list.finish());
    Ok(all)
}

const SNOMED: &str = "http://snomed.info/sct";

fn entries(message: &Message) -> impl Iterator<Item = Segment<'_>> {
    message.segments().filter(|segment| matches!(segment.name(), "AL1" | "IAM"))
}

/// IAM-6: what is to be done with this allergy alone. X, no change, says nothing of the kind.
fn action(entry: &Segment<'_>) -> Option<String> {
    let action = stated(entry.text(6, 1)).filter(|_| entry.name() == "IAM")?;
    let action = action.trim().to_ascii_uppercase();
    matches!(action.as_str(), "A" | "D" | "U").then_some(action)
}

fn says(entry: &Segment<'_>) -> Says {
    match (named(entry), action(entry).as_deref()) {
        (_, Some("D")) => Says::Withdrawn,
        // What nothing names cannot be added or changed, and is refused where it is built.
        (Says::Nothing | Says::Null, Some(_)) => Says::Allergy(None),
        (said, _) => said,
    }
}

fn named(entry: &Segment<'_>) -> Says {
    let Some(field) = entry.field(3).filter(|field| !field.is_empty()) else {
        return Says::Nothing;
    };
    if field.is_null() {
        return Says::Null;
    }
    let Some(named) = field.repetition(1) else { return Says::Nothing };
    let parts: Vec<String> = [1, 2, 4, 5].into_iter().filter_map(|at| whole(&named, at)).collect();
    if parts.is_empty() {
        let null = named.components().any(|part| part.is_null());
        return if null { Says::Null } else { Says::Nothing };
    }
    match parts.iter().find_map(|text| absence(text)) {
        Some("not-asked") => Says::NotAsked,
        Some("none-drug") => Says::NoneOf(Some("medication")),
        Some("none-food") => Says::NoneOf(Some("food")),
        Some("none-environment") => Says::NoneOf(Some("environment")),
        // "None" beside DA denies drugs, and nothing else.
        Some("none-of-kind") => Says::NoneOf(category(entry)),
        Some(_) => Says::NoneOf(None),
        // A code that means the same to everybody says what the words may not.
        None if !has_public_code(&named) && parts.iter().any(|text| is_unclear(text)) => {
            Says::Unclear
        }
        None => Says::Allergy(category(entry)),
    }
}

/// What AL1-3 says in words.
fn words_of(entry: &Segment<'_>) -> Option<String> {
    [2, 5, 1].into_iter().find_map(|component| whole_of(entry, 3, component))
}

/// The part of AL1-3 of which nobody can tell what it means, else its words.
fn unclear_words(entry: &Segment<'_>) -> Option<String> {
    let mut parts = [2, 5, 1, 4].into_iter().filter_map(|part| whole_of(entry, 3, part));
    parts.find(|text| is_unclear(text)).or_else(|| words_of(entry))
}

/// Whether an allergy without a code begins with a word of denial, as `No penicillin please`: it stays
/// an allergy, since that is what it means, and is counted, since it may not.
fn is_denial(entry: &Segment<'_>) -> bool {
    let coded = [1, 4].into_iter().any(|at| whole_of(entry, 3, at).is_some());
    !coded && words_of(entry).is_some_and(|words| begins_with_denial(&words))
}

fn category(entry: &Segment<'_>) -> Option<&'static str> {
    ALLERGY_CATEGORY.code(&stated(entry.text(2, 1))?)
}

fn allergy(
    message: &Message,
    entry: &Segment<'_>,
    own_id: &str,
    source: &Source,
    words_only: bool,
) -> Result<Built, Unmappable> {
    let profile = uk_core!("UKCore-AllergyIntolerance");
    let mut draft = Draft::new("AllergyIntolerance", own_id, profile);
    let named = entry.field(3).and_then(|field| field.repetition(1));
    let code = match self::named(entry) {
        _ if words_only => unclear_words(entry).map(|words| in_words(&words)),
        Says::NoneOf(kind) => Some(none_known(kind, named.as_ref())),
        _ => named.and_then(|named| concept(&named)),
    };
    draft.set("code", code.ok_or_else(|| Unmappable::in_field("allergy.no-code", entry, 3))?);
    if matches!(says(entry), Says::Allergy(_)) && is_denial(entry) {
        draft.quality.push("allergy.denial-unread");
    }
    kind(&mut draft, entry);
    draft.set("patient", reference(&id(message, "Patient", 1)));
    let mut erroneous = false;
    let onset = if entry.name() == "IAM" {
        erroneous = told(&mut draft, entry, source);
        11
    } else {
        6
    };
    if !erroneous {
        let inactive = stated(entry.text(17, 1)).as_deref() == Some("I");
        let system = terminology!("allergyintolerance-clinical");
        let word = if inactive && entry.name() == "IAM" { "inactive" } else { "active" };
        draft.set("clinicalStatus", in_system(system, word, None));
    }
    if words_only && !erroneous {
        draft.quality.push("allergy.unclear");
        let system = terminology!("allergyintolerance-verification");
        draft.set("verificationStatus", in_system(system, "unconfirmed", None));
    }
    draft.date_time(entry, onset, "onsetDateTime", source);
    reaction(&mut draft, entry);
    Ok(draft.finish())
}

/// The SNOMED CT code for it, beside what was sent.
fn none_known(kind: Option<&str>, sent: Option<&Repetition<'_>>) -> Value {
    let (code, display) = match kind {
        Some("medication") => ("409137002", "No known drug allergy"),
        Some("food") => ("429625007", "No known food allergy"),
        Some("environment") => ("428607008", "No known environmental allergy"),
        _ => ("716186003", "No known allergy"),
    };
    let mut known = in_system(SNOMED, code, Some(display));
    let sent = sent.and_then(concept).unwrap_or_default();
    let others = sent["coding"].as_array().into_iter().flatten();
    let others = others.filter(|each| each["system"] != SNOMED || each["code"] != code);
    if let Some(codings) = known["coding"].as_array_mut() {
        codings.extend(others.cloned());
    }
    if let Some(text) = sent["text"].as_str() {
        known["text"] = Value::text(text);
    }
    known
}

/// AL1-2: the kind of allergen. MC, a contraindication, is neither allergy nor intolerance.
fn kind(draft: &mut Draft, entry: &Segment<'_>) {
    let Some(sent) = draft.read(entry, 2, "category") else { return };
    if let Some(category) = ALLERGY_CATEGORY.code(&sent) {
        return draft.set("category", Value::Array(vec![Value::from(category)]));
    }
    if !matches!(sent.as_str(), "MA" | "MC") {
        draft.quality.push("code.unknown");
    }
    let as_sent = object([("extension", only(code_as_sent(AS_SENT, sent)))]);
    draft.set("_category", only(as_sent));
}

/// AL1-4 and AL1-5. A severity without a reaction is that of the allergy: of table 0128 only "severe"
/// has a sure counterpart there, so that the code goes along as sent.
fn reaction(draft: &mut Draft, entry: &Segment<'_>) {
    let severity = draft.read(entry, 4, "criticality");
    let word = severity.as_deref().and_then(|sent| ALLERGY_SEVERITY.code(sent));
    if word.is_none() && severity.as_deref().is_some_and(|sent| sent != "U") {
        draft.quality.push("code.unknown");
    }
    if let Some(sent) = &severity {
        let criticality = match sent.as_str() {
            "SV" => Some("high"),
            "U" => Some("unable-to-assess"),
            _ => None,
        };
        draft.set("criticality", criticality.map(Value::from));
        draft.set(
            "_criticality",
            object([("extension", only(code_as_sent(AS_SENT, sent.clone())))]),
        );
    }
    let Some(field) = entry.field(5).filter(|field| !field.is_empty()) else { return };
    if field.is_null() {
        return draft.clear("reaction");
    }
    // ST in AL1; feeds send CE too, whose text says more than its code.
    let manifestations: Vec<Value> = field
        .repetitions()
        .filter_map(|each| {
            let coded = whole(&each, 3).is_some();
            if coded {
                concept(&each)
            } else {
                Some(in_words(&whole(&each, 2).or_else(|| whole(&each, 1))?))
            }
        })
        .collect();
    if manifestations.is_empty() {
        return;
    }
    let mut reaction = Object::with_capacity(2);
    reaction.insert("manifestation", Value::Array(manifestations));
    if let Some(word) = word {
        reaction.insert("severity", Value::from(word));
    }
    draft.set("reaction", only(Value::Object(reaction)));
}

/// What an IAM says beyond an AL1: its number (7), who reported it and when (13, 14), its standing
/// (6, 17). Whether it was entered in error.
fn told(draft: &mut Draft, iam: &Segment<'_>, source: &Source) -> bool {
    let number = draft.read_coded(iam, 7, "identifier", entity);
    draft.set("identifier", number.map(only));
    draft.date_time(iam, 13, "recordedDate", source);
    let reporter = whole_of(iam, 14, 1);
    draft.set("asserter", reporter.map(|name| object([("display", Value::from(name))])));
    let recorder = draft.read_coded(iam, 18, "recorder", practitioner);
    let recorder = recorder.or_else(|| named_organisation(&iam.field(19)?.repetition(1)?));
    draft.set("recorder", recorder.filter(|found| found["type"] == "Practitioner"));
    let standing = match (action(iam).as_deref(), stated(iam.text(17, 1)).as_deref()) {
        (Some("D"), _) | (_, Some("E")) => Some("entered-in-error"),
        (_, Some("C" | "I")) => Some("confirmed"),
        (_, Some("D" | "P" | "S" | "U")) => Some("unconfirmed"),
        _ => None,
    };
    let system = terminology!("allergyintolerance-verification");
    draft.set("verificationStatus", standing.map(|word| in_system(system, word, None)));
    let kind = match stated(iam.text(9, 1)).as_deref() {
        Some("AL") => Some("allergy"),
        Some("IN" | "SE") => Some("intolerance"),
        _ => None,
    };
    draft.set("type", kind.map(Value::from));
    standing == Some("entered-in-error")
}

#[cfg(test)]
mod tests;
