//! Whatever happens to patients, subscribers rebuild the same record from the events alone, in
//! whatever order they see different patients; it is what an independent model says (`who.rs`); and
//! no event carries a number that its patient did not have by that model at that point, nor reaches
//! anybody who may not have it: an event of somebody protected leaves for the entitled alone, and tells
//! nobody where that one is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use identity::rules::Resolution;
use journal::entry::{Kind, Position};
use journal::reader::ReadError;
use router::entry::{self, Action, Decision, Outcome, State};
use router::ledger::Ledger;
use router::teaching::Form;
use serde_json::Value;

use crate::line::bench::{Line, actor, remove_files};
use crate::line::broker::Memory;
use crate::line::guarded::{Guard, assert_reaches, entitled};
use crate::line::said::{Id, NUMBERS, Step, local};
use crate::line::subscriber::{Subscriber, assert_in_order, by_partition, interleaved};
use crate::line::traffic::{PEOPLE, Sent, drawn};
use crate::line::who::{APART, Record, Who};

const ROUNDS: usize = 5;
/// Messages of a round, all under way at once.
const BURST: usize = 24;

/// What happens to the people of one seed.
struct World {
    rng: Rng,
    folder: tempfile::TempDir,
    broker: Arc<Memory>,
    line: Option<Line>,
    approve: bool,
    sent: BTreeMap<u64, Sent>,
    who: Who,
    /// Outcomes up to here are in the model.
    read: BTreeSet<(u64, u32)>,
    /// Names of records that loads made.
    loaded: BTreeMap<String, usize>,
    rows: u64,
    /// The number that each record's subscribers were last told.
    told: BTreeMap<usize, Option<String>>,
    /// Where each visit and report is, and under which hospital number it was told.
    things: BTreeMap<String, (usize, Option<u64>)>,
    /// Of every event that may leave when it was decided, by which message, and its routing key.
    judged: BTreeMap<String, ([u64; 2], String)>,
    /// Records that were protected or dissented at some time.
    guarded: BTreeSet<usize>,
    seen: BTreeMap<String, usize>,
}

