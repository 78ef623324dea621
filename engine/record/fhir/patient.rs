//! PID and PD1 as UK Core Patient.

use hl7::message::Message;
use hl7::segment::{Repetition, Segment};
use serde_json::{Map, Value};

use crate::claim::claims_nhs_number;
use crate::fhir::built::{Built, Draft, Unmappable, code_as_sent, coded_extension, id};
use crate::fhir::coded::{concept, in_system};
use crate::fhir::datatypes::{
    ADDRESSED, NAMED, REACHED, address, human_name, identifier, organisation, telecom,
};
use crate::fhir::names::{AS_SENT, FHIR, NHS_NUMBER, UK_CODES, UK_CORE};
use crate::fhir::object::{object, only, put};
use crate::fhir::practice::general_practitioner;
use crate::fhir::tables::{ETHNIC_CATEGORY, MARITAL_STATUS, day};
use crate::identity::Identity;
use crate::nhs_number::NhsNumber;
use crate::precision::Precision;
use crate::source::Source;
use crate::text::stated;
use crate::time::Moment;

/// Builds the Patient that a message states. A message without PID gives a Patient with nothing
/// but its type: every event has one.
///
/// NHS Numbers are taken from [`Identity`] only: an invalid one is not written as an NHS Number.
pub fn patient(
    message: &Message,
    source: &Source,
    identity: &Identity,
) -> Result<Built, Unmappable> {
    let profile = format!("{UK_CORE}UKCore-Patient");
    let mut draft = Draft::new("Patient", &id(message, "Patient", 1), &profile);
    if let Some(pid) = message.segment("PID", 1) {
        identifiers(&mut draft, &pid, source, identity);
        person(&mut draft, &pid, source);
        contact(&mut draft, &pid, source);
        background(&mut draft, &pid, &day(message));
        death(&mut draft, &pid, source);
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
    for id in field.repetitions().filter(|id| !claims_nhs_number(id, rules)) {
        if is_broken_national_number(&id) {
            draft.quality.push("nhs-number.unreadable");
        } else if let Some(id) = identifier(&id, &source.zone) {
            draft.push("identifier", id);
        }
    }
    // A number that was sent but is no NHS Number does not take away the one that is held.
    match (number, draft.body.contains_key("identifier")) {
        (Some(_), _) => draft.replace("identifier"),
        (None, true) => draft.replace("identifier.where(system.exists().not())"),
        (None, false) => {}
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
    let mut out = Map::with_capacity(3);
    put(&mut out, "system", Some(NHS_NUMBER.to_owned()));
    put(&mut out, "value", Some(number.to_owned()));
    if let Some(status) = identity.status {
        let system = format!("{UK_CODES}UKCore-NHSNumberVerificationStatusEngland");
        let url = format!("{UK_CORE}Extension-UKCore-NHSNumberVerificationStatus");
        let concept = in_system(&system, status.code(), None);
        out.insert("extension".to_owned(), only(coded_extension(&url, concept)));
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
    draft.set("_gender", object([("extension", only(code_as_sent(AS_SENT, sex)))]));
}

/// PID-7. A time of birth is carried where one is stated; midnight is how systems fill a date.
fn birth_date(draft: &mut Draft, text: &str, source: &Source) {
    let Ok(moment) = Moment::read(text, &source.zone) else {
        return draft.quality.push("date.unreadable");
    };
    draft.set("birthDate", Value::from(moment.date()));
    let midnight = moment.fhir().get(11..19) == Some("00:00:00");
    if moment.precision > Precision::Hour && !midnight {
        let url = Value::String(format!("{FHIR}patient-birthTime"));
        let time = object([("url", url), ("valueDateTime", Value::from(moment.fhir()))]);
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

fn background(draft: &mut Draft, pid: &Segment<'_>, day: &str) {
    let coded = |field: usize| pid.field(field).and_then(|field| field.repetition(1));
    if draft.read(pid, 15, "communication").is_some() || has_text(pid, 15) {
        let language = coded(15).and_then(|language| concept(&language));
        draft.set("communication", language.map(|known| only(object([("language", known)]))));
    }
    let marital = draft.tabled(pid, 16, "maritalStatus", (&MARITAL_STATUS, day));
    draft.set("maritalStatus", marital);
    let religion = format!("{FHIR}patient-religion");
    if draft.read(pid, 17, &format!("extension('{religion}')")).is_some()
        && let Some(concept) = coded(17).and_then(|religion| concept(&religion))
    {
        draft.extension(coded_extension(&religion, concept));
    }
    let ethnicity = format!("{UK_CORE}Extension-UKCore-EthnicCategory");
    let path = format!("extension('{ethnicity}')");
    if let Some(concept) = draft.tabled(pid, 22, &path, (&ETHNIC_CATEGORY, day)) {
        draft.extension(coded_extension(&ethnicity, concept));
    }
    multiple_birth(draft, pid);
}

/// Whether a coded field has a text although its code is empty.
fn has_text(segment: &Segment<'_>, field: usize) -> bool {
    stated(segment.text(field, 2)).is_some()
}

fn multiple_birth(draft: &mut Draft, pid: &Segment<'_>) {
    let order = draft.read(pid, 25, "multipleBirth");
    let multiple = draft.read(pid, 24, "multipleBirth");
    if let Some(order) = order.and_then(|order| order.parse::<u8>().ok()) {
        draft.set("multipleBirthInteger", Value::from(order));
    } else if let Some(multiple) = multiple.as_deref().and_then(yes_or_no) {
        draft.set("multipleBirthBoolean", Value::Bool(multiple));
    }
}

/// PID-29 and PID-30. A death may arrive in any message and may be revoked by one. Where the time
/// says dead and the indicator says alive nothing is stated: a person has to find out.
fn death(draft: &mut Draft, pid: &Segment<'_>, source: &Source) {
    let time = draft.read(pid, 29, "deceased");
    let indicator = draft.read(pid, 30, "deceased");
    let indicator = indicator.as_deref().and_then(yes_or_no);
    draft.cleared.dedup();
    let revoked = |text: &String| source.death_revoked.iter().any(|w| w.eq_ignore_ascii_case(text));
    if time.as_ref().is_some_and(revoked) {
        draft.set("deceasedBoolean", Value::Bool(false));
    } else {
        match (time.map(|text| Moment::read(&text, &source.zone)), indicator) {
            (Some(Ok(_)), Some(false)) => draft.quality.push("death.contradictory"),
            (Some(Ok(moment)), _) => draft.set("deceasedDateTime", Value::from(moment.fhir())),
            (unreadable, indicator) => {
                if unreadable.is_some() {
                    draft.quality.push("date.unreadable");
                }
                draft.set("deceasedBoolean", indicator.map(Value::Bool));
            }
        }
    }
    // Where one of the two fields deletes and the other states, what is stated counts.
    if ["deceasedBoolean", "deceasedDateTime"].iter().any(|key| draft.body.contains_key(*key)) {
        draft.cleared.retain(|path| path != "Patient.deceased");
    }
}

/// Table 0136.
fn yes_or_no(code: &str) -> Option<bool> {
    match code.to_ascii_uppercase().as_str() {
        "Y" => Some(true),
        "N" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hl7::message::Reading;
    use serde_json::json;

    use super::*;

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
        assert_eq!(patient["deceasedDateTime"], "2024-01-10T00:00:00+00:00");
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
        assert_eq!(death("\"\"", "\"\"").cleared, ["Patient.deceased"]);
        assert_eq!(death("", "Y").resource["deceasedBoolean"], true);
        assert_eq!(death("^D", "N").resource["deceasedBoolean"], false);
        let odd = death("20240110", "N");
        assert!(odd.resource.get("deceasedDateTime").is_none());
        assert_eq!(odd.quality, ["death.contradictory"]);
        assert_eq!(death("\"\"", "\"\"").cleared, ["Patient.deceased"]);
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
