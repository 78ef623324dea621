//! The wire between the engine and its broker: cut at any byte, or deaf in one direction, so that a
//! broker has taken an event and the engine never hears of it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Passes bytes on for as long as the process lives.
#[derive(Debug)]
pub(crate) struct Wire {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the broker says is swallowed.
    deaf: AtomicBool,
    /// Both ends of every connection there is.
    ends: Mutex<Vec<TcpStream>>,
}

impl Wire {
    pub(crate) fn to(broker: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State::default());
        let wire = Self { port, state: state.clone() };
        std::thread::spawn(move || {
            for engine in listener.incoming().map_while(Result::ok) {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, broker));
                // A broker that is away closes at once.
                let Ok(far) = TcpStream::connect(address) else { continue };
                state.connect(engine, far);
            }
        });
        wire
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Every connection ends where it is.
    pub(crate) fn cut(&self) {
        for end in self.state.ends.lock().expect("a list").drain(..) {
            // It may have ended before.
            let _gone = end.shutdown(Shutdown::Both);
        }
    }

    /// From now on the engine hears nothing of what the broker says; [`Wire::cut`] must follow,
    /// since what was swallowed is missing.
    pub(crate) fn deafen(&self) {
        self.state.deaf.store(true, Ordering::Relaxed);
    }

    pub(crate) fn hear(&self) {
        self.state.deaf.store(false, Ordering::Relaxed);
    }
}

impl State {
    fn connect(self: &Arc<Self>, engine: TcpStream, broker: TcpStream) {
        for end in [&engine, &broker] {
            end.set_nodelay(true).expect("an open socket");
            let held = end.try_clone().expect("a second handle");
            self.ends.lock().expect("a list").push(held);
        }
        let (from, to) =
            (engine.try_clone().expect("a handle"), broker.try_clone().expect("a handle"));
        let (state, other) = (self.clone(), self.clone());
        std::thread::spawn(move || state.pass(from, to, false));
        std::thread::spawn(move || other.pass(broker, engine, true));
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, may_be_deaf: bool) {
        let mut bytes = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes) {
            let swallowed = may_be_deaf && self.deaf.load(Ordering::Relaxed);
            if !swallowed && to.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        for end in [from, to] {
            let _gone = end.shutdown(Shutdown::Both);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_until_it_is_cut() {
        let far = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let wire = Wire::to(far.local_addr().unwrap().port());
        let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, wire.port())).unwrap();
        let (mut far, _) = far.accept().unwrap();
        let mut bytes = [0; 2];
        near.write_all(b"to").unwrap();
        far.read_exact(&mut bytes).unwrap();
        far.write_all(b"ok").unwrap();
        near.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"ok");
        wire.deafen();
        far.write_all(b"no").unwrap();
        near.write_all(b"go").unwrap();
        far.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"go", "one direction still passes");
        wire.cut();
        assert_eq!(near.read(&mut bytes).unwrap(), 0, "what was swallowed never came");
        wire.hear();
    }
}
