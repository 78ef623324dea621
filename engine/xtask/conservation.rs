//! `cargo xtask conservation`: the conservation test for many seeds, or for a long time.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context;

const TEST: &str = "conservation::own_broker_no_fault_breaks_the_promise";
/// With the disk that fails on purpose: a SIGKILL then is a power loss.
const BUILD: [&str; 7] = [
    "test",
    "--locked",
    "--package=tieline",
    "--features=faults",
    "--test=stories",
    "--quiet",
    "--",
];

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) first_seed: u64,
    pub(crate) seeds: u64,
    pub(crate) seconds: u64,
    /// Also after a failure, to see how many seeds fail.
    pub(crate) keep_going: bool,
    /// SIGKILL of RabbitMQ too, once its queues are five minutes old.
    pub(crate) kill_broker: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self { first_seed: 1, seeds: 1, seconds: 30, keep_going: false, kill_broker: false }
    }
}

/// Runs every seed; true when none broke the promise. One line for each, and a table for all.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<bool> {
    let folder = PathBuf::from("target/conservation");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    eprintln!("==> conservation: building");
    let built =
        crate::steps::cargo().args(BUILD).args(["--list"]).stdout(Stdio::null()).status()?;
    anyhow::ensure!(built.success(), "the stories do not build");
    let (mut table, mut failed) = (Table::default(), 0);
    for seed in plan.first_seed..plan.first_seed + plan.seeds {
        let begun = Instant::now();
        let (log, report) =
            (folder.join(format!("{seed}.log")), folder.join(format!("{seed}.report")));
        let _old = fs::remove_file(&report);
        let well = command(plan, seed, &log, &report)?.status()?.success();
        let numbers = fs::read_to_string(&report).unwrap_or_default();
        let seconds = begun.elapsed().as_secs_f64();
        let verdict = if well { "kept" } else { "BROKEN" };
        eprintln!("seed {seed:>5}  {verdict}  {seconds:6.1} s  {}", summary(&numbers));
        if !well {
            failed += 1;
            eprintln!("{}    all of it: {}", broken(&log), log.display());
            if !plan.keep_going {
                break;
            }
        }
        table.add(&numbers);
    }
    eprint!("\n{}", table.text());
    fs::write(folder.join("table.md"), table.text())?;
    Ok(failed == 0)
}

fn command(plan: &Plan, seed: u64, log: &Path, report: &Path) -> anyhow::Result<Command> {
    let log = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut command = crate::steps::cargo();
    command
        .args(BUILD)
        .args([TEST, "--exact", "--nocapture"])
        .env("TIELINE_CONSERVATION_SEED", seed.to_string())
        .env("TIELINE_CONSERVATION_SECONDS", plan.seconds.to_string())
        .env("TIELINE_CONSERVATION_KILL_BROKER", u8::from(plan.kill_broker).to_string())
        .env("TIELINE_CONSERVATION_REPORT", std::path::absolute(report)?)
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

/// The numbers that a person looks at first.
fn summary(numbers: &str) -> String {
    let of = |words: &str| rows(numbers).find(|(name, _)| *name == words).map_or(0, |(_, n)| n);
    format!(
        "{} messages, {} deliveries, {} starts of the engine",
        of("messages"),
        of("deliveries"),
        of("starts of the engine")
    )
}

/// What the test said of its failure: from the panic to the stack.
fn broken(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let told = text.lines().skip_while(|line| !line.contains("panicked at"));
    let told =
        told.take_while(|line| !line.starts_with("stack backtrace") && !line.starts_with("---"));
    told.take(80).fold(String::new(), |text, line| text + "    " + line + "\n")
}

fn rows(numbers: &str) -> impl Iterator<Item = (&str, u64)> {
    numbers.lines().filter_map(|line| {
        let (words, number) = line.split_once('\t')?;
        Some((words, number.parse().ok()?))
    })
}

/// The reports of all runs together.
#[derive(Debug, Default)]
struct Table {
    runs: u64,
    lines: Vec<(String, u64)>,
}

impl Table {
    fn add(&mut self, numbers: &str) {
        self.runs += 1;
        for (words, number) in rows(numbers) {
            match self.lines.iter_mut().find(|(known, _)| known == words) {
                Some((_, most)) if words.starts_with("longest") => *most = number.max(*most),
                Some((_, sum)) => *sum += number,
                None => self.lines.push((words.to_owned(), number)),
            }
        }
    }

    fn text(&self) -> String {
        let mut text = format!("| runs | {} |\n|---|---:|\n", self.runs);
        for (words, number) in &self.lines {
            // Writing to a string does not fail.
            let _written = writeln!(text, "| {words} | {number} |");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up_and_the_longest_stays() {
        let mut table = Table::default();
        table.add("messages\t3\nlongest wait, ms\t70\n");
        table.add("messages\t4\nlongest wait, ms\t50\nexchange deleted\t1\n");
        let wanted = "| runs | 2 |\n|---|---:|\n| messages | 7 |\n| longest wait, ms | 70 |\n\
                      | exchange deleted | 1 |\n";
        assert_eq!(table.text(), wanted);
    }
}
