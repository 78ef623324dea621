//! OBX as UK Core Observation.

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::fhir::attachment::without_data;
use crate::fhir::built::{Draft, Unmappable, code_as_sent, id, identifier_in};
use crate::fhir::coded::{CODED, concept, in_system, in_words};
use crate::fhir::datatypes::practitioner;
use crate::fhir::names::{
    OBSERVATION_STATUS, RESULT_KEY, SUB_ID, UNIT, fhir_r5, terminology, uk_core,
};
use crate::fhir::value::{Observed, absent_reason, observed, unit_beside};
use crate::json::{Value, object, only};
use crate::result::code;
use crate::source::Source;
use crate::text::{rendered, stated, whole, whole_of};
use crate::time::Moment;

/// Codes of `v3-ObservationInterpretation`, which has those of table 0078 that laboratories use. Not
/// its retired `H*` and `L*`, "critically high" and "low": as flags of a laboratory they may be less.
const INTERPRETATIONS: &str = "< > A AA B CAR D DET E EX EXP H HH HU HX I IE IND L LL LU LX N NCL ND \
    NEG NR NS OBX POS QCF R RR S SDD SYN-R SYN-S TOX U UNE W WR";

/// What the observations of one report have in common.
pub(crate) struct Context<'m> {
    pub(crate) message: &'m Message,
    pub(crate) source: &'m Source,
    /// The Patient, as a reference.
    pub(crate) subject: Value,
    /// OBR-24 names a laboratory.
    pub(crate) laboratory: bool,
    /// Time of the specimen or examination, where OBX-14 states none.
    pub(crate) effective: Option<Value>,
}

/// An observation, and the documents it holds: those belong to the report.
pub(crate) struct Observation {
    pub(crate) draft: Draft,
    pub(crate) id: String,
    pub(crate) documents: Vec<Value>,
}

/// Builds the Observation of an OBX under its key.
pub(crate) fn observation(
    context: &Context<'_>,
    obx: &Segment<'_>,
    key: &str,
) -> Result<Observation, Unmappable> {
    let profile = if context.laboratory {
        uk_core!("UKCore-Observation-Lab")
    } else {
        uk_core!("UKCore-Observation")
    };
    let own_id = id(context.message, "Observation", obx.index());
    let mut draft = Draft::new("Observation", &own_id, profile);
    let status = code(Some(obx), 11);
    draft.push("identifier", identifier_in(RESULT_KEY, key.to_owned()));
    set_status(&mut draft, &status);
    if let Some(sub_id) = whole_of(obx, 4, 1) {
        let sub_id = Value::from(sub_id);
        draft.extension(object([("url", Value::from(SUB_ID)), ("valueString", sub_id)]));
    }
    if context.laboratory {
        let system = terminology!("observation-category");
        draft.set("category", only(in_system(system, "laboratory", None)));
    }
    let named = obx.field(3).and_then(|field| field.repetition(1));
    let named = named.and_then(|named| concept(&named));
    draft.set("code", named.ok_or_else(|| Unmappable::in_field("result.no-code", obx, 3))?);
    draft.set("subject", context.subject.clone());
    effective(&mut draft, context, obx);
    let documents = value(&mut draft, context, obx, &status)?;
    surroundings(&mut draft, context.message, obx);
    Ok(Observation { draft, id: own_id, documents })
}

/// OBX-11 (table 0085). FHIR has fewer words, so the code goes along as it was sent.
fn set_status(draft: &mut Draft, status: &str) {
    let word = match status {
        "F" | "U" | "V" => "final",
        "P" | "R" | "S" => "preliminary",
        "I" | "O" => "registered",
        "C" => "corrected",
        "A" | "B" => "amended",
        "D" | "W" => "entered-in-error",
        "X" => "cancelled",
        "N" => "unknown",
        "" => {
            draft.quality.push("result.status-absent");
            "unknown"
        }
        _ => {
            draft.quality.push("result.status-unmapped");
            "unknown"
        }
    };
    draft.set("status", Value::from(word));
    if !status.is_empty() {
        draft.extension(code_as_sent(OBSERVATION_STATUS, status.to_owned()));
    }
}

fn effective(draft: &mut Draft, context: &Context<'_>, obx: &Segment<'_>) {
    let own = stated(obx.text(14, 1)).map(|text| Moment::read(&text, &context.source.zone));
    match own {
        Some(Ok(moment)) => {
            if moment.shifted {
                draft.quality.push("date.not-on-the-clock");
            }
            draft.set("effectiveDateTime", Value::text(moment.fhir()));
        }
        unreadable => {
            if unreadable.is_some() {
                draft.quality.push("date.unreadable");
            }
            if let Some(Value::Object(elements)) = context.effective.clone() {
                draft.body.extend(elements);
            }
        }
    }
}

