//! What an event may still say of a patient whose whereabouts are protected: everything that is not
//! named here stays unsaid.

/// The elements of one type of resource that are kept; `value*` stands for all choices of `value`.
/// A type that has no row is taken out of the Bundle: `Location`, `Organization`, `Practitioner`,
/// `PractitionerRole`, `RelatedPerson` and `Provenance` say where or through whom the patient can be
/// found, and what nobody has looked at may.
const KEPT: [(&str, &[&str]); 14] = [
    (
        "Patient",
        &[
            "active",
            "birthDate",
            "communication",
            "deceased*",
            "extension",
            "gender",
            "identifier",
            "link",
            "maritalStatus",
            "multipleBirth*",
            "name",
        ],
    ),
    (
        "Encounter",
        &[
            "class",
            "classHistory",
            "diagnosis",
            "extension",
            "identifier",
            "length",
            "period",
            "priority",
            "reasonCode",
            "status",
            "statusHistory",
            "subject",
            "type",
        ],
    ),
    (
        "EpisodeOfCare",
        &[
            "diagnosis",
            "extension",
            "identifier",
            "patient",
            "period",
            "status",
            "statusHistory",
            "type",
        ],
    ),
    (
        "Observation",
        &[
            "basedOn",
            "bodySite",
            "category",
            "code",
            "component",
            "dataAbsentReason",
            "derivedFrom",
            "effective*",
            "encounter",
            "extension",
            "hasMember",
            "identifier",
            "interpretation",
            "issued",
            "method",
            "note",
            "partOf",
            "referenceRange",
            "specimen",
            "status",
            "subject",
            "value*",
        ],
    ),
    (
        "DiagnosticReport",
        &[
            "basedOn",
            "category",
            "code",
            "conclusion",
            "conclusionCode",
            "effective*",
            "encounter",
            "extension",
            "identifier",
            "issued",
            "result",
            "specimen",
            "status",
            "subject",
        ],
    ),
    (
        "Specimen",
        &[
            "accessionIdentifier",
            "collection",
            "condition",
            "container",
            "extension",
            "identifier",
            "note",
            "parent",
            "processing",
            "receivedTime",
            "request",
            "status",
            "subject",
            "type",
        ],
    ),
    (
        "AllergyIntolerance",
        &[
            "category",
            "clinicalStatus",
            "code",
            "criticality",
            "encounter",
            "extension",
            "identifier",
            "lastOccurrence",
            "note",
            "onset*",
            "patient",
            "reaction",
            "recordedDate",
            "type",
            "verificationStatus",
        ],
    ),
    ("List", &["code", "date", "emptyReason", "entry", "mode", "status", "subject"]),
    (
        "Condition",
        &[
            "abatement*",
            "bodySite",
            "category",
            "clinicalStatus",
            "code",
            "encounter",
            "evidence",
            "extension",
            "identifier",
            "note",
            "onset*",
            "recordedDate",
            "severity",
            "stage",
            "subject",
            "verificationStatus",
        ],
    ),
    (
        "Procedure",
        &[
            "basedOn",
            "bodySite",
            "category",
            "code",
            "complication",
            "encounter",
            "extension",
            "followUp",
            "identifier",
            "note",
            "outcome",
            "partOf",
            "performedDateTime",
            "performedPeriod",
            "reasonCode",
            "reasonReference",
            "status",
            "statusReason",
            "subject",
        ],
    ),
    (
        "Appointment",
        &[
            "appointmentType",
            "basedOn",
            "cancelationReason",
            "created",
            "end",
            "extension",
            "identifier",
            "minutesDuration",
            "participant",
            "priority",
            "reasonCode",
            "reasonReference",
            "requestedPeriod",
            "start",
            "status",
        ],
    ),
    (
        "ServiceRequest",
        &[
            "authoredOn",
            "basedOn",
            "bodySite",
            "category",
            "code",
            "doNotPerform",
            "encounter",
            "extension",
            "identifier",
            "intent",
            "note",
            "occurrence*",
            "orderDetail",
            "priority",
            "quantity*",
            "reasonCode",
            "reasonReference",
            "replaces",
            "requisition",
            "specimen",
            "status",
            "subject",
        ],
    ),
    (
        "DocumentReference",
        &[
            "category",
            "content",
            "context",
            "date",
            "docStatus",
            "extension",
            "identifier",
            "masterIdentifier",
            "relatesTo",
            "securityLabel",
            "status",
            "subject",
            "type",
        ],
    ),
    (
        "Flag",
        &[
            "category",
            "code",
            "encounter",
            "extension",
            "identifier",
            "period",
            "status",
            "subject",
        ],
    ),
];

/// Elements of which only a part is kept: that they state a full set is true no longer.
const IN_PART: [(&str, &str); 7] = [
    ("Patient", "identifier"),
    ("Patient", "name"),
    ("Patient", "link"),
    ("Appointment", "participant"),
    ("List", "entry"),
    ("DocumentReference", "content"),
    ("DocumentReference", "context"),
];

