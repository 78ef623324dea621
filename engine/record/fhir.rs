//! FHIR R4 resources as UK Core profiles them, built from HL7 v2 (the v2-to-FHIR mapping of HL7 with
//! the corrections that messages of the UK need).

mod attachment;
pub mod built;
pub mod bundle;
pub mod coded;
pub mod datatypes;
pub mod decimal;
pub mod encounter;
pub mod location;
pub mod known;
pub mod names;
mod object;
pub mod observation;
pub mod patient;
pub mod practice;
pub mod report;
pub mod unit;
pub mod value;
