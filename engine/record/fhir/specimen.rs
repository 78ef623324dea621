//! SPM, else OBR-15, as UK Core Specimen.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::built::{Built, Draft, id, reference};
use crate::fhir::coded::{CODED, concept, in_words};
use crate::fhir::datatypes::{entity_of_type, identifier_type};
use crate::fhir::decimal::Decimal;
use crate::fhir::names::uk_core;
use crate::fhir::observation::in_one_line;
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::{stated, whole, whole_of};
use crate::time::Moment;

/// Builds the specimens of a report or order: of each SPM, else of the one that OUL states it under, else
/// the one of OBR-15. None is stated if there is neither.
pub fn specimens(message: &Message, group: &Group<'_>, source: &Source) -> Vec<Built> {
    let obr = group.segment("OBR", 1);
    let mut all: Vec<Built> = group
        .segments()
        .filter(|segment| segment.name() == "SPM")
        .map(|spm| of_spm(message, &spm, source).finish())
        .collect();
    if all.is_empty() {
        all.extend(message.specimen_of(group).map(|spm| {
            let mut draft = of_spm(message, &spm, source);
            observed(&mut draft, message, &spm);
            draft.finish()
        }));
    }
    if all.is_empty() {
        all.extend(obr.and_then(|obr| of_obr(message, &obr, source)));
    }
    all
}

fn draft(message: &Message, segment: &Segment<'_>) -> Draft {
    let own_id = id(message, "Specimen", segment.index());
    Draft::new("Specimen", &own_id, uk_core!("UKCore-Specimen"))
}

/// SPM-2 is a pair of numbers, of who ordered and of who fills, each an EI in subcomponents.
fn of_spm(message: &Message, spm: &Segment<'_>, source: &Source) -> Draft {
    let mut draft = draft(message, spm);
    let numbers = spm.field(2).and_then(|field| field.repetition(1));
    for (component, kind) in [(1, "PLAC"), (2, "FILL")] {
        let value = numbers.and_then(|numbers| stated(numbers.text(component, 1)));
        if let Some(value) = value {
            let number = [("type", identifier_type(kind)), ("value", Value::from(value))];
            draft.push("identifier", object(number));
        }
    }
    let status = match (stated(spm.text(20, 1)).as_deref(), stated(spm.text(21, 1))) {
        (_, Some(_)) => Some("unsatisfactory"),
        (Some("N"), _) => Some("unavailable"),
        (Some("Y"), _) => Some("available"),
        _ => None,
    };
    draft.set("status", status.map(Value::from));
    draft.coded(spm, 4, "type");
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.date_time(spm, 18, "receivedTime", source);
    let mut collection = Object::with_capacity(4);
    let collected = draft.read(spm, 17, "collection.collected");
    when(&mut draft, &mut collection, collected, stated(spm.text(17, 2)), source);
    collection.put("method", draft.read_coded(spm, 7, "collection.method", concept));
    collection.put("bodySite", draft.read_coded(spm, 8, "collection.bodySite", concept));
    collection.put("quantity", quantity(spm, 12));
    draft.set("collection", Value::Object(collection));
    container(&mut draft, spm);
    draft.set_all(spm, 24, ("condition", "condition"), CODED, concept);
    draft.replaced.clear();
    remarks(&mut draft, spm);
    draft
}

/// What was observed of the specimen itself: OBX between SPM and its first order, where results are
/// stated by specimen. A note each, in words: an Observation would be one of the patient, whose
/// temperature or volume nobody must read in it.
fn observed(draft: &mut Draft, message: &Message, spm: &Segment<'_>) {
    let behind = message.segments().skip(spm.index() + 1);
    let own = behind.take_while(|segment| !matches!(segment.name(), "SPM" | "ORC" | "OBR" | "PID"));
    for obx in own.filter(|segment| segment.name() == "OBX") {
        match in_one_line(message, &obx) {
            Some(text) => draft.push("note", in_words(&text)),
            None => draft.quality.push("specimen.observation-not-published"),
        }
    }
}

