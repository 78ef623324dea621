//! What may be typed behind `tieline profile`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::{Asking, Format};

#[derive(Clone, Debug, Args)]
pub(crate) struct ProfileArgs {
    #[command(subcommand)]
    pub(crate) what: ProfileVerb,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProfileVerb {
    /// Learns a profile from messages and prints it; it holds no patient data
    Infer(InferArgs),
    /// What changed from one profile to another, or to messages; exit code 1 when anything did
    Diff(DiffArgs),
    /// Which rules messages broke since their profiles came into force; exit code 1 when any did
    Report(ReportArgs),
}

/// Messages that a running engine holds, instead of files.
#[derive(Clone, Debug, Args)]
pub(crate) struct Stored {
    /// The channel whose stored messages are read from the running engine
    #[arg(short = 'n', long, value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    /// Only those received since then: a time (`2026-01-01T12:00:00Z`) or an age (`7d`)
    #[arg(long, value_name = "TIME", requires = "channel")]
    pub(crate) since: Option<String>,

    /// The newest so many
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) asking: Asking,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct InferArgs {
    /// Files, folders (in order of names), or `-` for standard input
    #[arg(value_name = "PATH", required_unless_present = "channel", conflicts_with = "channel")]
    pub(crate) paths: Vec<PathBuf>,

    /// What the profile is of; the channel unless given
    #[arg(long)]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) stored: Stored,

    /// YAML for channels.yaml, or JSON
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DiffArgs {
    /// A profile (`.yaml`), or messages
    #[arg(value_name = "BEFORE")]
    pub(crate) before: PathBuf,

    /// Another profile, or messages
    #[arg(value_name = "AFTER", required_unless_present = "channel", conflicts_with = "channel")]
    pub(crate) after: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) stored: Stored,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ReportArgs {
    /// Only this channel
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}
