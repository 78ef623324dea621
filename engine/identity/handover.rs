//! Identifiers that go to another patient, with all that was told under them.

use std::sync::Arc;

use record::local::LocalId;
use serde_json::Value;

use crate::carried::{give_visit, take_visits, told_under};
use crate::desk::Desk;
use crate::error::IndexError;
use crate::event::{Role, What};
use crate::fact::Fact;
use crate::patient::PatientId;
use crate::protection::pass_on;

/// From now on they are of `to`; `retired` if they are in use no more. Whoever had one of them is told
/// which went, and `to` is told which came: what subscribers filed under them goes along.
pub(crate) fn hand_over(
    desk: &mut Desk<'_, '_>,
    locals: &[LocalId],
    to: PatientId,
    retired: bool,
) -> Result<(), IndexError> {
    let mut leaving: Vec<(PatientId, Vec<LocalId>)> = Vec::new();
    for local in locals {
        let from = desk.by_local(local)?;
        if from == Some(to) {
            continue;
        }
        desk.learn(Fact::Bound { patient: to, local: local.clone(), retired })?;
        let Some(from) = from else { continue };
        match leaving.iter_mut().find(|(left, _)| *left == from) {
            Some((_, gone)) => gone.push(local.clone()),
            None => leaving.push((from, vec![local.clone()])),
        }
    }
    for (from, locals) in leaving {
        hand_visits_over(desk, &locals, from, to)?;
        pass_on(desk, from, to)?;
        let moved = |role| What::IdentifiersMoved { locals: locals.clone(), role };
        desk.tell(moved(Role::Survivor), to, Some(from));
        // Of whom this message made known, nobody was told anything.
        if !desk.is_new(from) {
            desk.tell(moved(Role::Retired), from, Some(to));
        }
        desk.concern([to, from]);
    }
    Ok(())
}

/// Visits that any source stated under them, so that how these stand is known where they are stated
/// next.
fn hand_visits_over(
    desk: &mut Desk<'_, '_>,
    locals: &[LocalId],
    from: PatientId,
    to: PatientId,
) -> Result<(), IndexError> {
    let under = |_: &str, visit: &Value| locals.iter().any(|local| told_under(visit, local));
    for (source, statement) in desk.statements(from)? {
        let mut statement = Arc::unwrap_or_clone(statement);
        let taken = take_visits(&mut statement, under);
        if taken.is_empty() {
            continue;
        }
        let mut now = Arc::unwrap_or_clone(desk.statement_of(to, &source)?.unwrap_or_default());
        for visit in taken {
            let number = visit.number.clone();
            give_visit(&mut now, &number, visit);
        }
        let source = Some(source);
        desk.learn(Fact::Stated { patient: from, statement, source: source.clone() })?;
        desk.learn(Fact::Stated { patient: to, statement: now, source })?;
    }
    Ok(())
}
