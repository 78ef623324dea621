//! A subscriber that knows nothing but the events, and follows the rules of docs/events.md ("Who is
//! who").

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::Value;

/// What it holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriber {
    /// The number of each partition, as its last event says.
    numbers: BTreeMap<String, Option<String>>,
    /// How many events of each partition came, and what among them says where things stand.
    partitions: BTreeMap<String, (usize, Vec<(usize, Turn)>)>,
    /// Where each visit and report was told: by the event of the highest sequence.
    things: BTreeMap<String, Told>,
    /// By the cause of a merge, where it goes on.
    goes_on: BTreeMap<String, Place>,
    /// By the cause of an un-merge, where the record stands for itself again.
    again: BTreeMap<String, Place>,
    /// By cause and identifier, where that went.
    went: BTreeMap<(String, String), Place>,
}

/// A partition, and the how-manieth of its events.
type Place = (String, usize);

/// What an event of a partition says of where things stand. Each names its cause.
#[derive(Clone, Debug)]
enum Turn {
    /// The partition is used no more.
    Retired(String),
    /// It stands for itself again.
    Again,
    /// Another one does, that had been merged into it.
    Parted(String),
    /// An identifier went elsewhere.
    Left(String, String),
}

#[derive(Clone, Debug, Default)]
struct Told {
    sequence: String,
    place: Place,
    /// The identifier under which it was told.
    under: Option<String>,
}

impl Subscriber {
    /// One that is told all of these, in this order.
    pub(crate) fn told<'e>(events: impl IntoIterator<Item = &'e Value>) -> Self {
        let mut told = Self::default();
        events.into_iter().for_each(|event| told.apply(event));
        told
    }

    fn apply(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (partition, kind, cause) = (text("partitionkey"), text("type"), text("causationid"));
        self.numbers.insert(partition.clone(), event["subject"].as_str().map(str::to_owned));
        let (count, turns) = self.partitions.entry(partition.clone()).or_default();
        *count += 1;
        let (place, at) = ((partition, *count), *count);
        let entries = event["data"]["entry"].as_array().into_iter().flatten();
        let resources: Vec<&Value> = entries.map(|entry| &entry["resource"]).collect();
        let identifiers = resources[0]["identifier"].as_array().into_iter().flatten();
        let number = "https://fhir.nhs.uk/Id/nhs-number";
        let locals: Vec<&Value> = identifiers.filter(|id| id["system"] != number).collect();
        if kind.contains(".patient.merged.") {
            if resources[0]["active"] == false {
                turns.push((at, Turn::Retired(cause)));
            } else {
                self.goes_on.insert(cause, place.clone());
            }
        } else if kind.contains(".patient.unmerged.") {
            let own = |(_, turn): &&(usize, Turn)| matches!(turn, Turn::Retired(_) | Turn::Again);
            let was = turns.iter().rfind(own);
            if was.is_some_and(|(_, turn)| matches!(turn, Turn::Retired(_))) {
                turns.push((at, Turn::Again));
                self.again.insert(cause, place.clone());
            } else {
                turns.push((at, Turn::Parted(cause)));
            }
        } else if kind.contains(".encounter.moved.") && resources.len() == 1 {
            let (gone, stay): (Vec<&Value>, Vec<&Value>) =
                locals.iter().partition(|id| id["use"] == "old");
            turns.extend(gone.iter().map(|id| (at, Turn::Left(cause.clone(), named(id)))));
            for id in stay.iter().filter(|_| gone.is_empty()) {
                self.went.insert((cause.clone(), named(id)), place.clone());
            }
        }
        let mut things: Vec<String> =
            event["resultkey"].as_str().into_iter().map(str::to_owned).collect();
        let visits = resources.iter().filter(|one| one["resourceType"] == "Encounter");
        for visit in visits.filter(|visit| visit["status"] != "entered-in-error") {
            let numbers = visit["identifier"].as_array().into_iter().flatten();
            let current = numbers.filter(|id| id["use"] != "old");
            things.extend(current.filter_map(|id| id["value"].as_str().map(str::to_owned)));
        }
        let (sequence, under) = (text("sequence"), locals.first().map(|id| named(id)));
        for thing in things {
            let known = self.things.entry(thing).or_default();
            if sequence > known.sequence {
                let (sequence, place, under) = (sequence.clone(), place.clone(), under.clone());
                *known = Told { sequence, place, under };
            }
        }
    }

    /// Whose each visit and report is: the partition where it stands, and its number.
    pub(crate) fn record(&self) -> BTreeMap<String, (String, Option<String>)> {
        let whose = |(thing, told): (&String, &Told)| {
            let partition = self.stands(told);
            let number = self.numbers.get(&partition).cloned().flatten();
            (thing.clone(), (partition, number))
        };
        self.things.iter().map(whose).collect()
    }

    /// Follows it through what came after it on its partition, and on those to which it went.
    fn stands(&self, told: &Told) -> String {
        let (mut partition, mut at) = told.place.clone();
        // Through which merges it came there.
        let mut merged: Vec<String> = Vec::new();
        loop {
            let turns = self.partitions.get(&partition).map(|(_, turns)| &turns[..]);
            let Some((here, turn)) = turns.unwrap_or_default().iter().find(|(of, _)| *of > at)
            else {
                return partition;
            };
            at = *here;
            match turn {
                Turn::Retired(cause) => {
                    let Some(place) = self.goes_on.get(cause) else { return partition };
                    merged.push(std::mem::replace(&mut partition, place.0.clone()));
                    at = place.1;
                }
                Turn::Left(cause, id) if told.under.as_ref() == Some(id) => {
                    let went = self.went.get(&(cause.clone(), id.clone()));
                    let Some(place) = went else { return partition };
                    merged.clear();
                    (partition, at) = place.clone();
                }
                Turn::Parted(cause) => {
                    let back = self.again.get(cause);
                    let through = |place: &Place| merged.iter().position(|one| *one == place.0);
                    if let Some((place, nth)) =
                        back.and_then(|place| Some((place, through(place)?)))
                    {
                        merged.truncate(nth);
                        (partition, at) = place.clone();
                    }
                }
                Turn::Again | Turn::Left(..) => {}
            }
        }
    }
}