impl World {
    fn new(seed: u64) -> Self {
        let (folder, broker) = (tempfile::tempdir().unwrap(), Arc::new(Memory::slow(20)));
        let approve = seed % 2 == 1;
        let mut world = Self {
            rng: Rng::with_seed(seed),
            folder,
            broker,
            line: None,
            approve,
            sent: BTreeMap::new(),
            who: Who { approve, ..Who::default() },
            read: BTreeSet::new(),
            loaded: BTreeMap::new(),
            rows: 0,
            told: BTreeMap::new(),
            things: BTreeMap::new(),
            judged: BTreeMap::new(),
            guarded: BTreeSet::new(),
            seen: BTreeMap::new(),
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let merges = if self.approve { "approve" } else { "automatic" };
        let merges = format!("channels.pas-adt.identity.merges={merges}");
        eprintln!("started");
        let set = [&*merges, &entitled()];
        self.line = Some(Line::start_set(self.folder.path(), &self.broker, 64, &set));
    }

    fn line(&self) -> &Line {
        self.line.as_ref().unwrap()
    }

    /// What is under way is taken up again, and decided as it was. What the index knows comes from
    /// its file, from a copy and the journal behind it, or from the journal alone.
    async fn restart(&mut self) {
        let line = self.line.take().unwrap();
        if self.rng.bool() {
            line.patients.index().snapshot(2).unwrap();
        }
        let lost = self.rng.u8(..3);
        line.stop().await;
        self.broker.cut();
        let index = self.folder.path().join("identity");
        match lost {
            0 => std::fs::remove_dir_all(&index).unwrap(),
            1 => remove_files(&index),
            _ => {}
        }
        self.start();
    }

    fn person(&mut self) -> u64 {
        self.rng.u64(..PEOPLE)
    }

    async fn send(&mut self) {
        let nth = self.sent.len() as u64;
        let (sent, body) = drawn(&mut self.rng, nth, &self.who);
        // Its events find no queue until the burst is over.
        if self.rng.u8(..6) == 0 {
            self.broker.state().unroutable.insert(format!("M{nth}"));
        }
        let (id, _) = self.line().journal.append(body).await.unwrap();
        self.sent.insert(id.0, sent);
    }

    /// A person takes a merge back; whether it still is one when its turn comes is another matter.
    async fn unmerge(&mut self) {
        let one = self.person();
        let teaching = self.line().teaching.clone();
        let asked = local(one);
        let decided =
            tokio::task::spawn_blocking(move || teaching.unmerge("pas-adt", &asked, &actor()));
        if let Ok(id) = decided.await.unwrap() {
            let (step, says) = (Step::Unmerge { local: one }, [None; 2]);
            let sent = Sent { step, says, thing: None };
            self.sent.insert(id, sent);
        }
    }

    /// Fills the index; nobody is told.
    async fn load(&mut self) {
        let mut rows = "authority,type,local_id,nhs_number,status\n".to_owned();
        for _ in 0..self.rng.usize(1..6) {
            // Some that no message names for now.
            let person = self.rng.u64(..PEOPLE + 2);
            let number = self.rng.bool().then(|| self.rng.usize(..NUMBERS.len()));
            self.rows += 1;
            let counts = self.who.load(self.rows, person, number);
            eprintln!("load {person} {number:?}: {counts}");
            let number = number.map(|number| NUMBERS[number]).unwrap_or_default();
            writeln!(rows, "RXX01,MR,77{person:06},{number},01").unwrap();
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(rows.as_bytes()).unwrap();
        let teaching = self.line().teaching.clone();
        let loaded = tokio::task::spawn_blocking(move || {
            teaching.load("pas-adt", (file, Form::Csv), None, &actor())
        });
        loaded.await.unwrap().unwrap();
    }

    /// Two who are not one must never be.
    async fn keep_apart(&mut self) {
        let (one, other) = (self.person(), self.person());
        let apart = if self.rng.bool() {
            Id::Number(self.rng.usize(..NUMBERS.len()))
        } else {
            Id::Local(other)
        };
        let root = |id: Id, who: &Who| match id {
            Id::Local(local) => who.of_local(local),
            Id::Number(number) => who.of_number(Some(number)),
        };
        let (id, text) = (Id::Local(one), |id: Id| match id {
            Id::Local(of) => local(of),
            Id::Number(number) => NUMBERS[number].to_owned(),
        });
        let are_one =
            root(id, &self.who).is_some() && root(id, &self.who) == root(apart, &self.who);
        if id == apart || are_one {
            return;
        }
        eprintln!("apart: {id:?} and {apart:?}");
        self.who.forbidden.insert((id.min(apart), id.max(apart)));
        let teaching = self.line().teaching.clone();
        let (one, other) = (text(id), text(apart));
        let listed = tokio::task::spawn_blocking(move || {
            teaching.do_not_link((&one, &other), false, &actor())
        });
        listed.await.unwrap().unwrap();
    }

    /// Until nothing moves: whatever parks is decided about, one way or the other.
    async fn settle(&mut self) {
        self.broker.state().unroutable.clear();
        let mut tries: BTreeMap<u64, u8> = BTreeMap::new();
        let mut decided: BTreeSet<(u64, String)> = BTreeSet::new();
        let deadline = tokio::time::Instant::now() + Duration::from_mins(2);
        let mut durable = self.line().journal.durable();
        loop {
            assert!(tokio::time::Instant::now() < deadline, "not settled");
            let parked: Vec<(u64, String, String)> = self.line().books.ask(|ledger| {
                let open = ledger.open.iter().filter(|(_, open)| open.state == State::Parked);
                let row = |(id, open): (&u64, &router::ledger::Open)| {
                    (*id, open.outcome.clone(), open.reason.clone().unwrap_or_default())
                };
                open.map(row).collect()
            });
            for (id, at, reason) in parked {
                if !decided.insert((id, at)) {
                    continue;
                }
                let tries = tries.entry(id).or_default();
                *tries += 1;
                let result = matches!(self.sent[&id].step, Step::Result { .. });
                let way = match (reason.as_str(), *tries) {
                    (APART | "identity.unreadable" | "identity.none", _) | (_, 3..) => None,
                    ("merge.approval" | "move.approval", _) => [
                        Some(Resolution::Message),
                        Some(Resolution::Message),
                        Some(Resolution::Index),
                        None,
                    ][self.rng.usize(..4)],
                    _ if result => [Some(Resolution::Index), None][self.rng.usize(..2)],
                    _ => [Some(Resolution::Message), Some(Resolution::Index), None]
                        [self.rng.usize(..3)],
                };
                match way {
                    Some(who) => self.line().operators.resolve(id, who, &actor()).await.unwrap(),
                    None => self.line().operators.discard(id, &actor()).await.unwrap(),
                }
            }
            let pending =
                |ledger: &Ledger| ledger.total().counts.pending + ledger.total().counts.parked;
            if self.line().books.ask(pending) == 0 {
                return;
            }
            drop(tokio::time::timeout(Duration::from_millis(20), durable.changed()).await);
        }
    }

    /// Takes the outcomes since the last time into the model, in the order in which they became
    /// durable, and compares each with what the model says.
    fn follow(&mut self) {
        let mut reader = self.line().journal.reader(Position::START);
        let mut resolved: BTreeMap<u64, Option<Resolution>> = BTreeMap::new();
        let mut runs: BTreeMap<u64, u32> = BTreeMap::new();
        loop {
            let entry = match reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => return,
                Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            match entry.kind {
                Kind::Operator => {
                    let (decision, _) = entry::decode::<Decision>(&entry.body).unwrap();
                    if let Action::Release { resolution, .. } = decision.action {
                        resolved.insert(entry.id.0, resolution);
                    }
                }
                Kind::Outcome if !entry.carried => {
                    let run = runs.entry(entry.id.0).or_default();
                    *run += 1;
                    if self.read.insert((entry.id.0, *run)) {
                        let (outcome, payload) = entry::decode::<Outcome>(&entry.body).unwrap();
                        let by = resolved.get(&entry.id.0).copied().flatten();
                        let events = entry::events(&outcome, &payload).unwrap();
                        let events: Vec<(String, Value)> = events
                            .into_iter()
                            .map(|(event, body)| {
                                (event.routing_key, serde_json::from_slice(&body).unwrap())
                            })
                            .collect();
                        self.compare(entry.id.0, &outcome, &events, by);
                    }
                }
                _ => {}
            }
        }
    }

    fn compare(
        &mut self,
        id: u64,
        outcome: &Outcome,
        events: &[(String, Value)],
        by: Option<Resolution>,
    ) {
        let Sent { step, says, thing } = self.sent[&id].clone();
        let before = self.who.any_guarded(step);
        let verdict = self.who.step(id, step, says, by);
        let may_be = before || self.who.any_guarded(step) || says.contains(&Some(true));
        let what = format!("message {id}, {step:?} {says:?} by {by:?}");
        let parked =
            (outcome.state == State::Parked).then(|| outcome.reason.clone().unwrap_or_default());
        // Shown when the test fails.
        eprintln!("{what}: {parked:?}, record {verdict:?}");
        for (_, event) in events {
            let of = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
            eprintln!("    {} {} {}", of("type"), of("partitionkey"), of("subject"));
        }
        *self.seen.entry(parked.clone().unwrap_or_default()).or_default() += 1;
        let at = match verdict {
            Ok(at) => at,
            Err(code) => {
                // Of several contradictions either may be named.
                let both = code == APART || parked.as_deref() == Some(APART);
                let same = parked.as_deref() == Some(code) || (parked.is_some() && both);
                assert!(same, "{what}: {parked:?} and not {code}");
                assert!(events.is_empty(), "{what}: events of what is parked");
                return;
            }
        };
        let nameless = matches!(step, Step::Result { local: None, .. })
            && at.is_some_and(|at| self.who.records[self.who.root(at)].number.is_none());
        for (key, event) in events {
            let of = self.assert_held(event, at, &what);
            let is = of.map_or([false; 2], |root| self.who.records[root].guarded);
            let may_be = may_be || of.is_none();
            assert_reaches(&what, key, event, Guard { is, may_be });
            let place = [self.judged.len() as u64, id];
            let id = event["id"].as_str().unwrap().to_owned();
            self.judged.entry(id).or_insert_with(|| (place, key.clone()));
            if is == [false; 2] && of.is_some_and(|root| self.guarded.contains(&root)) && !may_be {
                *self.seen.entry("told again".to_owned()).or_default() += 1;
            }
            self.guarded.extend(of.filter(|_| is != [false; 2]));
        }
        if nameless {
            // It is found by a number that is used no more, and nothing could name it in an event.
            assert_eq!(parked.as_deref(), Some("identity.none"), "{what}");
            return;
        }
        assert_eq!(parked, None, "{what}");
        // What stood with the one goes to the other, with the hospital number under which it was told.
        for (local, from, to) in self.who.handed.clone() {
            for (at, under) in self.things.values_mut() {
                if *under == Some(local) && self.who.root(*at) == from {
                    *at = to;
                    *self.seen.entry("went along".to_owned()).or_default() += 1;
                }
            }
        }
        if let (Some(thing), Some(at)) = (thing, at) {
            let tells = |(_, event): &(String, Value)| event.to_string().contains(&thing);
            if matches!(step, Step::Move { .. }) {
                // Where both sides are one, or nobody moved anything, nothing is told.
                if !events.iter().any(tells) {
                    return;
                }
            } else {
                assert!(events.iter().any(tells), "{what}: {thing} is not told");
            }
            let under = match step {
                Step::State { local, .. } | Step::Move { to: local, .. } => Some(local),
                Step::Result { local, .. } => local,
                _ => None,
            };
            self.things.insert(thing, (at, under));
        }
    }

    /// The record that a partition is.
    fn record_of(&mut self, partition: &str, script: bool, at: Option<usize>) -> Option<usize> {
        let number = u64::from_str_radix(&partition[1..], 16).unwrap();
        if number >> 63 == 0 {
            let made_by = (1, number / 8, number % 8);
            let record = self.who.records.iter().position(|record| record.made_by == made_by);
            assert!(record.is_some(), "{partition} is nobody's");
            return record;
        }
        let known = self.loaded.get(partition).copied();
        let known = known.or_else(|| at.filter(|_| script).map(|at| self.who.root(at)));
        if let Some(record) = known {
            assert_eq!(self.who.records[record].made_by.0, 0, "{partition} is of a load");
            self.loaded.insert(partition.to_owned(), record);
        }
        known
    }

    /// An event has the number that its patient has by the model, and no other. Whose it is.
    fn assert_held(&mut self, event: &Value, at: Option<usize>, what: &str) -> Option<usize> {
        let partition = event["partitionkey"].as_str().unwrap();
        let number = event["subject"].as_str();
        let script = event["causationid"].is_null();
        let record = self.record_of(partition, script, at);
        let what = format!("{}: {} of {partition}", what, event["type"]);
        let retired = event["data"]["entry"][0]["resource"]["active"] == false;
        let Some(record) = record else {
            let held = |record: &Record| record.number.map(|n| NUMBERS[n]) == number;
            assert!(number.is_none() || self.who.records.iter().any(held), "{what}");
            return None;
        };
        let root = self.who.root(record);
        if script {
            assert_eq!(Some(root), at.map(|at| self.who.root(at)), "{what}: the patient");
        }
        let held = self.who.records[root].number.map(|number| NUMBERS[number]);
        assert_eq!(number, held.filter(|_| !retired), "{what}: the number");
        if root == record {
            self.told.insert(record, number.map(str::to_owned));
            self.who.records[record].silent = false;
        }
        Some(root)
    }

    /// Whatever subscribers rebuilt is what the model says.
    fn assert_rebuilt(&mut self) {
        let told = self.broker.state().told.clone();
        for (id, key) in &self.broker.state().keys {
            assert_eq!(self.judged[id].1, *key, "event {id} leaves as it may");
        }
        assert_in_order(&told, |id| self.judged[id].0);
        let record = Subscriber::told(&told).record();
        for nth in 0..3 {
            let mut partitions = by_partition(&told);
            self.rng.shuffle(&mut partitions);
            let other = Subscriber::told(interleaved(partitions, nth, &mut self.rng));
            assert_eq!(other.record(), record);
        }
        assert_eq!(
            record.keys().collect::<Vec<_>>(),
            self.things.keys().collect::<Vec<_>>(),
            "what was told"
        );
        for (thing, (partition, number)) in &record {
            let root = self.who.root(self.things[thing].0);
            let (by, id, nth) = self.who.records[root].made_by;
            if by == 1 {
                assert_eq!(*partition, format!("p{:016x}", id * 8 + nth), "whose {thing} is");
            } else if let Some(loaded) = self.loaded.get(partition) {
                assert_eq!(*loaded, root, "whose {thing} is");
            }
            let held = self.who.records[root].number.map(|number| NUMBERS[number].to_owned());
            if !self.who.records[root].silent {
                assert_eq!(*number, held, "the number of whom {thing} is");
            }
            assert_eq!(number.as_ref(), self.told.get(&root).and_then(Option::as_ref), "{thing}");
        }
        let mut people: BTreeMap<&String, &String> = BTreeMap::new();
        for (partition, number) in record.values() {
            if let Some(number) = number {
                let other = people.insert(number, partition);
                assert!(other.is_none_or(|other| other == partition), "two have one number");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_rebuilds_the_same_record_whatever_happens_to_patients() {
    let seeds = std::env::var("TIELINE_REBUILT_SEEDS").ok().and_then(|text| text.parse().ok());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..seeds.unwrap_or(6) {
        eprintln!("seed {seed}");
        let mut world = World::new(seed);
        for _ in 0..ROUNDS {
            let broken_off = world.rng.usize(..BURST * 2);
            for nth in 0..BURST {
                world.send().await;
                if world.rng.u8(..8) == 0 {
                    world.unmerge().await;
                }
                if nth == broken_off {
                    world.restart().await;
                }
            }
            world.settle().await;
            world.follow();
            world.assert_rebuilt();
            match world.rng.u8(..4) {
                0 => world.load().await,
                1 => world.keep_apart().await,
                2 => world.restart().await,
                _ => {}
            }
        }
        world.line.take().unwrap().stop().await;
        for (code, count) in world.seen {
            *seen.entry(code).or_default() += count;
        }
    }
    // What the random traffic is there for did come up.
    for code in [
        "",
        "merge.different-numbers",
        "merge.approval",
        "move.approval",
        APART,
        "went along",
        "told again",
    ] {
        assert!(seen.contains_key(code), "{code:?} never happened: {seen:?}");
    }
}
