//! The message that this thread is working on: what native functions read and write.
//!
//! Rhai calls native functions without a place for our state, so it stands in a thread-local for
//! the length of one run. A run begins and ends on one thread and never contains another.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hl7::location::Location;
use hl7::message::Message;
use record::fhir::built::{Built, Unmappable};
use record::fhir::provenance::Maker;
use rhai::{Array, Dynamic, EvalAltResult, Map};

use crate::fault::{Detail, Stop};
use crate::json;
use crate::limits::{self, Limits};
use crate::natives::message::Handle;
use crate::outcome::{Decision, Emitted, Input, Statement};
use crate::sources::Setting;
use crate::table::Table;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// Operations between two looks at the clock.
const LOOK_EVERY: u64 = 64;

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
    /// Variables read so far.
    static READS: Cell<u64> = const { Cell::new(0) };
    /// The read at which the script is to fail, so that Rhai tells where that is.
    static TRAP: Cell<u64> = const { Cell::new(0) };
}

/// What a script brings along, the same for all its runs.
#[derive(Debug, Default)]
pub(crate) struct Givens {
    pub(crate) tables: BTreeMap<String, Table>,
    pub(crate) settings: BTreeMap<String, Setting>,
    pub(crate) limits: Limits,
    /// The script itself, as a Provenance names it.
    pub(crate) maker: Maker,
}

/// One run: what it may read, and what it has said so far.
pub(crate) struct Run {
    pub(crate) givens: Arc<Givens>,
    pub(crate) input: Arc<Input>,
    pub(crate) message: Handle,
    pub(crate) emitted: Vec<Emitted>,
    pub(crate) decision: Option<Decision>,
    pub(crate) quality: BTreeMap<String, u64>,
    pub(crate) table_misses: BTreeMap<String, u64>,
    pub(crate) printed: Vec<String>,
    /// Bytes of event data so far.
    pub(crate) output: usize,
    room_to_print: usize,
    trap: Trap,
    /// The Patient of the message as it stood after that many edits.
    patient: Option<(u64, Built)>,
    patient_was_built: bool,
    /// `identifier` of the Patient of the message. No edit changes it: identifiers are read-only.
    identifiers: OnceCell<Option<record::json::Value>>,
    identity: OnceCell<Dynamic>,
    previous: OnceCell<Dynamic>,
    stated: OnceCell<Dynamic>,
    time: OnceCell<Dynamic>,
    day: OnceCell<String>,
}

/// Ends the run when dropped, whatever happened in it.
pub(crate) struct Guard(());

impl Guard {
    /// Makes `run` the run of this thread for at most `time`.
    pub(crate) fn begin(run: Run, time: Duration, trap: Trap) -> Self {
        RUN.set(Some(Run { trap, ..run }));
        OPERATIONS.set(0);
        READS.set(0);
        TRAP.set(if let Trap::Read(read) = trap { read } else { 0 });
        DEADLINE.set(Instant::now().checked_add(time));
        Self(())
    }

    /// The run with all it said, and what it used.
    pub(crate) fn finish(guard: Self) -> (Option<Run>, Used) {
        let run = RUN.take();
        drop(guard);
        (run, Used { operations: OPERATIONS.get(), reads: READS.get() })
    }
}

/// Where a run is to fail with an error whose place Rhai keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trap {
    /// Nowhere: this run counts.
    None,
    /// At that read of a variable, counted from 1.
    Read(u64),
    /// Where a native function ends the script.
    Stop,
}

/// What a run used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) operations: u64,
    /// Variables read.
    pub(crate) reads: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        DEADLINE.set(None);
        drop(RUN.take());
    }
}

/// Gives a native function the run; an error when a library calls it while it is loaded.
pub(crate) fn with<T>(work: impl FnOnce(&mut Run) -> Fallible<T>) -> Fallible<T> {
    RUN.with_borrow_mut(|run| match run {
        Some(run) => work(run),
        None => Err("there is no message yet".into()),
    })
}

