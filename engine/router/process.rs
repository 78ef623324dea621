//! From the bytes of one message to what becomes of it. One function for the running engine, for
//! `tieline transform` and for `tieline test`: the same bytes give the same events everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;
use std::sync::Arc;

use bytes::Bytes;
use hl7::header::Header;
use hl7::message::Message;
use hl7::profile::check::Breach;
use hl7::tolerance::Deviation;
use jiff::Timestamp;
use record::envelope::{self, Event, EventInput};
use record::identity::Identity;
use record::source::{Source, WrongCharset};
use record::timing::{self, Timing};
use record::{order, sensitivity, site, translation};
use transform::fault::{Fault, FaultClass};
use transform::outcome::{Decision, Emitted, Input};
use transform::script::Script;
use uuid::Uuid;

use crate::accept::{self, Decision as Rules};
use crate::entry::State;
use crate::order::OrderKey;
use crate::plan::ChannelPlan;

/// How often a script that was too slow is run again before its message parks as `overloaded`.
const TIME_RETRIES: usize = 3;

/// What the engine knows about a message besides its bytes.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its id in the journal.
    pub message_id: u64,
    /// When the outcome is recorded; fixed in the outcome, so that a redelivery has equal bytes.
    pub recorded: Timestamp,
    /// 0, and one more for each time an operator reprocesses it.
    pub revision: u32,
    /// The events of the outcome before, which those of this one replace.
    pub left: Vec<Uuid>,
    /// Whether the same bytes came before and were processed.
    pub repeated: bool,
    /// Whether an operator edited it.
    pub edited: bool,
    /// Whether an operator released it: a breach of its profile parks it no more.
    pub released: bool,
    /// Whether later messages of its patient may have gone before it.
    pub out_of_order: bool,
    /// What the source last stated of the patient, for the script.
    pub previous: Option<serde_json::Value>,
}

impl Facts {
    /// Those of a message that comes for the first time.
    pub fn new(message_id: u64, recorded: Timestamp) -> Self {
        Self {
            message_id,
            recorded,
            revision: 0,
            left: Vec::new(),
            repeated: false,
            edited: false,
            released: false,
            out_of_order: false,
            previous: None,
        }
    }
}

/// A message whose patient is known as far as it can be.
pub struct Identified {
    /// Bytes as received.
    pub frame: Bytes,
    /// Absent when not even MSH can be read, which intake would have refused.
    pub message: Option<(Message, Header)>,
    /// Whom it is about.
    pub identity: Option<Arc<Identity>>,
    /// The patients it names; empty when it waits for nobody.
    pub keys: Vec<OrderKey>,
    /// Whether it changes whom a number belongs to.
    pub about_identity: bool,
    /// Set when no script may see it.
    pub parked: Option<&'static str>,
}

/// Frame and keys name a patient: what is shown says only how far it got.
impl std::fmt::Debug for Identified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identified").field("parked", &self.parked).finish_non_exhaustive()
    }
}

impl Identified {
    /// A message that no script may see, and that waits for nothing.
    pub fn parked(frame: Bytes, reason: &'static str) -> Self {
        let (message, identity, keys) = (None, None, Vec::new());
        Self { frame, message, identity, keys, about_identity: false, parked: Some(reason) }
    }
}

/// What becomes of a message.
pub struct Processed {
    /// The state once every event has its receipt.
    pub state: State,
    /// Why it is parked or filtered.
    pub reason: Option<String>,
    /// Words about a fault; they may quote the message, so only operators see them.
    pub detail: Option<String>,
    /// The events in their order, each with its final bytes.
    pub events: Vec<Event>,
    /// The time of each event and where it came from.
    pub timings: Vec<Timing>,
    /// Whom it is about.
    pub identity: Option<Arc<Identity>>,
    /// Data-quality findings and their counts.
    pub quality: BTreeMap<String, u64>,
    /// What it does otherwise than its channel's profile; absent when it was held against none.
    pub breaches: Option<BTreeSet<Breach>>,
    /// Look-ups that found nothing, by table.
    pub table_misses: BTreeMap<String, u64>,
    /// What the script printed.
    pub printed: Vec<String>,
    /// What the script cost.
    pub operations: u64,
}

/// Nothing of the patient: details, events and what a script printed may quote the message.
impl std::fmt::Debug for Processed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Processed");
        shown.field("state", &self.state).field("reason", &self.reason);
        shown.field("events", &self.events.len()).finish_non_exhaustive()
    }
}

