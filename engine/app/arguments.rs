//! What may be typed. Literal values only: what they mean is decided by the verbs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::argument_values::{assignment, at_least_one, duration, positive_rate};
use crate::environment;

/// A trust integration engine: HL7 v2 in, safe on disk, through scripts, out as shared-record
/// events keyed by NHS Number.
#[derive(Debug, Parser)]
#[command(name = "tieline", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 well, 1 the thing asked about is wrong, 2 failed or misused."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The engine, in the foreground, until SIGTERM
    Run(RunArgs),
    /// Samples played through the whole line in a temporary folder: see what Tieline does
    Demo(DemoArgs),
    /// All problems of the configuration, its scripts and its tables
    Check(CheckArgs),
    /// One message through one channel's script, without an engine: the outcome as JSON
    Transform(TransformArgs),
    /// Golden cases below transforms/tests: message in, expected outcome beside it
    Test(TestArgs),
    /// Sends messages over MLLP and sums up the answers
    Send(SendArgs),
    /// Receives messages over MLLP and answers them, for testing
    Listen(ListenArgs),
    /// One screen about a running engine; exit code 1 when anything needs a person
    Status(StatusArgs),
    /// What the engine made of its messages: the events, in publishing order
    Events(EventsArgs),
    /// The newest of the messages that were accepted, and the state each is in
    Messages(MessagesArgs),
    /// The reproducible benchmark: acknowledgements per second, latency, end to end
    Bench(BenchArgs),
    /// The JSON Schema of channels.yaml, for editors
    Schema,
    /// The shell's completions, on standard output
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// The manual page, or that of one verb, on standard output
    Man {
        /// Which verb
        verb: Option<String>,
    },
}

/// Which configuration, and what to change in it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Configuration {
    /// The configuration; relative paths inside it are relative to it
    #[arg(short, long, value_name = "FILE", default_value = "channels.yaml")]
    #[arg(env = environment::CONFIG, hide_env_values = true)]
    pub(crate) config: PathBuf,

    /// The data folder, instead of the configuration's `engine.data`
    #[arg(long, value_name = "DIR", env = environment::DATA, hide_env_values = true)]
    pub(crate) data: Option<PathBuf>,

    /// Sets any key of the configuration, e.g. `engine.console.listen=127.0.0.1:0`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<String>,
}

/// Which running engine is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct Asking {
    #[command(flatten)]
    pub(crate) configuration: Configuration,

    /// Where the engine answers, instead of the configuration's console address
    #[arg(long, value_name = "URL", env = environment::URL, hide_env_values = true)]
    pub(crate) url: Option<String>,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One readable JSON document
    Json,
    /// One JSON document per line
    Ndjson,
}

/// HL7 table 0008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum AnswerCode {
    Aa,
    Ae,
    Ar,
    Ca,
    Ce,
    Cr,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) configuration: Configuration,

    /// Starts on the last activated copy when the present configuration is broken, and says so
    #[arg(long)]
    pub(crate) or_last_good: bool,

    /// How readiness is told on standard output: a line for people, or one JSON document with all
    /// addresses
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Prints the events as NDJSON, ends when all is done, and checks the ledger and the counts
    #[arg(long)]
    pub(crate) once: bool,

    /// Sets any key of the demonstration's configuration
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) configuration: Configuration,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TransformArgs {
    /// The channel whose script the message goes through
    #[arg(short = 'n', long, value_name = "CHANNEL")]
    pub(crate) channel: String,

    /// The message; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) message: PathBuf,

    /// Adds where everything came from: segments, identity, time, tables, data quality
    #[arg(long)]
    pub(crate) explain: bool,

    #[arg(long, value_enum, default_value = "json")]
    pub(crate) format: Format,

    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TestArgs {
    /// Channels or cases (`pas-adt`, `pas-adt/a01`, a case's file); all when none is named
    #[arg(value_name = "CHANNEL|CASE")]
    pub(crate) only: Vec<String>,

    /// Writes what came out as what is expected
    #[arg(long)]
    pub(crate) update: bool,

    /// Writes a `JUnit` report for a build server
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) configuration: Configuration,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SendArgs {
    /// The receiver
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to: String,

    /// Files, folders (in order of names), or `-` for standard input
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Connections at the same time; with more than one the order of messages is not kept
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub(crate) connections: usize,

    /// Unacknowledged messages in flight on a connection; 1 is stop-and-wait
    #[arg(long, value_name = "N", default_value = "1", value_parser = at_least_one)]
    pub(crate) window: usize,

    /// At most so many messages per second, over all connections
    #[arg(long, value_name = "PER_SECOND", value_parser = positive_rate)]
    pub(crate) rate: Option<f64>,

    /// Sends everything so many times, each repetition with a fresh control id (MSH-10)
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) repeat: u64,

    /// Keeps the control id in repetitions
    #[arg(long)]
    pub(crate) verbatim: bool,

    /// How long to wait for a connection or an answer
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// How often a message is sent again after no answer or a wrong one
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) retries: u32,

    /// Writes the control id of each positively acknowledged message to FILE, one a line
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ListenArgs {
    /// The address to listen on; port 0 takes a free one and says which
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2575")]
    pub(crate) listen: String,

    /// The acknowledgement code of every answer; what each message asks for when not given
    #[arg(long, value_name = "CODE", ignore_case = true)]
    pub(crate) answer: Option<AnswerCode>,

    /// Ends after so many messages
    #[arg(long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// Shows the messages themselves: patient data on your screen
    #[arg(long)]
    pub(crate) raw: bool,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EventsArgs {
    /// Stays, and prints events as they come
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// Only what came after this cursor (`--format ndjson` gives events; the last line of the
    /// text form gives the cursor)
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Only these types, e.g. `encounter.*` or `result.corrected`
    #[arg(long = "type", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct MessagesArgs {
    /// Only those in this state, e.g. `parked`
    #[arg(long)]
    pub(crate) state: Option<String>,

    /// Only those of this channel
    #[arg(long)]
    pub(crate) channel: Option<String>,

    /// Only those received since then: a time (`2026-01-01T12:00:00Z`) or an age (`2h`)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) time: Duration,

    /// Connections of the measurement with many senders
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    pub(crate) connections: usize,

    /// The folder to measure on, removed afterwards; a temporary one when not given
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    /// The first line of what a misuse is answered with.
    fn refusal(words: &[&str]) -> String {
        let words = ["tieline"].iter().chain(words);
        let error = Arguments::try_parse_from(words).expect_err("refused");
        error.to_string().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_misuse_is_told_what_to_write() {
        assert_eq!(
            refusal(&["send", "--to", "127.0.0.1:2575"]),
            "error: the following required arguments were not provided:"
        );
        assert_eq!(
            refusal(&["send", "--to", "x:1", "--window", "0", "a.hl7"]),
            "error: invalid value '0' for '--window <N>': write a whole number from 1"
        );
        assert_eq!(
            refusal(&["run", "--set", "engine"]),
            "error: invalid value 'engine' for '--set <KEY=VALUE>': write KEY=VALUE, e.g. \
             engine.console.listen=127.0.0.1:0"
        );
        assert_eq!(refusal(&["sned"]), "error: unrecognized subcommand 'sned'");
    }

    #[test]
    fn every_verb_says_what_it_does() {
        let mut command = Arguments::command();
        command.build();
        for verb in command.get_subcommands() {
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
        }
    }
}
