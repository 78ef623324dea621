//! One message through one channel without an engine: the same functions as the running engine, so
//! that what is seen here is what will happen there.

use std::collections::BTreeMap;
use std::slice;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use hl7::acknowledgement::{AckCode, Outcome};
use hl7::due::all_due;
use hl7::header::Header;
use identity::index::{Index, Origin, Settings};
use identity::question::Asked;
use jiff::Timestamp;
use record::identity::Identity;
use record::local::LocalId;
use record::nhs_number::{NhsNumber, Status};
use router::accept::{self, Decision};
use router::config::load::Loaded;
use router::entry::State;
use router::facts::Facts;
use router::identified::{Identified, identify, taking_back};
use router::plan::{ChannelPlan, Plan};
use router::process::{self, Processed};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

/// The channels of a configuration, ready to be tried.
#[derive(Debug)]
pub(crate) struct Stage {
    channels: BTreeMap<String, Arc<ChannelPlan>>,
}

/// What the engine would know besides the message.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The time of receipt and of recording.
    pub(crate) now: Timestamp,
    /// Whom the message is about, in place of what it says itself.
    pub(crate) identity: Option<GivenIdentity>,
    /// What the source last stated of the patient.
    pub(crate) previous: Option<Value>,
    /// What came before it.
    pub(crate) before: Vec<Earlier>,
    /// Set when a person takes the merge of this patient back by it.
    pub(crate) unmerge: Option<Asked>,
}

/// A message that came before: the identity index has learned from it.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub(crate) channel: Arc<ChannelPlan>,
    pub(crate) frame: Bytes,
}

/// An identity as it is written down for a golden case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GivenIdentity {
    /// The number that keys the events; nothing keys them when absent.
    nhs_number: Option<String>,
    /// Its status, `01`.
    status: Option<String>,
    /// The source's own identifiers, the best first.
    #[serde(default)]
    local: Vec<GivenLocal>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenLocal {
    authority: String,
    r#type: String,
    value: String,
}

/// What became of the message.
#[derive(Debug)]
pub(crate) struct Played {
    /// The code the sender would get; nothing when it asked for no answer.
    pub(crate) ack: Option<AckCode>,
    /// A state of the ledger, or `refused`.
    pub(crate) state: &'static str,
    pub(crate) reason: Option<String>,
    /// Words about a fault or a refusal.
    pub(crate) detail: Option<String>,
    /// The CloudEvents.
    pub(crate) events: Vec<Value>,
    /// How it came to be; absent for what was refused.
    pub(crate) making: Option<(Identified, Processed)>,
}

impl Stage {
    /// Sets the stage; nothing of it listens, connects or needs a secret.
    pub(crate) fn set(mut loaded: Loaded) -> Result<Self> {
        loaded.config.broker = None;
        let plan = Plan::assemble(&loaded).context("the configuration cannot be assembled")?;
        Ok(Self { channels: plan.channels })
    }

    pub(crate) fn channel(&self, name: &str) -> Result<&Arc<ChannelPlan>> {
        self.channels.get(name).ok_or_else(|| {
            let known: Vec<_> = self.channels.keys().map(String::as_str).collect();
            anyhow!("there is no channel \"{name}\"; there are: {}", known.join(", "))
        })
    }
}

/// Plays one frame through a channel.
pub(crate) fn play(channel: &Arc<ChannelPlan>, frame: Bytes, given: &Given) -> Result<Played> {
    let Ok(header) = Header::from_frame(&frame) else {
        return Ok(refused(Some(AckCode::AR), &accept::Refusal::UNREADABLE));
    };
    if header.is_acknowledgement() {
        bail!("the message is an acknowledgement, which the engine neither stores nor answers");
    }
    // What takes a merge back comes from nobody who could be refused or answered.
    let ours = given.unmerge.is_some();
    if !ours && let Decision::Refuse(refusal, _) = accept::decide(&header, slice::from_ref(channel))
    {
        return Ok(refused(refusal.answer(&header, &channel.acknowledge), &refusal));
    }

    let (index, _folder) = nobody_known()?;
    let mut message_id = 1;
    for earlier in &given.before {
        earlier.happen(message_id, given.now, &index)?;
        message_id += 1;
    }
    let mut identified = identify(channel, frame, &index);
    if let Some(retired) = &given.unmerge {
        identified = taking_back(identified, retired, &index);
    }
    if let Some(written) = &given.identity {
        let read = identified.identity.as_deref().cloned().unwrap_or_default();
        identified.take_for(channel, written.over(read)?);
    }
    let facts = Facts {
        previous: given.previous.as_ref().and_then(Value::as_object).cloned().map(Arc::new),
        unmerge: given.unmerge.clone(),
        ..Facts::new(message_id, given.now)
    };
    let processed = process::transform(channel, &identified, &facts, &index);
    let events = processed.events.iter().map(|event| serde_json::from_slice(&event.body));
    Ok(Played {
        ack: all_due(&header, channel.acknowledge.mode, Outcome::Accept).first.filter(|_| !ours),
        state: processed.state.as_str(),
        reason: processed.reason.clone(),
        detail: processed.detail.clone(),
        events: events.collect::<Result<_, _>>().context("an event is not JSON")?,
        making: Some((identified, processed)),
    })
}

impl Given {
    /// Nothing besides the time.
    pub(crate) fn at(now: Timestamp) -> Self {
        Self { now, identity: None, previous: None, before: Vec::new(), unmerge: None }
    }
}

impl Earlier {
    fn happen(&self, message_id: u64, now: Timestamp, index: &Index) -> Result<()> {
        let facts = Facts::new(message_id, now);
        let processed = process::process(&self.channel, self.frame.clone(), &facts, index);
        if processed.state == State::Parked {
            let reason = processed.reason.unwrap_or_default();
            bail!("message {message_id} of those that came before parks ({reason})");
        }
        let origin = Origin {
            at_ms: now.as_millisecond(),
            source: &self.channel.name,
            message_id,
            actor: None,
        };
        let position = u128::from(message_id).to_be_bytes();
        index.apply(position, &origin, &processed.learned)?;
        Ok(())
    }
}

/// An identity index that knows nobody yet, and the folder that goes with it.
pub(crate) fn nobody_known() -> Result<(Index, TempDir)> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let opened = Index::open(folder.path(), Settings::default())?;
    Ok((opened.index, folder))
}

fn refused(ack: Option<AckCode>, refusal: &accept::Refusal) -> Played {
    Played {
        ack,
        state: "refused",
        reason: Some(refusal.reason.to_owned()),
        detail: Some(refusal.text.to_owned()),
        events: Vec::new(),
        making: None,
    }
}

impl GivenIdentity {
    fn over(&self, read: Identity) -> Result<Identity> {
        let number = match &self.nhs_number {
            Some(text) => Some(NhsNumber::parse(text).context("identity.nhs_number")?),
            None => None,
        };
        let status = match &self.status {
            Some(text) => Some(Status::normalise(text).context("identity.status is not 01 to 08")?),
            None => None,
        };
        let local: Vec<LocalId> = self
            .local
            .iter()
            .map(|local| LocalId {
                authority: local.authority.clone(),
                kind: local.r#type.clone(),
                value: local.value.clone(),
            })
            .collect();
        Ok(Identity {
            nhs_number: number,
            valid: number,
            status,
            best_local: local.first().cloned(),
            local,
            ..read
        })
    }
}
