//! `tieline schema`, `completions` and `man`: generated from what the program itself reads.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use record::catalogue::{self, EventType};
use router::config::schema;

use crate::exit::Exit;
use crate::output::Output;
use crate::verbs::Arguments;

/// The JSON Schema of channels.yaml, or of the data of an event.
pub(crate) fn schema(event: Option<&str>) -> Result<Exit> {
    let mut output = Output::standard();
    match event {
        None => output.text(schema::text())?,
        Some(name) => {
            let schema = record::schema::schema(event_type(name)?);
            output.line(format_args!("{schema:#}"))?;
        }
    }
    Ok(Exit::Well)
}

/// The type of that name; the error names those it may be mistaken for.
fn event_type(name: &str) -> Result<&'static EventType> {
    let entity = name.split('.').next().unwrap_or_default();
    catalogue::lookup(name).with_context(|| {
        let near = catalogue::all().iter().filter(|kind| kind.entity() == entity);
        let mut names: Vec<&str> = near.map(|kind| kind.name).collect();
        if names.is_empty() {
            names = catalogue::all().iter().map(|kind| kind.entity()).collect();
            names.dedup();
        }
        format!("there is no event type \"{name}\"; there are: {}", names.join(", "))
    })
}

/// A shell's completions.
pub(crate) fn completions(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tieline", &mut script);
    Output::standard().text(String::from_utf8(script)?)?;
    Ok(Exit::Well)
}

/// The manual page, or that of one verb.
pub(crate) fn man(verb: Option<&str>) -> Result<Exit> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command(verb)?).render(&mut page)?;
    Output::standard().text(String::from_utf8(page)?)?;
    Ok(Exit::Well)
}

fn command(verb: Option<&str>) -> Result<Command> {
    let mut whole = Arguments::command();
    whole.build();
    let Some(verb) = verb else { return Ok(whole) };
    // Building gave it its whole name, `tieline-send`.
    let one = whole.find_subcommand(verb);
    one.cloned().with_context(|| format!("there is no verb \"{verb}\": see tieline --help"))
}
