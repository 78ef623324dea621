//! Answers of one JSON document a line.

use axum::body::Bytes;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Their content type.
pub(crate) const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// Rows as an answer.
pub(crate) fn rows(rows: &[impl Serialize]) -> Response {
    let mut body = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut body, row).expect("rows hold only texts, numbers and lists");
        body.push(b'\n');
    }
    ([(header::CONTENT_TYPE, NDJSON)], body).into_response()
}

/// Documents that are JSON already.
pub(crate) fn join(documents: &[Bytes]) -> Bytes {
    let mut body = Vec::with_capacity(documents.iter().map(|one| one.len() + 1).sum());
    for document in documents {
        body.extend_from_slice(document);
        body.push(b'\n');
    }
    body.into()
}
