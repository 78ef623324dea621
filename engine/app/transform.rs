//! `tieline transform`: one message through one channel's script, and where everything came from.

use std::io::{self, Write};

use anyhow::{Result, bail};
use console::message_tree;
use hl7::acknowledgement::AckCode;
use hl7::dictionary::names::Names;
use hl7::header::Header;
use hl7::location::Location;
use hl7::message::Message;
use hl7::segment::Segment;
use hl7::tree;
use jiff::Timestamp;
use record::identity::Identity;
use record::nhs_number::Status;
use record::timing::Timing;
use record::unreached;
use router::identified::Identified;
use router::plan::ChannelPlan;
use router::process::Processed;
use serde_json::{Map, Value, json};

use crate::arguments::{Format, TransformArgs};
use crate::cells::list;
use crate::exit::Exit;
use crate::message_files;
use crate::output::Output;
use crate::rehearsal::{self, Given, Played, Stage};
use crate::screen::Screen;
use crate::show_view;

pub(crate) fn run(args: &TransformArgs) -> Result<Exit> {
    let Some(loaded) = args.configuration.load_or_explain()? else { return Ok(Exit::Wrong) };
    let stage = Stage::set(loaded)?;
    let channel = stage.channel(&args.channel)?;
    let mut messages = message_files::split(&message_files::read(&args.message)?);
    let (found, file) = (messages.len(), args.message.display());
    let (Some(message), true) = (messages.pop(), found == 1) else {
        bail!(
            "{file} holds {found} messages, and one is tried at a time: put one into a file of its own \
             (`tieline check --messages` looks at many)"
        );
    };
    let given = Given::at(Timestamp::now());
    let played = rehearsal::play(channel, message, &given)?;

    let mut output = Output::standard();
    match args.format {
        Format::Text => show(&mut output, channel, &played, args.explain)?,
        format => output.document(format, &document(channel, &played, args))?,
    }
    if !args.explain {
        for line in printed(&played) {
            writeln!(io::stderr(), "printed: {line}")?;
        }
    }
    Ok(Exit::well_if(!matches!(played.state, "parked" | "refused")))
}

fn printed(played: &Played) -> &[String] {
    played.making.as_ref().map_or(&[], |(_, processed)| &processed.printed)
}

fn document(channel: &ChannelPlan, played: &Played, args: &TransformArgs) -> Value {
    let mut document = json!({
        "channel": args.channel,
        "ack": played.ack.map(AckCode::as_str),
        "state": played.state,
        "reason": played.reason,
        "detail": played.detail,
        "unreached": unreached(played).len(),
        "events": played.events,
    });
    if let Some((identified, processed)) = played.making.as_ref().filter(|_| args.explain) {
        document["explain"] = explanation(channel, identified, processed);
        document["explain"]["unreached"] = unreached_names(channel, played);
    }
    document
}

/// Where the message says something that no event says.
fn unreached(played: &Played) -> Vec<Location> {
    let message = played.making.as_ref().and_then(|(identified, _)| identified.message.as_ref());
    message.map_or_else(Vec::new, |(message, _)| unreached::unreached(message, &played.events))
}

/// The same with the names of the places.
fn unreached_names(channel: &ChannelPlan, played: &Played) -> Value {
    let making = played.making.as_ref();
    let Some((message, _)) = making.and_then(|(identified, _)| identified.message.as_ref()) else {
        return json!([]);
    };
    let names = Names::of(message, &channel.source.segments);
    let named = unreached(played).into_iter().map(|at| {
        let segment = message.segment(at.segment.as_str(), at.occurrence as usize);
        let name = segment.map(|segment| called(&names, &segment, &at));
        json!({ "at": at.to_string(), "name": name })
    });
    named.collect()
}

