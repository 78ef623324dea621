//! PID and PD1 as UK Core Patient.

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};

use crate::claim::claims_nhs_number;
use crate::fhir::background::background;
use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, coded_extension, id};
use crate::fhir::coded::in_system;
use crate::fhir::datatypes::{
    ADDRESSED, NAMED, REACHED, address, human_name, identifier, organisation, telecom,
};
use crate::fhir::death::death;
use crate::fhir::names::{
    AS_SENT, Extension, NHS_NUMBER, RELIABILITY, extension, fhir, tieline, uk_codes, uk_core,
};
use crate::fhir::practice::general_practitioner;
use crate::fhir::tables::day;
use crate::fhir::yes_or_no::yes_or_no;
use crate::identity::Identity;
use crate::json::{Object, Value, object, only};
use crate::local::is_that;
use crate::nhs_number::{NhsNumber, Status};
use crate::precision::Precision;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// PID-31: nobody knows who this is.
const UNKNOWN_IDENTITY: Extension = extension!(tieline "identity-unknown");

/// Builds the Patient that a message states. A message without PID gives a Patient with nothing
/// but its type: every event has one.
///
/// NHS Numbers are taken from [`Identity`] only: an invalid one is not written as an NHS Number.
pub fn patient(
    message: &Message,
    source: &Source,
    identity: &Identity,
) -> Result<Built, Unmappable> {
    let profile = uk_core!("UKCore-Patient");
    let mut draft = Draft::new("Patient", &id(message, "Patient", 1), profile);
    if let Some(pid) = message.segment("PID", 1) {
        identifiers(&mut draft, &pid, source, identity);
        unavailable(&mut draft, message, &pid, identity);
        person(&mut draft, &pid, source);
        contact(&mut draft, &pid, source);
        background(&mut draft, &pid, &day(message));
        reliability(&mut draft, &pid);
        death(&mut draft, message, &pid, source);
    }
    if let Some(pd1) = message.segment("PD1", 1) {
        general_practitioner(&mut draft, &pd1);
    }
    draft.set("managingOrganization", organisation(&source.organisation, None));
    Ok(draft.finish())
}

fn identifiers(draft: &mut Draft, pid: &Segment<'_>, source: &Source, identity: &Identity) {
    let rules = &source.nhs_number;
    let number = identity.valid.filter(|number| rules.test_data || !number.is_test());
    if let Some(number) = number {
        draft.push("identifier", nhs_number(number.as_str(), identity));
    }
    let Some(field) = pid.field(3).filter(|field| !field.is_empty()) else { return };
    if field.is_null() {
        return draft.clear("identifier");
    }
    let mut ids: Vec<Repetition<'_>> =
        field.repetitions().filter(|id| !claims_nhs_number(id, rules)).collect();
    // Readers file the event under the first: the one that names the patient best.
    if let Some(best) = &identity.best_local {
        ids.sort_by_key(|id| !is_that(id, best, &source.local));
    }
    for id in ids {
        if is_broken_national_number(&id) {
            draft.quality.push("nhs-number.unreadable");
        } else if let Some(id) = identifier(&id, &source.zone) {
            draft.push("identifier", id);
        }
    }
    others(draft, pid, source);
    // A number that was sent but is no NHS Number does not take away the one that is held.
    match (number, draft.body.contains_key("identifier")) {
        (Some(_), _) => draft.replace("identifier"),
        (None, true) => draft.replace("identifier.where(system.exists().not())"),
        (None, false) => {}
    }
}

/// PID-2 and PID-4, which the UK does not use any more, where they say more than PID-3. A number of
/// PID-4 is a temporary one (ITK).
fn others(draft: &mut Draft, pid: &Segment<'_>, source: &Source) {
    let rules = &source.nhs_number;
    for (field, usage) in [(2, None), (4, Some("temp"))] {
        let all = pid.field(field).filter(|field| !field.is_null());
        for id in all.into_iter().flat_map(|field| field.repetitions()) {
            let at = rules.fallbacks.iter().any(|at| {
                at.segment.as_str() == "PID" && at.field.is_some_and(|at| at as usize == field)
            });
            let value = stated(id.text(1, 1)).unwrap_or_default();
            let number = at || claims_nhs_number(&id, rules) || is_broken_national_number(&id);
            let held = draft.body.get("identifier").and_then(Value::as_array);
            let known = held.is_some_and(|held| held.iter().any(|each| each["value"] == *value));
            // A number that is valid may be the NHS Number, of whom nobody has said.
            if number || known || NhsNumber::parse(&value).is_ok() {
                continue;
            }
            if let Some(mut id) = identifier(&id, &source.zone) {
                if let Some(usage) = usage {
                    id["use"] = Value::from(usage);
                }
                draft.push("identifier", id);
            }
        }
    }
}

