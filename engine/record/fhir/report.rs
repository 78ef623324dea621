//! ORC, OBR and OBX as UK Core `DiagnosticReport` with its Observations.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Map, Value, json};

use crate::fhir::built::{Built, Draft, Unmappable, id, reference};
use crate::fhir::coded::{concept, in_system};
use crate::fhir::datatypes::identifier_type;
use crate::fhir::names::{FHIR_R5, RESULT_KEY, TERMINOLOGY, UK_CORE};
use crate::fhir::observation::{Context, comments, observation};
use crate::result::{ResultKind, classify, code, observation_keys, result_key};
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// Builds a report: the `DiagnosticReport` first, then an Observation for each OBX in order.
///
/// The report and each observation carry their key as identifier, the same in every version.
/// Without a number to make one (`result.no-key`), with a unit that cannot be carried (`unit.lost`),
/// without a code (`result.no-code`) or with a document that cannot be opened
/// (`attachment.unreadable`) the whole report is refused.
pub fn report(
    message: &Message,
    group: &Group<'_>,
    source: &Source,
) -> Result<Vec<Built>, Unmappable> {
    let obr = group.segment("OBR", 1).ok_or(Unmappable { code: "structure", at: None })?;
    let key = result_key(message, group)
        .map_err(|no_key| Unmappable::in_field(no_key.code(), &obr, 3))?;
    let category = stated(obr.text(24, 1));
    let context = Context {
        message,
        source,
        laboratory: category.as_deref().is_some_and(is_laboratory),
        effective: effective(&obr, source),
    };
    let profile =
        if context.laboratory { "UKCore-DiagnosticReport-Lab" } else { "UKCore-DiagnosticReport" };
    let own_id = id(message, "DiagnosticReport", obr.index());
    let mut draft = Draft::new("DiagnosticReport", &own_id, &format!("{UK_CORE}{profile}"));
    numbers(&mut draft, &key, &obr, group.segment("ORC", 1).as_ref());
    describe(&mut draft, message, &obr, category.as_deref())?;
    draft.set("subject", reference(&id(message, "Patient", 1)));
    if let Some(Value::Object(elements)) = context.effective.clone() {
        draft.body.extend(elements);
    }
    issued(&mut draft, &obr, source);

    let segments: Vec<Segment<'_>> = group.segments().filter(|s| s.name() == "OBX").collect();
    let mut observations = Vec::new();
    for (obx, key) in segments.iter().zip(observation_keys(&key, &segments)) {
        let built = observation(&context, obx, &key)?;
        draft.push("result", reference(&built.id));
        if let Some(document) = built.document {
            draft.push("presentedForm", document);
        }
        observations.push(built.draft.finish());
    }
    draft.set("status", json!(status(group, &obr, &observations)));
    observations.insert(0, draft.finish());
    Ok(observations)
}

/// The key first; then the numbers that people know the request and the report by.
fn numbers(draft: &mut Draft, key: &str, obr: &Segment<'_>, orc: Option<&Segment<'_>>) {
    draft.push("identifier", json!({ "system": RESULT_KEY, "value": key }));
    for (field, kind) in [(3, "FILL"), (2, "PLAC")] {
        let number = stated(obr.text(field, 1));
        let number = number.or_else(|| orc.and_then(|orc| stated(orc.text(field, 1))));
        if let Some(number) = number {
            draft.push("identifier", json!({ "type": identifier_type(kind), "value": number }));
        }
    }
}

fn describe(
    draft: &mut Draft,
    message: &Message,
    obr: &Segment<'_>,
    category: Option<&str>,
) -> Result<(), Unmappable> {
    let section = format!("{TERMINOLOGY}v2-0074");
    draft.set("category", category.map(|code| json!([in_system(&section, code, None)])));
    let test = obr.field(4).and_then(|field| field.repetition(1));
    let test = test.and_then(|test| concept(&test));
    draft.set("code", test.ok_or_else(|| Unmappable::in_field("result.no-code", obr, 4))?);
    if let Some(text) = comments(message, obr) {
        let url = format!("{FHIR_R5}extension-DiagnosticReport.note");
        draft.extension(json!({ "url": url, "valueAnnotation": { "text": text } }));
    }
    Ok(())
}

/// Diagnostic service sections (table 0074) that are laboratories.
fn is_laboratory(section: &str) -> bool {
    const LABORATORIES: &str = "LAB CH HM MB MCB BLB IMM SR VR CG TX CP SP CY MYC TOX GE";
    LABORATORIES.split(' ').any(|each| each.eq_ignore_ascii_case(section))
}

