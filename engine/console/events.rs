//! `/events`: what left, in order; by cursor, or as it comes.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use router::feed::Cursor;
use router::handle::Handle;
use serde::Deserialize;

use crate::lines::{self, NDJSON};
use crate::refusal::{Refusal, blocking};

/// Events of one answer unless `limit` says otherwise.
const LIMIT: usize = 100;
/// Events of one answer at most; ask again from the cursor for more.
const MOST: usize = 10_000;
/// Events read at once while following.
const STEP: usize = 256;
const CURSOR: HeaderName = HeaderName::from_static("tieline-cursor");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    after: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    follow: bool,
}

pub(crate) async fn events(
    State(engine): State<Handle>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(wanted) = wanted?;
    let cursor = match wanted.after.as_deref().map(str::parse).transpose() {
        Ok(cursor) => cursor.unwrap_or(Cursor::START),
        Err(error) => return Err(Refusal::misunderstood(error.to_string())),
    };
    if wanted.follow {
        return Ok(follow(engine, cursor, wanted.limit));
    }
    let limit = wanted.limit.unwrap_or(LIMIT).min(MOST);
    let (found, behind) = blocking(move || engine.events(cursor, limit)).await?;
    let behind = HeaderValue::try_from(behind.to_string()).unwrap_or(NDJSON);
    Ok(([(header::CONTENT_TYPE, NDJSON), (CURSOR, behind)], lines::join(&found)).into_response())
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
                let chunk = lines::join(&found);
                return Some((Ok::<_, Infallible>(chunk), (engine, changes, behind, left)));
            }
            changes.changed().await.ok()?;
        }
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(chunks)).into_response()
}
