//! The URIs that FHIR resources name things by.

/// NHS Number.
pub const NHS_NUMBER: &str = "https://fhir.nhs.uk/Id/nhs-number";
/// Organisations by ODS code.
pub const ODS_ORGANISATION: &str = "https://fhir.nhs.uk/Id/ods-organization-code";
/// Sites of organisations by ODS code.
pub const ODS_SITE: &str = "https://fhir.nhs.uk/Id/ods-site-code";
/// General practitioners by national code (G and seven digits).
pub const GMP_NUMBER: &str = "https://fhir.hl7.org.uk/Id/gmp-number";
/// Doctors by General Medical Council number.
pub const GMC_NUMBER: &str = "https://fhir.hl7.org.uk/Id/gmc-number";
/// The key under which a result is recognised in all its versions.
pub const RESULT_KEY: &str = "urn:tieline:id:resultkey";
/// Values as the sender wrote them, where FHIR's own form says less.
pub const AS_SENT: &str = "urn:tieline:extension:as-sent";
/// OBX-11 as it was sent.
pub const OBSERVATION_STATUS: &str = "urn:tieline:extension:observation-status";
/// OBR-25 as it was sent.
pub const REPORT_STATUS: &str = "urn:tieline:extension:report-status";
/// OBX-4, which tells observations of the same code apart.
pub const SUB_ID: &str = "urn:tieline:extension:sub-id";
/// What the result is called on which a report was done (OBR-26): of sensitivities, the organism.
pub const PARENT_RESULT: &str = "urn:tieline:extension:parent-result";
/// The number of the report on which another was done (OBR-29).
pub const PARENT_NUMBER: &str = "urn:tieline:extension:parent-number";
/// Who asked for a report (OBR-16, ORC-12).
pub const REQUESTER: &str = "urn:tieline:extension:requester";
/// Who gets a copy of a report (OBR-28).
pub const COPY_TO: &str = "urn:tieline:extension:copy-to";
/// Why a report was asked for (OBR-31).
pub const REQUEST_REASON: &str = "urn:tieline:extension:request-reason";
/// What was said with the request (OBR-13).
pub const CLINICAL_INFORMATION: &str = "urn:tieline:extension:clinical-information";
/// Where the patient was when a report was made (PV1-3).
pub const PATIENT_LOCATION: &str = "urn:tieline:extension:patient-location";
/// OBX-6 beside a value that is a text.
pub const UNIT: &str = "urn:tieline:extension:unit";
/// ORC-1 as it was sent.
pub const ORDER_CONTROL: &str = "urn:tieline:extension:order-control";
/// ORC-5 as it was sent.
pub const ORDER_STATUS: &str = "urn:tieline:extension:order-status";
/// The rank of a diagnosis or contact among those of a message.
pub const RANK: &str = "urn:tieline:extension:rank";
/// PID-32 as it was sent, but for the status of the NHS Number.
pub const RELIABILITY: &str = "urn:tieline:extension:identity-reliability";
/// MSH-10: the identity of a message for its sender.
pub const CONTROL_ID: &str = "urn:tieline:id:message-control-id";
/// A channel of this engine.
pub const CHANNEL: &str = "urn:tieline:id:channel";
/// A script with its libraries and tables, by the hash of their texts.
pub const SCRIPT: &str = "urn:tieline:id:script";
/// Beginning of the systems of codes that only the sender knows; the sender's name of it follows.
pub const LOCAL_CODES: &str = "urn:tieline:codes:";

/// A profile or extension of UK Core, as one text made by the compiler.
macro_rules! uk_core {
    ($name:literal) => {
        concat!("https://fhir.hl7.org.uk/StructureDefinition/", $name)
    };
}
/// A code system of UK Core.
macro_rules! uk_codes {
    ($name:literal) => {
        concat!("https://fhir.hl7.org.uk/CodeSystem/", $name)
    };
}
/// An extension of FHIR itself.
macro_rules! fhir {
    ($name:literal) => {
        concat!("http://hl7.org/fhir/StructureDefinition/", $name)
    };
}
/// An element of FHIR R5 as an extension of R4.
macro_rules! fhir_r5 {
    ($name:literal) => {
        concat!("http://hl7.org/fhir/5.0/StructureDefinition/", $name)
    };
}
/// A code system of HL7's terminology, v2 tables and v3 among them.
macro_rules! terminology {
    ($name:literal) => {
        concat!("http://terminology.hl7.org/CodeSystem/", $name)
    };
}
/// An extension of this engine's own.
macro_rules! tieline {
    ($name:literal) => {
        concat!("urn:tieline:extension:", $name)
    };
}
/// An extension by one of the macros above and its name.
macro_rules! extension {
    ($base:ident $name:literal) => {
        $crate::fhir::names::Extension {
            url: $base!($name),
            path: concat!("extension('", $base!($name), "')"),
        }
    };
}
pub(crate) use {extension, fhir, fhir_r5, terminology, tieline, uk_codes, uk_core};

/// An extension: its URL, and the `FHIRPath` of it within its element.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension {
    pub(crate) url: &'static str,
    pub(crate) path: &'static str,
}

/// Beginning of the code systems of HL7's terminology.
pub const TERMINOLOGY: &str = terminology!("");
