//! Nothing of a protected patient's whereabouts is left in an event, whichever script built it.

use std::borrow::Cow;

use hl7::message::{Message, Reading};
use proptest::prelude::*;
use record::fhir::allergy::allergies;
use record::fhir::appointment::appointment;
use record::fhir::built::Built;
use record::fhir::bundle::bundle;
use record::fhir::condition::conditions;
use record::fhir::document::document;
use record::fhir::encounter::encounter;
use record::fhir::location::locations;
use record::fhir::order::order;
use record::fhir::organization::organizations;
use record::fhir::patient::patient;
use record::fhir::procedure::procedures;
use record::fhir::referral::referral;
use record::fhir::related_person::related_persons;
use record::fhir::report::report;
use record::fhir::specimen::specimens;
use record::identity::Identity;
use record::json::Value as Data;
use record::redaction::redact;
use record::source::{LocalAuthority, Source};
use serde_json::{Map, Value, json};

/// Forms of a field that tells where somebody is; every `#` becomes a word of its own.
const ADDRESS: &str = "#&#^#^#^#^#^GBR^H^#^#";
const TELECOM: &str = "#^PRN^PH^#^^^#^^#";
const PLACE: &str = "#^#^#^#^^^#^#^#";
const NAME: &str = "#^#";
const ORGANISATION: &str = "#^D^#^^^^^^^#";
const DOCTOR: &str = "#^#^#";

/// Every field that tells it, by segment.
const FIELDS: [(&str, &[(usize, &str)]); 19] = [
    ("PID", &[(9, NAME), (11, ADDRESS), (12, "#"), (13, TELECOM), (14, TELECOM), (23, "#")]),
    ("PD1", &[(3, ORGANISATION), (4, DOCTOR)]),
    (
        "NK1",
        &[
            (2, NAME),
            (4, ADDRESS),
            (5, TELECOM),
            (6, TELECOM),
            (13, ORGANISATION),
            (30, NAME),
            (31, TELECOM),
            (32, ADDRESS),
        ],
    ),
    ("GT1", &[(3, NAME), (5, ADDRESS), (6, TELECOM), (7, TELECOM), (17, ADDRESS), (18, TELECOM)]),
    (
        "PV1",
        &[(3, PLACE), (6, PLACE), (8, DOCTOR), (11, PLACE), (37, "#"), (42, PLACE), (43, PLACE)],
    ),
    ("PV2", &[(1, PLACE), (13, DOCTOR), (23, ORGANISATION)]),
    ("ROL", &[(4, DOCTOR), (11, ADDRESS), (12, TELECOM)]),
    ("PRD", &[(2, NAME), (3, ADDRESS), (4, PLACE), (5, TELECOM), (7, "#")]),
    ("CTD", &[(2, NAME), (3, ADDRESS), (4, PLACE), (5, TELECOM)]),
    ("AIL", &[(3, PLACE), (4, "#^#")]),
    ("AIG", &[(3, "#^#")]),
    (
        "SCH",
        &[(13, TELECOM), (14, ADDRESS), (15, PLACE), (17, TELECOM), (18, ADDRESS), (19, PLACE)],
    ),
    (
        "ORC",
        &[(12, DOCTOR), (13, PLACE), (14, TELECOM), (17, "#^#"), (21, ORGANISATION), (22, ADDRESS)],
    ),
    ("OBR", &[(16, DOCTOR), (17, TELECOM), (28, DOCTOR)]),
    ("OBX", &[(15, "#"), (23, ORGANISATION), (24, ADDRESS)]),
    ("EVN", &[(7, ORGANISATION)]),
    ("MRG", &[(7, NAME)]),
    ("ZU1", &[(25, "#"), (26, DOCTOR)]),
    ("ACC", &[(3, "#"), (11, ADDRESS)]),
];

