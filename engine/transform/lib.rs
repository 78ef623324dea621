//! Rhai: a message in, an outcome out; deterministic, bounded, no I/O.
//!
//! [`Sources`](sources::Sources) are the texts of scripts and tables; a
//! [`Script`](script::Script) is one of them compiled with its libraries; an
//! [`Input`](outcome::Input) is a message with whom it is about; an
//! [`Outcome`](outcome::Outcome) is a decision: events, filtered, or parked; a
//! [`Fault`](fault::Fault) is a script that failed, with its innermost place.
//!
//! Invariants:
//!
//! - The same input gives the same outcome: no clock, no chance, no files, no network. Time only
//!   ends a run, it never changes its result.
//! - Operations, time, memory, depth and output of a run are bounded; what Rhai checks too late is
//!   replaced. A panic costs one message.
//! - A script imports only the `lib/...` scripts it was given.
//! - `park`, `filter` and limits end a script; it cannot catch them.
//! - Who the patient is cannot be written by a script.
//! - Nothing that `Debug` or `Display` shows of a fault or outcome quotes the message.

pub mod docs;
pub mod fault;
pub mod limits;
pub mod outcome;
pub mod problem;
pub mod reference;
pub mod script;
pub mod sources;
pub mod table;

mod calls;
mod check;
mod clashes;
mod compile;
mod engine;
mod entry;
mod findings;
mod functions;
mod hardened;
mod json;
mod natives;
mod null;
mod path;
mod run;
mod vocabulary;
mod words;
