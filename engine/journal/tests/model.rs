//! The journal against a plain model, over a disk that fails: whatever happens, and wherever the
//! power goes, what was acknowledged is there, in order, unaltered, once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use journal::{
    disk::{Disk, RealDisk},
    entry::{Entry, Kind, MessageId, Position},
    faulty::FaultyDisk,
    journal::Journal,
    queue::{AppendError, Ticket},
    report::{CheckpointUsed, Recovered},
    settings::{Retention, Settings},
};
use proptest::{prelude::*, test_runner::TestCaseResult};

const VOLUME: u64 = 8192;

/// What may happen to a journal. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Action {
    Append {
        length: usize,
    },
    Record {
        message: usize,
        length: usize,
    },
    Settle {
        message: usize,
    },
    Wait,
    Read {
        entry: usize,
    },
    Checkpoint,
    Retain,
    /// Fills the volume that is being written, so that another is begun.
    Seal,
    Pack,
    Crash,
    PowerOff {
        after: u32,
    },
    Reopen {
        spoil_checkpoints: bool,
    },
    FillDisk {
        left: u64,
    },
    FreeDisk,
    FailSync {
        after: u32,
    },
}

fn action() -> impl Strategy<Value = Action> {
    let length = prop_oneof![8 => 10_usize..400, 2 => 400_usize..3000, 1 => 7000_usize..30_000];
    prop_oneof![
        12 => length.clone().prop_map(|length| Action::Append { length }),
        4 => (any::<usize>(), length).prop_map(|(message, length)| Action::Record { message, length }),
        8 => any::<usize>().prop_map(|message| Action::Settle { message }),
        8 => Just(Action::Wait),
        3 => any::<usize>().prop_map(|entry| Action::Read { entry }),
        4 => Just(Action::Checkpoint),
        4 => Just(Action::Retain),
        2 => Just(Action::Seal),
        4 => Just(Action::Pack),
        3 => Just(Action::Crash),
        2 => (0_u32..12).prop_map(|after| Action::PowerOff { after }),
        2 => any::<bool>().prop_map(|spoil_checkpoints| Action::Reopen { spoil_checkpoints }),
        1 => (0_u64..40_000).prop_map(|left| Action::FillDisk { left }),
        1 => Just(Action::FreeDisk),
        1 => (0_u32..4).prop_map(|after| Action::FailSync { after }),
    ]
}

/// An entry as the model knows it. Bodies are unique, so a body names an entry.
#[derive(Clone, PartialEq, Eq)]
struct Fact {
    kind: Kind,
    id: MessageId,
    settles: bool,
    body: Bytes,
}

impl fmt::Debug for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (length, number) = (self.body.len(), &self.body[..8]);
        write!(f, "{:?} {} {length} bytes {number:?}", self.kind, self.id)
    }
}

struct Asked {
    ticket: Ticket,
    kind: Kind,
    settles: bool,
    body: Bytes,
}

/// A journal, its owner, and what both should know.
struct World {
    folder: tempfile::TempDir,
    disk: FaultyDisk,
    journal: Journal,
    /// What the owner has read, in order: its whole state.
    history: Vec<Fact>,
    /// The states that checkpoints hold; a checkpoint's body is a number of these.
    states: Vec<Vec<Fact>>,
    reader: journal::reader::Reader,
    asked: Vec<Asked>,
    acknowledged: Vec<(Fact, Position)>,
    /// The position that was acknowledged last.
    last: Position,
    /// Whatever the owner ever read. An answer may have failed and its entry be durable all the
    /// same; once read, it must stay as surely as if it had been acknowledged.
    read: BTreeMap<Bytes, Fact>,
    /// Messages known to be settled, also when what settled them was dropped since.
    settled: BTreeSet<MessageId>,
    /// Bodies that were refused: they must never be seen.
    refused: BTreeSet<Bytes>,
    /// Retention ran: a scan without checkpoint need not see what is settled.
    dropped: bool,
    bodies: u64,
}

