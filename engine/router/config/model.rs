//! The whole of channels.yaml as plain data. The doc comments are the manual and the schema.
//!
//! No field is flattened and no enum is tagged inside: either would lose the place of an error.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::alerts::Alerts;
use crate::config::channel::Channel;
use crate::config::measure::{Address, Period, Size};
use crate::config::secret::{Secret, SecretUrl};
use crate::config::subscriber::Subscriber;

/// A Tieline configuration: where messages come from, what becomes of them, who hears of it.
/// Relative paths anywhere in it are relative to the folder of the file Tieline was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// More files of the same form, whose keys are added to this one's: `channels.d/*.yaml`.
    /// One `*` may stand in the file name. Files of one pattern are read in order of their names.
    #[serde(default)]
    pub include: Vec<String>,
    /// The engine itself.
    #[serde(default)]
    pub engine: Engine,
    /// Where events are published. Without it the engine keeps them on this machine, to be read
    /// with `tieline events --follow` or over its API.
    pub broker: Option<Broker>,
    /// What all events have in common.
    #[serde(default)]
    pub events: Events,
    /// The feeds, by name. Names are lower-case letters, digits and hyphens. The order counts
    /// where several share a listener: the first that accepts a message gets it.
    #[serde(default)]
    pub channels: Named<Channel>,
    /// Who receives events, by name.
    #[serde(default)]
    pub subscribers: Named<Subscriber>,
    /// Who is told when something needs a person, and when that is.
    #[serde(default)]
    pub alerts: Alerts,
}

/// The engine itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// What the engine is used for. `live` lets no number of the test range, which begin with 9,
    /// key an event.
    pub environment: Environment,
    /// The folder for everything the engine must remember. `--data` overrides it.
    pub data: PathBuf,
    /// The page and the API.
    pub console: Console,
    /// Bounds on what the engine takes from its machine.
    pub limits: Limits,
    /// The log that makes an acknowledgement an obligation.
    pub journal: Journal,
    /// Where everything that happened can be found.
    pub archive: Archive,
}

/// What the engine is used for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// Real patients.
    #[default]
    Live,
    /// Trying things out.
    Test,
    /// Teaching people.
    Training,
}

/// The page and the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Console {
    /// The address they are served on.
    pub listen: Address,
}

/// Bounds on what the engine takes from its machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory for frames being received, over all connections together. One frame of the largest
    /// `max_frame` may always proceed, so it must be at least that.
    pub buffers: Size,
    /// Threads that run transforms; one for each processor unless given.
    pub workers: Option<NonZeroUsize>,
    /// Operations a script may spend on one message; more parks it.
    pub script_operations: u64,
    /// Time a script may spend on one message; more is tried three times again, then parks it as
    /// `overloaded`.
    pub script_time: Period,
}

/// The log that makes an acknowledgement an obligation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// The size of one volume. Disk space is freed a volume at a time.
    pub volume: Size,
    /// How long what is settled is kept. What is parked or pending is kept whatever this says.
    pub retain: Retain,
}

/// How long what is settled is kept; when both are given, whichever ends first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retain {
    /// The age beyond which a volume is dropped.
    pub age: Option<Period>,
    /// The size of all volumes beyond which the oldest is dropped.
    pub size: Option<Size>,
}

/// Where everything that happened can be found. It is made from the journal, and can be made again
/// for as far back as that reaches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Archive {
    /// How long what is settled can be found. What is parked or pending is kept whatever this says.
    pub retain: ArchiveRetain,
}

/// How long what is settled can be found; when both are given, whichever ends first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ArchiveRetain {
    /// The age beyond which a day is dropped.
    pub age: Option<Period>,
    /// The size of all days beyond which the oldest is dropped.
    pub size: Option<Size>,
}

/// Where events are published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Broker {
    /// RabbitMQ, over AMQP 0-9-1.
    Amqp(Amqp),
}

/// RabbitMQ, over AMQP 0-9-1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amqp {
    /// `amqp://host:5672/vhost`, or `amqps://` for TLS; either with no password in it, or as a
    /// whole by reference: `{ env: NAME }`, `{ file: path }`, `{ credential: name }`.
    pub url: SecretUrl,
    /// The password for the user named in `url`.
    pub password: Option<Secret>,
    /// The topic exchange events are published to. Events of sensitive patients go to a second
    /// one, with `.restricted` added to its name, and those that do not happen now to a third, with
    /// `.bulk`.
    #[serde(default = "Amqp::exchange")]
    pub exchange: String,
    /// How often either side shows the other that it is still there, in whole seconds.
    #[serde(default = "Amqp::heartbeat")]
    pub heartbeat: Period,
    /// How long the broker may take to confirm an event before the connection is given up and the
    /// event is sent again on a new one.
    #[serde(default = "Amqp::confirm")]
    pub confirm: Period,
}

/// What all events have in common.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// The beginning of every event type: `<namespace>.encounter.admitted.v1`.
    pub namespace: String,
    /// The largest event. A message whose event would be larger parks as `too-large`.
    pub max_bytes: Size,
}

/// Things by name, in the order they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<T>(Vec<(String, T)>);

impl Default for Engine {
    fn default() -> Self {
        Engine {
            environment: Environment::default(),
            data: PathBuf::from("var/tieline"),
            console: Console::default(),
            limits: Limits::default(),
            journal: Journal::default(),
            archive: Archive::default(),
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Console { listen: Address(([127, 0, 0, 1], 8080).into()) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            buffers: Size(256 << 20),
            workers: None,
            script_operations: 500_000,
            script_time: Period(Duration::from_millis(250)),
        }
    }
}

impl Default for Journal {
    fn default() -> Self {
        Journal { volume: Size(64 << 20), retain: Retain::default() }
    }
}

impl Default for Retain {
    fn default() -> Self {
        Retain { age: Some(Period(Duration::from_hours(30 * 24))), size: None }
    }
}

impl Default for ArchiveRetain {
    fn default() -> Self {
        ArchiveRetain { age: Some(Period(Duration::from_hours(90 * 24))), size: None }
    }
}

impl Amqp {
    fn exchange() -> String {
        "shared-record".to_owned()
    }

    fn confirm() -> Period {
        Period(Duration::from_secs(30))
    }

    fn heartbeat() -> Period {
        Period(Duration::from_secs(10))
    }
}

impl Default for Events {
    fn default() -> Self {
        Events { namespace: "uk.nhs.sharedrecord".to_owned(), max_bytes: Size(8 << 20) }
    }
}

impl<T> Named<T> {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, thing)| (name.as_str(), thing))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub fn get(&self, name: &str) -> Option<&T> {
        self.iter().find(|(ours, _)| *ours == name).map(|(_, thing)| thing)
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named(Vec::new())
    }
}

impl<T> FromIterator<(String, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(things: I) -> Self {
        Named(things.into_iter().collect())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names with what they stand for")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut things = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    things.push(entry);
                }
                Ok(Named(things))
            }
        }

        deserializer.deserialize_map(InOrder(std::marker::PhantomData))
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, thing) in self.iter() {
            map.serialize_entry(name, thing)?;
        }
        map.end()
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z0-9][a-z0-9-]*$" },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
