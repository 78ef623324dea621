//! An appended entry survives.
#![warn(missing_docs)]

pub mod checkpoint;
mod cursor;
pub mod disk;
pub mod entry;
#[cfg(feature = "faults")]
pub mod faulty;
mod find;
mod format;
pub mod journal;
mod ledger;
pub mod queue;
pub mod reader;
pub mod recovery;
pub mod report;
pub mod retention;
pub mod settings;
pub mod settlement;
mod space;
mod store;
mod volume;
mod walk;
mod writer;