impl World {
    fn new(seed: u64) -> World {
        let folder = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(Arc::new(RealDisk), seed);
        let (journal, recovered) =
            Journal::open(Arc::new(disk.clone()), settings(folder.path().into())).unwrap();
        let reader = journal.reader(recovered.replay_from);
        World {
            folder,
            disk,
            journal,
            history: Vec::new(),
            states: vec![Vec::new()],
            reader,
            asked: Vec::new(),
            acknowledged: Vec::new(),
            last: Position::START,
            read: BTreeMap::new(),
            settled: BTreeSet::new(),
            refused: BTreeSet::new(),
            dropped: false,
            bodies: 0,
        }
    }

    fn body(&mut self, length: usize) -> Bytes {
        self.bodies += 1;
        let mut body = self.bodies.to_be_bytes().to_vec();
        body.resize(length.max(8), self.bodies.to_be_bytes()[7]);
        body.into()
    }

    fn act(&mut self, action: &Action) -> TestCaseResult {
        match *action {
            Action::Append { length } => {
                let body = self.body(length);
                let ticket = self.journal.append(body.clone());
                self.asked.push(Asked { ticket, kind: Kind::Accepted, settles: false, body });
            }
            Action::Record { message, length } => self.record(message, length, false),
            Action::Settle { message } => self.record(message, 12, true),
            Action::Wait => self.wait()?,
            Action::Read { entry } => self.read(entry)?,
            Action::Checkpoint => {
                self.follow()?;
                let number = Bytes::copy_from_slice(&self.states.len().to_be_bytes());
                self.states.push(self.history.clone());
                // A full or dead disk may refuse it; then the one before stays.
                self.journal.checkpoint(number, self.reader.position()).ok();
            }
            Action::Retain => {
                let retained = self.journal.retain(SystemTime::now());
                self.dropped |= retained.is_err() || retained.is_ok_and(|done| done.volumes > 0);
            }
            Action::Seal => {
                for _ in 0..2 {
                    let length = usize::try_from(VOLUME / 2).unwrap();
                    self.act(&Action::Append { length })?;
                    self.wait()?;
                }
            }
            // A full, failing or dead disk may refuse it; then the volume stays as it is.
            Action::Pack => drop(self.journal.pack()),
            Action::Crash => self.crash()?,
            Action::PowerOff { after } => self.disk.power_off_after(after),
            Action::Reopen { spoil_checkpoints } => self.reopen(spoil_checkpoints)?,
            Action::FillDisk { left } => self.disk.set_capacity(Some(self.disk.used() + left)),
            Action::FreeDisk => {
                self.disk.set_capacity(None);
                self.journal.look_for_room();
            }
            Action::FailSync { after } => self.disk.fail_sync_after(after),
        }
        Ok(())
    }

    fn record(&mut self, message: usize, length: usize, settles: bool) {
        let accepted: Vec<MessageId> = self
            .acknowledged
            .iter()
            .filter_map(|(fact, _)| (fact.kind == Kind::Accepted).then_some(fact.id))
            .collect();
        let Some(&id) = accepted.get(message % accepted.len().max(1)) else { return };
        let body = self.body(length);
        let kind = if settles { Kind::State } else { Kind::Outcome };
        let ticket = self.journal.record(kind, id, body.clone(), settles);
        self.asked.push(Asked { ticket, kind, settles, body });
    }

