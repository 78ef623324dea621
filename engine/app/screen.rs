//! Text for people that grows line by line.

use std::fmt::{self, Write};

/// What will be printed.
#[derive(Debug, Default)]
pub(crate) struct Screen(String);

impl Screen {
    /// One line.
    pub(crate) fn line(&mut self, line: impl fmt::Display) {
        writeln!(self.0, "{line}").expect("a string takes any text");
    }

    /// Lines that bring their own ends.
    pub(crate) fn lines(&mut self, lines: &str) {
        self.0.push_str(lines);
    }

    /// All of it.
    pub(crate) fn text(self) -> String {
        self.0
    }
}
