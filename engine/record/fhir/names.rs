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
/// ORC-1 as it was sent.
pub const ORDER_CONTROL: &str = "urn:tieline:extension:order-control";
/// ORC-5 as it was sent.
pub const ORDER_STATUS: &str = "urn:tieline:extension:order-status";
/// The rank of a diagnosis or contact among those of a message.
pub const RANK: &str = "urn:tieline:extension:rank";
/// A date that a plan expects: PV2-8, PV2-9.
pub const EXPECTED: &str = "urn:tieline:extension:expected-";
/// MSH-10: the identity of a message for its sender.
pub const CONTROL_ID: &str = "urn:tieline:id:message-control-id";
/// A channel of this engine.
pub const CHANNEL: &str = "urn:tieline:id:channel";
/// A script with its libraries and tables, by the hash of their texts.
pub const SCRIPT: &str = "urn:tieline:id:script";
/// Beginning of the systems of codes that only the sender knows; the sender's name of it follows.
pub const LOCAL_CODES: &str = "urn:tieline:codes:";

/// Profiles, extensions and code systems of UK Core.
pub const UK_CORE: &str = "https://fhir.hl7.org.uk/StructureDefinition/";
/// Code systems of UK Core.
pub const UK_CODES: &str = "https://fhir.hl7.org.uk/CodeSystem/";
/// Extensions and profiles of FHIR itself.
pub const FHIR: &str = "http://hl7.org/fhir/StructureDefinition/";
/// Elements of FHIR R5 as extensions of R4.
pub const FHIR_R5: &str = "http://hl7.org/fhir/5.0/StructureDefinition/";
/// Code systems of HL7's terminology, v2 tables and v3 among them.
pub const TERMINOLOGY: &str = "http://terminology.hl7.org/CodeSystem/";
