//! The verdict: from what was done and seen to what was broken. A pure function, so that histories
//! that never happened can show that it can fail.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Arrival, Harm, History, Kind, Moment, PLAIN, Parcel, Row};
use super::violation::Violation;

/// Everything that was broken, each once, and how many events the injector took from a subscriber.
pub(crate) struct Verdict {
    pub(crate) violations: Vec<Violation>,
    pub(crate) excused: usize,
}

pub(crate) fn judge(history: &History) -> Verdict {
    let (mut violations, excused) = missing(history);
    violations.extend(contents(history));
    for (subscriber, arrivals) in history.arrivals.iter().enumerate() {
        violations.extend(order(history, subscriber, arrivals));
    }
    violations.extend(partitions(history));
    violations.extend(answers(history));
    violations.extend(ledger(history));
    violations.extend(sums(history));
    violations.extend(unmended(history));
    let differences = history.differences.iter().cloned();
    violations.extend(differences.map(|difference| Violation::Unreconciled { difference }));
    Verdict { violations, excused }
}

/// Obligations whose event did not reach a subscriber, and how many of these are excused.
pub(crate) fn missing(history: &History) -> (Vec<Violation>, usize) {
    let gaps = gaps(history);
    let excused = gaps.iter().filter(|gap| gap.excused).count();
    let lost = gaps
        .iter()
        .filter(|gap| !gap.excused)
        .map(|gap| Violation::Lost { label: gap.label.to_owned(), subscriber: gap.subscriber });
    (lost.collect(), excused)
}

/// Whether a subscriber still waits for something that the other one had by then.
pub(crate) fn lags(history: &History, subscriber: usize, by: Moment) -> bool {
    gaps(history).iter().any(|gap| {
        gap.subscriber == subscriber && !gap.excused && gap.elsewhere.is_some_and(|at| at <= by)
    })
}

/// An event of an accepted message that a subscriber did not get.
struct Gap<'h> {
    label: &'h str,
    subscriber: usize,
    /// When the other subscriber got it.
    elsewhere: Option<Moment>,
    /// It was on its way while the injector had its queue.
    excused: bool,
}

/// What the injector has to answer for.
struct Excuses(Vec<(Harm, Option<Moment>)>);

impl Excuses {
    fn of(history: &History) -> Self {
        Self(history.harms.iter().map(|harm| (*harm, mended(history, harm))).collect())
    }

    /// Whether an event may have been on its way to a subscriber while that one's queue was harmed:
    /// the other one got it, and not before, and it was first sent before all was mended. Two queues
    /// are never harmed at once, so nothing excuses an event that reached nobody.
    fn cover(&self, subscriber: usize, parcel: &Parcel, elsewhere: Option<Moment>) -> bool {
        self.0.iter().any(|(harm, mended)| {
            harm.subscriber == subscriber
                && elsewhere.is_some_and(|at| at > harm.from)
                && mended.is_none_or(|mended| parcel.first_sent < mended)
        })
    }
}

fn gaps(history: &History) -> Vec<Gap<'_>> {
    let seen: Vec<BTreeMap<(&str, u32), Moment>> =
        history.arrivals.iter().map(|arrivals| first_seen(arrivals)).collect();
    let due = due(history);
    let excuses = Excuses::of(history);
    let mut gaps = Vec::new();
    for parcel in history.parcels.iter().filter(|parcel| parcel.accepted > 0) {
        let label = parcel.label.as_str();
        for position in (1..).take(due.get(label).copied().unwrap_or_default()) {
            for (subscriber, mine) in seen.iter().enumerate() {
                let may_not = parcel.restricted && subscriber == PLAIN;
                if may_not || mine.contains_key(&(label, position)) {
                    continue;
                }
                let elsewhere = seen.iter().filter_map(|other| other.get(&(label, position))).min();
                let elsewhere = elsewhere.copied();
                let excused = excuses.cover(subscriber, parcel, elsewhere);
                gaps.push(Gap { label, subscriber, elsewhere, excused });
            }
        }
    }
    gaps
}

