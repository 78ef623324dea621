//! What every story stands on: an engine, a sender, a broker, and a way to wait.
//!
//! Nothing here sleeps for a fixed time: [`until`] looks again and again until a deadline. What the
//! engine wrote is shown only when the story fails.

pub(crate) mod amqp;
pub(crate) mod certificates;
pub(crate) mod engine;
pub(crate) mod foreign;
pub(crate) mod hook;
pub(crate) mod golden;
pub(crate) mod listener;
pub(crate) mod message;
pub(crate) mod own_broker;
pub(crate) mod sender;
pub(crate) mod setup;

#[path = "../../engine/xtask/broker.rs"]
mod broker;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What nearly everything must be done within; generous, since it is only reached on failure.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// A file or folder of this repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Looks until `condition` has something to give; fails naming `what` was awaited.
pub(crate) fn until<T>(what: &str, within: Duration, condition: impl FnMut() -> Option<T>) -> T {
    broker::until(within, condition).unwrap_or_else(|| panic!("no {what} within {within:?}"))
}

/// The same for what may fail.
pub(crate) fn look<T>(within: Duration, condition: impl FnMut() -> Option<T>) -> Option<T> {
    broker::until(within, condition)
}

/// How a run of `tieline` ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `tieline` in the repository's folder until it ends.
pub(crate) fn tieline<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Ran {
    run(Command::new(env!("CARGO_BIN_EXE_tieline")).args(arguments))
}

fn run(command: &mut Command) -> Ran {
    let output = command.current_dir(repository("")).output().expect("tieline can be started");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_answers_on_standard_output() {
        let ran = tieline(["--version"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.out.starts_with("tieline ") && ran.err.is_empty(), "{ran:?}");
    }
}
