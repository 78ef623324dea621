//! Intake over real sockets: a channel that is paused waits without an answer, others go on, and
//! what listens can be swapped under open connections.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use journal::disk::RealDisk;
use journal::journal::Journal;
use journal::settings::Settings;
use router::config::bundle::Bundle;
use router::config::load;
use router::config::overrides::Overrides;
use router::intake::Intake;
use router::listeners::Listeners;
use router::plan::Plan;
use router::port::Port;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

const SOON: Duration = Duration::from_secs(30);
/// As long as one looks for an answer that must not come.
const MOMENT: Duration = Duration::from_millis(100);

struct Hall {
    folder: TempDir,
    listeners: Listeners,
    journal: Journal,
}

impl Hall {
    /// Listens as `channels` say: each a name, an address and the sender it takes.
    async fn open(channels: &[(&str, &str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::new(folder.path().join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).unwrap();
        let intake = Arc::new(Intake::new(journal.clone(), 1 << 20));
        let hall = Self { folder, listeners: Listeners::new(intake, TaskTracker::new()), journal };
        hall.swap(channels).await;
        hall
    }

    async fn swap(&self, channels: &[(&str, &str, &str)]) {
        let plan = self.plan(channels);
        let prepared = self.listeners.prepare(&plan.listeners).await.unwrap();
        self.listeners.commit(prepared);
    }

    fn plan(&self, channels: &[(&str, &str, &str)]) -> Plan {
        use std::fmt::Write;
        let mut text = String::from("channels:\n");
        for (name, listen, sender) in channels {
            write!(
                text,
                "  {name}:\n    listener: {{ mllp: {{ listen: \"{listen}\" }} }}\n    \
                 accept: {{ senders: [{sender}] }}\n    source: {{ organisation: RXX }}\n    \
                 transform: {{ script: transforms/none.rhai }}\n"
            )
            .unwrap();
        }
        let base = self.folder.path();
        std::fs::create_dir_all(base.join("transforms")).unwrap();
        let script = "fn transform(msg) { filter(\"not-used\") }\n";
        std::fs::write(base.join("transforms/none.rhai"), script).unwrap();
        std::fs::write(base.join("channels.yaml"), text).unwrap();
        let (bundle, problems) = Bundle::gather(&base.join("channels.yaml"), &Overrides::default());
        let loaded = load::understand(bundle, problems);
        Plan::assemble(&loaded.unwrap_or_else(|failure| panic!("{failure}"))).unwrap()
    }

    fn port(&self, channel: &str) -> Arc<Port> {
        let ports = self.listeners.ports();
        let serves = |port: &&Arc<Port>| port.plan().channels.iter().any(|c| c.name == channel);
        ports.iter().find(serves).unwrap().clone()
    }

    async fn connect(&self, channel: &str) -> TcpStream {
        TcpStream::connect(self.port(channel).address).await.unwrap()
    }
}

async fn send(stream: &mut TcpStream, sender: &str, control_id: &str) {
    let text = format!(
        "\x0bMSH|^~\\&|{sender}|X|R|R|20260115101500||ADT^A01^ADT_A01|{control_id}|P|2.4\rPID|1\r\x1c\r"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// MSA-1 and MSA-2 of the next answer.
async fn answer(stream: &mut TcpStream) -> (String, String) {
    let mut frame = Vec::new();
    let reading = async {
        while !frame.ends_with(b"\x1c\r") {
            let byte = stream.read_u8().await.expect("an answer before the end");
            frame.push(byte);
        }
    };
    timeout(SOON, reading).await.expect("an answer");
    let text = String::from_utf8(frame).unwrap();
    let msa = text.split('\r').find(|segment| segment.starts_with("MSA")).unwrap().to_owned();
    let mut fields = msa.split('|').skip(1).map(str::to_owned);
    (fields.next().unwrap(), fields.next().unwrap())
}

async fn silent(stream: &mut TcpStream) {
    let read = timeout(MOMENT, stream.read_u8()).await;
    assert!(read.is_err(), "nothing was to be said: {read:?}");
}

fn positive(control_id: &str) -> (String, String) {
    ("AA".to_owned(), control_id.to_owned())
}

const ANY: &str = "127.0.0.1:0";

#[tokio::test]
async fn a_paused_channel_reads_nothing_and_goes_on_where_it_was() {
    let hall = Hall::open(&[("one", ANY, "A/X"), ("two", ANY, "B/X")]).await;
    let (mut one, mut two) = (hall.connect("one").await, hall.connect("two").await);
    send(&mut one, "A", "1").await;
    assert_eq!(answer(&mut one).await, positive("1"));
    hall.listeners.intake().pause("one");
    hall.listeners.intake().pause("one");
    let accepted = hall.journal.next_id();
    send(&mut one, "A", "2").await;
    send(&mut one, "A", "3").await;
    silent(&mut one).await;
    assert_eq!(hall.journal.next_id(), accepted, "nothing was taken and not answered");
    send(&mut two, "B", "4").await;
    assert_eq!(answer(&mut two).await, positive("4"));
    hall.listeners.intake().resume("one");
    assert_eq!(answer(&mut one).await, positive("2"));
    assert_eq!(answer(&mut one).await, positive("3"));
}

#[tokio::test]
async fn on_a_shared_listener_only_the_connection_with_a_frame_for_it_waits() {
    let address = free_address();
    let hall = Hall::open(&[("one", &address, "A/X"), ("two", &address, "B/X")]).await;
    hall.listeners.intake().pause("one");
    let (mut first, mut second) = (hall.connect("one").await, hall.connect("one").await);
    send(&mut first, "B", "1").await;
    assert_eq!(answer(&mut first).await, positive("1"));
    send(&mut first, "A", "2").await;
    send(&mut first, "B", "3").await;
    silent(&mut first).await;
    send(&mut second, "B", "4").await;
    assert_eq!(answer(&mut second).await, positive("4"));
    hall.listeners.intake().resume("one");
    assert_eq!(answer(&mut first).await, positive("2"));
    assert_eq!(answer(&mut first).await, positive("3"));
}

#[tokio::test]
async fn a_peer_that_leaves_a_paused_channel_gives_its_place_back() {
    let hall = Hall::open(&[("one", ANY, "A/X")]).await;
    hall.listeners.intake().pause("one");
    let mut stream = hall.connect("one").await;
    send(&mut stream, "A", "1").await;
    silent(&mut stream).await;
    let port = hall.port("one");
    assert_eq!(port.connections(), 1);
    drop(stream);
    let gone = async {
        while port.connections() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, gone).await.expect("the place is free");
    assert_eq!(hall.journal.next_id().0, 1, "its frame was not taken");
}

#[tokio::test]
async fn a_frame_that_waits_is_judged_by_the_rules_there_are_when_it_goes_on() {
    let address = free_address();
    let hall = Hall::open(&[("one", &address, "A/X"), ("two", &address, "B/X")]).await;
    hall.listeners.intake().pause("one");
    let mut stream = hall.connect("one").await;
    send(&mut stream, "A", "1").await;
    silent(&mut stream).await;
    // The paused channel is gone; its sender is now another channel's.
    hall.swap(&[("three", &address, "A/X"), ("two", &address, "B/X")]).await;
    assert_eq!(answer(&mut stream).await, positive("1"));
    hall.swap(&[("two", &address, "B/X")]).await;
    send(&mut stream, "A", "2").await;
    assert_eq!(answer(&mut stream).await, ("AR".to_owned(), "2".to_owned()));
}

#[tokio::test]
async fn what_cannot_be_bound_leaves_everything_as_it_was() {
    let hall = Hall::open(&[("one", ANY, "A/X")]).await;
    let taken = std::net::TcpListener::bind(ANY).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut stream = hall.connect("one").await;
    let plan = hall.plan(&[("one", ANY, "B/X"), ("two", &address, "B/X")]);
    let error = hall.listeners.prepare(&plan.listeners).await.unwrap_err();
    assert!(error.to_string().contains("channel two cannot listen on"), "{error}");
    send(&mut stream, "A", "1").await;
    assert_eq!(answer(&mut stream).await, positive("1"), "the former rules");
}

/// An address that was free a moment ago.
fn free_address() -> String {
    std::net::TcpListener::bind(ANY).unwrap().local_addr().unwrap().to_string()
}
