//! `tieline show`: one message: what came, what happened to it, what it became.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::{Asking, Format};
use crate::asking_arguments::ShowArgs;
use crate::exit::Exit;
use crate::operator::Operator;
use crate::output::Output;
use crate::patient_guard;
use crate::refusal_line::refused;
use crate::show_view::{self, Found};

pub(crate) fn run(args: &ShowArgs) -> Result<Exit> {
    if let Some(reason) = &args.reason {
        patient_guard::refuse_in_text(reason)?;
    }
    if args.raw {
        return raw(args);
    }
    let why = args.reason.as_deref();
    show(args.id, (args.events, why), &args.asking, args.format)
}

/// One message, its events by their names.
pub(crate) fn one(id: u64, asking: &Asking, format: Format) -> Result<Exit> {
    show(id, (false, None), asking, format)
}

fn show(
    id: u64,
    (events, why): (bool, Option<&str>),
    asking: &Asking,
    format: Format,
) -> Result<Exit> {
    let Some(api) = Api::find(asking)? else { return Ok(Exit::Wrong) };
    let found = match why {
        Some(why) => opened(&api, id, events, why)?,
        None => asked(&api, id, events)?,
    };
    let found = match found {
        Ok(found) => found,
        Err(words) => return refused(&words),
    };
    let mut output = Output::standard();
    match format {
        Format::Text => output.text(show_view::screen(&found, output.paint))?,
        format => output.document(format, &found.document())?,
    }
    Ok(Exit::Well)
}

fn asked(api: &Api, id: u64, events: bool) -> Result<Result<Found, String>> {
    let path = format!("/api/v1/messages/{id}");
    let message = match api.document_about(&path, &[])? {
        Ok(message) => message,
        Err(words) => return Ok(Err(words)),
    };
    let tree = api.document_about(&format!("{path}/tree"), &[])?;
    let whole = || api.lines(&format!("{path}/events"), &[])?.rows();
    let events = events && message["withheld"].is_null();
    let events = events.then(whole).transpose()?;
    Ok(Ok(Found { message, tree, events }))
}

/// All of it, by somebody whom the audit names.
fn opened(api: &Api, id: u64, events: bool, why: &str) -> Result<Result<Found, String>> {
    let (path, operator) = (format!("/api/v1/messages/{id}/look"), Operator::of_this_process()?);
    let found = api.decide(&path, &operator, &json!({ "reason": why }))?;
    Ok(found.map(|mut found| {
        let tree = found["tree"].take();
        let tree = if tree.is_null() { Err("no tree".to_owned()) } else { Ok(tree) };
        let whole = found["events"].as_array().cloned().unwrap_or_default();
        Found { message: found["message"].take(), tree, events: events.then_some(whole) }
    }))
}

/// Nothing but the bytes, for a file or another program.
fn raw(args: &ShowArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let path = format!("/api/v1/messages/{}", args.id);
    let found = match &args.reason {
        Some(why) => {
            let operator = Operator::of_this_process()?;
            api.look(&format!("{path}/look/raw"), &operator, &json!({ "reason": why }))?
        }
        None => api.bytes(&format!("{path}/raw"))?,
    };
    match found {
        Ok(bytes) => {
            let mut out = io::stdout();
            out.write_all(&bytes).and_then(|()| out.flush()).context("cannot write")?;
            Ok(Exit::Well)
        }
        Err(words) => refused(&words),
    }
}

impl Found {
    /// One document: the message with its tree and, where they were asked for, its events.
    fn document(&self) -> Value {
        let mut document = self.message.clone();
        document["tree"] = self.tree.as_ref().map_or(Value::Null, |tree| tree["segments"].clone());
        if let Some(events) = &self.events {
            document["event_bodies"] = Value::from(events.clone());
        }
        document
    }
}
