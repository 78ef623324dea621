//! Who receives events: what they ask for, what they may have, and how it reaches them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::alerts::Header;
use crate::config::calendar_day::CalendarDay;
use crate::config::measure::Period;
use crate::config::name::{EventPattern, Ods};
use crate::config::secret::{HttpUrl, SecretUrl};

/// Somebody who receives events, from a queue of their own or delivered by the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscriber {
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
    /// The events it receives: `encounter.*`, `patient.registered`, `*`.
    pub receives: Vec<EventPattern>,
    /// The organisations it receives events from; all of them unless given.
    #[serde(default)]
    pub from: Vec<Ods>,
    /// The organisation it belongs to. Events of patients who dissent from sharing reach nobody
    /// outside the organisation they come from.
    pub organisation: Option<Ods>,
    /// Whether it may also receive events of sensitive patients: those that its `entitlements` name.
    /// Without one in force it receives none.
    #[serde(default)]
    pub restricted: bool,
    /// Which sensitive events it may have, why, who decided so and until when.
    #[serde(default)]
    pub entitlements: Vec<Entitlement>,
    /// Whether it also receives events that do not happen now: messages from an archive, a restore
    /// or an initial load (MSH-11.2 `A`, `R`, `I` or `T`).
    #[serde(default)]
    pub bulk: bool,
    /// The name of its queue; `tieline.` and its own name unless given.
    pub queue: Option<String>,
    /// Delivery by the engine instead of a queue.
    pub deliver: Option<Deliver>,
}

/// Why somebody may have sensitive events. From the end of its last day on it is not in force: its
/// bindings are taken away, and nothing more of the kind is delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entitlement {
    /// Of what kind the events are.
    pub sees: Sees,
    /// The legal basis, in words that somebody who asks in a year can follow.
    pub justification: String,
    /// Who decided so: a name and a role.
    pub approved_by: String,
    /// The last day on which it is in force, London time. There is none without end.
    pub until: CalendarDay,
}

/// A kind of sensitive event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sees {
    /// Of patients whose whereabouts are protected. What tells where they are is taken out for
    /// everybody.
    Protected,
    /// Of patients who dissent from sharing, within the organisation the events come from.
    Dissent,
    /// Of safeguarding: that there is something, and whom to ask.
    Safeguarding,
    /// Documents that their author restricts (TXA-18 is R, V, or a code that nobody can read).
    Confidential,
}

/// Delivery by the engine, in publishing order, each event at least once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Deliver {
    /// An HTTP POST for each event.
    Http(Box<Http>),
    /// HL7 v2 over MLLP. Not yet in force in this version.
    Mllp(Later),
    /// Files in a folder. Not yet in force in this version.
    File(Later),
}

/// An HTTP POST for each event, one after the other. An answer of 2xx says that it is held durably;
/// after any other, or none, the same event is sent again, and nothing later before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// `https://host/path` or `http://...` with no password in it, or as a whole by reference:
    /// `{ env: NAME }`, `{ file: path }`, `{ credential: name }`.
    pub url: SecretUrl<HttpUrl>,
    /// Headers to send with it, such as `Authorization`.
    #[serde(default)]
    pub headers: Vec<Header>,
    /// What is sent.
    #[serde(default)]
    pub format: Format,
    /// How long one attempt may take.
    #[serde(default = "Http::timeout")]
    pub timeout: Period,
    /// What becomes of an event that is refused for good (4xx, but not 408, 425 and 429).
    #[serde(default)]
    pub refused: Refused,
}

/// What becomes of an event that the other side refuses for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Refused {
    /// Delivery pauses with an alarm and is tried again every minute: nothing passes it.
    #[default]
    Pause,
    /// It is left out, counted, and told in the log.
    Skip,
}

/// What is sent for an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Format {
    /// The event itself, `application/cloudevents+json`.
    #[default]
    Cloudevents,
    /// The signal that NHS England's Multicast Notification Service takes: who, what and where to
    /// ask, without clinical content. Events without a trusted NHS Number are left out and counted.
    Mns(Box<Mns>),
    /// A FHIR R4 subscription notification as that service delivers it: a Bundle of type `history`.
    SubscriptionNotification(Box<Notification>),
}

/// The signal of the Multicast Notification Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mns {
    /// Who produces it, as agreed with the service: `uk.nhs.<product>`, or
    /// `https://fhir.nhs.uk/Id/nhsSpineASID/<asid>`.
    pub source: String,
    /// The beginning of every type, `<producer>-<what>-<major>`: `rxx` makes of `encounter.admitted`
    /// `rxx-encounter-admitted-1`.
    pub producer: String,
    /// The types of events that are called otherwise: `patient.gp-changed: rxx-change-of-gp-2`.
    #[serde(default)]
    pub types: BTreeMap<String, String>,
    /// Where the recipient can ask: an address with `{id}`, `{message}` and `{type}` in it for the
    /// event's id, its message's number and `encounter.admitted`.
    pub dataref: Option<String>,
    /// What subscribers can filter by, as far as the event knows it.
    #[serde(default = "Mns::filtering")]
    pub filtering: Vec<Filter>,
}

/// A key of `filtering`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The ODS code of the practice the patient is registered with.
    GeneralPractitioner,
    /// The ODS code of the organisation that sent the message.
    SourceOrganisation,
    /// The channel that took it.
    SourceApplication,
    /// The ODS code of the site where it happened.
    Site,
    /// `CREATE`, `UPDATE` or `DELETE`.
    Action,
}

/// A FHIR R4 subscription notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notification {
    /// Of what, as for `mns`.
    pub signal: Mns,
    /// The address of the subscription that it answers.
    pub subscription: String,
    /// Whether the event's own Bundle is sent with it, for those who cannot ask. It needs a
    /// `dataref`, which says what it is.
    #[serde(default)]
    pub hydrate: bool,
}

/// A part that a later version will read; `check` says that this one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later;

impl Subscriber {
    /// The queue of the subscriber, which has this name; none where the engine delivers.
    pub fn queue(&self, name: &str) -> Option<String> {
        let own = || self.queue.clone().unwrap_or_else(|| format!("tieline.{name}"));
        self.http().is_none().then(own)
    }

    /// How the engine delivers to it, if it does.
    pub fn http(&self) -> Option<&Http> {
        match &self.deliver {
            Some(Deliver::Http(http)) => Some(http),
            _ => None,
        }
    }
}

impl Http {
    fn timeout() -> Period {
        Period(Duration::from_secs(10))
    }
}

impl Mns {
    fn filtering() -> Vec<Filter> {
        vec![Filter::GeneralPractitioner, Filter::SourceOrganisation, Filter::Action]
    }
}

impl Format {
    /// What it says of signals, if it makes any.
    pub fn signal(&self) -> Option<&Mns> {
        match self {
            Self::Cloudevents => None,
            Self::Mns(mns) => Some(mns),
            Self::SubscriptionNotification(notification) => Some(&notification.signal),
        }
    }
}

impl Sees {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protected => "protected",
            Self::Dissent => "dissent",
            Self::Safeguarding => "safeguarding",
            Self::Confidential => "confidential",
        }
    }
}

impl<'de> Deserialize<'de> for Later {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Later)
    }
}

impl Serialize for Later {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

impl JsonSchema for Later {
    fn schema_name() -> Cow<'static, str> {
        "Later".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "Not yet in force in this version." })
    }
}
