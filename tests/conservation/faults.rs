//! The fault injector: what it can do, how often it does it, and how it undoes it. Which fault comes
//! next depends on the seed alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::damage::{Damage, damage};
use super::facts::{Harm, History};
use super::sender::Run;
use super::verdict;
use super::wire::Wire;
use super::world::{CHANNELS, change_script};
use crate::harness::engine::TestEngine;
use crate::harness::own_broker::OwnBroker;
use crate::harness::{SOON, look, until};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    KillEngine,
    StopEngine,
    FreezeEngine,
    StopBroker,
    KillBroker,
    FreezeBroker,
    CutWire,
    LoseConfirms,
    Unbind,
    DeleteQueue,
    UnbindAll,
    DeleteExchange,
    ChangeScript,
    SlowDisk,
    FullDisk,
    FailSync,
}

impl Fault {
    /// Each with its weight and its words in the table.
    const ALL: [(Self, u32, &str); 16] = [
        (Self::KillEngine, 16, "SIGKILL of the engine"),
        (Self::StopEngine, 6, "SIGTERM of the engine"),
        (Self::FreezeEngine, 6, "SIGSTOP of the engine for 1 to 2 s"),
        (Self::StopBroker, 3, "RabbitMQ stopped in good order and started again"),
        (Self::KillBroker, 2, "SIGKILL of RabbitMQ"),
        (Self::FreezeBroker, 6, "SIGSTOP of RabbitMQ for 1 to 3 s"),
        (Self::CutWire, 8, "connection to RabbitMQ cut"),
        (Self::LoseConfirms, 8, "confirms of RabbitMQ lost, then the connection cut"),
        (Self::Unbind, 5, "one subscriber's queue unbound"),
        (Self::DeleteQueue, 5, "one subscriber's queue deleted"),
        (Self::UnbindAll, 6, "all bindings removed, the exchange left"),
        (Self::DeleteExchange, 6, "exchange deleted"),
        (Self::ChangeScript, 6, "script changed, then SIGHUP or a restart"),
        (Self::SlowDisk, 5, "disk slow: 20 to 200 ms a sync"),
        (Self::FullDisk, 5, "disk full for 3 to 6 s"),
        (Self::FailSync, 5, "sync failed, then the power cut"),
    ];

    pub(crate) fn words(self) -> &'static str {
        Self::ALL.iter().find(|(fault, ..)| *fault == self).map_or("", |(_, _, words)| words)
    }

    fn needs_disk(self) -> bool {
        matches!(self, Self::SlowDisk | Self::FullDisk | Self::FailSync)
    }
}

/// What a run is allowed to do besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowed {
    /// RabbitMQ 3.10 may lose a quorum queue's only replica when its node is killed within minutes
    /// of the queue's birth: no engine can help that, so only long runs do it, after a while.
    pub(crate) kill_broker: bool,
    /// The engine was built with the disk that fails on purpose.
    pub(crate) faulty_disk: bool,
}

/// How old quorum queues must be before their node is killed.
const WARM: Duration = Duration::from_mins(5);
/// How long a broker may take to route what a frozen engine had sent.
const DRAIN: Duration = Duration::from_millis(200);
/// How long an engine may take to notice that an exchange has nothing bound, and to bind it.
const DECLARED: Duration = Duration::from_secs(1);
/// How often a harm is tried that must be done.
const ATTEMPTS: u32 = 20;
/// How long a subscriber may take to have what the other one has.
const CATCH_UP: Duration = Duration::from_secs(5);

/// How long an engine has to notice that its disk has failed, and to end.
const GIVES_UP: Duration = Duration::from_secs(2);

/// The engine and its broker, and what was done to them.
pub(crate) struct Stage {
    pub(crate) run: Arc<Run>,
    pub(crate) engine: TestEngine,
    pub(crate) broker: OwnBroker,
    pub(crate) wire: Wire,
    pub(crate) runtime: Runtime,
    pub(crate) tally: BTreeMap<Fault, u32>,
    pub(crate) restarts: u32,
    pub(crate) power_losses: u32,
    /// Of an operator.
    pub(crate) decisions: u64,
    random: fastrand::Rng,
    allowed: Allowed,
    revision: u32,
    /// The engine now runs on the disk that fails on purpose.
    on_faulty_disk: bool,
    /// Since when both queues are there.
    queues_since: Duration,
}

impl Stage {
    pub(crate) fn new(
        run: Arc<Run>,
        engine: TestEngine,
        broker: OwnBroker,
        wire: Wire,
        runtime: Runtime,
        seed: u64,
        allowed: Allowed,
    ) -> Self {
        let mut stage = Self {
            run,
            engine,
            broker,
            wire,
            runtime,
            tally: BTreeMap::new(),
            restarts: 0,
            power_losses: 0,
            decisions: 0,
            random: fastrand::Rng::with_seed(seed),
            allowed,
            revision: 1,
            on_faulty_disk: false,
            queues_since: Duration::ZERO,
        };
        stage.open_doors();
        stage
    }

