//! One message on a screen of 80 columns. It shows the patient: whoever asks for one message needs
//! to.

use serde_json::Value;

use crate::cells::{cell, counted, list, number, time_of_day};
use crate::events::short_type;
use crate::listing;
use crate::paint::Paint;
use crate::screen::Screen;
use crate::table::{Column, Table, printable};
use crate::verdict;

const WIDTH: usize = 80;
/// Columns of the places of values (`PID-3(2).4`), and of the names of fields.
const PLACE: usize = 14;
const NAME: usize = 28;

/// Everything that is known of a message, as the engine gives it.
pub(crate) struct Found {
    /// Row, timeline, names of events, the message as text.
    pub(crate) message: Value,
    /// Segments and fields with their names; or why there is none.
    pub(crate) tree: Result<Value, String>,
    /// The events whole, where they were asked for.
    pub(crate) events: Option<Vec<Value>>,
}

pub(crate) fn screen(found: &Found, paint: Paint) -> String {
    let message = &found.message;
    let mut text = Screen::default();
    facts(&mut text, message, paint);
    heading(&mut text, "What happened", paint);
    text.lines(&timeline(message).render(paint));
    events(&mut text, found, paint);
    heading(&mut text, "What came", paint);
    match message["frame"].as_str() {
        Some(frame) => segments(&mut text, frame),
        None if !message["withheld"].is_null() => {
            text.line(
                "withheld: it names identifiers that must not be linked. With --reason it is",
            );
            text.line("shown, and tieline audit keeps who looked, and why");
        }
        None => text.line("the journal no longer holds its bytes: see engine.journal.retain"),
    }
    if let (Some(frame), Some(edit)) = (message["frame"].as_str(), message["proposed"].as_str()) {
        let mark = printable(&cell(message, "proposed_edit"));
        let words = format!("The edit that waits for a second person: --edit {mark}");
        heading(&mut text, &words, paint);
        let (before, after) = (in_lines(frame), in_lines(edit));
        let named = [("as it came", before.as_str()), ("as edited", after.as_str())];
        text.lines(&verdict::difference_of(named, paint));
    }
    heading(&mut text, "Field by field", paint);
    match &found.tree {
        Ok(tree) => list(tree, "segments").iter().for_each(|one| segment(&mut text, one, paint)),
        Err(words) => text.line(words),
    }
    text.text()
}

fn heading(text: &mut Screen, words: &str, paint: Paint) {
    text.line(format_args!("\n{}", paint.bold(words)));
}

fn facts(text: &mut Screen, message: &Value, paint: Paint) {
    let said = |name: &str| printable(&cell(message, name));
    let title = format!("Message {}: {} on {}", said("id"), said("type"), said("channel"));
    text.line(paint.bold(&title));
    let mut fact = |name: &str, value: String| {
        if !value.is_empty() {
            let lines = wrapped(&value, WIDTH - PLACE - 2).join(&format!("\n{:1$}", "", PLACE + 2));
            text.line(format_args!("{name:<PLACE$}  {lines}"));
        }
    };
    let (state, reason) = (listing::state(message), said("reason"));
    let separator = if reason.is_empty() { "" } else { ": " };
    fact("state", format!("{state}{separator}{reason}"));
    if state != "held" && state != "retrying" {
        fact("detail", said("detail"));
    }
    match number(message, "behind") {
        0 => {}
        count => fact("behind it", counted(count, "message")),
    }
    for (name, about) in [
        ("duplicate_of", "a copy of message"),
        ("superseded_by", "edited as message"),
        ("edit_of", "an edit of message"),
    ] {
        let other = said(name);
        let value = if other.is_empty() { other } else { format!("{about} {other}") };
        fact("it is", value);
    }
    fact("received", time_of_day(&cell(message, "received")));
    fact("control id", said("control_id"));
    let from = format!("{} at {}, {} bytes", said("sender"), said("peer"), said("size"));
    fact("from", from);
    let patient = [said("nhs_number")]
        .into_iter()
        .chain(list(message, "local_ids").iter().filter_map(|id| id.as_str().map(printable)));
    fact("patient", patient.filter(|id| !id.is_empty()).collect::<Vec<_>>().join(", "));
    let revision = match number(message, "revision") {
        0 => String::new(),
        revision => format!(", revision {revision}"),
    };
    let version = said("configversion");
    fact(
        "decided by",
        if version.is_empty() { version } else { format!("configuration {version}{revision}") },
    );
    match number(message, "undecodable") {
        0 => {}
        count => {
            let bytes = counted(count, "byte");
            fact("undecodable", format!("{bytes} in {}", said("charset")));
        }
    }
}

