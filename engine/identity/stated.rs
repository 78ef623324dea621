//! Everything of a message that the index needs.

use std::fmt;
use std::sync::Arc;

use hl7::message::Message;
use record::claim::claims_nhs_number;
use record::identity::Identity;
use record::local::LocalId;
use record::movement::{self, Movement, Side, Unreadable};
use record::replay::is_replay;
use record::sensitivity;
use record::source::Source;

use crate::statement::{Said, Statement};

/// What a message says of identity. It is read once, and decided upon later.
#[derive(Clone)]
pub struct Stated {
    /// Whom it names, and who that is said to be.
    pub(crate) side: Side,
    /// It asks that the NHS Number be deleted: an identifier that is marked as one is null.
    pub(crate) deleted: bool,
    /// It says that the number is not verified any more: PID-32 is null.
    pub(crate) unverified: bool,
    /// What it says of anybody's protection and dissent.
    pub(crate) sensitivity: sensitivity::Stated,
    pub(crate) movement: Option<Result<Movement, Unreadable>>,
    pub(crate) said: Said,
    /// It comes from an archive or an initial load (MSH-11.2): it adds to what is known, and takes back
    /// nothing of it.
    pub(crate) replayed: bool,
}

impl Stated {
    /// Reads a message whose identifiers were read.
    pub fn read(message: &Message, source: &Source, identity: &Identity) -> Self {
        let pid = message.segment("PID", 1);
        let listed = pid.as_ref().and_then(|pid| pid.field(3));
        let mut numbers = listed.into_iter().flat_map(|field| field.repetitions());
        let deleted =
            numbers.any(|id| id.text(1, 1).is_null() && claims_nhs_number(&id, &source.nhs_number));
        let reliability = pid.as_ref().and_then(|pid| pid.field(32));
        let mut codes = reliability.into_iter().flat_map(|field| field.repetitions());
        let movement = movement::read(message, source);
        let sensitivity = sensitivity::Stated::of(message);
        let of_first = match &movement {
            Some(Ok(_)) => sensitivity::Stated::of_person(message, 1),
            _ => sensitivity,
        };
        Self {
            side: Side { sensitivity: of_first, ..Side::of(identity, pid.as_ref()) },
            deleted,
            unverified: codes.any(|code| code.text(1, 1).is_null()),
            sensitivity,
            movement,
            said: Said::read(message, source, identity),
            replayed: is_replay(message),
        }
    }

    /// Whether it says outright that its patient is protected or dissents.
    pub fn raises(&self) -> bool {
        self.sensitivity.raises()
    }

    /// Whether it merges, moves, links or renumbers.
    pub fn moves(&self) -> bool {
        self.movement.is_some()
    }

    /// What its source states of the patient after it, if it stated `previous` before.
    pub fn after(&self, previous: Option<&Arc<Statement>>) -> Arc<Statement> {
        self.said.over(previous)
    }

    /// All local identifiers that it names.
    pub(crate) fn locals(&self) -> impl Iterator<Item = &LocalId> {
        self.sides().flat_map(|side| &side.locals)
    }

    /// What says nothing but whom it is about.
    pub(crate) fn of_side(side: Side) -> Self {
        Self {
            side,
            deleted: false,
            unverified: false,
            sensitivity: sensitivity::Stated::default(),
            movement: None,
            said: Said::default(),
            replayed: false,
        }
    }

    /// All sides that it names.
    pub(crate) fn sides(&self) -> impl Iterator<Item = &Side> {
        let moved = self.movement.iter().flatten().flat_map(|movement| &movement.pairs);
        [&self.side].into_iter().chain(moved.flat_map(|pair| [&pair.survivor, &pair.retired]))
    }
}

impl fmt::Debug for Stated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let movement = self.movement.as_ref().map(|read| read.as_ref().map(|found| found.kind));
        f.debug_struct("Stated").field("movement", &movement).finish_non_exhaustive()
    }
}
