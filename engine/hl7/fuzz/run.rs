//! Fuzzing on stable Rust: `cargo xtask fuzz [TARGET...] [--seconds N]`.
//!
//! Inputs of the corpus are mutated; one that gives a shape not seen before is mutated further. Who
//! has nightly Rust can run the same targets with coverage: `cargo fuzz run --fuzz-dir engine/hl7/fuzz
//! TARGET`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a fuzzer talks to its user")]

mod mutate;
mod targets;

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fastrand::Rng;
use targets::{TARGETS, Target};

/// Most inputs that are kept to be mutated.
const POOL: usize = 8192;

fn main() -> ExitCode {
    let mut seconds = 60;
    let mut seed = fastrand::u64(..);
    let mut wanted: Vec<String> = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match (argument.as_str(), TARGETS.iter().any(|(name, _)| *name == argument)) {
            ("--seconds", _) => match number() {
                Some(given) => seconds = given,
                None => return misused("--seconds takes a number"),
            },
            ("--seed", _) => match number() {
                Some(given) => seed = given,
                None => return misused("--seed takes a number"),
            },
            (_, true) => wanted.push(argument),
            _ => return misused(&format!("there is no target {argument}")),
        }
    }
    let chosen = |target: &&Target| wanted.is_empty() || wanted.iter().any(|name| name == target.0);
    for target in TARGETS.iter().filter(chosen) {
        if let Err(report) = run(*target, Duration::from_secs(seconds), seed) {
            eprintln!("{report}");
            return ExitCode::from(1);
        }
    }
    ExitCode::SUCCESS
}

fn misused(why: &str) -> ExitCode {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    eprintln!("{why}\nusage: cargo xtask fuzz [TARGET...] [--seconds N] [--seed N]");
    eprintln!("targets: {}", names.join(", "));
    ExitCode::from(2)
}

/// Until the time is over or an input fails.
fn run((name, target): Target, time: Duration, seed: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let mut pool = corpus(name)?;
    let mut shapes: HashSet<u64> = pool.iter().map(|input| target(input)).collect();
    let (begun, known) = (Instant::now(), pool.len());
    let mut executions: u64 = 0;
    while begun.elapsed() < time {
        for _ in 0..256 {
            let (one, other) = (rng.usize(..pool.len()), rng.usize(..pool.len()));
            let input = mutate::mutate(&mut rng, &pool[one], &pool[other]);
            executions += 1;
            let Ok(shape) = catch_unwind(AssertUnwindSafe(|| target(&input))) else {
                return Err(failed(name, &input, seed));
            };
            if shapes.insert(shape) && pool.len() < POOL {
                pool.push(input);
            }
        }
    }
    let rate = u128::from(executions) * 1000 / begun.elapsed().as_millis().max(1);
    println!(
        "{name:<16} {executions:>12} executions in {} s, {rate:>9}/s, {known} inputs, {} shapes, seed {seed}",
        time.as_secs(),
        shapes.len()
    );
    Ok(())
}

fn corpus(name: &str) -> Result<Vec<Vec<u8>>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let read = |file: &std::path::PathBuf| fs::read(file).map_err(|why| why.to_string());
    files.iter().map(read).collect()
}

/// Keeps the input where a person finds it, to be added to the corpus with its mend.
fn failed(name: &str, input: &[u8], seed: u64) -> String {
    let file = std::env::temp_dir().join(format!("tieline-fuzz-{name}-{seed}"));
    let kept =
        fs::write(&file, input).map_or_else(|why| why.to_string(), |()| file.display().to_string());
    format!("{name}: failed with seed {seed}; its input: {kept}\n{}", input.escape_ascii())
}
