//! SCH, AIS, AIG, AIL and AIP as UK Core Appointment.

use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, reference};
use crate::fhir::coded::{concept, in_system};
use crate::fhir::datatypes::{entity_of_type, logical, practitioner};
use crate::fhir::location::places;
use crate::fhir::names::{AS_SENT, fhir, terminology, uk_core};
use crate::fhir::observation::comments;
use crate::fhir::procedure::after;
use crate::fhir::tables::{APPOINTMENT_STATUS, MAIN_SPECIALTY, day};
use crate::json::{Object, Value, object, only};
use crate::source::Source;
use crate::text::{stated, whole};
use crate::time::Moment;

/// Builds the Appointment of a scheduling message.
///
/// `status` is FHIR's; without one it follows from the event: a cancelled appointment may still be
/// called booked in SCH-25. Without SCH there is none (`appointment.absent`), and without a number
/// nobody could tell which it is (`appointment.no-number`). An event by which nobody came, of an
/// appointment that somebody came to, is refused (`appointment.contradiction`).
pub fn appointment(
    message: &Message,
    source: &Source,
    status: Option<&str>,
) -> Result<Built, Unmappable> {
    let absent = Unmappable { code: "appointment.absent", at: None };
    let sch = message.segment("SCH", 1).ok_or(absent)?;
    let profile = uk_core!("UKCore-Appointment");
    let mut draft = Draft::new("Appointment", &id(message, "Appointment", 1), profile);
    for (field, kind) in [(1, "PLAC"), (2, "FILL")] {
        let first = sch.field(field).and_then(|field| field.repetition(1));
        if let Some(number) = first.and_then(|number| entity_of_type(&number, kind)) {
            draft.push("identifier", number);
        }
    }
    if !draft.body.contains_key("identifier") {
        return Err(Unmappable::in_field("appointment.no-number", &sch, 1));
    }
    let trigger = message.segment("MSH", 1).and_then(|msh| stated(msh.text(9, 2)));
    let status = match status {
        Some(status) => status,
        None => status_of(&mut draft, &trigger.unwrap_or_default(), &sch)?,
    };
    draft.set("status", Value::text(status));
    reasons(&mut draft, &sch, status);
    what(&mut draft, message);
    when(&mut draft, message, &sch, source);
    complete_times(&mut draft, status);
    for (field, kind) in [(26, "PLAC"), (27, "FILL")] {
        let number = sch.field(field).and_then(|field| entity_of_type(&field.repetition(1)?, kind));
        if let Some(number) = number {
            draft.push("basedOn", logical("ServiceRequest", number));
        }
    }
    // Behind SCH or any of its resources; what stands behind PID is about the person.
    let mut about = "";
    let notes = message.segments().filter(|segment| {
        if segment.name() != "NTE" {
            about = segment.name();
        }
        segment.name() == "NTE"
            && matches!(about, "SCH" | "RGS" | "AIS" | "AIG" | "AIL" | "AIP" | "TQ1")
    });
    if let Some(text) = comments(message, notes) {
        draft.set("comment", Value::from(text));
    }
    participants(&mut draft, message, &sch, source);
    Ok(draft.finish())
}

/// The event, then SCH-25 (table 0278), which may lag behind it. An appointment has a status whatever
/// is sent, so that the HL7 null clears none.
fn status_of(
    draft: &mut Draft,
    trigger: &str,
    sch: &Segment<'_>,
) -> Result<&'static str, Unmappable> {
    let stated = stated(sch.text(25, 1));
    let coded = stated.as_deref().and_then(|code| APPOINTMENT_STATUS.code(code));
    if let (None, Some(sent)) = (coded, stated) {
        draft.quality.push("code.unknown");
        draft.set("_status", object([("extension", only(code_as_sent(AS_SENT, sent)))]));
    }
    Ok(match (trigger, coded) {
        // A status lags behind; it does not run ahead.
        ("S26", Some("arrived" | "checked-in" | "fulfilled")) | ("S15", Some("fulfilled")) => {
            return Err(Unmappable::in_field("appointment.contradiction", sch, 25));
        }
        ("S15" | "S16", _) => "cancelled",
        ("S17", _) => "entered-in-error",
        ("S26", _) => "noshow",
        ("S12" | "S13" | "S14", coded) => coded.unwrap_or("booked"),
        (_, coded) => coded.unwrap_or("proposed"),
    })
}

