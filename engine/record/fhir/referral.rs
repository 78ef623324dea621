//! RF1, PRD and DG1 of a referral as UK Core `ServiceRequest`.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, reference};
use crate::fhir::coded::{CODED, concept, in_system};
use crate::fhir::datatypes::{entity, organisation, practitioner_number};
use crate::fhir::encounter::visit;
use crate::fhir::names::{AS_SENT, uk_core};
use crate::fhir::observation::comments;
use crate::fhir::tables::REQUEST_PRIORITY;
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::{is_ods_code, stated, whole};

/// Builds the `ServiceRequest` of a referral.
///
/// `status` is FHIR's; without one it follows from the event and RF1-1. Without RF1 there is none
/// (`referral.absent`), and without a number (RF1-6, else RF1-11) a later message could not say which
/// it takes back (`referral.no-number`).
pub fn referral(
    message: &Message,
    source: &Source,
    status: Option<&str>,
) -> Result<Built, Unmappable> {
    let absent = Unmappable { code: "referral.absent", at: None };
    let rf1 = message.segment("RF1", 1).ok_or(absent)?;
    let profile = uk_core!("UKCore-ServiceRequest");
    let mut draft = Draft::new("ServiceRequest", &id(message, "ServiceRequest", 1), profile);
    for field in [6, 11] {
        let number = draft.read_coded(&rf1, field, "identifier", entity);
        if let Some(number) = number {
            draft.push("identifier", number);
        }
    }
    if !draft.body.contains_key("identifier") {
        return Err(Unmappable::in_field("referral.no-number", &rf1, 6));
    }
    let trigger = message.segment("MSH", 1).and_then(|msh| stated(msh.text(9, 2)));
    let answer = draft.read(&rf1, 1, "status");
    let answer = answer.unwrap_or_default();
    let by_event = status_of(&trigger.unwrap_or_default(), &answer);
    draft.set("status", Value::text(status.unwrap_or(by_event)));
    if status.is_none() && by_event == "unknown" {
        draft.quality.push("code.unknown");
        draft.set("_status", object([("extension", only(code_as_sent(AS_SENT, answer)))]));
    }
    draft.set("intent", Value::from("order"));
    let referred = in_system("http://snomed.info/sct", "3457005", Some("Patient referral"));
    draft.push("category", referred);
    if let Some(category) = draft.read_coded(&rf1, 5, "category", concept) {
        draft.push("category", category);
    }
    priority(&mut draft, &rf1, 2);
    draft.coded(&rf1, 3, "code");
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.set("encounter", visit(message, source));
    times(&mut draft, &rf1, source);
    reasons(&mut draft, message, &rf1);
    let disposition = draft.read_coded(&rf1, 4, "orderDetail", concept);
    draft.set("orderDetail", disposition.map(only));
    providers(&mut draft, message);
    // Behind whichever of its segments: notes of the person are those behind PID.
    let mut about = "";
    let notes = message.segments().filter(|segment| {
        if segment.name() != "NTE" {
            about = segment.name();
        }
        segment.name() == "NTE" && !matches!(about, "MSH" | "PID" | "NK1" | "OBR" | "OBX")
    });
    if let Some(text) = comments(message, notes) {
        draft.set("note", only(object([("text", Value::from(text))])));
    }
    Ok(draft.finish())
}

/// I14 takes a referral back. RF1-1 (table 0283): R rejected, E expired; A and P go on. How one stands
/// of which it says something else nobody knows.
fn status_of(trigger: &str, answer: &str) -> &'static str {
    match (trigger, answer.to_ascii_uppercase().as_str()) {
        ("I14", _) | (_, "R" | "E") => "revoked",
        (_, "" | "A" | "P") => "active",
        _ => "unknown",
    }
}

/// Sets `priority`, a code that FHIR has few words for; another is counted and stays as sent.
pub(crate) fn priority(draft: &mut Draft, segment: &Segment<'_>, field: usize) {
    let Some(sent) = draft.read(segment, field, "priority") else { return };
    set_priority(draft, sent);
}

/// As [`priority`], of a code that was read.
pub(crate) fn set_priority(draft: &mut Draft, sent: String) {
    if let Some(word) = REQUEST_PRIORITY.code(&sent) {
        return draft.set("priority", Value::from(word));
    }
    draft.quality.push("code.unknown");
    let as_sent = only(code_as_sent(AS_SENT, sent));
    draft.set("_priority", object([("extension", as_sent)]));
}

/// RF1-7 when it was made, or begins to hold, and RF1-8 until when.
fn times(draft: &mut Draft, rf1: &Segment<'_>, source: &Source) {
    let made = draft.moment(rf1, 7, "authoredOn", source);
    let until = draft.moment(rf1, 8, "occurrence", source);
    draft.set("authoredOn", made.map(|made| Value::text(made.fhir())));
    if let Some(until) = until {
        draft.set("occurrencePeriod", object([("end", Value::text(until.fhir()))]));
    }
}

/// RF1-10, and the diagnoses of the message.
fn reasons(draft: &mut Draft, message: &Message, rf1: &Segment<'_>) {
    draft.set_all(rf1, 10, ("reasonCode", "reasonCode"), CODED, concept);
    draft.replaced.clear();
    for dg1 in message.segments_named("DG1") {
        if let Some(reason) = dg1.field(3).and_then(|field| concept(&field.repetition(1)?)) {
            draft.push("reasonCode", reason);
        }
    }
}

