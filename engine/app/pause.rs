//! `tieline pause` and `tieline resume`: one side of a channel, or both.

use anyhow::Result;
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::Format;
use crate::deciding_arguments::PauseArgs;
use crate::exit::Exit;
use crate::operator::Operator;
use crate::output::Output;
use crate::patient_guard;
use crate::refusal_line::refused;

pub(crate) fn pause(args: &PauseArgs) -> Result<Exit> {
    turn(args, "pause")
}

pub(crate) fn resume(args: &PauseArgs) -> Result<Exit> {
    turn(args, "resume")
}

fn turn(args: &PauseArgs, verb: &str) -> Result<Exit> {
    let because = &args.because;
    patient_guard::refuse_in_text(&because.reason)?;
    let Some(api) = Api::find(&because.asking)? else { return Ok(Exit::Wrong) };
    let side = match (args.intake, args.delivery) {
        (true, false) => "intake",
        (false, true) => "delivery",
        _ => "both",
    };
    let decision = json!({ "side": side, "reason": because.reason });
    let path = format!("/api/v1/channels/{}/{verb}", args.channel);
    let done = match api.decide(&path, &Operator::of_this_process()?, &decision)? {
        Ok(done) => done,
        Err(words) => return refused(&words),
    };
    let mut output = Output::standard();
    match because.format {
        Format::Text => output.line(sentence(&done))?,
        format => output.document(format, &done)?,
    }
    Ok(Exit::Well)
}

/// How the channel is now, and what that means.
fn sentence(done: &Value) -> String {
    let channel = done["channel"].as_str().unwrap_or("-");
    let paused = |side: &str| done["paused"][side].as_bool() == Some(true);
    match (paused("intake"), paused("delivery")) {
        (false, false) => format!("{channel} takes messages and delivers them"),
        (true, false) => format!("{channel} takes no messages: its senders wait without an answer"),
        (false, true) => format!("{channel} takes messages; they wait on disk until it is resumed"),
        (true, true) => {
            format!("{channel} takes no messages and delivers none until it is resumed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_says_how_the_channel_is_now() {
        let is = |intake, delivery| {
            let paused = json!({ "intake": intake, "delivery": delivery });
            sentence(&json!({ "channel": "pas-adt", "paused": paused }))
        };
        assert_eq!(is(false, false), "pas-adt takes messages and delivers them");
        assert!(is(false, true).contains("wait on disk"));
        assert!(is(true, false).contains("takes no messages"));
    }
}
