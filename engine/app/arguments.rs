//! What may be typed behind a verb. Literal values only: what they mean is decided by the verbs.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::argument_values::{assignment, at_least_one, duration, positive_rate};
use crate::environment;
use crate::peer_arguments::{ListenManners, ListenTls, SendManners, SendTls};

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

    /// Checks messages instead: each file, each file below a folder, `-` for standard input
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) messages: Vec<PathBuf>,

    /// The channel that would take them; without it the defaults of a source hold
    #[arg(short = 'n', long, value_name = "CHANNEL", requires = "messages")]
    pub(crate) channel: Option<String>,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SchemaArgs {
    /// The schema of the data of an event instead, as `encounter.admitted`
    #[arg(long, value_name = "NAME")]
    pub(crate) event: Option<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TransformArgs {
    /// The channel whose script the message goes through
    #[arg(short = 'n', long, value_name = "CHANNEL")]
    pub(crate) channel: String,

    /// The message; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) message: PathBuf,

    /// Adds where everything came from: segments, identity, time, tables, data quality; and what of
    /// the message is in no event
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

    #[command(flatten)]
    pub(crate) tls: SendTls,

    #[command(flatten)]
    pub(crate) manners: SendManners,

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

    #[command(flatten)]
    pub(crate) tls: ListenTls,

    #[command(flatten)]
    pub(crate) manners: ListenManners,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// How long each measurement lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) time: Duration,

    /// Kill, stop and freeze the engine under load, then see whether every answer held
    #[arg(long)]
    pub(crate) faults: bool,

    /// Connections of the measurement with many senders
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one)]
    pub(crate) connections: usize,

    /// The folder to measure on, removed afterwards; a temporary one when not given
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}
