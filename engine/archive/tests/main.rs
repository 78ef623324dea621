//! The archive as a whole, on a real disk.

mod world;

mod files;
mod life;
mod model;
mod pruning;
