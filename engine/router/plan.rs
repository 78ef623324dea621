//! The configuration in force, assembled: what the line needs to know of it, ready to use.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hl7::ack_form::Form;
use hl7::due::AckMode;
use hl7::location::Location;
use identity::rules::{Merges, Resolution, Rules};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use record::source::Source;
use transform::script::Script;

use crate::alert_plan::AlertsPlan;
use crate::broker_plan::BrokerPlan;
use crate::config;
use crate::config::acknowledge::{Acknowledge, Refusals, When};
use crate::config::assemble;
use crate::config::channel::{Accept, OnError, Order};
use crate::config::listener::{CommitByte, EndBlock};
use crate::config::load::Loaded;
use crate::config::measure::Size;
use crate::config::model::Broker;
use crate::config::secret::RevealError;
use crate::conformance::Conformance;
use crate::delivery_plan::DeliveryPlan;
use crate::meters::Meters;
use crate::routes::Routes;
use crate::silence::ExpectPlan;
use crate::tls::TlsPlan;
use crate::topology::Topology;

/// The whole of it.
#[derive(Debug)]
pub struct Plan {
    /// Short hash of everything that was read.
    pub version: String,
    /// By name.
    pub channels: BTreeMap<String, Arc<ChannelPlan>>,
    /// Each with its channels in the order of channels.yaml.
    pub listeners: Vec<Arc<ListenerPlan>>,
    /// Who should get what.
    pub routes: Routes,
    /// To whom the engine itself delivers, by the subscriber's name.
    pub deliveries: BTreeMap<String, Arc<DeliveryPlan>>,
    /// Where events leave; embedded when absent.
    pub broker: Option<BrokerPlan>,
    /// When alarms are raised and who is told.
    pub alerts: AlertsPlan,
    /// How long what is settled can be found.
    pub archive: ArchivePlan,
    /// Transform threads.
    pub workers: usize,
    /// Memory over all connections, bytes.
    pub buffers: usize,
}

/// How long what is settled can be found; whichever ends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchivePlan {
    /// The age beyond which a day is dropped.
    pub age: Option<Duration>,
    /// The bytes of all days beyond which the oldest is dropped.
    pub size: Option<u64>,
}

/// How a message sent twice is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicatesPlan {
    /// How far back to look; zero looks at nothing.
    pub window: Duration,
    /// Places in MSH that may differ, against the sender's immediately preceding message only.
    pub ignore: Vec<Location>,
}

/// What a channel's senders are answered, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcknowledgePlan {
    /// How long AA waits for the message to be published; not at all if absent.
    pub published_within: Option<Duration>,
    /// Which codes are used.
    pub mode: AckMode,
    /// Whether both acknowledgements leave that the sender asks for.
    pub both: bool,
    /// What is answered to what is refused.
    pub refusals: Refusals,
    /// Whether the sequence number protocol is kept.
    pub sequence_numbers: bool,
    /// How the answers are written.
    pub form: Form,
}

impl AcknowledgePlan {
    /// As the standard has it.
    pub const STANDARD: Self = Self {
        published_within: None,
        mode: AckMode::Asked,
        both: false,
        refusals: Refusals::STANDARD,
        sequence_numbers: false,
        form: Form::STANDARD,
    };

    fn new(said: &Acknowledge) -> Self {
        Self {
            published_within: (said.when == When::Published).then_some(said.within.0),
            mode: said.mode.ack_mode(),
            both: said.both,
            refusals: said.refusals,
            sequence_numbers: said.sequence_numbers,
            form: said.form(),
        }
    }
}

/// What the identity index may learn from a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentityPlan {
    /// Whether it is a master system.
    pub teaches: bool,
    /// What becomes of a merge or move.
    pub merges: Merges,
    /// Whether an explicit value of it ends a patient's protection or dissent.
    pub may_lower_sensitivity: bool,
}

