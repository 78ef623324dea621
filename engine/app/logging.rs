//! Logs go to standard error: for people on a terminal, as JSON everywhere else.

use std::io::{self, IsTerminal};
use std::panic;

use anyhow::{Context, Result};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::environment;

/// What is logged when the environment does not say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// A running engine: what happens.
    Info,
    /// A tool that answers on standard output: only what is odd.
    Warn,
    /// The demonstration, which shows what is odd itself.
    Error,
}

/// Starts logging, once per process.
pub(crate) fn start(default: Default) -> Result<()> {
    let fallback = match default {
        Default::Info => "info",
        Default::Warn => "warn",
        Default::Error => "error",
    };
    let wanted = environment::log_filter();
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(fallback))
        .context("the log filter of TIELINE_LOG or RUST_LOG cannot be read")?;

    let lines = fmt::layer().with_writer(io::stderr);
    let ours = filter_fn(|about| is_ours(about.target()));
    let registry = tracing_subscriber::registry().with(filter);
    if io::stderr().is_terminal() && !environment::under_systemd() {
        let lines = lines.with_ansi(environment::wants_colour()).with_target(false);
        registry.with(lines.with_filter(ours)).init();
    } else {
        let lines = lines.json().flatten_event(true).with_current_span(false);
        registry.with(lines.with_filter(ours)).init();
    }
    report_panics_without_their_text();
    Ok(())
}

/// Only our own crates may write to the log, whatever the filter asks for: a library may log what it
/// carries (the AMQP client logs whole events that came back), and that is patients' data.
fn is_ours(target: &str) -> bool {
    const OURS: [&str; 7] =
        ["tieline", "router", "console", "journal", "transform", "record", "hl7"];
    OURS.contains(&target.split("::").next().unwrap_or_default())
}

/// A panic's text may quote a value, and a value may be a patient's: only its place is told.
fn report_panics_without_their_text() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "internal error: a task ended unexpectedly");
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_do_not_write_to_the_log() {
        assert!(is_ours("router::event") && is_ours("tieline"));
        assert!(!is_ours("lapin::returned_messages") && !is_ours("routers") && !is_ours(""));
    }
}
