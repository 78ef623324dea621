//! How Tieline builds and tests itself: `cargo xtask test`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a build tool talks to its user")]

mod broker;
mod conservation;
mod install;
mod steps;
mod task;
mod walls;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::broker::Node;
use crate::install::{Installed, Part};
use crate::task::Task;

const WELL: u8 = 0;
const FAILED: u8 = 1;
const COULD_NOT: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let task = match task::read(&arguments) {
        Ok(task) => task,
        Err(misuse) => {
            eprintln!("xtask: {misuse}\n\n{}", task::USAGE);
            return ExitCode::from(COULD_NOT);
        }
    };
    let outcome = workspace_root().and_then(|root| {
        std::env::set_current_dir(root)?;
        perform(&task)
    });
    ExitCode::from(outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        COULD_NOT
    }))
}

fn perform(task: &Task) -> anyhow::Result<u8> {
    match task {
        Task::Help => {
            println!("{}", task::USAGE);
            Ok(WELL)
        }
        Task::Test { steps, filters } => {
            let broker_wanted = steps.contains(&steps::Step::Tests) && broker_of_user().is_none();
            if broker_wanted && !rabbitmq_is_there()? {
                return Ok(COULD_NOT);
            }
            if steps.contains(&steps::Step::Tests) {
                for interpreter in [&install::PYTHON, &install::NODE] {
                    is_there(interpreter)?;
                }
            }
            Ok(if steps::run(steps, filters)? { WELL } else { FAILED })
        }
        Task::Conservation(plan) => {
            if !rabbitmq_is_there()? {
                return Ok(COULD_NOT);
            }
            Ok(if conservation::run(plan)? { WELL } else { FAILED })
        }
        Task::Fuzz(arguments) => Ok(if steps::fuzz(arguments)? { WELL } else { FAILED }),
        Task::Broker => {
            if !rabbitmq_is_there()? {
                return Ok(COULD_NOT);
            }
            let mut node = Node::start_anywhere()?;
            println!("{}", node.place.url());
            let folder = node.place.folder.display();
            eprintln!("node {} runs until ctrl-c; its files: {folder}", node.place.name);
            node.wait()?;
            anyhow::bail!("the node ended by itself:\n{}", node.place.log_tail());
        }
    }
}

/// The broker the user named, if any; an empty name counts as none.
fn broker_of_user() -> Option<String> {
    std::env::var("TIELINE_TEST_AMQP_URL").ok().filter(|url| !url.is_empty())
}

fn rabbitmq_is_there() -> anyhow::Result<bool> {
    is_there(&install::RABBITMQ)
}

fn is_there(part: &Part) -> anyhow::Result<bool> {
    Ok(match install::ensure(part)? {
        Installed::Already | Installed::Now => true,
        Installed::CannotBecause(why) => {
            eprintln!("xtask: {why}");
            false
        }
    })
}

/// Two levels above this package; cargo says where that is, so that the binary may be moved.
fn workspace_root() -> anyhow::Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = package.ancestors().nth(2).map(Path::to_path_buf);
    root.ok_or_else(|| anyhow::anyhow!("no workspace above {}", package.display()))
}
