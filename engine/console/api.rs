//! `/api/v1/...`: what the asking verbs of the command line ask.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use futures_util::stream;
use jiff::Timestamp;
use router::handle::Handle;
use router::query::{Cursor, Filter};
use serde::Deserialize;

/// Rows or events of one answer unless `limit` says otherwise.
const LIMIT: usize = 100;
/// Rows or events of one answer at most; ask again from the cursor for more.
const MOST: usize = 10_000;
/// Events read at once while following.
const STEP: usize = 256;
const CURSOR: HeaderName = HeaderName::from_static("tieline-cursor");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// The routes, without the token's guard.
pub fn routes() -> Router<Handle> {
    Router::new()
        .route("/status", routing::get(status))
        .route("/messages", routing::get(messages))
        .route("/events", routing::get(events))
        .route("/refused", routing::get(refused))
}

async fn status(State(engine): State<Handle>) -> Response {
    match tokio::task::spawn_blocking(move || engine.status()).await {
        Ok(status) => Json(status).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessagesQuery {
    limit: Option<usize>,
    state: Option<router::entry::State>,
    channel: Option<String>,
    /// RFC 3339.
    since: Option<String>,
}

async fn messages(State(engine): State<Handle>, Query(query): Query<MessagesQuery>) -> Response {
    let Ok(since) = query.since.as_deref().map(str::parse::<Timestamp>).transpose() else {
        return (StatusCode::BAD_REQUEST, "since is a time in RFC 3339").into_response();
    };
    let filter = Filter {
        state: query.state,
        channel: query.channel,
        since,
        limit: query.limit.unwrap_or(LIMIT).min(MOST),
    };
    let rows = tokio::task::spawn_blocking(move || engine.messages(&filter)).await;
    let Ok(rows) = rows else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut body = Vec::new();
    for row in rows {
        if serde_json::to_writer(&mut body, &row).is_err() {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        body.push(b'\n');
    }
    ([(header::CONTENT_TYPE, NDJSON)], body).into_response()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EventsQuery {
    after: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

async fn events(State(engine): State<Handle>, Query(query): Query<EventsQuery>) -> Response {
    let cursor = match query.after.as_deref().map(str::parse).transpose() {
        Ok(cursor) => cursor.unwrap_or(Cursor::START),
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    };
    if query.follow {
        return follow(engine, cursor, query.limit);
    }
    let limit = query.limit.unwrap_or(LIMIT).min(MOST);
    let found = tokio::task::spawn_blocking(move || engine.events(cursor, limit)).await;
    let Ok((found, behind)) = found else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let behind = HeaderValue::try_from(behind.to_string()).unwrap_or(NDJSON);
    ([(header::CONTENT_TYPE, NDJSON), (CURSOR, behind)], lines(&found)).into_response()
}

fn lines(events: &[Bytes]) -> Bytes {
    let mut body = Vec::with_capacity(events.iter().map(|event| event.len() + 1).sum());
    for event in events {
        body.extend_from_slice(event);
        body.push(b'\n');
    }
    body.into()
}

/// Events as they come, until the client leaves or `limit` is reached.
fn follow(engine: Handle, cursor: Cursor, limit: Option<usize>) -> Response {
    let changes = engine.changes();
    let start = (engine, changes, cursor, limit.unwrap_or(usize::MAX));
    let chunks = stream::unfold(start, |(engine, mut changes, cursor, left)| async move {
        if left == 0 {
            return None;
        }
        loop {
            changes.borrow_and_update();
            let asked = engine.clone();
            let reading = tokio::task::spawn_blocking(move || asked.events(cursor, STEP.min(left)));
            let (found, behind) = reading.await.ok()?;
            if !found.is_empty() {
                let left = left - found.len();
                return Some((Ok::<_, Infallible>(lines(&found)), (engine, changes, behind, left)));
            }
            changes.changed().await.ok()?;
        }
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(chunks)).into_response()
}

/// Refused frames of one answer, the newest.
const REFUSED: usize = 100;
/// Bytes of a refused frame that are shown.
const SHOWN: usize = 4096;

/// The ring of refused frames: facts, and the first bytes as text for a person to look at.
async fn refused(State(engine): State<Handle>) -> impl IntoResponse {
    let mut frames = engine.refused();
    frames.sort_by_key(|(_, frame)| frame.received);
    frames.drain(..frames.len().saturating_sub(REFUSED));
    let rows: Vec<_> = frames
        .into_iter()
        .map(|(listener, frame)| {
            serde_json::json!({
                "listener": listener,
                "received": format!("{:.3}", Timestamp::from_millisecond(frame.received).unwrap_or_default()),
                "peer": frame.peer,
                "reason": frame.reason,
                "size": frame.size,
                "text": String::from_utf8_lossy(&frame.bytes[..frame.bytes.len().min(SHOWN)]),
            })
        })
        .collect();
    Json(rows)
}