/// Why there is no NHS Number, where the message gives a reason: an overseas visitor (ZU1-10), a number
/// of Scotland or Northern Ireland, or a status that says that none was found.
fn unavailable(draft: &mut Draft, message: &Message, pid: &Segment<'_>, identity: &Identity) {
    if identity.found.is_some() || !identity.stated.is_empty() {
        return;
    }
    let zu1 = message.segment("ZU1", 1);
    let visitor = zu1.and_then(|zu1| stated(zu1.text(10, 1)));
    let overseas = visitor.is_some_and(|code| matches!(code.as_str(), "1" | "2" | "3" | "4"));
    let ids = pid.field(3).into_iter().flat_map(|field| field.repetitions());
    let mut authorities = ids.filter_map(|id| stated(id.text(4, 1)));
    let devolved = authorities.any(|authority| matches!(authority.as_str(), "CHI" | "HSNI"));
    let code = match identity.status.map(Status::code) {
        _ if overseas => "overseas-patient",
        _ if devolved => "devolved-nation",
        Some("03" | "04" | "05" | "06" | "07" | "08") => "nhs-number-not-known",
        _ => return,
    };
    let system = uk_codes!("UKCore-NHSNumberUnavailableReason");
    let url = uk_core!("Extension-UKCore-NHSNumberUnavailableReason");
    draft.extension(coded_extension(url, in_system(system, code, None)));
}

/// What PID-32 says beside the status of the NHS Number, such as UD for an unreliable date of birth and
/// AL for an alias; and PID-31, a person whose identity nobody knows.
fn reliability(draft: &mut Draft, pid: &Segment<'_>) {
    let all = pid.field(32).filter(|field| !field.is_null());
    let codes = all.into_iter().flat_map(|field| field.repetitions());
    for code in codes.filter_map(|each| stated(each.text(1, 1))) {
        let status = code.starts_with("NSTS") || code.starts_with("PDS");
        if !status && !code.bytes().all(|byte| byte.is_ascii_digit()) {
            draft.extension(code_as_sent(RELIABILITY, code));
        }
    }
    let unknown = draft.read(pid, 31, UNKNOWN_IDENTITY.path);
    if let Some(unknown) = unknown.as_deref().and_then(yes_or_no) {
        let url = Value::from(UNKNOWN_IDENTITY.url);
        draft.extension(object([("url", url), ("valueBoolean", Value::Bool(unknown))]));
    }
}

/// Whether an identifier is called a national number but cannot be one, such as a masked number: it
/// must not stand there as one. CHI and H&C numbers have the same form and check digit.
fn is_broken_national_number(id: &Repetition<'_>) -> bool {
    let national = stated(id.text(5, 1)).is_some_and(|kind| matches!(kind.as_str(), "NH" | "NHS"));
    let value = stated(id.text(1, 1));
    national && value.is_some_and(|value| NhsNumber::parse(&value).is_err())
}

fn nhs_number(number: &str, identity: &Identity) -> Value {
    let mut out = Object::with_capacity(3);
    out.insert("system", NHS_NUMBER);
    out.insert("value", Value::text(number));
    if let Some(status) = identity.status {
        let system = uk_codes!("UKCore-NHSNumberVerificationStatusEngland");
        let url = uk_core!("Extension-UKCore-NHSNumberVerificationStatus");
        let concept = in_system(system, status.code(), None);
        out.insert("extension", only(coded_extension(url, concept)));
    }
    Value::Object(out)
}

fn person(draft: &mut Draft, pid: &Segment<'_>, source: &Source) {
    draft.set_all(pid, 5, ("name", "name"), NAMED, |name| human_name(name, &source.zone));
    if let Some(sex) = draft.read(pid, 8, "gender") {
        gender(draft, &sex, source);
    }
    if let Some(birth) = draft.read(pid, 7, "birthDate") {
        birth_date(draft, &birth, source);
    }
}

