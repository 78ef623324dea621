//! PR1 as UK Core Procedure.

use hl7::message::Message;
use hl7::segment::Segment;
use jiff::{SignedDuration, Timestamp};

use crate::fhir::built::{Built, Draft, Unmappable, id, reference};
use crate::fhir::coded::{concept, concept_of, in_words};
use crate::fhir::datatypes::{PERSON, entity, practitioner};
use crate::fhir::encounter::visit;
use crate::fhir::names::uk_core;
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::{stated, whole_of};
use crate::time::{Moment, rfc3339};

/// Builds a Procedure of each PR1 in order; one whose PR1-3 is HL7 null deletes and gives none, and so
/// does one without code and text.
pub fn procedures(message: &Message, source: &Source) -> Result<Vec<Built>, Unmappable> {
    let all = message.segments_named("PR1");
    let stated = all.filter(|pr1| !pr1.field(3).is_some_and(|code| code.is_null()));
    let named = stated.filter(|pr1| named(pr1).is_some());
    named.map(|pr1| procedure(message, &pr1, source)).collect()
}

fn procedure(message: &Message, pr1: &Segment<'_>, source: &Source) -> Result<Built, Unmappable> {
    let profile = uk_core!("UKCore-Procedure");
    let mut draft = Draft::new("Procedure", &id(message, "Procedure", pr1.index()), profile);
    let number = draft.read_coded(pr1, 19, "identifier", entity);
    draft.set("identifier", number.map(only));
    let code = named(pr1).ok_or_else(|| Unmappable::in_field("procedure.no-code", pr1, 3))?;
    draft.set("code", code);
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.set("encounter", visit(message, source));
    let when = draft.moment(pr1, 5, "performed", source);
    draft.set("status", Value::from(status(message, pr1, when.as_ref(), source)));
    performed(&mut draft, pr1, when, source);
    for (field, role) in [(11, "surgeon"), (8, "anaesthetist"), (12, "practitioner")] {
        let path = format!("performer.where(function.text='{role}')");
        draft.set_all(pr1, field, ("performer", &path), PERSON, |doctor| {
            Some(object([("function", in_words(role)), ("actor", practitioner(doctor)?)]))
        });
    }
    // A procedure is stated whole: only a deletion needs to be named.
    draft.replaced.clear();
    let reason = draft.read_coded(pr1, 15, "reasonCode", concept);
    draft.set("reasonCode", reason.map(only));
    Ok(draft.finish())
}

/// PR1-3 with the modifiers of PR1-16, in the system that PR1-2 names where the code does not;
/// PR1-4 is its text in older versions.
fn named(pr1: &Segment<'_>) -> Option<Value> {
    let coded = pr1.field(3).and_then(|field| field.repetition(1));
    let mut named = coded.and_then(|coded| concept_of(&coded, stated(pr1.text(2, 1)).as_deref()));
    if let Some(text) = whole_of(pr1, 4, 1) {
        let named = named.get_or_insert_with(|| Value::Object(Object::new()));
        if named.get("text").is_none() {
            named["text"] = Value::from(text);
        }
    }
    let modifiers = pr1.field(16).into_iter().flat_map(|field| field.repetitions());
    let modifiers =
        modifiers.filter_map(|each| concept(&each)?.get("coding")?.as_array()?.first().cloned());
    if let Some(codings) = named.as_mut().and_then(|named| named["coding"].as_array_mut()) {
        codings.extend(modifiers);
    }
    named
}

/// PR1 has no status. One that has a time which is past was done; otherwise nobody has said so.
fn status(
    message: &Message,
    pr1: &Segment<'_>,
    when: Option<&Moment>,
    source: &Source,
) -> &'static str {
    if stated(pr1.text(20, 1)).as_deref() == Some("D") {
        return "entered-in-error";
    }
    let sent = message.segment("MSH", 1).and_then(|msh| stated(msh.text(7, 1)));
    let sent = sent.and_then(|text| Moment::read(&text, &source.zone).ok()?.start(&source.zone));
    let began = when.and_then(|when| when.start(&source.zone));
    match (began, sent) {
        (Some(began), Some(sent)) if began > sent => "preparation",
        (Some(_), _) => "completed",
        _ => "unknown",
    }
}

/// PR1-5, with the minutes of PR1-7 a period.
fn performed(draft: &mut Draft, pr1: &Segment<'_>, when: Option<Moment>, source: &Source) {
    let Some(when) = when else { return };
    let minutes = stated(pr1.text(7, 1)).and_then(|text| text.parse::<u32>().ok());
    match (minutes.filter(|minutes| *minutes > 0), when.timestamp()) {
        (Some(minutes), Some(start)) => {
            let end = after(start, minutes, source);
            let period = [("start", Value::text(when.fhir())), ("end", Value::from(end))];
            draft.set("performedPeriod", object(period));
        }
        _ => draft.set("performedDateTime", Value::text(when.fhir())),
    }
}

/// So many minutes after an instant, in the source's zone.
pub(crate) fn after(start: Timestamp, minutes: u32, source: &Source) -> String {
    let end = start.saturating_add(SignedDuration::from_mins(i64::from(minutes)));
    rfc3339(end.unwrap_or(start), &source.zone)
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(pr1: &str) -> Result<Vec<Built>, Unmappable> {
        procedures(&message("ADT^A03", pr1), &source())
    }

    #[test]
    fn a_procedure_keeps_its_code_time_and_people() {
        let pr1 = segment(
            "PR1",
            &[
                (1, "1"),
                (3, "W37.1^Hip^OPCS4"),
                (5, "202401100900"),
                (7, "90"),
                (11, "C3456789^DOE^SAM"),
            ],
        );
        let procedure = &built(&pr1).expect("one")[0].resource;
        assert_eq!(
            (code(&procedure["code"]), &procedure["status"]),
            ("W37.1", &json!("completed"))
        );
        let period =
            json!({ "start": "2024-01-10T09:00:00+00:00", "end": "2024-01-10T10:30:00+00:00" });
        assert_eq!(procedure["performedPeriod"], period);
        let surgeon = &procedure["performer"][0];
        assert_eq!(surgeon["function"]["text"], "surgeon");
        assert_eq!(surgeon["actor"]["identifier"]["value"], "C3456789");
    }

    #[test]
    fn a_status_is_not_invented() {
        let status = |fields: &[(usize, &str)]| {
            let mut all = vec![(3, "W37.1^Hip^OPCS4")];
            all.extend(fields);
            built(&segment("PR1", &all)).expect("one")[0].resource["status"].clone()
        };
        assert_eq!(status(&[]), "unknown");
        assert_eq!(status(&[(5, "20240108")]), "completed");
        assert_eq!(status(&[(5, "20240208")]), "preparation");
        assert_eq!(status(&[(5, "20240108"), (20, "D")]), "entered-in-error");
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert!(built("PR1|1||\"\"").expect("none").is_empty());
        assert!(built("PR1|1||^\"\"").expect("none").is_empty());
        let nulls = built(&segment("PR1", &[(3, "W37"), (5, "\"\""), (11, "\"\""), (15, "\"\"")]));
        let cleared = ["performed", "performer.where(function.text='surgeon')", "reasonCode"];
        assert_eq!(nulls.expect("one")[0].cleared, cleared.map(|path| format!("Procedure.{path}")));
    }
}