/// OBR-7, with OBR-8 a period.
fn effective(obr: &Segment<'_>, source: &Source) -> Option<Value> {
    let at = |field: usize| {
        let moment = Moment::read(&stated(obr.text(field, 1))?, &source.zone).ok()?;
        Some(moment.fhir().to_owned())
    };
    Some(match (at(7)?, at(8)) {
        (start, None) => json!({ "effectiveDateTime": start }),
        (start, Some(end)) => json!({ "effectivePeriod": { "start": start, "end": end } }),
    })
}

/// OBR-22 as `issued`, which must be an instant: a mere date is left out.
fn issued(draft: &mut Draft, obr: &Segment<'_>, source: &Source) {
    let Some(text) = stated(obr.text(22, 1)) else { return };
    match Moment::read(&text, &source.zone) {
        Ok(moment) if moment.has_time() => draft.set("issued", json!(moment.fhir())),
        Ok(_) => {}
        Err(_) => draft.quality.push("date.unreadable"),
    }
}

/// What happened to the report decides before OBR-25 (table 0123): a report with one corrected
/// result is a corrected one although the laboratory calls it final.
fn status(group: &Group<'_>, obr: &Segment<'_>, observations: &[Built]) -> &'static str {
    let preliminary = match classify(group) {
        ResultKind::Withdrawn => return "entered-in-error",
        ResultKind::Cancelled => return "cancelled",
        ResultKind::Corrected => return "corrected",
        ResultKind::Available { preliminary } => preliminary,
    };
    match code(Some(obr), 25).as_str() {
        "O" | "I" | "S" => "registered",
        "P" => "preliminary",
        "R" | "A" => "partial",
        "F" if preliminary => "partial",
        "F" => "final",
        _ if preliminary => "preliminary",
        "" if !observations.is_empty() && observations.iter().all(is_final) => "final",
        _ => "unknown",
    }
}

fn is_final(observation: &Built) -> bool {
    observation.resource["status"] == "final"
}

