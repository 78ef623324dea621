//! Whatever happens to patients, every subscriber can rebuild the same record, and no event carries a
//! number that the index did not hold for its patient at that point.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use journal::entry::{Kind, Position};
use journal::reader::ReadError;
use router::entry::{self, Outcome, State};
use router::ledger::Ledger;
use serde_json::Value;

use crate::line::bench::{Line, accepted, actor};
use crate::line::broker::Memory;

const PEOPLE: usize = 8;
const MESSAGES: usize = 150;

/// Valid numbers of the test range.
const NUMBERS: [&str; 5] = ["9990000018", "9990000026", "9990000034", "9990000042", "9990000050"];

/// What subscribers know: visits by partition, and which partition goes on for which.
#[derive(Debug, Default, PartialEq, Eq)]
struct Record {
    visits: BTreeMap<String, BTreeSet<String>>,
    numbers: BTreeMap<String, String>,
    merged: BTreeMap<String, String>,
}

impl Record {
    /// Events of one partition come in order; of several in any order.
    fn apply(&mut self, event: &Value) {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (partition, kind) = (text("partitionkey"), text("type"));
        if let Some(number) = event["subject"].as_str() {
            self.numbers.insert(partition.clone(), number.to_owned());
        }
        let resources = event["data"]["entry"].as_array().into_iter().flatten();
        let resources: Vec<&Value> = resources.map(|entry| &entry["resource"]).collect();
        let visits = self.visits.entry(partition.clone()).or_default();
        for visit in resources.iter().filter(|one| one["resourceType"] == "Encounter") {
            let numbers = visit["identifier"].as_array().into_iter().flatten();
            let current = numbers.filter(|id| id["use"] != "old");
            for number in current.filter_map(|id| id["value"].as_str()) {
                if kind.contains(".encounter.moved.") && visit["status"] == "entered-in-error" {
                    visits.remove(number);
                } else {
                    visits.insert(number.to_owned());
                }
            }
        }
        if kind.contains(".patient.merged.") && resources[0]["active"] == false {
            self.merged.insert(partition, text("causationid"));
        }
    }
}

struct World {
    rng: Rng,
    sent: usize,
}

impl World {
    /// The next message: an admission, a change of place, a merge, a move, or another number.
    fn next(&mut self) -> (&'static str, String, String) {
        self.sent += 1;
        let control = format!("M{}-x", self.sent);
        let one = self.rng.usize(..PEOPLE);
        let other = (one + self.rng.usize(1..PEOPLE)) % PEOPLE;
        let number = match self.rng.usize(..3) {
            0 => format!("{}^^^NHS^NH~", self.rng.choice(NUMBERS).unwrap_or_default()),
            _ => String::new(),
        };
        let (kind, rest) = match self.rng.usize(..10) {
            0 => ("A40", format!("MRG|{}\r", local(other))),
            1 => (
                "A45",
                format!("MRG|{}||||V{}\rPV1|1|I|||||||||||||||||V{other}\r", local(other), other),
            ),
            2 => ("A47", format!("MRG|{}\r", local(other + PEOPLE))),
            3..6 => ("A01", visit(one)),
            6 | 7 => ("A02", visit(one)),
            _ => ("A31", "PV1|1|N\r".to_owned()),
        };
        let text = format!(
            "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^{kind}|{control}|P|2.4\r\
             EVN||20260115101500||||20260115101000\r\
             PID|1||{number}{}||EXAMPLE^ALEX||19800229|1{}NSTS01\r{rest}",
            local(one),
            "|".repeat(24)
        );
        (kind, control, text)
    }
}

fn local(person: usize) -> String {
    format!("77{person:06}^^^RXX01^MR")
}

fn visit(person: usize) -> String {
    format!("PV1|1|I|^WARD1^BED2^RXX01||||||||||||||||V{person}\r")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_rebuilds_the_same_record_whatever_happens_to_patients() {
    for seed in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let broker = Arc::new(Memory::slow(20));
        let mut line = Line::start(folder.path(), &broker, 64);
        let mut world = World { rng: Rng::with_seed(seed), sent: 0 };
        for number in 0..MESSAGES {
            let (kind, control, text) = world.next();
            let body = accepted("pas-adt", &format!("ADT^{kind}"), &control, &text);
            line.journal.append(body).await.unwrap();
            if number == MESSAGES / 2 {
                // What is under way is taken up again, and decided as it was.
                line.stop().await;
                broker.cut();
                line = Line::start(folder.path(), &broker, 64);
            }
        }
        settle(&line, seed).await;
        let holds = held_numbers(&line);
        line.stop().await;
        let told = broker.state().told.clone();
        assert!(told.len() > MESSAGES / 2, "seed {seed}: {} events", told.len());
        assert_eq!(rebuilt(&told, None), rebuilt(&told, Some(seed)), "seed {seed}");
        for event in &told {
            assert_held(event, &holds, seed);
        }
    }
}

