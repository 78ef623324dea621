//! A running `tieline listen`, and what it told of each message.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Ended with the story.
#[derive(Debug)]
pub(crate) struct TestListener {
    process: Child,
    pub(crate) address: String,
    folder: TempDir,
}

impl TestListener {
    pub(crate) fn start(words: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let told = File::create(folder.path().join("told")).expect("a file in it");
        let mut process = Command::new(env!("CARGO_BIN_EXE_tieline"))
            .args(["listen", "--listen", "127.0.0.1:0", "--format", "ndjson"])
            .args(words)
            .stdout(told)
            .stderr(Stdio::piped())
            .spawn()
            .expect("tieline can be started");
        let mut said = BufReader::new(process.stderr.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("tieline listen: {line}")).to_owned();
        // What it says later has to go somewhere.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(drop));
        Self { process, address, folder }
    }

    /// What it told up to now.
    pub(crate) fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("told")).expect("its output");
        text.lines().map(|line| serde_json::from_str(line).expect("a document a line")).collect()
    }
}

impl Drop for TestListener {
    fn drop(&mut self) {
        // It has no other end.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
