//! Identifiers that must not be linked: after adoption, a change of gender or a change of identity
//! for protection, old and new must not be seen together.

use std::collections::BTreeSet;
use std::fmt;

use record::local::LocalId;
use record::name_based::name_based;
use record::nhs_number::NhsNumber;
use serde::Serialize;
use uuid::Uuid;

use crate::fact::Fact;

/// An identifier of a patient.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Identifier {
    /// An NHS Number.
    Number(NhsNumber),
    /// One that a source issued.
    Local(LocalId),
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifier(***)")
    }
}

/// The fact that two identifiers must not be linked. `salt` is random, and new for every pair: from
/// the hash nobody can tell the pair without trying all.
pub fn do_not_link(one: &Identifier, other: &Identifier, salt: [u8; 16]) -> Fact {
    let salt = Uuid::from_bytes(salt);
    Fact::DoNotLink { salt, hash: hash(salt, one, other) }
}

/// The fact of the list that speaks of a pair.
pub(crate) fn entry(
    list: &BTreeSet<(Uuid, Uuid)>,
    one: &Identifier,
    other: &Identifier,
) -> Option<(Uuid, Uuid)> {
    list.iter().find(|(salt, listed)| hash(*salt, one, other) == *listed).copied()
}

/// Whether the list holds a pair of one of each side.
pub(crate) fn is_forbidden(
    list: &BTreeSet<(Uuid, Uuid)>,
    ones: &[Identifier],
    others: &[Identifier],
) -> bool {
    !list.is_empty()
        && ones
            .iter()
            .any(|one| others.iter().any(|other| one != other && entry(list, one, other).is_some()))
}

/// Of the identifiers of one patient those that may be seen together, and those that may not be seen
/// with them. What comes first stays.
pub(crate) fn apart(
    list: &BTreeSet<(Uuid, Uuid)>,
    identifiers: impl IntoIterator<Item = Identifier>,
) -> (Vec<Identifier>, Vec<Identifier>) {
    let (mut together, mut hidden) = (Vec::new(), Vec::new());
    for one in identifiers {
        let fits = !is_forbidden(list, std::slice::from_ref(&one), &together);
        if fits { together.push(one) } else { hidden.push(one) }
    }
    (together, hidden)
}

/// The same whichever of the two comes first.
fn hash(salt: Uuid, one: &Identifier, other: &Identifier) -> Uuid {
    let text = |identifier: &Identifier| match identifier {
        Identifier::Number(number) => format!("nhs\0{number}"),
        Identifier::Local(local) => {
            format!("local\0{}\0{}\0{}", local.authority, local.kind, local.value)
        }
    };
    let mut pair = [text(one), text(other)];
    pair.sort_unstable();
    name_based(&salt, pair.join("\n").as_bytes())
}