/// How many events each message must have made, by its label: none while it waits.
fn due(history: &History) -> BTreeMap<&str, usize> {
    let published: BTreeSet<&str> = history
        .rows
        .iter()
        .filter(|row| row.state == "published")
        .map(|row| row.control_id.as_str())
        .collect();
    let waiting = behind_parked(history);
    let mut due = BTreeMap::new();
    for parcel in history.parcels.iter().filter(|parcel| parcel.sent > 0) {
        let mended = parcel.kind.holds() && published.contains(parcel.control_id.as_str());
        let events = if mended { 1 } else { parcel.kind.events() };
        let waits = waiting.contains_key(parcel.label.as_str());
        due.insert(parcel.label.as_str(), if waits { 0 } else { events });
    }
    due
}

/// When each event of each message was first delivered.
fn first_seen(arrivals: &[Arrival]) -> BTreeMap<(&str, u32), Moment> {
    let mut seen = BTreeMap::new();
    for arrival in arrivals {
        seen.entry((arrival.label.as_str(), arrival.position)).or_insert(arrival.at);
    }
    seen
}

/// Messages that wait behind a parked one of their patient: their label and that of the parked one.
fn behind_parked(history: &History) -> BTreeMap<&str, &str> {
    let parked: BTreeSet<&str> = history
        .rows
        .iter()
        .filter(|row| row.state == "parked")
        .map(|row| row.control_id.as_str())
        .collect();
    let mut holding: BTreeMap<&str, &Parcel> = BTreeMap::new();
    let mut waiting = BTreeMap::new();
    for parcel in history.parcels.iter().filter(|parcel| parcel.sent > 0) {
        if let Some(holder) = holding.get(parcel.patient.as_str()) {
            waiting.insert(parcel.label.as_str(), holder.label.as_str());
        } else if parcel.kind.holds() && parked.contains(parcel.control_id.as_str()) {
            holding.insert(&parcel.patient, parcel);
        }
    }
    waiting
}

/// When the subscriber got something again that was first sent after the harm was done. Restricted
/// events have an exchange and bindings of their own, to which nothing was done.
pub(crate) fn mended(history: &History, harm: &Harm) -> Option<Moment> {
    let later: BTreeSet<&str> = history
        .parcels
        .iter()
        .filter(|parcel| parcel.first_sent > harm.done && !parcel.restricted)
        .map(|parcel| parcel.label.as_str())
        .collect();
    let arrivals = history.arrivals.get(harm.subscriber)?;
    arrivals.iter().find(|arrival| later.contains(arrival.label.as_str())).map(|found| found.at)
}

fn unmended(history: &History) -> impl Iterator<Item = Violation> {
    let open = history.harms.iter().filter(|harm| mended(history, harm).is_none());
    open.map(|harm| Violation::NotMended { subscriber: harm.subscriber })
}

/// Equal ids have equal bytes, at every delivery and to every subscriber, and one event has one id.
fn contents(history: &History) -> Vec<Violation> {
    let mut digests: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ids: BTreeMap<(&str, u32), &str> = BTreeMap::new();
    let (mut unequal, mut doubled) = (BTreeMap::new(), BTreeSet::new());
    for arrival in history.arrivals.iter().flatten() {
        if *digests.entry(&arrival.event).or_insert(arrival.digest) != arrival.digest {
            unequal.insert(&arrival.event, &arrival.label);
        }
        let key = (arrival.label.as_str(), arrival.position);
        if *ids.entry(key).or_insert(&arrival.event) != arrival.event {
            doubled.insert(key);
        }
    }
    let unequal = unequal.into_iter().map(|(event, label)| Violation::TwoContents {
        event: event.clone(),
        label: label.clone(),
    });
    let doubled = doubled
        .into_iter()
        .map(|(label, position)| Violation::TwoIds { label: label.to_owned(), position });
    unequal.chain(doubled).collect()
}

