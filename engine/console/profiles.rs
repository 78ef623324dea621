//! `/profiles`: how the messages of each channel kept to its profile.

use axum::Json;
use axum::extract::State;
use router::conformance::Kept;
use router::handle::Handle;

pub(crate) async fn profiles(State(engine): State<Handle>) -> Json<Vec<Kept>> {
    Json(engine.conformance())
}
