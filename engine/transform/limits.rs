//! Limits: what one run of a script may use before it is stopped.

use std::time::Duration;

/// The bounds of one run. Every bound is always in force; none can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rhai operations (roughly: expressions evaluated).
    pub operations: u64,
    /// Wall-clock time of the run. Checked between operations, so a native function ends first.
    pub time: Duration,
    /// Bytes of the longest text a script may hold; texts inside lists and maps count together.
    pub text: usize,
    /// Items of the longest list or map, counted through all levels.
    pub items: usize,
    /// Function calls within one another.
    pub depth: usize,
    /// Events of one message.
    pub events: usize,
    /// Bytes of all event data of one message.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            operations: 500_000,
            time: Duration::from_millis(250),
            text: 1 << 20,
            items: 10_000,
            depth: 32,
            events: 200,
            output: 64 << 20,
        }
    }
}

/// Variables in scope at once.
pub(crate) const VARIABLES: usize = 200;

/// `import` statements reached in one run.
pub(crate) const MODULES: usize = 50;

/// Functions of one script file.
pub(crate) const FUNCTIONS: usize = 500;

/// Nesting of expressions outside and inside functions.
pub(crate) const EXPRESSION_DEPTH: (usize, usize) = (64, 48);

/// Bytes of `print` and `debug` output that are kept of one run.
pub(crate) const PRINTED: usize = 64 << 10;