/// Elements that never stay, wherever they stand. `assigner` says whose number it is: of an order,
/// the practice that asked for it.
const NEVER: [&str; 46] = [
    "address",
    "admitSource",
    "agent",
    "assigner",
    "asserter",
    "attester",
    "author",
    "authorReference",
    "authorString",
    "authenticator",
    "collector",
    "contact",
    "contained",
    "custodian",
    "destination",
    "dischargeDisposition",
    "div",
    "facilityType",
    "generalPractitioner",
    "hospitalization",
    "individual",
    "location",
    "locationCode",
    "locationReference",
    "managingOrganization",
    "onBehalfOf",
    "organization",
    "origin",
    "patientInstruction",
    "performer",
    "performerType",
    "photo",
    "physicalType",
    "position",
    "practiceSetting",
    "recorder",
    "requester",
    "sender",
    "serviceProvider",
    "source",
    "sourcePatientInfo",
    "telecom",
    "valueAddress",
    "valueAttachment",
    "valueContactPoint",
    "valueReference",
];

/// Values that an extension may have; others name somebody or something, or are free text.
const EXTENSION_VALUES: [&str; 15] = [
    "valueAnnotation",
    "valueBoolean",
    "valueCode",
    "valueCodeableConcept",
    "valueCoding",
    "valueDate",
    "valueDateTime",
    "valueDecimal",
    "valueInstant",
    "valueInteger",
    "valuePeriod",
    "valuePositiveInt",
    "valueQuantity",
    "valueRange",
    "valueRatio",
];

/// Parts of the names of extensions that tell where somebody lives, is or goes.
const TELLING: [&str; 12] = [
    "address",
    "birthplace",
    "contact",
    "destination",
    "facility",
    "geolocation",
    "location",
    "nationality",
    "organi",
    "practice",
    "resid",
    "site",
];

/// The elements of a type that are kept, if any.
pub(crate) fn kept(kind: &str) -> Option<&'static [&'static str]> {
    KEPT.iter().find(|(known, _)| *known == kind).map(|(_, elements)| *elements)
}

/// Whether an element is among those. `_birthDate` goes with `birthDate`; paths name a choice by its
/// stem, `deceased`.
pub(crate) fn is_kept(elements: &[&str], element: &str) -> bool {
    let element = element.strip_prefix('_').unwrap_or(element);
    matches!(element, "resourceType" | "id" | "meta" | "language")
        || elements.iter().any(|known| match known.strip_suffix('*') {
            Some(stem) => element.strip_prefix(stem).is_some_and(is_choice),
            None => *known == element,
        })
}

fn is_choice(rest: &str) -> bool {
    rest.chars().next().is_none_or(char::is_uppercase)
}

/// Whether an element is kept in part only.
pub(crate) fn is_in_part(kind: &str, element: &str) -> bool {
    IN_PART.contains(&(kind, element))
}

/// Whether an element never stays.
pub(crate) fn is_never(element: &str) -> bool {
    NEVER.contains(&element.strip_prefix('_').unwrap_or(element))
}

/// Whether an extension may stay: what it is called, and what kind of value it has. Tieline's own
/// may be text.
pub(crate) fn is_harmless(url: &str, mut elements: impl Iterator<Item = impl AsRef<str>>) -> bool {
    let name = url.to_ascii_lowercase();
    let name = name.rsplit('/').next().unwrap_or(&name);
    let own = url.starts_with("urn:tieline:extension:");
    !TELLING.iter().any(|telling| name.contains(telling))
        && elements.all(|element| {
            let element = element.as_ref();
            !element.starts_with("value")
                || EXTENSION_VALUES.contains(&element)
                || (own && element == "valueString")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choices_of_an_element_are_kept_with_it_and_nothing_that_only_begins_alike() {
        let elements = kept("Patient").expect("a row");
        for element in ["deceasedDateTime", "deceased", "_birthDate", "id", "multipleBirthInteger"]
        {
            assert!(is_kept(elements, element), "{element}");
        }
        for element in ["deceasedly", "address", "_address", "contact", "managingOrganization"] {
            assert!(!is_kept(elements, element), "{element}");
        }
    }

    #[test]
    fn no_row_keeps_what_never_stays() {
        for (kind, elements) in KEPT {
            for element in elements {
                assert!(!is_never(element), "{kind}.{element}");
            }
        }
    }

    #[test]
    fn an_extension_stays_by_its_name_and_its_kind_of_value() {
        let stays = |url: &str, value: &str| is_harmless(url, ["url", value].into_iter());
        let uk = "https://fhir.hl7.org.uk/StructureDefinition/Extension-UKCore-";
        assert!(stays(&format!("{uk}EthnicCategory"), "valueCodeableConcept"));
        assert!(stays("urn:tieline:extension:as-sent", "valueString"));
        assert!(stays(&format!("{uk}Nested"), "extension"));
        for (url, value) in [
            ("http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueAddress"),
            (&format!("{uk}ResidentialStatus"), "valueCodeableConcept"),
            (&format!("{uk}Anything"), "valueString"),
            (&format!("{uk}Anything"), "valueReference"),
        ] {
            assert!(!stays(url, value), "{url}");
        }
    }
}
