//! Standard output: every verb prints through here, so that a closed pipe is an end, not a panic.

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::arguments::Format;
use crate::environment;
use crate::paint::Paint;

/// Where a verb's answer goes; what is said *about* the work goes to standard error.
pub(crate) struct Output {
    sink: Box<dyn Write + Send>,
    /// Colours, when the reader is a terminal that wants them.
    pub(crate) paint: Paint,
}

impl Output {
    /// The process's standard output, line by line.
    pub(crate) fn standard() -> Self {
        let stdout = io::stdout();
        let paint = Paint::new(stdout.is_terminal() && environment::wants_colour());
        Self { sink: Box::new(stdout), paint }
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), OutputError> {
        Ok(writeln!(self.sink, "{text}")?)
    }

    /// Text that brings its own line ends.
    pub(crate) fn text(&mut self, text: impl fmt::Display) -> Result<(), OutputError> {
        write!(self.sink, "{text}")?;
        Ok(self.sink.flush()?)
    }

    /// Bytes as they are, and a line end.
    pub(crate) fn bytes_line(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.sink.write_all(bytes)?;
        Ok(self.sink.write_all(b"\n")?)
    }

    /// One JSON document: readable for `json`, on a single line for `ndjson`.
    pub(crate) fn document(
        &mut self,
        format: Format,
        document: &impl Serialize,
    ) -> Result<(), OutputError> {
        let json = match format {
            Format::Ndjson => serde_json::to_string(document),
            Format::Text | Format::Json => serde_json::to_string_pretty(document),
        };
        self.line(json.map_err(io::Error::from)?)
    }
}

/// Why the answer could not be printed.
#[derive(Debug)]
pub(crate) enum OutputError {
    /// The reader closed its end of the pipe: it has seen enough.
    Closed,
    /// Anything else, a full disk for example.
    Failed(io::Error),
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the reader of standard output has gone"),
            Self::Failed(_) => f.write_str("cannot write to standard output"),
        }
    }
}

impl Error for OutputError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Closed => None,
            Self::Failed(error) => Some(error),
        }
    }
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error),
        }
    }
}
