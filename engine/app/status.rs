//! `tieline status`: one screen about a running engine; exit code 1 when anything needs a person.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;

use crate::api::Api;
use crate::arguments::{Format, StatusArgs};
use crate::exit::Exit;
use crate::output::Output;
use crate::paint::Paint;
use crate::table::{Column, Table};

pub(crate) fn run(args: &StatusArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let status = api.document("/api/v1/status", &[])?;
    let mut output = Output::standard();
    match args.format {
        Format::Text => output.text(screen(&status, Timestamp::now(), output.paint))?,
        format => output.document(format, &status)?,
    }
    Ok(Exit::well_if(attention(&status).is_empty()))
}

/// What needs a person, in the engine's own words.
fn attention(status: &Value) -> Vec<String> {
    list(status, "attention").iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

fn screen(status: &Value, now: Timestamp, paint: Paint) -> String {
    let journal = &status["journal"];
    let intake = match journal["intake_open"].as_bool() {
        Some(true) => paint.green("open"),
        Some(false) => paint.red("closed"),
        None => "-".to_owned(),
    };
    let mut lines = vec![
        format!(
            "tieline {}  configuration {}  up {}\n",
            word(status, "version"),
            word(status, "configversion"),
            age(timestamp(&status["started"]), now),
        ),
        channels(status, now).render(paint),
        format!("broker    {}", broker(&status["broker"], paint)),
        format!(
            "journal   {} in {} volumes, intake {intake}",
            journal["bytes"].as_u64().map_or_else(|| "-".to_owned(), bytes),
            word(journal, "volumes"),
        ),
        format!(
            "messages  {} pending{}, {} in memory\n",
            word(&status["total"], "pending"),
            status["oldest_pending"]
                .as_i64()
                .map_or_else(String::new, |seconds| format!(" (the oldest for {seconds} s)")),
            word(status, "in_flight"),
        ),
    ];
    let needed = attention(status);
    if needed.is_empty() {
        lines.push(paint.green("nothing needs a person"));
    }
    lines.extend(needed.iter().map(|one| format!("{} {one}", paint.red("needs a person:"))));
    lines.join("\n") + "\n"
}

fn channels(status: &Value, now: Timestamp) -> Table {
    let mut table = Table::new(vec![
        Column::flexible("CHANNEL"),
        Column::right("PEERS"),
        Column::right("LAST"),
        Column::right("/MIN"),
        Column::right("RECEIVED"),
        Column::right("PENDING"),
        Column::right("PARKED"),
        Column::right("PUBLISHED"),
        Column::right("REFUSED"),
    ]);
    for channel in list(status, "channels") {
        table.row(vec![
            word(channel, "name"),
            word(channel, "connections"),
            age(last_received(channel), now),
            word(channel, "last_minute"),
            word(channel, "received"),
            word(channel, "pending"),
            word(channel, "parked"),
            word(channel, "published"),
            word(channel, "refused"),
        ]);
    }
    table
}

/// Milliseconds since 1970, 0 for never.
fn last_received(channel: &Value) -> Option<Timestamp> {
    let milliseconds = channel["last_received"].as_i64().filter(|&time| time > 0)?;
    Timestamp::from_millisecond(milliseconds).ok()
}

fn timestamp(time: &Value) -> Option<Timestamp> {
    time.as_str()?.parse().ok()
}

fn broker(broker: &Value, paint: Paint) -> String {
    let kind = word(broker, "kind");
    let state = match broker["connected"].as_bool() {
        Some(true) => paint.green("connected"),
        Some(false) => paint.red("away"),
        None => "-".to_owned(),
    };
    match broker["unroutable"].as_u64() {
        None | Some(0) => format!("{kind} {state}"),
        Some(count) => format!("{kind} {state}, {}", paint.red(&format!("{count} unroutable"))),
    }
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn word(value: &Value, name: &str) -> String {
    match value.get(name) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// How long ago a time was: `3 s`, `12 min`, `5 h`, `2 d`.
fn age(time: Option<Timestamp>, now: Timestamp) -> String {
    let Some(time) = time else { return "-".to_owned() };
    let seconds = now.as_second().saturating_sub(time.as_second()).max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0..1_048_576 => format!("{} KiB", count >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", count >> 20),
        _ => format!("{} GiB", count >> 30),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().expect("a time")
    }

    #[test]
    fn one_screen_within_eighty_columns() {
        let status = json!({
            "version": "0.1.0", "configversion": "0123456789ab",
            "started": "2026-01-01T11:00:00Z",
            "channels": [{
                "name": "community-adt-of-a-long-name", "connections": 12, "received": 12_345_678,
                "pending": 0, "parked": 3, "published": 12_345_675, "refused": 0,
                "last_received": 1_767_268_797_000_i64,
            }],
            "total": { "pending": 5 },
            "in_flight": 5,
            "broker": { "kind": "embedded", "connected": true, "unroutable": 0 },
            "journal": { "volumes": 2, "bytes": 134_217_728, "intake_open": true },
            "attention": [],
        });
        let shown = screen(&status, now(), Paint::plain());
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for part in ["up 60 min", " 3 s ", "embedded connected", "128 MiB in 2", "nothing needs"] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
    }

    #[test]
    fn whatever_needs_a_person_is_said_and_is_not_well() {
        let parked = json!({ "attention": ["3 messages are parked in pas-adt"] });
        assert_eq!(attention(&parked).len(), 1);
        assert!(screen(&parked, now(), Paint::plain()).contains("needs a person: 3 messages"));
        assert!(attention(&json!({})).is_empty());
    }
}
