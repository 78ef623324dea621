//! Why a question or a decision is not met, as `{ "error": "words" }`.

use archive::error::ArchiveError;
use archive::parse::QueryError;
use axum::Json;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use router::operators::OperatorError;
use router::reconcile::ReconcileError;
use serde_json::json;

/// A status and its words.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    words: String,
}

impl Refusal {
    /// The question cannot be understood: 400.
    pub(crate) fn misunderstood(words: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, words: words.into() }
    }

    /// It cannot be answered now: 503.
    pub(crate) fn unavailable(words: impl Into<String>) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, words: words.into() }
    }

    /// What is asked about is not there: 404.
    pub(crate) fn absent(words: impl Into<String>) -> Self {
        Self { status: StatusCode::NOT_FOUND, words: words.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.words }))).into_response()
    }
}

impl From<OperatorError> for Refusal {
    fn from(error: OperatorError) -> Self {
        let status = match &error {
            OperatorError::Reason | OperatorError::Unreadable | OperatorError::Unchanged(_) => {
                StatusCode::BAD_REQUEST
            }
            OperatorError::Unknown(_) | OperatorError::NoChannel(_) => StatusCode::NOT_FOUND,
            OperatorError::NotParked { .. }
            | OperatorError::Busy(_)
            | OperatorError::NotByText(_)
            | OperatorError::NoConflict { .. }
            | OperatorError::NothingRefused { .. }
            | OperatorError::NotRefusedBy(..)
            | OperatorError::SamePerson { .. }
            | OperatorError::NothingProposed(_)
            | OperatorError::AnotherProposed { .. } => StatusCode::CONFLICT,
            OperatorError::NotStored(_) | OperatorError::NotRead(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self { status, words: error.to_string() }
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::misunderstood(error.to_string())
    }
}

impl From<ArchiveError> for Refusal {
    fn from(error: ArchiveError) -> Self {
        let words =
            format!("the archive cannot answer ({error}): tieline archive rebuild makes it anew");
        Self { status: StatusCode::SERVICE_UNAVAILABLE, words }
    }
}

impl From<ReconcileError> for Refusal {
    fn from(error: ReconcileError) -> Self {
        Self { status: StatusCode::SERVICE_UNAVAILABLE, words: error.to_string() }
    }
}

/// What axum itself cannot read is told in the same form.
macro_rules! unreadable {
    ($($rejection:ty),*) => {$(
        impl From<$rejection> for Refusal {
            fn from(rejection: $rejection) -> Self {
                Self { status: rejection.status(), words: rejection.body_text() }
            }
        }
    )*};
}

unreadable!(QueryRejection, JsonRejection, PathRejection, BytesRejection);

/// Runs what blocks where it may.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        words: "internal error: see the log".to_owned(),
    })
}
