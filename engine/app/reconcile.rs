//! `tieline reconcile`: the books against the journal and the archive.

use anyhow::Result;
use serde_json::Value;

use crate::api::Api;
use crate::arguments::Format;
use crate::asking_arguments::ReconcileArgs;
use crate::cells::{cell, counted, list, number, short};
use crate::exit::Exit;
use crate::output::Output;
use crate::paint::Paint;
use crate::screen::Screen;
use crate::since::since;
use crate::table::{Column, Table, printable};

const COUNTS: [(&str, &str); 8] = [
    ("RECEIVED", "received"),
    ("PENDING", "pending"),
    ("PARKED", "parked"),
    ("PUBLISHED", "published"),
    ("FILTERED", "filtered"),
    ("DISCARD", "discarded"),
    ("SUPERS", "superseded"),
    ("DUPL", "duplicate"),
];

pub(crate) fn run(args: &ReconcileArgs) -> Result<Exit> {
    let since = since(args.since.as_deref())?;
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let found = api.document("/api/v1/reconcile", &[("since", since)])?;
    let mut output = Output::standard();
    match args.format {
        Format::Text => output.text(screen(&found, output.paint))?,
        format => output.document(format, &found)?,
    }
    Ok(Exit::well_if(list(&found, "differences").is_empty()))
}

fn screen(found: &Value, paint: Paint) -> String {
    let mut text = Screen::default();
    text.lines(&sums(found).render(paint));
    let (first, entries) = (number(found, "first"), number(found, "entries"));
    let archive = match found["archive"].as_bool() {
        Some(true) => " and with the archive",
        _ => "; the archive was not compared",
    };
    text.line(format_args!(
        "\ncompared with the journal ({}, from message {first}){archive}",
        if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
    ));
    match number(found, "refused") {
        0 => {}
        refused => {
            let frames = counted(refused, "frame");
            text.line(format_args!("{frames} refused since the start, outside the sums"));
        }
    }
    let differences = list(found, "differences");
    if differences.is_empty() {
        text.line(paint.green("no differences"));
    }
    for one in differences {
        let about = match (cell(one, "message"), cell(one, "channel")) {
            (id, _) if !id.is_empty() => format!("message {id}: "),
            (_, channel) if !channel.is_empty() => format!("{channel}: "),
            _ => String::new(),
        };
        let line = printable(&format!("{about}{}", cell(one, "text")));
        text.line(format_args!("{} {line}", paint.red("difference:")));
    }
    match number(found, "more") {
        0 => {}
        more => text.line(format_args!("and {more} more")),
    }
    text.text()
}

/// A column for every state; those that hold nothing anywhere are left out, but for the usual ones.
fn sums(found: &Value) -> Table {
    let channels = list(found, "channels");
    let usual = |name: &str| matches!(name, "received" | "pending" | "parked" | "published");
    let any = |name: &str| channels.iter().any(|channel| number(channel, name) > 0);
    let shown: Vec<_> = COUNTS.iter().filter(|(_, name)| usual(name) || any(name)).collect();
    let titles = shown.iter().map(|(title, _)| Column::right(title));
    let mut table = Table::new([Column::flexible("CHANNEL")].into_iter().chain(titles).collect());
    let mut add = |name: String, counts: &Value| {
        let counts = shown.iter().map(|(_, state)| short(number(counts, state)));
        table.row([name].into_iter().chain(counts).collect());
    };
    for channel in channels {
        add(cell(channel, "name"), channel);
    }
    add("all".to_owned(), found);
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sums_and_differences_fit_on_eighty_columns() {
        let counts = |name: &str| {
            let mut row = json!({ "name": name });
            for (_, state) in COUNTS {
                row[state] = json!(12);
            }
            for state in ["received", "published", "filtered"] {
                row[state] = json!(9_999_999);
            }
            row
        };
        let mut found = counts("all");
        found["channels"] = json!([counts("pathology-oru"), counts("pas-adt")]);
        found["differences"] = json!([{ "message": 7, "channel": null, "text": "parked in one" }]);
        found["entries"] = json!(12);
        found["first"] = json!(1);
        found["archive"] = json!(true);
        let shown = screen(&found, Paint::plain());
        assert!(shown.contains("difference: message 7: parked in one"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(shown.contains("\npas-adt  "), "{shown}");
        assert!(shown.contains("(12 entries, from message 1) and with the archive"), "{shown}");
        found["differences"] = json!([]);
        assert!(screen(&found, Paint::plain()).contains("no differences"));
    }

    #[test]
    fn a_state_that_nothing_is_in_takes_no_column() {
        let found = json!({ "channels": [{ "name": "a", "received": 1, "published": 1 }] });
        let shown = screen(&found, Paint::plain());
        assert!(!shown.contains("SUPERS") && shown.contains("PARKED"), "{shown}");
    }
}
