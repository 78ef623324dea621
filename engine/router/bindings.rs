//! The bindings this engine made in the broker, remembered in the data folder: those that
//! channels.yaml no longer asks for are removed, and nobody else's are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// What brings events of one kind from an exchange to a queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Binding {
    /// From where.
    pub exchange: String,
    /// To where.
    pub queue: String,
    /// Which events: a pattern over routing keys.
    pub key: String,
}

/// What was bound, by the broker's address without user and password. A file that cannot be read
/// remembers nothing: then nothing is removed.
#[derive(Debug)]
pub(crate) struct Remembered {
    path: PathBuf,
    brokers: BTreeMap<String, BTreeSet<Binding>>,
}

impl Remembered {
    /// What the file at `path` holds.
    pub(crate) fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        Self { path: path.to_owned(), brokers: serde_json::from_str(&text).unwrap_or_default() }
    }

    /// What was bound at a broker and is not wanted.
    pub(crate) fn unwanted(&self, broker: &str, wanted: &BTreeSet<Binding>) -> Vec<Binding> {
        let bound = self.brokers.get(broker).into_iter().flatten();
        bound.filter(|binding| !wanted.contains(binding)).cloned().collect()
    }

    /// To be called before binding: whatever happens then, it is remembered.
    pub(crate) fn add(&mut self, broker: &str, wanted: &BTreeSet<Binding>) -> io::Result<()> {
        let bound = self.brokers.entry(broker.to_owned()).or_default();
        let before = bound.len();
        bound.extend(wanted.iter().cloned());
        if bound.len() == before { Ok(()) } else { self.write() }
    }

    /// To be called after unbinding.
    pub(crate) fn forget(&mut self, broker: &str, unbound: &[Binding]) -> io::Result<()> {
        if unbound.is_empty() {
            return Ok(());
        }
        if let Some(bound) = self.brokers.get_mut(broker) {
            bound.retain(|binding| !unbound.contains(binding));
        }
        self.write()
    }

    /// Whole or not at all.
    fn write(&self) -> io::Result<()> {
        let unfinished = self.path.with_extension("unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(serde_json::to_string_pretty(&self.brokers)?.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding(key: &str) -> Binding {
        Binding { exchange: "events".into(), queue: "portal".into(), key: key.into() }
    }

    #[test]
    fn what_was_bound_is_remembered_over_a_restart_until_it_is_removed() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("bindings.json");
        let (wide, narrow) = (binding("*.*.*.*"), binding("*.encounter.*.*"));
        Remembered::read(&path).add("amqp://a/", &BTreeSet::from([wide.clone()])).expect("write");
        let mut remembered = Remembered::read(&path);
        let wanted = BTreeSet::from([narrow.clone()]);
        assert_eq!(remembered.unwanted("amqp://a/", &wanted), std::slice::from_ref(&wide));
        assert_eq!(remembered.unwanted("amqp://b/", &wanted), [], "another broker's are its own");
        remembered.add("amqp://a/", &wanted).expect("write");
        remembered.forget("amqp://a/", &[wide]).expect("write");
        let remembered = Remembered::read(&path);
        assert_eq!(remembered.unwanted("amqp://a/", &wanted), []);
        assert_eq!(remembered.unwanted("amqp://a/", &BTreeSet::new()), [narrow]);
    }

    #[test]
    fn a_damaged_file_removes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("bindings.json");
        fs::write(&path, "{\"amqp://a/\": [{").expect("write");
        assert_eq!(Remembered::read(&path).unwanted("amqp://a/", &BTreeSet::new()), []);
    }
}
