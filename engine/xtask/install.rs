//! RabbitMQ from Debian's packages, when it is missing; its own service is never started.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::broker::PROGRAM;

const COMMAND: &str = "apt-get install --yes --no-install-recommends rabbitmq-server";

/// Must agree with install.sh.
const POLICY_ALLOWS_START: i32 = 3;

#[derive(Debug)]
pub(crate) enum Installed {
    Already,
    Now,
    /// What the user has to do, in words.
    CannotBecause(String),
}

/// Makes sure that RabbitMQ is on this machine, saying so when it changes the machine.
pub(crate) fn ensure() -> anyhow::Result<Installed> {
    if is_there()? {
        return Ok(Installed::Already);
    }
    let status = std::fs::read_to_string("/proc/self/status").context("cannot tell who I am")?;
    let root = effective_user(&status) == Some(0);
    let sudo = if root { "" } else { "sudo " };
    let by_hand = |why: &str| {
        Ok(Installed::CannotBecause(format!(
            "the tests need RabbitMQ, and {why}; install it with\n\n    {sudo}{COMMAND}\n\n\
             or name a broker in TIELINE_TEST_AMQP_URL"
        )))
    };
    if !Path::new("/usr/bin/apt-get").try_exists()? {
        return by_hand("this machine has no apt-get");
    }
    if !root {
        return by_hand("only root can install it");
    }
    eprintln!("==> RabbitMQ is missing: {COMMAND} (its own service is not started)");
    let script = concat!("exec 2>&1\n", include_str!("install.sh"));
    let ended = Command::new("sh").args(["-c", script]).output().context("cannot start sh")?;
    if ended.status.code() == Some(POLICY_ALLOWS_START) {
        return by_hand("/usr/sbin/policy-rc.d of this machine would let it start at once");
    }
    if !ended.status.success() || !is_there()? {
        eprint!("{}", String::from_utf8_lossy(&ended.stdout));
        return by_hand("apt-get failed");
    }
    if let Some(process) = system_broker()? {
        return by_hand(&format!("the system's own broker now runs as process {process}, stop it"));
    }
    Ok(Installed::Now)
}

fn is_there() -> anyhow::Result<bool> {
    Path::new(PROGRAM).try_exists().with_context(|| format!("cannot look at {PROGRAM}"))
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
