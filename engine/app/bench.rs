//! `tieline bench`: the reproducible benchmark, on this machine and this disk.
//!
//! The engine runs as a process of its own, as it would; the sender is this process, on the same
//! processors. Compare figures of one run with each other, and with the bare disk above them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use hl7::message::{Message, Reading};
use record::nhs_number::NhsNumber;
use router::config::load;
use router::config::overrides::Overrides;
use router::facts::Facts;
use router::process;
use serde::Serialize;

use crate::arguments::{BenchArgs, Format};
use crate::bench_engine::Running;
use crate::bench_faults;
use crate::control_id::Template;
use crate::exit::Exit;
use crate::latency::Latencies;
use crate::misbehaviour::Manners;
use crate::output::Output;
use crate::rehearsal::{Stage, nobody_known};
use crate::run::runtime;
use crate::sample_world;
use crate::traffic;
use crate::traffic_plan::{Length, Plan, Statistics, Watcher};

/// Patients of the benchmark; their messages are ordered one by one.
const PATIENTS: usize = 2000;
const PATIENCE: Duration = Duration::from_secs(30);
const BLOCK: usize = 1024;
const DISK_BLOCKS: u64 = 4096;

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
}

pub(crate) fn bench(args: &BenchArgs) -> Result<Exit> {
    let folder = match &args.data {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .context("no folder for the measurement can be made")?;
    sample_world::unpack(folder.path())?;
    let messages = messages()?;
    if args.faults {
        let templates: Vec<_> = messages.into_iter().map(Template::new).collect();
        return bench_faults::run(args, folder.path(), &templates);
    }
    let mut figures = bare_disk(folder.path(), args.time)?;
    figures.push(processing(folder.path(), &messages, args.time / 4)?);
    let mut engine = Running::start(folder.path())?;
    figures.push(figure("start to ready", engine.took.as_secs_f64() * 1e3, "ms"));
    figures.push(figure("memory, idle", engine.memory()?, "MiB"));
    let runtime = runtime()?;
    let lone = runtime.block_on(traffic::run(plan(&engine, &messages, 1, args.time), quiet()))?;
    figures.extend(sent("1 connection", &lone));
    runtime.block_on(engine.drain())?;
    let many = plan(&engine, &messages, args.connections, args.time);
    let began = Instant::now();
    let many = runtime.block_on(traffic::run(many, quiet()))?;
    figures.extend(sent("many connections", &many));
    figures.push(figure("memory, loaded", engine.memory()?, "MiB"));
    let published = runtime.block_on(engine.drain())?;
    let seconds = began.elapsed().as_secs_f64();
    figures.push(figure("end to end", count(many.acknowledged_in_all()) / seconds, "messages/s"));
    figures.push(figure("memory, after", engine.memory()?, "MiB"));
    let acknowledged = lone.acknowledged_in_all() + many.acknowledged_in_all();
    engine.stop();
    show(args.format, &figures)?;
    Ok(Exit::well_if(published == acknowledged && lone.all_well() && many.all_well()))
}

fn figure(name: &'static str, value: f64, unit: &'static str) -> Figure {
    Figure { name, value, unit }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

/// What one fdatasync of one block in a zero-filled file costs here: the floor of every durable ACK.
fn bare_disk(folder: &Path, time: Duration) -> Result<Vec<Figure>> {
    let path = folder.join("bare-disk");
    let file = File::create(&path).context("the disk cannot be written")?;
    let block = [0_u8; BLOCK];
    for number in 0..DISK_BLOCKS {
        file.write_all_at(&block, number * BLOCK as u64)?;
    }
    file.sync_all()?;
    let mut latencies = Latencies::default();
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < time / 4 {
        let one = Instant::now();
        file.write_all_at(&[1_u8; BLOCK], (number % DISK_BLOCKS) * BLOCK as u64)?;
        file.sync_data()?;
        latencies.record(one.elapsed());
        number += 1;
    }
    std::fs::remove_file(path)?;
    let median = latencies.per_mille(500).unwrap_or_default();
    Ok(vec![
        figure("bare fdatasync, p50", median.as_secs_f64() * 1e3, "ms"),
        figure("bare fdatasync", count(number) / began.elapsed().as_secs_f64(), "writes/s"),
    ])
}

/// What one message costs one processor from its bytes to its events' bytes.
fn processing(folder: &Path, messages: &[Bytes], time: Duration) -> Result<Figure> {
    let loaded = load::load(&folder.join("channels.yaml"), &Overrides::default())
        .map_err(|failure| anyhow!("the sample configuration: {failure}"))?;
    let stage = Stage::set(loaded)?;
    let channel = stage.channel("pas-adt")?;
    let recorded = jiff::Timestamp::now();
    let (index, _folder) = nobody_known()?;
    let began = Instant::now();
    let mut done = 0_u64;
    for message in messages.iter().cycle() {
        if began.elapsed() > time {
            break;
        }
        let facts = Facts::new(done + 1, recorded);
        let processed = process::process(channel, message.clone(), &facts, &index);
        if processed.events.is_empty() {
            bail!("the admission of the samples makes no event");
        }
        done += 1;
    }
    Ok(figure("message to events", began.elapsed().as_secs_f64() * 1e6 / count(done), "us"))
}

/// Admissions of about 1 KB, each of another patient, made from the first admission of the samples.
fn messages() -> Result<Vec<Bytes>> {
    let samples = sample_world::samples()?;
    let admission = samples
        .iter()
        .find(|sample| {
            sample.channel == "pas-adt"
                && sample.expected.events.iter().any(|event| event == "encounter.admitted")
                && sample.message.windows(6).any(|bytes| bytes == b"^^^NHS")
        })
        .context("the samples hold no admission")?;
    let text = std::str::from_utf8(&admission.message).context("the admission is not UTF-8")?;
    let local = Message::parse(admission.message.clone(), &Reading::default())
        .context("the admission cannot be read")?;
    let pid = local.segment("PID", 1).context("the admission names no patient")?;
    let number = (1..=pid.field(3).map_or(0, |field| field.repetitions().count()))
        .filter_map(|n| pid.field(3)?.repetition(n)?.text(1, 1).into_option())
        .find(|id| !id.starts_with("999"))
        .context("the admission has no local number")?
        .into_owned();
    let mut padded = text.trim_end_matches('\r').to_owned();
    padded.push('\r');
    while padded.len() < 1000 {
        padded.push_str("NTE|1||Synthetic note that brings the message to its usual size.\r");
    }
    let national = (1..=pid.field(3).map_or(0, |field| field.repetitions().count()))
        .filter_map(|n| pid.field(3)?.repetition(n)?.text(1, 1).into_option())
        .find(|id| id.starts_with("999"))
        .context("the admission has no NHS Number")?
        .into_owned();
    // One number for each, since nobody else may have it.
    let one = |patient: usize| {
        let text = padded.replace(&number, &format!("B{patient:07}"));
        Bytes::from(text.replace(&national, &test_number(patient)))
    };
    Ok((0..PATIENTS).map(one).collect())
}

/// A valid number of the test range for a patient; another one where the digits have none.
fn test_number(patient: usize) -> String {
    let valid = |body: usize| {
        let all = (0..10).map(move |check| format!("999{:06}{check}", body % 1_000_000));
        all.into_iter().find(|number| NhsNumber::parse(number).is_ok())
    };
    valid(patient).or_else(|| valid(patient + 500_000)).unwrap_or_default()
}

fn plan(engine: &Running, messages: &[Bytes], connections: usize, time: Duration) -> Plan {
    Plan {
        tls: None,
        manners: Manners::default(),
        to: engine.listener.clone(),
        messages: messages.to_vec(),
        connections,
        window: 1,
        rate: None,
        length: Length::Time(time),
        verbatim: false,
        patience: PATIENCE,
        retries: 0,
    }
}

fn quiet() -> Watcher {
    Arc::new(|_| {})
}

fn sent(name: &'static str, statistics: &Statistics) -> Vec<Figure> {
    let milliseconds =
        |share| statistics.latencies.per_mille(share).unwrap_or_default().as_secs_f64() * 1e3;
    vec![
        figure(name, statistics.rate(), "acknowledged/s"),
        figure("  p50", milliseconds(500), "ms"),
        figure("  p99", milliseconds(990), "ms"),
    ]
}

fn show(format: Format, figures: &[Figure]) -> Result<()> {
    let mut output = Output::standard();
    if format != Format::Text {
        output.document(format, &figures)?;
        return Ok(());
    }
    for figure in figures {
        let Figure { name, value, unit } = figure;
        let decimals = if *value < 100.0 { 2 } else { 0 };
        output.line(format!("{name:<22} {value:>12.decimals$} {unit}"))?;
    }
    Ok(())
}
