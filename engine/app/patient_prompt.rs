//! Patient identifiers come by standard input: piped, or typed without being shown.

use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use record::nhs_number::NhsNumber;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::asking_arguments::Ask;

/// Reads one identifier; `Ask::Nhs` must be a valid number, and nothing given is either kind.
pub(crate) fn read(kind: Option<Ask>) -> Result<String> {
    let (question, help) = match kind {
        Some(Ask::Nhs) => ("NHS Number: ", "an NHS Number"),
        Some(Ask::Local) => ("Local identifier (1234567 or 1234567^^^RXX01^MR): ", "an identifier"),
        None => ("NHS Number or local identifier: ", "an identifier"),
    };
    let line = if io::stdin().is_terminal() { typed(question)? } else { first_line()? };
    let identifier = line.trim();
    if identifier.is_empty() {
        bail!("standard input gives no identifier: pipe {help}, or type it when asked");
    }
    if kind == Some(Ask::Nhs) {
        let number = NhsNumber::parse(identifier);
        // The error's own words may not repeat the number, and these do not.
        let number = number.map_err(|_| {
            anyhow::anyhow!("that is no NHS Number: ten digits, the last of which is a check digit")
        })?;
        return Ok(number.as_str().to_owned());
    }
    Ok(identifier.to_owned())
}

fn first_line() -> Result<String> {
    let mut line = String::new();
    io::stdin().read_line(&mut line).context("cannot read standard input")?;
    Ok(line)
}

/// What is typed is not shown: others look at screens.
fn typed(question: &str) -> Result<String> {
    let mut stderr = io::stderr();
    write!(stderr, "{question}").and_then(|()| stderr.flush()).context("cannot ask")?;
    let line = {
        let _hidden = Hidden::begin();
        first_line()?
    };
    writeln!(stderr).context("cannot ask")?;
    Ok(line)
}

/// As long as it lives, the terminal shows nothing of what is typed.
struct Hidden(Option<Termios>);

impl Hidden {
    fn begin() -> Self {
        let Ok(before) = tcgetattr(io::stdin()) else { return Self(None) };
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(io::stdin(), OptionalActions::Flush, &hidden) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // A terminal that has gone needs nothing back.
            tcsetattr(io::stdin(), OptionalActions::Now, before).ok();
        }
    }
}
