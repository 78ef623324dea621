//! OBX as UK Core Observation.

use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Value, json};

use crate::fhir::attachment::without_data;
use crate::fhir::built::{Draft, Unmappable, id, reference};
use crate::fhir::coded::{concept, in_system};
use crate::fhir::names::{FHIR_R5, OBSERVATION_STATUS, RESULT_KEY, SUB_ID, TERMINOLOGY, UK_CORE};
use crate::fhir::value::{Observed, absent_reason, observed};
use crate::result::code;
use crate::source::Source;
use crate::text::{rendered, stated};
use crate::time::Moment;

/// What the observations of one report have in common.
pub(crate) struct Context<'m> {
    pub(crate) message: &'m Message,
    pub(crate) source: &'m Source,
    /// OBR-24 names a laboratory.
    pub(crate) laboratory: bool,
    /// Time of the specimen or examination, where OBX-14 states none.
    pub(crate) effective: Option<Value>,
}

/// An observation, and the document it holds: that belongs to the report.
pub(crate) struct Observation {
    pub(crate) draft: Draft,
    pub(crate) id: String,
    pub(crate) document: Option<Value>,
}

/// Builds the Observation of an OBX under its key.
pub(crate) fn observation(
    context: &Context<'_>,
    obx: &Segment<'_>,
    key: &str,
) -> Result<Observation, Unmappable> {
    let profile = if context.laboratory { "UKCore-Observation-Lab" } else { "UKCore-Observation" };
    let own_id = id(context.message, "Observation", obx.index());
    let mut draft = Draft::new("Observation", &own_id, &format!("{UK_CORE}{profile}"));
    let status = code(Some(obx), 11);
    draft.push("identifier", json!({ "system": RESULT_KEY, "value": key }));
    set_status(&mut draft, &status);
    if let Some(sub_id) = stated(obx.text(4, 1)) {
        draft.extension(json!({ "url": SUB_ID, "valueString": sub_id }));
    }
    if context.laboratory {
        let system = format!("{TERMINOLOGY}observation-category");
        draft.set("category", json!([in_system(&system, "laboratory", None)]));
    }
    let named = obx.field(3).and_then(|field| field.repetition(1));
    let named = named.and_then(|named| concept(&named));
    draft.set("code", named.ok_or_else(|| Unmappable::in_field("result.no-code", obx, 3))?);
    draft.set("subject", reference(&id(context.message, "Patient", 1)));
    effective(&mut draft, context, obx);
    let document = value(&mut draft, context, obx, &status)?;
    surroundings(&mut draft, context.message, obx);
    Ok(Observation { draft, id: own_id, document })
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
    draft.set("status", json!(word));
    if !status.is_empty() {
        draft.extension(json!({ "url": OBSERVATION_STATUS, "valueCode": status }));
    }
}

fn effective(draft: &mut Draft, context: &Context<'_>, obx: &Segment<'_>) {
    let own = stated(obx.text(14, 1)).map(|text| Moment::read(&text, &context.source.zone));
    match own {
        Some(Ok(moment)) => draft.set("effectiveDateTime", json!(moment.fhir())),
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

/// Sets the value; gives back a document. One that was withdrawn stays with its observation: it
/// must not stand among the documents of the report.
fn value(
    draft: &mut Draft,
    context: &Context<'_>,
    obx: &Segment<'_>,
    status: &str,
) -> Result<Option<Value>, Unmappable> {
    match observed(context.message, obx, context.source)? {
        Observed::Value(element, value, quality) => {
            draft.set(element, value);
            draft.quality.extend(quality);
        }
        Observed::Attachment(document) => {
            let withdrawn = matches!(status, "D" | "W");
            let shown = if withdrawn { document.clone() } else { without_data(&document) };
            let url = format!("{FHIR_R5}extension-Observation.value");
            draft.extension(json!({ "url": url, "valueAttachment": shown }));
            return Ok((!withdrawn).then_some(document));
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
    Ok(None)
}

/// Flags, reference range, performer and comments: what a value must not be read without.
fn surroundings(draft: &mut Draft, message: &Message, obx: &Segment<'_>) {
    draft.set_all(obx, 8, ("interpretation", "interpretation"), |flag| {
        let code = stated(flag.text(1, 1))?;
        Some(in_system(&format!("{TERMINOLOGY}v3-ObservationInterpretation"), &code, None))
    });
    // An observation is always stated whole, so that only a deletion needs to be named.
    draft.replaced.clear();
    if let Some(range) = draft.read(obx, 7, "referenceRange") {
        draft.set("referenceRange", json!([{ "text": range }]));
    }
    let performer = [23, 15]
        .into_iter()
        .find_map(|field| stated(obx.text(field, 1)).or_else(|| stated(obx.text(field, 2))));
    if let Some(name) = performer {
        draft.set("performer", json!([{ "type": "Organization", "display": name }]));
    }
    if let Some(text) = comments(message, obx) {
        draft.set("note", json!([{ "text": text }]));
    }
}

/// The NTE lines behind a segment as one text; blank lines among them matter for the layout.
pub(crate) fn comments(message: &Message, segment: &Segment<'_>) -> Option<String> {
    let mut lines = Vec::new();
    for note in segment.notes() {
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
