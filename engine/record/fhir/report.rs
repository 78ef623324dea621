//! ORC, OBR and OBX as UK Core `DiagnosticReport` with its Observations.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;
use serde_json::{Map, Value};

use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, identifier_in, reference};
use crate::fhir::coded::{concept, in_system, in_words};
use crate::fhir::datatypes::identifier_type;
use crate::fhir::names::{
    FHIR_R5, OBSERVATION_STATUS, REPORT_STATUS, RESULT_KEY, TERMINOLOGY, UK_CORE,
};
use crate::fhir::object::{object, only};
use crate::fhir::observation::{Context, comments, observation};
use crate::fhir::specimen::specimens;
use crate::result::{
    ResultKind, classify, code, is_counted, is_shared, observation_keys, result_key,
};
use crate::source::Source;
use crate::text::{stated, whole_of};
use crate::time::Moment;

/// Diagnostic service sections (table 0074).
const SECTIONS: &str = "AU BG BLB CG CH CP CT CTH CUS EC EN GE HM ICU IMG IMM LAB MB MCB MYC NMR NMS \
    NRS OSL OT OTH OUS PAR PAT PF PHR PHY PT RAD RC RT RUS RX SP SR TX URN VR VUS XRC";
/// Those of them that are laboratories.
const LABORATORIES: &str = "BG BLB CG CH CP GE HM IMM LAB MB MCB MYC PAR PAT SP SR TX URN VR";

/// Builds a report: the `DiagnosticReport` first, then an Observation for each OBX in order, then its
/// specimens.
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
    let category =
        stated(obr.text(24, 1)).map(|section| known_section(&section).unwrap_or(section));
    let context = Context {
        message,
        source,
        laboratory: category.as_deref().is_some_and(|section| has(LABORATORIES, section)),
        effective: effective(&obr, source),
    };
    let profile =
        if context.laboratory { "UKCore-DiagnosticReport-Lab" } else { "UKCore-DiagnosticReport" };
    let own_id = id(message, "DiagnosticReport", obr.index());
    let mut draft = Draft::new("DiagnosticReport", &own_id, &format!("{UK_CORE}{profile}"));
    numbers(&mut draft, &key, &obr, group.segment("ORC", 1).as_ref());
    describe(&mut draft, &obr, category.as_deref())?;
    report_status(&mut draft, &obr);
    remarks(&mut draft, message, group);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    if let Some(Value::Object(elements)) = context.effective.clone() {
        draft.body.extend(elements);
    }
    issued(&mut draft, &obr, source);

    let specimens = specimens(message, group, source);
    let named = specimens.iter().filter_map(|each| each.resource["id"].as_str());
    draft.set("specimen", Value::Array(named.map(reference).collect()));
    let segments: Vec<Segment<'_>> = group.segments().filter(|s| s.name() == "OBX").collect();
    let mut observations = Vec::new();
    let keys = observation_keys(&key, &segments);
    if is_shared(message, &key) || keys.iter().any(|key| is_counted(key)) {
        draft.quality.push("result.key-repeated");
    }
    for (obx, key) in segments.iter().zip(keys) {
        let built = observation(&context, obx, &key)?;
        draft.push("result", reference(&built.id));
        for document in built.documents {
            draft.push("presentedForm", document);
        }
        observations.push(built.draft.finish());
    }
    draft.set("status", Value::from(status(group, &obr, &observations)));
    observations.insert(0, draft.finish());
    observations.extend(specimens);
    Ok(observations)
}

/// The key first; then the numbers that people know the request and the report by.
fn numbers(draft: &mut Draft, key: &str, obr: &Segment<'_>, orc: Option<&Segment<'_>>) {
    draft.push("identifier", identifier_in(RESULT_KEY, key));
    for (field, kind) in [(3, "FILL"), (2, "PLAC")] {
        let number = whole_of(obr, field, 1);
        let number = number.or_else(|| orc.and_then(|orc| whole_of(orc, field, 1)));
        if let Some(number) = number {
            let entries = [("type", identifier_type(kind)), ("value", Value::String(number))];
            draft.push("identifier", object(entries));
        }
    }
}

fn describe(
    draft: &mut Draft,
    obr: &Segment<'_>,
    category: Option<&str>,
) -> Result<(), Unmappable> {
    match category {
        Some(code) if has(SECTIONS, code) => {
            let system = format!("{TERMINOLOGY}v2-0074");
            draft.set("category", only(in_system(&system, code, None)));
        }
        Some(other) => {
            draft.quality.push("result.section-unmapped");
            draft.set("category", only(in_words(other)));
        }
        None => {}
    }
    let test = obr.field(4).and_then(|field| field.repetition(1));
    let test = test.and_then(|test| concept(&test));
    draft.set("code", test.ok_or_else(|| Unmappable::in_field("result.no-code", obr, 4))?);
    Ok(())
}

