//! A private RabbitMQ node: its own name, ports and folder, on this machine only, and gone when its
//! owner is gone. The stories under `tests/` include this file for nodes that they harm.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// In the package's library folder: the wrapper on the PATH changes user, folder and output.
pub(crate) const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// A node takes about 8 s on two quiet cores; a machine that is also compiling takes its time.
const START: Duration = Duration::from_mins(2);
const STOP: Duration = Duration::from_mins(1);

/// Where a node lives; the same before and after a restart.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) amqp: u16,
    distribution: u16,
    epmd: u16,
    pub(crate) folder: PathBuf,
    /// More lines of its rabbitmq.conf.
    pub(crate) settings: &'static str,
}

impl Place {
    /// A new folder and three ports that were free a moment ago.
    pub(crate) fn choose() -> anyhow::Result<Self> {
        static NODES: AtomicU32 = AtomicU32::new(1);
        let (name, folder) = loop {
            let number = NODES.fetch_add(1, Ordering::Relaxed);
            let name = format!("tieline-{}-{number}", std::process::id());
            let folder = std::env::temp_dir().join(&name);
            match std::fs::create_dir(&folder) {
                // Of a process that once had our number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => {
                    made.with_context(|| format!("cannot make {}", folder.display()))?;
                    break (name, folder);
                }
            }
        };
        // All three are held at once, or the system could give the same one twice.
        let held = [free_port()?, free_port()?, free_port()?];
        let [amqp, distribution, epmd] = held.each_ref().map(|(port, _)| *port);
        Ok(Self {
            name: format!("{name}@localhost"),
            amqp,
            distribution,
            epmd,
            folder,
            settings: "",
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp)
    }

    /// The end of what the node wrote: what a person wants to see when it did not start.
    pub(crate) fn log_tail(&self) -> String {
        let mut tail = String::new();
        for name in ["server.log", "log/node.log"] {
            let text = std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            tail.push_str(&lines[lines.len().saturating_sub(40)..].join("\n"));
            tail.push('\n');
        }
        tail
    }

    fn configuration(&self) -> String {
        format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nlog.file = node.log\nlog.file.level = info\n{}\n",
            self.amqp, self.settings
        )
    }

    /// Everything the node learns from outside, so that it neither reads nor writes anywhere else.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let inside = |name: &str| self.folder.join(name).display().to_string();
        vec![
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("LANG", "C.UTF-8".into()),
            // The Erlang cookie lives there.
            ("HOME", inside("")),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("ERL_EPMD_PORT", self.epmd.to_string()),
            ("RABBITMQ_NODENAME", self.name.clone()),
            ("RABBITMQ_DIST_PORT", self.distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", inside("data")),
            ("RABBITMQ_LOG_BASE", inside("log")),
            ("RABBITMQ_CONFIG_FILE", inside("rabbitmq.conf")),
            ("RABBITMQ_CONF_ENV_FILE", inside("rabbitmq-env.conf")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", inside("enabled_plugins")),
            ("RABBITMQ_PID_FILE", inside("pid")),
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                // Idle schedulers must not spin: the tests need the two cores.
                "-kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none"
                    .into(),
            ),
        ]
    }
}

/// A running node. Dropping it, or the end of this process, ends the node and removes its folder.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    keeper: Child,
    /// The keeper's standard input: while it is open, the node runs.
    leash: Option<ChildStdin>,
    keep: bool,
}

impl Node {
    /// A node in a new place; another place is tried when a neighbour took one of the ports.
    pub(crate) fn start_anywhere() -> anyhow::Result<Self> {
        let mut left = 3;
        loop {
            left -= 1;
            match Self::start(Place::choose()?) {
                Err(error) if left > 0 && port_was_taken(&format!("{error:#}")) => {}
                other => return other,
            }
        }
    }

    /// Returns when the node speaks AMQP.
    pub(crate) fn start(place: Place) -> anyhow::Result<Self> {
        let folder = &place.folder;
        std::fs::write(folder.join("rabbitmq.conf"), place.configuration())?;
        std::fs::write(folder.join("rabbitmq-env.conf"), "")?;
        std::fs::write(folder.join("enabled_plugins"), "[].\n")?;
        let _gone = std::fs::remove_file(folder.join("last-word"));
        let log = File::options().create(true).append(true).open(folder.join("server.log"))?;
        let mut keeper = Command::new("sh")
            .args(["-c", include_str!("keeper.sh"), "keeper", PROGRAM])
            .arg(folder)
            .env_clear()
            .envs(place.environment())
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Its own group: a ctrl-c is for us, and the keeper hears of our end through the pipe.
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        let leash = keeper.stdin.take();
        let mut node = Self { place, keeper, leash, keep: false };
        match until(START, || node.is_up().transpose()) {
            Some(Ok(())) => Ok(node),
            Some(Err(error)) => Err(error),
            None => bail!("no AMQP after {START:?}:\n{}", node.place.log_tail()),
        }
    }

