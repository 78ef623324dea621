//! All listening addresses: opened together, and swapped under their connections at a reload.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::event::Event;
use crate::intake::Intake;
use crate::listener::Listener;
use crate::plan::ListenerPlan;
use crate::port::Port;
use crate::tls::TlsError;

/// How long a frame in hand may take to end once no new one may begin.
pub(crate) const IN_HAND: Duration = Duration::from_secs(5);

/// Why a listener cannot be opened; each names the first channel of the listener.
#[derive(Debug, Error)]
pub enum ListenError {
    /// A port is taken, or the address is not this machine's.
    #[error(
        "channel {channel} cannot listen on {address}: choose another listener.mllp.listen or stop what holds it"
    )]
    Address { channel: String, address: SocketAddr, source: std::io::Error },
    /// Its certificate, its key or its authorities.
    #[error("channel {channel} cannot use its listener.mllp.tls")]
    Tls { channel: String, source: TlsError },
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
pub struct Prepared {
    parts: Vec<Part>,
}

enum Part {
    Kept(Arc<Port>, Arc<ListenerPlan>, Option<TlsAcceptor>),
    New(Listener),
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("parts", &self.parts.len()).finish()
    }
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

    /// Reads every certificate and key anew and binds every address that is not open yet; when one
    /// cannot be, nothing has changed.
    pub async fn prepare(&self, plans: &[Arc<ListenerPlan>]) -> Result<Prepared, ListenError> {
        let open = self.ports();
        let mut parts = Vec::new();
        for plan in plans {
            let tls = acceptor(plan)?;
            let same = open.iter().find(|port| port.plan().is_same_place(plan));
            parts.push(match same {
                Some(port) => Part::Kept(port.clone(), plan.clone(), tls),
                None => Part::New(self.bind(plan, tls).await?),
            });
        }
        Ok(Prepared { parts })
    }

    async fn bind(
        &self,
        plan: &Arc<ListenerPlan>,
        tls: Option<TlsAcceptor>,
    ) -> Result<Listener, ListenError> {
        let bound = Listener::bind(plan.clone(), tls, self.intake.clone()).await;
        bound.map_err(|source| ListenError::Address {
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
                Part::Kept(port, plan, tls) => {
                    port.set(plan, tls);
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

fn acceptor(plan: &ListenerPlan) -> Result<Option<TlsAcceptor>, ListenError> {
    let Some(tls) = &plan.tls else { return Ok(None) };
    match tls.load() {
        Ok(config) => Ok(Some(config.into())),
        Err(source) => Err(ListenError::Tls { channel: plan.name.clone(), source }),
    }
}

async fn close(port: Arc<Port>) {
    port.stop.cancel();
    tokio::select! {
        () = tokio::time::sleep(IN_HAND) => port.cut.cancel(),
        () = port.cut.cancelled() => {}
    }
}
