//! What another configuration changes: what a reload must swap, and what only a restart can.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;

use serde_json::Value;

use crate::config::assemble;
use crate::config::effective::effective;
use crate::config::listener::Mllp;
use crate::config::load::Loaded;

/// What is different. Keys are those of `tieline check --format json`: `source.charset` of a
/// channel, `engine.data`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Channels that are added, removed or changed, by name. Any other may run on as it is, with
    /// the version it was assembled with.
    pub channels: BTreeMap<String, ChannelChange>,
    /// Addresses that are opened, closed or run otherwise. Any other may stay open as it is.
    pub listeners: Vec<ListenerChange>,
    /// Keys below `broker`.
    pub broker: Vec<String>,
    /// Subscribers that are added, removed or changed.
    pub subscribers: BTreeSet<String>,
    /// Keys below `alerts`, `engine.journal.retain` and `engine.archive`.
    pub watch: Vec<String>,
    /// Keys that take effect at the next start only; until then the old values must be used.
    pub restart: Vec<String>,
}

/// What became of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChannelChange {
    /// It is new.
    Added,
    /// It is gone; what it accepted is still delivered.
    Removed,
    /// It is otherwise.
    Changed {
        /// Whether its address or anything else below `listener` differs.
        listener: bool,
        /// Whether anything else does.
        rest: bool,
        /// What differs, for people: `source.charset`, `script lib/uk_adt.rhai`, `table wards`,
        /// `events.namespace`.
        what: Vec<String>,
    },
}

/// What became of an address. A listener on port 0 belongs to its only channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerChange {
    /// Where.
    pub address: SocketAddr,
    /// Its first channel.
    pub name: String,
    /// What is to be done.
    pub change: ListenerChangeKind,
}

/// What is to be done with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerChangeKind {
    /// It is to be opened.
    Opened,
    /// It is to be closed.
    Closed,
    /// It stays open, with other settings, other channels or another order of them.
    Changed,
}

/// Keys that a running engine cannot change.
const RESTART: [&str; 6] = [
    "engine.environment",
    "engine.data",
    "engine.console",
    "engine.journal.volume",
    "engine.limits.workers",
    "engine.limits.buffers",
];

/// Keys outside `channels` that every channel is assembled from.
const EVERY_CHANNEL: [&str; 3] =
    ["events", "engine.limits.script_operations", "engine.limits.script_time"];

