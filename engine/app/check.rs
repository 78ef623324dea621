//! `tieline check`: everything that is wrong with a configuration, its scripts and its tables.

use std::collections::BTreeMap;

use anyhow::Result;
use router::config::channel::Channel;
use router::config::effective::{Effective, effective};
use router::config::listener::Listener;
use router::config::load::Loaded;
use router::config::problem::{Problem, Severity};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::arguments::{CheckArgs, Format};
use crate::check_messages;
use crate::exit::Exit;
use crate::output::Output;
use crate::problems;
use crate::table::{Column, Table};

/// The stable machine form: fields are added, never renamed.
#[derive(Serialize)]
struct Report<'a> {
    problems: &'a [Problem],
    channels: Vec<Value>,
    subscribers: Vec<Value>,
    engine: Value,
}

pub(crate) fn run(args: &CheckArgs) -> Result<Exit> {
    if !args.messages.is_empty() {
        return check_messages::run(args);
    }
    let mut output = Output::standard();
    let checked = args.configuration.load();
    let (problems, texts) = match &checked {
        Ok(loaded) => (&loaded.warnings, &loaded.texts),
        Err(failure) => (&failure.problems, &failure.texts),
    };
    match args.format {
        Format::Text => show(&mut output, checked.as_ref().ok(), problems, texts)?,
        format => output.document(format, &report(checked.as_ref().ok(), problems))?,
    }
    let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
    Ok(Exit::well_if(checked.is_ok() && !wrong))
}

fn show(
    output: &mut Output,
    loaded: Option<&Loaded>,
    problems: &[Problem],
    texts: &BTreeMap<String, String>,
) -> Result<()> {
    for problem in problems {
        output.line(problems::render(problem, texts, output.paint))?;
        output.line("")?;
    }
    let Some(loaded) = loaded else {
        return Ok(output.line(problems::summary(problems))?);
    };
    let mut table = Table::new(vec![
        Column::left("CHANNEL"),
        Column::left("LISTENER"),
        Column::flexible("SCRIPT"),
    ]);
    for (name, channel) in loaded.config.channels.iter() {
        table.row(vec![name.to_owned(), listener(channel), script(channel)]);
    }
    output.text(table.render(output.paint))?;
    let subscribers: Vec<_> = loaded.config.subscribers.names().collect();
    output.line(format_args!(
        "\n{} channels, {} subscribers ({}), configuration {}: {}",
        loaded.config.channels.len(),
        subscribers.len(),
        subscribers.join(", "),
        loaded.version,
        problems::summary(problems),
    ))?;
    Ok(())
}

fn report<'a>(loaded: Option<&Loaded>, problems: &'a [Problem]) -> Report<'a> {
    let Some(loaded) = loaded else {
        return Report { problems, channels: vec![], subscribers: vec![], engine: Value::Null };
    };
    let known = effective(loaded);
    let channels = loaded.config.channels.iter().map(|(name, channel)| {
        json!({
            "name": name,
            "listener": listener(channel),
            "transform": script(channel),
            "effective": under(&known, &format!("channels.{name}.")),
        })
    });
    let subscribers = loaded.config.subscribers.names().map(
        |name| json!({ "name": name, "effective": under(&known, &format!("subscribers.{name}.")) }),
    );
    Report {
        problems,
        channels: channels.collect(),
        subscribers: subscribers.collect(),
        engine: json!({ "version": loaded.version, "effective": under(&known, "engine.") }),
    }
}

/// The effective values below a key, each with where it came from.
fn under(known: &[Effective], prefix: &str) -> Map<String, Value> {
    known
        .iter()
        .filter_map(|one| {
            let key = one.key.strip_prefix(prefix)?;
            Some((key.to_owned(), json!({ "value": one.value, "from": one.from })))
        })
        .collect()
}

fn listener(channel: &Channel) -> String {
    match &channel.listener {
        Listener::Mllp(mllp) => format!("mllp {}", mllp.listen.0),
    }
}

fn script(channel: &Channel) -> String {
    channel.transform.script.display().to_string()
}
