//! Everything that happened can be found.
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
