//! The identity index in the line: what outcomes teach it, and how it survives.
//!
//! What a message teaches is part of its outcome, so that it is durable before any event that
//! depends on it, and known at once to the patient's next message. One thread follows the journal
//! and writes what was taught to the index's own files, behind the line; another keeps verified
//! copies of them. A start takes up the files and reads on in the journal: nothing is ever worked
//! out again.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use identity::error::IndexError;
use identity::fact::Fact;
use identity::index::{Index, Origin, Settings};
use identity::opening::Opened;
use journal::entry::{Entry, Kind, Position};
use journal::journal::Journal;
use journal::reader::{ReadError, Reader};
use serde::Deserialize;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::entry;
use crate::event::Event;

/// How long what was taught may wait to be written to the index's files.
const FLUSH: Duration = Duration::from_secs(1);
/// Patients after whom it does not wait.
const FLUSH_PATIENTS: usize = 20_000;

/// The identity index of one engine.
pub struct Patients {
    index: Index,
    journal: Journal,
    taught: Mutex<Taught>,
    renamed: AtomicU64,
}

/// How far the journal was read, and what is known already of what lies behind.
struct Taught {
    /// Every entry before it was applied.
    position: Position,
    /// Outcomes applied by one of the two who do, and not yet met by the other.
    early: BTreeSet<Position>,
}

/// Reads the journal entry after entry, each until it was applied.
struct Following {
    reader: Reader,
    /// Read, and not applied: the index could not be read or written then.
    unapplied: Option<Entry>,
    /// Whether what it meets may be in the index already: its files may be further than their position
    /// says. Later on, whoever applied something says so.
    resuming: bool,
}

/// Why the index cannot be taken up.
#[derive(Debug, Error)]
pub enum PatientsError {
    /// Its files cannot be read or written.
    #[error("the identity index cannot take up what the journal teaches it")]
    Index(#[from] IndexError),
    /// The journal cannot be read.
    #[error("the journal cannot be read")]
    Journal(#[source] io::Error),
}

impl std::fmt::Debug for Patients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Patients")
    }
}

/// What an outcome or an operator's entry teaches; the rest of its head is passed over.
#[derive(Deserialize)]
struct Teaching {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    actor: Option<String>,
    #[serde(default)]
    received: i64,
    #[serde(default)]
    at: i64,
    #[serde(default)]
    learned: Vec<Fact>,
}

impl Patients {
    /// Takes up the index in `folder` and reads what the journal knows besides. Blocks.
    pub fn open(journal: Journal, folder: &Path) -> Result<Patients, PatientsError> {
        let Opened { index, position, findings } = Index::open(folder, Settings::default())?;
        for finding in &findings {
            Event::IdentitySetAside { finding: &finding.to_string() }.emit();
        }
        let position = position.map_or(Position::START, Position::from_bytes);
        let taught = Mutex::new(Taught { position, early: BTreeSet::new() });
        let patients = Self { index, journal, taught, renamed: AtomicU64::new(0) };
        let mut following = patients.following(true);
        // Without all of it, whom a message is about would be decided by less than is known.
        while patients.step(&mut following)? {
            if patients.index.unflushed() > FLUSH_PATIENTS {
                patients.index.flush()?;
            }
        }
        // Nobody else will meet these.
        patients.taught().early.clear();
        Ok(patients)
    }

    /// How often it changed whom an identifier means. As long as it stays the same, whom a message
    /// names stays so as well.
    pub(crate) fn renamed(&self) -> u64 {
        self.renamed.load(Ordering::Acquire)
    }

    /// The index, to be asked.
    pub fn index(&self) -> &Index {
        &self.index
    }

    fn following(&self, resuming: bool) -> Following {
        let reader = self.journal.reader(self.taught().position);
        Following { reader, unapplied: None, resuming }
    }

    /// What the outcome at `at` teaches is known from now on; call when it is durable, and before
    /// the patient's next message runs. On an error none of it is known, and nothing that depends on
    /// it may go on until a later call, with the same, went well.
    pub(crate) fn learn(
        &self,
        at: Position,
        origin: &Origin<'_>,
        facts: &[Fact],
    ) -> Result<(), IndexError> {
        if facts.is_empty() {
            return Ok(());
        }
        let mut taught = self.taught();
        self.apply(&mut taught, at, origin, facts)
    }