/// First deliveries to one subscriber: each of a message that was sent and may become an event, in
/// the order of the patient's messages, none past a parked one.
fn order(history: &History, subscriber: usize, arrivals: &[Arrival]) -> Vec<Violation> {
    let sent: BTreeMap<&str, &Parcel> = history
        .parcels
        .iter()
        .filter(|parcel| parcel.sent > 0)
        .map(|parcel| (parcel.label.as_str(), parcel))
        .collect();
    let waiting = behind_parked(history);
    let excuses = Excuses::of(history);
    let others: Vec<&Vec<Arrival>> = (0..)
        .zip(&history.arrivals)
        .filter(|(who, _)| *who != subscriber)
        .map(|(_, a)| a)
        .collect();
    let elsewhere: Vec<_> = others.into_iter().map(|arrivals| first_seen(arrivals)).collect();
    let mut newest: BTreeMap<&str, (&Parcel, u32)> = BTreeMap::new();
    let mut known = BTreeSet::new();
    let mut broken = Vec::new();
    for arrival in arrivals.iter().filter(|arrival| known.insert(arrival.event.as_str())) {
        let label = || arrival.label.clone();
        let parcel = sent
            .get(arrival.label.as_str())
            .filter(|parcel| parcel.kind.events() > 0 || history.decided && parcel.kind.holds());
        let Some(parcel) = parcel else {
            broken.push(Violation::Invented { label: label(), subscriber });
            continue;
        };
        if parcel.restricted && subscriber == PLAIN {
            broken.push(Violation::Disclosed { label: label(), subscriber });
        }
        if parcel.restricted != arrival.restricted {
            broken.push(Violation::WrongExchange { label: label(), subscriber });
        }
        if let Some(parked) = waiting.get(arrival.label.as_str()) {
            broken.push(Violation::Overtook { label: label(), parked: (*parked).to_owned() });
        }
        let place = |(parcel, position): (&Parcel, u32)| (parcel.sequence, position);
        let this = (*parcel, arrival.position);
        match newest.get(parcel.patient.as_str()) {
            Some(last) if place(this) < place(*last) => {
                // What was lost with a queue may come once more when the engine starts again: then
                // it comes late.
                let key = (arrival.label.as_str(), arrival.position);
                let elsewhere = elsewhere.iter().find_map(|seen| seen.get(&key)).copied();
                if excuses.cover(subscriber, parcel, elsewhere) {
                    continue;
                }
                let behind = last.0.label.clone();
                broken.push(Violation::OutOfOrder { label: label(), behind, subscriber });
            }
            _ => {
                newest.insert(&parcel.patient, this);
                // From here on it is one patient: nothing of the other record may come any more.
                newest.extend(parcel.joins.as_deref().map(|other| (other, this)));
            }
        }
    }
    broken
}

/// Every event of a record is on the record's one partition, and each of the two that tell of a merge on
/// that of its own.
fn partitions(history: &History) -> Vec<Violation> {
    let parcels: BTreeMap<&str, &Parcel> =
        history.parcels.iter().map(|parcel| (parcel.label.as_str(), parcel)).collect();
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    let mut broken = BTreeSet::new();
    for arrival in history.arrivals.iter().flatten() {
        let Some(parcel) = parcels.get(arrival.label.as_str()) else { continue };
        let other = parcel.joins.as_deref().filter(|_| arrival.position == 2);
        let record = other.unwrap_or(&parcel.patient);
        if *known.entry(record).or_insert(&arrival.partition) != arrival.partition {
            broken.insert(&arrival.label);
        }
    }
    let merged = history.parcels.iter().filter_map(|parcel| {
        let sides = [parcel.joins.as_deref()?, &*parcel.patient].map(|side| known.get(side));
        (sides[0].is_some() && sides[0] == sides[1]).then_some(&parcel.label)
    });
    broken.extend(merged);
    broken.into_iter().map(|label| Violation::Misfiled { label: label.clone() }).collect()
}

