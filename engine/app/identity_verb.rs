//! `tieline identity`: what is held of patients, how it came about, and what people decide.

use std::fs::File;
use std::io::{self, BufRead, IsTerminal};

use anyhow::{Context, Result, bail};
use identity::patient::PatientId;
use serde_json::{Value, json};

use crate::api::Api;
use crate::arguments::{Asking, Format};
use crate::cells::counted;
use crate::deciding_arguments::Because;
use crate::exit::Exit;
use crate::identity_arguments::{IdentityVerb, LoadArgs, Take, WhomArgs};
use crate::identity_view;
use crate::operator::Operator;
use crate::output::Output;
use crate::refusal_line::refused;
use crate::{parked, patient_guard, patient_prompt};

const ASK: &str = "/api/v1/identity/ask";
const HISTORY: &str = "/api/v1/identity/history";

pub(crate) fn run(verb: &IdentityVerb) -> Result<Exit> {
    match verb {
        IdentityVerb::Show(args) => ask(ASK, args, identity_view::known),
        IdentityVerb::History(args) => ask(HISTORY, args, identity_view::history),
        IdentityVerb::Conflicts { limit, asking, format } => conflicts(*limit, asking, *format),
        IdentityVerb::Resolve { id, take, because } => resolve(*id, *take, because),
        IdentityVerb::Load(args) => load(args),
        IdentityVerb::Unmerge { whom, channel, because } => {
            let retired = identifiers(whom, 1)?;
            let words = json!({ "channel": channel, "retired": retired[0] });
            decide("/api/v1/identity/unmerge", because, &words)
        }
        IdentityVerb::DoNotLink { whom, undo, because } => {
            let two = identifiers(whom, 2)?;
            let words = json!({ "one": two[0], "other": two[1], "undo": undo });
            decide("/api/v1/identity/do-not-link", because, &words)
        }
    }
}

fn ask(path: &str, args: &WhomArgs, show: fn(&mut Output, &Value) -> Result<()>) -> Result<Exit> {
    let Some(api) = Api::find(&args.asking)? else { return Ok(Exit::Wrong) };
    let whom = match args.whom.as_str() {
        "-" => patient_prompt::read(None)?,
        given if given.parse::<PatientId>().is_ok() => given.to_owned(),
        _ => bail!(
            "a patient identifier stands in argv, where every process on this machine can read it\n  \
             help: write `-` and give it on standard input, or the partition key of an event"
        ),
    };
    let operator = Operator::of_this_process()?;
    match api.decide(path, &operator, &json!({ "patient": whom }))? {
        Ok(found) => {
            let mut output = Output::standard();
            match args.format {
                Format::Text => show(&mut output, &found)?,
                format => output.document(format, &found)?,
            }
            Ok(Exit::Well)
        }
        Err(words) => refused(&words),
    }
}

/// As `tieline parked`, of these reasons only; exit code 1 while there are any.
fn conflicts(limit: u64, asking: &Asking, format: Format) -> Result<Exit> {
    let Some(api) = Api::find(asking)? else { return Ok(Exit::Wrong) };
    let query = [("class", Some("conflict".to_owned())), ("limit", Some(limit.to_string()))];
    let found = api.document("/api/v1/parked", &query)?;
    parked::print(&found, format)?;
    Ok(Exit::well_if(found["total"].as_u64() == Some(0)))
}

fn resolve(id: u64, take: Take, because: &Because) -> Result<Exit> {
    let take = match take {
        Take::Message => "message",
        Take::Index => "index",
    };
    decide(&format!("/api/v1/messages/{id}/resolve"), because, &json!({ "take": take }))
}

fn decide(path: &str, because: &Because, more: &Value) -> Result<Exit> {
    patient_guard::refuse_in_text(&because.reason)?;
    let Some(api) = Api::find(&because.asking)? else { return Ok(Exit::Wrong) };
    let operator = Operator::of_this_process()?;
    let mut words = more.clone();
    words["reason"] = json!(because.reason);
    match api.decide(path, &operator, &words)? {
        Ok(done) => {
            let mut output = Output::standard();
            match because.format {
                Format::Text => output.line(sentence(&done))?,
                format => output.document(format, &done)?,
            }
            Ok(Exit::Well)
        }
        Err(words) => refused(&words),
    }
}

fn sentence(done: &Value) -> String {
    let id = &done["id"];
    match done["decision"].as_str().unwrap_or_default() {
        "resolve" => {
            let held = done["held"].as_u64().unwrap_or_default();
            format!("{id} is processed again; {} waited behind it", counted(held, "message"))
        }
        "unmerge" => format!("message {id} says that the two are separate again"),
        "do-not-link" if done["linked"] == true => "the two are never shown together from now on. Both are held for one patient, whose \
             events\nname both until that is undone: tieline identity unmerge, or another number from \
             the source"
            .to_owned(),
        "do-not-link" => "the two are never shown or told together from now on".to_owned(),
        "may-link" => "the two may be linked again".to_owned(),
        _ => "done".to_owned(),
    }
}

/// So many identifiers from standard input, never from argv.
fn identifiers(given: &str, count: usize) -> Result<Vec<String>> {
    if given != "-" {
        bail!(
            "a patient identifier stands in argv, where every process on this machine can read it\n  \
             help: write `-` and give it on standard input"
        );
    }
    if count == 1 || io::stdin().is_terminal() {
        return (0..count).map(|_| patient_prompt::read(None)).collect();
    }
    let lines: Vec<String> = io::stdin().lock().lines().collect::<Result<_, _>>()?;
    let found: Vec<String> =
        lines.iter().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
    if found.len() != count {
        bail!(
            "standard input gives {}; {count} are needed, a line each",
            counted(found.len() as u64, "identifier")
        );
    }
    Ok(found)
}

fn load(args: &LoadArgs) -> Result<Exit> {
    patient_guard::refuse_in_text(&args.because.reason)?;
    let file =
        File::open(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let Some(api) = Api::find(&args.because.asking)? else { return Ok(Exit::Wrong) };
    let csv = args.file.extension().is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    let form = if csv { "csv" } else { "hl7" };
    let path = format!(
        "/api/v1/identity/load?channel={}&form={form}&dry_run={}",
        args.channel, args.dry_run
    );
    let operator = Operator::of_this_process()?;
    match api.give_file(&path, &operator, &args.because.reason, file)? {
        Ok(report) => {
            let mut output = Output::standard();
            match args.because.format {
                Format::Text => identity_view::report(&mut output, &report, args.dry_run)?,
                format => output.document(format, &report)?,
            }
            let conflicts = report["conflicts"].as_array().is_some_and(|list| !list.is_empty());
            Ok(Exit::well_if(!conflicts))
        }
        Err(words) => refused(&words),
    }
}