/// SCH-7 why there is an appointment, SCH-6 why there is this message: of one that will not take
/// place, why not.
fn reasons(draft: &mut Draft, sch: &Segment<'_>, status: &str) {
    let event = draft.read_coded(sch, 6, "cancelationReason", concept);
    let reason = draft.read_coded(sch, 7, "reasonCode", concept);
    let mut reasons: Vec<Value> = reason.into_iter().collect();
    if matches!(status, "cancelled" | "noshow") {
        draft.set("cancelationReason", event);
    } else {
        reasons.extend(event);
    }
    draft.set("reasonCode", Value::Array(reasons));
    draft.coded(sch, 8, "appointmentType");
}

/// AIS-3, and the specialty of PV1-10.
fn what(draft: &mut Draft, message: &Message) {
    for ais in message.segments_named("AIS").filter(|ais| !is_removed(ais)) {
        if let Some(service) = draft.read_coded(&ais, 3, "serviceType", concept) {
            draft.push("serviceType", service);
        }
    }
    if let Some(pv1) = message.segment("PV1", 1) {
        let day = day(message);
        let specialty = draft.tabled(&pv1, 10, "specialty", (&MAIN_SPECIALTY, &day));
        draft.set("specialty", specialty.map(only));
    }
}

/// SCH-11.4 and 11.5, else the first AIS, AIG, AIL or AIP with a time, with the duration of SCH-9.
///
/// FHIR asks that start and end are stated together: an end that nobody can work out is marked as
/// unknown.
fn when(draft: &mut Draft, message: &Message, sch: &Segment<'_>, source: &Source) {
    let minutes = duration(sch, (9, 10)).or_else(|| {
        let resources = message.segments();
        let mut resources = resources.filter_map(|segment| {
            let fields = resource_fields(segment.name())?;
            duration(&segment, (fields + 3, fields + 4))
        });
        resources.next()
    });
    draft.set("minutesDuration", minutes.map(Value::from));
    let mut at = |text: Option<String>| {
        let moment = Moment::read(&text?, &source.zone).ok();
        if moment.is_none() {
            draft.quality.push("date.unreadable");
        }
        moment
    };
    let timing = |component: usize| stated(sch.text(11, component));
    let resource = || {
        message
            .segments()
            .filter(|segment| !is_removed(segment))
            .find_map(|segment| stated(segment.text(resource_fields(segment.name())?, 1)))
    };
    let start = at(timing(4).or_else(resource));
    let end = at(timing(5));
    let Some(start) = start else { return };
    // FHIR has an instant here: a mere date is asked for, not yet set.
    let Some(begins) = start.timestamp() else {
        let period = object([("start", Value::text(start.fhir()))]);
        return draft.set("requestedPeriod", only(period));
    };
    draft.set("start", Value::text(start.fhir()));
    let stated_end = end.filter(Moment::has_time);
    if stated_end.as_ref().and_then(Moment::timestamp).is_some_and(|ends| ends < begins) {
        // Which of the two is wrong nobody knows; the start is what patients are told.
        return draft.quality.push("appointment.ends-before-start");
    }
    let end = stated_end.map(|end| end.fhir().to_owned());
    let end = end.or_else(|| Some(after(begins, minutes?, source)));
    draft.set("end", end.map(Value::from));
}

/// FHIR asks for start and end together, and for both of an appointment that will take place or did
/// (app-2, app-3): what nobody said is marked as unknown.
fn complete_times(draft: &mut Draft, status: &str) {
    let optional = matches!(status, "proposed" | "cancelled" | "waitlist");
    let has = |draft: &Draft, element: &str| draft.body.contains_key(element);
    if optional && !has(draft, "start") {
        return;
    }
    for (element, marked, finding) in
        [("start", "_start", "appointment.no-start"), ("end", "_end", "appointment.no-end")]
    {
        if has(draft, element) {
            continue;
        }
        draft.quality.push(finding);
        let url = Value::from(fhir!("data-absent-reason"));
        let unknown = object([("url", url), ("valueCode", Value::from("unknown"))]);
        draft.set(marked, object([("extension", only(unknown))]));
    }
}

