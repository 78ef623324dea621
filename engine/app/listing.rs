//! Messages as `messages` and `trace` list them.

use std::io::{self, Write};

use anyhow::Result;
use serde_json::Value;

use crate::api::Lines;
use crate::arguments::Format;
use crate::cells::{cell, length, time_of_day};
use crate::output::Output;
use crate::table::{Column, Table};

/// Prints the answer to a search; the text form with this table.
pub(crate) fn print(lines: Lines, format: Format, table: fn(&[Value]) -> Table) -> Result<usize> {
    let mut output = Output::standard();
    warn_of_lag(lines.lag)?;
    if format == Format::Ndjson {
        let mut count = 0;
        for row in lines {
            output.line(row?)?;
            count += 1;
        }
        return Ok(count);
    }
    let rows = lines.rows()?;
    match format {
        Format::Json => output.document(Format::Json, &rows)?,
        _ if rows.is_empty() => output.line("no message")?,
        _ => output.text(table(&rows).render(output.paint))?,
    }
    Ok(rows.len())
}

/// What is not complete says so.
pub(crate) fn warn_of_lag(lag: Option<u64>) -> Result<()> {
    if let Some(seconds) = lag {
        let behind = length(i64::try_from(seconds).unwrap_or(i64::MAX));
        writeln!(
            io::stderr(),
            "the archive is {behind} behind: what came since then may be missing or shown as it was"
        )?;
    }
    Ok(())
}

/// What became of it, in one word: what a pending one waits for.
pub(crate) fn state(row: &Value) -> String {
    match (cell(row, "state").as_str(), cell(row, "detail").as_str()) {
        ("pending", waits @ ("held" | "retrying")) => waits.to_owned(),
        (state, _) => state.to_owned(),
    }
}

/// Who the messages are about is not shown: the machine form has it for those who must know.
pub(crate) fn table(rows: &[Value]) -> Table {
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
            state(row),
            reason(row),
        ]);
    }
    table
}

/// The reason code, or which other message it is about.
fn reason(row: &Value) -> String {
    let about = [("duplicate_of", "of"), ("superseded_by", "by"), ("edit_of", "edit of")];
    let code = cell(row, "reason");
    let other = about.iter().find_map(|(name, word)| {
        let id = row.get(*name).and_then(Value::as_u64)?;
        Some(format!("{word} {id}"))
    });
    match other {
        Some(other) if code.is_empty() => other,
        Some(other) => format!("{other} {code}"),
        None => code,
    }
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
    fn what_it_waits_for_and_what_it_is_about_are_said() {
        let held = json!({ "state": "pending", "detail": "held" });
        assert_eq!(state(&held), "held");
        assert_eq!(state(&json!({ "state": "pending", "detail": "queued" })), "pending");
        assert_eq!(state(&json!({ "state": "parked", "detail": "held" })), "parked");
        assert_eq!(reason(&json!({ "duplicate_of": 3, "reason": null })), "of 3");
        assert_eq!(reason(&json!({ "edit_of": 3, "reason": "structure" })), "edit of 3 structure");
    }
}
