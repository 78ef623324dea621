//! `tieline demo`: the whole line on the sample world, in a temporary folder.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use archive::page::Page;
use archive::query::Query;
use bytes::Bytes;
use hl7::header::Header;
use router::config::load::{self, Loaded};
use router::config::overrides::Overrides;
use router::entry::State;
use router::feed::Cursor;
use router::found::Row;
use router::handle::Handle;
use tokio::time::{Instant, sleep, timeout};

use crate::arguments::DemoArgs;
use crate::demo_story::story;
use crate::demo_view::{self, Played};
use crate::exit::Exit;
use crate::mllp_client::{SendError, Sender};
use crate::output::Output;
use crate::problems;
use crate::run::{Running, runtime};
use crate::sample_world::{self, Sample};

/// How long anything in the demonstration may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two samples, so that a visitor can follow.
const PACE: Duration = Duration::from_millis(350);

pub(crate) fn demo(args: &DemoArgs) -> Result<Exit> {
    let folder = tempfile::tempdir().context("no temporary folder can be made")?;
    sample_world::unpack(folder.path())?;
    let samples = sample_world::samples()?;
    let Some(loaded) = configuration(folder.path(), args)? else { return Ok(Exit::Wrong) };
    runtime()?.block_on(async {
        let running = Running::start(&loaded).await?;
        let result = if args.once {
            once(&running, &samples).await
        } else {
            visit(&running, &loaded, &samples).await
        };
        running.stop("demonstration ended").await;
        result
    })
}

/// The sample configuration on free ports, with the data in the temporary folder.
fn configuration(folder: &std::path::Path, args: &DemoArgs) -> Result<Option<Loaded>> {
    let mut set = vec!["engine.console.listen=127.0.0.1:0".to_owned()];
    let channels: Vec<_> =
        sample_world::samples()?.into_iter().map(|sample| sample.channel).collect();
    let channels: std::collections::BTreeSet<_> = channels.into_iter().collect();
    set.extend(channels.iter().map(|c| format!("channels.{c}.listener.mllp.listen=127.0.0.1:0")));
    set.extend(args.set.iter().cloned());
    let overrides = Overrides { set, data: Some(folder.join("data")) };
    match load::load(&folder.join("channels.yaml"), &overrides) {
        Ok(loaded) => Ok(Some(loaded)),
        Err(failure) => {
            problems::explain(&failure.problems, &failure.texts)?;
            Ok(None)
        }
    }
}

/// Plays everything at once; events on standard output, the sum on standard error.
async fn once(running: &Running, samples: &[Sample]) -> Result<Exit> {
    let engine = running.handle();
    let mut answers = Vec::with_capacity(samples.len());
    let mut senders = BTreeMap::new();
    for sample in samples {
        answers.push(play(&engine, &mut senders, sample).await?);
    }
    settled(&engine).await?;
    let mut output = Output::standard();
    let events = all_events(&engine, Cursor::START).0;
    for event in &events {
        output.bytes_line(event)?;
    }
    let played = compare(&engine, samples, answers)?;
    let (ledger, held) = (engine.ask(Clone::clone), engine.status().held);
    demo_view::sum_up(&played, &ledger, &story(&events))?;
    let expected = played.iter().all(Played::as_expected);
    let balanced = ledger.channels.values().all(|book| book.total.counts.balance())
        && ledger.total().counts.pending == held;
    Ok(Exit::well_if(expected && balanced))
}

/// Plays one sample after another, shows what becomes of each, and stays.
async fn visit(running: &Running, loaded: &Loaded, samples: &[Sample]) -> Result<Exit> {
    let engine = running.handle();
    let mut output = Output::standard();
    demo_view::welcome(&mut output, running.console(), &engine.addresses(), &loaded.data)?;
    let pace = if std::io::stdout().is_terminal() { PACE } else { Duration::ZERO };
    let mut senders = BTreeMap::new();
    let mut answers = Vec::new();
    let mut cursor = Cursor::START;
    for sample in samples {
        let answer = play(&engine, &mut senders, sample).await?;
        settled(&engine).await?;
        let (events, behind) = all_events(&engine, cursor);
        cursor = behind;
        let row = row_of(&engine, sample);
        demo_view::show(&mut output, sample, &answer, row.as_ref(), &events)?;
        answers.push(answer);
        tokio::select! {
            () = sleep(pace) => {}
            ended = tokio::signal::ctrl_c() => {
                ended.context("Ctrl-C cannot be awaited")?;
                return Ok(Exit::Well);
            }
        }
    }
    let played = compare(&engine, samples, answers)?;
    let events = all_events(&engine, Cursor::START).0;
    demo_view::sum_up(&played, &engine.ask(Clone::clone), &story(&events))?;
    demo_view::farewell(&mut output, running.console(), &engine.addresses(), &loaded.data)?;
    follow(&engine, &mut output, cursor).await
}

