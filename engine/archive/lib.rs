//! Everything that happened can be found.
//!
//! # Words
//!
//! A *record* is what the archive is told of one journal entry; a batch of them moves the
//! *position*, how far the journal was taken. A message's *life* is the fold of its records, its
//! *story* what is told of it. A *shelf* is a file that holds messages: one for each UTC day of
//! receipt, and one for those *kept* when their day was dropped. The *catalogue* holds the position,
//! the days there should be, and what operators did.
//!
//! # Invariants
//!
//! - It may be deleted: fed from the journal's beginning, it gives the same answers.
//! - The position is never ahead of the rows: each shelf is durable before the position is written,
//!   so a crash or a power cut means that records come again, never that one is missing.
//! - Records that come again, in their order, change nothing: a place that was seen is known.
//! - All rows of a message lie in one file; to drop a day is to delete a file.
//! - What is unsettled is never dropped, nor what operators did.
//! - Who asks never waits for the one who writes, nor the other way round.
//! - Ids are the order of messages. The clock only chooses the day: it may jump, and days may then
//!   overlap in their ids.
//! - A file that is damaged or not ours is moved aside and named, never opened half, never deleted.
//! - Patients are named in rows only: no error, no `Debug`, and no text of a query.
//!
//! Time is given, never asked for; there are no threads and no runtime here. On purpose absent: the
//! journal, HL7, the bytes of messages and events (a row has their place).
//!
//! # On disk
//!
//! ```text
//! folder
//!   archive.db                     the catalogue
//!   2026-11-22.db                  a day, SQLite with a write-ahead log; tables: schema.rs
//!   kept.db                        unsettled messages of dropped days
//!   <file>.damaged                 damage was met; the file is set aside at the next opening
//!   <file>.set-aside-1             what was moved out of the way
//!   replaced/                      what the last rebuild replaced
//! ```
#![warn(missing_docs)]

pub mod archive;
pub mod opening;
pub mod record;
pub mod state;
pub mod row;
pub mod page;
pub mod query;
pub mod parse;
pub mod when;
pub mod patient;
pub mod retention;
pub mod rebuild;
pub mod error;
mod writer;
mod life;
mod binder;
mod catalogue;
mod readers;
mod search;
mod sql;
mod reading;
mod token;
mod spans;
mod coding;
mod day;
mod companions;
mod schema;
