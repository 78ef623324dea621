//! From the bytes of one message to what becomes of it. One function for the running engine, for
//! `tieline transform` and for `tieline test`: the same bytes give the same events everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use hl7::message::Message;
use hl7::profile::check::Breach;
use hl7::tolerance::Deviation;
use identity::decision::Decision as Whom;
use identity::fact::Fact;
use identity::index::Index;
use record::envelope::Event;
use record::identity::Identity;
use record::timing::Timing;
use transform::fault::{Fault, FaultClass};
use transform::outcome::{Decision, Emitted, Input, Statement};
use transform::script::Script;

use crate::composing::{About, compose};
use crate::entry::{State, StoredEvent};
use crate::facts::Facts;
use crate::identified::{Identified, identify};
use crate::plan::ChannelPlan;

/// How often a script that was too slow is run again before its message parks as `overloaded`.
const TIME_RETRIES: usize = 3;

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
    /// Events of an earlier outcome of the same message that still have to leave, in their bytes.
    pub(crate) carried: Vec<(StoredEvent, Bytes)>,
    /// What the script emitted, until it is made into events.
    emitted: Vec<Emitted>,
    /// The time of each event and where it came from.
    pub timings: Vec<Timing>,
    /// Whom it is about, under the number that the index holds.
    pub identity: Option<Arc<Identity>>,
    /// What the identity index learns from it.
    pub learned: Vec<Fact>,
    /// Whether it says that its patient is protected or dissents, and nobody has learned it: then
    /// nothing of the patient may go before it, on any channel.
    pub withholds: bool,
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

/// Decides about the patient, runs the script and makes the events.
pub fn transform(
    channel: &ChannelPlan,
    identified: &Identified,
    facts: &Facts,
    index: &Index,
) -> Processed {
    let mut processed = Processed::parked("structure");
    processed.identity.clone_from(&identified.identity);
    processed.withholds = identified.raises();
    if let Some(reason) = identified.parked {
        processed.reason = Some(reason.to_owned());
        processed.detail = identified.detail(&channel.source);
        return processed;
    }
    let Identified { message: Some((message, header)), identity: Some(identity), .. } = identified
    else {
        return processed;
    };
    let Some(stated) = &identified.stated else { return processed };
    for code in &identity.quality {
        *processed.quality.entry((*code).to_owned()).or_default() += 1;
    }
    let as_sent = identified.as_sent.as_ref().unwrap_or(message);
    for code in legibility(as_sent) {
        *processed.quality.entry(code.to_owned()).or_default() += 1;
    }
    let rules = channel.identity.rules(&channel.name, facts.resolution);
    let decided = match &facts.unmerge {
        Some(retired) => index.unmerge(facts.message_id, facts.received, retired),
        None => index.decide(facts.message_id, facts.received, stated, &rules),
    };
    let mut whom = match decided {
        Ok(whom) => whom,
        Err(error) => {
            processed.reason = Some("identity.unreadable".to_owned());
            processed.detail = Some(error.to_string());
            return processed;
        }
    };
    for code in &whom.quality {
        *processed.quality.entry((*code).to_owned()).or_default() += 1;
    }
    if let Some(parked) = whom.parked {
        processed.reason = Some(parked.code.to_owned());
        processed.detail = Some(parked.detail.to_owned());
        return processed;
    }
    if let Some(previous) = &facts.previous {
        whom.stated = stated.after(Some(previous));
        whom.previous = Some(previous.clone());
    }
    let identity = Arc::new(identity.known_as(whom.number));
    processed.identity = Some(identity.clone());
    processed.withholds = false;
    let about = About::new(channel, (message, header), &identified.frame, facts, &whom);
    // Rules were inferred from what the source sends, not from what it means. What takes a merge
    // back is ours.
    let ours = facts.unmerge.is_some();
    let breach = if ours { None } else { held_against(channel, as_sent, facts, &mut processed) };
    match breach {
        Some(parks) => (processed.reason, processed.detail) = parks,
        None if ours => processed.settle_without_events(),
        None => {
            let before = (whom.previous.take(), whom.stated.clone());
            processed.run(&about, &identity, before);
            // What it says of identity is a result, though its script has none.
            let silent = processed.reason.as_deref() == Some("script.no-result");
            if silent && (stated.moves() || !whom.events.is_empty()) {
                processed.settle_without_events();
            }
        }
    }
    processed.announce(&about, &identity, whom);
    processed
}

/// The reason for which a message that breaks its channel's profile parks.
fn held_against(
    channel: &ChannelPlan,
    message: &Message,
    facts: &Facts,
    processed: &mut Processed,
) -> Option<(Option<String>, Option<String>)> {
    let conformance = channel.profile.as_ref()?;
    let breaches = conformance.check(message);
    for breach in &breaches {
        *processed.quality.entry(breach.class.code().to_owned()).or_default() += 1;
    }
    let parks = conformance.parks(&breaches).filter(|_| !facts.released);
    processed.breaches = Some(breaches);
    parks.map(|parks| (Some(parks.reason.to_owned()), Some(parks.detail)))
}

/// Runs the script; again when it was only too slow, for then the machine may have been too busy.
fn run(script: &Script, input: &Arc<Input>) -> Result<transform::outcome::Outcome, Fault> {
    for _ in 0..TIME_RETRIES {
        match script.run(Arc::clone(input)) {
            Err(fault) if fault.class == FaultClass::Time => {}
            ended => return ended,
        }
    }
    script.run(Arc::clone(input))
}

