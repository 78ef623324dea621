//! The steps of `cargo xtask test`, cheapest first; the tests are last, so that the test runner has
//! the last word.

use std::ffi::OsString;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

use crate::broker::Node;
use crate::walls;

/// With the disk that fails on purpose, which only a test can name.
const FAULTS: &str = "--features=tieline/faults";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Format,
    Lints,
    Docs,
    Walls,
    Tests,
}

impl Step {
    pub(crate) const ALL: [Self; 5] =
        [Self::Format, Self::Lints, Self::Docs, Self::Walls, Self::Tests];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Format => "fmt",
            Self::Lints => "clippy",
            Self::Docs => "doc",
            Self::Walls => "walls",
            Self::Tests => "tests",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// Runs the steps; true when all went well. A failed check does not stop the others: one run shows
/// everything that is wrong. On success nothing is printed after the test runner's last line.
pub(crate) fn run(steps: &[Step], filters: &[String]) -> anyhow::Result<bool> {
    let mut failed = Vec::new();
    for &step in steps.iter().filter(|step| **step != Step::Tests) {
        let begun = Instant::now();
        eprintln!("==> {}", step.name());
        let well = check(step)?;
        let verdict = if well { "well" } else { "FAILED" };
        eprintln!("    {} {verdict} ({:.1} s)", step.name(), begun.elapsed().as_secs_f64());
        if !well {
            failed.push(step.name());
        }
    }
    if !failed.is_empty() {
        eprintln!("==> FAILED: {}", failed.join(", "));
    }
    let tests_well = !steps.contains(&Step::Tests) || tests(filters)?;
    Ok(failed.is_empty() && tests_well)
}

fn check(step: Step) -> anyhow::Result<bool> {
    match step {
        Step::Format => ran(cargo().args(["fmt", "--all", "--check"])),
        Step::Lints => ran(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            FAULTS,
            "--locked",
            "--",
            "-D",
            "warnings",
        ])),
        Step::Docs => ran(cargo()
            .args(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"])
            .env("RUSTDOCFLAGS", "-D warnings")),
        Step::Walls => walls_stand(),
        Step::Tests => tests(&[]),
    }
}

fn walls_stand() -> anyhow::Result<bool> {
    let mut all_stand = true;
    for wall in walls::WALLS {
        let output = cargo().args(walls::tree_of(wall.inside)).stderr(Stdio::inherit()).output()?;
        let tree = String::from_utf8_lossy(&output.stdout);
        let breaches = walls::breaches(wall, &tree);
        for outside in &breaches {
            eprintln!("    {} sees {outside}, but {}", wall.inside, wall.why);
        }
        all_stand &= output.status.success() && breaches.is_empty();
    }
    Ok(all_stand)
}

fn tests(filters: &[String]) -> anyhow::Result<bool> {
    let begun = Instant::now();
    let (url, node) = if let Some(url) = crate::broker_of_user() {
        eprintln!("==> broker: {}, from TIELINE_TEST_AMQP_URL", without_password(&url));
        (url, None)
    } else {
        eprintln!("==> broker: a private RabbitMQ node");
        let node = Node::start_anywhere()?;
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("    up on port {} ({seconds:.1} s)", node.place.amqp);
        (node.place.url(), Some(node))
    };
    let mut command = cargo();
    if nextest_is_there() {
        eprintln!("==> tests: cargo nextest");
        command.args(["nextest", "run", "--profile", "ci", "--workspace", FAULTS, "--locked"]);
        command.args(filters);
    } else {
        eprintln!("==> tests: cargo test (cargo-nextest is not installed)");
        command.args(["test", "--workspace", FAULTS, "--locked", "--no-fail-fast", "--"]);
        command.args(filters);
    }
    let well = ran(command.env("TIELINE_TEST_AMQP_URL", url))?;
    if let Some(node) = node {
        node.stop(false)?;
    }
    Ok(well)
}

fn nextest_is_there() -> bool {
    let version = cargo().args(["nextest", "--version"]).stderr(Stdio::null()).output();
    version.is_ok_and(|output| output.status.success())
}

/// The cargo that started us, so that a chosen toolchain stays chosen.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")))
}

/// The fuzz targets, optimised: the figure that counts is how many inputs a second are tried.
pub(crate) fn fuzz(arguments: &[String]) -> anyhow::Result<bool> {
    let example =
        ["run", "--release", "--locked", "--quiet", "-p", "hl7", "--example", "fuzz", "--"];
    ran(cargo().args(example).args(arguments))
}

fn ran(command: &mut Command) -> anyhow::Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    Ok(status.success())
}

/// The address without what stands between `//` and the last `@`.
fn without_password(url: &str) -> String {
    match (url.split_once("//"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}//{host}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_steps_lead_back_to_them() {
        for step in Step::ALL {
            assert_eq!(Step::named(step.name()), Some(step));
        }
        assert_eq!(Step::named("release"), None);
    }

    #[test]
    fn the_tests_come_last() {
        assert_eq!(Step::ALL.iter().max(), Some(&Step::Tests));
    }

    #[test]
    fn a_printed_address_has_no_password() {
        assert_eq!(without_password("amqp://user:p@ss@host:5672/%2f"), "amqp://host:5672/%2f");
        assert_eq!(without_password("amqp://host:5672"), "amqp://host:5672");
    }
}
