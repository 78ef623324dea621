//! Everything that happened can be found.
pub mod state;
pub mod record;
pub mod row;
