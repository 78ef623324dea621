//! The line: HL7 v2 frames in, shared-record events out, nothing lost between.
//!
//! ```text
//! INTAKE    socket -> frame -> header (MSH) -> accept rules -> journal.append (fsync) -> ACK
//! DELIVERY  journal -> identify -> order by patient -> transform -> record -> publish -> settle
//! ```
//!
//! Invariants:
//! - A positive answer leaves only after the message's bytes are durable; once they were handed to
//!   the journal the only answers are positive or none.
//! - Before an event leaves, its final bytes are durable in an outcome entry; a redelivery sends those.
//! - A receipt is *confirmed and not returned*; a state is written only after the receipts.
//! - Nothing here prints, exits, reads arguments or knows of console and command line.
//! - No log, metric, routing key or error has room for message content.

pub mod config;

pub mod plan;

pub mod listener;
pub mod session;
pub mod accept;
pub mod budget;
pub mod intake;
pub mod refused;

pub mod entry;
pub mod delivery;
pub mod work;
mod places;
mod settle;
mod priority;
pub mod process;
pub mod order;
pub mod routes;
pub mod publish;
pub mod embedded;
pub mod broker_plan;
pub mod amqp;
mod supervisor;
mod verdict;
mod broker_health;
pub mod topology;
pub mod bindings;
pub mod backoff;

pub mod ledger;
pub mod rate;
pub mod books;
pub mod query;

pub mod silence;
pub mod alert_plan;
pub mod alarm;
pub mod alert;
mod alert_tell;
mod alert_notice;
mod alert_exec;
mod alert_webhook;

pub mod engine;
pub mod handle;
mod lifeline;
mod sampler;
pub mod event;
pub mod meters;