impl IdentityPlan {
    fn new(said: &config::channel::Identity) -> Self {
        let merges = match said.merges {
            Some(config::channel::Merges::Automatic) => Merges::Automatic,
            Some(config::channel::Merges::Approve) => Merges::Approve,
            None if said.teaches => Merges::Automatic,
            None => Merges::Approve,
        };
        let may_lower_sensitivity = said.may_lower_sensitivity;
        Self { teaches: said.teaches, merges, may_lower_sensitivity }
    }

    /// The rules for one of its messages.
    pub fn rules<'a>(&self, channel: &'a str, resolution: Option<Resolution>) -> Rules<'a> {
        let Self { teaches, merges, may_lower_sensitivity } = *self;
        Rules { source: channel, teaches, merges, may_lower_sensitivity, resolution }
    }
}

/// One channel.
#[derive(Debug)]
pub struct ChannelPlan {
    /// Name in channels.yaml.
    pub name: String,
    /// Which messages it takes.
    pub accept: Accept,
    /// What its senders are answered, and when.
    pub acknowledge: AcknowledgePlan,
    /// How to read them.
    pub source: Arc<Source>,
    /// What turns them into events.
    pub script: Arc<Script>,
    /// Configuration version, stamped on every event.
    pub version: String,
    /// Larger events park their message.
    pub max_event_bytes: usize,
    /// What is kept in order.
    pub order: Order,
    /// What a message that failed holds back.
    pub on_error: OnError,
    /// How a message sent twice is known.
    pub duplicates: DuplicatesPlan,
    /// When silence is a fault; never if absent.
    pub expect: Option<ExpectPlan>,
    /// What its messages are held against; nothing if absent.
    pub profile: Option<Conformance>,
    /// What the identity index may learn from it.
    pub identity: IdentityPlan,
    /// Its hot-path metrics.
    pub meters: Meters,
}

/// One listening address.
#[derive(Debug)]
pub struct ListenerPlan {
    /// Name of its first channel; labels metrics and logs.
    pub name: String,
    /// Where.
    pub address: SocketAddr,
    /// Larger frames are refused.
    pub max_frame: usize,
    /// Whether FS may be missing at the end of a frame.
    pub open_end: bool,
    /// Silence after which a connection is closed.
    pub idle: Duration,
    /// Open connections at most.
    pub connections: usize,
    /// How long a peer may leave an answer unread.
    pub write_timeout: Duration,
    /// Whether frames are answered by the commit byte of MLLP release 2.
    pub commit_byte: CommitByte,
    /// TLS; plain TCP if absent.
    pub tls: Option<TlsPlan>,
    /// In the order of channels.yaml.
    pub channels: Vec<Arc<ChannelPlan>>,
}

impl ListenerPlan {
    /// The clock of answers that belong to no channel: its first channel's.
    pub fn zone(&self) -> &TimeZone {
        const UTC: &TimeZone = &TimeZone::UTC;
        self.channels.first().map_or(UTC, |channel| &channel.source.zone)
    }

    /// What is answered to a frame that belongs to no channel: what its first channel says.
    pub fn acknowledge(&self) -> &AcknowledgePlan {
        const STANDARD: &AcknowledgePlan = &AcknowledgePlan::STANDARD;
        self.channels.first().map_or(STANDARD, |channel| &channel.acknowledge)
    }

    /// Whether both are about one socket: the same address, and where the system chooses the port,
    /// the same channel.
    pub fn is_same_place(&self, other: &Self) -> bool {
        self.address == other.address && (self.address.port() != 0 || self.name == other.name)
    }
}

/// The plan in force: everything that needs it asks here, each time anew, and a reload swaps it.
#[derive(Debug)]
pub struct Current(RwLock<Arc<Plan>>);

impl Current {
    /// The first one.
    pub fn new(plan: Arc<Plan>) -> Self {
        Self(RwLock::new(plan))
    }

    /// The one in force now. Who took one keeps it for the message in hand.
    pub fn get(&self) -> Arc<Plan> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another one in force.
    pub fn set(&self, plan: Arc<Plan>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = plan;
    }
}