/// PID-8: 1 male, 2 female, 9 not specified, 0 not known in the NHS; M, F, O, A, U, N elsewhere.
/// The code is kept as sent, since FHIR's four words say less.
pub(crate) fn gender(draft: &mut Draft, sex: &str, source: &Source) {
    let own = source.sex.iter().find(|(ours, _)| ours.eq_ignore_ascii_case(sex));
    let meant = own.map_or(sex, |(_, meant)| meant);
    let word = match meant.to_ascii_uppercase().as_str() {
        "1" | "M" => "male",
        "2" | "F" => "female",
        "9" | "O" | "A" | "N" => "other",
        "0" | "U" => "unknown",
        _ => {
            draft.quality.push("gender.unmapped");
            "unknown"
        }
    };
    draft.set("gender", Value::from(word));
    draft.set("_gender", object([("extension", only(code_as_sent(AS_SENT, sex.to_owned())))]));
}

/// PID-7. A time of birth is carried where one is stated; midnight is how systems fill a date.
fn birth_date(draft: &mut Draft, text: &str, source: &Source) {
    let Ok(moment) = Moment::read(text, &source.zone) else {
        return draft.quality.push("date.unreadable");
    };
    draft.set("birthDate", Value::text(moment.date()));
    let midnight = moment.fhir().get(11..19) == Some("00:00:00");
    if moment.precision > Precision::Hour && !midnight {
        let url = Value::from(fhir!("patient-birthTime"));
        let time = object([("url", url), ("valueDateTime", Value::text(moment.fhir()))]);
        draft.set("_birthDate", object([("extension", only(time))]));
    }
}

