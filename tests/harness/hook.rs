//! Somebody who takes events over HTTP: writes down what came, and answers as the story says.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::{SOON, until};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    /// Request line and headers, in lower case.
    pub(crate) lines: Vec<String>,
    pub(crate) body: Value,
}

#[derive(Debug, Default)]
struct Desk {
    taken: Vec<Posted>,
    refused: usize,
    /// What is answered to the next requests; afterwards 204.
    answers: VecDeque<&'static str>,
}

/// Takes until the story ends.
#[derive(Debug)]
pub(crate) struct TestHook {
    pub(crate) address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

impl TestHook {
    pub(crate) fn start() -> Self {
        Self::at("127.0.0.1:0")
    }

    /// On an address where nobody listened before.
    pub(crate) fn at(address: &str) -> Self {
        let listener = TcpListener::bind(address).expect("an address to listen on");
        let address = listener.local_addr().expect("an address");
        let desk = Arc::new(Mutex::new(Desk::default()));
        let shared = desk.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let desk = shared.clone();
                // A peer that goes away in the middle has posted nothing.
                std::thread::spawn(move || while serve(&stream, &desk).is_some() {});
            }
        });
        Self { address, desk }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// What is answered to the next requests from now on; then 204 again.
    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = &'static str>) {
        self.desk.lock().expect("nobody panicked").answers = answers.into_iter().collect();
    }

    pub(crate) fn refused(&self) -> usize {
        self.desk.lock().expect("nobody panicked").refused
    }

    pub(crate) fn taken(&self) -> Vec<Posted> {
        self.desk.lock().expect("nobody panicked").taken.clone()
    }

    /// Waits until so many were taken.
    pub(crate) fn take(&self, count: usize) -> Vec<Posted> {
        until("events over HTTP", SOON, || {
            let taken = self.taken();
            (taken.len() >= count).then_some(taken)
        })
    }
}

fn serve(stream: &TcpStream, desk: &Mutex<Desk>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_ascii_lowercase()),
        }
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).ok()?;
    let status = {
        let mut desk = desk.lock().ok()?;
        let status = desk.answers.pop_front().unwrap_or("204 No Content");
        if status.starts_with('2') {
            desk.taken.push(Posted { lines, body });
        } else {
            desk.refused += 1;
        }
        status
    };
    write!(&mut &*stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").ok()
}
