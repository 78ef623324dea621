//! `tieline events`: what the engine published, in order; it can stay and show events as they come.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::api::Api;
use crate::arguments::Format;
use crate::asking_arguments::EventsArgs;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::printable;

const PATH: &str = "/api/v1/events";

/// Events asked for at once.
const PAGE: u64 = 500;

pub(crate) fn run(args: &EventsArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let mut printer = Printer {
        output: Output::standard(),
        format: args.format,
        pattern: args.pattern.as_deref(),
        left: args.limit.unwrap_or(u64::MAX),
        collected: Vec::new(),
    };
    let cursor = if args.follow {
        follow(&api, args.since.clone(), &mut printer)?;
        None
    } else {
        history(&api, args.since.clone(), &mut printer)?
    };
    printer.finish(cursor)?;
    Ok(Exit::Well)
}

/// What there is, page by page; gives the cursor behind the last page.
fn history(
    api: &Api,
    mut cursor: Option<String>,
    printer: &mut Printer<'_>,
) -> Result<Option<String>> {
    loop {
        // With a pattern a page may hold fewer that match, never more.
        let limit = PAGE.min(printer.left);
        let query = [("after", cursor.clone()), ("limit", Some(limit.to_string()))];
        let mut page = api.lines(PATH, &query)?;
        let behind = page.cursor.take();
        let mut count = 0;
        for event in page {
            printer.print(&event?)?;
            count += 1;
        }
        let moved = behind.is_some() && behind != cursor;
        cursor = behind.or(cursor);
        // A page is shorter than asked for when its events are large.
        if count == 0 || printer.left == 0 || !moved {
            return Ok(cursor);
        }
    }
}

fn follow(api: &Api, cursor: Option<String>, printer: &mut Printer<'_>) -> Result<()> {
    let query = [("after", cursor), ("follow", Some("true".to_owned()))];
    for event in api.lines(PATH, &query)? {
        printer.print(&event?)?;
        if printer.left == 0 {
            break;
        }
    }
    Ok(())
}

struct Printer<'a> {
    output: Output,
    format: Format,
    pattern: Option<&'a str>,
    left: u64,
    /// For one JSON document, which has to be whole before it is printed.
    collected: Vec<Value>,
}

impl Printer<'_> {
    fn print(&mut self, line: &str) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let event: Value = serde_json::from_str(line).context("an event is not JSON")?;
        let event_type = text(&event, "type");
        if self.pattern.is_some_and(|pattern| !matches(pattern, event_type)) {
            return Ok(());
        }
        self.left -= 1;
        match self.format {
            Format::Text => self.output.line(one_line(&event))?,
            // Re-written JSON could differ from what subscribers got, so the line itself is shown.
            Format::Ndjson => self.output.line(line)?,
            Format::Json => self.collected.push(event),
        }
        Ok(())
    }

    fn finish(mut self, cursor: Option<String>) -> Result<()> {
        match (self.format, cursor) {
            (Format::Json, _) => self.output.document(Format::Json, &self.collected)?,
            (Format::Text, Some(cursor)) => {
                let line = format!("cursor {cursor}");
                self.output.line(self.output.paint.faint(&line))?;
            }
            _ => {}
        }
        Ok(())
    }
}

/// An event without anything that tells of the patient: when, what, whether keyed by an NHS Number
/// or a local identifier, message id and position, and where from.
fn one_line(event: &Value) -> String {
    let keyed = if event.get("subject").is_some() { "nhs" } else { "local" };
    let source = text(event, "source");
    let line = format!(
        "{:<25}  {:<22}  {:<5}  {:>8}  {}",
        text(event, "time"),
        short_type(text(event, "type")),
        keyed,
        short_sequence(text(event, "sequence")),
        source.strip_prefix("urn:tieline:source:").unwrap_or(source),
    );
    printable(&line)
}

/// `3.1` of `00000000000000000003.00001`: the first event of message 3.
fn short_sequence(sequence: &str) -> String {
    let parts: Vec<_> = sequence
        .split('.')
        .map(|part| match part.trim_start_matches('0') {
            "" if !part.is_empty() => "0",
            short => short,
        })
        .collect();
    parts.join(".")
}

fn text<'v>(event: &'v Value, name: &str) -> &'v str {
    event.get(name).and_then(Value::as_str).unwrap_or("-")
}

/// `encounter.admitted` of `uk.nhs.sharedrecord.encounter.admitted.v1`.
pub(crate) fn short_type(event_type: &str) -> &str {
    let unversioned = match event_type.rsplit_once('.') {
        Some((name, version)) if is_version(version) => name,
        _ => event_type,
    };
    match unversioned.rmatch_indices('.').nth(1) {
        Some((dot, _)) => unversioned.get(dot + 1..).unwrap_or(unversioned),
        None => unversioned,
    }
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// `*` stands for any run of characters; compared with the short type and with the whole one.
fn matches(pattern: &str, event_type: &str) -> bool {
    [short_type(event_type), event_type].iter().any(|name| glob(pattern, name))
}

fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| rest.get(at..).is_some_and(|rest| glob(after, rest)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ADMITTED: &str = "uk.nhs.sharedrecord.encounter.admitted.v1";

    #[test]
    fn a_pattern_names_short_or_whole_types() {
        for pattern in ["encounter.*", "encounter.admitted", "*.admitted", "*", ADMITTED] {
            assert!(matches(pattern, ADMITTED), "{pattern}");
        }
        for pattern in ["encounter", "patient.*", "encounter.admitted.v2", ""] {
            assert!(!matches(pattern, ADMITTED), "{pattern}");
        }
    }

    #[test]
    fn the_line_holds_no_demographics() {
        let event = json!({
            "type": ADMITTED,
            "time": "2026-01-01T12:00:00+00:00",
            "subject": "9990000018",
            "source": "urn:tieline:source:RXX:pas-adt",
            "sequence": "00000000000000000030.00001",
            "data": { "entry": [{ "resource": { "name": "Invented" } }] },
        });
        let line = one_line(&event);
        assert!(!line.contains("9990000018") && !line.contains("Invented"), "{line}");
        assert!(line.starts_with("2026-01-01T12:00:00+00:00  encounter.admitted "), "{line}");
        assert!(line.ends_with("  nhs        30.1  RXX:pas-adt"), "{line}");
    }
}