/// Shows events of whatever a visitor sends, until Ctrl-C.
async fn follow(engine: &Handle, output: &mut Output, mut cursor: Cursor) -> Result<Exit> {
    let mut changes = engine.changes();
    loop {
        let (events, behind) = all_events(engine, cursor);
        cursor = behind;
        demo_view::show_events(output, &events)?;
        tokio::select! {
            changed = changes.changed() => changed.context("the engine has stopped")?,
            ended = tokio::signal::ctrl_c() => {
                ended.context("Ctrl-C cannot be awaited")?;
                return Ok(Exit::Well);
            }
        }
    }
}

/// Sends one sample through a real socket; gives back the code of the answer.
async fn play(
    engine: &Handle,
    senders: &mut BTreeMap<String, Sender>,
    sample: &Sample,
) -> Result<String> {
    if !senders.contains_key(&sample.channel) {
        let address = engine.addresses().get(&sample.channel).copied();
        let address =
            address.with_context(|| format!("channel {} is not running", sample.channel))?;
        let sender = Sender::connect(&address.to_string(), PATIENCE).await?;
        senders.insert(sample.channel.clone(), sender);
    }
    let sender = senders.get_mut(&sample.channel).expect("it was put there");
    match sender.send(&sample.message).await {
        Ok(answer) => Ok(answer.code.as_str().to_owned()),
        Err(SendError::TimedOut(_)) => {
            senders.remove(&sample.channel);
            Ok("none".to_owned())
        }
        Err(error) => Err(error).with_context(|| format!("{}/{}", sample.channel, sample.file)),
    }
}

/// Waits until nothing is runnable or retrying.
async fn settled(engine: &Handle) -> Result<()> {
    let mut changes = engine.changes();
    let deadline = Instant::now() + PATIENCE;
    while engine.moves() || engine.status().retrying > 0 {
        if Instant::now() > deadline {
            bail!("messages are still pending after {} s", PATIENCE.as_secs());
        }
        // The books follow the journal by microseconds: look again soon even without a change.
        drop(timeout(Duration::from_millis(5), changes.changed()).await);
    }
    Ok(())
}

/// Every event after the cursor: an answer ends early when events are large.
fn all_events(engine: &Handle, mut cursor: Cursor) -> (Vec<Bytes>, Cursor) {
    let mut all = Vec::new();
    loop {
        let (events, behind) = engine.events(cursor, usize::MAX);
        cursor = behind;
        if events.is_empty() {
            return (all, cursor);
        }
        all.extend(events);
    }
}

fn control_id(sample: &Sample) -> Option<String> {
    Header::from_frame(&sample.message).ok().map(|header| header.control_id_text())
}

fn row_of(engine: &Handle, sample: &Sample) -> Option<Row> {
    let wanted = control_id(sample)?;
    let rows = engine.messages(&Query::control_id(&wanted), &Page::newest(100)).ok()?;
    rows.into_iter().find(|row| row.channel == sample.channel)
}

/// What became of each sample, beside what was expected.
fn compare(engine: &Handle, samples: &[Sample], answers: Vec<String>) -> Result<Vec<Played>> {
    let (events, _) = all_events(engine, Cursor::START);
    let mut types: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for event in &events {
        let event = demo_view::Envelope::read(event).context("an event that is not JSON")?;
        types.entry(event.correlationid.clone()).or_default().push(event.short_type());
    }
    let played = samples.iter().zip(answers).map(|(sample, ack)| {
        let row = row_of(engine, sample);
        let id = control_id(sample).unwrap_or_default();
        Played {
            channel: sample.channel.clone(),
            file: sample.file.clone(),
            expected: sample.expected.clone(),
            found: sample_world::Expected {
                ack,
                state: row.as_ref().map_or("refused", |row| row.state.as_str()).to_owned(),
                reason: row.and_then(|row| row.reason),
                events: types.get(&id).cloned().unwrap_or_default(),
            },
        }
    });
    Ok(played.collect())
}

impl Played {
    pub(crate) fn is_kept(&self) -> bool {
        let kept = [State::Parked.as_str(), State::Pending.as_str(), "refused"];
        kept.contains(&self.found.state.as_str())
    }
}
