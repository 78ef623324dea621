//! Many messages over many connections: a window of unacknowledged messages, a rate, fresh
//! control ids, resending, and what came of it all.

use std::sync::Arc;

use anyhow::{Result, bail};
use tokio::task::JoinSet;

use crate::mllp_client::connect;
use crate::traffic_jobs::Run;
use crate::traffic_line::Line;
use crate::traffic_plan::{Plan, Statistics, Watcher};

/// Carries out the plan.
///
/// # Errors
/// When a first connection cannot be made, or there is nothing to send. What goes wrong later is
/// part of the statistics.
pub(crate) async fn run(plan: Plan, watcher: Watcher) -> Result<Statistics> {
    if plan.messages.is_empty() {
        bail!("there is no message to send");
    }
    let mut streams = Vec::with_capacity(plan.connections);
    for _ in 0..plan.connections {
        streams.push(connect(&plan.to, plan.tls.as_ref(), plan.patience).await?);
    }

    let run = Arc::new(Run::new(plan, watcher));
    let mut lines = JoinSet::new();
    for stream in streams {
        lines.spawn(Line::new(Arc::clone(&run)).run(stream));
    }
    let mut statistics = Statistics::default();
    while let Some(line) = lines.join_next().await {
        statistics.add(line?);
    }
    statistics.elapsed = run.started.elapsed();
    Ok(statistics)
}