fn timeline(message: &Value) -> Table {
    let mut table = Table::new(vec![
        Column::left("WHEN"),
        Column::flexible("WHAT"),
        Column::flexible("WHO"),
        Column::flexible("WHY"),
    ]);
    for moment in list(message, "timeline") {
        let what = match (cell(moment, "what").as_str(), cell(moment, "state").as_str()) {
            ("outcome", "parked") => "could not be processed: parked".to_owned(),
            ("outcome", "pending") => {
                "could not be processed: to be parked when its events have left".to_owned()
            }
            ("outcome", state) => format!("processed: to be {state}"),
            ("state", "published") => match number(moment, "routes") {
                0 => "published, wanted by nobody".to_owned(),
                routes => format!("published, for {}", counted(routes, "subscriber")),
            },
            ("state", state) => state.to_owned(),
            (what, _) => what.to_owned(),
        };
        let note = cell(moment, "note");
        let why = [cell(moment, "reason"), note].into_iter().filter(|part| !part.is_empty());
        table.row(vec![
            time_of_day(&cell(moment, "at")),
            what,
            cell(moment, "actor"),
            why.collect::<Vec<_>>().join("; "),
        ]);
    }
    table
}

fn events(text: &mut Screen, found: &Found, paint: Paint) {
    let events = list(&found.message, "event_list");
    if events.is_empty() {
        return;
    }
    heading(text, "What it became", paint);
    let mut table =
        Table::new(vec![Column::flexible("EVENT"), Column::right("BYTES"), Column::left("ID")]);
    for event in events {
        let short = short_type(&cell(event, "type")).to_owned();
        table.row(vec![short, cell(event, "length"), cell(event, "id")]);
    }
    text.lines(&table.render(paint));
    for event in found.events.iter().flatten() {
        // Values of JSON are texts and numbers: they can be written.
        let shown = serde_json::to_string_pretty(event).unwrap_or_default();
        text.line(format_args!("\n{shown}"));
    }
}

/// A segment a line, as `difference` compares them.
fn in_lines(frame: &str) -> String {
    let frame = frame.replace("\r\n", "\n").replace('\r', "\n");
    frame.lines().map(|line| printable(line) + "\n").collect()
}

/// A segment begins a line; what does not fit goes on below it, further in.
fn segments(text: &mut Screen, frame: &str) {
    for line in in_lines(frame).lines() {
        text.line(wrapped(line, WIDTH - 4).join("\n    "));
    }
}

/// A segment with its values, one a line, each with what it is called. A field of several parts has
/// a line of its own above them.
pub(crate) fn segment(text: &mut Screen, segment: &Value, paint: Paint) {
    let (at, name) = (cell(segment, "at"), cell(segment, "name"));
    if at.is_empty() {
        text.line("a line that is no segment:");
        segments(text, &cell(segment, "text"));
        return;
    }
    let title = format!("{at:<PLACE$}  {name}");
    text.line(paint.bold(title.trim_end()));
    let error = cell(segment, "error");
    if !error.is_empty() {
        text.line(format_args!("  {error}"));
    }
    let mut before = String::new();
    for field in list(segment, "fields") {
        let place = cell(field, "at");
        let value = match field.get("value") {
            Some(Value::String(value)) => value.clone(),
            _ => "\"\" (delete)".to_owned(),
        };
        let (name, component) = (printable(&cell(field, "name")), cell(field, "component"));
        if component.is_empty() {
            line(text, &place, &worded(&name, NAME), &value);
            continue;
        }
        let whole = place.split('.').next().unwrap_or_default();
        if whole != before {
            text.line(format_args!("  {whole:<PLACE$}  {name}"));
            whole.clone_into(&mut before);
        }
        let parts = [component, cell(field, "subcomponent")];
        let parts = parts.iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>();
        let name = worded(&parts.join(", "), NAME - 2).into_iter().map(|line| format!("  {line}"));
        line(text, &place, &name.collect::<Vec<_>>(), &value);
    }
}

