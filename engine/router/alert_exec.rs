//! A program that is told of an alarm: no shell, no standing input, a clean environment, an end.

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::alert_notice::Notice;

/// How long a program may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// What a program sees of the engine's own environment. The rest may hold secrets that are none of
/// its business.
const KEPT: [&str; 9] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "CREDENTIALS_DIRECTORY",
    "SSL_CERT_FILE",
];

/// Runs a program to its end, or for as long as it may take; says why it did not go well.
pub(crate) async fn run(
    program: &Path,
    arguments: &[String],
    notice: &Notice,
    limit: Duration,
) -> Result<(), String> {
    let kept = KEPT.iter().filter_map(|name| Some((*name, std::env::var_os(name)?)));
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept.collect::<Vec<(&str, OsString)>>())
        .env("TIELINE_ALERT_KIND", notice.kind)
        .env("TIELINE_ALERT_CHANNEL", notice.channel.as_deref().unwrap_or_default())
        .env("TIELINE_ALERT_STATE", notice.state.name())
        .env("TIELINE_ALERT_SINCE", &notice.since)
        .env("TIELINE_ALERT_TEXT", &notice.text)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that what it started ends with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("the program cannot be started: {error}"))?;
    match timeout(limit, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("the program failed: {status}")),
        Ok(Err(error)) => Err(format!("the program cannot be waited for: {error}")),
        Err(_) => {
            end(&mut child).await;
            Err(format!("the program took longer than {} s and was stopped", limit.as_secs()))
        }
    }
}

/// Stops a program and everything it started.
async fn end(child: &mut Child) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have ended by itself in between.
        kill_process_group(group, Signal::KILL).ok();
    }
    child.kill().await.ok();
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::alert_notice::tests::notice;
    use crate::alert_plan::OnAlertPlan;

    /// A text for the shell, and the file that it is given.
    pub(crate) fn script(folder: &Path, text: &str) -> (OnAlertPlan, PathBuf) {
        let (script, out) = (folder.join("tell"), folder.join("out"));
        fs::write(&script, text).expect("write");
        let arguments = [&script, &out].map(|path| path.display().to_string()).to_vec();
        (OnAlertPlan::Exec { program: "/bin/sh".into(), arguments }, out)
    }

    pub(crate) fn lines_of(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).expect("read");
        text.lines().map(str::to_owned).collect()
    }

    async fn ran(plan: &OnAlertPlan, limit: Duration) -> Result<(), String> {
        let OnAlertPlan::Exec { program, arguments } = plan else { panic!("no program") };
        run(program, arguments, &notice("$(id) `id` \"; rm -rf x"), limit).await
    }

    #[tokio::test]
    async fn a_program_sees_the_alarm_as_it_stands_and_little_else() {
        let folder = tempfile::tempdir().expect("folder");
        let (plan, out) =
            script(folder.path(), "env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= | sort > \"$1\"");
        ran(&plan, LIMIT).await.expect("runs");
        let found = lines_of(&out);
        let own: Vec<_> = found.iter().filter(|line| line.starts_with("TIELINE_")).collect();
        let wanted = [
            "TIELINE_ALERT_CHANNEL=pas",
            "TIELINE_ALERT_KIND=held",
            "TIELINE_ALERT_SINCE=2026-02-02T10:00:00Z",
            "TIELINE_ALERT_STATE=open",
            "TIELINE_ALERT_TEXT=$(id) `id` \"; rm -rf x",
        ];
        assert_eq!(own, wanted);
        let known = |line: &&String| KEPT.iter().any(|name| line.starts_with(&format!("{name}=")));
        assert_eq!(found.iter().filter(known).count() + wanted.len(), found.len(), "{found:?}");
    }

    #[tokio::test]
    async fn a_program_that_fails_or_is_not_there_says_why() {
        let folder = tempfile::tempdir().expect("folder");
        let (plan, _) = script(folder.path(), "exit 3");
        let why = ran(&plan, LIMIT).await.expect_err("fails");
        assert!(why.contains("exit status: 3"), "{why}");
        let plan = OnAlertPlan::Exec { program: "/no/such/program".into(), arguments: Vec::new() };
        let why = ran(&plan, LIMIT).await.expect_err("is not there");
        assert!(why.contains("cannot be started"), "{why}");
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_stopped_with_all_it_started() {
        let folder = tempfile::tempdir().expect("folder");
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("runs").success());
        let open = fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("open");
        let (plan, _) = script(folder.path(), "sleep 600 > \"${1%out}fifo\" & wait");
        let reader = fs::File::open(&fifo).expect("open");
        let why = ran(&plan, Duration::from_secs(1)).await.expect_err("is stopped");
        assert!(why.contains("took longer than 1 s"), "{why}");
        // The end of the fifo comes only when nobody holds it open any more, the sleep included.
        drop(open);
        let rest = tokio::task::spawn_blocking(move || std::io::read_to_string(reader));
        let rest = timeout(LIMIT, rest).await.expect("ends").expect("runs").expect("reads");
        assert!(rest.is_empty());
    }
}