/// Sets the value; gives back its documents. Those that were withdrawn stay with their observation:
/// they must not stand among the documents of the report.
fn value(
    draft: &mut Draft,
    context: &Context<'_>,
    obx: &Segment<'_>,
    status: &str,
) -> Result<Vec<Value>, Unmappable> {
    match observed(context.message, obx, context.source)? {
        Observed::Value(element, value, quality) => {
            if element == "valueString"
                && let Some(unit) = unit_beside(context.message, obx)
            {
                let unit = [("url", Value::from(UNIT)), ("valueString", Value::from(unit))];
                draft.extension(object(unit));
            }
            draft.set(element, value);
            draft.quality.extend(quality);
        }
        Observed::Attachments(documents) => {
            let url = fhir_r5!("extension-Observation.value");
            let mut shown = |document: Value| {
                let url = Value::from(url);
                draft.extension(object([("url", url), ("valueAttachment", document)]));
            };
            if matches!(status, "D" | "W") {
                documents.into_iter().for_each(shown);
                return Ok(Vec::new());
            }
            documents.iter().map(without_data).for_each(&mut shown);
            return Ok(documents);
        }
        Observed::Null => draft.clear("value"),
        Observed::Absent => {
            let reason = match status {
                "X" | "N" => Some("not-performed"),
                "I" | "O" | "S" => Some("temp-unknown"),
                _ => None,
            };
            draft.set("dataAbsentReason", reason.map(absent_reason));
        }
    }
    Ok(Vec::new())
}

/// Flags, reference range, performer and comments: what a value must not be read without.
fn surroundings(draft: &mut Draft, message: &Message, obx: &Segment<'_>) {
    draft.set_all(obx, 8, ("interpretation", "interpretation"), CODED, interpretation);
    // An observation is always stated whole, so that only a deletion needs to be named.
    draft.replaced.clear();
    let flags = draft.body.get("interpretation").and_then(Value::as_array);
    if flags.is_some_and(|flags| flags.iter().any(|flag| flag.get("coding").is_none())) {
        draft.quality.push("result.flag-unmapped");
    }
    reference_range(draft, message, obx);
    let performer = [23, 15]
        .into_iter()
        .find_map(|field| whole_of(obx, field, 1).or_else(|| whole_of(obx, field, 2)));
    if let Some(name) = performer {
        let named = [("type", Value::from("Organization")), ("display", Value::from(name))];
        draft.push("performer", object(named));
    }
    if let Some(observer) = obx.field(16).and_then(|field| practitioner(&field.repetition(1)?)) {
        draft.push("performer", observer);
    }
    draft.coded(obx, 17, "method");
    if let Some(text) = comments(message, obx.notes()) {
        draft.set("note", only(in_words(&text)));
    }
}

/// OBX-8: a code that the standard has, else what was sent, as text.
fn interpretation(flag: &Repetition<'_>) -> Option<Value> {
    let code = whole(flag, 1).or_else(|| whole(flag, 2))?;
    let known = INTERPRETATIONS.split(' ').any(|each| each == code);
    let system = terminology!("v3-ObservationInterpretation");
    Some(if known { in_system(system, code, None) } else { in_words(&code) })
}

/// OBX-7, all of it: a range may have a line for each sex, and delimiters that were not escaped.
fn reference_range(draft: &mut Draft, message: &Message, obx: &Segment<'_>) {
    let Some(field) = obx.field(7) else { return };
    if field.is_null() {
        return draft.clear("referenceRange");
    }
    let lines: Vec<String> =
        field.repetitions().map(|line| rendered(message, line.raw())).collect();
    let text = lines.join("\n");
    if !text.trim().is_empty() {
        draft.set("referenceRange", only(in_words(text.trim())));
    }
}

/// An observation in words, `Volume of specimen: 5 mL`, for what must not look like a finding of the
/// patient. None of a document, nor of what was withdrawn or not done.
pub(crate) fn in_one_line(message: &Message, obx: &Segment<'_>) -> Option<String> {
    let name = [2, 5, 1].into_iter().find_map(|component| whole_of(obx, 3, component))?;
    if matches!(code(Some(obx), 11).as_str(), "D" | "W" | "X" | "N") {
        return None;
    }
    let value = match code(Some(obx), 2).as_str() {
        "ED" | "RP" => return None,
        "CE" | "CWE" | "CNE" | "CF" | "IS" => {
            [9, 2, 1].into_iter().find_map(|component| whole_of(obx, 5, component))?
        }
        "SN" => {
            let parts = (1..=4).filter_map(|component| whole_of(obx, 5, component));
            parts.collect::<Vec<_>>().join(" ")
        }
        _ => {
            let field = obx.field(5).filter(|field| !field.is_null())?;
            let lines = field.repetitions().map(|line| rendered(message, line.raw()));
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    let unit = whole_of(obx, 6, 1).or_else(|| whole_of(obx, 6, 2));
    let value = value.trim();
    let text = unit.map_or_else(|| value.to_owned(), |unit| format!("{value} {unit}"));
    (!value.is_empty()).then(|| format!("{name}: {text}"))
}

/// NTE lines as one text; blank lines among them matter for the layout.
pub(crate) fn comments<'m>(
    message: &Message,
    notes: impl Iterator<Item = Segment<'m>>,
) -> Option<String> {
    let mut lines = Vec::new();
    for note in notes {
        let Some(field) = note.field(3).filter(|field| !field.is_null()) else {
            lines.push(String::new());
            continue;
        };
        for line in field.repetitions() {
            lines.push(rendered(message, line.raw()));
        }
    }
    let text = lines.join("\n");
    let text = text.trim_end();
    (!text.trim().is_empty()).then(|| text.to_owned())
}
