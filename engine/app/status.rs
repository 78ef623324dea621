//! `tieline status`: one screen about a running engine; exit code 1 when anything needs a person.

use anyhow::Result;
use jiff::Timestamp;
use serde_json::Value;

use crate::api::Api;
use crate::arguments::Format;
use crate::asking_arguments::StatusArgs;
use crate::cells::{age, bytes, counted, length, list, number, short, time, word};
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
            age(time(status, "started"), now),
        ),
        channels(status, now).render(paint),
        format!("broker    {}", broker(&status["broker"], paint)),
        format!(
            "journal   {} in {} volumes, intake {intake}",
            journal["bytes"].as_u64().map_or_else(|| "-".to_owned(), bytes),
            word(journal, "volumes"),
        ),
        format!("archive   {}", archive(&status["archive"])),
        format!("messages  {}\n", messages(status, now)),
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
        Column::right("HELD"),
        Column::right("PARKED"),
        Column::right("PUBLISHED"),
    ]);
    for channel in list(status, "channels") {
        let paused = if list(channel, "paused").is_empty() { "" } else { " (paused)" };
        let count = |name: &str| channel[name].as_u64().map_or_else(|| "-".to_owned(), short);
        table.row(vec![
            word(channel, "name") + paused,
            word(channel, "connections"),
            age(time(channel, "last"), now),
            count("last_minute"),
            count("received"),
            count("pending"),
            count("held"),
            count("parked"),
            count("published"),
        ]);
    }
    table
}

fn archive(archive: &Value) -> String {
    match archive["lag"].as_i64() {
        None => "-".to_owned(),
        Some(0) => "complete".to_owned(),
        Some(lag) => format!("{} behind", length(lag)),
    }
}

/// What is not done yet, and for how long.
fn messages(status: &Value, now: Timestamp) -> String {
    let oldest = status["oldest_pending"].as_i64();
    let oldest = oldest.map_or_else(String::new, |age| format!(", the oldest for {}", length(age)));
    let mut parts = vec![format!("{} pending{oldest}", word(&status["total"], "pending"))];
    if number(status, "retrying") > 0 {
        let since = age(time(status, "retrying_since"), now);
        parts.push(format!("{} retrying for {since}", number(status, "retrying")));
    }
    if number(status, "held") > 0 {
        parts.push(format!("{} held behind parked ones", number(status, "held")));
    }
    if let Some(parked) = longest_parked(status) {
        parts.push(format!("parked for up to {}", length(parked)));
    }
    if number(status, "refused") > 0 {
        parts.push(format!("{} refused", counted(number(status, "refused"), "frame")));
    }
    parts.join("\n          ")
}

/// How long the message is parked that is parked longest, in seconds.
fn longest_parked(status: &Value) -> Option<i64> {
    list(status, "channels").iter().filter_map(|one| one["oldest_parked"].as_i64()).max()
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
                "pending": 5, "held": 2, "parked": 3, "published": 12_345_675, "refused": 0,
                "last_minute": 12_000, "last": "2026-01-01T11:59:57.000Z", "oldest_parked": 720,
                "paused": ["delivery"],
            }],
            "total": { "pending": 5 }, "oldest_pending": 200, "held": 2, "refused": 1,
            "retrying": 1, "retrying_since": "2026-01-01T11:50:00.000Z", "archive": { "lag": 7 },
            "in_flight": 3,
            "broker": { "kind": "embedded", "connected": true, "unroutable": 0 },
            "journal": { "volumes": 2, "bytes": 134_217_728, "intake_open": true },
            "attention": [],
        });
        let shown = screen(&status, now(), Paint::plain());
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for part in [
            "up 60 min",
            " 3 s ",
            "embedded connected",
            "128 MiB in 2",
            "archive   7 s behind",
            "5 pending, the oldest for 3 min",
            "1 retrying for 10 min",
            "2 held behind parked ones",
            "parked for up to 12 min",
            "1 frame refused",
            "nothing needs",
        ] {
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
