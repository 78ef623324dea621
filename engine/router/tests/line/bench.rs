//! A line on a bench: a journal, a plan, a broker in memory, and a desk for the operator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use journal::disk::RealDisk;
use journal::journal::Journal;
use journal::settings::Settings;
use router::books::{Books, Taken};
use router::config::load;
use router::config::overrides::Overrides;
use router::delivery::{Beginning, Delivery};
use router::entry::{self, Accepted};
use router::fates::Fates;
use router::ledger::Ledger;
use router::operators::{Actor, Operators};
use router::patients::Patients;
use router::plan::{Current, Plan};
use router::teaching::Teaching;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::line::broker::Memory;

pub(crate) struct Line {
    pub(crate) journal: Journal,
    pub(crate) delivery: Arc<Delivery<Memory>>,
    pub(crate) books: Arc<Books>,
    pub(crate) operators: Operators,
    pub(crate) patients: Arc<Patients>,
    pub(crate) teaching: Arc<Teaching>,
    /// Those who wait for the fate of a message.
    pub(crate) fates: Fates,
    stop: CancellationToken,
    tasks: TaskTracker,
    reading: std::thread::JoinHandle<()>,
}

impl Line {
    /// Starts a line on what the folder holds.
    pub(crate) fn start(folder: &Path, broker: &Arc<Memory>, window: usize) -> Self {
        Self::start_paused(folder, broker, window, &[])
    }

    /// The same with the delivery of some channels paused.
    pub(crate) fn start_paused(
        folder: &Path,
        broker: &Arc<Memory>,
        window: usize,
        paused: &[&str],
    ) -> Self {
        Self::begin(folder, broker, window, paused, &[])
    }

    /// The same with some settings of the sample otherwise.
    pub(crate) fn start_set(
        folder: &Path,
        broker: &Arc<Memory>,
        window: usize,
        set: &[&str],
    ) -> Self {
        Self::begin(folder, broker, window, &[], set)
    }

    fn begin(
        folder: &Path,
        broker: &Arc<Memory>,
        window: usize,
        paused: &[&str],
        set: &[&str],
    ) -> Self {
        let settings = Settings::new(folder.join("journal"));
        let (journal, recovered) = Journal::open(Arc::new(RealDisk), settings).unwrap();
        let Taken { books, seen, judged, .. } =
            Books::recover(journal.clone(), &recovered).unwrap();
        let books = Arc::new(books);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let patients = Patients::open(journal.clone(), &folder.join("identity")).unwrap();
        let patients = Arc::new(patients);
        let mut beginning = Beginning::new(folder, seen, judged, patients.clone());
        beginning.window = window;
        beginning.paused = paused.iter().map(|&channel| channel.to_owned()).collect();
        let fates = beginning.fates.clone();
        let current = Arc::new(Current::new(plan(set)));
        let delivery = Delivery::start(
            journal.clone(),
            current.clone(),
            broker.clone(),
            stop.clone(),
            tasks.clone(),
            beginning,
        )
        .unwrap();
        let operators = Operators::new(journal.clone(), books.clone(), delivery.desk());
        let ledger = books.ask(Clone::clone);
        let reading = {
            let delivery = delivery.clone();
            std::thread::spawn(move || delivery.read(&ledger))
        };
        let teaching = Teaching::new(journal.clone(), current, patients.clone(), folder);
        let teaching = Arc::new(teaching);
        Self {
            journal,
            delivery,
            books,
            operators,
            patients,
            teaching,
            fates,
            stop,
            tasks,
            reading,
        }
    }

    /// Stops as a crash would, except that threads end.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        let (journal, reading) = (self.journal, self.reading);
        tokio::task::spawn_blocking(move || {
            reading.join().unwrap();
            journal.close();
        })
        .await
        .unwrap();
    }

    pub(crate) async fn send(&self, patient: usize, number: usize) -> u64 {
        self.journal.append(message(patient, number, "I")).await.unwrap().0.0
    }

    /// A message whose script parks it: nobody knows this class of patient.
    pub(crate) async fn send_bad(&self, patient: usize, number: usize) -> u64 {
        self.journal.append(message(patient, number, "?")).await.unwrap().0.0
    }

    /// Waits until the books say so.
    pub(crate) async fn until(&self, what: impl Fn(&Ledger) -> bool) {
        let mut durable = self.journal.durable();
        while !self.books.ask(&what) {
            durable.changed().await.unwrap();
        }
    }
}

pub(crate) fn actor() -> Actor {
    Actor { name: "alex".into(), reason: "tried again".into() }
}

pub(crate) fn text(patient: usize, number: usize, class: &str) -> String {
    let control_id = format!("P{patient}-{number:03}");
    format!(
        "MSH|^~\\&|PAS|RXX01|R|R|20260115101500||ADT^A01^ADT_A01|{control_id}|P|2.4\r\
         EVN||20260115101500||||20260115101000\r\
         PID|1||77{patient:06}^^^RXX01^MR||EXAMPLE^ALEX||19800229|1\r\
         PV1|1|{class}|^WARD1^BED2^RXX01||||||||||||||||V{patient}\r"
    )
}

pub(crate) fn message(patient: usize, number: usize, class: &str) -> Bytes {
    let control_id = format!("P{patient}-{number:03}");
    accepted("pas-adt", "ADT^A01", &control_id, &text(patient, number, class))
}

/// A message as intake keeps it.
pub(crate) fn accepted(channel: &str, kind: &str, control_id: &str, text: &str) -> Bytes {
    let head = Accepted {
        channel: channel.into(),
        peer: "127.0.0.1:9".into(),
        received: 1_768_472_100_000,
        control_id: control_id.into(),
        message_type: kind.into(),
        sender: "PAS/RXX01".into(),
        application_ack: None,
        edit: None,
        unmerge: None,
        sequence: None,
        refused: false,
        miscounted: false,
    };
    entry::encode(&head, &[text.as_bytes()])
}

fn plan(set: &[&str]) -> Arc<Plan> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let set = [&["channels.pas-adt.acknowledge.when=published"], set].concat();
    let set = set.into_iter().map(str::to_owned).collect();
    let overrides = Overrides { set, data: None };
    let loaded = load::load(&root.join("channels.yaml"), &overrides);
    let loaded = loaded.unwrap_or_else(|failure| panic!("{failure}"));
    Arc::new(Plan::assemble(&loaded).unwrap())
}

/// Removes the files of a folder, and leaves the folders in it.
pub(crate) fn remove_files(folder: &Path) {
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.is_file() {
            std::fs::remove_file(file).unwrap();
        }
    }
}
