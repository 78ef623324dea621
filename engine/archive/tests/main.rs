//! The archive as a whole, on a real disk; one binary for all, because linking is what costs.

#[cfg(test)]
mod world;

#[cfg(test)]
mod life;
#[cfg(test)]
mod model;
#[cfg(test)]
mod files;
#[cfg(test)]
mod pruning;
