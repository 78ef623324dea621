//! `tieline parked`: what is parked and why, the oldest first.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;

use crate::api::Api;
use crate::arguments::Format;
use crate::cells::{age, cell, counted, list, number, time};
use crate::deciding_arguments::{ParkedArgs, ParkedListArgs, ParkedVerb};
use crate::exit::Exit;
use crate::output::Output;
use crate::paint::Paint;
use crate::screen::Screen;
use crate::table::{Column, Table, printable};
use crate::{parked_decision, parked_edit, show};

pub(crate) fn run(args: &ParkedArgs) -> Result<Exit> {
    match &args.verb {
        None => list_all(&args.list),
        Some(ParkedVerb::Show { id, asking, format }) => show::one(*id, asking, *format),
        Some(ParkedVerb::Release(args)) => parked_decision::release(args),
        Some(ParkedVerb::Skip { one, subscriber }) => {
            parked_decision::skip(one, subscriber.as_deref())
        }
        Some(ParkedVerb::Discard(args)) => parked_decision::discard(args),
        Some(ParkedVerb::Approve { one, edit }) => parked_decision::approve(one, edit),
        Some(ParkedVerb::Withdraw(args)) => parked_decision::withdraw(args),
        Some(ParkedVerb::Edit { id, file, because, .. }) => {
            parked_edit::run(*id, file.as_deref(), because)
        }
    }
}

fn list_all(args: &ParkedListArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let query = [
        ("channel", args.channel.clone()),
        ("reason", args.reason.clone()),
        ("limit", Some(args.limit.to_string())),
    ];
    print(&api.document("/api/v1/parked", &query)?, args.format)?;
    Ok(Exit::Well)
}

/// What `/api/v1/parked` answered.
pub(crate) fn print(found: &Value, format: Format) -> Result<()> {
    let mut output = Output::standard();
    match format {
        Format::Text => output.text(screen(found, Timestamp::now(), output.paint))?,
        Format::Json => output.document(Format::Json, found)?,
        Format::Ndjson => {
            let mut rows = list(found, "parked").iter();
            rows.try_for_each(|row| output.document(Format::Ndjson, row))?;
        }
    }
    Ok(())
}

fn screen(found: &Value, now: Timestamp, paint: Paint) -> String {
    let (rows, total) = (list(found, "parked"), number(found, "total"));
    if total == 0 {
        return "nothing is parked\n".to_owned();
    }
    let mut text = Screen::default();
    text.line(format_args!("{total} parked"));
    for (reason, count) in by_count(&found["reasons"]) {
        text.line(format_args!("{count:>8}  {}", printable(&reason)));
    }
    text.line("");
    text.lines(&table(rows, now).render(paint));
    if (rows.len() as u64) < total {
        text.line(format_args!("the oldest {} of {total}; --limit N shows more", rows.len()));
    }
    for row in rows.iter().filter(|row| !row["edit_by"].is_null()) {
        let (id, editor) = (cell(row, "id"), printable(&cell(row, "edit_by")));
        text.line(format_args!("{id}: an edit by {editor} waits for a second person's approval"));
    }
    let behind: u64 = rows.iter().map(|row| number(row, "held")).sum();
    if behind > 0 {
        text.line(format_args!("{} behind them, in order", waiting(behind)));
    }
    text.line("\ntieline parked show ID says more; release, edit or discard with --reason");
    text.text()
}

fn waiting(count: u64) -> String {
    let verb = if count == 1 { "waits" } else { "wait" };
    format!("{} {verb}", counted(count, "message"))
}

/// The most frequent first.
fn by_count(reasons: &Value) -> Vec<(String, u64)> {
    let reasons = reasons.as_object().into_iter().flatten();
    let mut all: Vec<_> = reasons
        .map(|(reason, count)| (reason.clone(), count.as_u64().unwrap_or_default()))
        .collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    all
}

fn table(rows: &[Value], now: Timestamp) -> Table {
    let mut table = Table::new(vec![
        Column::right("ID"),
        Column::right("PARKED"),
        Column::flexible("CHANNEL"),
        Column::left("TYPE"),
        Column::flexible("CONTROL ID"),
        Column::flexible("REASON"),
        Column::right("BEHIND"),
    ]);
    for row in rows {
        table.row(vec![
            cell(row, "id"),
            age(time(row, "parked"), now),
            cell(row, "channel"),
            cell(row, "type"),
            cell(row, "control_id"),
            cell(row, "reason"),
            cell(row, "held"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reasons_ages_and_what_waits_are_on_eighty_columns() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        let row = |id: u64, editor: Value| {
            json!({
                "id": id, "channel": "community-adt-of-a-long-name", "type": "ADT^A60",
                "parked": "2026-01-31T11:30:00.000Z", "control_id": "C".repeat(40),
                "reason": "identity.two-numbers", "held": 2, "edit_by": editor,
                "detail": "may quote", "received": "2026-01-31T11:30:00.000Z",
            })
        };
        let found = json!({
            "parked": [row(7, json!("ann")), row(8, Value::Null)],
            "reasons": { "a.few": 1, "identity.two-numbers": 2 },
            "total": 3,
        });
        let shown = screen(&found, now, Paint::plain());
        for part in [
            "3 parked\n       2  identity.two-numbers\n       1  a.few\n",
            "30 min",
            "the oldest 2 of 3",
            "7: an edit by ann waits",
            "4 messages wait behind them",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(!shown.contains("may quote"), "details may quote the message: {shown}");
        let none = json!({ "parked": [], "reasons": {}, "total": 0 });
        assert_eq!(screen(&none, now, Paint::plain()), "nothing is parked\n");
    }
}
