//! `tieline bench --faults`: whether every positive answer holds on this machine and this disk while
//! the engine is killed, stopped and frozen under load. `tests/conservation.rs` does more, with a
//! broker and a disk of its own; this needs nothing but the program.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hl7::acknowledgement::{AckCode, ReadAck};
use rustix::process::Signal;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::arguments::{Asking, BenchArgs, Configuration, Format};
use crate::bench_books::{Differences, Entry, compare};
use crate::bench_engine::Running;
use crate::control_id::Template;
use crate::exit::Exit;
use crate::mllp_client::Sender;
use crate::output::Output;
use crate::run::runtime;

/// Patients of one connection; each has all its messages through it, in order.
const PATIENTS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(10);
/// The engine is away: how long until the next attempt to connect.
const RETRY: Duration = Duration::from_millis(20);
/// How long the last answers may take.
const ANSWERED_BY: Duration = Duration::from_mins(1);
/// The engine runs in peace for so long between two faults, in milliseconds.
const PEACE: std::ops::Range<u64> = 300..1500;
const FROZEN: std::ops::Range<u64> = 500..1500;
const PAGE: u64 = 500;

/// What was done and what came of it.
#[derive(Debug, Default, Serialize)]
struct Report {
    seconds: f64,
    sent: usize,
    acknowledged: usize,
    /// Sent again for want of an answer.
    resent: u64,
    events: usize,
    killed: u32,
    stopped: u32,
    frozen: u32,
    #[serde(flatten)]
    differences: Differences,
}

/// What one connection did.
#[derive(Debug, Default)]
struct Line {
    sent: BTreeSet<Entry>,
    answered: BTreeSet<Entry>,
    resent: u64,
    refused: usize,
}

pub(crate) fn run(args: &BenchArgs, folder: &Path, templates: &[Template]) -> Result<Exit> {
    let mut report = Report::default();
    let runtime = runtime()?;
    let (engine, lines) = runtime.block_on(under_fire(args, folder, templates, &mut report))?;
    runtime.block_on(engine.drain())?;
    let api = Api::find(&asking(folder, &engine))?.context("the engine is not found")?;
    let published = published(&api)?;
    let all = |of: fn(&Line) -> &BTreeSet<Entry>| lines.iter().flat_map(of).copied().collect();
    let (sent, answered) = (all(|line| &line.sent), all(|line| &line.answered));
    report.differences = compare(&sent, &answered, &published);
    report.differences.refused = lines.iter().map(|line| line.refused).sum();
    report.differences.unbalanced = unbalanced(&api.document("/api/v1/status", &[])?);
    report.sent = sent.len();
    report.acknowledged = answered.len();
    report.resent = lines.iter().map(|line| line.resent).sum();
    report.events = published.len();
    show(args.format, &report)?;
    Ok(Exit::well_if(report.differences == Differences::default()))
}

/// Senders on one side, faults on the other, for as long as was asked.
async fn under_fire(
    args: &BenchArgs,
    folder: &Path,
    templates: &[Template],
    report: &mut Report,
) -> Result<(Running, Vec<Line>)> {
    let mut engine = Running::start(folder)?;
    let (address, at) = watch::channel(engine.listener.clone());
    let mut senders = JoinSet::new();
    for number in 0..u32::try_from(args.connections).unwrap_or(u32::MAX) {
        senders.spawn(send(number, templates.to_vec(), at.clone()));
    }
    let began = Instant::now();
    while began.elapsed() < args.time {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(PEACE))).await;
        match fastrand::u32(0..6) {
            0 => {
                report.frozen += 1;
                engine.signal(Signal::STOP)?;
                tokio::time::sleep(Duration::from_millis(fastrand::u64(FROZEN))).await;
                engine.signal(Signal::CONT)?;
            }
            1 => {
                report.stopped += 1;
                engine.signal(Signal::TERM)?;
                engine.ended()?;
                engine = Running::start(folder)?;
                address.send_replace(engine.listener.clone());
            }
            _ => {
                report.killed += 1;
                engine.stop();
                engine = Running::start(folder)?;
                address.send_replace(engine.listener.clone());
            }
        }
    }
    // Nobody begins a new message; each waits for the answer to its last.
    drop(address);
    let answered = tokio::time::timeout(ANSWERED_BY, senders.join_all()).await;
    let lines = answered.with_context(|| format!("no answers within {ANSWERED_BY:?}"))?;
    report.seconds = began.elapsed().as_secs_f64();
    Ok((engine, lines))
}

