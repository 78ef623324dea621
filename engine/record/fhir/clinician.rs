//! XCN as UK Core Practitioner, with a `PractitionerRole` where the message says what one does.

use hl7::message::Message;
use hl7::segment::Repetition;

use crate::fhir::built::{Built, Draft, id, reference};
use crate::fhir::coded::in_system;
use crate::fhir::datatypes::{
    named_organisation, organisation, practitioner_name, practitioner_number,
};
use crate::fhir::names::{terminology, uk_core};
use crate::fhir::tables::{MAIN_SPECIALTY, day};
use crate::json::{Value, only};
use crate::site::is_practice_among_doctors;
use crate::source::Source;
use crate::text::stated;

/// Where people stand (XCN), and their part in the visit by v3 `ParticipationType`.
const PEOPLE: [(&str, usize, &str); 17] = [
    ("PV1", 7, "ATND"),
    ("PV1", 8, "REF"),
    ("PV1", 9, "CON"),
    ("PV1", 17, "ADM"),
    ("PD1", 4, ""),
    ("ORC", 12, ""),
    ("OBR", 16, ""),
    ("OBR", 28, ""),
    ("OBX", 16, ""),
    ("DG1", 16, ""),
    ("PR1", 11, ""),
    ("PR1", 8, ""),
    ("PR1", 12, ""),
    ("TXA", 9, ""),
    ("TXA", 5, ""),
    ("TXA", 10, ""),
    ("AIP", 3, ""),
];

/// Builds a Practitioner of everybody whom the message names with a number or a name, once each, and
/// behind one a `PractitionerRole` if the message says for whom: a consultant in the sender's
/// organisation with the specialty of PV1-10, a general practitioner in the practice of PD1-3.
pub fn practitioners(message: &Message, source: &Source) -> Vec<Built> {
    let mut seen: Vec<(Option<Value>, Option<Value>)> = Vec::new();
    let mut all = Vec::new();
    for (name, field, part) in PEOPLE {
        for segment in message.segments_named(name) {
            let Some(field) = segment.field(field).filter(|field| !field.is_null()) else {
                continue;
            };
            for doctor in field.repetitions() {
                // Some feeds mix practices with practitioners.
                let code = stated(doctor.text(1, 1)).unwrap_or_default();
                let known = (practitioner_number(&doctor), practitioner_name(&doctor));
                let empty = known.0.is_none() && known.1.is_none();
                if empty || seen.contains(&known) || is_practice_among_doctors(&code) {
                    continue;
                }
                seen.push(known);
                let number = seen.len();
                let own_id = id(message, "Practitioner", number);
                all.push(practitioner(&own_id, &doctor));
                all.extend(role(message, source, (name, part), number, &own_id));
            }
        }
    }
    all
}

fn practitioner(own_id: &str, doctor: &Repetition<'_>) -> Built {
    let profile = uk_core!("UKCore-Practitioner");
    let mut draft = Draft::new("Practitioner", own_id, profile);
    draft.set("identifier", practitioner_number(doctor).map(only));
    draft.set("name", practitioner_name(doctor).map(only));
    draft.finish()
}

fn role(
    message: &Message,
    source: &Source,
    (segment, part): (&str, &'static str),
    number: usize,
    person: &str,
) -> Option<Built> {
    let organisation = match segment {
        "PV1" if matches!(part, "ATND" | "CON") => organisation(&source.organisation, None),
        "PD1" => {
            let practice = message.segment("PD1", 1)?.field(3)?.repetition(1)?;
            named_organisation(&practice)?
        }
        _ => return None,
    };
    let profile = uk_core!("UKCore-PractitionerRole");
    let own_id = id(message, "PractitionerRole", number);
    let mut draft = Draft::new("PractitionerRole", &own_id, profile);
    draft.set("practitioner", reference(person));
    draft.set("organization", organisation);
    if segment == "PV1" {
        let system = terminology!("v3-ParticipationType");
        draft.set("code", only(in_system(system, part, None)));
        let pv1 = message.segment("PV1", 1)?;
        let day = day(message);
        let specialty = draft.tabled(&pv1, 10, "specialty", (&MAIN_SPECIALTY, &day));
        draft.set("specialty", specialty.map(only));
    }
    Some(draft.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::example::{code, message, source};
    use crate::fhir::names::GMP_NUMBER;

    fn built(body: &str) -> Vec<Built> {
        practitioners(&message("ADT^A01", body), &source())
    }

    const PEOPLE: &str = "PD1|||THE SURGERY^^Y06601|G5612908^OKAFOR^JUNE^^^DR~Y06601\r\
        PV1|1|I|||||C3456789^DOE^SAM|1234567^ROE^PAT^^^^^^GMC|C3456789^DOE^SAM|300";

    #[test]
    fn everybody_is_named_once_by_the_right_register() {
        let all = built(PEOPLE);
        let people: Vec<_> = all
            .iter()
            .map(|b| &b.resource)
            .filter(|r| r["resourceType"] == "Practitioner")
            .collect();
        assert_eq!(people.len(), 3);
        assert_eq!(people[0]["name"][0]["family"], "DOE");
        assert_eq!(people[1]["identifier"][0]["system"], "https://fhir.hl7.org.uk/Id/gmc-number");
        assert_eq!(people[2]["identifier"][0]["system"], GMP_NUMBER);
        assert_eq!(people[2]["name"][0]["prefix"][0], "DR");
    }

    #[test]
    fn a_role_says_for_whom() {
        let all = built(PEOPLE);
        let roles: Vec<_> = all
            .iter()
            .map(|b| &b.resource)
            .filter(|r| r["resourceType"] == "PractitionerRole")
            .collect();
        assert_eq!(roles.len(), 2);
        assert_eq!(code(&roles[0]["specialty"][0]), "300");
        assert_eq!(roles[1]["organization"]["identifier"]["value"], "Y06601");
        let person = all[0].resource["id"].as_str().expect("an id");
        assert_eq!(roles[0]["practitioner"]["reference"], format!("urn:uuid:{person}"));
    }

    #[test]
    fn nobody_is_made_of_nothing() {
        for body in
            ["", "PV1|1|I|||||", "PV1|1|I|||||\"\"", "PV1|1|I|||||^\"\"^", "PV1|1|I|||||UNK"]
        {
            assert!(built(body).is_empty(), "{body}");
        }
    }
}
