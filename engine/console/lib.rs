//! HTTP API and metrics of a running engine. The console sees the router through one handle.
//!
//! `/livez`, `/readyz` and `/metrics` answer anybody; everything below `/api/v1/` wants the token that
//! the engine writes to `<data>/api.token` at its first start. Answers about messages hold patient
//! identifiers and are for the people who hold the token; nothing of them is logged.

pub mod metrics;
pub mod token;
pub mod api;
pub mod server;