/// One connection: stop and wait, and the same bytes again until they are answered. Ends when the
/// addresses do.
async fn send(number: u32, templates: Vec<Template>, address: watch::Receiver<String>) -> Line {
    let mut line = Line::default();
    let mut socket = None;
    for turn in 0.. {
        if address.has_changed().is_err() {
            break;
        }
        let patient = number * PATIENTS + turn % PATIENTS;
        let entry = Entry { patient, sequence: turn / PATIENTS + 1 };
        let template = &templates[patient as usize % templates.len()];
        let message = template.with_control_id(&entry.control_id());
        line.sent.insert(entry);
        loop {
            let mut sender = if let Some(sender) = socket.take() {
                sender
            } else {
                let Some(sender) = connect(&address).await else {
                    tokio::time::sleep(RETRY).await;
                    continue;
                };
                sender
            };
            match sender.send(&message).await {
                Ok(ReadAck { code: AckCode::AA | AckCode::CA, .. }) => {
                    line.answered.insert(entry);
                    socket = Some(sender);
                    break;
                }
                Ok(_) => {
                    line.refused += 1;
                    socket = Some(sender);
                    break;
                }
                Err(_) => line.resent += 1,
            }
        }
    }
    line
}

async fn connect(address: &watch::Receiver<String>) -> Option<Sender> {
    let to = address.borrow().clone();
    Sender::connect(&to, PATIENCE).await.ok()
}

fn asking(folder: &Path, engine: &Running) -> Asking {
    let configuration = Configuration {
        config: folder.join("channels.yaml"),
        data: Some(folder.join("data")),
        set: Vec::new(),
    };
    Asking { configuration, url: Some(format!("http://{}", engine.console)) }
}

/// Every event, in publishing order, by the message it was made from.
fn published(api: &Api) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let query = [("after", cursor.clone()), ("limit", Some(PAGE.to_string()))];
        let mut page = api.lines("/api/v1/events", &query)?;
        let behind = page.cursor.take();
        let before = found.len();
        for line in page {
            let event: Value = serde_json::from_str(&line?).context("an event is not JSON")?;
            let control_id = event.get("correlationid").and_then(Value::as_str);
            found.extend(control_id.and_then(Entry::of));
        }
        if found.len() == before || behind.is_none() || behind == cursor {
            return Ok(found);
        }
        cursor = behind;
    }
}

/// How far `received` is from the sum of the states.
fn unbalanced(status: &Value) -> u64 {
    let sum = |name: &str| status["total"][name].as_u64().unwrap_or_default();
    let states =
        ["pending", "parked", "published", "filtered", "discarded", "superseded", "duplicate"];
    sum("received").abs_diff(states.iter().map(|state| sum(state)).sum())
}

fn show(format: Format, report: &Report) -> Result<()> {
    let mut output = Output::standard();
    if format != Format::Text {
        output.document(format, report)?;
        return Ok(());
    }
    let Report { differences, .. } = report;
    let Differences { lost, refused, invented, out_of_order, repeated, unbalanced } = differences;
    output.line(format!(
        "{} messages sent, {} acknowledged, {} sent again, {} events, in {:.0} s",
        report.sent, report.acknowledged, report.resent, report.events, report.seconds
    ))?;
    output.line(format!(
        "killed {} times, stopped {} times, frozen {} times",
        report.killed, report.stopped, report.frozen
    ))?;
    output.line(if *differences == Differences::default() {
        "every acknowledged message was published, once and in order; the ledger balances".into()
    } else {
        format!(
            "BROKEN: {lost} lost, {refused} refused, {invented} invented, {out_of_order} out of \
             order, {repeated} repeated, {unbalanced} not in the ledger"
        )
    })?;
    Ok(())
}
