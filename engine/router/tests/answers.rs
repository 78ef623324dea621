//! What senders are answered over real sockets, and when: answers that wait, their order, refusals
//! by what is wrong, sequence numbers, commit bytes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use journal::disk::RealDisk;
use journal::entry::{Kind, MessageId, Position};
use journal::journal::Journal;
use journal::settings::Settings;
use router::config::bundle::Bundle;
use router::config::load;
use router::config::overrides::Overrides;
use router::entry::{self, Accepted};
use router::intake::Intake;
use router::ledger::Ledger;
use router::listeners::Listeners;
use router::plan::Plan;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

const SOON: Duration = Duration::from_secs(30);
/// As long as one looks for an answer that must not come.
const MOMENT: Duration = Duration::from_millis(100);

struct Hall {
    listeners: Listeners,
    journal: Journal,
    _folder: TempDir,
}

impl Hall {
    /// A channel `one` of sender `A/X` with these keys, on a listener with those.
    async fn open(keys: &str, listener: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let settings = Settings::new(base.join("journal"));
        let (journal, _) = Journal::open(Arc::new(RealDisk), settings).unwrap();
        std::fs::create_dir_all(base.join("transforms")).unwrap();
        let script = "fn transform(msg) { filter(\"not-used\") }\n";
        std::fs::write(base.join("transforms/none.rhai"), script).unwrap();
        let text = format!(
            "channels:\n  one: {{ listener: {{ mllp: {{ listen: \"127.0.0.1:0\" {listener} }} }}, \
             source: {{ organisation: RXX }}, transform: {{ script: transforms/none.rhai }}, {keys} }}\n"
        );
        std::fs::write(base.join("channels.yaml"), text).unwrap();
        let (bundle, problems) = Bundle::gather(&base.join("channels.yaml"), &Overrides::default());
        let loaded = load::understand(bundle, problems);
        let plan = Plan::assemble(&loaded.unwrap_or_else(|failure| panic!("{failure}"))).unwrap();
        let intake = Arc::new(Intake::new(journal.clone(), 1 << 20));
        let listeners = Listeners::new(intake, TaskTracker::new());
        let prepared = listeners.prepare(&plan.listeners).await.unwrap();
        listeners.commit(prepared);
        Self { listeners, journal, _folder: folder }
    }

    async fn published(within: &str) -> Self {
        let keys = format!(
            "accept: {{ senders: [A/X] }}, acknowledge: {{ when: published, within: {within} }}"
        );
        Self::open(&keys, "").await
    }

