//! The conservation test tries to break the delivery guarantee: an oracle keeps books of every
//! positive answer while engine, broker, disk and connections fail, and compares them afterwards
//! with what two subscribers got and with the engine's own ledger.
//!
//! `cargo xtask conservation` runs it longer and with many seeds. From the environment:
//! `TIELINE_CONSERVATION_SEED` (which faults come, in which order), `_SECONDS` (how long they come),
//! `_RATE` (messages a second of each of the six connections), `_KILL_BROKER` (1: SIGKILL of
//! RabbitMQ too), `_REPORT` (a file for the table).

mod consumer;
mod damage;
mod facts;
mod faults;
mod report;
mod sender;
mod verdict;
mod violated;
mod wire;
mod world;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::harness::engine::TestEngine;
use crate::harness::own_broker::OwnBroker;
use facts::{History, Row};
use faults::{Allowed, Stage};
use report::Report;
use sender::Run;
use wire::Wire;

/// How long the engine may take to mend a topology, and everything to come to rest.
const REST: Duration = Duration::from_secs(90);
/// Rows of one answer of the engine.
const MOST_ROWS: usize = 10_000;

fn asked<T: FromStr>(name: &str, otherwise: T) -> T {
    let value = std::env::var(format!("TIELINE_CONSERVATION_{name}"));
    value.ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn own_broker_no_fault_breaks_the_promise() {
    let seed = asked("SEED", 1);
    let length = Duration::from_secs(asked("SECONDS", 30));
    let allowed = Allowed {
        kill_broker: asked("KILL_BROKER", 0) == 1,
        faulty_disk: cfg!(feature = "faults"),
    };
    eprintln!("conservation: TIELINE_CONSERVATION_SEED={seed} for {length:?}");

    let broker = OwnBroker::start();
    let wire = Wire::to(broker.port());
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", wire.port());
    let engine = world::setup(&url).start();
    let run = Run::new();
    let runtime = Runtime::new().expect("a runtime");
    let whims = Arc::default();
    let consumers = {
        let _inside = runtime.enter();
        consumer::start(&run, &whims, &broker.url(), seed)
    };
    let mut stage = Stage::new(run.clone(), engine, broker, wire, runtime, seed, allowed);
    let senders = sender::start(&run, seed, asked("RATE", 40));
    stage.harm_for(length);
    eprintln!("    {:6.1} s  no more faults", run.now().as_secs_f64());

    // Traffic goes on until each harmed subscriber gets something new: only so is it known to be
    // mended.
    wait(&run, |history| history.harms.iter().all(|harm| verdict::mended(history, harm).is_some()));
    run.finish();
    let answered = wait_for(|| senders.iter().all(std::thread::JoinHandle::is_finished));
    settle(&run, &stage.engine);
    wait(&run, |history| verdict::missing(history).0.is_empty());
    run.end();
    for consumer in consumers {
        stage.runtime.block_on(consumer).expect("a consumer writes down everything it got");
    }
    for sender in senders {
        sender.join().expect("a sender is answered or gives up");
    }

    let mut history = run.history().clone();
    ask_engine(&stage.engine, &mut history);
    let verdict = verdict::judge(&history);
    let report = Report::new(seed, &stage, &history, &whims, &verdict);
    report.publish();
    if !verdict.violations.is_empty() {
        let folder = stage.engine.setup.keep();
        panic!(
            "seed {seed}: the promise was broken\n{}kept: {}",
            report.broken(),
            folder.display()
        );
    }
    assert!(answered, "every sender got its answers");
    assert_eq!(stage.engine.terminate(), Some(0), "a clean end");
}

/// Waits until the oracle has seen what it wants, or gives up: the verdict says what is missing.
fn wait(run: &Run, seen: impl Fn(&History) -> bool) {
    let deadline = Instant::now() + REST;
    while !seen(&run.history()) && Instant::now() < deadline {
        run.pause(Duration::from_millis(200));
    }
}

fn wait_for(condition: impl Fn() -> bool) -> bool {
    crate::harness::look(REST, || condition().then_some(())).is_some()
}

/// Until nothing is pending but what is held.
fn settle(run: &Run, engine: &TestEngine) {
    let deadline = Instant::now() + REST;
    let path = format!("/api/v1/messages?state=pending&limit={MOST_ROWS}");
    while !engine.get(&path).rows().iter().all(is_held) && Instant::now() < deadline {
        run.pause(Duration::from_millis(500));
    }
}

fn is_held(row: &Value) -> bool {
    row["state"] == "pending"
        && row["detail"].as_str().is_some_and(|detail| detail.contains("held"))
}

/// The engine's own books.
fn ask_engine(engine: &TestEngine, history: &mut History) {
    let status = engine.get("/api/v1/status").json();
    let sums = status["total"].as_object().expect("the sums of all channels");
    history.sums =
        sums.iter().filter_map(|(name, value)| Some((name.clone(), value.as_u64()?))).collect();
    for channel in world::CHANNELS {
        for state in verdict::STATES {
            let path =
                format!("/api/v1/messages?channel={channel}&state={state}&limit={MOST_ROWS}");
            let answer = engine.get(&path);
            if answer.status != 200 {
                continue;
            }
            let rows = answer.rows();
            if state == "published" && rows.len() == MOST_ROWS {
                history.published_unlisted = true;
                continue;
            }
            assert!(rows.len() < MOST_ROWS, "more {state} of {channel} than one answer has rows");
            history.rows.extend(rows.iter().map(|row| Row {
                control_id: row["control_id"].as_str().unwrap_or_default().to_owned(),
                state: row["state"].as_str().unwrap_or_default().to_owned(),
                held: is_held(row),
            }));
        }
    }
    if history.published_unlisted {
        history.rows.retain(|row| row.state != "published");
    }
}
