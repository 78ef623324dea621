//! The engine that is measured: a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long the backlog of a measurement may take.
const DRAINED_BY: Duration = Duration::from_mins(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// The engine under measurement.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) listener: String,
    pub(crate) console: String,
    pub(crate) data: PathBuf,
    pub(crate) took: Duration,
}

impl Running {
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let program = std::env::current_exe().context("this program cannot find itself")?;
        let data = folder.join("data");
        let mut command = Command::new(program);
        command.arg("run").arg("--format").arg("ndjson");
        command.arg("--config").arg(folder.join("channels.yaml")).arg("--data").arg(&data);
        command.args(["--set", "engine.console.listen=127.0.0.1:0"]);
        for channel in ["pas-adt", "pathology-oru", "community-adt", "social-care"] {
            let listen = format!("channels.{channel}.listener.mllp.listen=127.0.0.1:0");
            command.arg("--set").arg(listen);
        }
        let began = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("the engine cannot be started")?;
        let stdout = child.stdout.take().context("the engine has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("the engine says nothing")?;
        let took = began.elapsed();
        let ready: Value =
            serde_json::from_str(&line).context("the engine did not become ready")?;
        let text =
            |pointer: &str| ready.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let (Some(console), Some(listener)) =
            (text("/ready/console"), text("/ready/listeners/pas-adt"))
        else {
            bail!("the engine's ready line names no addresses");
        };
        Ok(Self { child, listener, console, data, took })
    }

    /// Resident memory in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.context("the system does not tell resident memory")? / 1024.0)
    }

    /// Waits until nothing is pending; gives back how many messages were published in all.
    pub(crate) async fn drain(&self) -> Result<u64> {
        let token = std::fs::read_to_string(self.data.join(console::token::FILE))?;
        let deadline = Instant::now() + DRAINED_BY;
        loop {
            // Rarely, because asking takes from the processors that are measured.
            tokio::time::sleep(BETWEEN_LOOKS).await;
            if Instant::now() > deadline {
                bail!("messages are still pending after {DRAINED_BY:?}");
            }
            let status: Value = ureq::get(format!("http://{}/api/v1/status", self.console))
                .header("Authorization", format!("Bearer {}", token.trim()))
                .call()?
                .body_mut()
                .read_to_string()
                .map_err(anyhow::Error::from)
                .and_then(|text| serde_json::from_str(&text).map_err(anyhow::Error::from))?;
            let sum =
                |name: &str| status.pointer(&format!("/total/{name}")).and_then(Value::as_u64);
            if sum("pending") == Some(0) && sum("parked").is_some() {
                return sum("published").context("the status names no published messages");
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal).context("the engine cannot be signalled")
    }

    /// Waits for its own end.
    pub(crate) fn ended(&mut self) -> Result<()> {
        self.child.wait().context("the engine cannot be awaited")?;
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn stop(&mut self) {
        // Nothing of this engine is needed any more.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}
