//! A compiled script: runs one message at a time, on any thread, and cannot harm the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use record::fhir::provenance::{Maker, version};
use rhai::Position;

use crate::check::ENTRY;
use crate::compile::{Compiled, compile};
use crate::entry::Entry;
use crate::fault::{self, Fault, FaultClass};
use crate::limits::Limits;
use crate::natives::message::Handle;
use crate::outcome::{Decision, Input, Outcome};
use crate::problem::{ScriptPlace, ScriptProblem, place};
use crate::run::{Givens, Guard, Run, Trap, Used};
use crate::sources::{Setting, Sources};

/// One script with its libraries, tables, settings and limits. Share it behind an `Arc`.
pub struct Script {
    path: String,
    entry: Entry,
    givens: Arc<Givens>,
    settings_used: BTreeSet<String>,
    files: Vec<String>,
    /// The file that each closure stands in, by its made-up name.
    closures: BTreeMap<String, String>,
    warnings: Vec<ScriptProblem>,
    places: Vec<ScriptPlace>,
}

/// One call of `transform`, however it ended.
struct Attempt {
    ended: Result<(), Fault>,
    run: Run,
    used: Used,
}

impl Script {
    /// Compiles `path` (`pas_adt.rhai`) of the sources with a channel's settings. All problems of
    /// the script, its libraries and its tables are listed; warnings alone do not stand in the way
    /// and are kept in [`Script::warnings`].
    pub fn compile(
        sources: &Arc<Sources>,
        path: &str,
        settings: BTreeMap<String, Setting>,
        limits: Limits,
    ) -> Result<Self, Vec<ScriptProblem>> {
        let compiled = compile(sources, path, &settings, &limits)?;
        let maker = Maker { path: path.to_owned(), version: version(texts(sources, &compiled)) };
        Ok(Self {
            path: path.to_owned(),
            entry: Entry::new(compiled.engine, compiled.ast),
            givens: Arc::new(Givens { tables: compiled.tables, settings, limits, maker }),
            settings_used: compiled.settings_used,
            files: compiled.files,
            closures: compiled.closures,
            warnings: compiled.warnings,
            places: compiled.places,
        })
    }

    /// Its path below the transforms folder.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// All files it was compiled from: itself, then its libraries.
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// What somebody should look at.
    pub fn warnings(&self) -> &[ScriptProblem] {
        &self.warnings
    }

    /// The places of a message that stand in it and in its libraries as literals.
    pub fn places(&self) -> &[ScriptPlace] {
        &self.places
    }

    /// The tables it may look into.
    pub fn tables(&self) -> impl Iterator<Item = &str> {
        self.givens.tables.keys().map(String::as_str)
    }

    /// The names of settings that stand in it as literals.
    pub fn settings_used(&self) -> impl Iterator<Item = &str> {
        self.settings_used.iter().map(String::as_str)
    }

    /// Runs the script on a message. The same input always gives the same outcome, except that a
    /// slow machine may give [`FaultClass::Time`].
    pub fn run(&self, input: impl Into<Arc<Input>>) -> Result<Outcome, Fault> {
        let input = input.into();
        let attempt = self.attempt(&input, Trap::None);
        let fault = match attempt.ended.and_then(|()| self.decision(&attempt.run)) {
            Ok(decision) => {
                let run = attempt.run;
                return Ok(Outcome {
                    decision: decision.unwrap_or(Decision::Emit(run.emitted)),
                    quality: run.quality,
                    table_misses: run.table_misses,
                    printed: run.printed,
                    operations: attempt.used.operations,
                });
            }
            Err(fault) => fault,
        };
        let fault = if fault.class.is_placeless() {
            self.placed(fault, &input, attempt.used)
        } else {
            fault
        };
        Err(Fault { printed: attempt.run.printed, ..fault })
    }

    fn attempt(&self, input: &Arc<Input>, trap: Trap) -> Attempt {
        let message = Handle::new(input.message.clone());
        let begin = || Run::new(Arc::clone(&self.givens), Arc::clone(input), message.clone());
        // A run with a trap ends where the first one did; it must not be ended by the clock before.
        let time = self.givens.limits.time * if trap == Trap::None { 1 } else { 4 };
        let guard = Guard::begin(begin(), time, trap);
        let called = catch_unwind(AssertUnwindSafe(|| self.entry.call(message.clone())));
        let (run, used) = Guard::finish(guard);
        let ended = match called {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => fault::read(&error, &self.path, &self.closures),
            Err(_) => Err(self.fault(FaultClass::Panic, "a native function panicked")),
        };
        Attempt { ended, run: run.unwrap_or_else(begin), used }
    }

