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

pub mod activate;
pub mod assemble;
pub mod bundle;
pub mod channel;
pub mod check;
pub mod effective;
mod feed;
mod later;
pub mod load;
pub mod measure;
pub mod model;
pub mod name;
pub mod listed;
mod nearest;
pub mod overrides;
pub mod preset;
pub mod problem;
pub mod reader;
pub mod schema;
pub mod secret;
pub mod setting;
pub mod tree;
mod written;
mod wrong;
pub mod yaml;
