//! Conformance profiles: what one feed sends, as rules that its messages can be held against.
//!
//! A profile is written by hand, or learned from messages: [`observe`] learns one, [`text`] writes
//! it down, [`check`] finds what a message does otherwise, and [`drift`] what a feed does otherwise
//! than it did. [`rules`] is the profile itself.
//!
//! What always holds:
//!
//! * A profile has no room for what a message says of a patient: places, counts, lengths, and codes
//!   of fields that the standard says hold codes.
//! * A breach is a place and a class of rule, never a value.

pub mod check;
pub mod drift;
pub mod observe;
pub mod rules;
pub mod text;
