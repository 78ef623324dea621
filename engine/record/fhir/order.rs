//! ORC and OBR as UK Core `ServiceRequest`.

use hl7::group::Group;
use hl7::message::Message;
use hl7::segment::Segment;

use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, id, reference};
use crate::fhir::coded::{CODED, concept, in_words};
use crate::fhir::datatypes::{
    entity_of_type, identifier_type, logical, named_organisation, practitioner,
};
use crate::fhir::encounter::visit;
use crate::fhir::names::{self, uk_core};
use crate::fhir::observation::{comments, in_one_line};
use crate::fhir::referral::{priority, set_priority};
use crate::fhir::specimen::specimens;
use crate::fhir::tables::{ORDER_CONTROL, ORDER_STATUS};
use crate::json::{Value, object, only};
use crate::source::Source;
use crate::text::{stated, whole_of};
use crate::time::Moment;

/// Builds the `ServiceRequest` of an order: a group that begins with ORC or OBR. An OBR behind another
/// OBR belongs to the same ORC: it has the control and the requester in common, never the number.
///
/// `status` is FHIR's; without one ORC-1 decides where it takes the order back or holds it, else
/// ORC-5. Without a number (`order.no-number`) it is refused, and so is a new one that does not say what
/// is asked for (`order.no-code`), and an OBR behind another PID than its ORC (`structure`). The
/// specimens that it refers to are for [`specimens`] to build.
pub fn order(
    message: &Message,
    group: &Group<'_>,
    source: &Source,
    status: Option<&str>,
) -> Result<Built, Unmappable> {
    let own = group.segment("ORC", 1);
    let orc = own.or_else(|| common_control(message, group));
    if orc.is_none() && message.segment("ORC", 1).is_some() {
        return Err(Unmappable { code: "structure", at: None });
    }
    let obr = group.segment("OBR", 1);
    let first = own.or(obr).ok_or(Unmappable { code: "order.absent", at: None })?;
    let own_id = id(message, "ServiceRequest", first.index());
    let mut draft = Draft::new("ServiceRequest", &own_id, uk_core!("UKCore-ServiceRequest"));
    numbers(&mut draft, own.as_ref(), obr.as_ref());
    let group_number = orc.and_then(|orc| entity_of_type(&orc.field(4)?.repetition(1)?, "PGN"));
    draft.set("requisition", group_number);
    if !draft.body.contains_key("identifier") {
        return Err(Unmappable::in_field("order.no-number", &first, 2));
    }
    let by_event = orc.as_ref().map(|orc| status_of(&mut draft, orc));
    draft.set("status", Value::text(status.or(by_event).unwrap_or("active")));
    draft.set("intent", Value::from("order"));
    draft.set("subject", reference(&id(message, "Patient", 1)));
    draft.set("encounter", visit(message, source));
    if let Some(tq1) = group.segment("TQ1", 1) {
        wanted(&mut draft, &tq1, 9, (7, 1), source);
    }
    if let Some(orc) = &orc {
        placed(&mut draft, orc, source);
        draft.set("basedOn", parent(message, orc, obr.as_ref()).map(only));
    }
    if let Some(obr) = &obr {
        asked(&mut draft, obr, source);
    }
    answers(&mut draft, message, group);
    for specimen in specimens(message, group, source) {
        if let Some(id) = specimen.resource["id"].as_str() {
            draft.push("specimen", reference(id));
        }
    }
    // Changing or cancelling an order need not repeat what was asked for.
    if orc.is_none_or(|orc| is_new(&orc)) && !draft.body.contains_key("code") {
        return Err(Unmappable::in_field("order.no-code", &obr.unwrap_or(first), 4));
    }
    if own.is_some_and(|orc| control(&orc) == "RO") {
        for number in replaced(message, group) {
            draft.push("replaces", logical("ServiceRequest", number));
        }
    }
    let mut observed = false;
    let notes = group.segments().filter(|segment| {
        observed |= segment.name() == "OBX";
        segment.name() == "NTE" && !observed
    });
    if let Some(text) = comments(message, notes) {
        draft.set("note", only(in_words(&text)));
    }
    Ok(draft.finish())
}