/// A place, its name and its value side by side, each in a column of its own; the value in lines of its
/// own making.
fn line(text: &mut Screen, place: &str, name: &[String], value: &str) {
    let width = WIDTH - (2 + PLACE + 2 + NAME + 2);
    let value: Vec<String> =
        value.lines().flat_map(|line| wrapped(&printable(line), width)).collect();
    for at in 0..name.len().max(value.len()) {
        let part = |parts: &[String]| parts.get(at).cloned().unwrap_or_default();
        let (place, name, value) = (if at == 0 { place } else { "" }, part(name), part(&value));
        let line = format!("  {place:<PLACE$}  {name:<NAME$}  {value}");
        text.line(line.trim_end());
    }
}

/// Lines of whole words of at most so many characters.
fn worded(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').flat_map(|word| wrapped(word, width)) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                *line = format!("{line} {word}");
            }
            _ => lines.push(word),
        }
    }
    lines
}

/// Pieces of at most so many characters.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(width).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found() -> Found {
        let long = "x".repeat(200);
        let message = json!({
            "id": 7, "type": "ADT^A60", "channel": "pas-adt", "state": "parked", "behind": 2,
            "reason": "trigger.unknown", "detail": null, "control_id": "C1", "size": 300,
            "received": "no time", "sender": "PAS/RXX01", "peer": "127.0.0.1:4711",
            "nhs_number": "9990000018", "local_ids": ["1000001^^^RXX01^MR"],
            "configversion": "0123456789ab", "revision": 1, "undecodable": 1, "charset": "UTF-8",
            "frame": format!("MSH|^~\\&|PAS\rNTE|1||{long}\u{1b}\r"),
            "proposed": format!("MSH|^~\\&|PAS\rNTE|2||{long}\u{1b}\r"),
            "timeline": [
                { "at": "a", "what": "accepted", "state": "pending", "routes": 0 },
                { "at": "b", "what": "outcome", "state": "parked", "reason": "trigger.unknown" },
                { "at": "c", "what": "release", "actor": "ann", "reason": "asked the ward" },
                { "at": "d", "what": "state", "state": "published", "routes": 2 },
            ],
            "event_list": [
                { "id": "u", "type": "uk.nhs.sharedrecord.encounter.admitted.v1", "length": 4000,
                  "routing_key": "RXX.encounter.admitted.normal" },
            ],
        });
        let tree = json!({ "segments": [
            { "at": "NTE", "name": "Note", "fields": [
                { "at": "NTE-1", "name": "Set id", "value": "1\ntwo\u{1b}" },
                { "at": "NTE-2", "name": "Source", "value": null },
                { "at": "NTE-3.1", "name": "Comment", "component": "Text", "value": long },
                { "at": "NTE-3.2.1", "name": "Comment", "component": "A name of many words, as there are",
                  "subcomponent": "Namespace ID", "value": "y" },
            ] },
            { "at": null, "name": null, "text": "odd", "fields": [] },
        ] });
        Found { message, tree: Ok(tree), events: None }
    }

    #[test]
    fn everything_fits_on_eighty_columns_and_steers_no_terminal() {
        let shown = screen(&found(), Paint::plain());
        for part in [
            "Message 7: ADT^A60 on pas-adt\n",
            "state           parked: trigger.unknown\n",
            "behind it       2 messages\n",
            "patient         9990000018, 1000001^^^RXX01^MR\n",
            "configuration 0123456789ab, revision 1\n",
            "1 byte in UTF-8",
            "ann",
            "encounter.admitted   4000  u\n",
            "published, for 2 subscribers",
            "-NTE|1||",
            "+NTE|2||",
            "  NTE-1           Set id                        1\n                                                two\u{fffd}\n",
            "  NTE-2           Source                        \"\" (delete)\n",
            "  NTE-3           Comment\n  NTE-3.1           Text                        xxxx",
            "  NTE-3.2.1         A name of many words, as    y\n                    there are, Namespace ID\n",
            "a line that is no segment:\nodd\n",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        // A difference is shown whole, so that it can be compared.
        let mut lines =
            shown.lines().filter(|line| !["  -", "  +"].iter().any(|mark| line.starts_with(mark)));
        assert!(lines.all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(!shown.contains('\u{1b}'));
    }

    #[test]
    fn what_the_journal_has_dropped_is_said() {
        let mut found = found();
        found.message["frame"] = Value::Null;
        found.tree = Err("the journal no longer holds the bytes of message 7".to_owned());
        let shown = screen(&found, Paint::plain());
        assert!(shown.contains("no longer holds its bytes"), "{shown}");
    }
}