/// What a specimen is held in: SPM-27, and what was added (SPM-6).
fn container(draft: &mut Draft, spm: &Segment<'_>) {
    let mut container = Object::with_capacity(2);
    container.put("type", draft.read_coded(spm, 27, "container.type", concept));
    let additive = spm.field(6).and_then(|field| concept(&field.repetition(1)?));
    container.put("additiveCodeableConcept", additive);
    if !container.is_empty() {
        draft.set("container", only(Value::Object(container)));
    }
}

/// Description, handling, risk, and why it was rejected (SPM-14, 15, 16, 21): a note each.
fn remarks(draft: &mut Draft, spm: &Segment<'_>) {
    for (field, called) in
        [(5, "modifier"), (14, ""), (15, "handling"), (16, "risk"), (21, "rejected")]
    {
        for each in spm.field(field).into_iter().flat_map(|field| field.repetitions()) {
            if let Some(text) = whole(&each, 2).or_else(|| whole(&each, 1)) {
                let text = if called.is_empty() { text } else { format!("{called}: {text}") };
                draft.push("note", in_words(&text));
            }
        }
    }
}

/// OBR-15 (SPS): what, additive, text, body site, its modifier, method; OBR-14 when it arrived, and
/// OBR-7 when it was taken.
fn of_obr(message: &Message, obr: &Segment<'_>, source: &Source) -> Option<Built> {
    let sps = obr.field(15).filter(|field| !field.is_empty() && !field.is_null())?.repetition(1)?;
    let mut draft = draft(message, obr);
    let kind = match (whole(&sps, 1), whole(&sps, 2)) {
        // What is a code and what a text of it was never agreed for SPS: both are sent.
        (Some(code), Some(text)) => {
            let coding = [("code", Value::from(code)), ("display", Value::text(&text))];
            object([("coding", only(object(coding))), ("text", Value::from(text))])
        }
        (one, other) => in_words(&one.or(other).or_else(|| whole(&sps, 3))?),
    };
    draft.set("type", kind);
    let filler = obr.field(3).and_then(|field| entity_of_type(&field.repetition(1)?, "FILL"));
    draft.set("accessionIdentifier", filler);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.date_time(obr, 14, "receivedTime", source);
    let mut collection = Object::with_capacity(4);
    let (from, until) = (stated(obr.text(7, 1)), stated(obr.text(8, 1)));
    when(&mut draft, &mut collection, from, until, source);
    collection.put("method", whole(&sps, 6).map(|text| in_words(&text)));
    collection.put("bodySite", whole(&sps, 4).map(|text| in_words(&text)));
    collection.put("quantity", quantity(obr, 9));
    draft.set("collection", Value::Object(collection));
    let note = whole(&sps, 3).filter(|_| whole(&sps, 1).is_some() || whole(&sps, 2).is_some());
    draft.set("note", note.map(|text| only(in_words(&text))));
    Some(draft.finish())
}

/// When it was taken: a time, or a period where an end is stated.
fn when(
    draft: &mut Draft,
    collection: &mut Object,
    from: Option<String>,
    until: Option<String>,
    source: &Source,
) {
    let mut at = |text: Option<String>| {
        let moment = Moment::read(&text?, &source.zone).ok();
        if moment.is_none() {
            draft.quality.push("date.unreadable");
        }
        moment.map(|moment| Value::text(moment.fhir()))
    };
    match (at(from), at(until)) {
        (Some(from), Some(until)) => {
            let period = object([("start", from), ("end", until)]);
            collection.insert("collectedPeriod", period);
        }
        (from, _) => collection.put("collectedDateTime", from),
    }
}