/// A message whose every such field holds words of its own, and the words.
fn marked() -> (Message, Vec<String>) {
    let mut words = Vec::new();
    let mut mark = |form: &str| {
        let mut text = String::new();
        for part in form.split_inclusive('#') {
            match part.strip_suffix('#') {
                Some(before) => {
                    let word = format!("Zq{}Mark", words.len());
                    text.push_str(before);
                    text.push_str(&word);
                    words.push(word);
                }
                None => text.push_str(part),
            }
        }
        text
    };
    let mut text =
        String::from("MSH|^~\\&|PAS|RXX01|TIE|RXX|202402020930||ADT^A08^ADT_A01|1|P|2.5.1");
    for (name, fields) in FIELDS {
        let mut values: Vec<Cow<'static, str>> = vec![Cow::default(); 45];
        values[0] = name.into();
        match name {
            "PID" => {
                values[3] = "9990000018^^^NHS^NH~1234567^^^RXX01^MR~888^^^ZqOtherMark^MR".into();
                values[5] = "TEST^ANN^^^^^L~ZqEarlierMark^ANN^^^^^PREVIOUS".into();
                values[7] = "19651213".into();
                values[32] = "NSTS01".into();
            }
            "PV1" => values[2] = "I".into(),
            "SCH" => values[1] = "A1".into(),
            "OBR" => {
                values[3] = "24B1".into();
                values[4] = "FBC^Full blood count^L".into();
                values[25] = "F".into();
            }
            "OBX" => {
                values[2] = "TX".into();
                values[3] = "NOTE^Note^L".into();
                values[5] = "Seen at Zq2Mark, zq3mark by the team".into();
                values[11] = "F".into();
            }
            _ => {}
        }
        for (number, form) in fields {
            values[*number] = mark(form).into();
        }
        text.push('\r');
        text.push_str(&values.join("|"));
    }
    words.push("ZqOtherMark".to_owned());
    words.push("ZqEarlierMark".to_owned());
    for more in [
        "AL1|1|DA|PEN^Penicillin^L",
        "DG1|1||S72.0^Fracture of neck of femur^I10||20240101|A",
        "PR1|1||W37.1^Hip replacement^OPCS4||20240101",
        "RF1|A^Accepted|R^Routine||||R1",
        "TXA|1|CN|TX|||||||||D1|||||AU",
        "SPM|1|S1||BLD^Blood^L",
    ] {
        text.push('\r');
        text.push_str(more);
    }
    let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
    (message, words)
}

fn source() -> Source {
    let mut source = Source::new("pas-adt", "RXX");
    source.nhs_number.test_data = true;
    source.local =
        vec![LocalAuthority { authority: "RXX01".into(), kind: "MR".into(), default: true }];
    source
}

fn without(mut built: Built, message: &Message) -> Built {
    redact(&mut built.resource, &mut built.cleared, &mut built.replaced, message, &[], &source());
    built
}

fn found<'w>(text: &str, words: &'w [String]) -> Vec<&'w String> {
    words.iter().filter(|word| text.to_lowercase().contains(&word.to_lowercase())).collect()
}

#[test]
fn what_the_builders_made_tells_nothing_of_where() {
    let (message, words) = marked();
    let source = source();
    let identity = Identity::read(&message, &source).expect("no conflict");
    let group = message.groups(&["ORC", "OBR"]).into_iter().next().expect("a group");
    let mut all = vec![
        patient(&message, &source, &identity).expect("a patient"),
        encounter(&message, &source, None).expect("an encounter"),
    ];
    all.extend(report(&message, &group, &source).expect("a report"));
    all.extend(related_persons(&message, &source));
    all.extend(locations(&message, &source));
    all.extend(organizations(&message, &source));
    all.extend(specimens(&message, &group, &source));
    all.extend(allergies(&message, &source).expect("allergies"));
    all.extend(conditions(&message, &source).expect("conditions"));
    all.extend(procedures(&message, &source).expect("procedures"));
    all.push(appointment(&message, &source, None).expect("an appointment"));
    all.push(referral(&message, &source, None).expect("a referral"));
    all.push(order(&message, &group, &source, None).expect("an order"));
    all.push(document(&message, &source, None).expect("a document"));
    let whole = bundle(all);
    assert!(found(&whole.resource.to_string(), &words).len() > 30, "there is something to hide");
    let redacted = without(whole, &message);
    let text = redacted.resource.to_string();
    assert_eq!(found(&text, &words), [""; 0]);
    // What a clinician needs is there.
    let resource = |kind: &str| {
        let entries = redacted.resource["entry"].as_array().expect("entries");
        let found = entries.iter().find(|e| e["resource"]["resourceType"] == kind);
        found.map(|entry| entry["resource"].clone()).expect(kind)
    };
    let person = resource("Patient");
    assert_eq!(person["identifier"][0]["value"], "9990000018");
    assert_eq!(person["identifier"][1]["value"], "1234567");
    assert_eq!(person["identifier"].as_array().map(Vec::len), Some(2));
    assert_eq!(person["name"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&person["name"][0]["family"], &person["birthDate"]),
        (&"TEST".into(), &"1965-12-13".into())
    );
    assert_eq!(resource("Encounter")["class"]["code"], "IMP");
    assert_eq!(resource("AllergyIntolerance")["code"]["coding"][0]["display"], "Penicillin");
    for kind in ["Condition", "Procedure", "Appointment", "ServiceRequest", "Specimen"] {
        assert!(resource(kind).as_object().is_some_and(|kept| kept.len() > 4), "{kind}");
    }
    let letter = &resource("DocumentReference")["content"][0]["attachment"];
    assert_eq!((letter.get("data"), letter.get("url")), (None, None));
    let said = &resource("Observation")["valueString"];
    assert_eq!(said, "Seen at [withheld] by the team");
    assert_eq!(redacted.resource["meta"]["security"][1]["code"], "REDACTED");
    // No full set is claimed of which a part is missing, and nothing is said of what is gone.
    for path in redacted.cleared.iter().chain(&redacted.replaced) {
        for gone in ["telecom", "address", "generalPractitioner", "identifier", "name", "location"]
        {
            assert!(!path.contains(&format!(".{gone}")), "{path}");
        }
    }
}

