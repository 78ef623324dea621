//! The conservation test tries to break the delivery guarantee: an oracle keeps books of every
//! positive answer while engine, broker, disk and connections fail, and compares them afterwards
//! with what three subscribers got and with the engine's own ledger.
//!
//! `cargo xtask conservation` runs it longer and with many seeds. From the environment:
//! `TIELINE_CONSERVATION_SEED` (which faults come, in which order), `_SECONDS` (how long they come),
//! `_RATE` (messages a second of each of the six connections), `_KILL_BROKER` (1: SIGKILL of
//! RabbitMQ too), `_REPORT` (a file for the table).

mod accounts;
mod consumer;
mod damage;
mod facts;
mod faults;
mod report;
mod sender;
mod verdict;
mod violated;
mod violation;
mod wire;
mod world;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::harness::own_broker::OwnBroker;
use consumer::Whims;
use facts::History;
use faults::{Allowed, Stage};
use report::Report;
use sender::Run;
use wire::Wire;

/// How long the engine may take to mend a topology, and everything to come to rest.
const REST: Duration = Duration::from_secs(90);

/// Between two looks at the books.
const LOOK: Duration = Duration::from_millis(200);

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
    stage.harm_last();
    eprintln!("    {:6.1} s  no more faults", run.now().as_secs_f64());

    // Traffic goes on until each harmed subscriber gets something new: only so is it known to be
    // mended.
    let mended = |history: &mut History| {
        history.harms.iter().all(|harm| verdict::mended(history, harm).is_some())
    };
    wait(&run, Instant::now() + REST, mended);
    run.finish();
    let answered = wait_for(|| senders.iter().all(std::thread::JoinHandle::is_finished));
    let (history, before) = judge_at_rest(&stage, seed, &whims);
    before.expect_kept();
    accounts::decide(&mut stage, &history);
    run.history().decided = true;
    let (_, report) = judge_at_rest(&stage, seed, &whims);
    report.publish();
    report.expect_kept();
    run.end();
    for consumer in consumers {
        let ended = async { tokio::time::timeout(REST, consumer).await };
        let ended = stage.runtime.block_on(ended).expect("a consumer ends with the run");
        ended.expect("a consumer writes down everything it got");
    }
    for sender in senders {
        sender.join().expect("a sender is answered or gives up");
    }

    assert!(answered, "every sender got its answers");
    assert_eq!(stage.engine.terminate(), Some(0), "a clean end");
}

/// When everything has come to rest: what is held waits, all else has reached the subscribers. Or
/// when that takes too long, which the verdict then shows.
fn judge_at_rest(stage: &Stage, seed: u64, whims: &Whims) -> (History, Report) {
    let (run, deadline) = (&stage.run, Instant::now() + REST);
    wait(run, deadline, |_| accounts::is_settled(&stage.engine));
    // The list of messages comes from the archive, which may be a moment behind.
    wait(run, deadline, |history| {
        accounts::ask(&stage.engine, history);
        history.rows.iter().all(|row| row.state != "pending" || row.held)
    });
    // As long as it comes, it is awaited: a busy broker takes its time over what has piled up.
    let (mut arrived, mut deadline) = (0, deadline);
    while Instant::now() < deadline && !verdict::missing(&run.history()).0.is_empty() {
        run.pause(LOOK);
        let now = run.history().arrivals.iter().map(Vec::len).sum();
        if now > std::mem::replace(&mut arrived, now) {
            deadline = Instant::now() + REST;
        }
    }
    accounts::reconcile(&stage.engine, &mut run.history());
    let history = run.history().clone();
    let verdict = verdict::judge(&history);
    eprintln!("    {:6.1} s  at rest", run.now().as_secs_f64());
    let report = Report::new(seed, stage, &history, whims, &verdict);
    (history, report)
}

/// Waits until the oracle has seen what it wants, or gives up: the verdict says what is missing.
fn wait(run: &Run, deadline: Instant, seen: impl Fn(&mut History) -> bool) {
    while !seen(&mut run.history()) && Instant::now() < deadline {
        run.pause(LOOK);
    }
}

fn wait_for(condition: impl Fn() -> bool) -> bool {
    crate::harness::look(REST, || condition().then_some(())).is_some()
}
