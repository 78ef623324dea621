//! The command line: the only place that prints, ends the process and reads argv.

mod environment;
mod exit;
mod paint;
mod output;
mod table;
mod logging;
mod cells;
mod screen;
mod argument_values;
mod misbehaviour;
mod peer_arguments;
mod since;
mod arguments;
mod asking_arguments;
mod deciding_arguments;
mod profile_arguments;
mod verbs;
mod patient_guard;
mod patient_prompt;
mod operator;
mod refusal_line;
mod configuration;
mod problems;
mod message_files;
mod bad_content;
mod outgoing;
mod connection;
mod control_id;
mod latency;
mod mllp_client;
mod traffic_plan;
mod traffic_jobs;
mod traffic;
mod traffic_line;
#[cfg(test)]
mod traffic_test;
mod api;
mod check;
mod check_messages;
mod rehearsal;
mod transform;
mod golden;
mod verdict;
mod test;
mod identity_arguments;
mod identity_verb;
mod identity_view;
mod junit;
mod send;
mod listen;
mod status;
mod events;
mod listing;
mod messages;
mod trace;
mod show;
mod show_view;
mod parked;
mod parked_decision;
mod parked_edit;
mod pause;
mod reconcile;
mod audit;
mod archive_verb;
mod profile_view;
mod profile;
mod generated;
mod open_files;
mod run;
mod sample_world;
mod demo;
mod demo_story;
mod demo_view;
mod bench;
mod bench_books;
mod bench_engine;
mod bench_faults;

use std::env;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use mimalloc::MiMalloc;

use crate::exit::Exit;
use crate::verbs::{Arguments, Verb};

/// A message is taken apart into many small values, made by one thread and dropped by another;
/// `tieline bench` shows what the system's allocator costs at that.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    exit::conclude(answer())
}

fn answer() -> Result<Exit> {
    let words: Vec<_> = env::args_os().collect();
    patient_guard::refuse_nhs_numbers(&words)?;
    // clap itself answers --help and --version, and ends a misuse with exit code 2.
    let verb = Arguments::parse_from(words).verb;
    logging::start(match verb {
        Verb::Run(_) => logging::Default::Info,
        Verb::Demo(_) => logging::Default::Error,
        _ => logging::Default::Warn,
    })?;
    match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Demo(args) => demo::demo(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Transform(args) => transform::run(&args),
        Verb::Test(args) => test::run(&args),
        Verb::Send(args) => send::run(&args),
        Verb::Listen(args) => listen::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Events(args) => events::run(&args),
        Verb::Messages(args) => messages::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Trace(args) => trace::run(&args),
        Verb::Parked(args) => parked::run(&args),
        Verb::Identity(args) => identity_verb::run(&args.what),
        Verb::Pause(args) => pause::pause(&args),
        Verb::Resume(args) => pause::resume(&args),
        Verb::Reconcile(args) => reconcile::run(&args),
        Verb::Audit(args) => audit::run(&args),
        Verb::Archive(args) => archive_verb::run(&args),
        Verb::Profile(args) => profile::run(&args),
        Verb::Bench(args) => bench::bench(&args),
        Verb::Schema(args) => generated::schema(args.event.as_deref()),
        Verb::Completions { shell } => generated::completions(shell),
        Verb::Man { verb } => generated::man(verb.as_deref()),
    }
}
