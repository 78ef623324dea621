//! What the identity index answers, for people.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;

use crate::cells::{cell, counted, list, number};
use crate::output::Output;
use crate::table::{Column, Table, printable};

/// Everything that is held of a patient, a line each.
pub(crate) fn known(output: &mut Output, known: &Value) -> Result<()> {
    let Some(known) = known.as_object() else { return Ok(()) };
    for (name, value) in known {
        let name = name.replace('_', " ");
        match value {
            Value::Null => {}
            Value::Array(rows) if rows.is_empty() => {}
            Value::Object(part) if part.is_empty() => {}
            Value::Array(rows) => {
                for (at, row) in rows.iter().enumerate() {
                    let name = if at == 0 { name.as_str() } else { "" };
                    output.line(format!("{name:<16} {}", words(row)))?;
                }
            }
            other => output.line(format!("{name:<16} {}", words(other)))?,
        }
    }
    Ok(())
}

/// A value in a line: `number 9990000018, status 01`.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Object(parts) => {
            let said = |(name, value): (&String, &Value)| {
                let words = moment(name, value).unwrap_or_else(|| words(value));
                let name = name.trim_end_matches("_ms").replace('_', " ");
                (!words.is_empty()).then(|| format!("{name} {words}"))
            };
            parts.iter().filter_map(said).collect::<Vec<_>>().join(", ")
        }
        Value::Array(rows) => rows.iter().map(words).collect::<Vec<_>>().join("; "),
        other => other.to_string(),
    }
}

/// Milliseconds since 1970 as a time.
fn moment(name: &str, value: &Value) -> Option<String> {
    let at = value.as_i64().filter(|_| name.ends_with("_ms"))?;
    Some(Timestamp::from_millisecond(at).ok()?.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// What happened, the oldest first.
pub(crate) fn history(output: &mut Output, found: &Value) -> Result<()> {
    let columns = ["time", "source", "message", "by", "what"].map(Column::left);
    let mut table = Table::new(columns.into());
    for row in list(found, "history") {
        let time = moment("at_ms", &row["at_ms"]).unwrap_or_default();
        let message = Some(number(row, "message_id")).filter(|id| *id > 0);
        table.row(vec![
            time,
            printable(&cell(row, "source")),
            message.map(|id| id.to_string()).unwrap_or_default(),
            printable(&cell(row, "actor")),
            words(&row["what"]),
        ]);
    }
    let text = table.render(output.paint);
    output.text(text)?;
    Ok(())
}

/// What a load did, or would do.
pub(crate) fn report(output: &mut Output, report: &Value, dry_run: bool) -> Result<()> {
    let would = if dry_run { "would be taken" } else { "taken" };
    let (rows, taken) = (number(report, "rows"), number(report, "taken"));
    output.line(format!(
        "{}: {taken} {would}, {} held already",
        counted(rows, "row"),
        number(report, "unchanged")
    ))?;
    for conflict in list(report, "conflicts") {
        let (line, code) = (cell(conflict, "line"), printable(&cell(conflict, "code")));
        output.line(format!("line {line}: {code}"))?;
    }
    if let Some(counts) = report["counts"].as_object().filter(|counts| !counts.is_empty()) {
        output.line("not taken, by reason:")?;
        for (code, count) in counts {
            output.line(format!("{count:>8}  {}", printable(code)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_reads_as_words() {
        let held = json!({ "number": "9990000018", "status": null, "since_ms": 0 });
        assert_eq!(words(&held), "number 9990000018, since 1970-01-01 00:00:00Z");
        assert_eq!(words(&json!(["a", { "b": true }])), "a; b true");
    }
}
