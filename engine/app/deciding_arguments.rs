//! What may be typed behind the verbs that decide something.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::{Asking, Format};

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct ParkedArgs {
    #[command(subcommand)]
    pub(crate) verb: Option<ParkedVerb>,

    #[command(flatten)]
    pub(crate) list: ParkedListArgs,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ParkedListArgs {
    /// Only those of this channel
    #[arg(long)]
    pub(crate) channel: Option<String>,

    /// Only those with this reason code
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: Option<String>,

    /// The oldest so many
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ParkedVerb {
    /// Shows one: what came, why it is parked, what waits behind it, the edit that waits
    Show {
        /// The message's number
        #[arg(value_name = "ID")]
        id: u64,

        #[command(flatten)]
        asking: Asking,

        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Processes them again; what waited behind them follows, in order
    Release(SeveralArgs),
    /// Puts an edited copy in the place of one; the original is kept
    Edit {
        /// The message's number
        #[arg(value_name = "ID")]
        id: u64,

        /// The edited message; `-` is standard input
        #[arg(long, value_name = "FILE", required_unless_present = "editor")]
        #[arg(conflicts_with = "editor")]
        file: Option<PathBuf>,

        /// Opens the message in $VISUAL or $EDITOR, a segment a line
        #[arg(long)]
        editor: bool,

        #[command(flatten)]
        because: Because,
    },
    /// Approves an edit of who a message is about, as a second person
    Approve {
        #[command(flatten)]
        one: OneArgs,

        /// Which edit you looked at, as `tieline show` names it
        #[arg(long, value_name = "EDIT")]
        edit: String,
    },
    /// Takes back an edit that waits for approval
    Withdraw(OneArgs),
    /// Gives up the one event that the broker refuses; the message's other events leave
    Skip {
        #[command(flatten)]
        one: OneArgs,

        /// Only for this subscriber, to whom the engine delivers and who refuses the event for good,
        /// as `tieline status` says
        #[arg(long, value_name = "NAME")]
        subscriber: Option<String>,
    },
    /// Decides that they are never delivered; what waited behind them goes on
    Discard(SeveralArgs),
}

/// Why, and how the engine is reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct Because {
    /// Why; kept in the audit with your name
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct OneArgs {
    /// The message's number
    #[arg(value_name = "ID")]
    pub(crate) id: u64,

    #[command(flatten)]
    pub(crate) because: Because,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SeveralArgs {
    /// The messages' numbers
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<u64>,

    #[command(flatten)]
    pub(crate) because: Because,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PauseArgs {
    /// Which channel
    #[arg(value_name = "CHANNEL")]
    pub(crate) channel: String,

    /// Only its intake: its listener takes no messages
    #[arg(long)]
    pub(crate) intake: bool,

    /// Only its delivery: its messages are accepted and wait
    #[arg(long)]
    pub(crate) delivery: bool,

    #[command(flatten)]
    pub(crate) because: Because,
}
