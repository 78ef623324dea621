//! `tieline run`: the engine, in the foreground, until SIGTERM.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use console::server::Server;
use console::token::Token;
use router::config::activate;
use router::config::load::Loaded;
use router::engine::Engine;
use router::event::Event;
use router::handle::Handle;
use sd_notify::NotifyState;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::api::ADDRESS_FILE;
use crate::arguments::{Configuration, Format, RunArgs};
use crate::exit::Exit;
use crate::open_files;
use crate::output::Output;
use crate::problems;

/// The data folder of a configuration that does not say and cannot be read.
const USUAL_DATA: &str = "var/tieline";

pub(crate) fn run(args: &RunArgs) -> Result<Exit> {
    let Some((loaded, last_good)) = configuration(args)? else { return Ok(Exit::Wrong) };
    open_files::allow_many();
    runtime()?.block_on(async {
        // From the first moment: unheard, it would end the process.
        let mut hangup = signal_of(SignalKind::hangup());
        let running = Running::start(&loaded).await?;
        Event::Activated { version: &loaded.version, last_good }.emit();
        if !last_good && let Err(error) = activate::activate(&loaded.data, &loaded) {
            running.stop("not activated").await;
            return Err(error).context("the configuration cannot be copied to the data folder");
        }
        running.announce(args.format)?;
        let reason = running.until_told_to_stop(&args.configuration, &mut hangup).await;
        running.stop(reason.as_deref().unwrap_or("signal")).await;
        match reason {
            None => Ok(Exit::Well),
            Some(failure) => bail!("the journal failed and the engine stopped: {failure}"),
        }
    })
}

/// One runtime for every verb that needs one.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().context("the asynchronous runtime cannot be started")
}

/// The configuration to run and whether it is the last good copy; nothing when it is broken.
fn configuration(args: &RunArgs) -> Result<Option<(Loaded, bool)>> {
    let failure = match args.configuration.load() {
        Ok(loaded) => {
            problems::explain(&loaded.warnings, &loaded.texts)?;
            return Ok(Some((loaded, false)));
        }
        Err(failure) => failure,
    };
    problems::explain(&failure.problems, &failure.texts)?;
    if !args.or_last_good {
        return Ok(None);
    }
    let data = args.configuration.data.clone().or(failure.data).unwrap_or_else(|| {
        let folder = args.configuration.config.parent().map(PathBuf::from).unwrap_or_default();
        folder.join(USUAL_DATA)
    });
    let loaded = match activate::load_last_good(&data) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!(%error, "no last good configuration to start on");
            return Ok(None);
        }
    };
    let problems = failure.problems.len();
    Event::LastGood { path: &args.configuration.config, problems }.emit();
    Ok(Some((loaded, true)))
}

/// An engine with its console.
pub(crate) struct Running {
    engine: Engine,
    console: SocketAddr,
    stop: CancellationToken,
}

impl Running {
    /// Starts everything that `loaded` asks for; on an error nothing is left running.
    pub(crate) async fn start(loaded: &Loaded) -> Result<Self> {
        let data = &loaded.data;
        make_folder(data)?;
        let metrics = console::metrics::install().context("metrics cannot be collected")?;
        let token = Token::load_or_create(data).with_context(|| {
            format!("cannot write {}", data.join(console::token::FILE).display())
        })?;
        let listen = loaded.config.engine.console.listen.0;
        let server = Server::bind(listen).await.with_context(|| {
            format!("the console cannot listen on {listen}: choose another engine.console.listen or stop what holds it")
        })?;
        let console = server.address().context("the console's address is not known")?;
        let engine = Engine::start(loaded).await?;
        // The asking verbs find the engine by this when its configuration asks for port 0.
        let address = data.join(ADDRESS_FILE);
        std::fs::write(&address, format!("{console}\n"))
            .with_context(|| format!("cannot write {}", address.display()))?;
        let stop = CancellationToken::new();
        tokio::spawn(console::metrics::upkeep(metrics.clone(), stop.clone()));
        tokio::spawn(server.run(engine.handle(), token, metrics, stop.clone()));
        Ok(Self { engine, console, stop })
    }

