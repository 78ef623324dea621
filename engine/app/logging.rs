//! Logs go to standard error: for people on a terminal, as JSON everywhere else.

use std::io::{self, IsTerminal};
use std::panic;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;

use crate::environment;

/// What is logged when the environment does not say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// A running engine: what happens.
    Info,
    /// A tool that answers on standard output: only what is odd.
    Warn,
}

/// Starts logging, once per process.
pub(crate) fn start(default: Default) -> Result<()> {
    let fallback = match default {
        Default::Info => "info",
        Default::Warn => "warn",
    };
    let wanted = environment::log_filter();
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(fallback))
        .context("the log filter of TIELINE_LOG or RUST_LOG cannot be read")?;

    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if io::stderr().is_terminal() && !environment::under_systemd() {
        builder.with_ansi(environment::wants_colour()).with_target(false).init();
    } else {
        builder.json().flatten_event(true).with_current_span(false).init();
    }
    report_panics_without_their_text();
    Ok(())
}

/// A panic's text may quote a value, and a value may be a patient's: only its place is told.
fn report_panics_without_their_text() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "internal error: a task ended unexpectedly");
    }));
}