#[test]
fn paths_follow_their_entries() {
    let (message, _) = marked();
    let mut data = Data::from(&json!({ "resourceType": "Bundle", "type": "collection", "entry": [
        { "fullUrl": "urn:uuid:p", "resource": { "resourceType": "Patient", "id": "p" } },
        { "fullUrl": "urn:uuid:l", "resource": { "resourceType": "Location", "id": "l", "name": "W" } },
        { "fullUrl": "urn:uuid:a", "resource": { "resourceType": "Observation", "id": "a",
            "subject": { "reference": "urn:uuid:p" }, "focus": { "reference": "urn:uuid:l" } } },
        { "fullUrl": "urn:uuid:b", "resource": { "resourceType": "Observation", "id": "b",
            "hasMember": [{ "reference": "urn:uuid:a" }, { "reference": "urn:uuid:l" }] } },
    ] }));
    let mut cleared = vec![
        "Bundle.entry[1].resource.name".to_owned(),
        "Bundle.entry[3].resource.value".to_owned(),
        "Patient.deceased".to_owned(),
        "Patient.address".to_owned(),
    ];
    let mut replaced = vec!["Bundle.entry[2].resource.note".to_owned(), "Patient.name".to_owned()];
    redact(&mut data, &mut cleared, &mut replaced, &message, &[], &source());
    assert_eq!(cleared, ["Bundle.entry[2].resource.value", "Patient.deceased"]);
    assert_eq!(replaced, ["Bundle.entry[1].resource.note"]);
    let entries = data["entry"].as_array().expect("entries");
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[1]["resource"]["subject"]["reference"], "urn:uuid:p");
    assert_eq!(entries[1]["resource"].get("focus"), None);
    assert_eq!(entries[2]["resource"]["hasMember"], json!([{ "reference": "urn:uuid:a" }]));
}

#[test]
fn allergies_keep_what_they_say_as_a_whole() {
    let said = |al1: &str| {
        let text = format!(
            "MSH|^~\\&|PAS|RXX01|TIE|RXX|20240202||ADT^A31|1|P|2.4\r\
             PID|1||7^^^RXX01^MR||TEST^ANN||||||1 ROSE ROAD\r{al1}"
        );
        let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
        without(bundle(allergies(&message, &source()).expect("allergies")), &message)
    };
    let list = |of: &Built| of.resource["entry"][0]["resource"].clone();
    let listed = said("AL1|1|DA|^Penicillin");
    let id = listed.resource["entry"][1]["fullUrl"].clone();
    assert_eq!(list(&listed)["entry"][0]["item"]["reference"], id);
    assert_eq!(list(&listed)["mode"], "snapshot");
    assert_eq!(listed.replaced, ["AllergyIntolerance"]);
    let denied = said("AL1|1||^NKA");
    let code = &denied.resource["entry"][1]["resource"]["code"]["coding"][0]["code"];
    assert_eq!(*code, "716186003");
    assert_eq!(denied.replaced, ["AllergyIntolerance"]);
    let deleted = said("AL1|1||\"\"");
    assert_eq!(list(&deleted)["emptyReason"]["text"], "deleted by the sender");
    assert_eq!(deleted.cleared, ["AllergyIntolerance"]);
    let unasked = said("AL1|1||^Not asked");
    assert_eq!(list(&unasked)["emptyReason"]["coding"][0]["code"], "notasked");
    assert!(unasked.cleared.is_empty() && unasked.replaced.is_empty());
}