    /// Waits for every answer. Answers come in the order of asking.
    fn wait(&mut self) -> TestCaseResult {
        for Asked { ticket, kind, settles, body } in std::mem::take(&mut self.asked) {
            match ticket.wait() {
                Ok((id, position)) => {
                    prop_assert!(self.last < position, "order");
                    self.last = position;
                    self.acknowledged.push((Fact { kind, id, settles, body }, position));
                }
                Err(AppendError::Failed) => {}
                Err(AppendError::Full | AppendError::Closed) => {
                    self.refused.insert(body);
                }
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
        Ok(())
    }

    /// The owner reads on.
    fn follow(&mut self) -> TestCaseResult {
        loop {
            match self.reader.next() {
                Ok(Some(entry)) => {
                    let fact = fact(entry);
                    self.read.insert(fact.body.clone(), fact.clone());
                    self.history.push(fact);
                }
                Ok(None) => return Ok(()),
                // Only when the power is off.
                Err(journal::reader::ReadError::Disk(_)) => return Ok(()),
                Err(error) => prop_assert!(false, "{error}"),
            }
        }
    }

    fn read(&mut self, entry: usize) -> TestCaseResult {
        let count = self.acknowledged.len().max(1);
        let Some((fact, position)) = self.acknowledged.get(entry % count) else { return Ok(()) };
        match self.journal.read(*position) {
            Ok(read) => prop_assert_eq!(&self::fact(read), fact),
            Err(error) => {
                let gone = self.dropped || self.disk.list(self.folder.path()).is_err();
                prop_assert!(gone, "{}", error);
            }
        }
        Ok(())
    }

    fn crash(&mut self) -> TestCaseResult {
        let found = self.disk.crash().unwrap();
        self.disk = found;
        self.journal.close();
        self.wait()?;
        self.open()
    }

    /// The process ends in an orderly way and starts again; the machine goes on.
    fn reopen(&mut self, spoil_checkpoints: bool) -> TestCaseResult {
        self.journal.close();
        self.wait()?;
        if spoil_checkpoints {
            // Below the failing disk, so that no crash mends them.
            for name in RealDisk.list(self.folder.path()).unwrap() {
                if name.starts_with("checkpoint-") {
                    let file = RealDisk.open(&self.folder.path().join(name)).unwrap();
                    file.write_at(&[0xff; 4], 30).unwrap();
                }
            }
        }
        self.open()
    }

    fn open(&mut self) -> TestCaseResult {
        let settings = settings(self.folder.path().into());
        let (journal, recovered) = loop {
            match Journal::open(Arc::new(self.disk.clone()), settings.clone()) {
                Ok(opened) => break opened,
                // The disk is dead, full, or its failing sync was left over: start the machine.
                Err(_) => self.disk = self.disk.crash().unwrap(),
            }
        };
        self.journal = journal;
        prop_assert!(
            recovered.report.corrupt.is_empty(),
            "{:?} in {:?}, read from {}",
            recovered.report,
            self.journal.volumes(),
            recovered.replay_from
        );
        self.check(&recovered)
    }

    /// Everything that must hold after a start.
    fn check(&mut self, recovered: &Recovered) -> TestCaseResult {
        let known = recovered.checkpoint.as_ref();
        let number =
            known.map_or(0, |body| usize::from_be_bytes(body.as_ref().try_into().unwrap()));
        self.history = self.states[number].clone();
        self.reader = self.journal.reader(recovered.replay_from);
        self.follow()?;
        if self.disk.list(self.folder.path()).is_err() {
            // The power went off while reading; the next start will tell.
            return Ok(());
        }
        let scanned = recovered.report.checkpoint;
        let whole =
            matches!(scanned, CheckpointUsed::Newest | CheckpointUsed::Older) || !self.dropped;

        let mut places: BTreeMap<&Bytes, usize> = BTreeMap::new();
        for (place, fact) in self.history.iter().enumerate() {
            prop_assert!(places.insert(&fact.body, place).is_none(), "handed out twice: {fact:?}");
            prop_assert!(!self.refused.contains(&fact.body), "refused and there: {fact:?}");
        }
        let acknowledged = self.acknowledged.iter().map(|(fact, _)| fact);
        let known = self.history.iter().chain(acknowledged).chain(self.read.values());
        self.settled.extend(known.filter_map(|fact| fact.settles.then_some(fact.id)));
        let settled = &self.settled;
        let mut last = None;
        for (fact, _) in &self.acknowledged {
            if let Some(&place) = places.get(&fact.body) {
                prop_assert_eq!(&self.history[place], fact);
                prop_assert!(!whole || last < Some(place), "out of order: {fact:?}");
                last = Some(place);
            } else {
                let may_be_gone = !whole && settled.contains(&fact.id);
                prop_assert!(may_be_gone, "acknowledged and gone: {:?}", fact);
            }
        }
        for (body, fact) in &self.read {
            if let Some(&place) = places.get(body) {
                prop_assert_eq!(&self.history[place], fact);
            } else {
                prop_assert!(!whole && settled.contains(&fact.id), "read and gone: {fact:?}");
            }
        }
        self.check_ids(settled)?;
        // What a scan without checkpoint left out is gone from now on, and what was carried may
        // have changed places.
        let places: BTreeMap<Bytes, usize> =
            places.into_iter().map(|(body, place)| (body.clone(), place)).collect();
        self.acknowledged.retain(|(fact, _)| places.contains_key(&fact.body));
        self.read.retain(|body, _| places.contains_key(body));
        self.acknowledged.sort_by_key(|(fact, _)| places.get(&fact.body).copied());
        Ok(())
    }

    fn check_ids(&self, settled: &BTreeSet<MessageId>) -> TestCaseResult {
        let mut bodies: BTreeMap<MessageId, &Bytes> = BTreeMap::new();
        let accepted = |fact: &&Fact| fact.kind == Kind::Accepted;
        let acknowledged = self.acknowledged.iter().map(|(fact, _)| fact).filter(accepted);
        for fact in self.history.iter().filter(accepted).chain(acknowledged) {
            let known = bodies.insert(fact.id, &fact.body);
            prop_assert!(known.is_none_or(|body| *body == fact.body), "id used twice: {fact:?}");
        }
        prop_assert!(bodies.keys().all(|id| *id < self.journal.next_id()));
        let open: BTreeSet<MessageId> = self.journal.unsettled(MessageId(u64::MAX)).collect();
        prop_assert_eq!(open.len() as u64, self.journal.unsettled_count());
        let mut held = BTreeMap::new();
        let mut last = None;
        for entry in self.journal.unsettled_entries(MessageId(u64::MAX)) {
            match entry {
                Ok(entry) => {
                    prop_assert!(last < Some(entry.id) && open.contains(&entry.id));
                    last = Some(entry.id);
                    held.insert(entry.id, entry.body);
                }
                Err(_) => prop_assert!(self.disk.list(self.folder.path()).is_err()),
            }
        }
        for (&id, &body) in &bodies {
            prop_assert_eq!(self.journal.is_settled(id), settled.contains(&id), "{} settled", id);
            prop_assert_eq!(open.contains(&id), !settled.contains(&id));
            if !settled.contains(&id) && self.disk.list(self.folder.path()).is_ok() {
                prop_assert_eq!(held.get(&id), Some(body));
                self.check_records(id)?;
            }
            match self.journal.find(id) {
                Ok(Some(entry)) => prop_assert_eq!(&entry.body, body),
                Ok(None) => prop_assert!(settled.contains(&id) && self.dropped, "{} lost", id),
                Err(_) => prop_assert!(self.disk.list(self.folder.path()).is_err()),
            }
        }
        Ok(())
    }
}

impl World {
    /// All about an unsettled message is found, once.
    fn check_records(&self, id: MessageId) -> TestCaseResult {
        let about = match self.journal.records_about(id, None) {
            Ok(about) => about,
            Err(error) => {
                prop_assert!(self.disk.list(self.folder.path()).is_err(), "{}", error);
                return Ok(());
            }
        };
        let mut about: Vec<Bytes> = about.into_iter().map(|entry| entry.body).collect();
        let known = self.history.iter().filter(|fact| fact.id == id);
        let mut known: Vec<Bytes> = known.map(|fact| fact.body.clone()).collect();
        about.sort_unstable();
        known.sort_unstable();
        prop_assert_eq!(about.len(), known.len(), "{}", id);
        prop_assert!(about == known);
        Ok(())
    }
}

fn fact(entry: Entry) -> Fact {
    Fact { kind: entry.kind, id: entry.id, settles: entry.settles, body: entry.body }
}

fn settings(folder: PathBuf) -> Settings {
    Settings {
        // By the thread too, whenever it comes to it.
        compress: true,
        volume_size: VOLUME,
        first_volume_size: VOLUME / 2,
        reserve: 2 * VOLUME,
        batch_entries: 8,
        // Everything may go that may go at all.
        retain: Retention { age: None, size: Some(1) },
        space_check: Duration::from_millis(1),
        ..Settings::new(folder)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_survives(
        seed in any::<u64>(),
        actions in prop::collection::vec(action(), 1..80),
    ) {
        let mut world = World::new(seed);
        for action in &actions {
            world.act(action)?;
        }
        world.crash()?;
    }
}
