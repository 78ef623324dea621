//! `tieline profile`: what a feed sends, learned, compared and kept to.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hl7::message::{Message, Reading};
use hl7::profile::drift::drift;
use hl7::profile::observe::{ENOUGH, Observed};
use hl7::profile::rules::Profile;
use hl7::profile::text::text;
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::Format;
use crate::cells::{cell, counted, list, number};
use crate::exit::Exit;
use crate::message_files;
use crate::messages::SEARCH;
use crate::output::Output;
use crate::problems;
use crate::profile_arguments::{DiffArgs, InferArgs, ProfileArgs, ProfileVerb, ReportArgs, Stored};
use crate::profile_view;
use crate::refusal_line::refused;
use crate::since::since;

pub(crate) fn run(args: &ProfileArgs) -> Result<Exit> {
    match &args.what {
        ProfileVerb::Infer(args) => infer(args),
        ProfileVerb::Diff(args) => diff(args),
        ProfileVerb::Report(args) => report(args),
    }
}

fn infer(args: &InferArgs) -> Result<Exit> {
    let observed = match &args.stored.channel {
        Some(channel) => stored(channel, &args.stored)?,
        None => Some(learned(message_files::read_all(&args.paths)?)?),
    };
    let Some(observed) = observed else { return Ok(Exit::Wrong) };
    let name = args.name.clone().or(args.stored.channel.clone()).unwrap_or_default();
    let profile = observed.profile(&name);
    let mut output = Output::standard();
    match args.format {
        Format::Text => output.text(text(&profile))?,
        format => output.document(format, &profile_view::profile(&profile))?,
    }
    let count = counted(observed.messages(), "message");
    writeln!(io::stderr(), "learned from {count}{}", few(observed.messages()))?;
    Ok(Exit::Well)
}

/// What is too little to tell always from often.
fn few(messages: u64) -> String {
    if messages >= ENOUGH {
        return String::new();
    }
    format!(": fewer than {ENOUGH} say nothing of what is always there, or which codes there are")
}

fn diff(args: &DiffArgs) -> Result<Exit> {
    let Some(before) = given(std::slice::from_ref(&args.before))? else { return Ok(Exit::Wrong) };
    let after = match &args.stored.channel {
        Some(channel) => stored(channel, &args.stored)?.map(|seen| seen.profile(channel)),
        None => given(&args.after)?,
    };
    let Some(after) = after else { return Ok(Exit::Wrong) };
    let changes = drift(&before, &after);
    let mut output = Output::standard();
    match args.format {
        Format::Text => {
            output.text(profile_view::changes(&before, &after, &changes, output.paint))?;
        }
        format => output.document(format, &profile_view::drift(&before, &after, &changes))?,
    }
    Ok(Exit::well_if(changes.is_empty()))
}

/// A profile, or what messages have in common. Nothing when it is broken, which standard error tells.
fn given(paths: &[PathBuf]) -> Result<Option<Profile>> {
    if let [path] = paths
        && path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml")
    {
        return read(path);
    }
    let observed = learned(message_files::read_all(paths)?)?;
    let name = paths.first().map(|path| path.display().to_string()).unwrap_or_default();
    Ok(Some(observed.profile(&name)))
}

fn read(path: &Path) -> Result<Option<Profile>> {
    let shown = path.display().to_string();
    let bytes = message_files::read(path)?;
    let text = String::from_utf8(bytes.into()).with_context(|| format!("{shown} is not UTF-8"))?;
    match router::config::profile::read(&shown, &text) {
        Ok(profile) => Ok(Some(profile)),
        Err(found) => {
            problems::explain(&found, &BTreeMap::from([(shown, text)]))?;
            Ok(None)
        }
    }
}

/// What messages have in common. What cannot be read as one is left out, and counted.
fn learned(messages: Vec<Bytes>) -> Result<Observed> {
    let mut observed = Observed::default();
    let mut unreadable = 0;
    for bytes in messages {
        match Message::parse(bytes, &Reading::default()) {
            Ok(message) => observed.learn(&message),
            Err(_) => unreadable += 1,
        }
    }
    if observed.messages() == 0 {
        bail!("there is no message that can be read");
    }
    if unreadable > 0 {
        writeln!(io::stderr(), "{} cannot be read", counted(unreadable, "message"))?;
    }
    Ok(observed)
}

/// The stored messages of a channel. Those whose bytes the journal has dropped are left out.
fn stored(channel: &str, args: &Stored) -> Result<Option<Observed>> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(None) };
    let since = since(args.since.as_deref())?;
    let question = json!({ "channel": channel, "since": since, "limit": args.limit });
    let rows = api.search(SEARCH, &question)?.rows()?;
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let path = format!("/api/v1/messages/{}/raw", number(&row, "id"));
        messages.extend(api.bytes(&path)?.ok().map(Bytes::from));
    }
    if messages.is_empty() {
        writeln!(io::stderr(), "the engine holds no message of {channel}: see `tieline status`")?;
        return Ok(None);
    }
    learned(messages).map(Some)
}

fn report(args: &ReportArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let found = api.document("/api/v1/profiles", &[])?;
    let wanted =
        |one: &&Value| args.channel.as_ref().is_none_or(|name| cell(one, "channel") == *name);
    let kept: Vec<Value> =
        found.as_array().iter().copied().flatten().filter(wanted).cloned().collect();
    if let (Some(channel), true) = (&args.channel, kept.is_empty()) {
        return refused(&format!("{channel} has no profile: name one below `profile:`"));
    }
    let mut output = Output::standard();
    match args.format {
        Format::Text => output.text(profile_view::report(&kept, output.paint))?,
        Format::Json => output.document(Format::Json, &kept)?,
        Format::Ndjson => kept.iter().try_for_each(|one| output.document(Format::Ndjson, one))?,
    }
    Ok(Exit::well_if(kept.iter().all(|one| list(one, "rules").is_empty())))
}
