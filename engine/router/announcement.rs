//! What the engine itself says of a patient, as the data of an event.

use hl7::message::Message;
use identity::event::{EngineEvent, Role, What};
use record::fhir::built::Built;
use record::fhir::bundle::bundle;
use record::fhir::known::{Link, Person, misfiled, person, visit};

/// The Bundle of an event that follows from the identity index.
pub(crate) fn data(event: &EngineEvent, message: &Message) -> Built {
    let whom = Person { number: event.number.map(|(number, _)| number), local: &event.locals };
    let other = event.other.as_ref();
    let other = other.map(|other| Person { number: other.number, local: &other.locals });
    let link = |link: Link| other.map(|other| (other, link));
    let mut parts = Vec::with_capacity(2);
    match &event.what {
        What::Merged(role) => {
            let goes_on = *role == Role::Survivor;
            let link = link(if goes_on { Link::Replaces } else { Link::ReplacedBy });
            parts.push(person(message, whom, link, None));
        }
        What::Linked => {
            parts.push(person(message, whom, link(Link::SeeAlso), None));
        }
        What::NumberChanged { old, .. } | What::NumberInvalidated { old } => {
            parts.push(person(message, whom, None, Some(*old)));
        }
        What::EncounterMerged { from, to } | What::EncounterRenumbered { from, to } => {
            parts.push(person(message, whom, None, None));
            parts.push(visit(message, to, Some(from)));
        }
        What::EncounterMoved { visit: number, role } => {
            // No link: the two are not one person, which is why the visit moved.
            parts.push(person(message, whom, None, None));
            let stays = *role == Role::Survivor;
            parts.extend(number.as_deref().map(|number| {
                if stays { visit(message, number, None) } else { misfiled(message, number) }
            }));
        }
        What::Identified | What::Unmerged(_) | What::Unlinked | What::SensitivityChanged { .. } => {
            parts.push(person(message, whom, None, None));
        }
    }
    bundle(parts)
}
