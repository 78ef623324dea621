//! Half frames, floods, giants and sleepers: bounded memory, and the others do not notice.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::sender::{Reply, TestSender};
use crate::harness::setup::Setup;
use crate::harness::{SOON, until};
use crate::straight_through::{admission, settled};

#[test]
fn half_a_frame_is_nothing_and_says_nothing() {
    let engine = Setup::sample().start();
    let mut half = engine.connect("pas-adt");
    half.send_bytes(b"\x0bMSH|^~\\&|PAS|RXX01").unwrap();
    half.finish_sending();
    assert_eq!(half.reply(SOON), Reply::Closed);
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000001").text()).code, "AA");
    assert_eq!(settled(&engine)["total"]["received"], 1);
}

#[test]
fn a_giant_frame_is_refused_in_bounded_memory_and_the_connection_stays() {
    let engine = Setup::sample().start();
    let before = engine.memory();
    let mut giant = engine.connect("pas-adt");
    giant.send_bytes(b"\x0bMSH|^~\\&|PAS|RXX01|R|R|20260115||ADT^A01|GIANT|P|2.4\rOBX|").unwrap();
    let block = vec![b'A'; 1 << 20];
    for _ in 0..1024 {
        giant.send_bytes(&block).unwrap();
    }
    giant.send_bytes(b"\r\x1c\r").unwrap();
    let ack = giant.ack();
    assert_eq!((ack.code.as_str(), ack.control_id.as_str()), ("AR", "GIANT"));
    assert_eq!(giant.ask(admission("AFTER", "1000001").text()).code, "AA");
    let grown = engine.memory().saturating_sub(before);
    // The largest frame that is taken, while its buffer doubles, and what the allocator keeps.
    assert!(grown < 140 * 1024, "grew by {grown} KiB for a frame of 1 GiB");
    let kept = engine.get("/api/v1/refused").json();
    assert_eq!(kept[0]["reason"], "oversize");
    assert!(kept[0]["size"].as_u64().unwrap() > 1 << 30);
}

#[test]
fn a_client_that_never_reads_stops_only_itself() {
    let engine = Setup::sample().set("channels.pas-adt.listener.mllp.write_timeout=1s").start();
    let mut deaf = engine.connect("pas-adt");
    let text = admission("DEAF", "1000001").text();
    let frame = format!("\x0b{text}\x1c\r").repeat(64);
    // Until the engine has had enough of it: full buffers on both sides, then the write timeout.
    until("end of the deaf connection", SOON, || deaf.send_bytes(frame.as_bytes()).err());
    assert_eq!(engine.connect("pas-adt").ask(admission("C1", "1000002").text()).code, "AA");
}

#[test]
fn two_thousand_idle_connections_cost_little_and_block_nobody() {
    let engine = Setup::sample().set("channels.pas-adt.listener.mllp.connections=2100").start();
    // This process holds the other ends.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let before = engine.memory();
    let idle: Vec<TestSender> = (0..2000).map(|_| engine.connect("pas-adt")).collect();
    let ack = engine.connect("pas-adt").ask(admission("C1", "1000001").text());
    assert_eq!(ack.code, "AA");
    let grown = engine.memory().saturating_sub(before);
    assert!(grown < 60 * 1024, "2,000 idle connections cost {grown} KiB");
    drop(idle);
}

#[test]
fn a_connection_above_the_maximum_is_closed_and_the_others_stay() {
    let engine = Setup::sample().set("channels.pas-adt.listener.mllp.connections=2").start();
    let mut first = engine.connect("pas-adt");
    assert_eq!(first.ask(admission("C1", "1000001").text()).code, "AA");
    let mut second = engine.connect("pas-adt");
    assert_eq!(second.ask(admission("C2", "1000001").text()).code, "AA");
    assert_eq!(engine.connect("pas-adt").reply(SOON), Reply::Closed);
    assert_eq!(first.ask(admission("C3", "1000001").text()).code, "AA");
}

#[test]
fn a_silent_connection_is_closed_after_its_idle_time() {
    let engine = Setup::sample().set("channels.pas-adt.listener.mllp.idle=1s").start();
    assert_eq!(engine.connect("pas-adt").reply(Duration::from_secs(20)), Reply::Closed);
}

#[test]
fn however_the_bytes_are_cut_the_frames_are_the_same() {
    let engine = Setup::sample().start();
    let mut sender = engine.connect("pas-adt");
    let text = admission("CUT", "1000001").text();
    let stream = format!("junk\x0b{text}\x1c\r\r\n\x0b{text}\x1c\r").replacen("CUT", "ONE", 1);
    for byte in stream.as_bytes() {
        sender.send_bytes(std::slice::from_ref(byte)).unwrap();
    }
    assert_eq!(sender.ack().control_id, "ONE");
    assert_eq!(sender.ack().control_id, "CUT");
    assert_eq!(settled(&engine)["total"]["received"], 2);
}
