//! What may be typed behind `tieline identity`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::{Asking, Format};
use crate::deciding_arguments::Because;

#[derive(Clone, Debug, Args)]
pub(crate) struct IdentityArgs {
    #[command(subcommand)]
    pub(crate) what: IdentityVerb,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum IdentityVerb {
    /// What is held of a patient: identifiers, number, who taught it, protection
    Show(WhomArgs),
    /// How it came to be held: every change, by whom and from which message
    History(WhomArgs),
    /// Messages parked because their patient is in doubt, or because a merge waits for a person
    Conflicts {
        /// The oldest so many
        #[arg(long, value_name = "N", default_value = "100")]
        limit: u64,

        #[command(flatten)]
        asking: Asking,

        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Decides who is right about the patient of a parked message, and processes it by that
    Resolve {
        /// The message's number, as `tieline identity conflicts` lists it
        #[arg(value_name = "ID")]
        id: u64,

        /// Who is right
        #[arg(long, value_enum, value_name = "WHO")]
        take: Take,

        #[command(flatten)]
        because: Because,
    },
    /// Fills the index from a CSV file or from A28 and A31 messages; nothing is published
    Load(LoadArgs),
    /// Takes a merge back: the retired identifier is a patient of its own again
    Unmerge {
        /// `-`: the retired identifier is read from standard input
        #[arg(value_name = "-", allow_hyphen_values = true)]
        whom: String,

        /// The channel as whose knowledge it counts; it must teach
        #[arg(short = 'n', long, value_name = "CHANNEL")]
        channel: String,

        #[command(flatten)]
        because: Because,
    },
    /// Two identifiers that must never be shown or told together, as after a change of identity
    DoNotLink {
        /// `-`: the two identifiers are read from standard input, a line each
        #[arg(value_name = "-", allow_hyphen_values = true)]
        whom: String,

        /// Takes them off the list again
        #[arg(long)]
        undo: bool,

        #[command(flatten)]
        because: Because,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct WhomArgs {
    /// A patient of the index (`p` and 16 digits, the `partitionkey` of events), or `-`: an NHS
    /// Number or a local identifier (1234567^^^RXX01^MR) is read from standard input
    #[arg(value_name = "PATIENT", allow_hyphen_values = true)]
    pub(crate) whom: String,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Take {
    /// What the message states of the patient; approves a merge or a move
    Message,
    /// What the index holds of the patient: the message's contradiction is passed over
    Index,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A CSV file names its columns in the first line: authority, type, local_id,
nhs_number, status, family, given, birth_date, sex; only the first three are
needed. A birth date is YYYY, YYYYMM or YYYYMMDD, with hyphens or without.
Anything else is read as HL7 messages. A load that broke off is given again:
what is held already is passed over.")]
pub(crate) struct LoadArgs {
    /// The file, `.csv` or messages
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The channel as whose knowledge it counts; it must teach
    #[arg(short = 'n', long, value_name = "CHANNEL")]
    pub(crate) channel: String,

    /// Says what would be loaded and what contradicts the index, and changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) because: Because,
}
