//! What the tests stand on, from Debian's packages, when it is missing. RabbitMQ's own service is
//! never started.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::broker::PROGRAM;

/// Must agree with install.sh.
const POLICY_ALLOWS_START: i32 = 3;

/// Something of Debian that the tests need.
#[derive(Debug)]
pub(crate) struct Part {
    name: &'static str,
    packages: &'static [&'static str],
    is_there: fn() -> bool,
    /// What may be done instead, the end of a sentence.
    instead: &'static str,
}

pub(crate) const RABBITMQ: Part = Part {
    name: "RabbitMQ",
    packages: &["rabbitmq-server"],
    is_there: || Path::new(PROGRAM).try_exists().unwrap_or(false),
    instead: "or name a broker in TIELINE_TEST_AMQP_URL",
};

/// Clients and validators of others, which the stories fetch from their registries.
pub(crate) const PYTHON: Part = Part {
    name: "Python 3 with pip",
    packages: &["python3", "python3-venv", "python3-pip"],
    is_there: || runs("python3", &["-m", "pip", "--version"]),
    instead: "or the stories with its clients skip, saying so",
};

/// The same for JavaScript.
pub(crate) const NODE: Part = Part {
    name: "Node with npm",
    packages: &["nodejs", "npm"],
    is_there: || runs("node", &["--version"]) && runs("npm", &["--version"]),
    instead: "or the stories with its clients and validators skip, saying so",
};

#[derive(Debug)]
pub(crate) enum Installed {
    Already,
    Now,
    /// What the user has to do, in words.
    CannotBecause(String),
}

/// Makes sure that it is on this machine, saying so when it changes the machine.
pub(crate) fn ensure(part: &Part) -> anyhow::Result<Installed> {
    if (part.is_there)() {
        return Ok(Installed::Already);
    }
    let name = part.name;
    let command =
        format!("apt-get install --yes --no-install-recommends {}", part.packages.join(" "));
    let status = std::fs::read_to_string("/proc/self/status").context("cannot tell who I am")?;
    let root = effective_user(&status) == Some(0);
    let sudo = if root { "" } else { "sudo " };
    let by_hand = |why: &str| {
        Ok(Installed::CannotBecause(format!(
            "the tests need {name}, and {why}; install it with\n\n    {sudo}{command}\n\n{}",
            part.instead
        )))
    };
    if !Path::new("/usr/bin/apt-get").try_exists()? {
        return by_hand("this machine has no apt-get");
    }
    if !root {
        return by_hand("only root can install it");
    }
    eprintln!("==> {name} is missing: {command}");
    let script = concat!("exec 2>&1\n", include_str!("install.sh"));
    let mut install = Command::new("sh");
    install.args(["-c", script, "install.sh"]).args(part.packages);
    let ended = install.output().context("cannot start sh")?;
    if ended.status.code() == Some(POLICY_ALLOWS_START) {
        return by_hand("/usr/sbin/policy-rc.d of this machine would let it start at once");
    }
    if !ended.status.success() || !(part.is_there)() {
        eprint!("{}", String::from_utf8_lossy(&ended.stdout));
        return by_hand("apt-get failed");
    }
    if part.packages == RABBITMQ.packages
        && let Some(process) = system_broker()?
    {
        return by_hand(&format!("the system's own broker now runs as process {process}, stop it"));
    }
    Ok(Installed::Now)
}

fn runs(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    let quiet = command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// The second number of the line `Uid:` (real, effective, saved, file system).
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// A process that is the broker of Debian's service, found by its node name.
fn system_broker() -> anyhow::Result<Option<String>> {
    for process in std::fs::read_dir("/proc")? {
        // A process may end while we look at it; then it is not the broker either.
        let Ok(process) = process else { continue };
        let Ok(words) = std::fs::read(process.path().join("cmdline")) else { continue };
        if is_system_broker(&words) {
            return Ok(Some(process.file_name().to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Whether a command line, as /proc has it, is the Erlang machine of a node named `rabbit`.
fn is_system_broker(command_line: &[u8]) -> bool {
    let mut words = command_line.split(|&byte| byte == 0);
    let erlang = words.next().is_some_and(|program| program.ends_with(b"beam.smp"));
    erlang && words.any(|word| word.starts_with(b"rabbit@"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_known_by_the_effective_user() {
        assert_eq!(
            effective_user("Name:\txtask\nUid:\t1000\t0\t0\t0\nGid:\t5\t5\t5\t5\n"),
            Some(0)
        );
        assert_eq!(effective_user("Uid:\t0\t1000\t0\t0\n"), Some(1000));
        assert_eq!(effective_user("Name:\txtask\n"), None);
    }

    #[test]
    fn only_the_services_own_node_is_the_systems_broker() {
        let service = b"/usr/lib/erlang/erts/bin/beam.smp\0-W\0w\0-sname\0rabbit@here\0";
        let ours = b"/usr/lib/erlang/erts/bin/beam.smp\0-sname\0tieline-7-1@localhost\0";
        let editor = b"/usr/bin/vi\0rabbit@here\0";
        assert!(is_system_broker(service));
        assert!(!is_system_broker(ours));
        assert!(!is_system_broker(editor));
    }
}
