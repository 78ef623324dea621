//! The fuzz targets over their committed corpus, and over a moment of mutation.

#[path = "../fuzz/mutate.rs"]
mod mutate;
#[path = "../fuzz/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let entries = fs::read_dir(folder).expect("every target has a corpus");
    let files = entries.map(|entry| entry.expect("an entry").path());
    files.map(|file| (file.display().to_string(), fs::read(&file).expect("readable"))).collect()
}

#[test]
fn everything_that_ever_failed_holds() {
    for (name, target) in targets::TARGETS {
        let inputs = corpus(name);
        assert!(!inputs.is_empty(), "{name} has a corpus");
        for (file, input) in inputs {
            println!("{file}");
            target(&input);
        }
    }
}

#[test]
fn a_moment_of_mutation_breaks_nothing() {
    for (name, target) in targets::TARGETS {
        let pool: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, input)| input).collect();
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let (one, other) = (rng.usize(..pool.len()), rng.usize(..pool.len()));
            let input = mutate::mutate(&mut rng, &pool[one], &pool[other]);
            println!("{name} {}", input.escape_ascii());
            target(&input);
        }
    }
}
