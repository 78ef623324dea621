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

pub mod conformance;
pub mod plan;

pub mod listeners;
pub mod listener;
pub mod port;
pub mod tls;
mod secured;
pub mod session;
mod taking;
mod answering;
mod answers;
pub mod fates;
pub mod sequences;
pub mod accept;
pub mod budget;
pub mod intake;
pub mod refused;
mod refusing;
pub mod repeats;

pub mod entry;
pub mod delivery;
mod reading;
pub mod duplicates;
mod drawer;
pub mod sightings;
pub mod seen_log;
pub mod seen;
pub mod work;
mod flight;
pub mod desk;
mod runnable;
mod unsent;
mod settle;
mod waiting;
mod retries;
mod retrying;
mod priority;
pub mod patients;
mod copying;
pub mod identified;
pub mod facts;
pub mod process;
mod composing;
mod announcement;
mod kin;
pub mod order;
pub mod scope;
pub mod hold;
mod chain;
mod seat;
pub mod held;
pub mod entitlement;
pub mod routes;
pub mod publish;
mod verdict;
pub mod embedded;
pub mod broker_plan;
mod broker_health;
pub mod amqp;
mod supervisor;
pub mod topology;
pub mod bindings;
pub mod delivery_plan;
mod delivery_form;
mod http_post;
mod outbox_place;
mod outbox;
pub mod outboxes;
pub mod backoff;

pub mod ids;
pub mod sums;
pub mod ledger;
pub mod rate;
pub mod books;
mod archive_home;
pub mod chronicle;
pub mod reconcile;
pub mod found;
pub mod feed;
pub mod operators;
mod touching;
pub mod teaching;
mod sealed;

mod keepers;
pub mod engine;
pub mod reload;
pub mod handle;
pub mod status;
mod lifeline;
mod sampler;
pub mod silence;
pub mod alert_plan;
pub mod alarm;
pub mod alert;
mod alert_notice;
mod alert_tell;
mod alert_exec;
mod alert_webhook;
mod watch;
pub mod event;
pub mod described;
pub mod meters;
