//! What an engine is started with: a folder of its own with configuration, transforms and data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::engine::TestEngine;
use super::{Ran, repository, run};

/// A line of the sample configuration; a listener that it names moves to a free port.
fn on_a_free_port(line: &str) -> String {
    const LISTENS: &str = "mllp: { listen: 127.0.0.1:";
    match line.split_once(LISTENS) {
        Some((before, after)) => {
            let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}{LISTENS}0{rest}")
        }
        None => line.to_owned(),
    }
}

/// Lives as long as the story: the same folder serves every start of the engine.
#[derive(Debug)]
pub(crate) struct Setup {
    folder: TempDir,
    sets: Vec<String>,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// The sample world, on free ports.
    pub(crate) fn sample() -> Self {
        let setup = Self::empty();
        let text = fs::read_to_string(repository("channels.yaml")).expect("a sample configuration");
        let text: Vec<String> = text.lines().map(on_a_free_port).collect();
        setup.write("channels.yaml", &(text.join("\n") + "\n"));
        setup
    }

    /// The sample transforms under a configuration of the story's own; its listeners should ask for
    /// port 0.
    pub(crate) fn with(channels_yaml: &str) -> Self {
        let setup = Self::empty();
        setup.write("channels.yaml", channels_yaml);
        setup
    }

    fn empty() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        copy(&repository("transforms"), &folder.path().join("transforms"));
        let setup = Self { folder, sets: Vec::new(), flags: Vec::new(), variables: Vec::new() };
        setup.set("engine.console.listen=127.0.0.1:0")
    }

    /// Adds `--set key=value`.
    pub(crate) fn set(mut self, assignment: &str) -> Self {
        self.sets.push(assignment.to_owned());
        self
    }

    /// For the next start: the same key with another value.
    pub(crate) fn replace_set(&mut self, assignment: &str) {
        let key = assignment.split_inclusive('=').next().unwrap_or_default();
        self.sets.retain(|set| !set.starts_with(key));
        self.sets.push(assignment.to_owned());
    }

    /// Adds a flag of `run`, e.g. `--or-last-good`.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// Gives the engine an environment variable, e.g. the one that holds a broker's address.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same between two starts; `None` takes it away.
    pub(crate) fn set_variable(&mut self, name: &str, value: Option<&str>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }

    /// The folder stays when the story is over, for a person to look at.
    pub(crate) fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Writes a file beside channels.yaml, or channels.yaml itself.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the temporary folder can be written");
    }

    /// A path in the story's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The engine, ready.
    pub(crate) fn start(self) -> TestEngine {
        TestEngine::start(self)
    }

    /// For a start that must fail: runs until the engine gives up.
    pub(crate) fn start_refused(&self) -> Ran {
        run(&mut self.command())
    }

    pub(super) fn command(&self) -> Command {
        // Another program than the one just built, e.g. one that was made to break a promise.
        let other = std::env::var_os("TIELINE_TEST_PROGRAM");
        let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_tieline").into());
        let mut command = Command::new(program);
        command.args(["run", "--format", "json", "--config"]).arg(self.path("channels.yaml"));
        command.arg("--data").arg(self.data());
        command.args(self.sets.iter().flat_map(|assignment| ["--set", assignment]));
        command.args(&self.flags).envs(self.variables.iter().cloned());
        command
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the temporary folder can be written");
    for entry in fs::read_dir(from).expect("a folder of this repository") {
        let entry = entry.expect("an entry of that folder");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("the temporary folder can be written");
        }
    }
}