    /// A fault by a limit or a table with its place. Rhai forgets where such an error arose, so the
    /// script, being deterministic, is run once more and made to fail plainly at the same place: a
    /// table's at its call, a limit's at the last variable that was read.
    fn placed(&self, fault: Fault, input: &Arc<Input>, used: Used) -> Fault {
        let trap = match fault.class {
            FaultClass::Table => Trap::Stop,
            _ => Trap::Read(used.reads),
        };
        let trapped = self.attempt(input, trap).ended.err();
        let (file, line, column) = match trapped {
            Some(trap) if trap.line > 0 => (trap.file, trap.line, trap.column),
            _ => {
                let (line, column) = place(self.start());
                (self.path.clone(), line, column)
            }
        };
        Fault { file, line, column, ..fault }
    }

    /// `None` when the events are the decision.
    fn decision(&self, run: &Run) -> Result<Option<Decision>, Fault> {
        match &run.decision {
            Some(decision) => Ok(Some(decision.clone())),
            None if run.emitted.is_empty() => {
                Err(self
                    .fault(FaultClass::NoResult, "the script ended without emit, filter or park"))
            }
            None => Ok(None),
        }
    }

    fn fault(&self, class: FaultClass, detail: &str) -> Fault {
        Fault::new(class, &self.path, self.start(), detail)
    }

    /// Where `transform` begins.
    fn start(&self) -> Position {
        let mut functions = self.entry.ast.iter_fn_def();
        let entry = functions.find(|function| function.name == ENTRY);
        entry.map_or(Position::NONE, |function| function.body.start_position())
    }
}

/// The texts of a script, its libraries and its tables, by name.
fn texts<'s>(sources: &'s Sources, compiled: &'s Compiled) -> Vec<(&'s str, &'s str)> {
    let of = |texts: &'s BTreeMap<String, String>, name: &'s str| {
        texts.get(name).map(|text| (name, text.as_str()))
    };
    let scripts = compiled.files.iter().filter_map(|file| of(&sources.scripts, file));
    scripts.chain(compiled.tables.keys().filter_map(|table| of(&sources.tables, table))).collect()
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script({})", self.path)
    }
}

#[cfg(test)]
mod tests {
    use hl7::message::{Message, Reading};
    use record::identity::Identity;
    use record::source::Source;

    use super::*;

    fn input() -> Input {
        let bytes: &[u8] = b"MSH|^~\\&|PAS|RXX01|||20260301||ADT^A01|1|P|2.4\r";
        let message = Message::parse(bytes, &Reading::default()).expect("a message");
        let source = Source::new("pas-adt", "RXX");
        let identity = Identity::read(&message, &source).expect("no conflict");
        Input {
            message,
            source: Arc::new(source),
            identity: Arc::new(identity),
            previous: None,
            stated: None,
            now: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn script(text: &str) -> Script {
        let scripts = BTreeMap::from([("main.rhai".to_owned(), text.to_owned())]);
        let sources = Arc::new(Sources { scripts, tables: BTreeMap::new() });
        Script::compile(&sources, "main.rhai", BTreeMap::new(), Limits::default())
            .expect("a good script")
    }

    #[test]
    fn a_panic_in_a_native_function_costs_one_message() {
        let mut script = script("fn transform(msg) { filter(\"done\") }");
        let good = script.entry.ast.clone();
        script.entry.engine.register_fn("burst", || -> i64 { panic!("by intent") });
        script.entry.ast = script
            .entry
            .engine
            .compile("fn transform(msg) {\n quality(\"seen\"); burst() }")
            .expect("a script");
        let fault = script.run(input()).expect_err("a panic");
        assert_eq!((fault.code, fault.line), ("script.panic", 1));

        script.entry.ast = good;
        let outcome = script.run(input()).expect("the next message is well");
        assert!(outcome.quality.is_empty());
    }

    #[test]
    fn a_script_is_shared_between_threads() {
        fn shared<T: Send + Sync>(_: &T) {}
        let script = script("fn transform(msg) { filter(\"done\") }");
        shared(&script);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        assert!(script.run(input()).is_ok());
                    }
                });
            }
        });
    }
}
