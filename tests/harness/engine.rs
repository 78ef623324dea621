//! A running `tieline run`: started, asked, ended in good order or by SIGKILL, started again.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;
use ureq::http::Response;

use super::sender::TestSender;
use super::setup::Setup;
use super::{SOON, broker, until};

/// Ended with the story; what it wrote is shown if the story failed.
#[derive(Debug)]
pub(crate) struct TestEngine {
    pub(crate) setup: Setup,
    process: Option<Child>,
    /// What the line `{"ready": ...}` said: where the console and the listeners are.
    ready: Value,
}

/// What the HTTP API answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

fn agent() -> ureq::Agent {
    let agent = ureq::Agent::config_builder().http_status_as_error(false);
    agent.timeout_global(Some(SOON)).build().into()
}

impl Answer {
    fn read(answer: Result<Response<ureq::Body>, ureq::Error>, path: &str) -> Self {
        let mut response = answer.unwrap_or_else(|error| panic!("{path}: {error}"));
        let body = response.body_mut().read_to_string().expect("a text");
        Self { status: response.status().as_u16(), body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// One JSON document per line.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let lines = self.body.lines().filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_str(line).expect("a line is a JSON document")).collect()
    }
}

impl TestEngine {
    pub(crate) fn start(setup: Setup) -> Self {
        let mut engine = Self { setup, process: None, ready: Value::Null };
        engine.start_again();
        engine
    }

    /// Starts on the data of before; the ports are new ones.
    pub(crate) fn start_again(&mut self) {
        assert!(self.process.is_none(), "the engine already runs");
        let log = self.log();
        let mut command = self.setup.command();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(log.try_clone().expect("a second handle of the log"));
        let mut process = command.spawn().expect("tieline can be started");
        let readies = watch(BufReader::new(process.stdout.take().expect("piped")), log);
        self.process = Some(process);
        self.ready = until("engine that is ready", SOON, || {
            let ended = self.process.as_mut().expect("started").try_wait().expect("our child");
            assert!(ended.is_none(), "the engine ended at start: {ended:?}");
            readies.try_recv().ok()
        });
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the engine runs");
        process.kill().expect("our child can be killed");
        process.wait().expect("our child can be awaited");
    }

    /// SIGTERM, then its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        self.tell_to_terminate();
        self.ended(SOON)
    }

    /// SIGTERM; what follows is the story's.
    pub(crate) fn tell_to_terminate(&self) {
        broker::signal("TERM", &self.pid().to_string()).expect("our child can be signalled");
    }

    /// SIGHUP: read the configuration again.
    pub(crate) fn hang_up(&self) {
        broker::signal("HUP", &self.pid().to_string()).expect("our child can be signalled");
    }

    /// Waits until the log has said something `times` times; gives back the last such line.
    pub(crate) fn said(&self, what: &str, times: usize) -> String {
        until(what, SOON, || {
            let written = self.written();
            let lines: Vec<&str> = written.lines().filter(|line| line.contains(what)).collect();
            (lines.len() >= times).then(|| lines.last().copied().unwrap_or_default().to_owned())
        })
    }

    /// The exit code of an engine that ends by itself.
    pub(crate) fn ended(&mut self, within: Duration) -> Option<i32> {
        let mut process = self.process.take().expect("the engine runs");
        let status = broker::until(within, || process.try_wait().expect("our child"));
        let Some(status) = status else {
            self.process = Some(process);
            panic!("the engine did not end within {within:?}");
        };
        status.code()
    }