/// Until nothing moves; what is parked by then is discarded, so that what waits behind it goes on.
async fn settle(line: &Line, seed: u64) {
    let pending = |ledger: &Ledger| ledger.total().counts.pending;
    let mut decided = BTreeSet::new();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
    let mut durable = line.journal.durable();
    loop {
        assert!(tokio::time::Instant::now() < deadline, "seed {seed}: not settled");
        let parked: Vec<u64> = line.books.ask(|ledger| {
            let open = ledger.open.iter().filter(|(_, open)| open.state == State::Parked);
            open.map(|(id, _)| *id).collect()
        });
        for id in parked.into_iter().filter(|id| decided.insert(*id)) {
            line.operators.discard(id, &actor()).await.unwrap();
        }
        if line.books.ask(pending) == 0 {
            return;
        }
        drop(tokio::time::timeout(Duration::from_millis(50), durable.changed()).await);
    }
}

/// As a subscriber that takes everything in order, or one that takes partition after partition.
fn rebuilt(told: &[Value], shuffled: Option<u64>) -> Record {
    let mut record = Record::default();
    let Some(seed) = shuffled else {
        for event in told {
            record.apply(event);
        }
        return record;
    };
    let mut partitions: Vec<&str> =
        told.iter().filter_map(|e| e["partitionkey"].as_str()).collect();
    partitions.sort_unstable();
    partitions.dedup();
    Rng::with_seed(seed).shuffle(&mut partitions);
    for partition in partitions {
        told.iter().filter(|e| e["partitionkey"] == partition).for_each(|e| record.apply(e));
    }
    record
}

/// Which patient holds which number after each message, by what the journal says was learned.
type Holds = BTreeMap<u64, BTreeMap<String, String>>;

fn held_numbers(line: &Line) -> Holds {
    let mut holder: BTreeMap<String, String> = BTreeMap::new();
    let mut after = Holds::new();
    let mut reader = line.journal.reader(Position::START);
    loop {
        let entry = match reader.next() {
            Ok(Some(entry)) => entry,
            Ok(None) => return after,
            Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => continue,
            Err(error) => panic!("{error}"),
        };
        if entry.kind != Kind::Outcome {
            continue;
        }
        let (outcome, _) = entry::decode::<Outcome>(&entry.body).unwrap();
        let learned = outcome.learned.map_or_else(|| "[]".to_owned(), |raw| raw.get().to_owned());
        let facts: Vec<Value> = serde_json::from_str(&learned).unwrap();
        for fact in &facts {
            learn(&mut holder, fact);
        }
        after.insert(entry.id.0, holder.clone());
    }
}

fn learn(holder: &mut BTreeMap<String, String>, fact: &Value) {
    let (kind, fact) = fact.as_object().and_then(|fact| fact.iter().next()).unwrap();
    let text = |name: &str| fact[name].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "number_held" => {
            // One number has one holder, and one patient one number.
            holder.retain(|_, patient| *patient != text("patient"));
            holder.insert(text("number"), text("patient"));
        }
        "number_retired" | "number_released" => drop(holder.remove(&text("number"))),
        "merged" | "united" => {
            let (retired, survivor) = (text("retired"), text("survivor"));
            for patient in holder.values_mut().filter(|patient| **patient == retired) {
                patient.clone_from(&survivor);
            }
        }
        _ => {}
    }
}

/// The number of an event is held for its patient once its message was decided about; that of a
/// retired record by whom goes on for it.
fn assert_held(event: &Value, holds: &Holds, seed: u64) {
    let Some(number) = event["subject"].as_str() else { return };
    let sequence = event["sequence"].as_str().unwrap();
    let message: u64 = sequence.split('.').next().unwrap().parse().unwrap();
    let holder = holds[&message].get(number);
    let partition = event["partitionkey"].as_str();
    let merged = event["type"].as_str().unwrap().contains(".patient.merged.");
    assert!(
        holder.is_some() && (merged || holder.map(String::as_str) == partition),
        "seed {seed}: {} of message {message} is not held for it",
        event["type"]
    );
}
