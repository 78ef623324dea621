//! `tieline parked release`, `skip`, `discard`, `approve` and `withdraw`: decided, and what follows from it.

use anyhow::Result;
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::Format;
use crate::cells::{cell, counted, number};
use crate::deciding_arguments::{Because, OneArgs, SeveralArgs};
use crate::exit::Exit;
use crate::operator::Operator;
use crate::output::Output;
use crate::patient_guard;
use crate::refusal_line::refused;
use crate::table::printable;

pub(crate) fn release(args: &SeveralArgs) -> Result<Exit> {
    decide("release", &args.ids, &args.because, &json!({}))
}

pub(crate) fn discard(args: &SeveralArgs) -> Result<Exit> {
    decide("discard", &args.ids, &args.because, &json!({}))
}

pub(crate) fn skip(one: &OneArgs, subscriber: Option<&str>) -> Result<Exit> {
    decide("skip", &[one.id], &one.because, &json!({ "subscriber": subscriber }))
}

pub(crate) fn approve(args: &OneArgs, edit: &str) -> Result<Exit> {
    decide("approve", &[args.id], &args.because, &json!({ "edit": edit }))
}

pub(crate) fn withdraw(args: &OneArgs) -> Result<Exit> {
    decide("withdraw", &[args.id], &args.because, &json!({}))
}

/// One after the other; what the engine refuses stops none of the others. `more` goes with the reason.
fn decide(verb: &str, ids: &[u64], because: &Because, more: &Value) -> Result<Exit> {
    patient_guard::refuse_in_text(&because.reason)?;
    let Some(api) = Api::find(&because.asking)? else { return Ok(Exit::Wrong) };
    let operator = Operator::of_this_process()?;
    let mut words = more.clone();
    words["reason"] = json!(because.reason);
    let mut output = Output::standard();
    let mut exit = Exit::Well;
    for id in ids {
        match api.decide(&format!("/api/v1/messages/{id}/{verb}"), &operator, &words)? {
            Ok(done) => tell(&mut output, because.format, &done)?,
            Err(words) => exit = refused(&words)?,
        }
    }
    Ok(exit)
}

/// What was decided, in the form that was asked for.
pub(crate) fn tell(output: &mut Output, format: Format, done: &Value) -> Result<()> {
    match format {
        Format::Text => output.line(sentence(done))?,
        format => output.document(format, done)?,
    }
    Ok(())
}

/// What happened, and what follows from it.
fn sentence(done: &Value) -> String {
    let (id, of) = (number(done, "id"), number(done, "of"));
    let behind = match number(done, "held") {
        0 => "nothing waited behind it".to_owned(),
        count => {
            let verb = if count == 1 { "follows" } else { "follow" };
            format!("{} that waited behind it {verb} in order", counted(count, "message"))
        }
    };
    match done["decision"].as_str().unwrap_or_default() {
        "release" => format!("{id} released; {behind}"),
        "skip" if !done["subscriber"].is_null() => format!(
            "event {} of {id} is not delivered to {}; what waited behind it follows",
            cell(done, "event"),
            printable(&cell(done, "subscriber"))
        ),
        "skip" => format!(
            "event {} of the {} of {id} is given up, and no subscriber gets it;\n\
             the others leave; {behind}",
            number(done, "event"),
            number(done, "events")
        ),
        "discard" => format!("{id} discarded; {behind}"),
        "withdraw" => format!("the edit of {id} is withdrawn; {id} stays parked as it came"),
        "edit" if done["approval"].as_bool() == Some(true) => format!(
            "the edit of {of} touches MSH, PID or MRG, which say whom it is about.\n\
             It waits until somebody else has looked at it (tieline show {of}) and runs:\n\
             tieline parked approve {of} --edit {} --reason TEXT\n\
             (tieline parked withdraw {of} --reason TEXT takes it back)",
            done["edit"].as_str().unwrap_or_default()
        ),
        "edit" => format!("{of} edited: {id} takes its place, the original is kept;\n{behind}"),
        "approve" => {
            format!("edit of {of} approved: {id} takes its place, the original is kept;\n{behind}")
        }
        _ => "done".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_say_what_happened_and_what_follows() {
        let release = json!({ "id": 7, "decision": "release", "held": 3 });
        assert_eq!(
            sentence(&release),
            "7 released; 3 messages that waited behind it follow in order"
        );
        let skip = json!({
            "id": 1_000_000_000, "decision": "skip", "event": 9, "events": 10, "held": 1_000_000
        });
        assert!(sentence(&skip).starts_with("event 9 of the 10 of 1000000000 is given up"));
        for line in sentence(&skip).lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        let discard = json!({ "id": 7, "decision": "discard", "held": 0 });
        assert_eq!(sentence(&discard), "7 discarded; nothing waited behind it");
        let edit = json!({ "id": 9, "decision": "edit", "of": 7, "held": 1 });
        assert!(sentence(&edit).starts_with("7 edited: 9 takes its place"));
        let second = json!({ "approval": true, "decision": "edit", "of": 7, "edit": "0a1b2c3d" });
        assert!(sentence(&second).contains("tieline parked approve 7 --edit 0a1b2c3d --reason"));
        let withdrawn = json!({ "id": 7, "decision": "withdraw" });
        assert!(sentence(&withdrawn).contains("7 stays parked"));
    }
}