/// OBR-25, which says more than FHIR's status once results were corrected.
fn report_status(draft: &mut Draft, obr: &Segment<'_>) {
    let status = code(Some(obr), 25);
    if !status.is_empty() {
        draft.extension(code_as_sent(REPORT_STATUS, &status));
    }
}

/// The notes of a group that are not about one observation. They stand behind ORC, OBR, SPM or
/// whatever else a laboratory sends. Notes that stand before the group, behind PID for example, are
/// about no report, and are counted.
fn remarks(draft: &mut Draft, message: &Message, group: &Group<'_>) {
    let mut observed = false;
    let about_report = group.segments().filter(|segment| {
        let is_note = segment.name() == "NTE";
        observed = if is_note { observed } else { segment.name() == "OBX" };
        is_note && !observed
    });
    if let Some(text) = comments(message, about_report) {
        let url = Value::String(format!("{FHIR_R5}extension-DiagnosticReport.note"));
        draft.extension(object([("url", url), ("valueAnnotation", in_words(&text))]));
    }
    let start = group.range().start;
    let groups = message.groups(&["ORC", "OBR"]);
    let reports = groups.iter().filter(|other| other.segment("OBR", 1).is_some());
    let before = reports.map(|other| other.range().end).filter(|end| *end <= start).max();
    let between = message.segments().skip(before.unwrap_or(0)).take_while(|s| s.index() < start);
    let unplaced = between.filter(|s| s.name() == "NTE" && stated(s.text(3, 1)).is_some());
    draft.quality.extend(unplaced.map(|_| "note.unplaced"));
}

/// The code of a section in the capitals of the table, if it is one.
fn known_section(section: &str) -> Option<String> {
    let capitals = section.to_ascii_uppercase();
    has(SECTIONS, &capitals).then_some(capitals)
}

fn has(list: &str, code: &str) -> bool {
    list.split(' ').any(|each| each == code)
}

/// OBR-7, with OBR-8 a period.
fn effective(obr: &Segment<'_>, source: &Source) -> Option<Value> {
    let at = |field: usize| {
        let moment = Moment::read(&stated(obr.text(field, 1))?, &source.zone).ok()?;
        Some(moment.fhir().to_owned())
    };
    Some(match (at(7)?, at(8)) {
        (start, None) => object([("effectiveDateTime", Value::String(start))]),
        (start, Some(end)) => {
            let period = object([("start", Value::String(start)), ("end", Value::String(end))]);
            object([("effectivePeriod", period)])
        }
    })
}