fn contact(draft: &mut Draft, pid: &Segment<'_>, source: &Source) {
    let zone = &source.zone;
    draft.set_all(pid, 11, ("address", "address"), ADDRESSED, |each| address(each, zone));
    let home = ("telecom", "telecom.where(use!='work')");
    draft.set_all(pid, 13, home, REACHED, |each| telecom(each, "home"));
    let work = ("telecom", "telecom.where(use='work')");
    draft.set_all(pid, 14, work, REACHED, |each| telecom(each, "work"));
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;

    use super::*;
    use crate::json::json;

    const FULL: &str = "PID|1||9990000018^^^NHS^NH~1234567^^^RXX01^MR||TEST^ANN^JANE^^MRS^^L~OLD^ANN^^^^^PREVIOUS||\
        19651213|2|||1 ROAD^VILLAGE^TOWN^COUNTY^AA1 1AA^GBR^H||01130000000^PRN^PH~07700900000^PRN^CP~\
        ^NET^Internet^ann@example.org|01130000001^WPN^PH|EN|M|||||||A||||||202401100000|Y||NSTS01\r\
        PD1|||THE SURGERY^^Y06601|G5612908^SMITH^JO";

    fn built(body: &str) -> Built {
        let text = format!("MSH|^~\\&|PAS|RXX01|TIE|RXX|20240110||ADT^A31|1|P|2.4\r{body}");
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        let mut source = Source::new("pas-adt", "RXX");
        source.nhs_number.test_data = true;
        let identity = Identity::read(&message, &source).expect("no conflict");
        patient(&message, &source, &identity).expect("a patient")
    }

    #[test]
    fn a_person_is_mapped_with_uk_meanings() {
        let patient = built(FULL).resource;
        let nhs_number = &patient["identifier"][0];
        assert_eq!(nhs_number["system"], "https://fhir.nhs.uk/Id/nhs-number");
        assert_eq!(nhs_number["value"], "9990000018");
        assert_eq!(nhs_number["extension"][0]["valueCodeableConcept"]["coding"][0]["code"], "01");
        assert_eq!(patient["identifier"][1]["assigner"]["identifier"]["value"], "RXX01");
        assert_eq!(patient["name"][0]["use"], "official");
        assert_eq!(patient["name"][0]["given"], json!(["ANN", "JANE"]));
        assert_eq!(patient["name"][1]["use"], "old");
        assert_eq!(patient["birthDate"], "1965-12-13");
        assert_eq!(patient["gender"], "female");
        assert_eq!(patient["_gender"]["extension"][0]["valueCode"], "2");
        assert_eq!(patient["address"][0]["line"], json!(["1 ROAD", "VILLAGE"]));
        assert_eq!(patient["address"][0]["postalCode"], "AA1 1AA");
        let uses: Vec<_> = patient["telecom"].as_array().expect("a list").iter().collect();
        assert_eq!(uses.len(), 4);
        assert_eq!((&uses[1]["use"], &uses[2]["system"]), (&json!("mobile"), &json!("email")));
        assert_eq!(patient["deceasedDateTime"], "2024-01-10");
        assert_eq!(patient["generalPractitioner"][0]["identifier"]["value"], "Y06601");
        let doctor = &patient["generalPractitioner"][1];
        assert_eq!(doctor["identifier"]["system"], "https://fhir.hl7.org.uk/Id/gmp-number");
        assert_eq!(doctor["display"], "JO SMITH");
    }

    #[test]
    fn a_six_character_code_of_a_clinician_is_no_practice() {
        let general = |pd1: &str| built(pd1).resource["generalPractitioner"].clone();
        let doctor = &general("PD1||||CL1107^OKAFOR^JUNE")[0];
        assert_eq!(
            (&doctor["type"], &doctor["display"]),
            (&json!("Practitioner"), &json!("JUNE OKAFOR"))
        );
        assert_eq!(general("PD1||||Y06601")[0]["type"], "Organization");
        assert_eq!(
            general("PD1|||HILL & DALE SURGERY^^Y06601")[0]["display"],
            "HILL & DALE SURGERY"
        );
    }

    #[test]
    fn null_clears_absent_says_nothing_and_lists_replace() {
        let built = built("PID|1||1^^^RXX01^MR||\"\"||\"\"|\"\"|||A ROAD^^^^^^H||\"\"");
        let patient = &built.resource;
        for absent in ["name", "birthDate", "gender", "telecom", "maritalStatus"] {
            assert!(patient.get(absent).is_none(), "{absent}");
        }
        let cleared = ["name", "gender", "birthDate", "telecom.where(use!='work')"];
        let cleared: Vec<String> = cleared.iter().map(|path| format!("Patient.{path}")).collect();
        assert_eq!(built.cleared, cleared);
        let replaced = ["Patient.identifier.where(system.exists().not())", "Patient.address"];
        assert_eq!(built.replaced, replaced);
    }

    #[test]
    fn a_component_that_is_null_clears_what_it_stands_for() {
        let built = built("PID|||||^\"\"^\"\"||||||^^^^\"\"||^^^\"\"");
        let cleared = [
            "name.given",
            "address.postalCode",
            "telecom.where(use!='work').where(system='email')",
        ];
        assert_eq!(built.cleared, cleared.map(|path| format!("Patient.{path}")));
        assert!(built.replaced.is_empty());
    }

    #[test]
    fn why_there_is_no_nhs_number_is_said_where_it_is_known() {
        let reason = |body: &str| {
            let extension = &built(body).resource["extension"][0];
            extension["valueCodeableConcept"]["coding"][0]["code"].clone()
        };
        let status = |status: &str| format!("PID|||7^^^RXX01^MR{}{status}", "|".repeat(29));
        assert_eq!(reason(&status("NSTS04")), "nhs-number-not-known");
        assert_eq!(reason(&status("")), Value::Null);
        assert_eq!(reason("PID|||0101701234^^^CHI^NH"), "devolved-nation");
        assert_eq!(reason("PID|||7^^^RXX01^MR\rZU1||||||||||4"), "overseas-patient");
        assert_eq!(
            reason(&status("NSTS01").replace("7^^^RXX01^MR", "9990000018^^^NHS^NH")),
            Value::Null
        );
    }

    #[test]
    fn numbers_of_older_fields_are_kept_unless_they_are_known() {
        let built = built("PID||55^^^OLD^PI|7^^^RXX01^MR|7~T9^^^RXX01~9990000018");
        let identifiers = built.resource["identifier"].as_array().expect("a list");
        let values: Vec<_> = identifiers.iter().map(|each| &each["value"]).collect();
        assert_eq!(values, ["7", "55", "T9"]);
        assert_eq!(identifiers[2]["use"], "temp");
    }

    #[test]
    fn an_unreliable_person_is_said_to_be_one() {
        let built = built(&format!("PID|||7^^^RXX01^MR{}Y|NSTS02~UD", "|".repeat(28)));
        let extensions = built.resource["extension"].as_array().expect("a list");
        assert_eq!(extensions[0], json!({ "url": RELIABILITY, "valueCode": "UD" }));
        assert_eq!(extensions[1], json!({ "url": UNKNOWN_IDENTITY.url, "valueBoolean": true }));
    }

    #[test]
    fn an_invalid_number_is_not_written_as_an_nhs_number() {
        for number in ["9990000019", "9999999999"] {
            let patient = built(&format!("PID|1||{number}^^^NHS^NH~7^^^RXX01^MR")).resource;
            assert!(!patient.to_string().contains(number));
            assert_eq!(patient["identifier"][0]["value"], "7");
        }
    }

    #[test]
    fn a_masked_number_is_no_national_number() {
        for (masked, quality) in [("^NH", &[][..]), ("CHI^NH", &["nhs-number.unreadable"])] {
            let built = built(&format!("PID|1||xxxxxx0042^^^{masked}~C7^^^RXX01^PI"));
            let identifiers = built.resource["identifier"].as_array().expect("a list");
            assert_eq!((identifiers.len(), &identifiers[0]["value"]), (1, &json!("C7")));
            assert_eq!(built.quality, quality);
        }
    }

    #[test]
    fn every_spelling_of_a_sex_is_understood_and_kept() {
        for (sent, word) in
            [("1", "male"), ("F", "female"), ("9", "other"), ("0", "unknown"), ("u", "unknown")]
        {
            let built = built(&format!("PID|||||||| {sent}"));
            assert_eq!(built.resource["gender"], word, "{sent}");
            assert!(built.quality.is_empty());
        }
        assert_eq!(built("PID||||||||Q").quality, ["gender.unmapped"]);
    }

    #[test]
    fn a_death_may_be_revoked_or_contradicted() {
        let death = |time: &str, indicator: &str| {
            built(&format!("PID{}{time}|{indicator}", "|".repeat(29)))
        };
        assert_eq!(death("RESURREC", "").resource["deceasedBoolean"], false);
        let half_deleted = death("\"\"", "Y");
        assert_eq!(
            (&half_deleted.resource["deceasedBoolean"], half_deleted.cleared.len()),
            (&json!(true), 0)
        );
        assert_eq!(death("", "Y").resource["deceasedBoolean"], true);
        assert_eq!(death("^D", "N").resource["deceasedBoolean"], false);
        let odd = death("20240110", "N");
        assert!(odd.resource.get("deceasedDateTime").is_none());
        assert_eq!(odd.quality, ["death.contradictory"]);
        let cleared = death("\"\"", "\"\"").cleared;
        assert_eq!(cleared[0], "Patient.deceased");
        assert!(cleared[1].ends_with("DeathNotificationStatus')") && cleared.len() == 2);
        let notified = |built: &Built| {
            built.resource["extension"][0]["extension"][0]["valueCodeableConcept"]["coding"][0]["code"]
                .clone()
        };
        assert_eq!(notified(&death("RESURREC", "")), "U");
        assert_eq!(notified(&death("20240110", "Y")), "1");
        assert_eq!(notified(&odd), Value::Null);
        for alive in [death("", "N"), death("\"\"", "N")] {
            assert_eq!(alive.resource["deceasedBoolean"], false);
            assert_eq!(alive.cleared, cleared[1..]);
        }
    }

    #[test]
    fn a_date_of_birth_that_does_not_exist_is_counted() {
        let built = built("PID|||||||19651301");
        assert!(built.resource.get("birthDate").is_none());
        assert_eq!(built.quality, ["date.unreadable"]);
    }

    #[test]
    fn midnight_is_how_systems_fill_a_date_of_birth() {
        let midnight = built("PID|||||||20000101000000");
        assert!(midnight.resource.get("_birthDate").is_none());
        let marked = built("PID|||||||19481102+^D");
        assert_eq!(
            (&marked.resource["birthDate"], marked.quality.len()),
            (&json!("1948-11-02"), 0)
        );
        let born = built("PID|||||||200001011405").resource;
        let time = &born["_birthDate"]["extension"][0]["valueDateTime"];
        assert_eq!(time, "2000-01-01T14:05:00+00:00");
        assert_eq!(midnight.resource["birthDate"], "2000-01-01");
    }
}
