//! The verbs.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::arguments::{
    BenchArgs, CheckArgs, DemoArgs, ListenArgs, RunArgs, SchemaArgs, SendArgs, TestArgs,
    TransformArgs,
};
use crate::asking_arguments::{
    ArchiveArgs, AuditArgs, EventsArgs, MessagesArgs, ReconcileArgs, ShowArgs, StatusArgs,
    TraceArgs,
};
use crate::deciding_arguments::{ParkedArgs, PauseArgs};
use crate::identity_arguments::IdentityArgs;
use crate::profile_arguments::ProfileArgs;

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
    /// Messages that were accepted, and the state each is in: the newest, or what a query asks for
    Messages(MessagesArgs),
    /// One message: what came, what happened to it and when, what it became
    Show(ShowArgs),
    /// One control id, or one patient (`-`), across all channels in the order of receipt
    Trace(TraceArgs),
    /// What is parked and why; shows, releases, edits and discards
    Parked(ParkedArgs),
    /// Whom identifiers mean: shows, decides conflicts and merges, fills the index
    Identity(IdentityArgs),
    /// Stops a channel's intake or delivery, until it is resumed
    Pause(PauseArgs),
    /// Lets a paused channel go on
    Resume(PauseArgs),
    /// Checks the books against the journal and the archive; exit code 1 on any difference
    Reconcile(ReconcileArgs),
    /// Who decided what, and why, the newest first
    Audit(AuditArgs),
    /// How much can be found, and how far behind it is; makes the archive anew
    Archive(ArchiveArgs),
    /// What a feed sends: learns it, compares it, and says which messages broke with it
    Profile(ProfileArgs),
    /// The reproducible benchmark: acknowledgements per second, latency, end to end
    Bench(BenchArgs),
    /// The JSON Schema of channels.yaml, for editors, or of an event's data
    Schema(SchemaArgs),
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
