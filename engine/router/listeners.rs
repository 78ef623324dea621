//! All listening addresses: opened together, and swapped under their connections at a reload.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio_util::task::TaskTracker;

use crate::event::Event;
use crate::intake::Intake;
use crate::listener::Listener;
use crate::plan::ListenerPlan;
use crate::port::Port;

/// How long a frame in hand may take to end once no new one may begin.
pub(crate) const IN_HAND: Duration = Duration::from_secs(5);

/// A port is taken, or the address is not this machine's.
#[derive(Debug, Error)]
#[error(
    "channel {channel} cannot listen on {address}: choose another listener.mllp.listen or stop what holds it"
)]
pub struct ListenError {
    /// First channel of the listener.
    pub channel: String,
    /// Its address.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// The addresses that are open.
#[derive(Debug)]
pub struct Listeners {
    intake: Arc<Intake>,
    sessions: TaskTracker,
    /// In the order of channels.yaml.
    ports: Mutex<Vec<Arc<Port>>>,
}

/// What is to be open, with every new address already bound: from here on nothing can fail.
#[derive(Debug)]
pub struct Prepared {
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    Kept(Arc<Port>, Arc<ListenerPlan>),
    New(Listener),
}

impl Listeners {
    /// None yet.
    pub fn new(intake: Arc<Intake>, sessions: TaskTracker) -> Self {
        Self { intake, sessions, ports: Mutex::default() }
    }

    /// Those that are open, in the order of channels.yaml.
    pub fn ports(&self) -> Vec<Arc<Port>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What they share.
    pub fn intake(&self) -> &Arc<Intake> {
        &self.intake
    }

    /// Their tasks and sessions.
    pub fn sessions(&self) -> &TaskTracker {
        &self.sessions
    }

    /// Binds every address that is not open yet; when one cannot be bound, nothing has changed.
    pub async fn prepare(&self, plans: &[Arc<ListenerPlan>]) -> Result<Prepared, ListenError> {
        let open = self.ports();
        let mut parts = Vec::new();
        for plan in plans {
            let same = open.iter().find(|port| port.plan().is_same_place(plan));
            parts.push(match same {
                Some(port) => Part::Kept(port.clone(), plan.clone()),
                None => Part::New(self.bind(plan).await?),
            });
        }
        Ok(Prepared { parts })
    }

    async fn bind(&self, plan: &Arc<ListenerPlan>) -> Result<Listener, ListenError> {
        let bound = Listener::bind(plan.clone(), self.intake.clone()).await;
        bound.map_err(|source| ListenError {
            channel: plan.name.clone(),
            address: plan.address,
            source,
        })
    }

    /// Puts it in force: kept ones get their settings and channels under their open connections, new
    /// ones begin to accept, and those no longer wanted take no more, finish the frames in hand,
    /// answer what is owed and close.
    pub fn commit(&self, prepared: Prepared) {
        let mut ports = Vec::new();
        for part in prepared.parts {
            ports.push(match part {
                Part::Kept(port, plan) => {
                    port.set(plan);
                    port
                }
                Part::New(listener) => {
                    let port = listener.port();
                    let (name, address) = (&port.plan().name, port.address);
                    Event::Listening { listener: name, address }.emit();
                    self.sessions.spawn(listener.run(self.sessions.clone()));
                    port
                }
            });
        }
        let before = {
            let mut present = self.ports.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *present, ports.clone())
        };
        for port in before {
            if !ports.iter().any(|kept| Arc::ptr_eq(kept, &port)) {
                Event::ListenerClosed { listener: &port.plan().name, address: port.address }.emit();
                self.sessions.spawn(close(port));
            }
        }
    }

    /// Takes no more on any of them; ends when all sessions have, or are told to.
    pub async fn stop(&self) {
        self.intake.stop.cancel();
        self.sessions.close();
        let ended = tokio::time::timeout(IN_HAND, self.sessions.wait()).await;
        self.intake.cut.cancel();
        if ended.is_err() {
            // What does not end in time is cut: its sender has no answer and sends again.
            drop(tokio::time::timeout(IN_HAND, self.sessions.wait()).await);
        }
    }
}

async fn close(port: Arc<Port>) {
    port.stop.cancel();
    tokio::select! {
        () = tokio::time::sleep(IN_HAND) => port.cut.cancel(),
        () = port.cut.cancelled() => {}
    }
}