/// What of the message could be read only with tolerance. How lines end says nothing of the data.
fn legibility(message: &Message) -> impl Iterator<Item = &'static str> {
    use Deviation::{LineFeed, Mark, NoFinalReturn};
    let tolerated = message.tolerated();
    let found = [
        (message.undecodable() > 0).then_some("charset.undecodable"),
        tolerated.unknown_charset.then_some("charset.unknown"),
        tolerated.wrong_charset.then_some("charset.wrong"),
        (message.truncated() > 0).then_some("value.truncated"),
    ];
    let telling = |one: &Deviation| !matches!(one, LineFeed | Mark | NoFinalReturn);
    let structure = tolerated.deviations().filter(telling).map(Deviation::code);
    found.into_iter().flatten().chain(structure)
}

/// All steps, for one message on its own.
pub fn process(channel: &ChannelPlan, frame: Bytes, facts: &Facts, index: &Index) -> Processed {
    transform(channel, &identify(channel, frame, index), facts, index)
}

impl Processed {
    /// A message that no script has seen, or whose script failed.
    pub fn parked(reason: &str) -> Self {
        Self {
            state: State::Parked,
            reason: Some(reason.to_owned()),
            detail: None,
            events: Vec::new(),
            carried: Vec::new(),
            emitted: Vec::new(),
            timings: Vec::new(),
            identity: None,
            learned: Vec::new(),
            withholds: false,
            quality: BTreeMap::new(),
            breaches: None,
            table_misses: BTreeMap::new(),
            printed: Vec::new(),
            operations: 0,
        }
    }

    /// The same when the journal cannot take what it came to. What it would have taught nobody
    /// learns, so that nothing of its patients may go before it.
    pub(crate) fn too_large(self) -> Self {
        let withholds = !self.learned.is_empty();
        Self { identity: self.identity, withholds, ..Self::parked("too-large") }
    }

    /// What the engine had to say when the message was processed before, and what did not leave: the
    /// index knows it by now, so that nobody would say it again.
    pub(crate) fn carry(&mut self, unsent: Vec<(StoredEvent, Bytes)>) {
        self.carried = unsent;
        if self.state == State::Filtered && !self.carried.is_empty() {
            self.state = State::Published;
            self.reason = None;
        }
    }

    /// Whether no event follows.
    pub(crate) fn leaves_nothing(&self) -> bool {
        self.events.is_empty() && self.carried.is_empty()
    }

    fn settle_without_events(&mut self) {
        self.state = State::Filtered;
        self.reason = Some("identity-only".to_owned());
        self.detail = None;
    }

    /// Runs the script, given what the source stated of the patient before and states now.
    fn run(
        &mut self,
        about: &About<'_>,
        identity: &Arc<Identity>,
        (previous, stated): (Option<Arc<Statement>>, Arc<Statement>),
    ) {
        let input = Input {
            message: about.message.clone(),
            source: about.channel.source.clone(),
            identity: identity.clone(),
            previous,
            stated: Some(stated),
            now: about.facts.recorded,
        };
        match run(&about.channel.script, &Arc::new(input)) {
            Err(fault) => {
                let overloaded = fault.class == FaultClass::Time;
                let code = if overloaded { "overloaded" } else { fault.code };
                self.reason = Some(code.to_owned());
                self.detail = Some(format!("{fault}: {}", fault.detail.0));
                self.printed = fault.printed;
            }
            Ok(outcome) => {
                for (code, count) in outcome.quality {
                    *self.quality.entry(code).or_default() += count;
                }
                self.table_misses = outcome.table_misses;
                self.printed = outcome.printed;
                self.operations = outcome.operations;
                self.decide(outcome.decision);
            }
        }
    }

    fn decide(&mut self, decision: Decision) {
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
                self.state = State::Published;
                self.reason = None;
                self.emitted = emitted;
            }
        }
    }

    /// What the engine itself has to say of the patient goes first, whatever the script made of the
    /// message, and counts as a result.
    fn announce(&mut self, about: &About<'_>, identity: &Identity, whom: Whom) {
        let emitted = std::mem::take(&mut self.emitted);
        let (events, timings) = compose(&whom.events, emitted, identity, about);
        let largest = events.iter().map(|event| event.body.len()).max().unwrap_or(0);
        if largest > about.channel.max_event_bytes {
            // Nothing is ever truncated, and half of a message's events is a lie.
            self.state = State::Parked;
            self.withholds = about.marks.protected || about.marks.dissent;
            self.reason = Some("too-large".to_owned());
            self.detail = Some(format!(
                "an event of {largest} bytes is over events.max_bytes ({})",
                about.channel.max_event_bytes
            ));
            return;
        }
        let of_times = timings.iter().flat_map(|timing| &timing.quality);
        for code in of_times.chain(events.iter().flat_map(|event| &event.quality)) {
            *self.quality.entry((*code).to_owned()).or_default() += 1;
        }
        if self.state == State::Filtered && !events.is_empty() {
            self.state = State::Published;
            self.reason = None;
        }
        self.learned = whom.facts;
        if self.state == State::Parked {
            // It will be processed again, and is then to find what was stated before it.
            self.learned.retain(|fact| !matches!(fact, Fact::Stated { .. }));
        }
        self.events = events;
        self.timings = timings;
    }
}
