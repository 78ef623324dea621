//! Everybody to whom the engine itself delivers: as the configuration in force names them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use journal::entry::Position;
use journal::journal::Journal;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::books::Books;
use crate::event::Event;
use crate::outbox::{InHand, Outbox};
use crate::outbox_place::{self, Place};
use crate::plan::Current;

/// All of them.
#[derive(Debug)]
pub struct Outboxes {
    journal: Journal,
    books: Arc<Books>,
    plan: Arc<Current>,
    folder: PathBuf,
    open: Mutex<BTreeMap<String, Arc<Outbox>>>,
    runtime: Handle,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// How it stands with one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Name in channels.yaml.
    pub subscriber: String,
    /// Events delivered since the subscriber was new.
    pub delivered: u64,
    /// Events left out since this process started: no trusted number, or refused and skipped.
    pub omitted: u64,
    /// Since when the event in hand is tried in vain.
    pub failing: Option<Timestamp>,
    /// Whether the other side refuses it for good.
    pub refused: bool,
    /// The message whose event that is.
    pub message: Option<u64>,
    /// What it said.
    pub trouble: Option<String>,
}

impl Outboxes {
    /// Begins to deliver. To be called before anything new is published: a subscriber that is new
    /// gets what comes from now on.
    pub fn start(
        (journal, books): (Journal, Arc<Books>),
        plan: Arc<Current>,
        data: &Path,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> io::Result<Arc<Self>> {
        let folder = data.join("deliver");
        let (open, runtime) = (Mutex::default(), Handle::current());
        let outboxes = Arc::new(Self { journal, books, plan, folder, open, runtime, tasks, stop });
        if outboxes.folder.try_exists()? {
            let plan = outboxes.plan.get();
            let known = |name: &str| plan.deliveries.contains_key(name);
            outbox_place::forget_all_but(&outboxes.folder, known)?;
        }
        outboxes.follow_plan();
        Ok(outboxes)
    }

    /// Delivers to whom the plan in force names, and to nobody else.
    pub(crate) fn follow_plan(&self) {
        let plan = self.plan.get();
        let mut open = self.open();
        open.retain(|name, outbox| {
            let stays = plan.deliveries.contains_key(name);
            if stays {
                outbox.changed.notify_one();
            } else {
                outbox.stop.cancel();
                Place::of(&self.folder, name).forget();
            }
            stays
        });
        for name in plan.deliveries.keys() {
            if open.contains_key(name) {
                continue;
            }
            match self.begin(name) {
                Ok(outbox) => drop(open.insert(name.clone(), outbox)),
                Err(error) => Event::PlaceUnwritable { subscriber: name, error: &error }.emit(),
            }
        }
    }

    fn begin(&self, name: &str) -> io::Result<Arc<Outbox>> {
        std::fs::create_dir_all(&self.folder)?;
        let place = Place::of(&self.folder, name);
        let known = (self.journal.clone(), self.books.clone());
        let plan = self.plan.clone();
        let outbox = Arc::new(Outbox::open(name, known, plan, place, self.stop.child_token())?);
        self.tasks.spawn_on(outbox.clone().run(), &self.runtime);
        Ok(outbox)
    }

    /// The event that a subscriber refuses for good, if it refuses one.
    pub(crate) fn refused(&self, subscriber: &str) -> Option<InHand> {
        let facts = self.open().get(subscriber)?.facts().clone();
        facts.in_hand.filter(|_| facts.refused)
    }

    /// Leaves out for a subscriber the event that is in hand.
    pub(crate) fn give_up(&self, subscriber: &str, event: &InHand) {
        if let Some(outbox) = self.open().get(subscriber) {
            outbox.give_up(&event.id);
        }
    }

    /// What retention must leave; nothing when everybody has everything or there is nobody.
    pub fn needs(&self) -> Option<Position> {
        self.open().values().map(|outbox| outbox.needs()).min()
    }

    /// How it stands with each, by name.
    pub fn standing(&self) -> Vec<Standing> {
        let standing = |(name, outbox): (&String, &Arc<Outbox>)| {
            let facts = outbox.facts().clone();
            Standing {
                subscriber: name.clone(),
                delivered: facts.delivered,
                omitted: facts.omitted,
                failing: facts.failing,
                refused: facts.refused,
                message: facts.in_hand.map(|event| event.message),
                trouble: facts.trouble,
            }
        };
        self.open().iter().map(standing).collect()
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Outbox>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
