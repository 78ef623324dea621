//! HTTP API and metrics of a running engine. The console sees the router through one handle.
//!
//! `/livez`, `/readyz` and `/metrics` answer anybody; everything below `/api/v1/` wants the token that
//! the engine writes to `<data>/api.token` at its first start. Answers about messages hold patient
//! identifiers and are for the people who hold the token; nothing of them is logged, and no
//! identifier stands in an address. Whoever decides something says who they are; the token is what
//! authorises, the name is what the audit keeps.

pub mod metrics;
pub mod token;
mod refusal;
mod deciding;
mod actor;
mod times;
mod lines;
mod listing;
mod message;
pub mod message_tree;
mod profiles;
mod parked;
mod patients;
mod channels;
mod events;
mod event_types;
mod refused;
mod accounts;
pub mod api;
pub mod server;