/// The field of the start time in the segments of resources.
fn resource_fields(name: &str) -> Option<usize> {
    match name {
        "AIS" => Some(4),
        "AIL" | "AIP" => Some(6),
        "AIG" => Some(8),
        _ => None,
    }
}

/// A duration in minutes, whose unit is minutes unless another is stated.
fn duration(segment: &Segment<'_>, (field, unit): (usize, usize)) -> Option<u32> {
    let number = stated(segment.text(field, 1))?.parse::<u32>().ok()?;
    let unit = stated(segment.text(unit, 1)).unwrap_or_default().to_ascii_lowercase();
    let minutes = match unit.as_str() {
        "" | "m" | "min" | "mins" | "minute" | "minutes" => Some(number),
        "h" | "hr" | "hrs" | "hour" | "hours" => number.checked_mul(60),
        "s" | "sec" | "seconds" => Some(number / 60),
        _ => None,
    };
    minutes.filter(|minutes| *minutes > 0)
}

/// The patient, the people (AIP-3, SCH-16), the places (AIL-3) and other resources (AIG-3).
fn participants(draft: &mut Draft, message: &Message, sch: &Segment<'_>, source: &Source) {
    let patient = reference(&id(message, "Patient", 1));
    draft.push("participant", participant(patient, None, "accepted"));
    let mut people = 0;
    for segment in message.segments() {
        match segment.name() {
            "AIP" => people += person(draft, &segment),
            "AIL" => {
                let place = segment.field(3).and_then(|field| field.repetition(1));
                let place =
                    place.and_then(|pl| places(&pl, source.point_of_care).into_iter().next());
                if let Some(mut place) = place {
                    place.location["type"] = Value::from("Location");
                    let status = filled(&segment, 12);
                    draft.push("participant", participant(place.location, None, status));
                }
            }
            "AIG" => resource(draft, &segment),
            _ => {}
        }
    }
    if people == 0 {
        let contact = sch.field(16).into_iter().flat_map(|field| field.repetitions());
        for actor in contact.filter_map(|each| practitioner(&each)) {
            draft.push("participant", participant(actor, None, "accepted"));
        }
    }
}

fn person(draft: &mut Draft, aip: &Segment<'_>) -> usize {
    let role = aip.field(4).and_then(|field| concept(&field.repetition(1)?));
    let status = filled(aip, 12);
    let people = aip.field(3).into_iter().flat_map(|field| field.repetitions());
    let people: Vec<Value> = people.filter_map(|each| practitioner(&each)).collect();
    let count = people.len();
    for actor in people {
        draft.push("participant", participant(actor, role.clone(), status));
    }
    count
}

/// AIG: a general resource, a device or a room by its name, with its kind as the role.
fn resource(draft: &mut Draft, aig: &Segment<'_>) {
    let Some(named) = aig.field(3).and_then(|field| field.repetition(1)) else { return };
    let Some(name) = whole(&named, 2).or_else(|| whole(&named, 1)) else { return };
    let mut actor = Object::with_capacity(2);
    if let Some(code) = whole(&named, 1) {
        actor.insert("identifier", object([("value", Value::from(code))]));
    }
    actor.insert("display", Value::from(name));
    let kind = aig.field(4).and_then(|field| concept(&field.repetition(1)?));
    draft.push("participant", participant(Value::Object(actor), kind, filled(aig, 14)));
}

/// Whether a modification takes the resource away: AIS-2, AIG-2, AIL-2, AIP-2 (table 0206).
fn is_removed(resource: &Segment<'_>) -> bool {
    resource_fields(resource.name()).is_some()
        && stated(resource.text(2, 1)).is_some_and(|action| action.eq_ignore_ascii_case("D"))
}

