//! `emit`, `filter`, `park`, `quality`: what a script says about a message.

use record::catalogue;
use record::fhir::built::Built;
use record::fhir::bundle::bundle;
use record::sought;
use rhai::{Array, Dynamic, EvalAltResult, Map};

use crate::calls::is_code;
use crate::fault::{Detail, Stop};
use crate::json;
use crate::natives::resource::{Resource, is_patient};
use crate::null;
use crate::outcome::{Decision, Emitted};
use crate::reference::Part;
use crate::run::{self, Run};
use crate::vocabulary::Vocabulary;

type Fallible<T> = Result<T, Box<EvalAltResult>>;

pub(crate) fn register(words: &mut Vocabulary) {
    words.add(
        Part::Results,
        "emit(type, data)",
        "An event about a resource or a list of resources, in which lists may stand again and `()` \
         counts as nothing. They are put in a Bundle behind the \
         Patient, which is added when it is not among them. A Patient with other identifiers than \
         the message states parks it as `identity.changed`, a message about nobody as \
         `identity.none`. A type that the engine makes itself (`patient.merged`) is refused.",
        |name: &str, data: Dynamic| run::with(|run| emit(run, name, data, &Map::new())),
    );
    words.add(
        Part::Results,
        "emit(type, data, #{time:, local:})",
        "As `emit(type, data)`; `time` is the HL7 time of the event, `local` the authority of the \
         local identifier to name.",
        |name: &str, data: Dynamic, options: Map| run::with(|run| emit(run, name, data, &options)),
    );
    words.add(
        Part::Results,
        "filter(code)",
        "Ends the script: the message needs no event. Not after `emit`.",
        |code: &str| {
            run::with(|run| -> Fallible<()> {
                if !run.emitted.is_empty() {
                    return Err("filter after emit: the message has an event already".into());
                }
                let code = checked(code)?;
                run.decide(Decision::Filter { code })
            })
        },
    );
    words.add(
        Part::Results,
        "park(code)",
        "Ends the script: a person must look at the message. Its events so far are dropped.",
        |code: &str| park(code, None),
    );
    words.add(
        Part::Results,
        "park(code, detail)",
        "As `park(code)`, with free text that only the archive keeps.",
        |code: &str, detail: Dynamic| park(code, Some(Detail(null::text(&detail).to_string()))),
    );
    words.add(
        Part::Results,
        "quality(code)",
        "Counts a finding about the quality of the data.",
        |code: &str| {
            run::with(|run| {
                run.count(&checked(code)?);
                Ok(())
            })
        },
    );
    words.document(
        Part::Results,
        "throw text",
        "Parks the message as `script.error`; the text is kept by the archive only.",
    );
}

fn park(code: &str, detail: Option<Detail>) -> Fallible<()> {
    run::with(|run| {
        let code = checked(code)?;
        run.decide(Decision::Park { code, detail })
    })
}

/// The compiler has seen literal codes; a code can still come by a function pointer.
fn checked(code: &str) -> Fallible<String> {
    if is_code(code) { Ok(code.to_owned()) } else { Err("not a code of [a-z.-]+".into()) }
}

fn emit(run: &mut Run, name: &str, data: Dynamic, options: &Map) -> Fallible<()> {
    let Some(event_type) = catalogue::lookup(name) else {
        return Err(format!("`{name}` is not an event type").into());
    };
    if event_type.engine {
        return Err(format!("`{name}` is made by the engine, never by a script").into());
    }
    if run.emitted.len() >= run.givens.limits.events {
        return Stop::Output("more events than one message may have").raise();
    }
    if run.input.identity.is_nobody() {
        let why = sought::nobody(&run.input.message, &run.input.source);
        let (code, detail) = ("identity.none".to_owned(), Some(Detail(why)));
        return run.decide(Decision::Park { code, detail });
    }
    let (time, local) = self::options(run, options)?;
    let resources = resources(data)?;
    let at = resources.iter().find_map(|resource| resource.at().cloned());
    let mut parts: Vec<Built> = resources.into_iter().map(Resource::into_built).collect();
    let mut patients = parts.iter().filter(|part| is_patient(part));
    if !patients.all(|patient| run.is_about_its_patient(patient)) {
        return run.decide(parked("identity.changed"));
    }
    if !parts.iter().any(is_patient) {
        parts.insert(0, run.patient()?);
    }
    let Built { resource, mut cleared, mut replaced, .. } = bundle(parts);
    if event_type.repeats_the_person() {
        for paths in [&mut cleared, &mut replaced] {
            paths.retain(|path| !path.starts_with("Patient."));
        }
    }
    // Of one event alone, as of most messages, `events.max_bytes` takes care.
    if let Some(before) = run.emitted.last() {
        run.output = run.output.saturating_add(json::size(&before.data));
    }
    if run.output > run.givens.limits.output {
        return run.decide(parked("too-large"));
    }
    run.emitted.push(Emitted { event_type, data: resource, cleared, replaced, time, local, at });
    Ok(())
}

fn parked(code: &str) -> Decision {
    Decision::Park { code: code.to_owned(), detail: None }
}

/// `time` and `local` of the third argument; nothing else may stand there.
fn options(run: &Run, options: &Map) -> Fallible<(Option<String>, Option<String>)> {
    if let Some(other) = options.keys().find(|key| !matches!(key.as_str(), "time" | "local")) {
        return Err(format!("emit knows the options `time` and `local`, not `{other}`").into());
    }
    let text = |key: &str| {
        let text = options.get(key).map(null::text).filter(|text| !text.is_empty());
        text.map(|text| text.to_string())
    };
    let local = text("local");
    if let Some(authority) = &local
        && !run.input.identity.local.iter().any(|id| id.authority == *authority)
    {
        return Err("the patient has no local identifier of the authority in `local`".into());
    }
    Ok((text("time"), local))
}

/// A resource, a map with a `resourceType`, or a list of them, in which lists may stand again: what a
/// builder of several gave. `()` in a list is what a message did not state.
fn resources(data: Dynamic) -> Fallible<Vec<Resource>> {
    let mut found = Vec::new();
    collect(data, &mut found)?;
    if found.is_empty() { Err("an event needs at least one resource".into()) } else { Ok(found) }
}

fn collect(data: Dynamic, found: &mut Vec<Resource>) -> Fallible<()> {
    // By value: a resource that the script does not hold any more is not copied.
    match data.try_cast_result::<Array>() {
        Ok(list) => {
            let stated = list.into_iter().filter(|each| !each.is_unit());
            for each in stated {
                collect(each, found)?;
            }
        }
        Err(one) => found.push(Resource::from_dynamic(one)?),
    }
    Ok(())
}
