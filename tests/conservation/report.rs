//! What was injected and survived: a table for people, and the same as numbers to be added up.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::mem::discriminant;
use std::sync::atomic::Ordering;

use super::consumer::Whims;
use super::facts::{History, Kind};
use super::faults::Stage;
use super::verdict::{STATES, Verdict};
use super::violation::Violation;

/// Violations of one kind that are shown; more of them say the same.
const SHOWN: usize = 8;

pub(crate) struct Report {
    seed: u64,
    /// Words and number, in the order of the table.
    lines: Vec<(String, u64)>,
    violations: Vec<Violation>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        stage: &Stage,
        history: &History,
        whims: &Whims,
        verdict: &Verdict,
    ) -> Self {
        let run = &stage.run;
        let count = |number: usize| number as u64;
        let deliveries: usize = history.arrivals.iter().map(Vec::len).sum();
        let events: BTreeSet<_> =
            history.arrivals.iter().flatten().map(|arrival| &arrival.event).collect();
        let total = |of: fn(&super::facts::Parcel) -> u32| -> u64 {
            history.parcels.iter().map(|parcel| u64::from(of(parcel))).sum()
        };
        let of_kind =
            |kind| count(history.parcels.iter().filter(|parcel| parcel.kind == kind).count());
        let sum = |name: &str| history.sums.get(name).copied().unwrap_or_default();
        let mut lines = vec![
            ("seconds".to_owned(), run.now().as_secs()),
            ("messages".to_owned(), count(history.parcels.len())),
            ("positive answers".to_owned(), total(|parcel| parcel.accepted)),
            ("refused".to_owned(), total(|parcel| parcel.refused)),
            ("sent again without an answer".to_owned(), run.resent.load(Ordering::Relaxed)),
            ("cut between frame and answer".to_owned(), run.cut.load(Ordering::Relaxed)),
            ("events".to_owned(), count(events.len())),
            ("deliveries".to_owned(), count(deliveries)),
            ("merges of two records".to_owned(), of_kind(Kind::Merge)),
            (
                "protections begun or ended".to_owned(),
                of_kind(Kind::Raised) + of_kind(Kind::Lowered),
            ),
            ("decisions of an operator".to_owned(), stage.decisions),
            ("given back by a consumer".to_owned(), whims.given_back.load(Ordering::Relaxed)),
            ("consumer hung up".to_owned(), whims.hung_up.load(Ordering::Relaxed)),
            ("lost with a queue or a binding, excused".to_owned(), count(verdict.excused)),
        ];
        for state in STATES {
            lines.push((format!("messages {state}"), sum(state)));
        }
        lines.push(("starts of the engine".to_owned(), u64::from(stage.restarts)));
        lines.push(("power losses".to_owned(), u64::from(stage.power_losses)));
        for (fault, times) in &stage.tally {
            lines.push((fault.words().to_owned(), u64::from(*times)));
        }
        let silence = u64::try_from(run.longest_silence().as_millis()).unwrap_or(u64::MAX);
        lines.push(("longest time without an answer, ms".to_owned(), silence));
        Self { seed, lines, violations: verdict.violations.clone() }
    }

    /// Fails when anything was broken, and says what.
    pub(crate) fn expect_kept(&self) {
        let broken = self.broken();
        if !broken.is_empty() {
            self.publish();
        }
        assert!(broken.is_empty(), "seed {}: the promise was broken\n{broken}", self.seed);
    }

    /// Prints the table; also as lines of words, tab and number where the environment says so.
    pub(crate) fn publish(&self) {
        let mut table = format!("| seed {} | |\n|---|---:|\n", self.seed);
        for (words, number) in &self.lines {
            writeln!(table, "| {words} | {number} |").expect("a string takes everything");
        }
        eprintln!("{table}violations: {}", self.violations.len());
        if let Ok(path) = std::env::var("TIELINE_CONSERVATION_REPORT") {
            let numbers: Vec<String> =
                self.lines.iter().map(|(words, number)| format!("{words}\t{number}\n")).collect();
            fs::write(path, numbers.concat()).expect("the report can be written");
        }
    }

    /// How many violations of each kind, and the first of them.
    fn broken(&self) -> String {
        let mut kinds: Vec<Vec<&Violation>> = Vec::new();
        for violation in &self.violations {
            let same =
                |kind: &&mut Vec<&Violation>| discriminant(kind[0]) == discriminant(violation);
            match kinds.iter_mut().find(same) {
                Some(kind) => kind.push(violation),
                None => kinds.push(vec![violation]),
            }
        }
        let mut text = String::new();
        for kind in kinds {
            for violation in kind.iter().take(SHOWN) {
                writeln!(text, "{violation}").expect("a string takes everything");
            }
            if kind.len() > SHOWN {
                writeln!(text, "... {} of these", kind.len()).expect("a string takes everything");
            }
        }
        text
    }
}
