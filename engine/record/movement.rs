//! What a message says of records that are one, were mixed up, or have new identifiers: merges,
//! moves, changes of identifiers, links (HL7 v2 chapter 3, MRG and the triggers A18 to A51).

use hl7::message::Message;
use hl7::segment::Segment;

use crate::claim::claims_nhs_number;
use crate::demographics::Demographics;
use crate::identity::Identity;
use crate::local::{LocalId, local_ids};
use crate::nhs_number::{NhsNumber, Status};
use crate::sensitivity::Stated;
use crate::source::Source;
use crate::text::stated;
use crate::trigger::Kind;

/// What such a message asks for, and of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movement {
    /// What is asked for.
    pub kind: Kind,
    /// One for each PID and MRG (of links: for each further PID); never empty.
    pub pairs: Vec<Pair>,
}

/// Two sides of one movement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// What stays: PID. Of a move, whom it goes to.
    pub survivor: Side,
    /// What goes: MRG, without what PID-3 holds as well. Of a move, whom it comes from; of a link,
    /// the other PID.
    pub retired: Side,
    /// Accounts and visits, from which number (MRG) to which (PID-18, PV1-19, PV1-50).
    pub visits: Vec<Renumbered>,
}

/// An account or a visit in its old and its new number. `Debug` shows which are there.
#[derive(Clone, PartialEq, Eq)]
pub struct Renumbered {
    /// MRG-5, MRG-3 or MRG-6.
    pub from: String,
    /// PV1-19, PID-18 or PV1-50; nothing when it keeps its number.
    pub to: Option<String>,
}

/// The identifiers of one side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// The NHS Number, if it may key: only PID says how far one is verified.
    pub number: Option<NhsNumber>,
    /// The valid NHS Number, whatever is said of its verification.
    pub found: Option<NhsNumber>,
    /// Its status.
    pub status: Option<Status>,
    /// The source's own identifiers, the best first.
    pub locals: Vec<LocalId>,
    /// Who the patient is said to be; only PID says it.
    pub demographics: Demographics,
    /// What is said of protection and dissent, up to the next PID.
    pub sensitivity: Stated,
}

impl Side {
    /// What one PID segment says, of which the identifiers were read; nothing of what stands behind
    /// it.
    pub fn of(identity: &Identity, pid: Option<&Segment<'_>>) -> Self {
        let mut locals = identity.local.clone();
        locals.sort_by_key(|local| Some(local) != identity.best_local.as_ref());
        locals.dedup();
        Side {
            number: identity.nhs_number,
            found: identity.found,
            status: identity.status,
            locals,
            demographics: pid.map(Demographics::of_person).unwrap_or_default(),
            sensitivity: Stated::default(),
        }
    }

    /// Whether it names nobody.
    pub fn is_empty(&self) -> bool {
        self.found.is_none() && self.locals.is_empty()
    }
}

/// A movement that cannot be read: a person has to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The reason code, `merge.unreadable` or `move.unreadable`.
    pub code: &'static str,
    /// What is wrong.
    pub detail: &'static str,
}

/// Reads what the message moves; nothing if it is of another kind. A17, which swaps two beds, is
/// no movement of records.
pub fn read(message: &Message, source: &Source) -> Option<Result<Movement, Unreadable>> {
    let kind = Kind::of(message)?;
    let pairs = match kind {
        Kind::Link | Kind::Unlink => linked(message, source),
        _ => moved(message, source, kind),
    };
    let unreadable = |detail| Unreadable { code: kind.unreadable(), detail };
    Some(pairs.map(|pairs| Movement { kind, pairs }).map_err(unreadable))
}

fn linked(message: &Message, source: &Source) -> Result<Vec<Pair>, &'static str> {
    let sides: Result<Vec<Side>, _> = (1..=message.segments_named("PID").count())
        .map(|occurrence| person(message, occurrence, source))
        .collect();
    let sides = sides?;
    let [first, others @ ..] = &sides[..] else { return Err("there is no PID") };
    if others.is_empty() {
        return Err("a link has two PID segments, and there is one");
    }
    if sides.iter().any(Side::is_empty) {
        return Err("a PID of the link names nobody whom this source may name");
    }
    let pair =
        |other: &Side| Pair { survivor: first.clone(), retired: other.clone(), visits: Vec::new() };
    Ok(others.iter().map(pair).collect())
}

/// PID, and each MRG that follows it before the next PID.
fn moved(message: &Message, source: &Source, kind: Kind) -> Result<Vec<Pair>, &'static str> {
    let mut pairs = Vec::new();
    let segments: Vec<Segment<'_>> = message.segments().collect();
    let mut occurrence = 0;
    for (at, segment) in segments.iter().enumerate() {
        match segment.name() {
            "PID" => {
                occurrence += 1;
                let mut behind = segments[at + 1..].iter().map(Segment::name);
                if !behind.by_ref().take_while(|name| *name != "PID").any(|name| name == "MRG") {
                    return Err("a PID is not followed by an MRG");
                }
            }
            "MRG" if occurrence == 0 => return Err("an MRG stands before any PID"),
            "MRG" => pairs.push(pair(message, &segments, at, occurrence, source, kind)?),
            _ => {}
        }
    }
    if pairs.is_empty() { Err("there is no PID with an MRG") } else { Ok(pairs) }
}

