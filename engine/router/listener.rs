//! Accepts connections on one address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::gauge;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::event::Event;
use crate::intake::Intake;
use crate::plan::ListenerPlan;
use crate::session;

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    plan: Arc<ListenerPlan>,
    intake: Arc<Intake>,
    open: Arc<AtomicUsize>,
}

impl Listener {
    /// Binds the address; nothing is accepted before [`Listener::run`].
    pub async fn bind(plan: Arc<ListenerPlan>, intake: Arc<Intake>) -> io::Result<Self> {
        let socket = TcpListener::bind(plan.address).await?;
        Ok(Self { socket, plan, intake, open: Arc::default() })
    }

    /// The bound address, with the port that the system chose when 0 was asked for.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// How many connections are open, for the status page.
    pub fn connections(&self) -> Arc<AtomicUsize> {
        self.open.clone()
    }

    /// Accepts until intake stops.
    pub async fn run(self, sessions: TaskTracker) {
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                () = self.intake.stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    if self.open.load(Ordering::Relaxed) >= self.plan.connections {
                        let (listener, maximum) = (&self.plan.name, self.plan.connections);
                        Event::ConnectionRefused { listener, peer, maximum }.emit();
                        continue;
                    }
                    let guard = Open::enter(self.open.clone(), &self.plan.name);
                    let session =
                        session::serve(stream, peer, self.plan.clone(), self.intake.clone());
                    sessions.spawn(async move {
                        session.await;
                        drop(guard);
                    });
                }
                // Out of file descriptors, say: waiting is all that helps.
                Err(_) => tokio::time::sleep(backoff.wait()).await,
            }
        }
    }
}

/// Counts an open connection for as long as it lives.
struct Open {
    count: Arc<AtomicUsize>,
    gauge: metrics::Gauge,
}

impl Open {
    fn enter(count: Arc<AtomicUsize>, listener: &str) -> Self {
        let gauge = gauge!("tieline_connections", "listener" => listener.to_owned());
        count.fetch_add(1, Ordering::Relaxed);
        gauge.increment(1.0);
        Self { count, gauge }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.gauge.decrement(1.0);
    }
}
