//! From what was decided about a message to the bytes of its events.

use std::collections::BTreeMap;

use bytes::Bytes;
use hl7::header::Header;
use hl7::message::Message;
use identity::decision::Decision as Whom;
use identity::event::EngineEvent;
use record::catalogue::{self, EventType};
use record::envelope::{self, Event, EventInput, Known};
use record::fhir::built::Built;
use record::identity::Identity;
use record::marks::Marks;
use record::name_based::name_based;
use record::replay::is_replay;
use record::timing::{self, Timing};
use record::whereabouts::Told;
use transform::outcome::Emitted;
use uuid::Uuid;

use crate::announcement;
use crate::facts::Facts;
use crate::plan::ChannelPlan;

/// What all events of a message share.
pub(crate) struct About<'a> {
    pub(crate) channel: &'a ChannelPlan,
    pub(crate) message: &'a Message,
    pub(crate) facts: &'a Facts,
    header: &'a Header,
    content_hash: Uuid,
    partition: Option<String>,
    causation: String,
    /// What sets its events apart.
    pub(crate) marks: Marks,
    told: Vec<Told>,
}

impl<'a> About<'a> {
    pub(crate) fn new(
        channel: &'a ChannelPlan,
        (message, header): (&'a Message, &'a Header),
        frame: &Bytes,
        facts: &'a Facts,
        whom: &Whom,
    ) -> Self {
        let content_hash = name_based(&Uuid::NAMESPACE_OID, frame);
        // The journal's number: the same whenever the message is processed again.
        let cause = format!("{} {}", channel.source.uri(), facts.message_id);
        Self {
            channel,
            message,
            facts,
            header,
            content_hash,
            partition: whom.patient.map(|patient| patient.to_string()),
            causation: name_based(&content_hash, cause.as_bytes()).to_string(),
            marks: Marks {
                protected: whom.protected,
                dissent: whom.dissent,
                bulk: is_replay(message),
                ..Marks::NONE
            },
            told: whom.told.clone(),
        }
    }
}

/// One event in the making.
struct Part<'a> {
    event_type: &'static EventType,
    identity: &'a Identity,
    known: Known<'a>,
    made: Made,
}

/// What it says.
struct Made {
    data: record::json::Value,
    cleared: Vec<String>,
    replaced: Vec<String>,
    time: Option<String>,
    local: Option<String>,
    at: Option<std::ops::Range<usize>>,
}

/// The events of a message: those of the engine, then those of its script, each with its time.
pub(crate) fn compose(
    announced: &[EngineEvent],
    emitted: Vec<Emitted>,
    identity: &Identity,
    about: &About<'_>,
) -> (Vec<Event>, Vec<Timing>) {
    let mut sheet =
        Sheet { about, of_type: BTreeMap::new(), events: Vec::new(), timings: Vec::new() };
    for announced in announced {
        // Every name is in the catalogue: a test of the identity crate's names holds that.
        let Some(event_type) = catalogue::lookup(announced.what.name()) else { continue };
        let partition = announced.patient.to_string();
        let known = Known {
            partition: Some(&partition),
            causation: Some(&about.causation),
            // Who is who, and who is protected, is so for all, whatever brought it to light.
            marks: if announced.restricted {
                Marks { bulk: false, ..about.marks }
            } else {
                Marks::NONE
            },
            told: &about.told,
        };
        let identity = announcement::whom(announced);
        let made = announcement::data(announced, about.message, &about.channel.source);
        sheet.add(Part { event_type, identity: &identity, known, made: Made::of(made) });
    }
    let known = Known {
        partition: about.partition.as_deref(),
        causation: None,
        marks: about.marks,
        told: &about.told,
    };
    for emitted in emitted {
        let Emitted { event_type, data, cleared, replaced, time, local, at } = emitted;
        let made = Made { data, cleared, replaced, time, local, at };
        sheet.add(Part { event_type, identity, known, made });
    }
    (sheet.events, sheet.timings)
}

impl Made {
    fn of(built: Built) -> Self {
        let Built { resource, cleared, replaced, .. } = built;
        Self { data: resource, cleared, replaced, time: None, local: None, at: None }
    }
}

/// The events so far.
struct Sheet<'a> {
    about: &'a About<'a>,
    of_type: BTreeMap<&'static str, u32>,
    events: Vec<Event>,
    timings: Vec<Timing>,
}

impl Sheet<'_> {
    fn add(&mut self, part: Part<'_>) {
        let About { channel, message, facts, header, content_hash, .. } = self.about;
        let nth = self.of_type.entry(part.event_type.name).or_default();
        *nth += 1;
        let Made { data, cleared, replaced, time, local, at } = part.made;
        let source = &channel.source;
        let timing = timing::event_time(
            part.event_type,
            message,
            at,
            source,
            time.as_deref(),
            facts.recorded,
        );
        let event = envelope::event(EventInput {
            event_type: part.event_type,
            message,
            header,
            source,
            identity: part.identity,
            known: part.known,
            local: local.as_deref(),
            message_id: facts.message_id,
            position: u32::try_from(self.events.len() + 1).unwrap_or(u32::MAX),
            nth_of_type: *nth,
            data,
            cleared,
            replaced,
            timing: &timing,
            recorded: facts.recorded,
            configversion: &channel.version,
            revision: facts.revision,
            left: &facts.left,
            repeated: facts.repeated || header.control_id.is_empty(),
            edited: facts.edited,
            out_of_order: facts.out_of_order,
            content_hash: content_hash.as_bytes(),
            traceparent: None,
        });
        self.events.push(event);
        self.timings.push(timing);
    }
}
