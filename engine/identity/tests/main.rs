//! Stories of the index: what messages come to, and what survives.

mod conflicts;
mod everyday;
mod harness;
mod loads;
mod merges;
mod survival;
