//! TXA and OBX of a document as UK Core `DocumentReference`.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::attachment::{encapsulated, measured, of_text, pointer, without_data};
use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, reference};
use crate::fhir::coded::{concept, in_system};
use crate::fhir::datatypes::{PERSON, entity, entity_of_type, logical, organisation, practitioner};
use crate::fhir::encounter::visit;
use crate::fhir::names::{AS_SENT, fhir, uk_core};
use crate::fhir::tables::{CONFIDENTIALITY, DOCUMENT_AVAILABILITY, DOCUMENT_COMPLETION};
use crate::json::{Object, Value, object, only};
use crate::site;
use crate::source::Source;
use crate::text::{rendered, stated, whole};
use crate::time::Moment;

/// Builds the `DocumentReference` of a document message.
///
/// `status` is FHIR's; without one it follows from the event and TXA-19. Without TXA there is none
/// (`document.absent`); without TXA-12 a replacement could not say of what (`document.no-number`). A
/// document that cannot be opened refuses it (`attachment.unreadable`), and so does one that adds to
/// another or takes its place and does not say of which (TXA-13, `document.no-parent`). A document that
/// is withdrawn is named, and not sent again.
pub fn document(
    message: &Message,
    source: &Source,
    status: Option<&str>,
) -> Result<Built, Unmappable> {
    let absent = Unmappable { code: "document.absent", at: None };
    let txa = message.segment("TXA", 1).ok_or(absent)?;
    let profile = uk_core!("UKCore-DocumentReference");
    let mut draft = Draft::new("DocumentReference", &id(message, "DocumentReference", 1), profile);
    let number = draft.read_coded(&txa, 12, "masterIdentifier", entity);
    let number = number.ok_or_else(|| Unmappable::in_field("document.no-number", &txa, 12))?;
    draft.set("masterIdentifier", number);
    orders(&mut draft, &txa);
    let trigger = message.segment("MSH", 1).and_then(|msh| stated(msh.text(9, 2)));
    let trigger = trigger.unwrap_or_default();
    let by_event = status_of(&mut draft, &trigger, &txa);
    let status = status.unwrap_or(by_event);
    draft.set("status", Value::text(status));
    completion(&mut draft, &txa);
    draft.coded(&txa, 2, "type");
    draft.set("subject", reference(&id(message, "Patient", 1)));
    people(&mut draft, message, &txa, source);
    parent(&mut draft, &trigger, &txa);
    let needs_parent = matches!(trigger.as_str(), "T05" | "T06" | "T09" | "T10");
    if needs_parent && !draft.body.contains_key("relatesTo") {
        return Err(Unmappable::in_field("document.no-parent", &txa, 13));
    }
    let title = title(&mut draft, &txa);
    confidentiality(&mut draft, &txa);
    let withdrawn = status == "entered-in-error";
    let content = content(message, &txa, source, title.as_deref(), withdrawn)?;
    let promised = matches!(trigger.as_str(), "T02" | "T04" | "T06" | "T08" | "T10");
    let brought =
        |each: &Value| ["data", "url"].iter().any(|key| !each["attachment"][*key].is_null());
    if promised && !withdrawn && !content.iter().any(brought) {
        draft.quality.push("document.no-content");
    }
    draft.set("content", Value::Array(content));
    circumstances(&mut draft, message, &txa, source);
    Ok(draft.finish())
}

/// TXA-14 and TXA-15: what the document was asked for by.
fn orders(draft: &mut Draft, txa: &Segment<'_>) {
    for (field, kind) in [(14, "PLAC"), (15, "FILL")] {
        let number = txa.field(field).and_then(|field| entity_of_type(&field.repetition(1)?, kind));
        if let Some(number) = number {
            draft.push("identifier", number);
        }
    }
}