/// Called by Rhai at every operation; ends the script when its time is up.
pub(crate) fn progress(operations: u64) -> Option<Dynamic> {
    OPERATIONS.set(operations);
    if !operations.is_multiple_of(LOOK_EVERY) {
        return None;
    }
    let deadline = DEADLINE.get()?;
    (Instant::now() >= deadline).then(|| Dynamic::from(Stop::Time))
}

/// Keeps what a script prints, within bounds.
pub(crate) fn print(text: &str) {
    RUN.with_borrow_mut(|run| {
        let Some(run) = run else { return };
        let end = text.floor_char_boundary(run.room_to_print.min(text.len()));
        if end > 0 || text.is_empty() && run.room_to_print > 0 {
            run.printed.push(text[..end].to_owned());
        }
        run.room_to_print = run.room_to_print.saturating_sub(end + 1);
    });
}

/// Called by Rhai at every read of a variable: gives the value of a name that every function sees.
/// `local` is whether the script defined the name itself.
pub(crate) fn variable(name: &str, local: bool) -> Fallible<Option<Dynamic>> {
    let reads = READS.get() + 1;
    READS.set(reads);
    if reads == TRAP.get() {
        return Err("trap".into());
    }
    Ok(if local { None } else { constant(name) })
}

fn constant(name: &str) -> Option<Dynamic> {
    RUN.with_borrow(|run| {
        let run = run.as_ref()?;
        match name {
            "identity" => Some(run.identity.get_or_init(|| run.identity_map()).clone()),
            "previous" => {
                Some(run.previous.get_or_init(|| map_of(run.input.previous.as_deref())).clone())
            }
            "stated" => {
                Some(run.stated.get_or_init(|| map_of(run.input.stated.as_deref())).clone())
            }
            "message_time" => Some(run.time.get_or_init(|| run.message_time()).clone()),
            _ => None,
        }
    })
}

impl Run {
    pub(crate) fn new(givens: Arc<Givens>, input: Arc<Input>, message: Handle) -> Self {
        Self {
            givens,
            input,
            message,
            emitted: Vec::new(),
            decision: None,
            quality: BTreeMap::new(),
            table_misses: BTreeMap::new(),
            printed: Vec::new(),
            output: 0,
            room_to_print: limits::PRINTED,
            trap: Trap::None,
            patient: None,
            patient_was_built: false,
            identifiers: OnceCell::new(),
            identity: OnceCell::new(),
            previous: OnceCell::new(),
            stated: OnceCell::new(),
            time: OnceCell::new(),
            day: OnceCell::new(),
        }
    }

    /// Ends the script.
    pub(crate) fn stop<T>(&self, stop: Stop) -> Fallible<T> {
        if self.trap == Trap::Stop { Err("trap".into()) } else { stop.raise() }
    }

    /// Records the decision and ends the script.
    pub(crate) fn decide<T>(&mut self, decision: Decision) -> Fallible<T> {
        self.decision = Some(decision);
        Stop::Decided.raise()
    }

    /// What the builders of the record crate gave, counted; what they refuse parks.
    pub(crate) fn built<T: Findings>(&mut self, built: Result<T, Unmappable>) -> Fallible<T> {
        match built {
            Ok(built) => {
                built.findings().for_each(|code| self.count(code));
                Ok(built)
            }
            Err(refused) => self.decide(Decision::Park {
                code: refused.code.to_owned(),
                detail: refused.at.map(|at| Detail(at.to_string())),
            }),
        }
    }

    /// The Patient of the message as it now stands, built once for each state of the message.
    pub(crate) fn patient(&mut self) -> Fallible<Built> {
        let (message, edits) = self.message.now();
        if let Some((then, patient)) = &self.patient
            && *then == edits
        {
            return Ok(patient.clone());
        }
        let built =
            record::fhir::patient::patient(&message, &self.input.source, &self.input.identity);
        let patient = self.built(built)?;
        // Most messages make one event: only a second one is worth keeping a copy for.
        if std::mem::replace(&mut self.patient_was_built, true) {
            self.patient = Some((edits, patient.clone()));
        }
        Ok(patient)
    }

