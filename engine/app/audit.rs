//! `tieline audit`: who decided what, and why.

use anyhow::Result;
use serde_json::Value;

use crate::api::Api;
use crate::arguments::Format;
use crate::asking_arguments::AuditArgs;
use crate::cells::{cell, time_of_day};
use crate::exit::Exit;
use crate::output::Output;
use crate::since::since;
use crate::table::{Column, Table};

pub(crate) fn run(args: &AuditArgs) -> Result<Exit> {
    let since = since(args.since.as_deref())?;
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let query = [("since", since), ("limit", Some(args.limit.to_string()))];
    let found = api.document("/api/v1/audit", &query)?;
    let rows = found.as_array().map_or(&[][..], Vec::as_slice);
    let mut output = Output::standard();
    match args.format {
        Format::Json => output.document(Format::Json, &rows)?,
        Format::Ndjson => rows.iter().try_for_each(|row| output.document(Format::Ndjson, row))?,
        Format::Text if rows.is_empty() => output.line("nobody decided anything")?,
        Format::Text => output.text(table(rows).render(output.paint))?,
    }
    Ok(Exit::Well)
}

fn table(rows: &[Value]) -> Table {
    let mut table = Table::new(vec![
        Column::left("WHEN"),
        Column::flexible("WHO"),
        Column::left("WHAT"),
        Column::right("MESSAGE"),
        Column::flexible("CHANNEL"),
        Column::flexible("WHY"),
    ]);
    for row in rows {
        table.row(vec![
            time_of_day(&cell(row, "at")),
            cell(row, "actor"),
            cell(row, "action"),
            cell(row, "message"),
            cell(row, "channel"),
            cell(row, "reason"),
        ]);
    }
    table
}
