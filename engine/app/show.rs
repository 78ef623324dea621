//! `tieline show`: one message: what came, what happened to it, what it became.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::api::Api;
use crate::arguments::{Asking, Format};
use crate::asking_arguments::ShowArgs;
use crate::exit::Exit;
use crate::output::Output;
use crate::refusal_line::refused;
use crate::show_view::{self, Found};

pub(crate) fn run(args: &ShowArgs) -> Result<Exit> {
    if args.raw {
        return raw(args);
    }
    show(args.id, args.events, &args.asking, args.format)
}

/// One message, its events by their names.
pub(crate) fn one(id: u64, asking: &Asking, format: Format) -> Result<Exit> {
    show(id, false, asking, format)
}

fn show(id: u64, events: bool, asking: &Asking, format: Format) -> Result<Exit> {
    let Some(api) = Api::find(asking)? else { return Ok(Exit::Wrong) };
    let path = format!("/api/v1/messages/{id}");
    let message = match api.document_about(&path, &[])? {
        Ok(message) => message,
        Err(words) => return refused(&words),
    };
    let tree = api.document_about(&format!("{path}/tree"), &[])?;
    let whole = || api.lines(&format!("{path}/events"), &[])?.rows();
    let events = events.then(whole).transpose()?;
    let found = Found { message, tree, events };
    let mut output = Output::standard();
    match format {
        Format::Text => output.text(show_view::screen(&found, output.paint))?,
        format => output.document(format, &found.document())?,
    }
    Ok(Exit::Well)
}

/// Nothing but the bytes, for a file or another program.
fn raw(args: &ShowArgs) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    match api.bytes(&format!("/api/v1/messages/{}/raw", args.id))? {
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
