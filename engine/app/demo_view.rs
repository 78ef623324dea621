//! What a visitor of the demonstration sees. Its people are invented, so they may be shown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use bytes::Bytes;
use router::found::Row;
use router::ledger::Ledger;
use router::sums::Counts;
use serde::Deserialize;

use crate::output::{Output, OutputError};
use crate::paint::Paint;
use crate::sample_world::{Expected, Sample};
use crate::table::{Column, Table};

/// A sample that was played.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) channel: String,
    pub(crate) file: String,
    pub(crate) expected: Expected,
    pub(crate) found: Expected,
}

impl Played {
    pub(crate) fn as_expected(&self) -> bool {
        self.expected == self.found
    }
}

/// The part of a CloudEvents event that a line shows.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope {
    #[serde(rename = "type")]
    event_type: String,
    subject: Option<String>,
    localid: Option<String>,
    time: String,
    #[serde(default)]
    pub(crate) correlationid: String,
}

impl Envelope {
    pub(crate) fn read(event: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(event)
    }

    /// `encounter.admitted` of `uk.nhs.sharedrecord.encounter.admitted.v1`.
    pub(crate) fn short_type(&self) -> String {
        let mut parts: Vec<&str> = self.event_type.rsplit('.').skip(1).take(2).collect();
        parts.reverse();
        parts.join(".")
    }

    /// The NHS Number as people read it, or the local identifier.
    fn whom(&self) -> String {
        match (&self.subject, &self.localid) {
            (Some(number), _) if number.len() == 10 && number.is_ascii() => {
                format!("{} {} {}", &number[..3], &number[3..6], &number[6..])
            }
            (Some(number), _) => number.clone(),
            (None, Some(local)) => format!("{local} (no NHS Number)"),
            (None, None) => "nobody".to_owned(),
        }
    }
}

pub(crate) fn welcome(
    output: &mut Output,
    console: SocketAddr,
    listeners: &BTreeMap<String, SocketAddr>,
    data: &Path,
) -> Result<(), OutputError> {
    let paint = output.paint;
    output.line(paint.bold("Tieline: HL7 v2 in, NHS Number-keyed shared-record events out"))?;
    output.line("A fictional trust, a community trust and a council; every person is invented.")?;
    output.line("")?;
    for (channel, address) in listeners {
        output.line(format!("  {channel:<15} mllp {address}"))?;
    }
    output.line(format!("  {:<15} http://{console}/metrics", "metrics"))?;
    output.line(format!("  {:<15} {}", "data", data.display()))?;
    output.line("")
}

/// One sample: what came, what was answered, what became of it.
pub(crate) fn show(
    output: &mut Output,
    sample: &Sample,
    answer: &str,
    row: Option<&Row>,
    events: &[Bytes],
) -> Result<()> {
    let paint = output.paint;
    let name = sample.file.trim_end_matches(".hl7");
    let code = if answer == "AA" { paint.green(answer) } else { paint.red(answer) };
    let kind = row.map_or("", |row| row.message_type.as_str());
    output.line(format!("{:<14} {kind:<8} {code}  {}", sample.channel, paint.faint(name)))?;
    match row {
        Some(row) if row.events == 0 => {
            let why = match (row.state.as_str(), row.reason.as_deref()) {
                ("pending", _) => "held: a message of this patient is parked before it".to_owned(),
                (state, Some(reason)) => format!("{state}: {reason}"),
                (state, None) => state.to_owned(),
            };
            output.line(format!("{:>26}  {}", "", paint.yellow(&why)))?;
        }
        None => output.line(format!("{:>26}  {}", "", paint.red("refused, bytes kept")))?,
        Some(_) => show_events(output, events)?,
    }
    Ok(())
}

/// One line an event.
pub(crate) fn show_events(output: &mut Output, events: &[Bytes]) -> Result<()> {
    for event in events {
        let event = Envelope::read(event)?;
        let kind = output.paint.bold(&event.short_type());
        output.line(format!("{:>26}  {kind}  {}  {}", "->", event.whom(), event.time))?;
    }
    Ok(())
}

/// The sum, on standard error: parked and refused samples, the ledger, one person's story, what
/// differs.
pub(crate) fn sum_up(played: &[Played], ledger: &Ledger, story: &str) -> Result<()> {
    let mut text = String::new();
    let mut table = Table::new(vec![
        Column::left("CHANNEL"),
        Column::right("RECEIVED"),
        Column::right("PUBLISHED"),
        Column::right("FILTERED"),
        Column::right("PARKED"),
        Column::right("HELD"),
        Column::right("DUPLICATE"),
        Column::right("EVENTS"),
    ]);
    let total = ledger.total();
    let rows = ledger.channels.iter().map(|(name, book)| (name.as_str(), &book.total));
    for (name, sums) in rows.chain([("all", &total)]) {
        let (events, counts) = (sums.events, sums.counts);
        let waiting = counts.pending;
        let Counts { received, published, filtered, parked, duplicate, .. } = counts;
        let counts = [received, published, filtered, parked, waiting, duplicate, events];
        let counts = counts.iter().map(ToString::to_string);
        table.row([name.to_owned()].into_iter().chain(counts).collect());
    }
    write!(text, "\n{}", table.render(Paint::new(false)))?;
    text.push_str("\nKept for a person, waiting behind one that is, or refused:\n");
    for sample in played.iter().filter(|p| p.is_kept()) {
        let reason = sample.found.reason.as_deref().unwrap_or("");
        let (channel, file) = (&sample.channel, &sample.file);
        let state = if sample.found.state == "pending" { "held" } else { &sample.found.state };
        writeln!(text, "  {state:<8} {reason:<24} {channel}/{file}")?;
    }
    text.push_str(story);
    let different: Vec<_> = played.iter().filter(|p| !p.as_expected()).collect();
    for sample in &different {
        let (channel, file) = (&sample.channel, &sample.file);
        write!(
            text,
            "\nnot as expected: {channel}/{file}\n  expected {:?}\n  found    {:?}\n",
            sample.expected, sample.found
        )?;
    }
    let balance = if total.counts.balance() { "balances" } else { "DOES NOT BALANCE" };
    let well = played.len() - different.len();
    write!(
        text,
        "\nthe ledger {balance}; {well} of {} samples became what was expected\n",
        played.len()
    )?;
    io::stderr().write_all(text.as_bytes()).map_err(OutputError::from)?;
    Ok(())
}

pub(crate) fn farewell(
    output: &mut Output,
    console: SocketAddr,
    listeners: &BTreeMap<String, SocketAddr>,
    data: &Path,
) -> Result<(), OutputError> {
    let pas = listeners.get("pas-adt").map(ToString::to_string).unwrap_or_default();
    let data = data.display();
    output.line("\nThe engine stays up. From another terminal:")?;
    output.line(format!("  tieline send --to {pas} FILE..."))?;
    output.line(format!("  tieline parked --url http://{console} --data {data}"))?;
    output.line("Ctrl-C ends it and removes the temporary folder.\n")
}
