//! An appended entry survives.
#![warn(missing_docs)]

pub mod journal;
pub mod entry;
pub mod settings;
pub mod report;
pub mod queue;
pub mod reader;
pub mod settlement;
pub mod checkpoint;
pub mod retention;
pub mod recovery;
mod writer;
mod find;
mod store;
mod space;
mod cursor;
mod walk;
mod ledger;
mod volume;
mod format;
pub mod disk;
#[cfg(feature = "faults")]
pub mod faulty;