/// Whether a bundle holds a report of which more is to come, and the key of its report.
pub(crate) fn summary(bundle: &Value) -> Option<(bool, String)> {
    let entries = bundle["entry"].as_array()?;
    let resources: Vec<&Map<String, Value>> =
        entries.iter().filter_map(|entry| entry["resource"].as_object()).collect();
    let of = |kind: &'static str| resources.iter().filter(move |r| r["resourceType"] == kind);
    let report = of("DiagnosticReport").next()?;
    let key = report.get("identifier")?.as_array()?.iter().find(|i| i["system"] == RESULT_KEY)?;
    let open = |resource: &Map<String, Value>| {
        let status = resource.get("status").and_then(Value::as_str).unwrap_or_default();
        matches!(status, "registered" | "preliminary" | "partial")
    };
    let preliminary = open(report) || of("Observation").any(|observation| open(observation));
    Some((preliminary, key["value"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;

    fn built(body: &str) -> Result<Vec<Built>, Unmappable> {
        let text = format!("MSH|^~\\&|LIMS|RXX01|TIE|RXX|20240110||ORU^R01|1|P|2.5.1\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        let groups = message.groups(&["ORC", "OBR"]);
        report(&message, &groups[0], &Source::new("pathology-oru", "RXX"))
    }

    fn obr(status: &str) -> String {
        format!(
            "OBR|1|P1|F1|FBC^Full blood count^WinPath|||202401101030|||||||||||||||202401101200||HM|{status}\r"
        )
    }

    #[test]
    fn a_report_holds_its_observations_under_keys() {
        let body = format!(
            "{}NTE|1||Sample\\.br\\haemolysed\rNTE|2\rNTE|3||a|b^c\rOBX|1|NM|HB^Haemoglobin^WinPath||120|g/L|115-165|L|||F|||202401101031\rNTE|1||Low",
            obr("F")
        );
        let all = built(&body).expect("a report");
        let report = &all[0].resource;
        assert_eq!(
            report["identifier"][0],
            json!({ "system": RESULT_KEY, "value": "LIMS/RXX01|F1|FBC" })
        );
        assert_eq!(
            (&report["status"], &report["issued"]),
            (&json!("final"), &json!("2024-01-10T12:00:00+00:00"))
        );
        assert_eq!(report["code"]["coding"][0]["system"], "urn:tieline:codes:WinPath");
        let note = &report["extension"][0]["valueAnnotation"]["text"];
        assert_eq!(note, "Sample\nhaemolysed\n\na");
        let observation = &all[1].resource;
        assert_eq!(
            report["result"][0]["reference"],
            format!("urn:uuid:{}", observation["id"].as_str().expect("an id"))
        );
        assert_eq!(observation["identifier"][0]["value"], "LIMS/RXX01|F1|FBC|HB|");
        assert_eq!(observation["extension"][0]["valueCode"], "F");
        assert_eq!(observation["valueQuantity"], json!({ "value": 120, "unit": "g/L" }));
        assert_eq!(observation["effectiveDateTime"], "2024-01-10T10:31:00+00:00");
        assert_eq!(observation["interpretation"][0]["coding"][0]["code"], "L");
        assert_eq!(observation["note"][0]["text"], "Low");
        assert_eq!(observation["referenceRange"][0]["text"], "115-165");
    }

    #[test]
    fn the_status_of_a_report_is_that_of_what_happened() {
        let status = |report: &str, observations: &[&str]| {
            let line = |status: &&str| format!("OBX|1|NM|T||1||||||{status}");
            let lines = observations.iter().map(line).collect::<Vec<_>>().join("\r");
            built(&format!("{}{lines}", obr(report))).expect("a report")[0].resource["status"]
                .clone()
        };
        assert_eq!(status("F", &["F"]), "final");
        assert_eq!(status("F", &["F", "P"]), "partial");
        assert_eq!(status("P", &["P"]), "preliminary");
        assert_eq!(status("F", &["F", "C"]), "corrected");
        assert_eq!(status("F", &["W", "D"]), "entered-in-error");
        assert_eq!(status("X", &["X"]), "cancelled");
        assert_eq!(status("", &["F"]), "final");
        assert_eq!(status("Z", &["F"]), "unknown");
    }

    #[test]
    fn each_observation_keeps_its_status_as_sent() {
        let body = format!(
            "{}OBX|1|NM|A||1||||||W\rOBX|2|NM|B||||||||X\rOBX|3|NM|C||\"\"||||||D",
            obr("F")
        );
        let all = built(&body).expect("a report");
        let raw: Vec<_> = all[1..]
            .iter()
            .map(|each| each.resource["extension"][0]["valueCode"].clone())
            .collect();
        assert_eq!(raw, ["W", "X", "D"]);
        assert_eq!(all[1].resource["status"], "entered-in-error");
        assert_eq!(all[2].resource["dataAbsentReason"]["coding"][0]["code"], "not-performed");
        assert_eq!(all[3].cleared, ["Observation.value"]);
    }

    #[test]
    fn a_document_stands_with_its_report_unless_withdrawn() {
        let document = |status: &str| {
            let body =
                format!("{}OBX|1|ED|PDF^Report||^IM^PDF^Base64^Zm9v||||||{status}", obr("F"));
            built(&body).expect("a report")
        };
        let shown = document("F");
        let attachment = json!({ "contentType": "application/pdf", "data": "Zm9v" });
        assert_eq!(shown[0].resource["presentedForm"], json!([attachment]));
        assert!(!shown[1].resource.to_string().contains("Zm9v"));
        let withdrawn = document("W");
        assert!(withdrawn[0].resource.get("presentedForm").is_none());
        assert!(withdrawn[1].resource.to_string().contains("Zm9v"));
    }

    #[test]
    fn what_is_not_safe_is_refused_with_its_place() {
        let code = |body: &str| {
            let refused = built(body).expect_err("refused");
            (refused.code, refused.at.map(|at| at.to_string()).unwrap_or_default())
        };
        let with = |obx: &str| format!("{}OBX|1|{obx}||||||F", obr("F"));
        assert_eq!(code("OBR|1|||FBC"), ("result.no-key", "OBR-3".to_owned()));
        assert_eq!(code("OBR|1||F1"), ("result.no-code", "OBR-4".to_owned()));
        assert_eq!(code(&with("NM|||1|")), ("result.no-code", "OBX-3".to_owned()));
        assert_eq!(code(&with("CE|A||P^Positive|g/L")), ("unit.lost", "OBX-6".to_owned()));
        assert_eq!(
            code(&with("ED|A||^IM^PDF^Base64^!|")),
            ("attachment.unreadable", "OBX-5".to_owned())
        );
    }
}
