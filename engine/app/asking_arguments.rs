//! What may be typed behind the verbs that ask a running engine.

use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::{Asking, Format};

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

/// Which kind of patient identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ask {
    /// An NHS Number
    Nhs,
    /// A local identifier, as in PID-3: `1234567`, or `1234567^^^RXX01^MR`
    Local,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
A query: type=ADT^A01 and state=parked since 2h
  fields     id channel type control state reason peer sender event received
  operators  = !=  ~ (regular expression)  < <= > >= (id and received)
  joined by  and or not ( )
  times      since WHEN, until WHEN: 30m, 2h, 7d, 2026-01-31, 2026-01-31T10:00

Put it in quotes where the shell would read it: 'type~\"^ADT\" and (state=parked or state=pending)'.
Patient identifiers never stand in a query: --ask nhs and --ask local read them.")]
pub(crate) struct MessagesArgs {
    /// Which messages, e.g. `type=ADT^A01 and state=parked since 2h`; the newest when not given
    #[arg(value_name = "QUERY")]
    pub(crate) query: Vec<String>,

    /// Only those of a patient, whose identifier is read from standard input or asked for
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) ask: Option<Ask>,

    /// Only those in this state, e.g. `parked`
    #[arg(long)]
    pub(crate) state: Option<String>,

    /// Only those of this channel
    #[arg(long)]
    pub(crate) channel: Option<String>,

    /// Only those received since then: a time (`2026-01-01T12:00:00Z`) or an age (`2h`)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// The newest so many
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ShowArgs {
    /// The message's number, as `tieline messages` lists it
    #[arg(value_name = "ID")]
    pub(crate) id: u64,

    /// Shows the events whole, not only their names
    #[arg(long)]
    pub(crate) events: bool,

    /// Only the message's bytes, as they came
    #[arg(long, conflicts_with = "events")]
    pub(crate) raw: bool,

    /// Why you look at a message that names identifiers which must not be linked; kept in the audit
    /// with your name
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct TraceArgs {
    /// A control id (MSH-10), or `-`: a patient's identifier is read from standard input
    #[arg(value_name = "CONTROL-ID", allow_hyphen_values = true)]
    pub(crate) what: String,

    /// The newest so many
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// Only the hours from then on: a time (`2026-01-01T12:00:00Z`) or an age (`24h`)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AuditArgs {
    /// Only what was decided since then: a time (`2026-01-01T12:00:00Z`) or an age (`7d`)
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// The newest so many
    #[arg(long, value_name = "N", default_value = "100")]
    pub(crate) limit: u64,

    #[command(flatten)]
    pub(crate) asking: Asking,

    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ArchiveArgs {
    #[command(subcommand)]
    pub(crate) what: ArchiveVerb,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ArchiveVerb {
    /// How much can be found, and how far behind the journal it is
    Status {
        #[command(flatten)]
        asking: Asking,

        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Makes it anew from the journal, while the engine goes on
    Rebuild {
        /// Does not wait until it has caught up
        #[arg(long)]
        no_wait: bool,

        #[command(flatten)]
        asking: Asking,
    },
}
