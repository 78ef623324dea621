//! One message, from what it states to what it changes.

use std::collections::HashSet;
use std::sync::Arc;

use record::movement::{Movement, Pair};
use record::nhs_number::Status;
use record::trigger::Kind;

use crate::decision::{Decision, Parked};
use crate::desk::{Desk, Stop, conflict};
use crate::draft::Draft;
use crate::error::IndexError;
use crate::event::What;
use crate::fact::{Fact, LoadedStatement, Names};
use crate::key::Key;
use crate::layers::Layers;
use crate::merge::{change, merge};
use crate::overlay::Overlay;
use crate::patient::PatientId;
use crate::place::{Placed, place};
use crate::rules::{Merges, Resolution, Rules};
use crate::stated::Stated;
use crate::statement::{REPLAYED, Statement};
use crate::visits::{link, merge_visits, move_identifier, move_visits, renumber};

/// Decides about a message, and changes nothing.
pub(crate) fn decide(
    layers: &mut Layers,
    message_id: u64,
    received_ms: i64,
    stated: &Stated,
    rules: &Rules<'_>,
) -> Result<Decision, IndexError> {
    let mut draft = Draft::new(layers);
    let named = named(&mut draft, stated)?;
    let mut desk = Desk::new(draft, rules, message_id, received_ms)?;
    let decided = deliberate(&mut desk, stated);
    match decided {
        Ok(mut decision) => {
            let first = decision.patient.take();
            let rest = std::mem::take(&mut desk.concerned);
            desk.concern(first);
            desk.concern(rest);
            desk.concern(named);
            let said = &stated.sensitivity;
            decision.protected = said.maybe_protected;
            decision.dissent = said.maybe_dissent;
            decision.protected |= first.is_none() && said.protected == Some(true);
            decision.dissent |= first.is_none() && said.dissent == Some(true);
            Ok(desk.decided(decision, Some(stated))?)
        }
        Err(Stop::Parked(parked)) => {
            desk.concerned = named;
            let mut decision = desk.parked(parked)?;
            decision.protected |= stated.sensitivity.protected == Some(true);
            decision.dissent |= stated.sensitivity.dissent == Some(true);
            Ok(decision)
        }
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Everybody whom a message names and who is known, through merges.
pub(crate) fn resolve(layers: &mut Layers, stated: &Stated) -> Result<Vec<PatientId>, IndexError> {
    named(&mut Draft::new(layers), stated)
}

fn named(draft: &mut Draft<'_>, stated: &Stated) -> Result<Vec<PatientId>, IndexError> {
    let mut found = Vec::new();
    for side in stated.sides() {
        if let Some(number) = side.found {
            found.extend(draft.find(&Key::Number(number))?);
        }
        for local in &side.locals {
            let space = draft.layers().names.space(local).ok_or(IndexError::TooManyNames)?;
            found.extend(draft.find(&Key::Local(space, local.value.as_str().into()))?);
        }
    }
    let mut seen = HashSet::new();
    found.retain(|id| seen.insert(*id));
    Ok(found)
}

/// What a row of a load comes to, in the light of earlier rows of its `batch`, to which it is added;
/// nothing when all of it is known, or why it does not go in. Nothing changes hands.
pub(crate) fn load(
    layers: &mut Layers,
    batch: &mut Overlay,
    stated: &Stated,
    source: &str,
) -> Result<Result<Option<Fact>, Parked>, IndexError> {
    layers.trial = Some(std::mem::take(batch));
    let found = load_over(layers, stated, source);
    *batch = layers.trial.take().unwrap_or_default();
    match found {
        Ok(None) => Ok(Ok(None)),
        Ok(Some((fact, changes))) => {
            batch.add(changes);
            Ok(Ok(Some(fact)))
        }
        Err(Stop::Parked(parked)) => Ok(Err(parked)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

fn load_over(
    layers: &mut Layers,
    stated: &Stated,
    source: &str,
) -> Result<Option<(Fact, Overlay)>, Stop> {
    match &stated.movement {
        Some(Ok(Movement { kind, .. })) => {
            return conflict(kind.approval(), "a load neither merges nor moves");
        }
        Some(Err(unreadable)) => return conflict(unreadable.code, unreadable.detail),
        None => {}
    }
    let rules = Rules {
        source,
        teaches: true,
        merges: Merges::Approve,
        may_lower_sensitivity: false,
        resolution: None,
    };
    let mut desk = Desk::of_load(Draft::new(layers), &rules)?;
    let decision = deliberate(&mut desk, stated)?;
    let Some(patient) = decision.patient else { return Ok(None) };
    let (facts, _) = desk.into_facts();
    let brings = facts.iter().find_map(|fact| match fact {
        Fact::NumberHeld { number, .. } => Some(*number),
        _ => None,
    });
    let loaded = gathered(patient, stated, &decision, facts)?;
    // Tried out as it will be applied.
    let mut desk = Desk::of_load(Draft::new(layers), &rules)?;
    let before = (desk.patient(patient)?, desk.statement(patient)?);
    desk.learn(loaded.clone())?;
    let after = (desk.patient(patient)?, desk.statement(patient)?);
    if brings.is_some() && after.0.number() != brings {
        return conflict("identity.number-conflict", "the nhs number was taken from its patient");
    }
    let (_, changes) = desk.into_facts();
    Ok((before != after).then_some((loaded, changes)))
}

/// What a row teaches, as one fact that takes nothing; where it would, that is a conflict.
fn gathered(
    patient: PatientId,
    stated: &Stated,
    decision: &Decision,
    facts: Vec<Fact>,
) -> Result<Fact, Stop> {
    let (mut raised, mut statement) = ((false, false), None);
    for fact in facts {
        match fact {
            // All of that stands in the row.
            Fact::Created { .. }
            | Fact::Bound { .. }
            | Fact::NumberHeld { .. }
            | Fact::Learned { .. } => {}
            Fact::Sensitivity { protected, dissent, .. } => {
                raised = (protected == Some(true), dissent == Some(true));
            }
            Fact::Stated { statement: now, .. } => {
                statement = Some(LoadedStatement::new(decision.previous.as_deref(), now));
            }
            Fact::United { .. } => {
                return conflict("identity.two-patients", "it would make one of two patients");
            }
            _ => {
                return conflict(
                    "identity.number-conflict",
                    "it would take the nhs number from its patient",
                );
            }
        }
    }
    let side = &stated.side;
    Ok(Fact::Loaded {
        patient,
        number: side.number,
        status: side.status.filter(|_| side.number.is_some()),
        locals: side.locals.clone(),
        names: Names::from(&side.demographics),
        protected: raised.0,
        dissent: raised.1,
        stated: statement,
    })
}
fn deliberate(desk: &mut Desk<'_, '_>, stated: &Stated) -> Result<Decision, Stop> {
    let mut decision = Decision::default();
    desk.replays = stated.replayed;
    let index_is_right = desk.resolved(Resolution::Index);
    let mut placed = match &stated.movement {
        Some(Err(unreadable)) if !index_is_right => {
            return conflict(unreadable.code, unreadable.detail);
        }
        Some(Ok(movement)) if !index_is_right => moved(desk, movement)?,
        _ => {
            let placed = place(desk, &stated.side, &[])?;
            // What is said of the protection of the others holds, whoever is right about the merge.
            for side in stated.sides().skip(1).filter(|side| side.sensitivity.raises()) {
                place(desk, side, &[])?;
            }
            placed
        }
    };
    let Some(patient) = placed.patient else { return Ok(decision) };
    let patient = desk.canonical(patient)?;
    withdraw(desk, stated, patient, &mut placed)?;
    let previous = desk.statement(patient)?;
    let now = if desk.ignores_names {
        previous.clone().unwrap_or_default()
    } else {
        let now = stated.said.over(previous.as_ref());
        let is_news = previous.as_ref().map_or(!now.is_empty(), |previous| *previous != now);
        // What is said today counts more than what an archive says.
        let is_live = |previous: &Arc<Statement>| !previous.contains_key(REPLAYED);
        if is_news && !(desk.replays && previous.as_ref().is_some_and(is_live)) {
            let (statement, source) = (Statement::clone(&now), None);
            desk.learn(Fact::Stated { patient, statement, source })?;
        }
        now
    };
    decision.patient = Some(patient);
    decision.number = placed.number;
    decision.previous = previous;
    decision.stated = now;
    Ok(decision)
}

/// Merges, moves and links; the patient of the message is the first survivor. Conflicts are told
/// before the approval that is wanted.
fn moved(desk: &mut Desk<'_, '_>, movement: &Movement) -> Result<Placed, Stop> {
    let kind = movement.kind;
    let taught = desk.teaches;
    desk.teaches |= kind != Kind::Renumber;
    let mut first = None;
    for pair in &movement.pairs {
        let placed = one(desk, kind, pair)?;
        first.get_or_insert(placed);
    }
    desk.teaches = taught;
    let automatic = desk.rules.merges == Merges::Automatic || kind == Kind::Renumber;
    // What an archive tells may have been undone since, unless it is so already.
    let waits = !automatic || (desk.replays && desk.has_learned());
    if waits && !desk.resolved(Resolution::Message) {
        return conflict(kind.approval(), "merges and moves of this source wait for a person");
    }
    Ok(first.unwrap_or_default())
}

fn one(desk: &mut Desk<'_, '_>, kind: Kind, pair: &Pair) -> Result<Placed, Stop> {
    match kind {
        Kind::Merge => merge(desk, pair),
        Kind::Change => change(desk, pair),
        Kind::MoveIdentifier => move_identifier(desk, pair),
        Kind::MergeVisits => merge_visits(desk, pair),
        Kind::MoveVisits => move_visits(desk, pair),
        Kind::Renumber => renumber(desk, pair),
        Kind::Link => link(desk, pair, true),
        Kind::Unlink => link(desk, pair, false),
    }
}

/// The source says outright that the number is not the patient's, or not verified any more: it is
/// null, or its status is 04 (no match), 05 (conflict) or null.
fn withdraw(
    desk: &mut Desk<'_, '_>,
    stated: &Stated,
    patient: PatientId,
    placed: &mut Placed,
) -> Result<(), Stop> {
    let side = &stated.side;
    if !desk.teaches || desk.replays || side.number.is_some() {
        return Ok(());
    }
    let Some(old) = desk.number_of(patient)? else { return Ok(()) };
    let doubted = matches!(side.status.map(Status::code), Some("04" | "05"));
    let unverified = side.found == Some(old) && (stated.unverified || doubted);
    if unverified || (stated.deleted && side.found.is_none()) {
        desk.learn(Fact::NumberRetired { patient, number: old })?;
        desk.tell(What::NumberInvalidated { old }, patient, None);
        placed.number = None;
    }
    Ok(())
}