/// An identifier of a Patient. Here all have one assigner, which events of protected patients leave out.
fn named(id: &Value) -> String {
    let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{} {}", of(&id["type"]["coding"][0]["code"]), of(&id["value"]))
}

/// The events of each partition, in their order.
pub(crate) fn by_partition(told: &[Value]) -> Vec<Vec<&Value>> {
    let mut partitions: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in told {
        partitions.entry(event["partitionkey"].as_str().unwrap()).or_default().push(event);
    }
    partitions.into_values().collect()
}

/// Partition after partition, or each a few events further than the others.
pub(crate) fn interleaved<'e>(
    mut partitions: Vec<Vec<&'e Value>>,
    nth: usize,
    rng: &mut Rng,
) -> Vec<&'e Value> {
    if nth == 0 {
        return partitions.concat();
    }
    let mut all = Vec::new();
    for partition in &mut partitions {
        partition.reverse();
    }
    while !partitions.is_empty() {
        let one = rng.usize(..partitions.len());
        all.extend(partitions[one].pop());
        if partitions[one].is_empty() {
            partitions.swap_remove(one);
        }
    }
    all
}

/// No event of a partition leaves before one that was decided before it, of a message that came before
/// it. `place` says when and by which message. What leaves again leaves late.
pub(crate) fn assert_in_order(told: &[Value], place: impl Fn(&str) -> [u64; 2]) {
    let mut left: BTreeMap<&str, Vec<[u64; 2]>> = BTreeMap::new();
    let mut known = BTreeSet::new();
    for event in told {
        let of = |name: &str| event[name].as_str().unwrap();
        if known.insert(of("id")) {
            let [decided, message] = place(of("id"));
            let before = left.entry(of("partitionkey")).or_default();
            let late = before.iter().any(|one| one[0] > decided && one[1] > message);
            assert!(!late, "{} {} was overtaken", of("type"), of("correlationid"));
            before.push([decided, message]);
        }
    }
}