    /// Waits for as long as the node lives.
    pub(crate) fn wait(&mut self) -> anyhow::Result<()> {
        self.keeper.wait()?;
        Ok(())
    }

    /// Ends the node in good order; with `keep` its folder stays, for a later [`Node::start`].
    pub(crate) fn stop(mut self, keep: bool) -> anyhow::Result<()> {
        self.keep = keep;
        if let (true, Some(leash)) = (keep, &mut self.leash) {
            // The node may have ended before: then nobody reads, and that is as well.
            let _unheard = leash.write_all(b"keep\n");
        }
        self.end()
    }

    /// `Ok(None)` not yet, `Ok(Some(()))` up, an error when it ended instead.
    fn is_up(&mut self) -> anyhow::Result<Option<()>> {
        if let Some(status) = self.keeper.try_wait()? {
            bail!("the node ended at start, {status}:\n{}", self.place.log_tail());
        }
        Ok(speaks_amqp(self.place.amqp).then_some(()))
    }

    fn end(&mut self) -> anyhow::Result<()> {
        drop(self.leash.take());
        let ended = until(STOP, || self.keeper.try_wait().transpose());
        if ended.is_none() {
            signal("KILL", &format!("-{}", self.keeper.id()))?;
        }
        ensure!(ended.is_some(), "the node {} had to be killed", self.place.name);
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Nobody is left to tell; the next run uses other ports and another folder.
        let _too_late = self.end();
        if !self.keep {
            let _gone = std::fs::remove_dir_all(&self.place.folder);
        }
    }
}

/// Sends a signal to a process, or to a group when the number is negative. The shell's own `kill`
/// is on every machine.
pub(crate) fn signal(name: &str, process: &str) -> anyhow::Result<()> {
    let status = Command::new("sh")
        .args(["-c", r#"kill -s "$1" -- "$2""#, "signal", name, process])
        .status()
        .context("cannot start sh")?;
    ensure!(status.success(), "cannot send {name} to {process}");
    Ok(())
}

/// Looks every 20 ms until `condition` has something to give; `None` when that takes too long.
pub(crate) fn until<T>(within: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + within;
    loop {
        let found = condition();
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        #[expect(clippy::disallowed_methods, reason = "the pause between two looks")]
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// None of those that the system gives to whoever connects: it must be free again when a broker that
/// was stopped comes back.
fn free_port() -> anyhow::Result<(u16, TcpListener)> {
    const TRIES: u16 = 100;
    let random = || u16::try_from(RandomState::new().hash_one(()) % 22_000).unwrap_or_default();
    let bound = |port: u16| Some((port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?));
    (0..TRIES).find_map(|_| bound(10_000 + random())).context("no free port from 10000 to 31999")
}

/// Whether a broker answers our protocol header with `connection.start`: a frame of type 1
/// (method) on channel 0 (AMQP 0-9-1, section 2.3.5). A port that is merely open is not enough.
fn speaks_amqp(port: u16) -> bool {
    let answer = || -> std::io::Result<[u8; 3]> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut socket = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut frame = [0; 3];
        socket.read_exact(&mut frame)?;
        Ok(frame)
    };
    answer().is_ok_and(|frame| frame == [1, 0, 0])
}

/// Erlang's and epmd's words for a port that somebody else has.
fn port_was_taken(log: &str) -> bool {
    ["eaddrinuse", "address already in use", "epmd did not start"]
        .iter()
        .any(|words| log.to_lowercase().contains(words))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn two_places_share_nothing() {
        let places = [Place::choose().unwrap(), Place::choose().unwrap()];
        let ports: BTreeSet<u16> =
            places.iter().flat_map(|place| [place.amqp, place.distribution, place.epmd]).collect();
        assert_eq!(ports.len(), 6);
        assert_ne!(places[0].name, places[1].name);
        for place in places {
            std::fs::remove_dir(place.folder).unwrap();
        }
    }

    #[test]
    fn a_port_that_is_open_but_silent_is_no_broker() {
        let (port, listener) = free_port().unwrap();
        let visitor = std::thread::spawn(move || speaks_amqp(port));
        drop(listener.accept().unwrap());
        assert!(!visitor.join().unwrap());
    }

    #[test]
    fn only_a_taken_port_is_worth_another_place() {
        assert!(port_was_taken("Failed to start Ranch listener ... reason: eaddrinuse"));
        assert!(!port_was_taken("the node ended at start: no such file"));
    }
}
