//! What the standard calls its parts: segments, fields, components and tables of HL7 v2.1 to v2.8.2
//! and the ZU segments of HL7 UK, for whoever shows a message to a person.
//!
//! [`book`] looks names up, [`version`] finds the version a message means, [`names`] names every
//! place of one message, with what a site calls its own segments, and [`misplaced`] says which
//! places the standard does not have. Nothing here is needed to receive, to answer or to deliver.

pub mod book;
pub mod misplaced;
pub mod names;
mod parse;
pub mod version;