/// A CQ: a number and its unit, together or not at all.
fn quantity(segment: &Segment<'_>, field: usize) -> Option<Value> {
    let number = Decimal::read(&stated(segment.text(field, 1))?)?;
    let unit = whole_of(segment, field, 2)?;
    let mut quantity = Object::with_capacity(2);
    number.put(&mut quantity);
    quantity.insert("unit", Value::from(unit));
    Some(Value::Object(quantity))
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(body: &str) -> Vec<Built> {
        let message = message("ORU^R01", body);
        let groups = message.groups(&["ORC", "OBR"]);
        specimens(&message, &groups[0], &source())
    }

    #[test]
    fn a_specimen_has_its_numbers_kind_and_times() {
        let spm = segment(
            "SPM",
            &[
                (2, "P9&OCS^F9&LIMS"),
                (4, "119297000^Blood specimen^SCT"),
                (8, "ARM^Left arm^L"),
                (12, "5^mL"),
                (17, "202401101030"),
                (18, "202401101100"),
                (21, "HAEM^Haemolysed^L"),
            ],
        );
        let specimen = built(&format!("OBR|1||F1|FBC\r{spm}")).remove(0).resource;
        assert_eq!(specimen["identifier"][1]["value"], "F9");
        assert_eq!(code(&specimen["type"]), "119297000");
        assert_eq!(specimen["status"], "unsatisfactory");
        assert_eq!(specimen["receivedTime"], "2024-01-10T11:00:00+00:00");
        assert_eq!(specimen["collection"]["collectedDateTime"], "2024-01-10T10:30:00+00:00");
        assert_eq!(specimen["collection"]["quantity"], json!({ "value": 5, "unit": "mL" }));
        assert_eq!(specimen["note"][0]["text"], "rejected: Haemolysed");
    }

    #[test]
    fn an_obr_names_its_specimen_in_the_old_way() {
        let obr = segment(
            "OBR",
            &[(3, "F1"), (4, "FBC"), (7, "202401101030"), (14, "202401101100"), (15, "BLD^Blood")],
        );
        let specimen = built(&obr).remove(0).resource;
        assert_eq!((code(&specimen["type"]), &specimen["type"]["text"]), ("BLD", &json!("Blood")));
        assert_eq!(specimen["accessionIdentifier"]["value"], "F1");
        let text = built(&segment("OBR", &[(3, "F1"), (15, "^^Wound swab")])).remove(0).resource;
        assert_eq!(text["type"], json!({ "text": "Wound swab" }));
        assert!(text.get("note").is_none());
    }

    #[test]
    fn what_is_observed_of_a_specimen_is_a_note_of_it() {
        let body = "SPM|1|^F9\rOBX|1|NM|VOL^Volume||5|mL|||||F\rOBX|2|SN|AGE^Age||>^24|h|||||F\r\
                    OBX|3|CE|COL^Colour||Y^Yellow^L||||||F\rOBX|4|ST|^Remark||Left\\.br\\arm||||||F\r\
                    OBX|5|NM|TEMP^Temperature||4|Cel|||||W\rOBX|6|ED|IMG||^IM^PNG^Base64^AA||||||F\r\
                    OBX|7|NM|PH^pH||\"\"||||||F\rOBR|1||F1|UE\rOBX|1|NM|NA||140|mmol/L|||||F";
        let message = message("OUL^R22", body);
        let specimen = specimens(&message, &message.orders()[0], &source()).remove(0);
        let notes = specimen.resource["note"].as_array().expect("notes");
        let notes: Vec<_> = notes.iter().filter_map(|note| note["text"].as_str()).collect();
        let told = ["Volume: 5 mL", "Age: > 24 h", "Colour: Yellow", "Remark: Left\narm"];
        assert_eq!(notes, told);
        assert_eq!(specimen.quality, ["specimen.observation-not-published"; 3]);
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert!(built("OBR|1||F1|FBC").is_empty());
        assert!(built(&segment("OBR", &[(3, "F1"), (15, "\"\"")])).is_empty());
        let nulls = built("OBR|1||F1\rSPM|1|||\"\"|||^\"\"").remove(0);
        assert_eq!(nulls.cleared, ["Specimen.type", "Specimen.collection.method.text"]);
    }
}
