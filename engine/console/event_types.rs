//! `/event-types`: the catalogue, for those who subscribe.

use axum::Json;
use axum::extract::Path;
use record::catalogue::{self, EventType};
use serde_json::{Value, json};

use crate::refusal::Refusal;

pub(crate) async fn all() -> Json<Vec<Value>> {
    Json(catalogue::all().iter().map(|kind| described(kind)).collect())
}

fn described(kind: &EventType) -> Value {
    json!({
        "name": kind.name,
        "description": kind.description,
        "trigger": kind.trigger,
        "time": kind.times,
        "resources": kind.resources,
        "cleared": kind.cleared,
        "replaced": kind.replaced,
        "engine": kind.engine,
        "restricted": kind.restricted,
        "heading": kind.heading,
        "dataschema": kind.schema_uri(),
    })
}

pub(crate) async fn schema(Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let kind = catalogue::lookup(&name);
    let kind = kind.ok_or_else(|| Refusal::absent("there is no such type: see /event-types"))?;
    Ok(Json(record::schema::schema(kind)))
}
