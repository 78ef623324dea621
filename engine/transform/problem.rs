//! What is wrong with a script or a table: a place, what was found, what to write instead.

use std::fmt;

use hl7::location::Location;
use rhai::Position;

/// Whether a configuration with this problem may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It may run; somebody should look.
    Warning,
    /// It must not run.
    Error,
}

/// One finding in a script or a table. Texts quote the script, never a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptProblem {
    /// Path below the transforms folder, as in [`Sources`](crate::sources::Sources): `lib/uk_adt.rhai`.
    pub file: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub line: u32,
    /// Column in characters, from 1; 0 when the whole line or file is meant.
    pub column: u32,
    /// Error or warning.
    pub severity: Severity,
    /// What was wanted and what was found.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// A place in a message that stands in a script as a literal, such as `PID-3.1`, and where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptPlace {
    /// Path below the transforms folder.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The place in the message; a whole segment has no field.
    pub at: Location,
}

impl ScriptProblem {
    pub(crate) fn error(
        file: &str,
        (line, column): (u32, u32),
        message: impl Into<String>,
    ) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
            severity: Severity::Error,
            message: message.into(),
            help: None,
        }
    }

    #[must_use]
    pub(crate) fn only_a_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }

    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds "did you mean" when one of `known` is close to `name`, else says what there is.
    #[must_use]
    pub(crate) fn suggest<'a>(self, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.collect();
        match nearest(name, known.iter().copied()) {
            Some(close) => self.with_help(format!("did you mean `{close}`?")),
            None if known.is_empty() => self.with_help("there are none"),
            None if known.len() <= 12 => self.with_help(format!("there are {}", known.join(", "))),
            None => self,
        }
    }
}

impl fmt::Display for ScriptProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Line and column of a place in a script, 0 where unknown.
pub(crate) fn place(at: Position) -> (u32, u32) {
    let number = |part: Option<usize>| part.and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    (number(at.line()), number(at.position()))
}

/// The known name that a person most probably meant: at most a third of its letters differ.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    known
        .map(|other| (distance(name, other), other))
        .filter(|(far, _)| *far <= allowed)
        .min()
        .map(|(_, other)| other)
}

/// Letters to insert, remove, change or swap to get from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let change = above[j] + usize::from(x != y);
            let mut best = change.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_fingers_finds_its_name() {
        let known = ["encounter.admitted", "encounter.discharged", "patient.registered"];
        let find = |name| nearest(name, known.iter().copied());
        assert_eq!(find("encounter.admited"), Some("encounter.admitted"));
        assert_eq!(find("encounter.dsicharged"), Some("encounter.discharged"));
        assert_eq!(find("appointment.booked"), None);
    }
}