/// T11 takes a document back; else TXA-19 (table 0273) says whether it can be had. Deleted is
/// withdrawn, obsolete is superseded.
fn status_of(draft: &mut Draft, trigger: &str, txa: &Segment<'_>) -> &'static str {
    let stated = draft.read(txa, 19, "status");
    let coded = stated.as_deref().and_then(|code| DOCUMENT_AVAILABILITY.code(code));
    if coded.is_none() && stated.is_some() {
        draft.quality.push("code.unknown");
    }
    if trigger == "T11" { "entered-in-error" } else { coded.unwrap_or("current") }
}

/// TXA-17 (table 0271), which says more than FHIR's four words.
fn completion(draft: &mut Draft, txa: &Segment<'_>) {
    let Some(sent) = draft.read(txa, 17, "docStatus") else { return };
    match DOCUMENT_COMPLETION.code(&sent) {
        Some(word) => draft.set("docStatus", Value::from(word)),
        None => draft.quality.push("code.unknown"),
    }
    draft.set("_docStatus", object([("extension", only(code_as_sent(AS_SENT, sent)))]));
}

/// TXA-9 wrote it, TXA-5 did what it tells of, TXA-10 signed it, TXA-22 with the time.
fn people(draft: &mut Draft, message: &Message, txa: &Segment<'_>, source: &Source) {
    let written = [6, 4].into_iter().find_map(|field| {
        let moment = Moment::read(&stated(txa.text(field, 1))?, &source.zone).ok()?;
        moment.has_time().then(|| moment.fhir().to_owned())
    });
    draft.set("date", written.map(Value::from));
    let paths = [(9, "author"), (5, "author")];
    for (field, path) in paths {
        draft.set_all(txa, field, ("author", path), PERSON, practitioner);
    }
    draft.replaced.clear();
    let signed =
        [22, 10].into_iter().find_map(|field| practitioner(&txa.field(field)?.repetition(1)?));
    draft.set("authenticator", signed);
    if let Some(site) = site::of(message, source) {
        draft.set("custodian", organisation(&site, None));
    }
}

/// TXA-13, the document that this one adds to or replaces, by the event.
fn parent(draft: &mut Draft, trigger: &str, txa: &Segment<'_>) {
    let Some(parent) = draft.read_coded(txa, 13, "relatesTo", entity) else { return };
    let code = match trigger {
        "T05" | "T06" => "appends",
        "T09" | "T10" => "replaces",
        // An edit notice is the same document again; what else has a parent was made from it.
        _ => "transforms",
    };
    let target = logical("DocumentReference", parent);
    draft.push("relatesTo", object([("code", Value::from(code)), ("target", target)]));
}

/// What people call it: the text of TXA-2, TXA-16 the name of its file, TXA-21 why it changed.
fn title(draft: &mut Draft, txa: &Segment<'_>) -> Option<String> {
    let named = txa.field(2).and_then(|field| whole(&field.repetition(1)?, 2));
    let file = stated(txa.text(16, 1));
    let why = draft.read(txa, 21, "description");
    let described = [named.clone(), why].into_iter().flatten().collect::<Vec<_>>().join(": ");
    draft.set("description", (!described.is_empty()).then(|| Value::from(described)));
    file.or(named)
}

/// TXA-18 (table 0272). What is not of the usual confidentiality is counted, and goes to the entitled only:
/// see [`crate::marks::Marks`].
fn confidentiality(draft: &mut Draft, txa: &Segment<'_>) {
    let Some(sent) = draft.read(txa, 18, "securityLabel") else { return };
    if sent != "U" {
        draft.quality.push("document.confidential");
    }
    let (label, finding) = CONFIDENTIALITY.concept(&sent, None, None, "");
    draft.quality.extend(finding);
    draft.set("securityLabel", only(label));
}

/// One content for every ED and RP; else all lines of text as one. A document of which nothing is
/// sent has a content that says so: FHIR asks for one.
fn content(
    message: &Message,
    txa: &Segment<'_>,
    source: &Source,
    title: Option<&str>,
    withdrawn: bool,
) -> Result<Vec<Value>, Unmappable> {
    let mut attachments = Vec::new();
    let mut lines = Vec::new();
    for obx in message.segments_named("OBX") {
        let Some(field) = obx.field(5).filter(|field| !field.is_empty() && !field.is_null()) else {
            continue;
        };
        let kind = stated(obx.text(2, 1)).unwrap_or_default().to_ascii_uppercase();
        if !matches!(kind.as_str(), "ED" | "RP") {
            lines.extend(field.repetitions().map(|line| rendered(message, line.raw())));
            continue;
        }
        for each in field.repetitions().filter(|each| !each.raw().is_empty()) {
            let opened = if kind == "ED" { encapsulated(&each) } else { pointer(&each) };
            let unreadable = || Unmappable::in_field("attachment.unreadable", &obx, 5);
            attachments.push(measured(opened.ok_or_else(unreadable)?));
        }
    }
    let text = lines.join("\n");
    if !text.trim().is_empty() {
        attachments.push(measured(of_text(text.trim_end())));
    }
    if attachments.is_empty() {
        attachments.push(Value::Object(Object::new()));
    }
    let written = stated(txa.text(6, 1)).and_then(|text| Moment::read(&text, &source.zone).ok());
    let named = |mut attachment: Value| {
        if withdrawn {
            attachment = without_data(&attachment);
        }
        if let Some(title) = title {
            attachment["title"] = Value::text(title);
        }
        if let Some(written) = &written {
            attachment["creation"] = Value::text(written.fhir());
        }
        if attachment.as_object().is_none_or(Object::is_empty) {
            let url = Value::from(fhir!("data-absent-reason"));
            let unknown = object([("url", url), ("valueCode", Value::from("unknown"))]);
            attachment["extension"] = only(unknown);
        }
        object([("attachment", attachment)])
    };
    Ok(attachments.into_iter().map(named).collect())
}

/// The visit it belongs to, TXA-4 when what it tells of took place.
fn circumstances(draft: &mut Draft, message: &Message, txa: &Segment<'_>, source: &Source) {
    let mut context = Object::with_capacity(2);
    if let Some(visit) = visit(message, source) {
        context.insert("encounter", only(visit));
    }
    if let Some(when) = draft.moment(txa, 4, "context.period", source) {
        let period = object([("start", Value::text(when.fhir()))]);
        context.insert("period", period);
    }
    draft.set("context", Value::Object(context));
    let presented = draft.read_coded(txa, 3, "category", concept);
    if let Some(kind) = presented.as_ref().and_then(|kind| kind["coding"][0]["code"].as_str()) {
        let system = "http://terminology.hl7.org/CodeSystem/v2-0191";
        draft.set("category", only(in_system(system, kind.to_owned(), None)));
    }
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(trigger: &str, fields: &[(usize, &str)], obx: &str) -> Result<Built, Unmappable> {
        let body = format!("{}\r{obx}", segment("TXA", fields));
        document(&message(&format!("MDM^{trigger}"), &body), &source(), None)
    }

    const LETTER: &[(usize, &str)] = &[
        (2, "CLIN^Clinic letter^L"),
        (6, "202401091200"),
        (9, "C3456789^DOE^SAM"),
        (12, "D77^LETTERS"),
        (17, "AU"),
        (18, "R"),
        (19, "AV"),
    ];

    #[test]
    fn a_letter_is_measured_and_signed() {
        let pdf = "OBX|1|ED|CLIN^Letter||^IM^PDF^Base64^Zm9v";
        let letter = built("T02", LETTER, pdf).expect("a document").resource;
        assert_eq!(letter["masterIdentifier"]["value"], "D77");
        assert_eq!((&letter["status"], &letter["docStatus"]), (&json!("current"), &json!("final")));
        assert_eq!(code(&letter["type"]), "CLIN");
        assert_eq!(letter["date"], "2024-01-09T12:00:00+00:00");
        assert_eq!(letter["author"][0]["display"], "SAM DOE");
        assert_eq!(code(&letter["securityLabel"][0]), "R");
        let attachment = json!({ "contentType": "application/pdf", "data": "Zm9v", "size": 3,
            "hash": "C+7Hteo/D9vJXQ3UfzxbwnXaijM=", "title": "Clinic letter",
            "creation": "2024-01-09T12:00:00+00:00" });
        assert_eq!(letter["content"][0]["attachment"], attachment);
    }

    #[test]
    fn a_replacement_says_of_what_and_a_withdrawal_sends_nothing() {
        let related = |trigger: &str| {
            let mut fields = LETTER.to_vec();
            fields.insert(4, (13, "D70^LETTERS"));
            built(trigger, &fields, "OBX|1|TX|CLIN||Dear Sam").expect("a document").resource
        };
        let replaced = related("T10");
        assert_eq!(replaced["relatesTo"][0]["code"], "replaces");
        assert_eq!(replaced["relatesTo"][0]["target"]["identifier"]["value"], "D70");
        assert_eq!(related("T06")["relatesTo"][0]["code"], "appends");
        let gone = related("T11");
        assert_eq!(gone["status"], "entered-in-error");
        assert!(gone["content"][0]["attachment"].get("data").is_none());
        assert!(gone["content"][0]["attachment"].get("hash").is_some());
    }

    #[test]
    fn lines_of_text_are_one_document_and_none_is_said_to_be_unknown() {
        let text = built("T02", &[(12, "D1")], "OBX|1|TX|A||Dear Sam\rOBX|2|TX|A||Best wishes");
        let attachment = &text.expect("a document").resource["content"][0]["attachment"];
        assert_eq!(attachment["data"], "RGVhciBTYW0KQmVzdCB3aXNoZXM=");
        let none = built("T01", &[(12, "D1")], "").expect("a document").resource;
        let absent = &none["content"][0]["attachment"]["extension"][0]["valueCode"];
        assert_eq!(*absent, "unknown");
        let broken = built("T02", &[(12, "D1")], "OBX|1|ED|A||^IM^PDF^Base64^Zm9");
        assert_eq!(broken.expect_err("no document").code, "attachment.unreadable");
    }

    #[test]
    fn what_takes_the_place_of_another_says_of_which() {
        for trigger in ["T05", "T06", "T09", "T10"] {
            let refused = built(trigger, &[(12, "D2")], "").expect_err("of which?");
            assert_eq!(refused.code, "document.no-parent", "{trigger}");
            assert!(built(trigger, &[(12, "D2"), (13, "D1")], "").is_ok(), "{trigger}");
        }
        let secret = built("T01", &[(12, "D1"), (18, "R")], "").expect("a document");
        assert_eq!(secret.quality, ["document.confidential"]);
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        let absent = document(&message("MDM^T02", "OBX|1|TX|A||x"), &source(), None);
        assert_eq!(absent.expect_err("none").code, "document.absent");
        assert_eq!(built("T02", &[(2, "X")], "").expect_err("none").code, "document.no-number");
        let fields =
            [(2, "^\"\""), (9, "\"\""), (12, "D1"), (17, "\"\""), (18, "\"\""), (21, "\"\"")];
        let nulls = built("T08", &fields, "").expect("a document");
        let cleared = ["docStatus", "type.text", "author", "description", "securityLabel"];
        assert_eq!(nulls.cleared, cleared.map(|path| format!("DocumentReference.{path}")));
        let odd = built("T02", &[(12, "D1"), (17, "ZZ")], "").expect("a document");
        assert_eq!(odd.quality, ["code.unknown", "document.no-content"]);
        assert_eq!(odd.resource["_docStatus"]["extension"][0]["valueCode"], "ZZ");
    }
}