impl Plan {
    /// Assembles what was loaded and checked; only a secret can still be missing.
    pub fn assemble(loaded: &Loaded) -> Result<Self, RevealError> {
        let channels = channels(loaded);
        let listeners = listeners(loaded, &channels);
        let routes = routes(loaded);
        let config = &loaded.config;
        let broker = match &config.broker {
            None => None,
            Some(Broker::Amqp(amqp)) => Some(BrokerPlan {
                address: assemble::address(amqp, &loaded.base)?,
                topology: Topology { exchange: amqp.exchange.clone(), routes: routes.clone() },
                confirm: amqp.confirm.0,
                remembered: loaded.data.join("bindings.json"),
            }),
        };
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            version: loaded.version.clone(),
            channels: channels.iter().map(|c| (c.name.clone(), c.clone())).collect(),
            listeners,
            deliveries: deliveries(loaded, &routes)?,
            routes,
            broker,
            alerts: assemble::alerts(loaded)?,
            archive: ArchivePlan {
                age: config.engine.archive.retain.age.map(|age| age.0),
                size: config.engine.archive.retain.size.map(Size::bytes),
            },
            workers: config.engine.limits.workers.map_or(processors, std::num::NonZero::get),
            buffers: size(config.engine.limits.buffers.bytes()),
        })
    }
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn channels(loaded: &Loaded) -> Vec<Arc<ChannelPlan>> {
    let sources = assemble::sources(loaded);
    let parts = loaded.config.channels.iter().zip(sources).zip(&loaded.scripts);
    parts
        .zip(&loaded.profiles)
        .map(|((((name, channel), source), script), profile)| {
            Arc::new(ChannelPlan {
                name: name.to_owned(),
                accept: channel.accept.clone(),
                acknowledge: AcknowledgePlan::new(&channel.acknowledge),
                source,
                script: script.clone(),
                version: loaded.version.clone(),
                max_event_bytes: size(loaded.config.events.max_bytes.bytes()),
                order: channel.order,
                on_error: channel.on_error,
                duplicates: DuplicatesPlan {
                    window: channel.duplicates.window.0,
                    ignore: channel.duplicates.ignore.iter().map(|place| place.0).collect(),
                },
                expect: assemble::expect(channel),
                profile: profile.as_ref().zip(channel.profile.as_ref()).map(|(profile, said)| {
                    Conformance::new(profile.clone(), said.on_breach, Timestamp::now())
                }),
                identity: IdentityPlan::new(&channel.identity),
                meters: Meters::new(name),
            })
        })
        .collect()
}

fn listeners(loaded: &Loaded, channels: &[Arc<ChannelPlan>]) -> Vec<Arc<ListenerPlan>> {
    assemble::listeners(&loaded.config)
        .into_iter()
        .map(|listener| {
            let own: Vec<_> =
                listener.channels.iter().filter_map(|at| channels.get(*at).cloned()).collect();
            Arc::new(ListenerPlan {
                name: own.first().map(|channel| channel.name.clone()).unwrap_or_default(),
                address: listener.settings.listen.0,
                max_frame: size(listener.settings.max_frame.bytes()),
                open_end: listener.settings.end_block == EndBlock::Optional,
                idle: listener.settings.idle.0,
                connections: listener.settings.connections as usize,
                write_timeout: listener.settings.write_timeout.0,
                commit_byte: listener.settings.commit_byte,
                tls: listener.settings.tls.map(|tls| TlsPlan::new(tls, &loaded.base)),
                channels: own,
            })
        })
        .collect()
}

fn deliveries(
    loaded: &Loaded,
    routes: &Routes,
) -> Result<BTreeMap<String, Arc<DeliveryPlan>>, RevealError> {
    let mut plans = BTreeMap::new();
    for (subscription, (name, said)) in
        routes.subscriptions.iter().zip(loaded.config.subscribers.iter())
    {
        if let Some(http) = said.http() {
            let plan = assemble::delivery(subscription, http, &loaded.base)?;
            plans.insert(name.to_owned(), Arc::new(plan));
        }
    }
    Ok(plans)
}

fn routes(loaded: &Loaded) -> Routes {
    let subscribers = loaded.config.subscribers.iter();
    Routes {
        subscriptions: subscribers.map(|(name, said)| assemble::subscription(name, said)).collect(),
    }
}
