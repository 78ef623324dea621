//! Programs of others, fetched from their registries at pinned versions and with known hashes, kept
//! below target/ between runs.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::repository;

/// The longest a client may take, in seconds.
const PATIENCE: &str = "180";

/// Whose packages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Toolset {
    Python,
    Node,
}

impl Toolset {
    fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    /// What pins the versions, hashes and all.
    fn pins(self) -> &'static [&'static str] {
        match self {
            Self::Python => &["requirements.txt"],
            Self::Node => &["package.json", "package-lock.json"],
        }
    }

    /// Fetches what the pins in `folder` name into it.
    fn fetch(self, folder: &Path) -> std::io::Result<Output> {
        match self {
            Self::Python => Command::new("python3")
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(["--no-deps", "--require-hashes", "--target", "."])
                .args(["--requirement", "requirements.txt"])
                .current_dir(folder)
                .output(),
            Self::Node => Command::new("npm")
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
                .current_dir(folder)
                .output(),
        }
    }
}

/// The folder of the packages. Nothing, with a line that says so, where they cannot be fetched,
/// which in CI is a failure.
pub(crate) fn installed(toolset: Toolset) -> Option<PathBuf> {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign");
    fs::create_dir_all(&kept).expect("target/ can be written");
    // Stories run at the same time; one of them fetches.
    let lock = File::create(kept.join(format!("{}.lock", toolset.name()))).expect("a lock");
    lock.lock().expect("the lock can be held");
    let folder = kept.join(toolset.name());
    let complete = folder.join("complete");
    let pins: Vec<(&str, String)> = toolset.pins().iter().map(|pin| (*pin, pinned(pin))).collect();
    let wanted: String = pins.iter().map(|(_, text)| text.as_str()).collect();
    if fs::read_to_string(&complete).is_ok_and(|found| found == wanted) {
        return Some(folder);
    }
    // Half a folder, or one of other versions; or none.
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder).expect("target/ can be written");
    for (pin, text) in pins {
        fs::write(folder.join(pin), text).expect("target/ can be written");
    }
    let why = match toolset.fetch(&folder) {
        Ok(fetched) if fetched.status.success() => {
            fs::write(complete, wanted).expect("target/ can be written");
            return Some(folder);
        }
        Ok(fetched) => String::from_utf8_lossy(&fetched.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    let name = toolset.name();
    assert!(
        std::env::var_os("CI").is_none(),
        "the clients of {name} cannot be fetched (Python 3 with pip, Node 20 with npm): {why}"
    );
    eprintln!("skipped: the clients of {name} cannot be fetched: {why}");
    None
}

fn pinned(name: &str) -> String {
    fs::read_to_string(repository("tests/foreign").join(name)).expect("a file of this repository")
}

/// Runs a script of tests/foreign with those packages; gives back what it printed.
pub(crate) fn run(toolset: Toolset, packages: &Path, script: &str, words: &[String]) -> String {
    let script = repository("tests/foreign").join(script);
    let mut command = Command::new("timeout");
    command.arg(PATIENCE);
    match toolset {
        Toolset::Python => command.arg("python3").env("PYTHONPATH", packages),
        Toolset::Node => command.arg("node").env("NODE_PATH", packages.join("node_modules")),
    };
    // A fresh checkout stays clean.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = command.arg(script).args(words).output().expect("timeout of coreutils");
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{:?}: {errors}", ran.status);
    String::from_utf8_lossy(&ran.stdout).into_owned()
}
