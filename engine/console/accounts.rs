//! `/reconcile`, `/audit` and `/archive`: is it all there, who decided what, and how far the archive is.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use jiff::Timestamp;
use router::handle::Handle;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actor::Person;
use crate::refusal::{Refusal, blocking};
use crate::times;

/// Decisions of one answer unless `limit` says otherwise.
const LIMIT: usize = 100;
/// Decisions of one answer at most.
const MOST: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    /// RFC 3339.
    since: Option<String>,
}

/// Takes as long as reading the journal takes. What is held is a part of what is pending, as of now.
pub(crate) async fn reconcile(
    State(engine): State<Handle>,
    wanted: Result<Query<Since>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(wanted) = wanted?;
    let since = times::given(wanted.since.as_deref())?.map(Timestamp::as_millisecond);
    let asked = engine.clone();
    let found = blocking(move || asked.reconcile(since)).await??;
    let status = blocking(move || engine.status()).await?;
    let mut document = serde_json::to_value(&found).expect("sums hold texts, numbers and lists");
    document["held"] = json!(status.held);
    for channel in document["channels"].as_array_mut().into_iter().flatten() {
        let now = status.channels.iter().find(|now| channel["name"] == now.name.as_str());
        channel["held"] = json!(now.map_or(0, |now| now.held));
    }
    Ok(Json(document))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decisions {
    /// RFC 3339.
    since: Option<String>,
    limit: Option<usize>,
}

/// What operators decided, newest first.
pub(crate) async fn audit(
    State(engine): State<Handle>,
    wanted: Result<Query<Decisions>, QueryRejection>,
) -> Result<Json<Vec<Value>>, Refusal> {
    let Query(wanted) = wanted?;
    let since = times::given(wanted.since.as_deref())?.map_or(0, Timestamp::as_millisecond);
    let limit = wanted.limit.unwrap_or(LIMIT).min(MOST);
    let rows = blocking(move || engine.audit(since, limit)).await??;
    let rows = rows.into_iter().map(|row| {
        json!({
            "at": times::shown(row.at_ms),
            "message": (row.id > 0).then_some(row.id),
            "channel": row.channel,
            "action": row.action,
            "actor": row.actor,
            "reason": row.reason,
            "note": row.note,
        })
    });
    Ok(Json(rows.collect()))
}

/// How much can be found, and how far behind the journal that is.
pub(crate) async fn archive(State(engine): State<Handle>) -> Result<Json<Value>, Refusal> {
    let asked = engine.clone();
    let facts = blocking(move || asked.archive_facts()).await??;
    let lag = engine.archive_lag();
    Ok(Json(json!({
        "days": facts.days,
        "messages": facts.rows,
        "bytes": facts.bytes,
        "oldest": facts.oldest_ms.map(times::shown),
        "complete": lag.is_none(),
        "lag": lag.unwrap_or_default() / 1000,
    })))
}

/// Makes the archive anew from the journal; answers before it has caught up.
pub(crate) async fn rebuild(State(engine): State<Handle>, _person: Person) -> Json<Value> {
    engine.rebuild_archive();
    Json(json!({ "rebuilding": true }))
}