/// Reads a message and finds its patient; never fails, for whatever is wrong becomes a reason.
pub fn identify(channel: &ChannelPlan, frame: Bytes) -> Identified {
    let parked = |frame, message, reason| Identified {
        frame,
        message,
        identity: None,
        keys: Vec::new(),
        about_identity: false,
        parked: Some(reason),
    };
    let Ok(message) = Message::parse(frame.clone(), &channel.source.reading()) else {
        return parked(frame, None, "structure");
    };
    let Ok(header) = Header::read(&message) else {
        return parked(frame, None, "structure");
    };
    if !channel.accept.type_expected(&header.message_code, &header.trigger) {
        return parked(frame, Some((message, header)), "trigger.unknown");
    }
    if message.is_header_only() {
        return parked(frame, Some((message, header)), "structure");
    }
    let (message, noticed) = in_uk_terms(message, &channel.source);
    let keys = |identity| {
        let keys = order::order_keys(&message, &channel.source, identity);
        keys.iter().map(|key| OrderKey::from(key.as_str())).collect()
    };
    match Identity::read(&message, &channel.source) {
        Err(conflict) => {
            let keys = keys(None);
            let parked = parked(frame, Some((message, header)), conflict.code());
            Identified { keys, ..parked }
        }
        Ok(mut identity) => {
            identity.quality.extend(noticed);
            // A message without PID is left to the script, which may have no use for its kind.
            let nobody = identity.is_nobody() && message.segment("PID", 1).is_some();
            let reason = intolerable(&message, &channel.source)
                .or_else(|| site::unknown(&message, &channel.source))
                .or_else(|| sensitivity::unsupported(&message))
                .or(nobody.then_some("identity.none"));
            // Whom nobody could place waits for nobody.
            let keys =
                if reason == Some("identity.none") { Vec::new() } else { keys(Some(&identity)) };
            let about_identity = sensitivity::is_merge(&message);
            let message = Some((message, header));
            let identity = Some(Arc::new(identity));
            Identified { frame, message, identity, keys, about_identity, parked: reason }
        }
    }
}

/// The message in the terms of HL7 UK, and what was noticed on the way.
fn in_uk_terms(message: Message, source: &Source) -> (Message, Vec<&'static str>) {
    match translation::translated(&message, source) {
        Some(translated) => (translated.message, translated.quality),
        None => (message, Vec::new()),
    }
}

/// The same of a message that was refused before it was kept: no script sees it unless its channel
/// has come to accept it.
pub(crate) fn unless_refused(channel: &Arc<ChannelPlan>, identified: Identified) -> Identified {
    let header = identified.message.as_ref().map(|(_, header)| header);
    match header.map(|header| accept::decide(header, slice::from_ref(channel))) {
        Some(Rules::Refuse(refusal, _)) => {
            let parked = refusal.parked().or(identified.parked);
            Identified { parked, keys: Vec::new(), ..identified }
        }
        _ => identified,
    }
}

/// Runs the script and makes the events.
pub fn transform(channel: &ChannelPlan, identified: &Identified, facts: &Facts) -> Processed {
    let mut processed = Processed::parked("structure");
    processed.identity.clone_from(&identified.identity);
    if let Some(reason) = identified.parked {
        processed.reason = Some(reason.to_owned());
        return processed;
    }
    let (Some((message, header)), Some(identity)) = (&identified.message, &identified.identity)
    else {
        return processed;
    };
    for code in &identity.quality {
        *processed.quality.entry((*code).to_owned()).or_default() += 1;
    }
    for code in legibility(message) {
        *processed.quality.entry(code.to_owned()).or_default() += 1;
    }
    if let Some(conformance) = &channel.profile {
        // Rules were inferred from what the source sends, not from what it means.
        let as_sent = Message::parse(identified.frame.clone(), &channel.source.reading());
        let breaches = conformance.check(as_sent.as_ref().unwrap_or(message));
        for breach in &breaches {
            *processed.quality.entry(breach.class.code().to_owned()).or_default() += 1;
        }
        let parks = conformance.parks(&breaches).filter(|_| !facts.released);
        processed.breaches = Some(breaches);
        if let Some(parks) = parks {
            processed.reason = Some(parks.reason.to_owned());
            processed.detail = Some(parks.detail);
            return processed;
        }
    }
    let input = Input {
        message: message.clone(),
        source: channel.source.clone(),
        identity: identity.clone(),
        previous: facts.previous.clone(),
        stated: None,
        now: facts.recorded,
    };
    match run(&channel.script, &input) {
        Err(fault) => {
            let overloaded = fault.class == FaultClass::Time;
            let code = if overloaded { "overloaded" } else { fault.code };
            processed.reason = Some(code.to_owned());
            processed.detail = Some(format!("{fault}: {}", fault.detail.0));
            processed.printed = fault.printed;
        }
        Ok(outcome) => {
            for (code, count) in outcome.quality {
                *processed.quality.entry(code).or_default() += count;
            }
            processed.table_misses = outcome.table_misses;
            processed.printed = outcome.printed;
            processed.operations = outcome.operations;
            let about =
                About { channel, message, header, identity, frame: &identified.frame, facts };
            processed.decide(outcome.decision, &about);
        }
    }
    processed
}

/// Runs the script; again when it was only too slow, for then the machine may have been too busy.
fn run(script: &Script, input: &Input) -> Result<transform::outcome::Outcome, Fault> {
    for _ in 0..TIME_RETRIES {
        match script.run(input.clone()) {
            Err(fault) if fault.class == FaultClass::Time => {}
            ended => return ended,
        }
    }
    script.run(input.clone())
}

