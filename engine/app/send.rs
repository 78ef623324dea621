//! `tieline send`: an MLLP sender that counts every acknowledgement.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::arguments::{Format, SendArgs};
use crate::connection::Secure;
use crate::exit::Exit;
use crate::message_files;
use crate::misbehaviour::Manners;
use crate::output::Output;
use crate::paint::Paint;
use crate::traffic;
use crate::traffic_plan::{Answered, Length, Plan, Statistics, Watcher};

pub(crate) fn run(args: &SendArgs) -> Result<Exit> {
    let messages = message_files::read_all(&args.paths)?;
    let log = args.log.as_deref().map(AcknowledgedLog::create).transpose()?;
    let bar = progress(messages.len() as u64 * args.repeat);
    let plan = Plan {
        to: args.to.clone(),
        tls: Secure::new(&args.tls, &args.to)?,
        messages,
        connections: args.connections,
        window: args.window,
        rate: args.rate,
        length: Length::Repeats(args.repeat),
        verbatim: args.verbatim,
        patience: args.timeout,
        retries: args.retries,
        manners: Manners::new(&args.manners.misbehave, args.manners.seed)?,
    };

    let statistics =
        Runtime::new()?.block_on(traffic::run(plan, watcher(bar.clone(), log.clone())))?;
    bar.finish_and_clear();
    if let Some(log) = log {
        log.finish()?;
    }

    let mut output = Output::standard();
    match args.format {
        Format::Text => output.text(summary(&statistics, output.paint))?,
        format => output.document(format, &document(&statistics))?,
    }
    if let Some(error) = &statistics.lost {
        writeln!(io::stderr(), "error: sending ended early: {}", error.with_causes())?;
    } else if let Some(trouble) = statistics.trouble.as_ref().filter(|_| statistics.unanswered > 0)
    {
        writeln!(io::stderr(), "error: messages without an answer; the first trouble: {trouble}")?;
    }
    Ok(Exit::well_if(statistics.all_well()))
}

/// A bar on a terminal, nothing elsewhere.
fn progress(total: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} acknowledged, {per_sec}, {eta}")
        .expect("the template is well formed");
    ProgressBar::new(total).with_style(style)
}

fn watcher(bar: ProgressBar, log: Option<AcknowledgedLog>) -> Watcher {
    Arc::new(move |answer: Answered<'_>| {
        bar.inc(1);
        if let Some(log) = log.as_ref().filter(|_| answer.code.is_positive()) {
            log.record(answer.control_id);
        }
    })
}

/// A line for each positively acknowledged control id, written before the next message is sent,
/// so that it can be held against the receiver whenever either of the two was killed.
#[derive(Clone)]
struct AcknowledgedLog(Arc<Mutex<io::Result<File>>>);

impl AcknowledgedLog {
    fn create(path: &Path) -> Result<Self> {
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self(Arc::new(Mutex::new(Ok(file)))))
    }

    fn record(&self, control_id: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = [control_id, b"\n"].concat();
        let failed = match state.as_mut() {
            Ok(file) => file.write_all(&line).err(),
            Err(_) => None,
        };
        if let Some(error) = failed {
            *state = Err(error);
        }
    }

    /// The first error of any line.
    fn finish(&self) -> Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.as_mut() {
            Ok(_) => Ok(()),
            Err(error) => Err(io::Error::new(error.kind(), error.to_string()))
                .context("cannot write the log of acknowledged messages"),
        }
    }
}

/// What came of it, for people.
pub(crate) fn summary(statistics: &Statistics, paint: Paint) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        writeln!(text, "{name:<13}{value}").expect("a string takes any text");
    };
    line("sent", format!("{:>9}", statistics.sent));
    for (code, count) in &statistics.acknowledged {
        let count = format!("{count:>9}");
        let good = matches!(*code, "AA" | "CA");
        line(code, if good { paint.green(&count) } else { paint.red(&count) });
    }
    let odd = [
        ("unanswered", statistics.unanswered),
        ("refused later", statistics.refused_later),
        ("no answer due", statistics.unasked),
        ("sent again", statistics.resent),
    ];
    for (name, count) in odd.into_iter().filter(|(_, count)| *count > 0) {
        line(name, paint.yellow(&format!("{count:>9}")));
    }
    for (kind, count) in &statistics.misbehaved {
        line(kind, format!(" {count:>8}"));
    }
    let seconds = statistics.elapsed.as_secs_f64();
    line("time", format!("{seconds:>9.2} s, {:.0} messages/s", statistics.rate()));
    if let Some([p50, p99, max]) = latencies(statistics) {
        line("latency", format!("  p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms"));
    }
    text
}

/// The stable machine form: fields are added, never renamed.
pub(crate) fn document(statistics: &Statistics) -> Value {
    let latency = latencies(statistics).map(|all| all.map(|ms| (ms * 1000.0).round() / 1000.0));
    let [p50, p99, max] = latency.map_or([None; 3], |all| all.map(Some));
    json!({
        "sent": statistics.sent,
        "acknowledged": statistics.acknowledged,
        "unanswered": statistics.unanswered,
        "unasked": statistics.unasked,
        "resent": statistics.resent,
        "refused_later": statistics.refused_later,
        "misbehaved": statistics.misbehaved,
        "seconds": statistics.elapsed.as_secs_f64(),
        "rate": statistics.rate(),
        "latency_ms": { "p50": p50, "p99": p99, "max": max },
    })
}

/// p50, p99 and the longest, in milliseconds.
fn latencies(statistics: &Statistics) -> Option<[f64; 3]> {
    let all = &statistics.latencies;
    let milliseconds = |length: Duration| length.as_secs_f64() * 1000.0;
    Some([all.per_mille(500)?, all.per_mille(990)?, all.longest()?].map(milliseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics() -> Statistics {
        let mut statistics = Statistics {
            sent: 1001,
            acknowledged: [("AA", 998), ("AE", 2)].into(),
            unanswered: 1,
            resent: 3,
            elapsed: Duration::from_secs(2),
            ..Statistics::default()
        };
        statistics.latencies.record(Duration::from_micros(50));
        statistics
    }

    #[test]
    fn the_summary_names_every_code() {
        assert_eq!(
            summary(&statistics(), Paint::plain()),
            "sent              1001\n\
             AA                 998\n\
             AE                   2\n\
             unanswered           1\n\
             sent again           3\n\
             time              2.00 s, 500 messages/s\n\
             latency        p50 0.05 ms, p99 0.05 ms, max 0.05 ms\n"
        );
    }

    #[test]
    fn the_machine_form_is_stable() {
        assert_eq!(
            document(&statistics()).to_string(),
            r#"{"sent":1001,"acknowledged":{"AA":998,"AE":2},"unanswered":1,"unasked":0,"resent":3,"refused_later":0,"misbehaved":{},"seconds":2.0,"rate":500.0,"latency_ms":{"p50":0.05,"p99":0.05,"max":0.05}}"#
        );
    }

    #[test]
    fn a_refusal_or_a_missing_answer_is_not_well() {
        assert!(!statistics().all_well());
        let well = Statistics { sent: 1, acknowledged: [("CA", 1)].into(), ..Default::default() };
        assert!(well.all_well());
        assert!(!Statistics { unanswered: 1, ..well }.all_well());
    }
}
