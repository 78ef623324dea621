//! ORC, OBR and OBX as UK Core `DiagnosticReport` with its Observations.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::built::{
    Built, Draft, Unmappable, code_as_sent, coded_extension, id, identifier_in, reference,
};
use crate::fhir::coded::{concept, in_system, in_words};
use crate::fhir::datatypes::{identifier_type, logical, practitioner};
use crate::fhir::encounter::visit;
use crate::fhir::location::places;
use crate::fhir::names::{
    CLINICAL_INFORMATION, COPY_TO, OBSERVATION_STATUS, PARENT_NUMBER, PARENT_RESULT,
    PATIENT_LOCATION, REPORT_STATUS, REQUEST_REASON, REQUESTER, RESULT_KEY, fhir_r5, terminology,
    uk_core,
};
use crate::fhir::observation::{Context, comments, observation};
use crate::fhir::specimen::specimens;
use crate::json::{Object, Value, object, only};
use crate::result::{
    Parent, ResultKind, classify, code, is_counted, is_finding, is_progress, is_shared,
    observation_keys, parent_number, result_key,
};
use crate::source::Source;
use crate::text::{stated, whole, whole_of, words};
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
/// (`attachment.unreadable`) the whole report is refused; so too one that says that there are results
/// and brings none (`result.empty`: it would take the place of what was reported before), and one that
/// says that there are none beside a finding (`result.contradiction`).
pub fn report(
    message: &Message,
    group: &Group<'_>,
    source: &Source,
) -> Result<Vec<Built>, Unmappable> {
    let obr = group.segment("OBR", 1).ok_or(Unmappable { code: "structure", at: None })?;
    let key = result_key(message, group)
        .map_err(|no_key| Unmappable::in_field(no_key.code(), &obr, 3))?;
    let segments: Vec<Segment<'_>> = group.segments().filter(|s| s.name() == "OBX").collect();
    let category =
        stated(obr.text(24, 1)).map(|section| known_section(&section).unwrap_or(section));
    let context = Context {
        message,
        source,
        subject: reference(&id(message, "Patient", 1)),
        laboratory: category.as_deref().is_some_and(|section| has(LABORATORIES, section)),
        effective: effective(&obr, source),
    };
    let profile = if context.laboratory {
        uk_core!("UKCore-DiagnosticReport-Lab")
    } else {
        uk_core!("UKCore-DiagnosticReport")
    };
    let own_id = id(message, "DiagnosticReport", obr.index());
    let mut draft = Draft::new("DiagnosticReport", &own_id, profile);
    numbers(&mut draft, &key, &obr, group.segment("ORC", 1).as_ref());
    describe(&mut draft, &obr, category.as_deref())?;
    agrees_with_itself(group, &obr, &segments)?;
    report_status(&mut draft, &obr);
    remarks(&mut draft, message, group);
    draft.set("subject", context.subject.clone());
    if let Some(Value::Object(elements)) = context.effective.clone() {
        draft.body.extend(elements);
    }
    issued(&mut draft, &obr, source);
    interpreter(&mut draft, &obr);
    draft.set("encounter", visit(message, source));
    request(&mut draft, &obr, group.segment("ORC", 1).as_ref());
    ward(&mut draft, message, source);
    let derived_from = derived_from(&mut draft, message, group, &obr);

    let specimens = specimens(message, group, source);
    let named = specimens.iter().filter_map(|each| each.resource["id"].as_str());
    draft.set("specimen", Value::Array(named.map(reference).collect()));
    let mut observations = Vec::new();
    let keys = observation_keys(&key, &segments);
    if is_progress(&code(Some(&obr), 25)) && !segments.is_empty() {
        draft.quality.push("result.status-contradicted");
    }
    if is_shared(message, &key) || keys.iter().any(|key| is_counted(key)) {
        draft.quality.push("result.key-repeated");
    }
    for (obx, key) in segments.iter().zip(keys) {
        let mut built = observation(&context, obx, &key)?;
        if let Some(parent) = &derived_from {
            built.draft.push("derivedFrom", parent.clone());
        }
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

/// Whether what OBR-25 says of results is true of the OBX.
fn agrees_with_itself(
    group: &Group<'_>,
    obr: &Segment<'_>,
    observations: &[Segment<'_>],
) -> Result<(), Unmappable> {
    // A note alone may be all that a department has to say.
    let says =
        |segment: Segment<'_>| segment.name() == "NTE" && stated(segment.text(3, 1)).is_some();
    let refused = match classify(group) {
        ResultKind::Available { .. } | ResultKind::Corrected
            if observations.is_empty() && !group.segments().any(says) =>
        {
            "result.empty"
        }
        ResultKind::Cancelled if observations.iter().any(is_finding) => "result.contradiction",
        _ => return Ok(()),
    };
    Err(Unmappable::in_field(refused, obr, 25))
}

/// The key first; then the numbers that people know the request and the report by.
fn numbers(draft: &mut Draft, key: &str, obr: &Segment<'_>, orc: Option<&Segment<'_>>) {
    draft.push("identifier", identifier_in(RESULT_KEY, key.to_owned()));
    for (field, kind) in [(3, "FILL"), (2, "PLAC")] {
        let number = whole_of(obr, field, 1);
        let number = number.or_else(|| orc.and_then(|orc| whole_of(orc, field, 1)));
        if let Some(number) = number {
            let entries = [("type", identifier_type(kind)), ("value", Value::from(number))];
            let number = object(entries);
            if kind == "PLAC" {
                draft.push("basedOn", logical("ServiceRequest", number.clone()));
            }
            draft.push("identifier", number);
        }
    }
}

/// Who asked and who gets a copy (OBR-16, else ORC-12; OBR-28), why and with what said (OBR-31, OBR-13):
/// the request itself need not be in any event.
fn request(draft: &mut Draft, obr: &Segment<'_>, orc: Option<&Segment<'_>>) {
    let person =
        |segment: &Segment<'_>, field: usize| practitioner(&segment.field(field)?.repetition(1)?);
    let requester = person(obr, 16).or_else(|| person(orc?, 12));
    let copies = obr.field(28).into_iter().flat_map(|field| field.repetitions());
    let copies = copies.filter_map(|each| Some((COPY_TO, practitioner(&each)?)));
    for (url, who) in requester.map(|who| (REQUESTER, who)).into_iter().chain(copies) {
        draft.extension(object([("url", Value::from(url)), ("valueReference", who)]));
    }
    let reasons = obr.field(31).into_iter().flat_map(|field| field.repetitions());
    for reason in reasons.filter_map(|each| concept(&each)) {
        draft.extension(coded_extension(REQUEST_REASON, reason));
    }
    let told = obr.field(13).and_then(|field| field.repetition(1));
    if let Some(told) = told.and_then(|told| words(&told, 1).or_else(|| words(&told, 2))) {
        let told = [("url", Value::from(CLINICAL_INFORMATION)), ("valueString", Value::from(told))];
        draft.extension(object(told));
    }
}

/// PV1-3, where the patient was when it was reported: a ward has to know which results are its own.
fn ward(draft: &mut Draft, message: &Message, source: &Source) {
    let pv1 = message.segment("PV1", 1);
    let place = pv1.and_then(|pv1| pv1.field(3)?.repetition(1));
    let Some(place) = place.and_then(|pl| places(&pl, source.point_of_care).into_iter().next())
    else {
        return;
    };
    let mut ward = place.location;
    ward["type"] = Value::from("Location");
    draft.extension(object([("url", Value::from(PATIENT_LOCATION)), ("valueReference", ward)]));
}

/// OBR-26 and OBR-29, which say on what the report was done: sensitivities mean nothing without their
/// organism. Gives the reference by which each observation names it.
fn derived_from(
    draft: &mut Draft,
    message: &Message,
    group: &Group<'_>,
    obr: &Segment<'_>,
) -> Option<Value> {
    let mut text = |url: &'static str, text: String| {
        draft.extension(object([("url", Value::from(url)), ("valueString", Value::from(text))]));
    };
    if let Some(number) = parent_number(obr) {
        text(PARENT_NUMBER, number);
    }
    let parent = Parent::of(obr)?;
    let found = parent.find(message, group);
    let value = found.as_ref().and_then(|(_, obx)| obx.field(5)?.repetition(1));
    let words = parent
        .words
        .or_else(|| value.and_then(|value| whole(&value, 2).or_else(|| whole(&value, 1))));
    if let Some(words) = &words {
        text(PARENT_RESULT, words.clone());
    } else {
        draft.quality.push("result.parent-unnamed");
    }
    let mut reference = Object::with_capacity(3);
    reference.insert("type", Value::from("Observation"));
    if let Some((key, _)) = found {
        reference.insert("identifier", identifier_in(RESULT_KEY, key));
    }
    reference.put("display", words);
    (reference.len() > 1).then_some(Value::Object(reference))
}

/// OBR-32: an NDL, whose first component is the interpreter in subcomponents: number, family, given.
fn interpreter(draft: &mut Draft, obr: &Segment<'_>) {
    let first = obr.field(32).and_then(|field| field.repetition(1));
    let part = |at: usize| first.and_then(|ndl| stated(ndl.text(1, at)));
    let names: Vec<String> = [part(6), part(3), part(2)].into_iter().flatten().collect();
    let mut person = Object::with_capacity(3);
    person.insert("type", Value::from("Practitioner"));
    if let Some(number) = part(1) {
        person.insert("identifier", object([("value", Value::from(number))]));
    }
    if !names.is_empty() {
        person.insert("display", Value::from(names.join(" ")));
    }
    if person.len() > 1 {
        draft.set("resultsInterpreter", only(Value::Object(person)));
    }
}

fn describe(
    draft: &mut Draft,
    obr: &Segment<'_>,
    category: Option<&str>,
) -> Result<(), Unmappable> {
    match category {
        Some(code) if has(SECTIONS, code) => {
            let system = terminology!("v2-0074");
            draft.set("category", only(in_system(system, code.to_owned(), None)));
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
        draft.extension(code_as_sent(REPORT_STATUS, status));
    }
}

/// The notes of a group that are not about one observation. They stand behind ORC, OBR, SPM or
/// whatever else a laboratory sends. Notes that stand before the group, behind PID for example, are
/// about no report, and are counted; so is what was observed of a specimen that no order is of.
fn remarks(draft: &mut Draft, message: &Message, group: &Group<'_>) {
    let mut observed = false;
    let about_report = group.segments().filter(|segment| {
        let is_note = segment.name() == "NTE";
        observed = if is_note { observed } else { segment.name() == "OBX" };
        is_note && !observed
    });
    if let Some(text) = comments(message, about_report) {
        let url = Value::from(fhir_r5!("extension-DiagnosticReport.note"));
        draft.extension(object([("url", url), ("valueAnnotation", in_words(&text))]));
    }
    let start = group.range().start;
    let groups = message.orders();
    let reports = groups.iter().filter(|other| other.segment("OBR", 1).is_some());
    let ranges: Vec<_> = reports.map(Group::range).collect();
    let before = ranges.iter().map(|range| range.end).filter(|end| *end <= start).max();
    let between = || message.segments().skip(before.unwrap_or(0)).take_while(|s| s.index() < start);
    let unplaced = between().filter(|s| s.name() == "NTE" && stated(s.text(3, 1)).is_some());
    draft.quality.extend(unplaced.map(|_| "note.unplaced"));
    // The specimen of this report tells what was observed of it.
    let own = message.specimen_of(group).map_or(start, |specimen| specimen.index());
    let is_last = ranges.iter().all(|range| range.start <= start);
    let behind = message.segments().skip(if is_last { group.range().end } else { usize::MAX });
    let strays = between().take_while(|segment| segment.index() < own).chain(behind);
    let strays = strays.filter(|segment| segment.name() == "OBX");
    draft.quality.extend(strays.map(|_| "specimen.observation-not-published"));
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
        (start, None) => object([("effectiveDateTime", Value::from(start))]),
        (start, Some(end)) => {
            let period = object([("start", Value::from(start)), ("end", Value::from(end))]);
            object([("effectivePeriod", period)])
        }
    })
}

/// OBR-22 as `issued`, which must be an instant: a mere date is left out.
fn issued(draft: &mut Draft, obr: &Segment<'_>, source: &Source) {
    let Some(text) = stated(obr.text(22, 1)) else { return };
    match Moment::read(&text, &source.zone) {
        Ok(moment) if moment.has_time() => draft.set("issued", Value::text(moment.fhir())),
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
        ResultKind::Awaited => return "registered",
        ResultKind::Available { preliminary } => preliminary,
    };
    match code(Some(obr), 25).as_str() {
        "P" => "preliminary",
        progress if is_progress(progress) => "partial",
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
    let resources: Vec<&Object> =
        entries.iter().filter_map(|entry| entry["resource"].as_object()).collect();
    let of = |kind: &'static str| resources.iter().filter(move |r| r["resourceType"] == kind);
    let report = of("DiagnosticReport").next()?;
    let open = |resource: &Object| {
        let status = resource.get("status").and_then(Value::as_str).unwrap_or_default();
        matches!(status, "registered" | "preliminary" | "partial" | "unknown" | "")
    };
    let unfinished = !matches!(sent_status(report, REPORT_STATUS), "" | "F" | "C" | "X");
    // N says that nobody asked for the test: nothing is to come.
    let awaited = |observation: &&Object| {
        open(observation) && sent_status(observation, OBSERVATION_STATUS) != "N"
    };
    let preliminary = open(report) || unfinished || of("Observation").any(awaited);
    let counted = of("Observation").filter_map(|each| key(each)).any(is_counted);
    Some(Summary { preliminary, key: key(report)?.to_owned(), counted })
}

fn key(resource: &Object) -> Option<&str> {
    let identifiers = resource.get("identifier")?.as_array()?;
    identifiers.iter().find(|each| each["system"] == RESULT_KEY)?["value"].as_str()
}

/// A status as it was sent; empty if none was.
fn sent_status<'r>(resource: &'r Object, url: &str) -> &'r str {
    let extensions = resource.get("extension").and_then(Value::as_array);
    let mut extensions = extensions.into_iter().flatten();
    let sent = extensions.find(|each| each["url"] == url);
    sent.and_then(|each| each["valueCode"].as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