/// Why a message must not be read as it came, if its source is not known for sending such.
pub fn intolerable(message: &Message, source: &Source) -> Option<&'static str> {
    let found = message.tolerated();
    let unwanted = || found.deviations().find(|deviation| !source.tolerates(*deviation));
    let wrong = found.wrong_charset && source.wrong_charset == WrongCharset::Park;
    let structure = found.fragment().or_else(unwanted).map(Deviation::code);
    structure.or(wrong.then_some("charset.wrong"))
}

/// What of the message could be read only with tolerance. How lines end says nothing of the data.
fn legibility(message: &Message) -> impl Iterator<Item = &'static str> {
    use Deviation::{LineFeed, Mark, NoFinalReturn};
    let tolerated = message.tolerated();
    let found = [
        (message.undecodable() > 0).then_some("charset.undecodable"),
        tolerated.unknown_charset.then_some("charset.unknown"),
        tolerated.wrong_charset.then_some("charset.wrong"),
    ];
    let telling = |one: &Deviation| !matches!(one, LineFeed | Mark | NoFinalReturn);
    let structure = tolerated.deviations().filter(telling).map(Deviation::code);
    found.into_iter().flatten().chain(structure)
}

/// Both steps, for one message on its own.
pub fn process(channel: &ChannelPlan, frame: Bytes, facts: &Facts) -> Processed {
    transform(channel, &identify(channel, frame), facts)
}

struct About<'a> {
    channel: &'a ChannelPlan,
    message: &'a Message,
    header: &'a Header,
    identity: &'a Identity,
    frame: &'a Bytes,
    facts: &'a Facts,
}

impl Processed {
    /// A message that no script has seen, or whose script failed.
    pub fn parked(reason: &str) -> Self {
        Self {
            state: State::Parked,
            reason: Some(reason.to_owned()),
            detail: None,
            events: Vec::new(),
            timings: Vec::new(),
            identity: None,
            quality: BTreeMap::new(),
            breaches: None,
            table_misses: BTreeMap::new(),
            printed: Vec::new(),
            operations: 0,
        }
    }

    fn decide(&mut self, decision: Decision, about: &About<'_>) {
        match decision {
            Decision::Filter { code } => {
                self.state = State::Filtered;
                self.reason = Some(code);
            }
            Decision::Park { code, detail } => {
                self.reason = Some(code);
                self.detail = detail.map(|detail| detail.0);
            }
            Decision::Emit(emitted) => {
                let (events, timings) = make_events(emitted, about);
                for code in timings.iter().flat_map(|timing| &timing.quality) {
                    *self.quality.entry((*code).to_owned()).or_default() += 1;
                }
                let largest = events.iter().map(|event| event.body.len()).max().unwrap_or(0);
                if largest > about.channel.max_event_bytes {
                    // Nothing is ever truncated, and half of a message's events is a lie.
                    self.reason = Some("too-large".to_owned());
                    self.detail = Some(format!(
                        "an event of {largest} bytes is over events.max_bytes ({})",
                        about.channel.max_event_bytes
                    ));
                    return;
                }
                self.state = State::Published;
                self.reason = None;
                self.events = events;
                self.timings = timings;
            }
        }
    }
}

fn make_events(emitted: Vec<Emitted>, about: &About<'_>) -> (Vec<Event>, Vec<Timing>) {
    let content_hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, about.frame);
    let mut of_type: BTreeMap<&str, u32> = BTreeMap::new();
    let mut events = Vec::with_capacity(emitted.len());
    let mut timings = Vec::with_capacity(emitted.len());
    for (position, emitted) in (1_u32..).zip(emitted) {
        let nth = of_type.entry(emitted.event_type.name).or_default();
        *nth += 1;
        let timing = timing::event_time(
            emitted.event_type,
            about.message,
            emitted.at,
            &about.channel.source,
            emitted.time.as_deref(),
            about.facts.recorded,
        );
        let event = envelope::event(EventInput {
            event_type: emitted.event_type,
            message: about.message,
            header: about.header,
            source: &about.channel.source,
            identity: about.identity,
            known: Known::default(),
            local: emitted.local.as_deref(),
            message_id: about.facts.message_id,
            position,
            nth_of_type: *nth,
            data: emitted.data,
            cleared: &emitted.cleared,
            replaced: &emitted.replaced,
            timing: &timing,
            recorded: about.facts.recorded,
            configversion: &about.channel.version,
            revision: about.facts.revision,
            left: &about.facts.left,
            repeated: about.facts.repeated || about.header.control_id.is_empty(),
            edited: about.facts.edited,
            out_of_order: about.facts.out_of_order,
            content_hash: content_hash.as_bytes(),
            traceparent: None,
        });
        events.push(event);
        timings.push(timing);
    }
    (events, timings)
}
