//! How a verb ends: 0 well, 1 the thing asked about is wrong, 2 the program failed or was misused.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::output::OutputError;

/// What a verb found; that it *could not* find out is its error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The thing asked about is well.
    Well,
    /// The thing asked about is wrong: a configuration, a test, a refused message.
    Wrong,
}

impl Exit {
    /// `Well` when the condition holds.
    pub(crate) fn well_if(condition: bool) -> Self {
        if condition { Self::Well } else { Self::Wrong }
    }
}

/// Ends the process: says on standard error what failed, as one chain, and gives the exit code.
pub(crate) fn conclude(answer: anyhow::Result<Exit>) -> ExitCode {
    match answer {
        Ok(Exit::Well) => ExitCode::SUCCESS,
        Ok(Exit::Wrong) => ExitCode::from(1),
        Err(error) if reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed too.
            writeln!(io::stderr(), "error: {error:#}").ok();
            ExitCode::from(2)
        }
    }
}

/// Whoever read our output has seen enough (`tieline events | head`): an end, not a failure.
fn reader_left(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(OutputError::Closed)))
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn a_closed_pipe_is_recognised_under_its_context() {
        let error = Err::<(), _>(OutputError::Closed).context("printing").expect_err("an error");
        assert!(reader_left(&error));
    }

    #[test]
    fn a_broken_network_connection_is_not_a_closed_pipe() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(!reader_left(&error));
    }
}