    pub(crate) fn handle(&self) -> Handle {
        self.engine.handle()
    }

    pub(crate) fn console(&self) -> SocketAddr {
        self.console
    }

    /// Says where everything is: to systemd, and as one line where a program started us.
    fn announce(&self, format: Format) -> Result<()> {
        let listeners: BTreeMap<String, SocketAddr> = self.handle().addresses();
        let mut output = Output::standard();
        if format == Format::Text {
            let status =
                format!("ready: {} channels, console http://{}", listeners.len(), self.console);
            output.text(format!("{status}\n"))?;
        } else {
            let ready = json!({ "ready": {
                "console": self.console.to_string(),
                "listeners": listeners,
            }});
            output.text(format!("{ready}\n"))?;
        }
        // Absent systemd this does nothing.
        sd_notify::notify(&[NotifyState::Ready]).context("systemd cannot be notified")
    }

    /// Nothing for a signal, a line for a journal that failed. SIGHUP reloads.
    async fn until_told_to_stop(
        &self,
        configuration: &Configuration,
        hangup: &mut Option<Signal>,
    ) -> Option<String> {
        let mut terminate = signal_of(SignalKind::terminate());
        let mut interrupt = signal_of(SignalKind::interrupt());
        let mut watchdog = tokio::time::interval(watchdog_period());
        loop {
            tokio::select! {
                () = received(&mut terminate) => return None,
                () = received(&mut interrupt) => return None,
                () = received(hangup) => self.reload(configuration).await,
                failure = self.engine.failed() => return Some(failure),
                // Only a runtime that still turns gets here.
                _ = watchdog.tick() => {
                    drop(sd_notify::notify(&[NotifyState::Watchdog]));
                }
            }
        }
    }

    /// Puts the configuration as it stands on disk in force; when it cannot be, nothing changes and
    /// it is said why.
    async fn reload(&self, configuration: &Configuration) {
        let reloading = [Some(NotifyState::Reloading), NotifyState::monotonic_usec_now().ok()];
        drop(sd_notify::notify(&reloading.into_iter().flatten().collect::<Vec<_>>()));
        if let Err(why) = self.try_to_reload(configuration.clone()).await {
            Event::ReloadRefused { why: &format!("{why:#}") }.emit();
        }
        drop(sd_notify::notify(&[NotifyState::Ready]));
    }

    async fn try_to_reload(&self, configuration: Configuration) -> Result<()> {
        // Compiling every script takes the time it takes: not on a thread that answers senders.
        let loading = tokio::task::spawn_blocking(move || configuration.load());
        match loading.await.context("the configuration cannot be loaded")? {
            Ok(loaded) => {
                if !loaded.warnings.is_empty() {
                    problems::explain(&loaded.warnings, &loaded.texts)?;
                }
                self.engine.reload(loaded).await?;
                Ok(())
            }
            Err(failure) => {
                problems::explain(&failure.problems, &failure.texts)?;
                Err(failure.into())
            }
        }
    }

    /// Finishes what is in hand and closes everything.
    pub(crate) async fn stop(self, reason: &str) {
        Event::Stopping { reason }.emit();
        drop(sd_notify::notify(&[NotifyState::Stopping]));
        self.engine.stop().await;
        self.stop.cancel();
    }
}

/// What is stored below it are patients' messages: for this user's eyes only.
fn make_folder(data: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(data).with_context(|| {
        format!(
            "the data folder {} cannot be made: choose another engine.data or --data",
            data.display()
        )
    })
}

fn signal_of(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Half of what systemd allows, or rarely when it does not watch.
fn watchdog_period() -> Duration {
    sd_notify::watchdog_enabled().map_or(Duration::from_mins(1), |limit| limit / 2)
}
