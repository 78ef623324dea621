//! What the user asked for, read from the command line.

use crate::conservation::Plan;
use crate::steps::Step;

pub(crate) const USAGE: &str = "\
usage: cargo xtask <task>

  test [--only STEP]... [-- FILTER...]
           every check, then every test against a real RabbitMQ; exit 0 well, 1 failed, 2 could not
           STEP is fmt, clippy, doc, walls or tests; FILTERs go to the test runner
  conservation [--seeds N] [--seed FIRST] [--seconds N] [--keep-going] [--kill-broker]
           the conservation test with many seeds or for a long time; logs and a table below
           target/conservation; stops at the first seed that breaks the promise
  fuzz [TARGET...] [--seconds N] [--seed N]
           the fuzz targets of engine/hl7/fuzz on stable Rust, each for so many seconds (60)
  broker   a private RabbitMQ node in the foreground, until ctrl-c; its address on standard output

environment: TIELINE_TEST_AMQP_URL  a broker to use instead of a private node
             TIELINE_TEST_CORPUS    a folder of HL7 v2 messages to read in the tests, instead of
                                    ../shared/corpus";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Help,
    Test {
        steps: Vec<Step>,
        filters: Vec<String>,
    },
    Conservation(Plan),
    /// The fuzzer reads its arguments itself: it knows the targets.
    Fuzz(Vec<String>),
    Broker,
}

/// Reads the arguments after the program's name; the error is one line for the user.
pub(crate) fn read(arguments: &[String]) -> Result<Task, String> {
    let mut words = arguments.iter().map(String::as_str);
    match words.next() {
        None | Some("help" | "-h" | "--help") => Ok(Task::Help),
        Some("broker") => match words.next() {
            None => Ok(Task::Broker),
            Some(extra) => Err(format!("broker takes no argument, found `{extra}`")),
        },
        Some("conservation") => read_conservation(words),
        Some("fuzz") => Ok(Task::Fuzz(words.map(str::to_owned).collect())),
        Some("test") => read_test(words),
        Some(other) => Err(format!("there is no task `{other}`")),
    }
}

fn read_test<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Task, String> {
    let mut steps = Vec::new();
    let mut filters = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--only" => {
                let name = words.next().ok_or("--only wants the name of a step")?;
                steps.push(Step::named(name).ok_or(format!("there is no step `{name}`"))?);
            }
            "--" => filters.extend(words.by_ref().map(str::to_owned)),
            "-h" | "--help" => return Ok(Task::Help),
            other => return Err(format!("test does not know `{other}`")),
        }
    }
    if steps.is_empty() {
        steps = Step::ALL.to_vec();
    }
    // Always in the house's order, whatever order was asked for: cheapest first, tests last.
    steps.sort_unstable();
    steps.dedup();
    Ok(Task::Test { steps, filters })
}

fn read_conservation<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Task, String> {
    let mut plan = Plan::default();
    while let Some(word) = words.next() {
        let number = match word {
            "--seeds" => &mut plan.seeds,
            "--seed" => &mut plan.first_seed,
            "--seconds" => &mut plan.seconds,
            "--keep-going" => {
                plan.keep_going = true;
                continue;
            }
            "--kill-broker" => {
                plan.kill_broker = true;
                continue;
            }
            "-h" | "--help" => return Ok(Task::Help),
            other => return Err(format!("conservation does not know `{other}`")),
        };
        let text = words.next().ok_or(format!("{word} wants a number"))?;
        *number = text.parse().map_err(|_| format!("{word} wants a number, found `{text}`"))?;
    }
    Ok(Task::Conservation(plan))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Task, String> {
        read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn test_alone_means_every_step() {
        let every = Task::Test { steps: Step::ALL.to_vec(), filters: vec![] };
        assert_eq!(read_line("test"), Ok(every));
    }

    #[test]
    fn chosen_steps_run_once_and_in_the_houses_order() {
        let chosen = Task::Test {
            steps: vec![Step::Format, Step::Tests],
            filters: vec!["kill_nine".into(), "--no-capture".into()],
        };
        assert_eq!(
            read_line("test --only tests --only fmt --only tests -- kill_nine --no-capture"),
            Ok(chosen)
        );
    }

    #[test]
    fn conservation_takes_its_numbers() {
        let plan = Plan { first_seed: 7, seeds: 50, keep_going: true, ..Plan::default() };
        assert_eq!(
            read_line("conservation --seeds 50 --keep-going --seed 7"),
            Ok(Task::Conservation(plan))
        );
        let plan = Plan { seconds: 1200, kill_broker: true, ..Plan::default() };
        assert_eq!(
            read_line("conservation --seconds 1200 --kill-broker"),
            Ok(Task::Conservation(plan))
        );
    }

    #[test]
    fn misuse_is_said_and_never_guessed() {
        for line in [
            "build",
            "test --fast",
            "test --only",
            "test --only lint",
            "broker now",
            "conservation --seeds",
            "conservation --seeds many",
            "conservation 3",
        ] {
            assert!(read_line(line).is_err(), "{line}");
        }
        assert_eq!(read_line(""), Ok(Task::Help));
    }
}