/// OBR-22 as `issued`, which must be an instant: a mere date is left out.
fn issued(draft: &mut Draft, obr: &Segment<'_>, source: &Source) {
    let Some(text) = stated(obr.text(22, 1)) else { return };
    match Moment::read(&text, &source.zone) {
        Ok(moment) if moment.has_time() => draft.set("issued", Value::from(moment.fhir())),
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

/// What an event says of the report in its bundle.
pub(crate) struct Summary {
    /// More is to come, or nobody has said that it is not.
    pub(crate) preliminary: bool,
    /// The key of the report.
    pub(crate) key: String,
    /// A key of one of its observations was counted.
    pub(crate) counted: bool,
}

/// The summary of a bundle with a report.
///
/// A report is complete only if OBR-25 says so, or says nothing, and every observation has an end:
/// a status that is absent or unknown is none.
pub(crate) fn summary(bundle: &Value) -> Option<Summary> {
    let entries = bundle["entry"].as_array()?;
    let resources: Vec<&Map<String, Value>> =
        entries.iter().filter_map(|entry| entry["resource"].as_object()).collect();
    let of = |kind: &'static str| resources.iter().filter(move |r| r["resourceType"] == kind);
    let report = of("DiagnosticReport").next()?;
    let open = |resource: &Map<String, Value>| {
        let status = resource.get("status").and_then(Value::as_str).unwrap_or_default();
        matches!(status, "registered" | "preliminary" | "partial" | "unknown" | "")
    };
    let unfinished = !matches!(sent_status(report, REPORT_STATUS), "" | "F" | "C" | "X");
    // N says that nobody asked for the test: nothing is to come.
    let awaited = |observation: &&Map<String, Value>| {
        open(observation) && sent_status(observation, OBSERVATION_STATUS) != "N"
    };
    let preliminary = open(report) || unfinished || of("Observation").any(awaited);
    let counted = of("Observation").filter_map(|each| key(each)).any(is_counted);
    Some(Summary { preliminary, key: key(report)?.to_owned(), counted })
}

fn key(resource: &Map<String, Value>) -> Option<&str> {
    let identifiers = resource.get("identifier")?.as_array()?;
    identifiers.iter().find(|each| each["system"] == RESULT_KEY)?["value"].as_str()
}

/// A status as it was sent; empty if none was.
fn sent_status<'r>(resource: &'r Map<String, Value>, url: &str) -> &'r str {
    let extensions = resource.get("extension").and_then(Value::as_array);
    let mut extensions = extensions.into_iter().flatten();
    let sent = extensions.find(|each| each["url"] == url);
    sent.and_then(|each| each["valueCode"].as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;
    use serde_json::json;

    use super::*;
    use crate::fhir::bundle::bundle;

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
        assert_eq!(report["extension"][0], json!({ "url": REPORT_STATUS, "valueCode": "F" }));
        let note = &report["extension"][1]["valueAnnotation"]["text"];
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
    fn a_report_is_complete_only_where_somebody_says_so() {
        let preliminary = |report: &str, observations: &[&str]| {
            let line = |status: &&str| format!("OBX|1|NM|T||1||||||{status}");
            let lines = observations.iter().map(line).collect::<Vec<_>>().join("\r");
            let built = built(&format!("{}{lines}", obr(report))).expect("a report");
            summary(&bundle(built).resource).expect("a report").preliminary
        };
        for (report, observations) in
            [("F", &["F"][..]), ("", &["F"]), ("F", &["F", "N"]), ("C", &["F"]), ("F", &["C", "F"])]
        {
            assert!(!preliminary(report, observations), "{report} {observations:?}");
        }
        for (report, observations) in [
            ("P", &["C"][..]),
            ("R", &["F"]),
            ("", &[""]),
            ("", &[]),
            ("F", &["F", ""]),
            ("Z", &["C"]),
            ("F", &["P"]),
        ] {
            assert!(preliminary(report, observations), "{report} {observations:?}");
        }
    }

    #[test]
    fn no_note_is_lost_uncounted() {
        let body = "PID|1||7^^^RXX01^MR\rNTE|1||About nobody in particular\rORC|RE||F1\rNTE|1||Unlabelled tube\r\
            OBR|1||F1|BC^Blood culture\rSPM|1|||BLD\rNTE|1||Left arm\rOBX|1|ST|G||x||||||F\rNTE|1||Of the result";
        let all = built(body).expect("a report");
        let note = &all[0].resource["extension"][0]["valueAnnotation"]["text"];
        assert_eq!(note, "Unlabelled tube\nLeft arm");
        assert_eq!(all[1].resource["note"][0]["text"], "Of the result");
        assert_eq!(all[0].quality, ["note.unplaced"]);
    }

    #[test]
    fn keys_that_repeat_are_counted() {
        let quality = |observations: &str| {
            let built = built(&format!("{}{observations}", obr("F"))).expect("a report");
            let counted = summary(&bundle(built.clone()).resource).expect("a report").counted;
            (built[0].quality.clone(), counted)
        };
        let line = |sub: &str| format!("OBX|1|ST|GERM|{sub}|x||||||F\r");
        assert_eq!(quality(&[line("1"), line("2")].concat()), (vec![], false));
        let twice = quality(&[line(""), line("")].concat());
        assert_eq!(twice, (vec!["result.key-repeated"], true));
    }

    #[test]
    fn a_reference_range_is_whole() {
        let range = |sent: &str| {
            let body = format!("{}OBX|1|NM|HB||131|g/L|{sent}||||F", obr("F"));
            built(&body).expect("a report").remove(1)
        };
        let text = |sent: &str| range(sent).resource["referenceRange"][0]["text"].clone();
        assert_eq!(text("Men 130-170~Women 120-150"), "Men 130-170\nWomen 120-150");
        assert_eq!(text("<7^see comment"), "<7^see comment");
        assert_eq!(text("Men & women 3-9\\.br\\Children 2-8"), "Men & women 3-9\nChildren 2-8");
        assert!(range(" ").resource.get("referenceRange").is_none());
        assert_eq!(range("\"\"").cleared, ["Observation.referenceRange"]);
    }

    #[test]
    fn codes_stand_only_in_systems_that_have_them() {
        let body = format!("{}OBX|1|NM|HB||131|g/L||*~HH~POSITIVE|||F", obr("F"));
        let all = built(&body).expect("a report");
        let flags = &all[1].resource["interpretation"];
        assert_eq!(
            (&flags[0], &flags[2]),
            (&json!({ "text": "*" }), &json!({ "text": "POSITIVE" }))
        );
        assert_eq!(flags[1]["coding"][0]["code"], "HH");
        assert_eq!(all[1].quality, ["result.flag-unmapped"]);
        let section = |code: &str| {
            let body = obr("F").replace("|HM|", &format!("|{code}|"));
            let report = built(&body).expect("a report").remove(0);
            (report.resource["category"][0].clone(), report.quality)
        };
        assert_eq!(section("mb").0["coding"][0]["code"], "MB");
        let unknown = (json!({ "text": "Andrology" }), vec!["result.section-unmapped"]);
        assert_eq!(section("Andrology"), unknown);
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