    /// The same for a script, which will emit it with its own changes.
    pub(crate) fn patient_to_edit(&mut self) -> Fallible<Built> {
        let patient = self.patient()?;
        self.identifiers.get_or_init(|| patient.resource.get("identifier").cloned());
        Ok(patient)
    }

    /// Whether a Patient has the identifiers of the patient the message is about.
    pub(crate) fn is_about_its_patient(&self, built: &Built) -> bool {
        let ours = self.identifiers.get_or_init(|| {
            let Input { message, source, identity, .. } = &*self.input;
            let patient = record::fhir::patient::patient(message, source, identity).ok()?;
            patient.resource.get("identifier").cloned()
        });
        built.resource.get("identifier") == ours.as_ref()
    }

    /// Counts a data-quality finding.
    pub(crate) fn count(&mut self, code: &str) {
        *self.quality.entry(code.to_owned()).or_default() += 1;
    }

    /// The day of the message as `YYYY-MM-DD`: EVN-2, else MSH-7, else the day of receipt.
    pub(crate) fn day(&self) -> &str {
        self.day.get_or_init(|| {
            let stated = self.stated_time().and_then(|text| {
                let digits = text.get(..8).filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
                Some(format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]))
            });
            stated.unwrap_or_else(|| {
                self.input.now.to_zoned(self.input.source.zone.clone()).date().to_string()
            })
        })
    }

    fn message_time(&self) -> Dynamic {
        self.stated_time()
            .and_then(|text| record::time::Moment::read(&text, &self.input.source.zone).ok())
            .map_or(Dynamic::UNIT, |moment| moment.fhir().into())
    }

    fn stated_time(&self) -> Option<String> {
        ["EVN-2", "MSH-7"].iter().find_map(|at| text_at(&self.input.message, at))
    }

    fn identity_map(&self) -> Dynamic {
        let identity = &self.input.identity;
        let text = |text: &str| -> Dynamic { text.into() };
        let local = |id: &record::local::LocalId| -> Dynamic {
            Map::from([
                ("authority".into(), text(&id.authority)),
                ("kind".into(), text(&id.kind)),
                ("value".into(), text(&id.value)),
            ])
            .into()
        };
        let number = identity.nhs_number.as_ref();
        Map::from([
            ("nhs_number".into(), number.map_or(Dynamic::UNIT, |number| text(number.as_str()))),
            ("status".into(), identity.status.map_or(Dynamic::UNIT, |s| text(s.code()))),
            ("local".into(), identity.local.iter().map(local).collect::<Array>().into()),
            ("local_id".into(), identity.best_local.as_ref().map_or(Dynamic::UNIT, local)),
        ])
        .into()
    }
}

/// What builders noticed about the data.
pub(crate) trait Findings {
    fn findings(&self) -> impl Iterator<Item = &str>;
}

impl Findings for Built {
    fn findings(&self) -> impl Iterator<Item = &str> {
        self.quality.iter().copied()
    }
}

impl Findings for Vec<Built> {
    fn findings(&self) -> impl Iterator<Item = &str> {
        self.iter().flat_map(Findings::findings)
    }
}

/// What is not stated is not in the map: `"death" in stated`. Shared, since each reading of the
/// variable would copy the map.
fn map_of(statement: Option<&Statement>) -> Dynamic {
    statement.map_or(Dynamic::UNIT, |held| json::statement(held).into_shared())
}

fn text_at(message: &Message, at: &str) -> Option<String> {
    let at: Location = at.parse().ok()?;
    let text = message.text(&at).into_option()?.into_owned();
    (!text.is_empty()).then_some(text)
}