/// PRD-1 (table 0286): RP refers, RT is referred to; others are named among the information.
fn providers(draft: &mut Draft, message: &Message) {
    for prd in message.segments_named("PRD") {
        let roles = prd.field(1).into_iter().flat_map(|field| field.repetitions());
        let roles: Vec<String> = roles.filter_map(|role| stated(role.text(1, 1))).collect();
        let Some(provider) = provider(&prd) else { continue };
        let has = |role: &str| roles.iter().any(|each| each == role);
        if has("RP") && !draft.body.contains_key("requester") {
            draft.set("requester", provider);
        } else if has("RT") {
            draft.push("performer", provider);
        } else {
            draft.push("supportingInfo", provider);
        }
    }
}

/// A provider by number (PRD-7) and name (PRD-2): a person, or an organisation that has only a code.
fn provider(prd: &Segment<'_>) -> Option<Value> {
    let number = prd.field(7).and_then(|field| field.repetition(1));
    let code = number.and_then(|number| stated(number.text(1, 1)));
    let name = prd.field(2).and_then(|field| field.repetition(1));
    let part = |at: usize| name.and_then(|name| stated(name.text(at, 1)));
    let shown: Vec<String> = [part(5), part(2), part(3), part(1)].into_iter().flatten().collect();
    let shown = (!shown.is_empty()).then(|| shown.join(" "));
    let person = number
        .filter(|number| practitioner_number(number).is_some_and(|number| has_register(&number)));
    let is_organisation = person.is_none() && part(2).is_none();
    let mut out = Object::with_capacity(3);
    let kind = if is_organisation { "Organization" } else { "Practitioner" };
    out.insert("type", Value::from(kind));
    match code.as_deref() {
        Some(code) if is_organisation && is_ods_code(code) => {
            let found = organisation(code, None);
            out.insert("identifier", found["identifier"].clone());
        }
        Some(code) => {
            let number = number.as_ref().and_then(practitioner_number);
            let plain = || object([("value", Value::text(code))]);
            out.insert("identifier", number.unwrap_or_else(plain));
        }
        None => {}
    }
    let address = prd.field(4).and_then(|field| whole(&field.repetition(1)?, 1));
    if let Some(text) = shown.or(address) {
        out.insert("display", Value::from(text));
    }
    (out.len() > 1).then_some(Value::Object(out))
}

fn has_register(number: &Value) -> bool {
    number.get("system").is_some()
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, source};

    fn built(trigger: &str, body: &str) -> Result<Built, Unmappable> {
        referral(&message(&format!("REF^{trigger}"), body), &source(), None)
    }

    const REFERRED: &str = "RF1|A^Accepted|A|MED^Medical^L||O^Outpatient^HL70284|R77^GP|20240108|20240601||FALLS^Recurrent falls^L\r\
        NTE|1||Lives alone\rPRD|RP|OKAFOR^JUNE^^^DR|||||G5612908\rPRD|RT|Respiratory|||||RXX01\rPRD|PP|SURGERY\rDG1|1||R29.6^Falls^I10";

    #[test]
    fn a_referral_says_who_asks_whom_and_why() {
        let referral = built("I12", REFERRED).expect("a referral").resource;
        assert_eq!((&referral["status"], &referral["intent"]), (&json!("active"), &json!("order")));
        assert_eq!(referral["identifier"][0]["value"], "R77");
        assert_eq!(referral["priority"], "asap");
        assert_eq!(code(&referral["code"]), "MED");
        assert_eq!(code(&referral["category"][1]), "O");
        assert_eq!(referral["authoredOn"], "2024-01-08");
        assert_eq!(referral["occurrencePeriod"], json!({ "end": "2024-06-01" }));
        assert_eq!(code(&referral["reasonCode"][1]), "R29.6");
        assert_eq!(referral["requester"]["identifier"]["value"], "G5612908");
        assert_eq!(referral["requester"]["display"], "DR JUNE OKAFOR");
        let asked = &referral["performer"][0];
        assert_eq!(
            (&asked["type"], &asked["identifier"]["value"]),
            (&json!("Organization"), &json!("RXX01"))
        );
        assert_eq!(referral["supportingInfo"][0]["display"], "SURGERY");
        assert_eq!(referral["note"][0]["text"], "Lives alone");
    }

    #[test]
    fn the_event_and_the_answer_decide_the_status() {
        let status = |trigger: &str, answer: &str| {
            let body = format!("RF1|{answer}|||||R77");
            built(trigger, &body).expect("a referral").resource["status"].clone()
        };
        assert_eq!(status("I12", ""), "active");
        assert_eq!(status("I13", "P"), "active");
        assert_eq!(status("I13", "R"), "revoked");
        assert_eq!(status("I14", "A"), "revoked");
        let odd = built("I13", "RF1|Q|||||R77").expect("a referral");
        assert_eq!(
            (&odd.resource["status"], odd.quality),
            (&json!("unknown"), vec!["code.unknown"])
        );
        assert_eq!(odd.resource["_status"]["extension"][0]["valueCode"], "Q");
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert_eq!(built("I12", "PRD|RP|X").expect_err("none").code, "referral.absent");
        assert_eq!(built("I12", "RF1|A").expect_err("none").code, "referral.no-number");
        let nulls = built("I13", "RF1||\"\"|^\"\"|||R77|\"\"|\"\"||\"\"").expect("a referral");
        let cleared = ["priority", "code.text", "authoredOn", "occurrence", "reasonCode"];
        assert_eq!(nulls.cleared, cleared.map(|path| format!("ServiceRequest.{path}")));
        assert!(nulls.resource.get("reasonCode").is_none());
        let odd = built("I12", "RF1||NOW||||R77").expect("a referral");
        assert_eq!(odd.quality, ["code.unknown"]);
        assert_eq!(odd.resource["_priority"]["extension"][0]["valueCode"], "NOW");
    }
}
