//! Stories of the index: what messages come to, and what survives.

mod conflicts;
mod everyday;
mod harness;
mod interleavings;
mod loads;
mod merges;
mod model;
mod survival;
mod undoing;
