//! The two sides of a connection that are served alike: plain TCP, and TLS.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::port::Port;
use crate::tls::Handshake;

/// How long a peer may take to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// The reading side.
pub(crate) trait Incoming: AsyncRead + Unpin {
    /// Whether the peer has ended its side; what it sent before may still be unread.
    fn has_ended(&self) -> bool;
}

impl Incoming for OwnedReadHalf {
    fn has_ended(&self) -> bool {
        ended(self.as_ref())
    }
}

impl Incoming for TlsSide {
    fn has_ended(&self) -> bool {
        ended(self.lock().get_ref().0)
    }
}

fn ended(socket: &TcpStream) -> bool {
    let ready = socket.ready(Interest::READABLE).now_or_never();
    ready.is_some_and(|ready| ready.is_ok_and(Ready::is_read_closed))
}

/// Shakes hands, unless the port is closed meanwhile; gives back the reading and the writing side.
pub(crate) async fn shake_hands(
    tls: &TlsAcceptor,
    stream: TcpStream,
    port: &Port,
) -> Result<(TlsSide, TlsSide), Handshake> {
    let stream = tokio::select! {
        () = port.stop.cancelled() => return Err(Handshake::Stopping),
        shaken = timeout(PATIENCE, tls.accept(stream)) => shaken.map_err(|_| Handshake::Timeout)??,
    };
    let shared = Arc::new(Mutex::new(stream));
    Ok((TlsSide(shared.clone()), TlsSide(shared)))
}

/// One side of a TLS connection. Both change one state, which each locks for the time of a poll, so
/// neither waits for the other's peer.
pub(crate) struct TlsSide(Arc<Mutex<TlsStream<TcpStream>>>);

impl TlsSide {
    fn lock(&self) -> MutexGuard<'_, TlsStream<TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsyncRead for TlsSide {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsSide {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.lock()).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.lock()).poll_shutdown(context)
    }
}