    async fn connect(&self) -> Peer {
        let address = self.listeners.ports()[0].address;
        Peer { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// As delivery does when a message was published, parked, or held back.
    fn tell(&self, id: u64) {
        self.listeners.intake().fates.tell(MessageId(id));
    }

    /// Until so many messages were taken.
    async fn taken(&self, count: u64) {
        let mut durable = self.journal.durable();
        let taken = async {
            while self.journal.next_id().0 <= count {
                durable.changed().await.unwrap();
            }
        };
        timeout(SOON, taken).await.expect("they are taken");
    }

    /// The heads of the messages that were taken.
    fn heads(&self) -> Vec<Accepted> {
        let mut reader = self.journal.reader(Position::START);
        let mut heads = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            if entry.kind == Kind::Accepted {
                heads.push(entry::decode(&entry.body).unwrap().0);
            }
        }
        heads
    }
}

struct Peer {
    stream: TcpStream,
}

impl Peer {
    /// A message of a sender; `tail` is MSH-13 and what follows.
    async fn send(&mut self, sender: &str, control_id: &str, tail: &str) {
        let text = message(sender, control_id, tail);
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The content of the next frame.
    async fn frame(&mut self) -> Vec<u8> {
        let mut frame = Vec::new();
        let reading = async {
            while !frame.ends_with(b"\x1c\r") {
                let byte = self.stream.read_u8().await.expect("an answer before the end");
                frame.push(byte);
            }
        };
        timeout(SOON, reading).await.expect("an answer");
        frame[1..frame.len() - 2].to_vec()
    }

    /// MSA of the next answer.
    async fn answer(&mut self) -> String {
        let text = String::from_utf8(self.frame().await).unwrap();
        text.split('\r').find(|segment| segment.starts_with("MSA")).unwrap().to_owned()
    }

    async fn silent(&mut self) {
        let read = timeout(MOMENT, self.stream.read_u8()).await;
        assert!(read.is_err(), "nothing was to be said: {read:?}");
    }
}

fn message(sender: &str, control_id: &str, tail: &str) -> String {
    format!(
        "\x0bMSH|^~\\&|{sender}|X|R|R|20260115101500||ADT^A01^ADT_A01|{control_id}|P|2.4|{tail}\rPID|1\r\x1c\r"
    )
}

#[tokio::test]
async fn aa_waits_until_published_and_answers_keep_their_order() {
    let hall = Hall::published("10m").await;
    let mut peer = hall.connect().await;
    peer.send("A", "1", "").await;
    peer.send("B", "2", "").await;
    peer.send("A", "3", "").await;
    // Reading goes on while the first waits.
    hall.taken(2).await;
    peer.silent().await;
    hall.tell(2);
    peer.silent().await;
    hall.tell(1);
    assert_eq!(peer.answer().await, "MSA|AA|1");
    assert!(peer.answer().await.starts_with("MSA|AR|2|"), "a refusal waits for its turn");
    assert_eq!(peer.answer().await, "MSA|AA|3");
    // Others on other connections do not wait for it.
    let mut other = hall.connect().await;
    peer.send("A", "4", "").await;
    hall.taken(3).await;
    other.send("B", "5", "").await;
    assert!(other.answer().await.starts_with("MSA|AR|5|"));
}

#[tokio::test]
async fn what_is_not_told_in_time_is_answered_because_it_is_stored() {
    let hall = Hall::published("50ms").await;
    let mut peer = hall.connect().await;
    let began = Instant::now();
    for number in 0..20 {
        peer.send("A", &number.to_string(), "").await;
    }
    for number in 0..20 {
        assert_eq!(peer.answer().await, format!("MSA|AA|{number}"));
    }
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(50), "{took:?}");
    // Each waits from its own arrival on, not one after another.
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn what_waits_is_bounded_and_everything_of_it_is_answered() {
    let hall = Hall::published("10m").await;
    let (mut read, mut write) = hall.connect().await.stream.into_split();
    let sending = tokio::spawn(async move {
        for number in 0..1000 {
            write.write_all(message("A", &number.to_string(), "").as_bytes()).await.unwrap();
        }
        write
    });
    // One in the writer's hand, 256 behind it, one in the reader's.
    hall.taken(258).await;
    assert!(timeout(MOMENT, read.read_u8()).await.is_err(), "nobody was told anything");
    assert_eq!(hall.journal.next_id().0, 259, "nothing more is read");
    let (mut told, mut durable) = (0, hall.journal.durable());
    let telling = async {
        while told < 1000 {
            durable.borrow_and_update();
            for id in told + 1..hall.journal.next_id().0 {
                hall.tell(id);
                told = id;
            }
            if told < 1000 {
                durable.changed().await.unwrap();
            }
        }
    };
    let reading = async {
        let mut text = String::new();
        let mut chunk = vec![0; 65_536];
        while text.matches("MSA|AA|").count() < 1000 {
            let length = read.read(&mut chunk).await.unwrap();
            text.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        }
        text
    };
    let ((), text) = timeout(SOON, async { tokio::join!(telling, reading) }).await.unwrap();
    let ids = text.split("MSA|AA|").skip(1).map(|rest| rest.split('\r').next().unwrap());
    assert!(ids.eq((0..1000).map(|number| number.to_string()).collect::<Vec<_>>()));
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_clean_stop_answers_those_that_wait() {
    let hall = Hall::published("10m").await;
    let mut peer = hall.connect().await;
    for number in 1..=3 {
        peer.send("A", &number.to_string(), "").await;
    }
    hall.taken(3).await;
    peer.silent().await;
    let (answers, ()) = tokio::join!(
        async { [peer.answer().await, peer.answer().await, peer.answer().await] },
        hall.listeners.stop()
    );
    assert_eq!(answers, ["MSA|AA|1", "MSA|AA|2", "MSA|AA|3"]);
}

#[tokio::test]
async fn a_second_answer_leaves_when_it_is_due_and_holds_no_first_one_up() {
    let keys =
        "accept: { senders: [A/X] }, acknowledge: { when: published, within: 10m, both: true }";
    let hall = Hall::open(keys, "").await;
    let mut peer = hall.connect().await;
    peer.send("A", "1", "||AL|AL").await;
    assert_eq!(peer.answer().await, "MSA|CA|1");
    peer.send("A", "2", "||AL|AL").await;
    assert_eq!(peer.answer().await, "MSA|CA|2", "although the second of 1 is still due");
    hall.tell(2);
    peer.silent().await;
    hall.tell(1);
    let first = String::from_utf8(peer.frame().await).unwrap();
    assert!(first.contains("|||NE|NE\rMSA|AA|1\r"), "a message that asks for no answer: {first}");
    assert_eq!(peer.answer().await, "MSA|AA|2");
    // Only the accept acknowledgement, unless it is said otherwise.
    let keys = "accept: { senders: [A/X] }, acknowledge: { when: published, within: 10m }";
    let hall = Hall::open(keys, "").await;
    let mut peer = hall.connect().await;
    peer.send("A", "1", "||AL|AL").await;
    assert_eq!(peer.answer().await, "MSA|CA|1");
    hall.tell(1);
    peer.silent().await;
}

#[tokio::test]
async fn each_kind_of_refusal_is_answered_as_its_channel_says() {
    let keys = "accept: { senders: [A/X], types: [ADT^A02], unknown_type: reject }, acknowledge: { \
                refusals: { sender: none, message_type: error, oversize: error, unreadable: none } }";
    let hall = Hall::open(keys, ", max_frame: 1KiB").await;
    let mut peer = hall.connect().await;
    peer.send("B", "1", "").await;
    peer.stream.write_all(b"\x0bhello\x1c\r").await.unwrap();
    peer.send("A", "2", "").await;
    assert_eq!(peer.answer().await, "MSA|AE|2|message type is not accepted here");
    peer.send("A", "3", "||AL|").await;
    assert!(peer.answer().await.starts_with("MSA|CE|3|"));
    peer.send("A", "4", &"|".repeat(2000)).await;
    assert!(peer.answer().await.starts_with("MSA|AE|4|"));
    assert_eq!(hall.journal.next_id().0, 1, "nothing was stored");
    let refused = hall.listeners.ports()[0].refused.frames();
    let reasons: Vec<_> = refused.iter().map(|frame| frame.reason).collect();
    assert_eq!(reasons, ["sender", "unreadable", "message-type", "message-type", "oversize"]);
}

#[tokio::test]
async fn numbers_out_of_sequence_are_refused_and_the_journal_knows_where_they_stand() {
    let keys = "accept: { senders: [A/X, B/X] }, acknowledge: { sequence_numbers: true }";
    let hall = Hall::open(keys, "").await;
    let mut peer = hall.connect().await;
    let steps = [
        ("A", "0", "AA||-1"),
        ("A", "7", "AA||7"),
        ("A", "8", "AA||8"),
        ("B", "3", "AA||3"),
        ("A", "10", "AR|sequence number is not the one expected, which MSA-4 says|9"),
        ("A", "8", "AA||9"),
        ("A", "0", "AA||9"),
        ("A", "", "AA"),
        ("A", "A05", "AA"),
        ("B", "-1", "AA||-1"),
        ("A", "9", "AA||9"),
    ];
    for (at, (sender, number, expected)) in steps.into_iter().enumerate() {
        peer.send(sender, &at.to_string(), number).await;
        let (code, rest) = expected.split_at(2);
        assert_eq!(peer.answer().await, format!("MSA|{code}|{at}{rest}"), "{number}");
    }
    let mut ledger = Ledger::default();
    let mut reader = hall.journal.reader(Position::START);
    while let Some(entry) = reader.next().unwrap() {
        ledger.apply(&entry).unwrap();
    }
    let last: Vec<_> = ledger.last_numbers["one"].iter().collect();
    assert_eq!(last, [(&"A/X".to_owned(), &9)]);
}

#[tokio::test]
async fn bytes_that_are_refused_again_and_again_are_kept_in_the_end() {
    let keys = "accept: { senders: [A/X], repeated_reject: { park_after: 2 } }";
    let hall = Hall::open(keys, "").await;
    let mut peer = hall.connect().await;
    for _ in 0..2 {
        peer.send("B", "1", "").await;
        assert!(peer.answer().await.starts_with("MSA|AR|1|"));
        // Other bytes have a count of their own.
        peer.send("B", "2", "").await;
        assert!(peer.answer().await.starts_with("MSA|AR|2|"));
    }
    peer.send("B", "1", "").await;
    assert_eq!(peer.answer().await, "MSA|AA|1");
    peer.send("A", "3", "").await;
    assert_eq!(peer.answer().await, "MSA|AA|3");
    let heads = hall.heads();
    let heads: Vec<_> = heads.iter().map(|head| (head.control_id.as_str(), head.refused)).collect();
    assert_eq!(heads, [("1", true), ("3", false)]);
}

#[tokio::test]
async fn release_2_of_mllp_is_answered_by_a_byte() {
    let hall = Hall::open("accept: { senders: [A/X] }", ", commit_byte: alone").await;
    let mut peer = hall.connect().await;
    peer.send("A", "1", "").await;
    assert_eq!(peer.frame().await, [0x06]);
    peer.send("B", "2", "").await;
    assert_eq!(peer.frame().await, [0x15]);
    peer.stream.write_all(b"\x0bhello\x1c\r").await.unwrap();
    assert_eq!(peer.frame().await, [0x15]);
    let keys = "accept: { senders: [A/X] }, acknowledge: { when: published, within: 10m }";
    let hall = Hall::open(keys, ", commit_byte: with-acknowledgement").await;
    let mut peer = hall.connect().await;
    peer.send("A", "1", "").await;
    assert_eq!(peer.frame().await, [0x06], "stored, and not yet published");
    peer.silent().await;
    hall.tell(1);
    assert_eq!(peer.answer().await, "MSA|AA|1");
    // The sender's byte for our acknowledgement is no message.
    peer.stream.write_all(b"\x0b\x06\x1c\r").await.unwrap();
    peer.send("B", "2", "").await;
    assert_eq!(peer.frame().await, [0x15]);
    assert!(peer.answer().await.starts_with("MSA|AR|2|"));
}