/// What the new configuration changes of the old one.
pub fn difference(old: &Loaded, new: &Loaded) -> Difference {
    let mut found = Difference { listeners: listeners(old, new), ..Difference::default() };
    let mut below: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut shared = Vec::new();
    for key in changed_keys(old, new) {
        let within = |part: &str| {
            key.strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if let Some(rest) = key.strip_prefix("channels.") {
            if let Some((name, part)) = rest.split_once('.') {
                below.entry(name.to_owned()).or_default().push(part.to_owned());
            }
        } else if let Some(rest) = key.strip_prefix("subscribers.") {
            found.subscribers.extend(rest.split('.').next().map(str::to_owned));
        } else if within("broker") {
            found.broker.push(key);
        } else if EVERY_CHANNEL.iter().any(|part| within(part)) {
            shared.push(key);
        } else if RESTART.iter().any(|part| within(part)) {
            found.restart.push(key);
        } else if !within("include") {
            found.watch.push(key);
        }
    }
    let names: BTreeSet<&str> =
        old.config.channels.names().chain(new.config.channels.names()).collect();
    for name in names {
        let own = below.remove(name).unwrap_or_default();
        if let Some(change) = channel(old, new, name, own, &shared) {
            found.channels.insert(name.to_owned(), change);
        }
    }
    found
}

fn channel(
    old: &Loaded,
    new: &Loaded,
    name: &str,
    own: Vec<String>,
    shared: &[String],
) -> Option<ChannelChange> {
    match (old.config.channels.get(name), new.config.channels.get(name)) {
        (None, None) => None,
        (None, Some(_)) => Some(ChannelChange::Added),
        (Some(_), None) => Some(ChannelChange::Removed),
        (Some(_), Some(_)) => {
            let on_listener = |key: &String| key.starts_with("listener.");
            let listener = own.iter().any(on_listener);
            let mut what = own;
            what.extend(shared.iter().cloned());
            what.extend(texts(old, new, name));
            let rest = !what.iter().all(on_listener);
            (!what.is_empty()).then_some(ChannelChange::Changed { listener, rest, what })
        }
    }
}

/// The scripts, tables and the profile of a channel whose texts differ.
fn texts(old: &Loaded, new: &Loaded, name: &str) -> BTreeSet<String> {
    let mut differ = BTreeSet::new();
    for loaded in [old, new] {
        let channels = loaded.config.channels.names().zip(&loaded.scripts);
        let Some((_, script)) = channels.into_iter().find(|(channel, _)| *channel == name) else {
            continue;
        };
        let scripts = script.files().iter().filter(|path| {
            old.sources.scripts.get(path.as_str()) != new.sources.scripts.get(path.as_str())
        });
        differ.extend(scripts.map(|path| format!("script {path}")));
        let tables = script
            .tables()
            .filter(|table| old.sources.tables.get(*table) != new.sources.tables.get(*table));
        differ.extend(tables.map(|table| format!("table {table}")));
        let named = loaded.config.channels.get(name).and_then(|channel| channel.profile.as_ref());
        let profile = named.map(|profile| profile.file.display().to_string());
        let of = |loaded: &Loaded, path: &str| loaded.bundle.profiles.get(path).cloned();
        let profile = profile.filter(|path| of(old, path) != of(new, path));
        differ.extend(profile.map(|path| format!("profile {path}")));
    }
    differ
}

/// The keys whose values in force differ, in the order of their names.
fn changed_keys(old: &Loaded, new: &Loaded) -> BTreeSet<String> {
    let values = |loaded: &Loaded| -> BTreeMap<String, Value> {
        effective(loaded).into_iter().map(|value| (value.key, value.value)).collect()
    };
    let (before, after) = (values(old), values(new));
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

fn listeners(old: &Loaded, new: &Loaded) -> Vec<ListenerChange> {
    let (before, after) = (by_address(old), by_address(new));
    let change = |(address, own): &Key, (_, channels): &Shared, change| ListenerChange {
        address: *address,
        name: own.clone().or_else(|| channels.first().cloned()).unwrap_or_default(),
        change,
    };
    let closed = before
        .iter()
        .filter(|(key, _)| !after.contains_key(*key))
        .map(|(key, shared)| change(key, shared, ListenerChangeKind::Closed));
    let others = after.iter().filter_map(|(key, shared)| match before.get(key) {
        None => Some(change(key, shared, ListenerChangeKind::Opened)),
        Some(was) if was != shared => Some(change(key, shared, ListenerChangeKind::Changed)),
        Some(_) => None,
    });
    closed.chain(others).collect()
}

/// An address, and the channel's name where the operating system chooses the port.
type Key = (SocketAddr, Option<String>);
/// Its settings and its channels in order.
type Shared = (Mllp, Vec<String>);

fn by_address(loaded: &Loaded) -> BTreeMap<Key, Shared> {
    let names: Vec<&str> = loaded.config.channels.names().collect();
    let listeners = assemble::listeners(&loaded.config).into_iter().map(|listener| {
        let channels: Vec<String> = listener
            .channels
            .iter()
            .filter_map(|at| names.get(*at).copied())
            .map(str::to_owned)
            .collect();
        let address = listener.settings.listen.0;
        let own = if address.port() == 0 { channels.first().cloned() } else { None };
        ((address, own), (listener.settings, channels))
    });
    listeners.collect()
}

impl Difference {
    /// Whether nothing at all differs.
    pub fn is_empty(&self) -> bool {
        *self == Difference::default()
    }
}

/// One line for each thing that is different, without line end after the last.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = Vec::new();
        for (name, change) in &self.channels {
            lines.push(match change {
                ChannelChange::Added => format!("channel {name}: added"),
                ChannelChange::Removed => format!("channel {name}: removed"),
                ChannelChange::Changed { what, .. } => {
                    format!("channel {name}: {}", what.join(", "))
                }
            });
        }
        for listener in &self.listeners {
            let ListenerChange { address, name, change } = listener;
            let word = match change {
                ListenerChangeKind::Opened => "opened",
                ListenerChangeKind::Closed => "closed",
                ListenerChangeKind::Changed => "changed",
            };
            lines.push(format!("listener {address} of {name}: {word}"));
        }
        lines.extend(self.subscribers.iter().map(|name| format!("subscriber {name}: changed")));
        lines.extend(self.broker.iter().chain(&self.watch).cloned());
        lines.extend(self.restart.iter().map(|key| format!("{key}: at the next start")));
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::bundle::Bundle;
    use crate::config::load::understand;

    const TEXT: &str = "\
engine: { data: d }
broker: { amqp: { url: amqp://r/ } }
channels:
  pas: { listener: { mllp: { listen: 127.0.0.1:1 } }, accept: { types: [ADT] }, source: { organisation: RXX }, transform: { script: pas.rhai } }
  lims: { listener: { mllp: { listen: 127.0.0.1:1 } }, accept: { types: [ORU] }, source: { organisation: RXX }, transform: { script: lims.rhai } }
subscribers: { hub: { receives: [\"*\"] } }
";

    fn with(text: &str, library: &str, wards: &str) -> Loaded {
        let pas = "import \"lib/uk\" as uk;\nfn transform(msg) { let ward = table(\"wards\", \"A\", \"\"); filter(\"no\") }\n";
        let scripts = [
            ("pas.rhai", pas),
            ("lims.rhai", "fn transform(msg) { filter(\"no\") }\n"),
            ("lib/uk.rhai", library),
        ];
        let bundle = Bundle {
            files: vec![("c.yaml".to_owned(), text.to_owned())],
            transforms: Some(PathBuf::new()),
            scripts: scripts.map(|(name, text)| (name.to_owned(), text.to_owned())).into(),
            tables: [("wards".to_owned(), format!("code,value\nA,{wards}\n"))].into(),
            ..Bundle::default()
        };
        understand(bundle, Vec::new()).expect("loads")
    }

    fn from(text: &str) -> Loaded {
        with(text, "fn f() { 1 }\n", "One")
    }

    fn said(from_text: &str, to: &str) -> String {
        assert!(TEXT.contains(from_text), "{from_text}");
        difference(&from(TEXT), &from(&TEXT.replacen(from_text, to, 1))).to_string()
    }

    #[test]
    fn the_same_in_other_words_is_the_same() {
        let words = TEXT.replace("data: d", "data: d, limits: { script_time: 250ms }");
        let found = difference(&from(TEXT), &from(&words));
        assert!(found.is_empty(), "{found}");
    }

    #[test]
    fn a_library_and_a_table_change_the_channels_that_use_them() {
        let found = difference(&from(TEXT), &with(TEXT, "fn f() { 2 }\n", "Two"));
        assert_eq!(found.to_string(), "channel pas: script lib/uk.rhai, table wards");
        let change = &found.channels["pas"];
        assert!(matches!(change, ChannelChange::Changed { listener: false, rest: true, .. }));
    }

    #[test]
    fn a_channel_says_whether_its_listener_or_the_rest_changed() {
        let both = TEXT.replace("listen: 127.0.0.1:1", "listen: 127.0.0.1:1, idle: 1m");
        let found = difference(&from(TEXT), &from(&both));
        for name in ["pas", "lims"] {
            let change = &found.channels[name];
            assert!(matches!(change, ChannelChange::Changed { listener: true, rest: false, .. }));
        }
        assert_eq!(found.listeners.len(), 1);
        assert_eq!(found.listeners[0].change, ListenerChangeKind::Changed);
        let found = said("listen: 127.0.0.1:1", "listen: 127.0.0.1:2");
        assert_eq!(
            found,
            "channel pas: listener.mllp.listen\nlistener 127.0.0.1:1 of lims: changed\n\
             listener 127.0.0.1:2 of pas: opened"
        );
        assert_eq!(said("source: {", "order: none, source: {"), "channel pas: order");
    }

    #[test]
    fn channels_come_and_go_and_change_places() {
        let renamed = said("  lims:", "  path:");
        assert_eq!(
            renamed,
            "channel lims: removed\nchannel path: added\nlistener 127.0.0.1:1 of pas: changed"
        );
        let mut lines: Vec<&str> = TEXT.lines().collect();
        lines.swap(3, 4);
        let swapped = difference(&from(TEXT), &from(&lines.join("\n")));
        assert_eq!(swapped.to_string(), "listener 127.0.0.1:1 of lims: changed");
    }

    #[test]
    fn what_every_channel_is_made_of_changes_every_channel() {
        let found = said("broker:", "events: { max_bytes: 1MiB }\nbroker:");
        assert_eq!(found, "channel lims: events.max_bytes\nchannel pas: events.max_bytes");
    }

    #[test]
    fn the_rest_is_told_apart_by_what_it_takes() {
        assert_eq!(said("amqp://r/", "amqp://s/"), "broker.amqp.url");
        assert_eq!(said("[\"*\"]", "[\"*\"], restricted: true"), "subscriber hub: changed");
        assert_eq!(
            said("broker:", "alerts: { held: { after: 1h } }\nbroker:"),
            "alerts.held.after"
        );
        assert_eq!(said("data: d", "data: e"), "engine.data: at the next start");
        let engine = "data: d, journal: { volume: 1MiB, retain: { age: 1d } }";
        assert_eq!(
            said("data: d", engine),
            "engine.journal.retain.age\nengine.journal.volume: at the next start"
        );
    }
}
