//! FHIR R4 resources as UK Core profiles them, built from HL7 v2 (the v2-to-FHIR mapping of HL7 with
//! the corrections that messages of the UK need).

mod absence;
pub mod allergy;
pub mod appointment;
mod attachment;
mod background;
pub mod built;
pub mod bundle;
pub mod clinician;
pub mod coded;
pub mod condition;
pub mod datatypes;
mod death;
pub mod decimal;
pub mod document;
pub mod encounter;
pub mod episode;
#[cfg(test)]
mod example;
mod fill;
pub mod flag;
pub mod location;
pub mod known;
pub mod names;
pub mod observation;
pub mod order;
pub mod organization;
pub mod patient;
pub mod practice;
pub mod procedure;
pub mod provenance;
pub mod referral;
pub mod related_person;
pub mod report;
pub mod specimen;
mod tables;
pub mod unit;
pub mod value;
mod yes_or_no;
