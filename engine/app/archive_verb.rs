//! `tieline archive`: how much can be found; and the archive made anew.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::{Asking, Format};
use crate::asking_arguments::{ArchiveArgs, ArchiveVerb};
use crate::cells::{bytes, cell, counted, length, number};
use crate::exit::Exit;
use crate::operator::Operator;
use crate::output::Output;

const PATH: &str = "/api/v1/archive";

/// How often is looked how far it is.
const LOOK: Duration = Duration::from_millis(200);

pub(crate) fn run(args: &ArchiveArgs) -> Result<Exit> {
    match &args.what {
        ArchiveVerb::Status { asking, format } => status(asking, *format),
        ArchiveVerb::Rebuild { no_wait, asking } => rebuild(asking, *no_wait),
    }
}

/// Exit code 1 while it is behind: what is asked of it is not complete.
fn status(asking: &Asking, format: Format) -> Result<Exit> {
    let Some(api) = Api::find(asking)? else { return Ok(Exit::Wrong) };
    let found = api.document(PATH, &[])?;
    let mut output = Output::standard();
    match format {
        Format::Text => output.line(sentence(&found))?,
        format => output.document(format, &found)?,
    }
    Ok(Exit::well_if(is_complete(&found)))
}

fn rebuild(asking: &Asking, no_wait: bool) -> Result<Exit> {
    let Some(api) = Api::find(asking)? else { return Ok(Exit::Wrong) };
    let operator = Operator::of_this_process()?;
    if let Err(words) = api.decide("/api/v1/archive/rebuild", &operator, &json!({}))? {
        bail!(words);
    }
    let mut output = Output::standard();
    if no_wait {
        output
            .line("the archive is being made anew; `tieline archive status` says how far it is")?;
        return Ok(Exit::Well);
    }
    // Shown on terminals only.
    let progress = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // Nobody sends: to wait for it is to pause.
    let (_nobody, pause) = mpsc::channel::<()>();
    let found = loop {
        let found = api.document(PATH, &[])?;
        if is_complete(&found) {
            break found;
        }
        progress.set_message(sentence(&found));
        progress.set_position(number(&found, "messages"));
        progress.tick();
        pause.recv_timeout(LOOK).ok();
    };
    progress.finish_and_clear();
    output.line(format!("made anew: {}", sentence(&found)))?;
    Ok(Exit::Well)
}

fn is_complete(found: &Value) -> bool {
    found["complete"].as_bool() == Some(true)
}

fn sentence(found: &Value) -> String {
    let messages = counted(number(found, "messages"), "message");
    let days = counted(number(found, "days"), "day");
    let size = bytes(number(found, "bytes"));
    let oldest = cell(found, "oldest");
    let since = match oldest.split_once('T') {
        Some((date, _)) => format!(" from {date} on"),
        None => String::new(),
    };
    let lag = i64::try_from(number(found, "lag")).unwrap_or(i64::MAX);
    let behind =
        if is_complete(found) { "complete".to_owned() } else { format!("{} behind", length(lag)) };
    format!("{messages}{since} in {days}, {size}; {behind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_says_it_all() {
        let found = json!({
            "messages": 3, "days": 1, "bytes": 4_194_304, "oldest": "2026-01-31T00:00:00.000Z",
            "complete": true, "lag": 0,
        });
        assert_eq!(sentence(&found), "3 messages from 2026-01-31 on in 1 day, 4 MiB; complete");
        let behind = json!({ "messages": 0, "days": 0, "bytes": 0, "complete": false, "lag": 90 });
        assert_eq!(sentence(&behind), "0 messages in 0 days, 0 KiB; 90 s behind");
        assert!(!is_complete(&behind));
    }
}