/// The ORC of the OBR before this one, where no other patient or message began between them.
fn common_control<'m>(message: &'m Message, group: &Group<'_>) -> Option<Segment<'m>> {
    let before = (0..group.range().start).rev().filter_map(|index| message.segment_at(index));
    before
        .take_while(|segment| !matches!(segment.name(), "PID" | "MSH"))
        .find(|segment| segment.name() == "ORC")
}

/// ORC-1, in capitals.
fn control(orc: &Segment<'_>) -> String {
    stated(orc.text(1, 1)).unwrap_or_default().to_ascii_uppercase()
}

/// A new order, one that takes the place of others, or one that another one was split into.
fn is_new(orc: &Segment<'_>) -> bool {
    matches!(control(orc).as_str(), "" | "NW" | "RO" | "CH")
}

/// The order that this one is a part of: ORC-8, else OBR-29, both an EIP; else, of a child (CH), the
/// last parent (PA) before it.
fn parent(message: &Message, orc: &Segment<'_>, obr: Option<&Segment<'_>>) -> Option<Value> {
    let named = named_parent(orc, 8).or_else(|| named_parent(obr?, 29));
    let split = || {
        let before = message.segments().take_while(|segment| segment.index() < orc.index());
        before.filter(|other| other.name() == "ORC" && control(other) == "PA").last()
    };
    let number = match named {
        None if control(orc) == "CH" => number_of(&split()?)?,
        other => other?,
    };
    Some(logical("ServiceRequest", number))
}

/// The number in an EIP: that of who ordered, else of who fills, each an EI in subcomponents.
fn named_parent(segment: &Segment<'_>, field: usize) -> Option<Value> {
    let pair = segment.field(field)?.repetition(1)?;
    let of = |component: usize, kind| {
        let value = stated(pair.text(component, 1))?;
        Some(object([("value", Value::from(value)), ("type", identifier_type(kind))]))
    };
    of(1, "PLAC").or_else(|| of(2, "FILL"))
}

/// The number of an order: that of who ordered, else of who fills.
fn number_of(orc: &Segment<'_>) -> Option<Value> {
    let of = |field: usize, kind| entity_of_type(&orc.field(field)?.repetition(1)?, kind);
    of(2, "PLAC").or_else(|| of(3, "FILL"))
}

/// The numbers of the orders that stand before this one to be replaced (RP, RQ, RU); other orders that
/// replace them may stand between (HL7 v2, chapter 4, order control codes).
fn replaced(message: &Message, group: &Group<'_>) -> Vec<Value> {
    let groups = message.groups(&["ORC", "OBR"]);
    let before = groups.iter().filter(|other| other.range().end <= group.range().start);
    let controls: Vec<Segment<'_>> = before.filter_map(|other| other.segment("ORC", 1)).collect();
    let ended = controls
        .iter()
        .rev()
        .skip_while(|orc| control(orc) == "RO")
        .take_while(|orc| matches!(control(orc).as_str(), "RP" | "RQ" | "RU"));
    let mut numbers: Vec<Value> = ended.filter_map(number_of).collect();
    numbers.reverse();
    numbers
}

/// Placer and filler numbers of ORC, else of OBR.
fn numbers(draft: &mut Draft, orc: Option<&Segment<'_>>, obr: Option<&Segment<'_>>) {
    for (field, kind) in [(2, "PLAC"), (3, "FILL")] {
        let of = |segment: Option<&Segment<'_>>| {
            entity_of_type(&segment?.field(field)?.repetition(1)?, kind)
        };
        if let Some(number) = of(orc).or_else(|| of(obr)) {
            draft.push("identifier", number);
        }
    }
}