    /// Each outcome is met twice: by the task that recorded it and by the thread that follows the
    /// journal. Whoever comes first applies it; for the other it is too late, since later ones of
    /// the patient may have been applied by then.
    fn apply(
        &self,
        taught: &mut Taught,
        at: Position,
        origin: &Origin<'_>,
        facts: &[Fact],
    ) -> Result<(), IndexError> {
        if taught.early.remove(&at) {
            return Ok(());
        }
        let applied = self.index.apply(at.to_bytes(), origin, facts);
        match &applied {
            Ok(()) => {
                if facts.iter().any(Fact::renames) {
                    self.renamed.fetch_add(1, Ordering::Release);
                }
                self.index.reached(taught.position.to_bytes());
            }
            Err(error) => {
                Event::IdentityUnwritable { error }.emit();
                if error.may_pass() {
                    return applied;
                }
            }
        }
        taught.early.insert(at);
        applied
    }

    /// Reads one entry and applies what it teaches; false at the end of what is durable. After an
    /// error the next call tries the same entry again.
    fn step(&self, following: &mut Following) -> Result<bool, PatientsError> {
        let entry = match following.unapplied.take() {
            Some(entry) => entry,
            None => match following.reader.next() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(false),
                Err(ReadError::Corrupt(damage)) => {
                    Event::damage(&damage).emit();
                    return Ok(true);
                }
                Err(ReadError::Dropped { .. } | ReadError::NoEntry(_)) => return Ok(true),
                Err(ReadError::Disk(error)) => {
                    Event::DiskUnreadable { error: &error }.emit();
                    return Err(PatientsError::Journal(error));
                }
            },
        };
        match self.read(&entry, following.reader.position(), following.resuming) {
            Err(error) if error.may_pass() => {
                following.unapplied = Some(entry);
                Err(error.into())
            }
            // What the index refuses it would refuse at every start.
            Ok(()) | Err(_) => Ok(true),
        }
    }

    fn read(&self, entry: &Entry, behind: Position, resuming: bool) -> Result<(), IndexError> {
        let teaches =
            matches!(entry.kind, Kind::Outcome | Kind::Identity | Kind::Operator) && !entry.carried;
        let teaching = teaches.then(|| entry::decode::<Teaching>(&entry.body));
        let mut taught = self.taught();
        let applied = match teaching {
            Some(Ok((teaching, _))) if !teaching.learned.is_empty() => {
                let Teaching { channel, actor, received, at, learned } = teaching;
                let at_ms = if at == 0 { received } else { at };
                let (source, actor) = (channel.as_str(), actor.as_deref());
                let origin = Origin { at_ms, source, message_id: entry.id.0, actor };
                match resuming.then(|| self.index.knows(entry.position.to_bytes(), &learned)) {
                    Some(Ok(true)) => Ok(()),
                    Some(Err(error)) => Err(error),
                    Some(Ok(false)) | None => {
                        self.apply(&mut taught, entry.position, &origin, &learned)
                    }
                }
            }
            Some(Err(_)) => {
                Event::OutcomeUnreadable { message: entry.id.0 }.emit();
                Ok(())
            }
            _ => Ok(()),
        };
        if !applied.as_ref().is_err_and(IndexError::may_pass) {
            taught.position = behind;
        }
        applied
    }

    /// Follows the journal until stopped and writes what it teaches. Blocks; give it a thread.
    pub(crate) fn follow(&self, runtime: &Handle, stop: &CancellationToken) {
        let mut durable = self.journal.durable();
        let mut following = self.following(false);
        let mut flushed = Instant::now();
        loop {
            durable.borrow_and_update();
            let step = self.step(&mut following);
            let (more, failed) = (matches!(step, Ok(true)), step.is_err());
            let due = flushed.elapsed() >= FLUSH || self.index.unflushed() > FLUSH_PATIENTS;
            if due || (!more && stop.is_cancelled()) {
                self.flush();
                flushed = Instant::now();
            }
            if more {
                continue;
            }
            if stop.is_cancelled() {
                return;
            }
            runtime.block_on(async {
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = durable.changed(), if !failed => {}
                    () = tokio::time::sleep(FLUSH) => {}
                }
            });
        }
    }

    fn flush(&self) {
        // Told too what was read and taught nothing: it need not be read again.
        let taught = self.taught();
        self.index.reached(taught.position.to_bytes());
        drop(taught);
        if let Err(error) = self.index.flush() {
            // It stays in memory and in the journal; the next round tries again.
            Event::IdentityUnwritable { error: &error }.emit();
        }
    }

    /// How far the journal was read.
    pub(crate) fn read_to(&self) -> Position {
        self.taught().position
    }

    fn taught(&self) -> MutexGuard<'_, Taught> {
        self.taught.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use identity::patient::PatientId;
    use identity::question::Asked;
    use journal::disk::RealDisk;
    use journal::entry::MessageId;
    use journal::settings::Settings as JournalSettings;
    use record::local::LocalId;
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;

    struct Line {
        folder: TempDir,
        patients: Patients,
    }

    const AT_MS: i64 = 1_780_000_000_000;

    impl Line {
        fn new() -> Line {
            let folder = TempDir::new().expect("a folder");
            let patients = open(&folder);
            Line { folder, patients }
        }

        /// An outcome as the line records it, learned at once.
        fn outcome(&self, learned: &Value) {
            let accepted = self.patients.journal.append(entry::encode(&json!({}), &[]));
            let (id, _) = accepted.wait().expect("durable");
            let head = json!({ "channel": "pas", "received": AT_MS, "learned": learned });
            let body = entry::encode(&head, &[]);
            let recorded = self.patients.journal.record(Kind::Outcome, id, body, false);
            let (_, at) = recorded.wait().expect("durable");
            let facts: Vec<Fact> = serde_json::from_value(learned.clone()).expect("facts");
            let origin = Origin { at_ms: AT_MS, source: "pas", message_id: id.0, actor: None };
            self.patients.learn(at, &origin, &facts).expect("applied");
        }
    }

    fn open(folder: &TempDir) -> Patients {
        let settings = JournalSettings::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).expect("opens");
        Patients::open(journal, &folder.path().join("identity")).expect("opens")
    }

    fn asked(id: &str) -> Asked {
        Asked::Patient(id.parse().expect("an id"))
    }

    fn kinds(patients: &Patients, id: &str) -> Vec<String> {
        let history = patients.index().history(&asked(id)).expect("known");
        let kind = |what: &Value| what.as_object().and_then(|of| of.keys().next().cloned());
        history.iter().filter_map(|row| kind(&row.what)).collect()
    }

    #[test]
    fn outcomes_that_nobody_read_back_yet_do_not_share_their_place_in_the_history() {
        let line = Line::new();
        let (old, new) = ("p0000000000000008", "p0000000000000010");
        line.outcome(&json!([{ "created": { "patient": old } },
                { "number_held": { "patient": old, "number": "9990000018" } }]));
        line.outcome(&json!([{ "created": { "patient": new } }]));
        line.outcome(
            &json!([{ "merged": { "retired": old, "survivor": new, "number": "9990000018" } },
                { "number_held": { "patient": new, "number": "9990000018" } }]),
        );
        line.outcome(
            &json!([{ "learned": { "patient": new, "names": { "families": ["SMITH"] } } },
                { "stated": { "patient": new, "statement": { "family": "SMITH" } } }]),
        );
        let expected =
            ["created", "number_held", "created", "merged", "number_held", "learned", "stated"];
        assert_eq!(kinds(&line.patients, new), expected);
        line.patients.flush();
        assert_eq!(kinds(&line.patients, new), expected);
        let undone = line.patients.index().unmerge(9, AT_MS, &asked(old)).expect("merged");
        let undone = serde_json::to_value(&undone.facts[0]).expect("JSON");
        assert_eq!(undone["unmerged"]["number"], json!("9990000018"));
        // What was written down is not written down a second time when the journal is read again.
        let Line { folder, patients } = line;
        drop(patients);
        assert_eq!(kinds(&open(&folder), new), expected);
    }

    #[test]
    fn what_a_load_brought_is_held_after_a_restart_whatever_the_files_had_already() {
        let line = Line::new();
        let patient: PatientId = "p0000000000000008".parse().expect("an id");
        let [one, other] = ["9990000018", "9990000026"];
        let local = serde_json::to_value(local()).expect("JSON");
        line.outcome(&json!([{ "created": { "patient": patient } },
                { "bound": { "patient": patient, "local": local } },
                { "number_held": { "patient": patient, "number": one } }]));
        line.outcome(&json!([{ "number_retired": { "patient": patient, "number": one } }]));
        // It counts since the patient has none; read again, the first entry is not to give it one.
        line.outcome(&json!([{ "loaded": { "patient": patient, "number": other,
                "locals": [local] } }]));
        let Line { folder, patients } = line;
        // All of it is written, under the position where reading begins.
        patients.index.flush().expect("written");
        drop(patients);
        let known = open(&folder).index().show(&asked("p0000000000000008")).expect("asked");
        let held = known.expect("known").number.expect("held").number;
        assert_eq!(held.as_str(), other);
    }

    fn local() -> LocalId {
        let [authority, kind, value] = ["RXX01", "MR", "1000001"].map(str::to_owned);
        LocalId { authority, kind, value }
    }

    fn known(patients: &Patients) -> bool {
        let shown = patients.index().show(&Asked::Local(local()));
        shown.expect("can be asked").is_some_and(|known| known.protected)
    }

    /// As a load is written down.
    fn teach(journal: &Journal, facts: &[Fact]) -> Position {
        let head = json!({ "at": 5, "actor": "alex", "channel": "pas", "learned": facts });
        let body = entry::encode(&head, &[]);
        journal.record(Kind::Identity, MessageId::NONE, body, false).wait().expect("kept").1
    }

    #[test]
    fn what_cannot_be_applied_is_told_and_tried_again_and_never_passed_over() {
        let folder = tempfile::tempdir().expect("folder");
        let settings = JournalSettings::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).expect("opens");
        let patient = "p0000000000000008".parse().expect("an id");
        let bound = Fact::Bound { patient, local: local(), retired: false };
        teach(&journal, &[Fact::Created { patient }, bound]);
        let index = folder.path().join("identity");
        let patients = Patients::open(journal.clone(), &index).expect("opens");
        patients.flush();
        drop(patients);

        let patients = Patients::open(journal.clone(), &index).expect("opens");
        let mut following = patients.following(false);
        let before = patients.taught().position;
        let raised = [protected(patient, true)];
        let at = teach(&journal, &raised);
        let origin = Origin { at_ms: 5, source: "pas", message_id: 0, actor: None };
        let file = index.join("identity.db");
        let whole = fs::read(&file).expect("reads");
        // In place, as a bad disk would.
        fs::write(&file, vec![0_u8; whole.len()]).expect("writes");
        for _ in 0..2 {
            patients.learn(at, &origin, &raised).expect_err("the one who recorded it hears");
            patients.step(&mut following).map(drop).expect_err("so does the one who follows");
        }
        assert_eq!(patients.taught().position, before);
        drop(patients);

        // The disk is mended.
        for of in fs::read_dir(&index).expect("folder") {
            let of = of.expect("file").path();
            if of.is_file() {
                fs::remove_file(of).expect("removes");
            }
        }
        fs::write(&file, whole).expect("writes");
        let patients = Patients::open(journal, &index).expect("opens");
        assert!(known(&patients));
    }

    fn protected(patient: PatientId, now: bool) -> Fact {
        let (dissent, protected_since, dissent_since) = (None, None, None);
        let protected = Some(now);
        Fact::Sensitivity { patient, protected, dissent, protected_since, dissent_since }
    }

    #[test]
    fn what_one_of_the_two_applied_is_not_applied_again_by_the_other() {
        let folder = tempfile::tempdir().expect("folder");
        let settings = JournalSettings::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).expect("opens");
        let patients =
            Patients::open(journal.clone(), &folder.path().join("identity")).expect("opens");
        let mut following = patients.following(false);
        let patient = "p0000000000000008".parse().expect("an id");
        let sensitivity = |now| protected(patient, now);
        let origin = Origin { at_ms: 5, source: "pas", message_id: 0, actor: None };
        let bound = Fact::Bound { patient, local: local(), retired: false };
        let entries =
            [vec![Fact::Created { patient }, bound, sensitivity(false)], vec![sensitivity(true)]];
        for facts in entries {
            let at = teach(&journal, &facts);
            patients.learn(at, &origin, &facts).expect("learns");
        }
        // The first would lower it again.
        assert!(patients.step(&mut following).expect("steps"));
        assert!(known(&patients));
        while patients.step(&mut following).expect("steps") {}
        assert!(known(&patients) && patients.taught().early.is_empty());
    }
}
