//! Puts a changed configuration in force while the engine runs: all of it, or nothing.
//!
//! Whatever can fail happens first: secrets are read, new addresses bound, the copy made. Then the
//! parts are swapped one by one, each in a single step: whoever has a message in hand finishes it
//! with what it began with. Connections stay, except on addresses that are no longer named.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use journal::entry::{Kind, MessageId};
use journal::journal::Journal;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::amqp::Amqp;
use crate::config::activate::{self, ActivateError};
use crate::config::difference::{ChannelChange, Difference, difference};
use crate::config::load::Loaded;
use crate::config::secret::RevealError;
use crate::entry;
use crate::event::Event;
use crate::listeners::{ListenError, Listeners};
use crate::outboxes::Outboxes;
use crate::plan::{Current, Plan};

/// What a reload changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The version in force now.
    pub version: String,
    /// Channels that are new.
    pub added: Vec<String>,
    /// Channels that are gone. What they had accepted and is still pending parks as
    /// `channel.unknown`.
    pub removed: Vec<String>,
    /// Channels whose settings, script, libraries or tables differ.
    pub changed: Vec<String>,
    /// Keys that differ and are in force only after a restart.
    pub waiting: Vec<String>,
}

/// Why a configuration was not put in force. Nothing has changed.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// A secret that channels.yaml refers to is not there.
    #[error("a secret cannot be read")]
    Secret(#[from] RevealError),
    /// A new address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its copy cannot be kept.
    #[error(transparent)]
    Activate(#[from] ActivateError),
}

/// Body of a `configuration` entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// The version that was put in force.
    pub version: String,
    /// When, milliseconds since 1970 in UTC.
    pub at: i64,
}

/// The configuration of a running engine, and the parts that follow it.
#[derive(Debug)]
pub(crate) struct Configured {
    pub(crate) plan: Arc<Current>,
    pub(crate) listeners: Arc<Listeners>,
    pub(crate) broker: Option<Amqp>,
    /// Set once the journal was taken up.
    pub(crate) outboxes: OnceLock<Arc<Outboxes>>,
    pub(crate) journal: Journal,
    /// As it was at the start: what waits for the next one is compared with this.
    pub(crate) started: Loaded,
    /// The journal was opened for entries that hold no larger one, bytes.
    pub(crate) largest_frame: usize,
    /// As it was put in force last. Held for as long as a reload takes.
    pub(crate) last: Mutex<Loaded>,
}

impl Configured {
    /// Puts `loaded` in force.
    pub(crate) async fn reload(&self, mut loaded: Loaded) -> Result<Reloaded, ReloadError> {
        let mut last = self.last.lock().await;
        let mut waiting = waiting(&self.started, &loaded);
        loaded.data.clone_from(&self.started.data);
        let mut plan = Plan::assemble(&loaded)?;
        if limit_frames(&mut plan, self.largest_frame) {
            waiting.push("listener.mllp.max_frame".to_owned());
        }
        let prepared = self.listeners.prepare(&plan.listeners).await?;
        let loaded = activate(loaded).await?;
        // From here on nothing fails.
        let plan = Arc::new(plan);
        self.tell_broker(&plan);
        // Before the listeners: whatever is accepted must find its channel.
        self.plan.set(plan);
        if let Some(outboxes) = self.outboxes.get() {
            outboxes.follow_plan();
        }
        self.listeners.commit(prepared);
        let reloaded = Reloaded { waiting, ..changes(&last, &loaded) };
        *last = loaded;
        drop(last);
        self.record(&reloaded.version).await;
        let Reloaded { version, added, removed, changed, waiting } = &reloaded;
        Event::Reloaded { version, added, removed, changed }.emit();
        if !waiting.is_empty() {
            Event::WaitsForRestart { keys: waiting }.emit();
        }
        Ok(reloaded)
    }

    /// Whether events leave through a broker at all is decided at the start; who should get them is
    /// not.
    fn tell_broker(&self, plan: &Plan) {
        let Some(broker) = &self.broker else { return };
        match &plan.broker {
            Some(wanted) => broker.reconfigure(wanted),
            None => broker.reroute(&plan.routes),
        }
    }

    /// For whoever asks later which configuration was in force when.
    async fn record(&self, version: &str) {
        let at = Timestamp::now().as_millisecond();
        let body = entry::encode(&Activation { version: version.to_owned(), at }, &[]);
        // A journal that takes no more says so itself.
        self.journal.record(Kind::Configuration, MessageId::NONE, body, false).await.ok();
    }
}

async fn activate(loaded: Loaded) -> Result<Loaded, ActivateError> {
    let copying = move || activate::activate(&loaded.data, &loaded).map(|()| loaded);
    let copied = tokio::task::spawn_blocking(copying).await;
    copied.expect("copying a configuration does not panic")
}

/// No frame may be accepted that the journal cannot hold; says whether one was to be.
fn limit_frames(plan: &mut Plan, largest: usize) -> bool {
    let mut limited = false;
    for listener in &mut plan.listeners {
        if listener.max_frame > largest
            && let Some(listener) = Arc::get_mut(listener)
        {
            listener.max_frame = largest;
            limited = true;
        }
    }
    limited
}

/// The keys that differ from those the engine was started with and that it cannot follow.
fn waiting(started: &Loaded, wanted: &Loaded) -> Vec<String> {
    let Difference { restart, mut watch, mut broker, .. } = difference(started, wanted);
    watch.retain(|key| key.starts_with("engine.journal."));
    if started.config.broker.is_some() == wanted.config.broker.is_some() {
        broker.clear();
    }
    [restart, watch, broker].concat()
}

/// What a reload from one to the other changes.
fn changes(before: &Loaded, after: &Loaded) -> Reloaded {
    let mut reloaded = Reloaded { version: after.version.clone(), ..Reloaded::default() };
    for (name, change) in difference(before, after).channels {
        match change {
            ChannelChange::Added => reloaded.added.push(name),
            ChannelChange::Removed => reloaded.removed.push(name),
            ChannelChange::Changed { .. } => reloaded.changed.push(name),
        }
    }
    reloaded
}
