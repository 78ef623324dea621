//! `/identity/...`: what is held of patients, and what people teach. Identifiers stand in bodies
//! only, never in an address that others log.

use std::io::Write;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use futures_util::StreamExt;
use router::handle::Handle;
use router::teaching::{Form, TeachingError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actor::{Person, PersonAndReason};
use crate::refusal::{Refusal, blocking};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Whom {
    patient: String,
}

pub(crate) async fn ask(
    State(engine): State<Handle>,
    whom: Result<Json<Whom>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(Whom { patient }) = whom?;
    let known = blocking(move || engine.teaching().show(&patient)).await??;
    let known = known.ok_or_else(|| Refusal::absent("the identity index knows nobody by that"))?;
    Ok(Json(serde_json::to_value(known).expect("what is known is texts and lists")))
}

pub(crate) async fn history(
    State(engine): State<Handle>,
    whom: Result<Json<Whom>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(Whom { patient }) = whom?;
    let happened = blocking(move || engine.teaching().history(&patient)).await??;
    if happened.is_empty() {
        return Err(Refusal::absent("the identity index knows nobody by that"));
    }
    Ok(Json(json!({ "history": happened })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Two {
    one: String,
    other: String,
    #[serde(default)]
    undo: bool,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn do_not_link(
    State(engine): State<Handle>,
    person: Person,
    two: Result<Json<Two>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(Two { one, other, undo, reason }) = two?;
    let actor = person.because(reason);
    let linked =
        blocking(move || engine.teaching().do_not_link((&one, &other), undo, &actor)).await??;
    let decision = if undo { "may-link" } else { "do-not-link" };
    Ok(Json(json!({ "decision": decision, "linked": linked })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merged {
    channel: String,
    retired: String,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn unmerge(
    State(engine): State<Handle>,
    person: Person,
    merged: Result<Json<Merged>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let Json(Merged { channel, retired, reason }) = merged?;
    let actor = person.because(reason);
    let id = blocking(move || engine.teaching().unmerge(&channel, &retired, &actor)).await??;
    Ok(Json(json!({ "id": id, "decision": "unmerge" })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    channel: String,
    form: Written,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Csv,
    Hl7,
}

/// The file comes first to disk: it may be larger than memory, and whoever sends it may break off.
pub(crate) async fn load(
    State(engine): State<Handle>,
    PersonAndReason(actor): PersonAndReason,
    wanted: Result<Query<Wanted>, QueryRejection>,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let Query(Wanted { channel, form, dry_run }) = wanted?;
    let unwritable = |error: std::io::Error| {
        Refusal::unavailable(format!("the file cannot be kept in the data folder: {error}"))
    };
    let scratch = engine.teaching().scratch().map_err(unwritable)?;
    let mut file = scratch.file().map_err(unwritable)?;
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Refusal::misunderstood("the file broke off"))?;
        file = blocking(move || file.write_all(&part).map(|()| file)).await?.map_err(unwritable)?;
    }
    let form = match form {
        Written::Csv => Form::Csv,
        Written::Hl7 => Form::Messages,
    };
    let report = blocking(move || {
        engine.teaching().load(&channel, (file, form), dry_run.then_some(&scratch), &actor)
    })
    .await??;
    let conflicts: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| json!({ "line": problem.at, "code": problem.code }))
        .collect();
    Ok(Json(json!({
        "rows": report.rows,
        "taken": report.taken,
        "unchanged": report.unchanged,
        "conflicts": conflicts,
        "counts": report.codes,
    })))
}

impl From<TeachingError> for Refusal {
    fn from(error: TeachingError) -> Self {
        let words = error.to_string();
        match error {
            TeachingError::NoChannel(_) | TeachingError::NotListed | TeachingError::NotMerged => {
                Self::absent(words)
            }
            TeachingError::Reason
            | TeachingError::Patient
            | TeachingError::NoSuchKind
            | TeachingError::DoesNotTeach(_)
            | TeachingError::Load(_) => Self::misunderstood(words),
            TeachingError::Loading
            | TeachingError::NotTaken
            | TeachingError::Index(_)
            | TeachingError::NotStored(_)
            | TeachingError::Scratch(_) => Self::unavailable(words),
        }
    }
}
