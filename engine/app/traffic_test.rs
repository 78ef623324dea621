//! Traffic against receivers with manners of their own, over real sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hl7::mllp::{Decoded, FrameDecoder, FrameLimits, encode_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::traffic;
use crate::traffic_plan::{Answered, Length, Plan, Statistics};

/// What a receiver does with the control ids of one read.
type Manners = fn(connection: usize, ids: Vec<String>) -> Option<Vec<(&'static str, String)>>;

/// A receiver that answers as told, and closes the connection on `None`.
async fn receiver(manners: Manners) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(serve(stream, connection, manners));
        }
    });
    address
}

async fn serve(mut stream: TcpStream, connection: usize, manners: Manners) {
    let mut decoder = FrameDecoder::new(FrameLimits::default());
    let mut input = BytesMut::new();
    while stream.read_buf(&mut input).await.is_ok_and(|length| length > 0) {
        decoder.push(&input);
        input.clear();
        let mut ids = Vec::new();
        while let Some(Decoded::Frame(frame)) = decoder.next_frame() {
            let text = String::from_utf8_lossy(&frame).into_owned();
            ids.push(text.split('|').nth(9).unwrap_or_default().to_owned());
        }
        let Some(answers) = manners(connection, ids) else { return };
        for (code, id) in answers {
            let ack = format!("MSH|^~\\&|||||||ACK|X|P|2.4\rMSA|{code}|{id}\r");
            stream.write_all(&encode_frame(ack.as_bytes())).await.expect("written");
        }
    }
}

fn message(id: &str, accept: &str) -> Bytes {
    format!("MSH|^~\\&|A|B|C|D|20260101||ADT^A01|{id}|P|2.4|||{accept}\rPID|1\r").into()
}

fn plan(to: String, messages: &[&str]) -> Plan {
    Plan {
        to,
        tls: None,
        manners: crate::misbehaviour::Manners::default(),
        messages: messages.iter().map(|id| message(id, "")).collect(),
        connections: 1,
        window: 1,
        rate: None,
        length: Length::Repeats(1),
        verbatim: false,
        patience: Duration::from_secs(10),
        retries: 2,
    }
}

async fn run(plan: Plan) -> (Statistics, Vec<String>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let watcher = Arc::new(move |answer: Answered<'_>| {
        let id = String::from_utf8_lossy(answer.control_id).into_owned();
        log.lock().expect("unpoisoned").push(id);
    });
    let statistics = traffic::run(plan, watcher).await.expect("connected");
    let seen = seen.lock().expect("unpoisoned").clone();
    (statistics, seen)
}

fn politely(ids: Vec<String>) -> Vec<(&'static str, String)> {
    ids.into_iter().map(|id| ("AA", id)).collect()
}

#[tokio::test]
async fn each_repetition_has_a_control_id_of_its_own() {
    let to = receiver(|_, ids| Some(politely(ids))).await;
    let plan = Plan { length: Length::Repeats(3), window: 4, ..plan(to, &["M1", "M2"]) };
    let (statistics, mut seen) = run(plan).await;
    assert_eq!(statistics.acknowledged, [("AA", 6)].into());
    assert!(statistics.all_well());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6);
    assert!(seen.contains(&"M1".to_owned()));
}

#[tokio::test]
async fn answers_in_another_order_go_to_their_own_messages() {
    let to = receiver(|_, ids| Some(politely(ids.into_iter().rev().collect()))).await;
    let (statistics, seen) = run(Plan { window: 3, ..plan(to, &["M1", "M2", "M3"]) }).await;
    assert_eq!(statistics.acknowledged, [("AA", 3)].into());
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn a_foreign_answer_is_credited_to_nobody_and_the_message_is_sent_again() {
    let to = receiver(|connection, ids| {
        Some(if connection == 0 { vec![("AA", "OTHER".to_owned())] } else { politely(ids) })
    })
    .await;
    let (statistics, seen) = run(plan(to, &["M1"])).await;
    assert_eq!(seen, ["M1"]);
    assert_eq!((statistics.sent, statistics.resent), (1, 1));
    assert!(statistics.all_well());
}

#[tokio::test]
async fn a_message_that_is_never_answered_is_given_up_and_counted() {
    let to = receiver(|_, ids| (!ids.contains(&"BAD".to_owned())).then(|| politely(ids)));
    let (statistics, seen) = run(plan(to.await, &["M1", "BAD", "M2"])).await;
    assert_eq!(seen, ["M1", "M2"]);
    assert_eq!((statistics.sent, statistics.unanswered, statistics.resent), (3, 1, 2));
    assert!(!statistics.all_well());
}

#[tokio::test]
async fn a_receiver_that_is_gone_for_good_ends_the_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let to = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move {
        // Accepts once; the connection and the port are closed at the end of this block.
        listener.accept().await.expect("a connection")
    });
    let plan = Plan { patience: Duration::from_millis(300), ..plan(to, &["M1", "M2"]) };
    let (statistics, _) = run(plan).await;
    assert!(statistics.lost.is_some());
    assert_eq!(statistics.acknowledged_in_all() + statistics.unanswered, statistics.sent);
}

#[tokio::test]
async fn a_commit_acknowledgement_may_be_followed_by_another() {
    let to = receiver(|_, ids| {
        let twice = |id: String| [("CA", id.clone()), ("AA", id)];
        Some(ids.into_iter().flat_map(twice).collect())
    })
    .await;
    let (statistics, _) = run(plan(to, &["M1", "M2"])).await;
    assert_eq!(statistics.acknowledged, [("CA", 2)].into());
    assert!(statistics.all_well() && statistics.resent == 0);
}

#[tokio::test]
async fn no_answer_is_awaited_where_none_was_asked_for() {
    let to = receiver(|_, _| Some(Vec::new())).await;
    let plan = Plan { messages: vec![message("M1", "NE")], ..plan(to, &[]) };
    let (statistics, _) = run(plan).await;
    assert_eq!((statistics.sent, statistics.unasked), (1, 1));
    assert!(statistics.all_well());
}
