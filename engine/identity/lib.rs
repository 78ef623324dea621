//! The right patient, or nobody.
//!
//! # Words
//!
//! A *patient* is a record with an id of our own, [`patient::PatientId`]. A *local identifier* is
//! *bound* to a patient; an NHS Number is *held* for one, or was (*former*). A source that *teaches*
//! binds, names and merges; others may only ask, and make known whom nobody knows. A *fact* is one
//! change; a *decision* is what one message comes to: whom it is about, its facts, and the events
//! that tell of them. A merged record is an *alias* of the one it was merged into.
//!
//! # Invariants
//!
//! - A decision depends on the index, the message and the rules only, and changes nothing.
//! - Facts are what is kept: the index is what they come to, in their order, and they say how things
//!   are, so that a row of them once more changes nothing. They are never derived a second time.
//! - A contradiction parks, and changes nothing at all.
//! - A number has one holder; an identifier finds at most one patient. An index entry is believed
//!   only if the patient's own record says the same; if the two differ, the file is damaged.
//! - The number of a decision is held for its patient once its facts are applied.
//! - Protection and dissent are the patient's; a merge keeps them.
//! - Old and new identifiers on the do-not-link list are never joined, nor shown together; of the
//!   list itself only salted hashes are kept.
//! - The file on disk is that of one position of the journal, always. A damaged one is set aside, and
//!   the newest copy that proves equal takes its place.
//! - No error and no `Debug` names a patient.
//!
//! Time is given, never asked for; there are no threads and no runtime here. On purpose absent: the
//! journal, events' bytes, who waits for whom.
//!
//! # On disk
//!
//! ```text
//! folder
//!   identity.db                    SQLite with a write-ahead log; tables: schema.rs
//!   identity.db.damaged            damage was met; the file is set aside at the next opening
//!   identity.db.set-aside-1        what was moved out of the way
//!   snapshots/identity-<number>.db copies that were proven equal, the two newest
//! ```
#![warn(missing_docs)]

pub mod index;
pub mod opening;
pub mod stated;
pub mod rules;
pub mod decision;
pub mod event;
pub mod fact;
pub mod patient;
pub mod forbidden;
pub mod question;
pub mod operator;
pub mod load;
pub mod snapshot;
pub mod error;
mod decide;
mod file;
mod merge;
mod visits;
mod place;
mod handover;
mod protection;
mod desk;
mod draft;
pub mod statement;
mod places;
mod step;
mod ended;
mod carried;
mod layers;
mod overlay;
mod cache;
mod key;
mod disk;
mod schema;
mod peek;
mod compact;
