//! `/messages/{id}`: everything that is known of one message.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use hl7::dictionary::names::LocalNames;
use hl7::message::{Message, Reading};
use router::found::Shown;
use router::handle::Handle;
use serde_json::{Value, json};

use crate::actor::Person;
use crate::deciding::to_the_end;
use crate::lines::{self, NDJSON};
use crate::message_tree;
use crate::parked::{Because, decision};
use crate::refusal::{Refusal, blocking};
use crate::times;

const HL7: HeaderValue = HeaderValue::from_static("x-application/hl7-v2+er7");

async fn find(engine: Handle, id: Result<Path<u64>, PathRejection>) -> Result<Shown, Refusal> {
    let Path(id) = id?;
    let shown = blocking(move || engine.show(id)).await??;
    shown.ok_or_else(|| no_message(id))
}

/// Its row, what happened to it, its events' names, and its bytes as text.
pub(crate) async fn message(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<Value>, Refusal> {
    let shown = find(engine.clone(), id).await?;
    Ok(Json(document(&engine, &shown)))
}

/// All of it, for somebody who says why they look; kept in the audit before anything is shown.
pub(crate) async fn look(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<Json<Value>, Refusal> {
    let shown = opened(&engine, id, person, because).await?;
    let tree = tree_of(&engine, &shown).ok();
    let events = shown.events.iter().map(|event| serde_json::from_slice(event).unwrap_or_default());
    let events: Vec<Value> = events.collect();
    Ok(Json(json!({ "message": document(&engine, &shown), "tree": tree, "events": events })))
}

/// The bytes alone.
pub(crate) async fn look_raw(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<Response, Refusal> {
    let shown = opened(&engine, id, person, because).await?;
    Ok(([(header::CONTENT_TYPE, HL7)], bytes_of(&shown)?).into_response())
}

async fn opened(
    engine: &Handle,
    id: Result<Path<u64>, PathRejection>,
    person: Person,
    because: Result<Json<Because>, JsonRejection>,
) -> Result<Shown, Refusal> {
    let (id, actor) = decision(id, person, because)?;
    let open = engine.clone();
    let shown = blocking(move || open.open(id)).await??;
    let shown = shown.ok_or_else(|| no_message(id))?;
    let (engine, looked) = (engine.clone(), shown.clone());
    to_the_end(async move { engine.operators().look(&looked, &actor).await }).await?;
    Ok(shown)
}

fn no_message(id: u64) -> Refusal {
    Refusal::absent(format!("there is no message {id}, or no longer"))
}

fn document(engine: &Handle, shown: &Shown) -> Value {
    let mut document = serde_json::to_value(&shown.row).expect("rows hold texts, numbers, lists");
    let (story, found) = (&shown.story, &shown.story.row);
    let timeline = story.timeline.iter().map(|moment| {
        json!({
            "at": times::shown(moment.at_ms),
            "what": moment.what,
            "state": moment.state,
            "reason": moment.reason,
            "actor": moment.actor,
            "note": moment.note,
            "routes": moment.routes,
        })
    });
    let events = story.events.iter().map(|event| {
        json!({
            "id": event.event_id,
            "type": event.event_type,
            "routing_key": event.routing_key,
            "length": event.length,
        })
    });
    let reading = reading(engine, shown);
    let text = shown.frame.as_ref().map(|frame| Readable::of(frame, &reading));
    let more = json!({
        "behind": engine.behind(found.id),
        "peer": found.peer,
        "sender": found.sender,
        "size": found.size,
        "configversion": story.configversion,
        "revision": story.revision,
        "event_list": events.collect::<Vec<_>>(),
        "timeline": timeline.collect::<Vec<_>>(),
        "frame": text.as_ref().map(|text| &text.text),
        "charset": text.as_ref().map(|text| text.charset),
        "undecodable": text.as_ref().map(|text| text.undecodable),
        "proposed": shown.proposed.as_ref().map(|edit| Readable::of(edit, &reading).text),
        "proposed_edit": shown.proposed.as_ref().map(|edit| router::operators::mark(edit)),
    });
    if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
        document.extend(more);
    }
    document
}

/// Its bytes as they came.
pub(crate) async fn raw(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Response, Refusal> {
    let frame = bytes_of(&find(engine, id).await?)?;
    Ok(([(header::CONTENT_TYPE, HL7)], frame).into_response())
}

/// The edit that waits for a second person, as bytes.
pub(crate) async fn proposed(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Response, Refusal> {
    let shown = unsealed(find(engine, id).await?)?;
    let words = format!("no edit of message {} waits for approval", shown.row.id);
    let edit = shown.proposed.ok_or_else(|| Refusal::absent(words))?;
    Ok(([(header::CONTENT_TYPE, HL7)], edit).into_response())
}

/// The events of its latest outcome.
pub(crate) async fn events(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Response, Refusal> {
    let shown = unsealed(find(engine, id).await?)?;
    Ok(([(header::CONTENT_TYPE, NDJSON)], lines::join(&shown.events)).into_response())
}

/// Its segments and fields with their names.
pub(crate) async fn tree(
    State(engine): State<Handle>,
    id: Result<Path<u64>, PathRejection>,
) -> Result<Json<Value>, Refusal> {
    let shown = find(engine.clone(), id).await?;
    Ok(Json(tree_of(&engine, &shown)?))
}

fn tree_of(engine: &Handle, shown: &Shown) -> Result<Value, Refusal> {
    let (source, reading) = (engine.source(&shown.row.channel), reading(engine, shown));
    let message = Message::parse(bytes_of(shown)?, &reading);
    let message = message.map_err(|error| Refusal::absent(format!("no tree: {error}")))?;
    let unnamed = LocalNames::new();
    let local = source.as_ref().map_or(&unnamed, |source| &source.segments);
    Ok(message_tree::document(&message, local))
}

/// How its channel reads it, so that people see what the script saw.
fn reading(engine: &Handle, shown: &Shown) -> Reading {
    engine.source(&shown.row.channel).map(|source| source.reading()).unwrap_or_default()
}

fn bytes_of(shown: &Shown) -> Result<axum::body::Bytes, Refusal> {
    sealed(shown)?;
    let words = format!(
        "the journal no longer holds the bytes of message {}: see engine.journal.retain",
        shown.row.id
    );
    shown.frame.clone().ok_or_else(|| Refusal::absent(words))
}

fn unsealed(shown: Shown) -> Result<Shown, Refusal> {
    sealed(&shown).map(|()| shown)
}

fn sealed(shown: &Shown) -> Result<(), Refusal> {
    let words = format!(
        "message {0} names identifiers that must not be linked: tieline show {0} --reason \"...\" \
         shows it, and tieline audit keeps who looked",
        shown.row.id
    );
    if shown.row.withheld { Err(Refusal::absent(words)) } else { Ok(()) }
}

/// Bytes as a person reads them.
struct Readable {
    text: String,
    charset: &'static str,
    /// Bytes that mean nothing in the character set; the text shows something else there.
    undecodable: usize,
}

impl Readable {
    fn of(frame: &axum::body::Bytes, reading: &Reading) -> Self {
        let Ok(message) = Message::parse(frame.clone(), reading) else {
            let charset = reading.default_charset;
            let decoded = charset.decode(frame);
            let (text, undecodable) = (decoded.text.into_owned(), decoded.undecodable);
            return Self { text, charset: charset.name(), undecodable };
        };
        let text = message.charset().decode(message.readable()).text.into_owned();
        let (charset, undecodable) = (message.received_in().name(), message.undecodable());
        Self { text, charset, undecodable }
    }
}
