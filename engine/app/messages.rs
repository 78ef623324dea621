//! `tieline messages`: what was accepted, and the state each message is in.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::api::Api;
use crate::argument_values::duration;
use crate::arguments::{Format, MessagesArgs};
use crate::exit::Exit;
use crate::output::Output;
use crate::table::{Column, Table};

const PATH: &str = "/api/v1/messages";

pub(crate) fn run(args: &MessagesArgs) -> Result<Exit> {
    let since = args.since.as_deref().map(|text| point_in_time(text, Timestamp::now()));
    let since = since.transpose()?.map(|time| time.to_string());
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let query = [
        ("limit", Some(args.limit.to_string())),
        ("state", args.state.clone()),
        ("channel", args.channel.clone()),
        ("since", since),
    ];
    let rows = api.lines(PATH, &query)?;

    let mut output = Output::standard();
    if args.format == Format::Ndjson {
        for row in rows {
            output.line(row?)?;
        }
        return Ok(Exit::Well);
    }
    let rows = rows
        .map(|row| serde_json::from_str(&row?).context("a row is not JSON"))
        .collect::<Result<Vec<Value>>>()?;
    match args.format {
        Format::Json => output.document(Format::Json, &rows)?,
        _ => output.text(table(&rows).render(output.paint))?,
    }
    Ok(Exit::Well)
}

/// Who the messages are about is not shown: the machine form has it for those who must know.
fn table(rows: &[Value]) -> Table {
    let mut table = Table::new(vec![
        Column::right("ID"),
        Column::left("RECEIVED"),
        Column::flexible("CHANNEL"),
        Column::left("TYPE"),
        Column::flexible("CONTROL ID"),
        Column::left("STATE"),
        Column::flexible("REASON"),
    ]);
    for row in rows {
        table.row(vec![
            cell(row, "id"),
            time_of_day(&cell(row, "received")),
            cell(row, "channel"),
            cell(row, "type"),
            cell(row, "control_id"),
            cell(row, "state"),
            cell(row, "reason"),
        ]);
    }
    table
}

fn cell(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// `01-31 12:00:00` in this machine's zone: the year is rarely in doubt, the column is narrow.
fn time_of_day(received: &str) -> String {
    match received.parse::<Timestamp>() {
        Ok(time) => time.to_zoned(TimeZone::system()).strftime("%m-%d %H:%M:%S").to_string(),
        Err(_) => received.to_owned(),
    }
}

/// A time, or an age counted back from now.
fn point_in_time(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(age) = duration(text) {
        return before(now, age);
    }
    text.parse().with_context(|| {
        format!("\"{text}\" is neither a time (2026-01-01T12:00:00Z) nor an age (30m, 2h, 1d)")
    })
}

fn before(now: Timestamp, age: Duration) -> Result<Timestamp> {
    now.checked_sub(age).context("the age reaches back before all time")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::paint::Paint;

    #[test]
    fn the_table_shows_the_state_and_no_patient() {
        let row = json!({
            "id": 7, "channel": "pas-adt", "received": "not a time", "control_id": "M1",
            "type": "ADT^A01", "state": "parked", "reason": "trigger.unknown",
            "nhs_number": "9990000018", "local_ids": ["RXX01|MR|1"],
        });
        let shown = table(&[row]).render(Paint::plain());
        assert_eq!(
            shown,
            "ID  RECEIVED    CHANNEL  TYPE     CONTROL ID  STATE   REASON\n \
             7  not a time  pas-adt  ADT^A01  M1          parked  trigger.unknown\n"
        );
        assert!(shown.lines().all(|line| line.chars().count() <= 80));
    }

    #[test]
    fn since_is_a_time_or_an_age() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let at = |text| point_in_time(text, now).expect("understood").to_string();
        assert_eq!(at("2h"), "2026-01-01T10:00:00Z");
        assert_eq!(at("2025-12-31T00:00:00Z"), "2025-12-31T00:00:00Z");
        assert!(point_in_time("yesterday", now).is_err());
    }
}