fn answers(history: &History) -> impl Iterator<Item = Violation> {
    history.parcels.iter().filter(|parcel| parcel.sent > 0).filter_map(|parcel| {
        let label = parcel.label.clone();
        let wrong = if parcel.kind.is_refused() { parcel.accepted } else { parcel.refused };
        if wrong > 0 {
            Some(Violation::WrongAnswer { label })
        } else if parcel.accepted + parcel.refused == 0 {
            Some(Violation::Unanswered { label })
        } else {
            None
        }
    })
}

/// Every answer has its row, in the state that it must have.
fn ledger(history: &History) -> Vec<Violation> {
    let mut rows: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in &history.rows {
        rows.entry(&row.control_id).or_default().push(row);
    }
    let mut groups: BTreeMap<&str, Vec<&Parcel>> = BTreeMap::new();
    for parcel in &history.parcels {
        groups.entry(&parcel.control_id).or_default().push(parcel);
    }
    let mut broken = Vec::new();
    for (control_id, parcels) in &groups {
        let control_id = (*control_id).to_owned();
        let rows = rows.remove(control_id.as_str()).unwrap_or_default();
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let taken = parcels.iter().filter(|parcel| !parcel.kind.is_refused());
        let (accepted, sent) = taken.fold((0, 0), |(accepted, sent), parcel| {
            (accepted + parcel.accepted, sent + parcel.sent)
        });
        // A copy of what was filtered is looked at anew; of anything else there is one original.
        let again = parcels.iter().any(|parcel| parcel.kind == Kind::Filtered);
        let originals = rows.iter().filter(|row| row.state != "duplicate").count();
        let too_many = !again && originals > parcels.len();
        if count < accepted {
            let control_id = control_id.clone();
            broken.push(Violation::Unaccounted { control_id, accepted, rows: count });
        } else if count > sent || too_many {
            let control_id = control_id.clone();
            broken.push(Violation::CountedTwice { control_id, sent, rows: count });
        }
        for row in rows {
            let expected = parcels
                .iter()
                .any(|parcel| parcel.kind.states(history.decided).contains(&row.state.as_str()));
            if row.state == "pending" && !row.held {
                broken.push(Violation::Unsettled { control_id: control_id.clone() });
            } else if !(expected || row.held || row.state == "duplicate") {
                let (control_id, state) = (control_id.clone(), row.state.clone());
                broken.push(Violation::WrongState { control_id, state });
            }
        }
    }
    let unknown = rows.into_iter().map(|(control_id, rows)| Violation::CountedTwice {
        control_id: control_id.to_owned(),
        sent: 0,
        rows: u32::try_from(rows.len()).unwrap_or(u32::MAX),
    });
    broken.extend(unknown);
    broken
}

/// The states of DESIGN promise 2; `held` is a detail of `pending`.
pub(crate) const STATES: [&str; 7] =
    ["pending", "parked", "published", "filtered", "discarded", "superseded", "duplicate"];

/// Every message is in one state, each has a row, and there are as many as were answered or sent.
fn sums(history: &History) -> Option<Violation> {
    let sum = |name: &str| history.sums.get(name).copied().unwrap_or_default();
    let (received, rows) = (sum("received"), history.rows.len() as u64);
    let states = STATES.iter().map(|state| sum(state)).sum();
    let taken = history.parcels.iter().filter(|parcel| !parcel.kind.is_refused());
    let (least, most) = taken.fold((0, 0), |(least, most), parcel| {
        (least + u64::from(parcel.accepted), most + u64::from(parcel.sent))
    });
    (received != states || received != rows || !(least..=most).contains(&received))
        .then_some(Violation::Unbalanced { received, states, rows })
}