#[test]
fn a_list_of_what_may_not_be_told_does_not_say_that_there_is_nothing() {
    let (message, _) = marked();
    let mut data = Data::from(&json!({ "resourceType": "Bundle", "entry": [
        { "resource": { "resourceType": "List", "status": "current", "mode": "snapshot",
            "title": "Rose House", "entry": [{ "deleted": true,
                "item": { "reference": "urn:uuid:l" } }] } },
        { "fullUrl": "urn:uuid:l", "resource": { "resourceType": "Location", "name": "Rose" } },
    ] }));
    let mut replaced =
        ["List.entry", "Location", "RelatedPerson", "Observation"].map(str::to_owned).to_vec();
    redact(&mut data, &mut Vec::new(), &mut replaced, &message, &[], &source());
    let list = &data["entry"][0]["resource"];
    assert_eq!((list.get("entry"), list.get("title")), (None, None));
    assert_eq!(list["emptyReason"]["coding"][0]["code"], "withheld");
    assert_eq!(replaced, ["Observation"]);
}

#[test]
fn an_appointment_and_a_document_stay_valid_without_place_and_content() {
    let (message, _) = marked();
    let mut data = Data::from(&json!({ "resourceType": "Bundle", "type": "collection", "entry": [
        { "fullUrl": "urn:uuid:p", "resource": { "resourceType": "Patient", "id": "p" } },
        { "fullUrl": "urn:uuid:a", "resource": { "resourceType": "Appointment", "id": "a",
            "status": "booked", "comment": "Come to the back door", "participant": [
                { "actor": { "reference": "urn:uuid:p" }, "status": "accepted" },
                { "actor": { "type": "Location", "display": "Clinic" }, "status": "accepted" }] } },
        { "fullUrl": "urn:uuid:b", "resource": { "resourceType": "Appointment", "id": "b",
            "status": "booked", "participant": [
                { "actor": { "type": "Location", "display": "Clinic" }, "status": "accepted" }] } },
        { "fullUrl": "urn:uuid:d", "resource": { "resourceType": "DocumentReference", "id": "d",
            "status": "current", "description": "Letter to Clinic", "content": [{ "attachment": {
                "contentType": "text/plain", "data": "Q2xpbmlj", "title": "Clinic" } }],
            "relatesTo": [{ "code": "replaces", "target": { "identifier": { "value": "D1" } } }] } },
    ] }));
    redact(&mut data, &mut Vec::new(), &mut Vec::new(), &message, &[], &source());
    let text = data.to_string();
    for gone in ["Clinic", "back door", "Q2xpbmlj"] {
        assert!(!text.contains(gone), "{gone}");
    }
    let of = |entry: usize| &data["entry"][entry]["resource"];
    assert_eq!(
        of(1)["participant"],
        json!([{ "actor": { "reference": "urn:uuid:p" }, "status": "accepted" }])
    );
    assert_eq!(of(2)["participant"][0]["actor"]["extension"][0]["valueCode"], "masked");
    let attachment = &of(3)["content"][0]["attachment"];
    assert_eq!(attachment["contentType"], "text/plain");
    assert_eq!(attachment["extension"][0]["valueCode"], "masked");
    assert_eq!(of(3)["relatesTo"][0]["target"]["identifier"]["value"], "D1");
}

#[test]
fn every_text_that_is_not_whole_any_more_is_counted() {
    let text = "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20260310||ORU^R01|1|P|2.5.1\rPID|1||7^^^RXX01^MR\r\
                PV1|1|I|W05^^B3^RXX01";
    let message = Message::parse(text.as_bytes(), &Reading::default()).expect("a message");
    let redacted = |notes: &[&str]| {
        let notes: Vec<_> = notes.iter().map(|text| json!({ "text": text })).collect();
        let mut data = Data::from(&json!({ "resourceType": "Bundle", "entry": [
            { "fullUrl": "urn:uuid:o", "resource": { "resourceType": "Observation", "note": notes } },
        ] }));
        redact(&mut data, &mut Vec::new(), &mut Vec::new(), &message, &[], &source())
    };
    assert_eq!(redacted(&["haemolysed", "as before"]), 0);
    assert_eq!(redacted(&["taken on W05", "haemolysed", "ring W05, W05 is open"]), 2);
}

