//! The source's own identifiers of a patient.

use std::fmt;

use hl7::segment::{Field, Repetition};
use serde::{Deserialize, Serialize};

use crate::source::LocalAuthority;
use crate::text::{meant, stated};

/// An identifier that the source issued; shown as in HL7, `n^^^RXX01^MR`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LocalId {
    /// Assigning authority, CX-4.1.
    pub authority: String,
    /// Identifier type, CX-5.
    pub kind: String,
    /// The identifier itself, CX-1.
    pub value: String,
}

/// The source's own identifiers in a list of them (PID-3, MRG-1), in message order, and the one
/// that orders and names the patient best: one that names its authority, then one of the default
/// authority, then the first of the source's list.
pub(crate) fn local_ids(
    list: Option<Field<'_>>,
    kinds: &[LocalAuthority],
) -> (Vec<LocalId>, Option<LocalId>) {
    let Some(field) = list else { return (Vec::new(), None) };
    let own = |id: Repetition<'_>| {
        let (authority, kind) = (meant(id.text(4, 1)), meant(id.text(5, 1)));
        let local = local_id(&id, authority.as_deref(), kind.as_deref(), kinds)?;
        Some((local, authority.is_some(), authority.is_some() || kind.is_some()))
    };
    let mut own: Vec<(LocalId, bool, bool)> = field.repetitions().filter_map(own).collect();
    // Beside an identifier that says what it is, one that says nothing may be any number.
    if own.iter().any(|(_, _, labelled)| *labelled) {
        own.retain(|(_, _, labelled)| *labelled);
    }
    let rank = |local: &LocalId, by_authority: bool| {
        let of =
            |kind: &LocalAuthority| kind.authority == local.authority && kind.kind == local.kind;
        let position = kinds.iter().position(of).unwrap_or(usize::MAX);
        (!by_authority, !kinds.iter().any(|kind| kind.default && of(kind)), position)
    };
    let best = own.iter().min_by_key(|(local, by_authority, _)| rank(local, *by_authority));
    let best = best.map(|(local, ..)| local.clone());
    (own.into_iter().map(|(local, ..)| local).collect(), best)
}

/// Whether an identifier of a list is that one.
pub(crate) fn is_that(
    identifier: &Repetition<'_>,
    local: &LocalId,
    kinds: &[LocalAuthority],
) -> bool {
    let (authority, kind) = (meant(identifier.text(4, 1)), meant(identifier.text(5, 1)));
    let own = local_id(identifier, authority.as_deref(), kind.as_deref(), kinds);
    own.as_ref() == Some(local)
}

/// The identifier as one of the source's own; one without authority is of the default authority.
fn local_id(
    identifier: &Repetition<'_>,
    authority: Option<&str>,
    kind: Option<&str>,
    kinds: &[LocalAuthority],
) -> Option<LocalId> {
    let fits = |local: &&LocalAuthority| {
        let by_authority = match authority {
            Some(authority) => local.authority.eq_ignore_ascii_case(authority),
            None => local.default,
        };
        by_authority && kind.is_none_or(|kind| local.kind.eq_ignore_ascii_case(kind))
    };
    let found = kinds.iter().find(fits)?;
    let value = stated(identifier.text(1, 1))?;
    Some(LocalId { authority: found.authority.clone(), kind: found.kind.clone(), value })
}

impl fmt::Display for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}^^^{}^{}", self.value, self.authority, self.kind)
    }
}

impl fmt::Debug for LocalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalId(***^^^{}^{})", self.authority, self.kind)
    }
}
