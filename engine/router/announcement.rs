//! What the engine itself says of a patient, as the data of an event.

use hl7::message::Message;
use identity::event::{EngineEvent, Role, What};
use record::fhir::built::Built;
use record::fhir::bundle::bundle;
use record::fhir::known::{Link, Person, misfiled, person, visit};
use record::identity::Identity;
use record::local::LocalId;
use record::movement;
use record::source::Source;

/// Whom an event is about, as its attributes say. The number went to the survivor of a merge: an event
/// about the record that is used no more does not carry it, or readers would put away the survivor.
pub(crate) fn whom(event: &EngineEvent) -> Identity {
    let number = event.number.filter(|_| event.what != What::Merged(Role::Retired));
    Identity {
        nhs_number: number.map(|(number, _)| number),
        status: number.and_then(|(_, status)| status),
        best_local: event.locals.first().cloned(),
        local: event.locals.clone(),
        ..Identity::default()
    }
}

/// The Bundle of an event that follows from the identity index.
pub(crate) fn data(event: &EngineEvent, message: &Message, source: &Source) -> Built {
    let whom = Person { number: whom(event).nhs_number, local: &event.locals };
    let retired;
    let other = match (&event.other, &event.what) {
        (Some(other), What::Merged(Role::Survivor)) => {
            Some(Person { number: None, local: &other.locals })
        }
        (Some(other), _) => Some(Person { number: other.number, local: &other.locals }),
        (None, What::Merged(Role::Survivor)) => {
            retired = named_as_retired(event, message, source);
            Some(Person { number: None, local: &retired })
        }
        (None, _) => None,
    };
    let nobody = Person::default();
    let link = |link: Link| other.map(|other| (other, link));
    let mut parts = Vec::with_capacity(2);
    match &event.what {
        What::Merged(role) => {
            let goes_on = *role == Role::Survivor;
            let link = link(if goes_on { Link::Replaces } else { Link::ReplacedBy });
            parts.push(person(message, whom, link, nobody));
        }
        What::Linked => {
            parts.push(person(message, whom, link(Link::SeeAlso), nobody));
        }
        What::NumberChanged { old, .. } | What::NumberInvalidated { old } => {
            let old = Person { number: Some(*old), local: &[] };
            parts.push(person(message, whom, None, old));
        }
        What::EncounterMerged { from, to, standing }
        | What::EncounterRenumbered { from, to, standing } => {
            parts.push(person(message, whom, None, nobody));
            parts.push(visit(message, source, to, Some(from), standing));
        }
        What::EncounterMoved { visit: number, role, standing } => {
            // No link: the two are not one person, which is why the visit moved.
            parts.push(person(message, whom, None, nobody));
            parts.push(match role {
                Role::Survivor => visit(message, source, number, None, standing),
                Role::Retired => misfiled(message, source, number),
            });
        }
        What::IdentifiersMoved { locals, role } => {
            let moved = Person { number: None, local: locals };
            parts.push(match role {
                Role::Survivor => person(message, Person { local: locals, ..whom }, None, nobody),
                Role::Retired => {
                    let left: Vec<LocalId> = event
                        .locals
                        .iter()
                        .filter(|held| !locals.contains(held))
                        .cloned()
                        .collect();
                    person(message, Person { local: &left, ..whom }, None, moved)
                }
            });
        }
        What::Identified | What::Unmerged(_) | What::Unlinked | What::SensitivityChanged { .. } => {
            parts.push(person(message, whom, None, nobody));
        }
    }
    bundle(parts)
}

/// Identifiers of the patient that the message says are used no more: there was no other record.
fn named_as_retired(event: &EngineEvent, message: &Message, source: &Source) -> Vec<LocalId> {
    let Some(Ok(movement)) = movement::read(message, source) else { return Vec::new() };
    let retired = movement.pairs.iter().flat_map(|pair| &pair.retired.locals);
    retired.filter(|local| event.locals.contains(local)).cloned().collect()
}