    /// How an engine that has ended by itself ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        let status = self.process.as_mut()?.try_wait().expect("our child")?;
        self.process = None;
        Some(status)
    }

    pub(crate) fn signal(&self, name: &str) {
        broker::signal(name, &self.pid().to_string()).expect("our child can be signalled");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("the engine runs").id()
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).expect("a number of kB")
    }

    /// `address:port` of a channel's listener.
    pub(crate) fn listener(&self, channel: &str) -> String {
        let address = self.ready["listeners"][channel].as_str();
        address.unwrap_or_else(|| panic!("no {channel} in {}", self.ready)).to_owned()
    }

    pub(crate) fn connect(&self, channel: &str) -> TestSender {
        TestSender::connect(&self.listener(channel))
    }

    /// `http://address:port` of the console.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.ready["console"].as_str().expect("the console's address"))
    }

    /// Asks the HTTP API, with the token of this engine's data folder.
    pub(crate) fn get(&self, path: &str) -> Answer {
        let request = agent().get(format!("{}{path}", self.url()));
        let answer = request.header("authorization", self.bearer()).call();
        Answer::read(answer, path)
    }

    /// The bytes of a message as they are stored.
    pub(crate) fn stored(&self, id: u64) -> Vec<u8> {
        let request = agent().get(format!("{}/api/v1/messages/{id}/raw", self.url()));
        let answer = request.header("authorization", self.bearer()).call();
        answer.expect("an answer").body_mut().read_to_vec().expect("its bytes")
    }

    /// Tells the HTTP API what an operator decided.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.post_as("an operator", path, body)
    }

    /// The same, of one name or another.
    pub(crate) fn post_as(&self, actor: &str, path: &str, body: &Value) -> Answer {
        let request = agent().post(format!("{}{path}", self.url()));
        let request = request.header("authorization", self.bearer());
        let request = request.header("tieline-actor", actor);
        let request = request.header("content-type", "application/json");
        Answer::read(request.send(body.to_string()), path)
    }

    /// Gives the HTTP API an edited message, with the reason beside it.
    pub(crate) fn edit_as(&self, actor: &str, path: &str, reason: &str, edited: &str) -> Answer {
        let request = agent().post(format!("{}{path}", self.url()));
        let request = request.header("authorization", self.bearer());
        let request = request.header("tieline-actor", actor).header("tieline-reason", reason);
        Answer::read(request.send(edited), path)
    }

    fn bearer(&self) -> String {
        let token = fs::read_to_string(self.setup.data().join("api.token")).expect("a token");
        format!("Bearer {}", token.trim())
    }

    /// Everything the engine wrote so far, over all its starts.
    pub(crate) fn written(&self) -> String {
        let bytes = fs::read(self.setup.path("engine.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log(&self) -> File {
        let path = self.setup.path("engine.log");
        File::options().create(true).append(true).open(path).expect("a log file")
    }
}

impl Drop for TestEngine {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            let written = self.written();
            let lines: Vec<&str> = written.lines().collect();
            let tail = &lines[lines.len().saturating_sub(80)..];
            eprintln!("--- the engine's last {} lines\n{}", tail.len(), tail.join("\n"));
        }
    }
}

/// Copies what the engine prints into its log for as long as it runs; each ready line is given out.
fn watch(printed: impl BufRead + Send + 'static, mut log: File) -> Receiver<Value> {
    let (give, readies) = channel();
    std::thread::spawn(move || {
        for line in printed.lines().map_while(Result::ok) {
            writeln!(log, "{line}").expect("the log can be written");
            let document: Option<Value> = serde_json::from_str(&line).ok();
            if let Some(ready) = document.as_ref().and_then(|document| document.get("ready")) {
                // A story that has its engine no longer listens.
                let _unheard = give.send(ready.clone());
            }
        }
    });
    readies
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_starts_answers_and_starts_again_after_either_end() {
        let mut engine = Setup::sample().variable("TIELINE_LOG", "info").start();
        assert_eq!(engine.get("/livez").status, 200);
        assert!(engine.memory() > 0);
        assert_eq!(engine.terminate(), Some(0));
        engine.start_again();
        let before = engine.pid();
        engine.kill();
        engine.start_again();
        assert_ne!(engine.pid(), before);
        drop(engine.connect("pas-adt"));
        assert!(!engine.written().is_empty());
    }

    #[test]
    fn a_start_that_cannot_be_says_why_and_ends() {
        let ran = Setup::with("channels: [\n").flag("--or-last-good").start_refused();
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains("channels.yaml"), "{ran:?}");
    }

    #[test]
    fn answers_are_read_as_a_document_or_as_rows() {
        let answer = Answer { status: 200, body: "{\"id\":1}\n".into() };
        assert_eq!(answer.json()["id"], 1);
        let answer = Answer { status: 200, body: "{\"id\":1}\n\n{\"id\":2}\n".into() };
        assert_eq!(answer.rows().len(), 2);
    }
}