#[test]
fn a_result_is_told_in_the_words_of_its_codes() {
    let pv1 = format!("PV1|1|I|W05^^B3^RXX01||||C1^Low^Ann{}S", "|".repeat(9));
    let text = format!(
        "MSH|^~\\&|LIMS|RXX01|TIE|RXX|20260310||ORU^R01|1|P|2.5.1\rPID|1||7^^^RXX01^MR\r{pv1}\r\
         NK1|1|WHITE^JO\rOBR|1||F1|FBC^Full blood count^L{}H|F\rOBX|1|CE|C^White cells^L||WH^White^L||||||F\r\
         OBX|2|ST|D^Colour||White||||||F\rNTE|1|L|Taken on W05 ward",
        "|".repeat(20)
    );
    let message = Message::parse(text.into_bytes(), &Reading::default()).expect("a message");
    let group = message.groups(&["OBR"]).remove(0);
    let built = report(&message, &group, &source()).expect("a report");
    let redacted = without(bundle(built), &message);
    let of = |entry: usize| &redacted.resource["entry"][entry]["resource"];
    assert_eq!(of(1)["code"]["text"], "White cells");
    let white = json!({ "coding": [{ "system": "urn:tieline:codes:L", "code": "WH", "display": "White" }],
                        "text": "White" });
    assert_eq!(of(1)["valueCodeableConcept"], white);
    assert_eq!(of(2)["valueString"], "[withheld]");
    assert_eq!(of(2)["note"][0]["text"], "Taken on [withheld] ward");
}

const KINDS: [&str; 21] = [
    "Patient",
    "Encounter",
    "EpisodeOfCare",
    "Observation",
    "DiagnosticReport",
    "Specimen",
    "AllergyIntolerance",
    "Condition",
    "Procedure",
    "Appointment",
    "ServiceRequest",
    "DocumentReference",
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "Location",
    "RelatedPerson",
    "Flag",
    "Provenance",
    "CarePlan",
    "Anything",
];

const ELEMENTS: [&str; 44] = [
    "address",
    "telecom",
    "location",
    "contact",
    "name",
    "family",
    "identifier",
    "value",
    "text",
    "display",
    "coding",
    "code",
    "note",
    "valueString",
    "extension",
    "valueAddress",
    "comment",
    "description",
    "conclusion",
    "participant",
    "actor",
    "performer",
    "subject",
    "reference",
    "assigner",
    "content",
    "attachment",
    "title",
    "data",
    "url",
    "div",
    "contained",
    "meta",
    "tag",
    "hospitalization",
    "reaction",
    "serviceProvider",
    "generalPractitioner",
    "orderDetail",
    "component",
    "component_of",
    "_birthDate",
    "link",
    "status",
];

/// What a script could build with words of the message: any element, anywhere.
fn built_by_a_script(words: Vec<String>) -> impl Strategy<Value = Value> {
    let word = proptest::sample::select(words);
    let leaf = (word, 0..4_u8).prop_map(|(word, how)| {
        Value::String(match how {
            0 => word,
            1 => word.to_uppercase(),
            2 => format!("She stays at {word}, first floor"),
            _ => format!("{word}/{word}"),
        })
    });
    let inside = leaf.prop_recursive(5, 60, 6, |inner| {
        let element = proptest::sample::select(ELEMENTS.to_vec());
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Value::Array),
            proptest::collection::vec((element, inner), 1..6).prop_map(|entries| {
                let entries = entries.into_iter().map(|(name, value)| (name.to_owned(), value));
                Value::Object(entries.collect::<Map<_, _>>())
            }),
        ]
    });
    let element = proptest::sample::select(ELEMENTS.to_vec());
    let elements = proptest::collection::vec((element, inside), 1..8);
    (proptest::sample::select(KINDS.to_vec()), elements).prop_map(|(kind, elements)| {
        let mut resource = Map::new();
        resource.insert("resourceType".to_owned(), kind.into());
        resource.insert("id".to_owned(), "r".into());
        resource.extend(elements.into_iter().map(|(name, value)| (name.to_owned(), value)));
        json!({ "fullUrl": "urn:uuid:r", "resource": resource })
    })
}

proptest! {
    #[test]
    fn no_script_can_tell_where(
        entries in proptest::collection::vec(built_by_a_script(marked().1), 1..4),
    ) {
        let (message, words) = marked();
        // Other hospitals' numbers are known by who gave them, and are no words.
        let words: Vec<String> = words.into_iter().filter(|word| word != "ZqOtherMark").collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "collection", "entry": entries });
        let mut data = Data::from(&bundle);
        redact(&mut data, &mut Vec::new(), &mut Vec::new(), &message, &[], &source());
        prop_assert_eq!(found(&data.to_string(), &words), [""; 0]);
        prop_assert_eq!(&data["resourceType"], "Bundle");
    }
}
