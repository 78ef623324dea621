//! `/api/v1/...`: what the verbs of the command line ask and decide.

use axum::extract::{DefaultBodyLimit, State};
use axum::{Json, Router, routing};
use router::handle::Handle;
use router::status::Status;

use crate::refusal::{Refusal, blocking};
use crate::{
    accounts, channels, event_types, events, listing, message, parked, patients, profiles, refused,
};

/// An edited message may be as long as any frame that a listener may be told to take.
const LARGEST_EDIT: usize = 256 * 1024 * 1024;

/// The routes, without the token's guard.
pub fn routes() -> Router<Handle> {
    let edit = routing::post(parked::edit).layer(DefaultBodyLimit::max(LARGEST_EDIT));
    // Read as it comes, not into memory.
    let load = routing::post(patients::load).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/status", routing::get(status))
        .route("/messages", routing::get(listing::messages))
        .route("/messages/search", routing::post(listing::search))
        .route("/messages/{id}", routing::get(message::message))
        .route("/messages/{id}/raw", routing::get(message::raw))
        .route("/messages/{id}/proposed", routing::get(message::proposed))
        .route("/messages/{id}/events", routing::get(message::events))
        .route("/messages/{id}/tree", routing::get(message::tree))
        .route("/messages/{id}/look", routing::post(message::look))
        .route("/messages/{id}/look/raw", routing::post(message::look_raw))
        .route("/messages/{id}/release", routing::post(parked::release))
        .route("/messages/{id}/discard", routing::post(parked::discard))
        .route("/messages/{id}/skip", routing::post(parked::skip))
        .route("/messages/{id}/edit", edit)
        .route("/messages/{id}/approve", routing::post(parked::approve))
        .route("/messages/{id}/withdraw", routing::post(parked::withdraw))
        .route("/messages/{id}/resolve", routing::post(parked::resolve))
        .route("/identity/ask", routing::post(patients::ask))
        .route("/identity/history", routing::post(patients::history))
        .route("/identity/do-not-link", routing::post(patients::do_not_link))
        .route("/identity/unmerge", routing::post(patients::unmerge))
        .route("/identity/load", load)
        .route("/parked", routing::get(parked::parked))
        .route("/channels/{name}/pause", routing::post(channels::pause))
        .route("/channels/{name}/resume", routing::post(channels::resume))
        .route("/events", routing::get(events::events))
        .route("/event-types", routing::get(event_types::all))
        .route("/event-types/{name}/schema", routing::get(event_types::schema))
        .route("/refused", routing::get(refused::refused))
        .route("/reconcile", routing::get(accounts::reconcile))
        .route("/audit", routing::get(accounts::audit))
        .route("/profiles", routing::get(profiles::profiles))
        .route("/archive", routing::get(accounts::archive))
        .route("/archive/rebuild", routing::post(accounts::rebuild))
        .fallback(absent)
}

async fn status(State(engine): State<Handle>) -> Result<Json<Status>, Refusal> {
    Ok(Json(blocking(move || engine.status()).await?))
}

async fn absent() -> Refusal {
    Refusal::absent("there is no such question: see the list in docs/command-line.md")
}
