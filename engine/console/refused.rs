//! `/refused`: the ring of refused frames.

use axum::Json;
use axum::extract::State;
use router::handle::Handle;
use serde_json::{Value, json};

use crate::times;

/// Refused frames of one answer, the newest.
const REFUSED: usize = 100;
/// Bytes of a refused frame that are shown.
const SHOWN: usize = 4096;

/// Facts, and the first bytes as text for a person to look at.
pub(crate) async fn refused(State(engine): State<Handle>) -> Json<Vec<Value>> {
    let mut frames = engine.refused();
    frames.sort_by_key(|(_, frame)| frame.received);
    frames.drain(..frames.len().saturating_sub(REFUSED));
    let rows = frames.into_iter().map(|(listener, frame)| {
        json!({
            "listener": listener,
            "received": times::shown(frame.received),
            "peer": frame.peer,
            "reason": frame.reason,
            "size": frame.size,
            "text": String::from_utf8_lossy(&frame.bytes[..frame.bytes.len().min(SHOWN)]),
        })
    });
    Json(rows.collect())
}