fn called(names: &Names<'_>, segment: &Segment<'_>, at: &Location) -> String {
    let place = names.place(segment, at);
    let parts = [Some(place.field), place.component, place.subcomponent];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn explanation(channel: &ChannelPlan, identified: &Identified, processed: &Processed) -> Value {
    let message = identified.message.as_ref();
    json!({
        "header": message.map(|(message, header)| header_facts(message, header)),
        "segments": message.map(|(message, _)| segments(channel, message)),
        "identity": processed.identity.as_deref().map(identity),
        "times": processed.timings.iter().map(timing).collect::<Vec<_>>(),
        "quality": processed.quality,
        "table_misses": processed.table_misses,
        "printed": processed.printed,
        "operations": processed.operations,
    })
}

fn header_facts(message: &Message, header: &Header) -> Value {
    json!({
        "type": header.message_type(),
        "control_id": header.control_id_text(),
        "sender": header.sender(),
        "version": header.version,
        "charset": message.received_in().name(),
        "undecodable_bytes": message.undecodable(),
    })
}

/// Each segment with its values by location, and what those places are called; HL7 null is `null`.
fn segments(channel: &ChannelPlan, message: &Message) -> Value {
    let names = Names::of(message, &channel.source.segments);
    message
        .segments()
        .map(|segment| match tree::tree(&segment, message.delimiters(), message.charset()) {
            Ok(tree) => {
                let (mut values, mut named) = (Map::new(), Map::new());
                for (at, value) in tree.leaves() {
                    named.insert(at.to_string(), called(&names, &segment, &at).into());
                    values.insert(at.to_string(), value.into_option().into());
                }
                json!({
                    "segment": tree.location.to_string(),
                    "name": names.segment(segment.name()),
                    "values": values,
                    "names": named,
                })
            }
            Err(error) => json!({ "segment": segment.name(), "unreadable": error.to_string() }),
        })
        .collect()
}

fn identity(identity: &Identity) -> Value {
    let stated = identity.stated.iter().map(|stated| match &stated.verdict {
        Ok(number) => json!({ "at": stated.at.to_string(), "number": number.to_string() }),
        Err(error) => json!({ "at": stated.at.to_string(), "problem": error.to_string() }),
    });
    json!({
        "nhs_number": identity.nhs_number.map(|number| number.to_string()),
        "keys_events": identity.nhs_number.is_some(),
        "valid": identity.valid.map(|number| number.to_string()),
        "status": identity.status.map(Status::code),
        "stated": stated.collect::<Vec<_>>(),
        "local": identity.local.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "best_local": identity.best_local.as_ref().map(ToString::to_string),
        "quality": identity.quality,
    })
}

fn timing(timing: &Timing) -> Value {
    json!({
        "time": timing.time,
        "basis": timing.basis,
        "precision": timing.precision.as_str(),
        "ambiguous": timing.ambiguous,
        "shifted": timing.shifted,
        "future": timing.future,
    })
}

fn show(output: &mut Output, channel: &ChannelPlan, played: &Played, explain: bool) -> Result<()> {
    let paint = output.paint;
    let state = match played.state {
        "parked" | "refused" => paint.red(played.state),
        other => paint.green(other),
    };
    let ack = played.ack.map_or("no answer", |code| code.as_str());
    output
        .line(format_args!("{ack}  {state}  {}", played.reason.as_deref().unwrap_or_default()))?;
    if let Some(detail) = &played.detail {
        output.line(format_args!("  {detail}"))?;
    }
    if let Some((identified, processed)) = played.making.as_ref().filter(|_| explain) {
        if let Some((message, _)) = &identified.message {
            let tree = message_tree::document(message, &channel.source.segments);
            let mut text = Screen::default();
            for one in list(&tree, "segments") {
                show_view::segment(&mut text, one, paint);
            }
            output.text(text.text())?;
        }
        let mut facts = explanation(channel, identified, processed);
        if let Some(facts) = facts.as_object_mut() {
            // What stands above says the same.
            facts.shift_remove("segments");
        }
        facts["unreached"] = unreached_names(channel, played);
        output.line(format_args!("{facts:#}"))?;
    }
    let missing = unreached(played).len();
    if missing > 0 {
        let how = if explain { "" } else { ", --explain lists them" };
        output.line(format_args!("  {missing} values of the message are in no event{how}"))?;
    }
    for event in &played.events {
        output.line(format_args!("{event:#}"))?;
    }
    Ok(())
}
