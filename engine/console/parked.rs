//! `/parked` and what operators decide about parked messages.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use router::found::ParkedRow;
use router::handle::Handle;
use router::operators::{Actor, Edited};
use router::scope::is_conflict;
use serde::Deserialize;
use serde_json::{Value, json};

use identity::rules::Resolution;

use crate::actor::{Person, PersonAndReason};
use crate::deciding::to_the_end;
use crate::refusal::{Refusal, blocking};

/// Rows of one answer unless `limit` says otherwise.
const LIMIT: usize = 100;
/// Rows of one answer at most.
const MOST: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    channel: Option<String>,
    reason: Option<String>,
    class: Option<Class>,
    limit: Option<usize>,
}

/// A kind of reasons.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Class {
    /// A person has to say who is right about a patient.
    Conflict,
}

impl Wanted {
    fn all(&self) -> bool {
        self.channel.is_none() && self.reason.is_none() && self.class.is_none()
    }

    fn wants(&self, row: &ParkedRow) -> bool {
        self.channel.as_ref().is_none_or(|channel| *channel == row.channel)
            && self.reason.as_ref().is_none_or(|reason| *reason == row.reason)
            && self.class.is_none_or(|Class::Conflict| is_conflict(&row.reason))
    }
}

/// The oldest first, how many there are by reason, and in all.
pub(crate) async fn parked(
    State(engine): State<Handle>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Value>, Refusal> {
    let Query(wanted) = wanted?;
    let limit = wanted.limit.unwrap_or(LIMIT).min(MOST);
    let (rows, reasons) = blocking(move || {
        if wanted.all() {
            return engine.parked(limit);
        }
        let (mut rows, _) = engine.parked(usize::MAX);
        rows.retain(|row| wanted.wants(row));
        let mut reasons = std::collections::BTreeMap::new();
        for row in &rows {
            *reasons.entry(row.reason.clone()).or_default() += 1;
        }
        rows.truncate(limit);
        (rows, reasons)
    })
    .await?;
    let total: u64 = reasons.values().sum();
    Ok(Json(json!({ "parked": rows, "reasons": reasons, "total": total })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Because {
    #[serde(default)]
    reason: String,
}

/// Which message, who, and why.
pub(crate) fn decision(
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<(u64, Actor), Refusal> {
    let (Path(id), Json(because)) = (id?, because?);
    Ok((id, person.because(because.reason)))
}

pub(crate) async fn release(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let (id, actor) = decision(id, person, because)?;
    let held = engine.behind(id);
    to_the_end(async move { engine.operators().release(id, &actor).await }).await?;
    Ok(Json(json!({ "id": id, "decision": "release", "held": held })))
}

/// Why, and for whom alone, if it is one to whom the engine delivers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Skipped {
    #[serde(default)]
    reason: String,
    subscriber: Option<String>,
}

pub(crate) async fn skip(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    skipped: Result<Json<Skipped>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let (Path(id), Json(Skipped { reason, subscriber })) = (id?, skipped?);
    let actor = person.because(reason);
    if let Some(name) = subscriber {
        let of = name.clone();
        let event = to_the_end(async move { engine.skip_for(id, &of, &actor).await }).await?;
        let done = json!({ "id": id, "decision": "skip", "subscriber": name, "event": event });
        return Ok(Json(done));
    }
    let held = engine.behind(id);
    let (event, of) = to_the_end(async move { engine.operators().skip(id, &actor).await }).await?;
    let done = json!({ "id": id, "decision": "skip", "event": event, "events": of, "held": held });
    Ok(Json(done))
}

pub(crate) async fn discard(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let (id, actor) = decision(id, person, because)?;
    let held = engine.behind(id);
    to_the_end(async move { engine.operators().discard(id, &actor).await }).await?;
    Ok(Json(json!({ "id": id, "decision": "discard", "held": held })))
}

/// Why, and who is right.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resolved {
    #[serde(default)]
    reason: String,
    take: Resolution,
}

pub(crate) async fn resolve(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    resolved: Result<Json<Resolved>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let (Path(id), Json(Resolved { reason, take })) = (id?, resolved?);
    let actor = person.because(reason);
    let held = engine.behind(id);
    to_the_end(async move { engine.operators().resolve(id, take, &actor).await }).await?;
    Ok(Json(json!({ "id": id, "decision": "resolve", "take": take, "held": held })))
}

/// Why, and which edit was looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Approval {
    #[serde(default)]
    reason: String,
    edit: String,
}

pub(crate) async fn approve(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    approval: Result<Json<Approval>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let (Path(of), Json(Approval { reason, edit })) = (id?, approval?);
    let (held, actor) = (engine.behind(of), person.because(reason));
    let approve = async move { engine.operators().approve(of, &edit, &actor).await };
    let id = to_the_end(approve).await?;
    Ok(Json(json!({ "id": id, "decision": "approve", "of": of, "held": held })))
}

pub(crate) async fn withdraw(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let (id, actor) = decision(id, person, because)?;
    to_the_end(async move { engine.operators().withdraw(id, &actor).await }).await?;
    Ok(Json(json!({ "id": id, "decision": "withdraw" })))
}

/// The body is the edited message, byte for byte.
pub(crate) async fn edit(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    PersonAndReason(actor): PersonAndReason,
    edited: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Refusal> {
    let (Path(of), edited) = (id?, edited?);
    let held = engine.behind(of);
    let decide = async move { engine.operators().edit(of, edited, &actor).await };
    Ok(Json(match to_the_end(decide).await? {
        Edited::Accepted(id) => json!({ "id": id, "decision": "edit", "of": of, "held": held }),
        Edited::NeedsApproval(mark) => {
            json!({ "approval": true, "decision": "edit", "of": of, "edit": mark })
        }
    }))
}
