//! `tieline schema`, `completions` and `man`: generated from what the program itself reads.

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use router::config::schema;

use crate::exit::Exit;
use crate::output::Output;
use crate::verbs::Arguments;

/// The JSON Schema of channels.yaml.
pub(crate) fn schema() -> Result<Exit> {
    Output::standard().text(schema::text())?;
    Ok(Exit::Well)
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