    /// One fault after the other until the time is over.
    pub(crate) fn harm_for(&mut self, length: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            let pause = self.random.u64(200..1500);
            self.run.pause(Duration::from_millis(pause));
            let fault = self.choose();
            eprintln!("    {:6.1} s  {}", self.run.now().as_secs_f64(), fault.words());
            if self.inject(fault) {
                *self.tally.entry(fault).or_default() += 1;
            }
        }
    }

    /// The last two: nothing that comes after them makes the engine connect and declare anew, so it
    /// has to notice by itself that its events reach nobody, and then that they do not reach all.
    pub(crate) fn harm_last(&mut self) {
        // No queue is deleted: over that, RabbitMQ may end the connections that publish to it.
        for fault in [Fault::UnbindAll, Fault::Unbind] {
            eprintln!("    {:6.1} s  at last: {}", self.run.now().as_secs_f64(), fault.words());
            let before = self.run.history().harms.len();
            let done = (0..ATTEMPTS).any(|_| {
                let done = self.inject(fault);
                self.a_while(1000..2000);
                // One that had no answer may have been done all the same, and must be mended too.
                done || self.run.history().harms.len() > before
            });
            assert!(done, "the injector did not come to: {}", fault.words());
            *self.tally.entry(fault).or_default() += 1;
        }
    }

    fn choose(&mut self) -> Fault {
        let allowed = self.allowed;
        let possible = Fault::ALL.into_iter().filter(|(fault, ..)| match fault {
            Fault::KillBroker => allowed.kill_broker,
            other => allowed.faulty_disk || !other.needs_disk(),
        });
        let possible: Vec<_> = possible.collect();
        let total = possible.iter().map(|(_, weight, _)| weight).sum();
        let mut drawn = self.random.u32(0..total);
        for (fault, weight, _) in possible {
            match drawn.checked_sub(weight) {
                Some(left) => drawn = left,
                None => return fault,
            }
        }
        Fault::KillEngine
    }

    /// Does it and undoes it; false when circumstances did not allow it.
    fn inject(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::KillEngine => {
                self.kill_engine();
                self.start_engine();
            }
            Fault::StopEngine => self.restart_engine(),
            Fault::FreezeEngine => {
                self.engine.signal("STOP");
                self.a_while(1000..2000);
                self.engine.signal("CONT");
            }
            Fault::StopBroker => {
                self.broker.stop();
                self.a_while(0..2000);
                self.broker.start_again();
            }
            Fault::KillBroker => {
                if self.run.now().saturating_sub(self.queues_since) < WARM {
                    return false;
                }
                self.broker.kill();
                self.a_while(0..2000);
                self.broker.start_again();
            }
            Fault::FreezeBroker => {
                self.broker.signal("STOP");
                self.a_while(1000..3000);
                self.broker.signal("CONT");
            }
            Fault::CutWire => self.wire.cut(),
            Fault::LoseConfirms => {
                self.wire.deafen();
                self.a_while(100..1000);
                self.wire.cut();
                self.wire.hear();
            }
            Fault::Unbind | Fault::DeleteQueue => return self.harm_one(fault),
            Fault::UnbindAll => return self.damage_all(Damage::UnbindAll),
            Fault::DeleteExchange => return self.damage_all(Damage::DeleteExchange),
            Fault::ChangeScript => {
                self.change_script(false);
                if self.random.bool() {
                    self.engine.signal("HUP");
                } else {
                    self.restart_engine();
                }
            }
            Fault::SlowDisk | Fault::FullDisk | Fault::FailSync => self.harm_disk(fault),
        }
        true
    }

    fn harm_one(&mut self, fault: Fault) -> bool {
        let subscriber = self.random.usize(0..2);
        let open = |history: &History| {
            history.harms.iter().any(|harm| verdict::mended(history, harm).is_none())
        };
        if open(&self.run.history()) {
            return false;
        }
        // Whatever the other subscriber has by now, this one gets before it is harmed.
        let from = self.run.now();
        let deadline = Instant::now() + CATCH_UP;
        while verdict::lags(&self.run.history(), subscriber, from) {
            if Instant::now() > deadline {
                return false;
            }
            self.run.pause(Duration::from_millis(20));
        }
        let what = if fault == Fault::Unbind {
            Damage::Unbind(subscriber)
        } else {
            self.queues_since = from;
            Damage::DeleteQueue(subscriber)
        };
        let done = self.damage(what);
        // Without an answer nobody knows whether it was done.
        let harm = Harm { subscriber, from, done: self.run.now() };
        self.run.history().harms.push(harm);
        done
    }

    /// While the engine stands still and nothing of its is under way. An event that found half of
    /// the bindings would be lost to one subscriber, whoever publishes; and one that found no
    /// exchange is an error, over which the engine would declare everything again before anything
    /// was confirmed and returned.
    ///
    /// Nor may it fall into a declaring of the topology: of that, one half would stand and mandatory
    /// prove nothing. An engine that is connected has declared all; afterwards it has time to do so.
    fn damage_all(&self, what: Damage) -> bool {
        let connected = || self.engine.get("/api/v1/status").json()["broker"]["connected"] == true;
        if look(CATCH_UP, || connected().then_some(())).is_none() {
            return false;
        }
        self.engine.signal("STOP");
        self.run.pause(DRAIN);
        let done = self.damage(what);
        self.engine.signal("CONT");
        self.run.pause(DECLARED);
        done
    }

    fn damage(&self, what: Damage) -> bool {
        let url = self.broker.url();
        let doing = async { tokio::time::timeout(SOON, damage(&url, what)).await };
        self.runtime.block_on(doing).is_ok_and(|done| done.is_ok())
    }

    fn harm_disk(&mut self, fault: Fault) {
        if !self.on_faulty_disk {
            self.kill_engine();
            self.start_engine_on(true);
        }
        match fault {
            Fault::SlowDisk => {
                let delay = self.random.u64(20..200);
                self.tell_disk(&format!("delay_ms={delay}\n"));
                self.a_while(1000..3000);
            }
            Fault::FullDisk => {
                self.tell_disk("full=true\n");
                self.a_while(3000..6000);
            }
            _ => self.fail_sync(),
        }
        self.tell_disk("");
    }

    /// The engine ends, unless it was a sync of something that can be made again: a spare, a packed
    /// copy of an old volume, a checkpoint. Either way the power is cut: nothing may rest on it.
    fn fail_sync(&mut self) {
        let note = self.engine.setup.path("disk.faults.failed");
        fs::remove_file(&note).ok();
        let syncs = self.random.u32(1..6);
        self.tell_disk(&format!("fail_sync={syncs}\n"));
        // An engine without traffic syncs nothing.
        let failed =
            look(GIVES_UP, || fs::read_to_string(&note).ok().filter(|name| !name.is_empty()));
        if failed.is_some_and(|name| name.ends_with(".volume")) {
            let ended = until("the end of an engine whose disk has failed", SOON, || {
                self.engine.has_ended()
            });
            assert!(!ended.success(), "a failed disk is no clean end");
        } else {
            self.engine.kill();
        }
        self.power_losses += 1;
        self.start_engine();
    }

    fn control_file(&self) -> PathBuf {
        self.engine.setup.path("disk.faults")
    }

    fn tell_disk(&self, text: &str) {
        // In one step, so that nobody reads half of it.
        let (new, file) = (self.engine.setup.path("disk.faults.new"), self.control_file());
        fs::write(&new, text).expect("the temporary folder can be written");
        fs::rename(new, file).expect("the temporary folder can be written");
    }

    pub(crate) fn change_script(&mut self, mended: bool) {
        self.revision += 1;
        change_script(&self.engine.setup.path(""), self.revision, mended);
    }

    pub(crate) fn kill_engine(&mut self) {
        self.run.listeners_are(None);
        self.power_losses += u32::from(self.on_faulty_disk);
        self.engine.kill();
    }

    pub(crate) fn restart_engine(&mut self) {
        self.run.listeners_are(None);
        assert_eq!(self.engine.terminate(), Some(0), "a clean stop");
        self.start_engine();
    }

    /// Each start draws the disk anew: what the one had synced, the other finds.
    pub(crate) fn start_engine(&mut self) {
        let faulty = self.random.u32(0..4) > 0;
        self.start_engine_on(faulty);
    }

    fn start_engine_on(&mut self, faulty_disk: bool) {
        self.on_faulty_disk = self.allowed.faulty_disk && faulty_disk;
        self.tell_disk("");
        let control = self.on_faulty_disk.then(|| self.control_file().display().to_string());
        self.engine.setup.set_variable("TIELINE_FAULTS", control.as_deref());
        self.engine.start_again();
        self.restarts += 1;
        self.open_doors();
    }

    fn open_doors(&mut self) {
        let listeners = CHANNELS.map(|channel| self.engine.listener(channel));
        self.run.listeners_are(Some(listeners));
    }

    fn a_while(&mut self, milliseconds: std::ops::Range<u64>) {
        let length = Duration::from_millis(self.random.u64(milliseconds));
        self.run.pause(length);
    }
}

/// Whatever broke it, a person will want to look at the folder.
impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.engine.setup.keep().display());
        }
    }
}
