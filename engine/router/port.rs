//! One listening address while it is open: what its sessions share, and what a reload may swap under
//! them.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::gauge;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::intake::Intake;
use crate::plan::ListenerPlan;
use crate::refused::RefusedRing;
use crate::repeats::Repeats;

/// A bound address.
pub struct Port {
    /// With the port that the system chose when 0 was asked for.
    pub address: SocketAddr,
    /// Negative answers and their frames.
    pub refused: RefusedRing,
    /// What is refused again and again.
    pub repeats: Repeats,
    /// Cancelled when no frame may be begun any more; one in hand may end.
    pub stop: CancellationToken,
    /// Cancelled when what is not finished will not be.
    pub cut: CancellationToken,
    plan: watch::Sender<Arc<ListenerPlan>>,
    tls: Mutex<Option<TlsAcceptor>>,
    connections: Arc<AtomicUsize>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Port {
    /// A port that was just bound; it ends with intake, if not before.
    pub fn new(
        address: SocketAddr,
        plan: Arc<ListenerPlan>,
        tls: Option<TlsAcceptor>,
        intake: &Intake,
    ) -> Self {
        Self {
            address,
            refused: RefusedRing::default(),
            repeats: Repeats::default(),
            stop: intake.stop.child_token(),
            cut: intake.cut.child_token(),
            plan: watch::Sender::new(plan),
            tls: Mutex::new(tls),
            connections: Arc::default(),
        }
    }

    /// The settings and channels in force. A frame is judged by those of the moment it is complete.
    pub fn plan(&self) -> Arc<ListenerPlan> {
        self.plan.borrow().clone()
    }

    /// Hears of new ones.
    pub fn plans(&self) -> watch::Receiver<Arc<ListenerPlan>> {
        self.plan.subscribe()
    }

    /// Swaps them under open connections. Frames are judged and silence is measured by the new ones
    /// from now on; the largest frame of a connection stays what it was when it was opened, and so
    /// does its TLS.
    pub(crate) fn set(&self, plan: Arc<ListenerPlan>, tls: Option<TlsAcceptor>) {
        *self.tls.lock().unwrap_or_else(PoisonError::into_inner) = tls;
        self.plan.send_replace(plan);
    }

    /// What a new connection has to shake hands with; nothing where it is plain TCP.
    pub(crate) fn tls(&self) -> Option<TlsAcceptor> {
        self.tls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Counts one more for as long as what is given back lives.
    pub(crate) fn enter(&self) -> Open {
        let gauge = gauge!("tieline_connections", "listener" => self.plan.borrow().name.clone());
        self.connections.fetch_add(1, Ordering::Relaxed);
        gauge.increment(1.0);
        Open { count: self.connections.clone(), gauge }
    }
}

/// An open connection, counted.
pub(crate) struct Open {
    count: Arc<AtomicUsize>,
    gauge: metrics::Gauge,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.gauge.decrement(1.0);
    }
}
