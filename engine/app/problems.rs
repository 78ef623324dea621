//! Problems of a configuration as a person reads them: the line, the place in it, what to write.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use anyhow::Result;
use router::config::problem::{Problem, Severity};

use crate::environment;
use crate::paint::Paint;

/// Tells all problems on standard error, and how many there are.
pub(crate) fn explain(problems: &[Problem], texts: &BTreeMap<String, String>) -> Result<()> {
    let mut stderr = io::stderr();
    let paint = Paint::new(stderr.is_terminal() && environment::wants_colour());
    for problem in problems {
        writeln!(stderr, "{}\n", render(problem, texts, paint))?;
    }
    writeln!(stderr, "{}", summary(problems))?;
    Ok(())
}

/// One problem with the line it is about.
pub(crate) fn render(problem: &Problem, texts: &BTreeMap<String, String>, paint: Paint) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(problem.message.as_str());
    let line_number = usize::try_from(problem.line).unwrap_or(0);
    let line =
        line_number.checked_sub(1).and_then(|before| texts.get(&problem.file)?.lines().nth(before));
    let help = problem.help.as_deref().map(|help| Level::HELP.message(help));
    let renderer = if paint.is_on() { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);

    let Some(line) = line else {
        let place = place(problem);
        let group = title.elements(help);
        let text = renderer.render(&[group]);
        return if place.is_empty() { text } else { format!("{place}: {text}") };
    };
    let column = usize::try_from(problem.column).unwrap_or(1);
    let snippet = Snippet::source(line)
        .line_start(line_number)
        .path(problem.file.as_str())
        .annotation(AnnotationKind::Primary.span(word_at(line, column)));
    renderer.render(&[title.element(snippet).elements(help)])
}

/// `2 errors, 1 warning`.
pub(crate) fn summary(problems: &[Problem]) -> String {
    let warnings = problems.iter().filter(|one| one.severity == Severity::Warning).count();
    let errors = problems.len() - warnings;
    let counted = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    };
    match (errors, warnings) {
        (0, 0) => "no problems".to_owned(),
        (0, _) => counted(warnings, "warning"),
        (_, 0) => counted(errors, "error"),
        _ => format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

fn place(problem: &Problem) -> String {
    match (problem.file.is_empty(), problem.line) {
        (true, _) => String::new(),
        (false, 0) => problem.file.clone(),
        (false, line) => format!("{}:{line}:{}", problem.file, problem.column),
    }
}

/// The bytes of the word that begins at a column counted in characters from 1.
fn word_at(line: &str, column: usize) -> Range<usize> {
    let start = line
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or_else(|| line.trim_end().len(), |(at, _)| at);
    let rest = &line[start..];
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let length = match quote {
        Some(quote) => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        None => rest
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | ')' | ';'))
            .unwrap_or(rest.len()),
    };
    let one = rest.chars().next().map_or(0, char::len_utf8);
    start..start + length.max(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u32, column: u32) -> Problem {
        Problem {
            file: "channels.yaml".to_owned(),
            line,
            column,
            severity: Severity::Error,
            message: "unknown time zone".to_owned(),
            help: Some("write Europe/London".to_owned()),
        }
    }

    #[test]
    fn a_problem_shows_its_line_its_word_and_what_to_write() {
        let text = "channels:\n  pas: { zone: Europe/Londn, x: 1 }\n";
        let texts = BTreeMap::from([("channels.yaml".to_owned(), text.to_owned())]);
        let shown = render(&problem(2, 16), &texts, Paint::plain());
        assert!(shown.contains("error: unknown time zone"), "{shown}");
        assert!(shown.contains("channels.yaml:2:16"), "{shown}");
        assert!(shown.contains("pas: { zone: Europe/Londn, x: 1 }"), "{shown}");
        assert!(shown.contains(" ^^^^^^^^^^^^\n"), "{shown}");
        assert!(shown.contains("help: write Europe/London"), "{shown}");
    }

    #[test]
    fn a_problem_without_a_line_names_what_it_can() {
        let shown = render(&problem(0, 0), &BTreeMap::new(), Paint::plain());
        assert!(shown.starts_with("channels.yaml: error: unknown time zone"), "{shown}");
    }

    #[test]
    fn a_column_past_the_end_is_no_panic() {
        for column in 0..20 {
            let range = word_at("é: \"ab", column);
            assert!("é: \"ab".get(range).is_some());
        }
    }

    #[test]
    fn problems_are_counted_by_severity() {
        let warning = Problem { severity: Severity::Warning, ..problem(1, 1) };
        assert_eq!(summary(&[]), "no problems");
        assert_eq!(summary(&[problem(1, 1), warning.clone()]), "1 error, 1 warning");
        assert_eq!(summary(&[warning.clone(), warning]), "2 warnings");
    }
}
