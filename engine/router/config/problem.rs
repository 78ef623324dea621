//! What is wrong with a configuration, where, and what to write instead.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::tree::Place;

/// One thing that is wrong or odd.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, as a path that opens from where the program was started; `--set` for an override.
    pub file: String,
    /// Counted from 1; 0 where the problem has no place in a file.
    pub line: u32,
    /// In characters, counted from 1; 0 where the problem has no place in a file.
    pub column: u32,
    pub severity: Severity,
    /// What was found and what was wanted, in one line.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

/// Whether a configuration with the problem may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It may not.
    Error,
    /// It may, and somebody should look.
    Warning,
}

/// A configuration that cannot run: at least one problem is an error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Failure {
    /// Errors and warnings, in the order of their places.
    pub problems: Vec<Problem>,
    /// The text of each file a problem may be in, with passwords masked, for snippets.
    pub texts: BTreeMap<String, String>,
    /// The data folder it names, if that much of it can be read.
    pub data: Option<PathBuf>,
}

impl Problem {
    pub fn error(place: &Place, message: impl Into<String>) -> Problem {
        Problem {
            file: place.file.to_string(),
            line: place.line,
            column: place.column,
            severity: Severity::Error,
            message: message.into(),
            help: None,
        }
    }

    pub fn warning(place: &Place, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(place, message) }
    }

    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Problem {
        Problem { help: Some(help.into()), ..self }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut errors = self.problems.iter().filter(|problem| problem.is_error());
        match errors.next() {
            Some(first) => write!(f, "{first}")?,
            None => f.write_str("the configuration cannot run")?,
        }
        match errors.count() {
            0 => Ok(()),
            1 => f.write_str(" (and 1 more error)"),
            more => write!(f, " (and {more} more errors)"),
        }
    }
}

/// Puts problems in the order of their places and takes out those said twice.
pub(super) fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| {
        (&a.file, a.line, a.column, a.severity).cmp(&(&b.file, b.line, b.column, b.severity))
    });
    problems.dedup();
}

/// A text with what may be a password replaced by dots, each line as long as it was, so that a
/// snippet of it points at the right place and shows nothing it should not.
pub(super) fn masked(text: &str) -> String {
    text.split_inclusive('\n').map(masked_line).collect()
}

fn masked_line(line: &str) -> String {
    let body = line.trim_end_matches(['\r', '\n']);
    let hidden = secret_part(body).unwrap_or(body.len()..body.len());
    let dots = body[hidden.clone()].chars().map(|_| '·');
    let mut shown = body[..hidden.start].to_owned();
    shown.extend(dots);
    shown.push_str(&body[hidden.end..]);
    shown.push_str(&line[body.len()..]);
    shown
}

/// Where in a line a password may stand: after `user:` in an address, or after a key that says so.
fn secret_part(line: &str) -> Option<std::ops::Range<usize>> {
    if let (Some(scheme), Some(at)) = (line.find("://"), line.rfind('@'))
        && let Some(colon) = line.get(scheme + 3..at).and_then(|user| user.find(':'))
    {
        return Some(scheme + 3 + colon + 1..at);
    }
    let lower = line.to_ascii_lowercase();
    let key = ["password", "passwd", "passphrase", "secret", "token", "value"]
        .iter()
        .filter_map(|word| lower.find(word).map(|start| start + word.len()))
        .min()?;
    let colon = key + line[key..].find(':')? + 1;
    let value = colon + (line[colon..].len() - line[colon..].trim_start().len());
    let reference = line[value..].starts_with('{');
    (!reference && value < line.len()).then_some(value..line.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_shows_no_password_and_keeps_its_columns() {
        let text = "url: amqp://tie:hunter2@rabbit/\npassword: hunter2\nport: 1\n";
        let shown = masked(text);
        assert!(!shown.contains("hunter2"));
        assert_eq!(shown.chars().count(), text.chars().count());
        assert!(shown.contains("amqp://tie:·······@rabbit/\n") && shown.ends_with("port: 1\n"));
    }

    #[test]
    fn the_value_of_a_header_may_be_a_password() {
        assert!(!masked("header: { name: Authorization, value: hunter2 }\n").contains("hunter2"));
        let reference = "header: { name: Authorization, value: { env: TOKEN } }\n";
        assert_eq!(masked(reference), reference);
    }

    #[test]
    fn a_reference_to_a_secret_is_no_secret() {
        let text = "password: { env: TIELINE_AMQP_PASSWORD }\nurl: amqp://tie@rabbit/\n";
        assert_eq!(masked(text), text);
    }

    #[test]
    fn a_failure_names_its_first_error_and_counts_the_rest() {
        let place = Place::file("channels.yaml", 3, 5);
        let problems = vec![
            Problem::warning(&place, "odd"),
            Problem::error(&place, "wrong"),
            Problem::error(&place, "also wrong"),
        ];
        let failure = Failure { problems, texts: BTreeMap::new(), data: None };
        assert_eq!(failure.to_string(), "channels.yaml:3:5: wrong (and 1 more error)");
    }
}
