//! A subscriber that knows nothing but the events, and follows the rules of docs/events.md ("Who is
//! who").

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::Value;

/// What it holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriber {
    /// The number of each partition, as its last event says.
    numbers: BTreeMap<String, Option<String>>,
    /// Partitions that are used no more, each with the cause of that.
    retired: BTreeMap<String, String>,
    /// Which partition goes on, by cause.
    goes_on: BTreeMap<String, String>,
    /// Where each visit and report stands: by the event of the highest sequence.
    things: BTreeMap<String, (String, String)>,
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
        let entries = event["data"]["entry"].as_array().into_iter().flatten();
        let resources: Vec<&Value> = entries.map(|entry| &entry["resource"]).collect();
        if kind.contains(".patient.merged.") {
            if resources[0]["active"] == false {
                self.retired.insert(partition.clone(), cause);
            } else {
                self.goes_on.insert(cause, partition.clone());
            }
        } else if kind.contains(".patient.unmerged.") {
            self.retired.remove(&partition);
        }
        let mut things: Vec<String> =
            event["resultkey"].as_str().into_iter().map(str::to_owned).collect();
        let visits = resources.iter().filter(|one| one["resourceType"] == "Encounter");
        for visit in visits.filter(|visit| visit["status"] != "entered-in-error") {
            let numbers = visit["identifier"].as_array().into_iter().flatten();
            let current = numbers.filter(|id| id["use"] != "old");
            things.extend(current.filter_map(|id| id["value"].as_str().map(str::to_owned)));
        }
        for thing in things {
            let place = (text("sequence"), partition.clone());
            let known = self.things.entry(thing).or_default();
            if place.0 > known.0 {
                *known = place;
            }
        }
    }

    /// Whose each visit and report is: the partition that goes on, and its number.
    pub(crate) fn record(&self) -> BTreeMap<String, (String, Option<String>)> {
        let whose = |(thing, (_, partition)): (&String, &(String, String))| {
            let mut partition = partition;
            for _ in 0..=self.retired.len() {
                let Some(cause) = self.retired.get(partition) else { break };
                let Some(goes_on) = self.goes_on.get(cause) else { break };
                partition = goes_on;
            }
            let number = self.numbers.get(partition).cloned().flatten();
            (thing.clone(), (partition.clone(), number))
        };
        self.things.iter().map(whose).collect()
    }
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