/// ORC-1 (table 0119) and ORC-5 (table 0038), both kept as sent: FHIR has fewer words.
///
/// A request has a status whatever is sent, so the HL7 null clears none: it says that the one that was
/// held is so no more.
fn status_of(draft: &mut Draft, orc: &Segment<'_>) -> &'static str {
    let asked = stated(orc.text(1, 1));
    let state = stated(orc.text(5, 1));
    for (url, code) in [(names::ORDER_CONTROL, &asked), (names::ORDER_STATUS, &state)] {
        if let Some(code) = code {
            draft.extension(code_as_sent(url, code.clone()));
        }
    }
    let stated = state.as_deref().and_then(|state| ORDER_STATUS.code(state));
    if stated.is_none() && state.is_some() {
        draft.quality.push("code.unknown");
    }
    let ordered = asked.as_deref().and_then(|control| ORDER_CONTROL.code(control));
    let withdrawn = state.is_some() || orc.text(5, 1).is_null();
    let unsaid = match control(orc).as_str() {
        _ if is_new(orc) => "active",
        // What cannot be released is held as before.
        "UR" => "on-hold",
        // What a change of state says in a word that nobody knows, or leaves out, is no state.
        "SC" | "SR" | "RE" | "DE" => "unknown",
        _ if withdrawn => "unknown",
        _ => "active",
    };
    ordered.or(stated).unwrap_or(unsaid)
}

/// When, by whom and why the order was placed: ORC-9 (of a new one), 12, 16, 21, 29.
fn placed(draft: &mut Draft, orc: &Segment<'_>, source: &Source) {
    // Of any other transaction than the order itself, ORC-9 is the time of that transaction.
    if is_new(orc) {
        draft.date_time(orc, 9, "authoredOn", source);
    }
    let requester = draft.read_coded(orc, 12, "requester", practitioner);
    let organisation = || named_organisation(&orc.field(21)?.repetition(1)?);
    draft.set("requester", requester.or_else(organisation));
    let reason = draft.read_coded(orc, 16, "reasonCode", concept);
    draft.set("reasonCode", reason.map(only));
    wanted(draft, orc, 7, (7, 4), source);
}

/// What was asked for: OBR-4, 5, 6, 13, 15, 16, 27, 31.
fn asked(draft: &mut Draft, obr: &Segment<'_>, source: &Source) {
    draft.coded(obr, 4, "code");
    if !draft.body.contains_key("requester") {
        let requester = draft.read_coded(obr, 16, "requester", practitioner);
        draft.set("requester", requester);
    }
    if !draft.body.contains_key("authoredOn") {
        draft.date_time(obr, 6, "authoredOn", source);
    }
    wanted(draft, obr, 27, (27, 4), source);
    if !draft.body.contains_key("priority") && !draft.body.contains_key("_priority") {
        priority(draft, obr, 5);
    }
    if let Some(section) = draft.read(obr, 24, "category") {
        draft.push("category", in_words(&section));
    }
    draft.set_all(obr, 31, ("reasonCode", "reasonCode"), CODED, concept);
    draft.replaced.clear();
    if let Some(told) = whole_of(obr, 13, 1).or_else(|| whole_of(obr, 13, 2)) {
        draft.push("supportingInfo", in_display(&told));
    }
}

/// What was asked when it was ordered, and answered: OBX of the order (pregnant, on warfarin), in words. An
/// Observation would be a finding that nobody made.
fn answers(draft: &mut Draft, message: &Message, group: &Group<'_>) {
    for obx in group.segments().filter(|segment| segment.name() == "OBX") {
        let Some(told) = in_one_line(message, &obx) else {
            draft.quality.push("order.observation-not-published");
            continue;
        };
        let lines = [Some(told), comments(message, obx.notes())];
        let told = lines.into_iter().flatten().collect::<Vec<_>>().join("\n");
        draft.push("supportingInfo", in_display(&told));
    }
}

fn in_display(text: &str) -> Value {
    object([("display", Value::text(text))])
}

/// How soon (TQ1-9, TQ-6) and when (TQ1-7, TQ-4) it is wanted. What was said before stays: TQ1 goes
/// before ORC, and ORC before OBR.
fn wanted(
    draft: &mut Draft,
    segment: &Segment<'_>,
    how_soon: usize,
    (when, component): (usize, usize),
    source: &Source,
) {
    let old = segment.name() != "TQ1";
    let sent = stated(segment.text(how_soon, if old { 6 } else { 1 }));
    if let Some(sent) = sent.filter(|_| !draft.body.contains_key("priority")) {
        set_priority(draft, sent);
    }
    let sent = stated(segment.text(when, component));
    let Some(sent) = sent.filter(|_| !draft.body.contains_key("occurrenceDateTime")) else {
        return;
    };
    match Moment::read(&sent, &source.zone) {
        Ok(moment) => draft.set("occurrenceDateTime", Value::text(moment.fhir())),
        Err(_) => draft.quality.push("date.unreadable"),
    }
}

#[cfg(test)]
mod tests {
    use crate::json::json;

    use super::*;
    use crate::fhir::example::{code, message, segment, source};

    fn built(body: &str) -> Result<Built, Unmappable> {
        let message = message("OML^O21", body);
        let groups = message.groups(&["ORC", "OBR"]);
        order(&message, &groups[0], &source(), None)
    }

    fn orc(control: &str, state: &str) -> String {
        segment(
            "ORC",
            &[
                (1, control),
                (2, "P1^OCS"),
                (5, state),
                (9, "202401100900"),
                (12, "C3456789^DOE^SAM"),
            ],
        )
    }

    #[test]
    fn an_order_says_what_is_asked_of_whom() {
        let obr = segment(
            "OBR",
            &[(4, "FBC^Full blood count^L"), (13, "Tired"), (15, "BLD^Blood"), (27, "^^^^^S")],
        );
        let order =
            built(&format!("{}\r{obr}\rNTE|1||Fasting", orc("NW", ""))).expect("an order").resource;
        assert_eq!((&order["status"], &order["intent"]), (&json!("active"), &json!("order")));
        assert_eq!(order["identifier"][0]["value"], "P1");
        assert_eq!(code(&order["identifier"][0]["type"]), "PLAC");
        assert_eq!(code(&order["code"]), "FBC");
        assert_eq!(order["priority"], "stat");
        assert_eq!(order["authoredOn"], "2024-01-10T09:00:00+00:00");
        assert_eq!(order["requester"]["display"], "SAM DOE");
        assert_eq!(order["supportingInfo"][0]["display"], "Tired");
        assert_eq!(order["note"][0]["text"], "Fasting");
    }

    #[test]
    fn what_was_asked_and_of_which_specimen_goes_along() {
        let body = "ORC|NW|P1\rOBR|1|P1||MCS^Culture\rOBX|1|CE|PREG^Pregnant||N^No\rNTE|1||By her own word\r\
                    OBX|2|ED|IMG||^IM^PNG^Base64^AA\rSPM|1|^F9||SWAB^Wound swab\rORC|NW|P2\rOBR|2|P2||FBC";
        let message = message("OML^O21", body);
        let groups = message.groups(&["ORC", "OBR"]);
        let built = |at: usize| order(&message, &groups[at], &source(), None).expect("an order");
        let first = built(0);
        assert_eq!(first.quality, ["order.observation-not-published"]);
        let told = &first.resource["supportingInfo"];
        assert_eq!(told, &json!([{ "display": "Pregnant: No\nBy her own word" }]));
        let specimen = specimens(&message, &groups[0], &source()).remove(0).resource;
        let id = specimen["id"].as_str().expect("an id");
        assert_eq!(first.resource["specimen"], json!([{ "reference": format!("urn:uuid:{id}") }]));
        let second = built(1).resource;
        assert!(second.get("specimen").is_none() && second.get("supportingInfo").is_none());
    }

    #[test]
    fn an_obr_behind_another_patient_has_not_the_control_of_the_one_before() {
        let message = message("OML^O21", "ORC|NW|P1\rOBR|1|P1||FBC\rPID|1\rOBR|1|P0||FBC");
        let groups = message.groups(&["ORC", "OBR"]);
        let refused = order(&message, &groups[1], &source(), None).expect_err("no control");
        assert_eq!(refused.code, "structure");
    }

    #[test]
    fn the_control_goes_before_the_status() {
        for (control, state, word) in [
            ("NW", "", "active"),
            ("CA", "IP", "revoked"),
            ("SC", "CM", "completed"),
            ("SC", "HD", "on-hold"),
            ("XO", "IP", "active"),
            ("DE", "", "unknown"),
            ("UA", "IP", "revoked"),
            ("UC", "", "active"),
            ("UC", "CM", "completed"),
            ("UR", "", "on-hold"),
            ("SR", "ER", "unknown"),
            ("CH", "", "active"),
            ("NW", "Q", "active"),
            ("XO", "", "active"),
            ("XO", "Q", "unknown"),
            ("SC", "", "unknown"),
            ("sc", "Q", "unknown"),
        ] {
            let order = built(&format!("{}\rOBR|1|||FBC", orc(control, state))).expect("an order");
            assert_eq!(order.resource["status"], word, "{control} {state}");
        }
        assert_eq!(built(&orc("SC", "Q")).expect("an order").quality, ["code.unknown"]);
    }

    #[test]
    fn a_state_that_is_taken_away_is_unknown_and_never_cleared() {
        for (control, word) in [("SC", "unknown"), ("XO", "unknown"), ("NW", "active")] {
            let order = built(&format!("{}\rOBR|1|||FBC", orc(control, "\"\""))).expect("an order");
            assert_eq!(order.resource["status"], word, "{control}");
            assert_eq!(order.cleared, [""; 0], "{control}");
        }
    }

    #[test]
    fn a_child_names_the_order_that_it_is_a_part_of() {
        let body = "ORC|PA|P1^OCS|F1^LIMS\rOBR|1|||UE\rORC|CH|P1^OCS|F2^LIMS\rOBR|2|||NA\r\
                    ORC|CH||F3^LIMS|||||P7&OCS^F7&LIMS\rOBR|3|||K\rORC|NW|P4\rOBR|4|||FBC";
        let message = message("ORM^O01", body);
        let groups = message.groups(&["ORC", "OBR"]);
        let parent = |at: usize| {
            let order = order(&message, &groups[at], &source(), None).expect("an order").resource;
            let parent = &order["basedOn"][0]["identifier"];
            (parent["value"].clone(), code(&parent["type"]).to_owned())
        };
        assert_eq!(parent(1), (json!("P1"), "PLAC".to_owned()));
        assert_eq!(parent(2), (json!("P7"), "PLAC".to_owned()));
        for own in [0, 3] {
            let order = order(&message, &groups[own], &source(), None).expect("an order").resource;
            assert!(order.get("basedOn").is_none());
        }
        let of_result = segment("OBR", &[(4, "K"), (29, "^F9&LIMS")]);
        let child = built(&format!("{}\r{of_result}", orc("CH", ""))).expect("an order").resource;
        assert_eq!(child["basedOn"][0]["identifier"]["value"], "F9");
    }

    #[test]
    fn only_a_new_order_is_written_when_its_message_says() {
        let authored = |control: &str| {
            let order = built(&format!("{}\rOBR|1|||FBC", orc(control, ""))).expect("an order");
            order.resource.get("authoredOn").is_some()
        };
        assert!(authored("NW") && authored("RO"));
        assert!(!authored("CA") && !authored("SC") && !authored("XO"));
    }

    #[test]
    fn what_takes_the_place_of_orders_names_them() {
        let body = "ORC|CA|P0^OCS\rORC|RP|P1^OCS\rOBR|1|||FBC\rORC|RP||F2^LIMS\rORC|RO|P3^OCS\r\
                    OBR|1|||FBC\rORC|RO|P4^OCS\rOBR|1|||UE\rORC|NW|P5^OCS\rOBR|1|||LFT";
        let message = message("OML^O21", body);
        let groups = message.groups(&["ORC", "OBR"]);
        let replaced = |number: &str| {
            let group = groups.iter().find(|group| {
                group
                    .segment("ORC", 1)
                    .is_some_and(|orc| stated(orc.text(2, 1)) == Some(number.into()))
            });
            let order =
                order(&message, group.expect("a group"), &source(), None).expect("an order");
            let replaced = order.resource["replaces"].as_array().map(Vec::as_slice);
            let number =
                |each: &Value| each["identifier"]["value"].as_str().unwrap_or("").to_owned();
            replaced.unwrap_or_default().iter().map(number).collect::<Vec<_>>()
        };
        assert_eq!(replaced("P3"), ["P1", "F2"]);
        assert_eq!(replaced("P4"), ["P1", "F2"]);
        assert!(replaced("P5").is_empty() && replaced("P1").is_empty());
    }

    #[test]
    fn every_obr_of_an_orc_is_an_order_of_its_own() {
        let body = "ORC|NW|P1^OCS||G1||||||||C3456789^DOE^SAM\rOBR|1|P1^OCS||FBC\rOBR|2|P2^OCS||UE\r\
                    OBR|3|||LFT";
        let message = message("OML^O21", body);
        let groups = message.groups(&["ORC", "OBR"]);
        let built = |at: usize| order(&message, &groups[at], &source(), None);
        let second = built(1).expect("an order").resource;
        assert_eq!(
            second["identifier"],
            json!([{ "value": "P2", "type": second["identifier"][0]["type"],
            "assigner": second["identifier"][0]["assigner"] }])
        );
        assert_eq!((code(&second["code"]), &second["requisition"]["value"]), ("UE", &json!("G1")));
        assert_eq!(second["requester"]["display"], "SAM DOE");
        assert_eq!(second["extension"][0]["valueCode"], "NW");
        // A number of the first order would make the third replace it.
        assert_eq!(built(2).expect_err("no number").code, "order.no-number");
    }

    #[test]
    fn what_is_urgent_is_urgent_in_every_version() {
        let order = |between: &str, timing: &str| {
            let obr = segment("OBR", &[(4, "CT"), (27, timing)]);
            let order = built(&format!("ORC|NW|P1\r{between}{obr}")).expect("an order").resource;
            (order["priority"].clone(), order["occurrenceDateTime"].clone())
        };
        let stat = (json!("stat"), json!("2026-03-11T08:00:00+00:00"));
        assert_eq!(order("TQ1|1||||||202603110800||S^Stat\r", ""), stat);
        assert_eq!(order("", "1^^^202603110800^^S"), stat);
        assert_eq!(order("TQ1|1||||||202603110800||S\r", "1^^^202603120900^^R"), stat);
    }

    #[test]
    fn absent_null_and_value_stay_apart() {
        assert_eq!(built("ORC|NW").expect_err("none").code, "order.no-number");
        assert_eq!(built("OBR|1|P1").expect_err("none").code, "order.no-code");
        let nulls =
            segment("ORC", &[(1, "XO"), (2, "P1"), (9, "\"\""), (12, "\"\""), (16, "^\"\"")]);
        let cleared = ["requester", "reasonCode.text"];
        let cleared = cleared.map(|path| format!("ServiceRequest.{path}"));
        assert_eq!(built(&nulls).expect("an order").cleared, cleared);
    }
}