fn pair(
    message: &Message,
    segments: &[Segment<'_>],
    at: usize,
    occurrence: usize,
    source: &Source,
    kind: Kind,
) -> Result<Pair, &'static str> {
    let survivor = person(message, occurrence, source)?;
    let retired = prior(&segments[at], &survivor, source)?;
    let visits = visits(message, segments, at, occurrence, kind);
    if survivor.is_empty() {
        return Err("PID names nobody whom this source may name");
    }
    if kind == Kind::MoveVisits && retired.is_empty() {
        return Err("MRG does not name the patient from whom the account or visit goes");
    }
    if kind == Kind::MoveVisits && visits.is_empty() {
        return Err("MRG does not name the account or visit that goes");
    }
    if kind.is_about_visits() && visits.is_empty() {
        return Err("MRG and PID or PV1 do not name two accounts or two visits");
    }
    if kind == Kind::MoveIdentifier && retired.locals.is_empty() {
        return Err("MRG names no identifier of this source that could go, besides the NHS Number");
    }
    if !kind.is_about_visits() && retired.is_empty() {
        return Err("MRG names no identifier of this source that PID does not hold as well");
    }
    Ok(Pair { survivor, retired, visits })
}

/// One PID as a side.
fn person(message: &Message, occurrence: usize, source: &Source) -> Result<Side, &'static str> {
    let identity = Identity::read_person(message, occurrence, source)
        .map_err(|_| "a PID states two different nhs numbers")?;
    let side = Side::of(&identity, message.segment("PID", occurrence).as_ref());
    Ok(Side { sensitivity: Stated::of_person(message, occurrence), ..side })
}

/// MRG-1, or MRG-4 where MRG-1 names nobody but whom PID names: of older versions, and of A46.
/// An identifier that both sides hold did not change: type and authority couple the two lists, and
/// their order says nothing.
fn prior(mrg: &Segment<'_>, survivor: &Side, source: &Source) -> Result<Side, &'static str> {
    for field in [1, 4].into_iter().filter_map(|number| mrg.field(number)) {
        let mut numbers: Vec<NhsNumber> = field
            .repetitions()
            .filter(|id| claims_nhs_number(id, &source.nhs_number))
            .filter_map(|id| NhsNumber::parse(&stated(id.text(1, 1))?).ok())
            .collect();
        numbers.dedup();
        if numbers.len() > 1 {
            return Err("MRG states two different nhs numbers");
        }
        let found = numbers.pop().filter(|number| survivor.found != Some(*number));
        let (mut locals, best) = local_ids(Some(field), &source.local);
        locals.sort_by_key(|local| Some(local) != best.as_ref());
        locals.retain(|local| !survivor.locals.contains(local));
        let side = Side { found, locals, ..Side::default() };
        if !side.is_empty() {
            return Ok(side);
        }
    }
    Ok(Side::default())
}

/// Accounts (MRG-3 to PID-18), visits (MRG-5 to PV1-19) and alternate visits (MRG-6 to PV1-50).
fn visits(
    message: &Message,
    segments: &[Segment<'_>],
    at: usize,
    occurrence: usize,
    kind: Kind,
) -> Vec<Renumbered> {
    if !kind.is_about_visits() {
        return Vec::new();
    }
    // The PV1 of this MRG, else the last one before it that belongs to the same PID.
    let ends = |segment: &&Segment<'_>| !matches!(segment.name(), "PID" | "MRG");
    let is_visit = |segment: &&Segment<'_>| segment.name() == "PV1";
    let behind = segments[at + 1..].iter().take_while(ends).find(is_visit);
    let before = || segments[..at].iter().rev().take_while(|s| s.name() != "PID").find(is_visit);
    let visit = behind.or_else(before);
    let person = message.segment("PID", occurrence);
    let mrg = &segments[at];
    let places = [(5, visit, 19), (3, person.as_ref(), 18), (6, visit, 50)];
    let found = places.into_iter().filter_map(|(prior, segment, now)| {
        let from = stated(mrg.text(prior, 1))?;
        let to = segment.and_then(|segment| stated(segment.text(now, 1)));
        Some(Renumbered { to: to.filter(|to| *to != from), from })
    });
    match kind {
        // What has both an account and a visit moves once.
        Kind::MoveVisits => found.take(1).collect(),
        _ => found.filter(|renumbered| renumbered.to.is_some()).collect(),
    }
}

impl std::fmt::Debug for Renumbered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renumbered").field("to", &self.to.is_some()).finish_non_exhaustive()
    }
}
