//! The HL7 v2 standard's words as types: bytes in, views and edits out.
//!
//! A [`message::Message`] is the bytes of one message and an index of its [`segment::Segment`]s and
//! fields; repetitions, components and subcomponents are found on demand, between the
//! [`delimiters::Delimiters`] that MSH declares. A [`location::Location`] addresses a value, which is
//! absent, null or present ([`value::Value`]). A [`header::Header`] is MSH alone, an
//! [`acknowledgement`] answers it, and [`mllp`] frames both.
//!
//! What always holds:
//!
//! * Nothing is lost: a message's bytes are those received, and what cannot be read is kept raw.
//! * An edit changes one value; every other byte stays.
//! * A text is decoded and unescaped once, at the leaf.
//! * No bytes, however hostile, panic, and what they may cost is bounded.
//! * There is no I/O, no clock and no thread here.
//! * Neither `Debug` nor an error shows what a message says.
#![warn(missing_docs)]

pub mod ack_form;
pub mod acknowledgement;
pub mod charset;
pub mod delimiters;
pub mod dictionary;
pub mod due;
pub mod edit;
pub mod escape;
pub mod group;
pub mod header;
pub mod index;
pub mod location;
mod marks;
pub mod message;
pub mod mllp;
mod plain;
mod short;
pub mod profile;
mod reading;
mod reassemble;
pub mod segment;
pub mod sequence;
pub mod several;
pub mod tolerance;
mod transcription;
pub mod tree;
mod utf_32;
pub mod value;
mod writer;
