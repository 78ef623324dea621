//! The shared record: NHS Number, identity, event catalogue, CloudEvents, FHIR UK Core mapping.
//!
//! - [`source::Source`]: how one sending system writes things, as plain data.
//! - [`translation::translated`]: a message in the terms of HL7 UK, whatever its source's ways.
//! - [`identity::Identity`]: whom a message is about, and whether its NHS Number may key.
//! - [`demographics::Demographics`]: who the patient is said to be; [`movement::Movement`]: which
//!   records are said to be one, or to have been mixed up.
//! - [`catalogue::EventType`]: what can have happened.
//! - [`time::Moment`]: a time as the sender wrote it, in the sender's zone.
//! - [`fhir::built::Built`]: a FHIR resource, and what the message deleted or sent as a full set.
//! - [`envelope::Event`]: a finished event in the form of CloudEvents, as the bytes that leave.
//!
//! What always holds:
//!
//! - No I/O, no clock, no randomness: the same message and source give the same bytes.
//! - An NHS Number keys only when valid, not a placeholder, trusted for its source and not from
//!   the test range (unless the source sends test data). Two different ones are a conflict.
//! - Absent, HL7 null and value stay apart up to the event.
//! - A value, its comparator and its unit leave together or not at all.
//! - A date is never moved by a time zone.
//! - No error, no `Debug` and no routing key shows patient data.

pub mod catalogue;
pub mod claim;
pub mod dialect;
pub mod deceased;
mod disclosed;
pub mod demographics;
mod dtm;
pub mod envelope;
pub mod fhir;
pub mod identity;
pub mod json;
pub mod order;
pub mod local;
pub mod marks;
pub mod mns;
pub mod movement;
pub mod name_based;
pub mod nhs_number;
pub mod notification;
mod repeated_hour;
pub mod replay;
pub mod result;
pub mod schema;
pub mod sensitivity;
pub mod site;
pub mod sought;
pub mod source;
pub mod text;
pub mod redaction;
pub mod precision;
pub mod time;
pub mod timing;
pub mod translation;
pub mod unreached;
pub mod trigger;
mod verification;
pub mod whereabouts;
