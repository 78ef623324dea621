//! What came of a golden case, and how a difference is shown.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::golden::Case;
use crate::paint::Paint;

/// Unchanged lines round a difference.
const CONTEXT_LINES: usize = 3;

/// What came of one case.
#[derive(Debug)]
pub(crate) struct Tested {
    pub(crate) case: Case,
    pub(crate) verdict: Verdict,
    /// What the script printed.
    pub(crate) printed: Vec<String>,
    pub(crate) took: Duration,
}

#[derive(Debug)]
pub(crate) enum Verdict {
    Passed,
    /// The expectation was written anew.
    Updated,
    /// Two texts that should be one.
    Different {
        expected: String,
        found: String,
    },
    /// The case could not be played.
    Broken(String),
}

impl Tested {
    pub(crate) fn is_well(&self) -> bool {
        matches!(self.verdict, Verdict::Passed | Verdict::Updated)
    }
}

/// A unified diff: `-` is what was expected, `+` what was found.
pub(crate) fn difference(expected: &str, found: &str, paint: Paint) -> String {
    difference_of([("expected", expected), ("found", found)], paint)
}

/// A unified diff of two texts that have names.
pub(crate) fn difference_of(named: [(&str, &str); 2], paint: Paint) -> String {
    let [(before, old), (after, new)] = named;
    let diff = TextDiff::from_lines(old, new);
    let mut lines = vec![paint.red(&format!("--- {before}")), paint.green(&format!("+++ {after}"))];
    for hunk in diff.unified_diff().context_radius(CONTEXT_LINES).iter_hunks() {
        lines.push(paint.faint(&hunk.header().to_string()));
        lines.extend(hunk.iter_changes().map(|change| {
            let line = change.value().trim_end_matches('\n');
            match change.tag() {
                ChangeTag::Delete => paint.red(&format!("-{line}")),
                ChangeTag::Insert => paint.green(&format!("+{line}")),
                ChangeTag::Equal => format!(" {line}"),
            }
        }));
    }
    lines.iter().flat_map(|line| ["  ", line, "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_shows_what_was_expected_and_what_was_found() {
        let expected = "{\n  \"ack\": \"AA\",\n  \"state\": \"published\"\n}\n";
        let found = "{\n  \"ack\": \"AA\",\n  \"state\": \"parked\"\n}\n";
        assert_eq!(
            difference(expected, found, Paint::plain()),
            "  --- expected\n  +++ found\n  @@ -1,4 +1,4 @@\n   {\n     \"ack\": \"AA\",\n  \
             -  \"state\": \"published\"\n  +  \"state\": \"parked\"\n   }\n"
        );
    }
}
