//! The engine: assembles the line from a configuration, and is asked about it through one handle.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use archive::archive::Archive;
use archive::error::ArchiveError;
use jiff::Timestamp;
use journal::disk::{Disk, RealDisk};
use journal::journal::Journal;
use journal::recovery::OpenError;
use journal::report::Recovered;
use journal::settings::{Retention, Settings};
use thiserror::Error;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alert::Alerts;
use crate::amqp::Amqp;
use crate::books::{Books, BooksError, Taken};
use crate::chronicle::Chronicle;
use crate::config;
use crate::config::load::Loaded;
use crate::config::secret::RevealError;
use crate::delivery::{Beginning, Delivery};
use crate::embedded::Embedded;
use crate::event::Event;
use crate::handle::{Handle, Inner};
use crate::intake::Intake;
use crate::keepers::Keepers;
use crate::lifeline::{Ended, Lifeline};
use crate::listeners::{ListenError, Listeners, Prepared};
use crate::operators::Operators;
use crate::outboxes::Outboxes;
use crate::patients::{Patients, PatientsError};
use crate::plan::{Current, Plan};
use crate::publish::{BrokerHealth, Publisher};
use crate::reload::{Configured, ReloadError, Reloaded};
use crate::sampler;
use crate::teaching::Teaching;
use crate::watch;

/// How long delivery may take to finish what is in flight; the rest goes on after the next start.
const DELIVERY_GRACE: Duration = Duration::from_secs(10);

/// All events of one message together; more parks it.
const LARGEST_OUTCOME: u64 = 64 * 1024 * 1024;
/// What an entry's head may take beside the frame.
const HEAD: usize = 64 * 1024;

/// A running engine. Dropping it without [`Engine::stop`] is a crash, which loses nothing.
#[derive(Debug)]
pub struct Engine {
    handle: Handle,
    journal: Journal,
    configured: Configured,
    delivery_stop: CancellationToken,
    books_stop: CancellationToken,
    delivering: TaskTracker,
    threads: Vec<std::thread::JoinHandle<()>>,
    /// Names a part that ended before its time.
    ended: Ended,
}

