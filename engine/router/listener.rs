//! Accepts connections on one address.

use std::io;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use crate::backoff::Backoff;
use crate::event::Event;
use crate::intake::Intake;
use crate::plan::ListenerPlan;
use crate::port::Port;
use crate::session;

/// A bound socket from which nothing was accepted yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: Arc<Port>,
    intake: Arc<Intake>,
}

impl Listener {
    /// Binds the address; nothing is accepted before [`Listener::run`].
    pub async fn bind(
        plan: Arc<ListenerPlan>,
        tls: Option<TlsAcceptor>,
        intake: Arc<Intake>,
    ) -> io::Result<Self> {
        let socket = TcpListener::bind(plan.address).await?;
        let port = Arc::new(Port::new(socket.local_addr()?, plan, tls, &intake));
        Ok(Self { socket, port, intake })
    }

    /// What its sessions share.
    pub fn port(&self) -> Arc<Port> {
        self.port.clone()
    }

    /// Accepts until the port is closed.
    pub async fn run(self, sessions: TaskTracker) {
        let mut backoff = Backoff::default();
        loop {
            let accepted = tokio::select! {
                () = self.port.stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    backoff.reset();
                    let plan = self.port.plan();
                    if self.port.connections() >= plan.connections {
                        let (listener, maximum) = (&plan.name, plan.connections);
                        Event::ConnectionRefused { listener, peer, maximum }.emit();
                        continue;
                    }
                    let guard = self.port.enter();
                    let session =
                        session::serve(stream, peer, self.port.clone(), self.intake.clone());
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