/// The filler status of a resource (table 0278) as that of a participant; one that is taken away does
/// not come.
fn filled(segment: &Segment<'_>, field: usize) -> &'static str {
    if is_removed(segment) {
        return "declined";
    }
    let status = stated(segment.text(field, 1)).and_then(|code| APPOINTMENT_STATUS.code(&code));
    match status {
        Some("pending" | "waitlist" | "proposed") => "tentative",
        Some("cancelled" | "entered-in-error") => "declined",
        _ => "accepted",
    }
}

fn participant(actor: Value, role: Option<Value>, status: &'static str) -> Value {
    let mut out = Object::with_capacity(3);
    let system = terminology!("v3-ParticipationType");
    let practitioner = actor["type"] == "Practitioner";
    let performer = || practitioner.then(|| in_system(system, "PPRF", None));
    if let Some(role) = role.or_else(performer) {
        out.insert("type", only(role));
    }
    out.insert("actor", actor);
    out.insert("status", Value::from(status));
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(trigger: &str, body: &str) -> Result<Built, Unmappable> {
        appointment(&message(&format!("SIU^{trigger}"), body), &source(), None)
    }

    const BOOKED: &str = "SCH|P1^CLINIC|F1^PAS|||||^Follow up|FUP^Follow up^L|20|MIN|^^20^202402011030^202402011050|||||C3456789^DOE^SAM|||||||||Booked\r\
        NTE|1||Bring your inhaler\rPV1|1|O||||||||300\rRGS|1\rAIS|1||RESP^Respiratory clinic^L\r\
        AIL|1||RXX^CLINIC 4^^RXX01\rAIP|1||C3456789^DOE^SAM|CON^Consultant^L";

    #[test]
    fn a_booking_has_its_time_place_and_people() {
        let appointment = built("S12", BOOKED).expect("an appointment").resource;
        assert_eq!(appointment["status"], "booked");
        let numbers: Vec<_> = [0, 1].map(|at| &appointment["identifier"][at]["value"]).into();
        assert_eq!(numbers, ["P1", "F1"]);
        assert_eq!(appointment["start"], "2024-02-01T10:30:00+00:00");
        assert_eq!(appointment["end"], "2024-02-01T10:50:00+00:00");
        assert_eq!(appointment["minutesDuration"], 20);
        assert_eq!(code(&appointment["serviceType"][0]), "RESP");
        assert_eq!(code(&appointment["specialty"][0]), "300");
        assert_eq!(appointment["reasonCode"], json!([{ "text": "Follow up" }]));
        assert_eq!(appointment["comment"], "Bring your inhaler");
        let people = appointment["participant"].as_array().expect("a list");
        assert_eq!(people.len(), 3);
        assert_eq!(people[1]["actor"]["identifier"]["value"], "CLINIC 4");
        assert_eq!(code(&people[2]["type"][0]), "CON");
        assert!(people.iter().all(|each| each["status"] == "accepted"));
    }

    #[test]
    fn the_event_goes_before_a_status_that_lags() {
        for (trigger, status) in [
            ("S13", "booked"),
            ("S15", "cancelled"),
            ("S17", "entered-in-error"),
            ("S26", "noshow"),
        ] {
            let appointment = built(trigger, BOOKED).expect("an appointment").resource;
            assert_eq!(appointment["status"], status, "{trigger}");
        }
        for (trigger, sent) in [("S26", "Complete"), ("S26", "Arrived"), ("S15", "Attended")] {
            let contradicted = built(trigger, &segment("SCH", &[(1, "P1"), (25, sent)]));
            assert_eq!(contradicted.expect_err("none").code, "appointment.contradiction", "{sent}");
        }
        let cancelled = built("S15", "SCH|P1|||||PAT^Patient asked^L").expect("one").resource;
        assert_eq!(code(&cancelled["cancelationReason"]), "PAT");
        assert!(cancelled.get("reasonCode").is_none() && cancelled.get("start").is_none());
    }

    #[test]
    fn words_of_booking_systems_are_read() {
        for (sent, status) in [
            ("DNA", "noshow"),
            ("Did not attend", "noshow"),
            ("Arrived", "arrived"),
            ("Cancelled by patient", "cancelled"),
        ] {
            let sch = segment("SCH", &[(1, "P1"), (25, sent)]);
            let appointment = built("S14", &sch).expect("an appointment").resource;
            assert_eq!(
                (&appointment["status"], appointment.get("_status")),
                (&json!(status), None)
            );
        }
    }

    #[test]
    fn what_a_modification_takes_away_does_not_come() {
        let body = "SCH|P1\rRGS|1\rAIS|1|D|ECG^ECG|202402010900\rAIS|2|X|FU^Follow up|202402011030\r\
                    AIL|1|D|RXX^CLINIC 4^^RXX01\rAIP|1|D|C3456789^DOE^SAM\rAIP|2|A|C9999104^ROE^ANN";
        let appointment = built("S22", body).expect("an appointment").resource;
        assert_eq!(appointment["start"], "2024-02-01T10:30:00+00:00");
        let services = appointment["serviceType"].as_array().expect("a list");
        assert_eq!((services.len(), code(&services[0])), (1, "FU"));
        let people = appointment["participant"].as_array().expect("a list");
        let statuses: Vec<_> = people.iter().map(|each| &each["status"]).collect();
        assert_eq!(statuses, ["accepted", "declined", "declined", "accepted"]);
    }

    #[test]
    fn an_end_that_nobody_said_is_unknown() {
        let one = |fields: &[(usize, &str)]| {
            let mut all = vec![(1, "P1")];
            all.extend(fields);
            built("S12", &segment("SCH", &all)).expect("an appointment")
        };
        let open = one(&[(11, "^^^202402011030")]);
        assert_eq!(open.quality, ["appointment.no-end"]);
        assert_eq!(open.resource["_end"]["extension"][0]["valueCode"], "unknown");
        let long = one(&[(9, "2"), (10, "h"), (11, "^^^202402011030")]).resource;
        assert_eq!(long["end"], "2024-02-01T12:30:00+00:00");
        let day = one(&[(11, "^^^20240201")]).resource;
        assert_eq!(day["requestedPeriod"], json!([{ "start": "2024-02-01" }]));
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert_eq!(built("S12", "PV1|1|O").expect_err("none").code, "appointment.absent");
        assert_eq!(built("S12", "SCH|").expect_err("none").code, "appointment.no-number");
        assert_eq!(built("S12", "SCH|\"\"").expect_err("none").code, "appointment.no-number");
        let nulls = built("S14", "SCH|P1|||||\"\"|\"\"|^\"\"").expect("an appointment");
        let cleared = ["cancelationReason", "reasonCode", "appointmentType.text"];
        assert_eq!(nulls.cleared, cleared.map(|path| format!("Appointment.{path}")));
        let unsaid = built("S14", &segment("SCH", &[(1, "P1"), (25, "\"\"")])).expect("one");
        assert_eq!((&unsaid.resource["status"], unsaid.cleared.len()), (&json!("booked"), 0));
        let other = built("S14", "SCH|P1|||||RE^Rearranged|\"\"").expect("an appointment");
        assert_eq!(other.resource["reasonCode"][0]["text"], "Rearranged");
        assert_eq!(other.cleared, [""; 0]);
        assert_eq!(other.replaced, ["Appointment.reasonCode"]);
        let odd = built("S12", &segment("SCH", &[(1, "P1"), (25, "MAYBE")])).expect("one");
        assert_eq!(odd.quality[0], "code.unknown");
        assert_eq!(odd.resource["_status"]["extension"][0]["valueCode"], "MAYBE");
    }

    #[test]
    fn times_that_cannot_be_are_marked() {
        let one = |fields: &[(usize, &str)]| {
            let number = [(1, "P1")];
            let sch = segment("SCH", &[&number[..], fields].concat());
            built("S12", &sch).expect("an appointment")
        };
        let never = one(&[]);
        assert_eq!(never.quality, ["appointment.no-start", "appointment.no-end"]);
        assert_eq!(never.resource["_start"]["extension"][0]["valueCode"], "unknown");
        let back = one(&[(11, "^^^202402011130^202402011100")]);
        assert_eq!(back.quality, ["appointment.ends-before-start", "appointment.no-end"]);
        assert_eq!(back.resource.get("end"), None);
        let waiting = one(&[(25, "Waitlist")]);
        assert_eq!((waiting.quality.len(), waiting.resource.get("_start")), (0, None));
    }

    #[test]
    fn notes_of_the_resources_are_of_the_appointment() {
        let body =
            "SCH|P1\rNTE|1||Bring the frame\rPID|1\rNTE|1||Deaf\rRGS|1\rAIP|1\rNTE|1||Side door";
        let built = built("S12", body).expect("an appointment");
        assert_eq!(built.resource["comment"], "Bring the frame\nSide door");
    }
}
