//! What the engine would not do: its words on standard error, and exit code 1.

use std::io::{self, Write};

use anyhow::Result;

use crate::exit::Exit;

/// Tells it.
pub(crate) fn refused(words: &str) -> Result<Exit> {
    writeln!(io::stderr(), "{words}")?;
    Ok(Exit::Wrong)
}
