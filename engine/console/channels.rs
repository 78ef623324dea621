//! `/channels/{name}/pause` and `/resume`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use router::handle::Handle;
use router::operators::Side;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::actor::Person;
use crate::deciding::to_the_end;
use crate::refusal::Refusal;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sides {
    Intake,
    Delivery,
    #[default]
    Both,
}

impl Sides {
    fn each(self) -> &'static [Side] {
        match self {
            Self::Intake => &[Side::Intake],
            Self::Delivery => &[Side::Delivery],
            Self::Both => &[Side::Intake, Side::Delivery],
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    side: Sides,
    #[serde(default)]
    reason: String,
}

pub(crate) async fn pause(
    State(engine): State<Handle>,
    name: Result<Path<String>, PathRejection>,
    person: Person,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    turn(engine, name, person, wanted, true).await
}

pub(crate) async fn resume(
    State(engine): State<Handle>,
    name: Result<Path<String>, PathRejection>,
    person: Person,
    wanted: Result<Json<Wanted>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    turn(engine, name, person, wanted, false).await
}

/// Each side is a decision of its own in the audit.
async fn turn(
    engine: Handle,
    name: Result<Path<String>, PathRejection>,
    person: Person,
    wanted: Result<Json<Wanted>, JsonRejection>,
    stop: bool,
) -> Result<Json<Value>, Refusal> {
    let (Path(name), Json(wanted)) = (name?, wanted?);
    let actor = person.because(wanted.reason);
    for side in wanted.side.each() {
        let (engine, name, actor, side) = (engine.clone(), name.clone(), actor.clone(), *side);
        to_the_end(async move { engine.pause(&name, side, stop, &actor).await }).await?;
    }
    let paused = engine.ask(|ledger| ledger.paused.get(&name).cloned()).unwrap_or_default();
    let (intake, delivery) = (paused.intake, paused.delivery);
    Ok(Json(json!({ "channel": name, "paused": { "intake": intake, "delivery": delivery } })))
}
