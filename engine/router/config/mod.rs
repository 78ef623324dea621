//! What the line is told to do: read, checked as a whole, and kept as it was activated.
//!
//! - The *tree* is what the files say, each value with its place; the *model* is what it means.
//! - A *bundle* is every text that was read. Nothing is read again after it, so an activated
//!   configuration is its bundle.
//! - A *preset* is a tree of defaults below the one the trust wrote.
//!
//! Invariants:
//! - Configuration is data: no type in [`model`] opens, connects or starts anything.
//! - Every problem is reported, each at its place; none stops the search for the next.
//! - A password never stands in a configuration, a problem or a snippet.

pub mod acknowledge;
pub mod alerts;
pub mod channel;
pub mod dialect;
pub mod model;
pub mod subscriber;

pub mod listed;
pub mod listener;
pub mod calendar_day;
pub mod measure;
pub mod name;
pub mod secret;
pub mod segments;
pub mod profile;
pub mod setting;
mod written;

pub mod problem;
pub mod tree;
pub mod yaml;

pub mod overrides;
pub mod preset;

pub mod bundle;
pub mod load;

mod decode;
pub mod reader;
mod wrong;

pub mod check;
mod feed;
mod later;
mod nearest;
mod entitled;
mod watched;

pub mod activate;
pub mod assemble;
pub mod effective;
pub mod schema;

pub mod difference;