/// Why the engine does not start. Nothing was acknowledged.
#[derive(Debug, Error)]
pub enum StartError {
    /// A secret that channels.yaml refers to is not there.
    #[error("a secret cannot be read")]
    Secret(#[from] RevealError),
    /// The journal cannot be opened.
    #[error("the journal in {folder} cannot be opened")]
    Journal {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The journal can be opened and not understood.
    #[error("the books cannot be taken up from the journal in {folder}")]
    Books {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: BooksError,
    },
    /// The archive cannot be opened, not even anew.
    #[error("the archive in {folder} cannot be opened")]
    Archive {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: ArchiveError,
    },
    /// The identity index cannot be opened, not even from a copy.
    #[error("the identity index in {folder} cannot be opened")]
    Patients {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: PatientsError,
    },
    /// A port is taken, or the address is not this machine's.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Where to deliver on cannot be found out.
    #[error("the places of deliveries in the data folder cannot be read")]
    Deliver(#[source] std::io::Error),
    /// The system gives no thread.
    #[error("a thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl Engine {
    /// Opens the journal, takes up the books, binds every listener, and only then accepts.
    pub async fn start(loaded: &Loaded) -> Result<Self, StartError> {
        let began = Instant::now();
        let plan = Arc::new(Plan::assemble(loaded)?);
        let folder = loaded.data.join("journal");
        let (journal, recovered) = open_journal(loaded, &folder).await?;
        let intake = Arc::new(Intake::new(journal.clone(), plan.buffers));
        let listeners = Arc::new(Listeners::new(intake, TaskTracker::new()));
        let sockets = listeners.prepare(&plan.listeners).await?;
        let stop = CancellationToken::new();
        let ended = Ended::new(None);
        let data = loaded.data.clone();
        let found = Found { journal: journal.clone(), recovered, folder, data };
        let mut configured = Configured {
            plan: Arc::new(Current::new(plan.clone())),
            listeners,
            broker: None,
            outboxes: OnceLock::new(),
            journal,
            started: loaded.clone(),
            largest_frame: largest_frame(loaded),
            last: Mutex::new(loaded.clone()),
        };
        let engine = match &plan.broker {
            None => Self::assemble(configured, found, sockets, Embedded, stop, ended),
            Some(broker) => {
                let lifeline = Lifeline::new("publisher", &stop, &ended);
                let publisher = Amqp::start(broker, stop.clone(), lifeline);
                configured.broker = Some(publisher.clone());
                Self::assemble(configured, found, sockets, publisher, stop, ended)
            }
        }?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Event::Ready { channels: plan.channels.len(), listeners: plan.listeners.len(), took_ms }
            .emit();
        Ok(engine)
    }

    fn assemble<P: Publisher>(
        configured: Configured,
        found: Found,
        sockets: Prepared,
        publisher: P,
        delivery_stop: CancellationToken,
        ended: Ended,
    ) -> Result<Self, StartError> {
        let began = Instant::now();
        let Found { journal, recovered, folder, data } = found;
        let plan = configured.plan.clone();
        let taken = Books::recover(journal.clone(), &recovered)
            .map_err(|source| StartError::Books { folder, source })?;
        let Taken { books, seen, judged, entries } = taken;
        let books = Arc::new(books);
        let ledger = books.ask(Clone::clone);
        let (paused, last_numbers) = (ledger.paused.clone(), ledger.last_numbers.clone());
        let waiting = paused.iter().filter(|(_, paused)| paused.delivery);
        let waiting = waiting.map(|(channel, _)| channel.clone()).collect();
        tell_recovery(&recovered, entries, ledger.total().counts.pending, began);
        let damage = recovered.report.corrupt.len();
        let patients = open_identity(&journal, &data)?;
        let publisher = Arc::new(publisher);
        let delivering = TaskTracker::new();
        let (tasks, stop) = (delivering.clone(), delivery_stop.child_token());
        let known = (journal.clone(), books.clone());
        let outboxes = Outboxes::start(known, plan.clone(), &data, tasks, stop)
            .map_err(StartError::Deliver)?;
        configured.outboxes.set(outboxes.clone()).ok();
        let delivery = Delivery::start(
            journal.clone(),
            plan.clone(),
            publisher.clone(),
            delivery_stop.clone(),
            delivering.clone(),
            Beginning {
                ended: ended.clone(),
                paused: waiting,
                fates: configured.listeners.intake().fates.clone(),
                ..Beginning::new(&data, seen, judged, patients.clone())
            },
        )
        .map_err(StartError::Thread)?;
        let chronicle = open_archive(&journal, &data)?;
        let operators = Operators::new(journal.clone(), books.clone(), delivery.desk());
        let books_stop = CancellationToken::new();
        let keepers = Keepers {
            books: books.clone(),
            chronicle: chronicle.clone(),
            patients: patients.clone(),
            outboxes: outboxes.clone(),
            plan: plan.clone(),
        };
        let threads = keepers
            .start(&delivery, ledger, &delivery_stop, &books_stop, &ended)
            .map_err(StartError::Thread)?;
        let listeners = configured.listeners.clone();
        listeners.intake().sequences.take_up(last_numbers);
        for (channel, paused) in &paused {
            if paused.intake {
                listeners.intake().pause(channel);
            }
        }
        listeners.commit(sockets);
        let teaching = Teaching::new(journal.clone(), plan.clone(), patients, &data);
        let parts = Parts {
            journal: journal.clone(),
            books,
            chronicle,
            operators,
            outboxes,
            teaching,
            damage,
        };
        let handle = handle_of(parts, &plan, listeners, delivery, publisher);
        look_after(&handle, &plan, &books_stop);
        Ok(Self {
            handle,
            journal,
            configured,
            delivery_stop,
            books_stop,
            delivering,
            threads,
            ended,
        })
    }

    /// What the console sees.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Puts a changed configuration in force, all of it or nothing, and says what changed. Messages
    /// in hand are finished as they were begun; connections stay, except on addresses that are no
    /// longer named.
    pub async fn reload(&self, loaded: Loaded) -> Result<Reloaded, ReloadError> {
        self.configured.reload(loaded).await
    }

    /// What takes messages in: to pause and resume channels.
    pub fn intake(&self) -> Arc<Intake> {
        self.configured.listeners.intake().clone()
    }

    /// Resolves when the engine cannot go on: the journal can write no more, or a part has ended.
    pub async fn failed(&self) -> String {
        let mut failed = self.journal.failed();
        let mut ended = self.ended.subscribe();
        tokio::select! {
            failure = failed.wait_for(Option::is_some) => {
                Event::JournalFailed.emit();
                let failure = failure.ok().and_then(|failure| failure.clone());
                failure.map_or_else(|| "the journal is closed".to_owned(), |f| f.to_string())
            }
            part = ended.wait_for(Option::is_some) => {
                let part = part.ok().and_then(|part| *part).unwrap_or("engine");
                format!("its part \"{part}\" ended unexpectedly")
            }
        }
    }

    /// Takes no more, answers what is owed, finishes what is in flight, closes the journal.
    pub async fn stop(self) {
        self.configured.listeners.stop().await;
        self.delivering.close();
        // Without its broker nothing more gets done, nor without its journal.
        if self.handle.broker_connected() && self.journal.failed().borrow().is_none() {
            drop(tokio::time::timeout(DELIVERY_GRACE, self.idle()).await);
        }
        self.delivery_stop.cancel();
        drop(tokio::time::timeout(DELIVERY_GRACE, self.delivering.wait()).await);
        self.books_stop.cancel();
        let (threads, journal) = (self.threads, self.journal);
        let closing = tokio::task::spawn_blocking(move || {
            for thread in threads {
                drop(thread.join());
            }
            journal.close();
        });
        drop(closing.await);
    }

    /// Until nothing is pending but what waits behind a parked message or for the broker.
    async fn idle(&self) {
        let mut durable = self.journal.durable();
        while self.handle.moves() {
            let more = tokio::time::timeout(Duration::from_millis(20), durable.changed()).await;
            if matches!(more, Ok(Err(_))) {
                return;
            }
        }
    }
}

/// What an engine is made of besides its line.
struct Parts {
    journal: Journal,
    books: Arc<Books>,
    chronicle: Arc<Chronicle>,
    operators: Operators,
    outboxes: Arc<Outboxes>,
    teaching: Teaching,
    damage: usize,
}

fn handle_of<P: Publisher>(
    parts: Parts,
    plan: &Arc<Current>,
    listeners: Arc<Listeners>,
    delivery: Arc<Delivery<P>>,
    publisher: Arc<P>,
) -> Handle {
    let Parts { journal, books, chronicle, operators, outboxes, teaching, damage } = parts;
    let health = {
        let delivery = delivery.clone();
        let unroutable = move || delivery.unroutable.count();
        Box::new(move || BrokerHealth { unroutable: unroutable(), ..publisher.health() })
    };
    Handle::new(Inner {
        plan: plan.clone(),
        journal,
        books,
        chronicle,
        operators,
        outboxes,
        listeners,
        moving: {
            let delivery = delivery.clone();
            Box::new(move || delivery.moving())
        },
        behind: {
            let delivery = delivery.clone();
            Box::new(move |id| delivery.behind(id))
        },
        waits_for: Box::new(move |id| delivery.waits_for(id)),
        health,
        teaching,
        started: Timestamp::now(),
        damage,
    })
}

/// Gauges, alarms, and one line when intake closes.
fn look_after(handle: &Handle, plan: &Current, stop: &CancellationToken) {
    tokio::spawn(sampler::sample(handle.clone(), stop.clone()));
    let (alerts, telling) = Alerts::new(plan.get().alerts.on_alert.clone());
    tokio::spawn(telling);
    tokio::spawn(watch::watch(handle.clone(), alerts, stop.clone()));
    tokio::spawn(sampler::tell_intake(handle.clone(), stop.clone()));
}

fn open_archive(journal: &Journal, data: &Path) -> Result<Arc<Chronicle>, StartError> {
    let folder = data.join("archive");
    let opened = Archive::open(&folder, archive::opening::Settings::default())
        .map_err(|source| StartError::Archive { folder: folder.clone(), source })?;
    for finding in &opened.findings {
        Event::ArchiveSetAside { finding: &finding.to_string() }.emit();
    }
    let position = opened.position.as_deref();
    Ok(Chronicle::new(journal.clone(), &folder, opened.archive, position))
}

fn open_identity(journal: &Journal, data: &Path) -> Result<Arc<Patients>, StartError> {
    let folder = data.join("identity");
    let patients = Patients::open(journal.clone(), &folder);
    patients.map(Arc::new).map_err(|source| StartError::Patients { folder, source })
}

fn tell_recovery(recovered: &Recovered, entries: u64, pending: u64, began: Instant) {
    for corruption in &recovered.report.corrupt {
        Event::damage(corruption).emit();
    }
    if entries > 0 || pending > 0 {
        let torn = recovered.report.torn.is_some();
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Event::Recovered { entries, pending, torn, took_ms }.emit();
    }
}

/// The disk; in a build for tests, one that fails on purpose when a file to steer it is named.
fn disk() -> Arc<dyn Disk> {
    #[cfg(feature = "faults")]
    if let Some(control) = std::env::var_os("TIELINE_FAULTS") {
        return Arc::new(journal::faulty::FaultyDisk::controlled(control.into()));
    }
    Arc::new(RealDisk)
}

async fn open_journal(loaded: &Loaded, folder: &Path) -> Result<(Journal, Recovered), StartError> {
    let config = &loaded.config.engine.journal;
    let mut settings = Settings::new(folder);
    settings.volume_size = config.volume.bytes();
    settings.max_entry = largest_frame(loaded).saturating_add(HEAD);
    settings.retain = Retention {
        age: config.retain.age.as_ref().map(|age| age.0),
        size: config.retain.size.as_ref().map(|size| size.bytes()),
    };
    let disk = disk();
    let opened = tokio::task::spawn_blocking(move || Journal::open(disk, settings)).await;
    let opened = opened.expect("opening the journal does not panic");
    opened.map_err(|source| StartError::Journal { folder: folder.to_owned(), source })
}

/// The largest frame, or the largest outcome that is reasonable.
fn largest_frame(loaded: &Loaded) -> usize {
    let frames = loaded.config.channels.iter().map(|(_, channel)| match &channel.listener {
        config::listener::Listener::Mllp(mllp) => mllp.max_frame.bytes(),
    });
    let largest = frames.max().unwrap_or_default().max(LARGEST_OUTCOME);
    usize::try_from(largest).unwrap_or(usize::MAX)
}

/// What the journal's folder held.
struct Found {
    journal: Journal,
    recovered: Recovered,
    folder: PathBuf,
    /// The data folder.
    data: PathBuf,
}
