//! The sample world, carried in the binary: a configuration, its transforms, and synthetic messages.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use anyhow::{Context, Result};
use bytes::Bytes;
use hl7::header::Header;
use include_dir::{Dir, include_dir};
use serde::Deserialize;

static CHANNELS: &str = include_str!("../../channels.yaml");
static LIBRARY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/transforms/lib");
static TABLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/transforms/tables");
static SAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/samples");

/// Scripts by name with their texts. The golden cases beside them are not carried along.
macro_rules! scripts {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../transforms/", $name)))),+]
    };
}

const SCRIPTS: [(&str, &str); 13] = scripts![
    "appointments_siu.rhai",
    "bedside_oru.rhai",
    "community_adt.rhai",
    "documents_mdm.rhai",
    "ed_adt.rhai",
    "maternity_adt.rhai",
    "mental_health_adt.rhai",
    "orders_orm.rhai",
    "pas_adt.rhai",
    "pathology_oru.rhai",
    "radiology_oru.rhai",
    "referrals_ref.rhai",
    "social_care.rhai",
];

/// One sample message and what must become of it.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) channel: String,
    pub(crate) file: String,
    pub(crate) message: Bytes,
    pub(crate) expected: Expected,
}

/// A row of `samples/expected.json`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    pub(crate) ack: String,
    pub(crate) state: String,
    pub(crate) reason: Option<String>,
    pub(crate) events: Vec<String>,
}

/// Writes the configuration with its transforms into a folder, ready to be loaded.
pub(crate) fn unpack(folder: &Path) -> Result<()> {
    write_all(folder)
        .with_context(|| format!("cannot write the sample configuration to {}", folder.display()))
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    let transforms = folder.join("transforms");
    for (name, files) in [("lib", &LIBRARY), ("tables", &TABLES)] {
        std::fs::create_dir_all(transforms.join(name))?;
        files.extract(transforms.join(name))?;
    }
    for (name, text) in SCRIPTS {
        std::fs::write(transforms.join(name), text)?;
    }
    std::fs::write(folder.join("channels.yaml"), CHANNELS)
}

/// All samples as they would have come in: each channel in the order of its file names, the
/// channels interleaved by the time of their messages.
pub(crate) fn samples() -> Result<Vec<Sample>> {
    let mut channels: BTreeMap<String, VecDeque<Sample>> = BTreeMap::new();
    for sample in by_channel()? {
        channels.entry(sample.channel.clone()).or_default().push_back(sample);
    }
    let mut all = Vec::new();
    loop {
        let waiting = channels.values_mut().filter(|queue| !queue.is_empty());
        let Some(next) = waiting.min_by_key(|queue| queue.front().map(Sample::time)) else {
            return Ok(all);
        };
        all.extend(next.pop_front());
    }
}

impl Sample {
    /// MSH-7 to the second; a message without a readable header comes at once.
    fn time(&self) -> String {
        let header = Header::from_frame(&self.message);
        header.map(|header| header.time.chars().take(14).collect()).unwrap_or_default()
    }
}

/// Channel after channel, each in the order of its file names.
fn by_channel() -> Result<Vec<Sample>> {
    let expected = SAMPLES.get_file("expected.json").context("samples/expected.json is missing")?;
    let expected: BTreeMap<String, BTreeMap<String, Expected>> =
        serde_json::from_slice(expected.contents()).context("samples/expected.json")?;
    let mut all = Vec::new();
    for (channel, files) in expected {
        for (file, expected) in files {
            let path = format!("{channel}/{file}");
            let found =
                SAMPLES.get_file(&path).with_context(|| format!("samples/{path} is missing"))?;
            let message = Bytes::from_static(found.contents());
            all.push(Sample { channel: channel.clone(), file, message, expected });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_has_its_expectation_and_every_source_has_some() {
        let all = samples().unwrap();
        for folder in SAMPLES.dirs() {
            let channel = folder.path().to_str().unwrap();
            let expected = all.iter().filter(|sample| sample.channel == channel).count();
            let files = folder.files().filter(|f| f.path().extension().is_some_and(|e| e == "hl7"));
            assert_eq!(files.count(), expected, "{channel}");
            assert!(expected >= 3, "{channel}");
        }
    }
}
