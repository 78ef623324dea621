//! Golden cases: `transforms/tests/<channel>/<case>.hl7`, what must come of it beside it in
//! `<case>.expect.json`, and what else is known in `<case>.given.yaml`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use hl7::acknowledgement::AckCode;
use jiff::Timestamp;
use router::teaching::asked;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::message_files;
use crate::rehearsal::{Given, GivenIdentity, Played};

/// When cases happen that do not say when.
const NOW: &str = "2026-01-01T12:00:00Z";

const MESSAGE: &str = ".hl7";
const EXPECT: &str = ".expect.json";
const GIVEN: &str = ".given.yaml";

/// One case, by its channel and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) channel: String,
    pub(crate) name: String,
    folder: PathBuf,
}

/// `<case>.given.yaml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GivenFile {
    now: Option<String>,
    identity: Option<GivenIdentity>,
    previous: Option<Value>,
    /// Cases whose messages came before, in this order: `pas-adt/admit`, or `admit` of this channel.
    before: Vec<String>,
    /// The message is what takes the merge of this identifier back, as a person's decision makes it.
    unmerge: Option<String>,
    /// Settings of the channel's script, in place of the configured ones.
    pub(crate) settings: BTreeMap<String, Value>,
}

/// What a case states, or what came of its message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement(pub(crate) Value);

/// All cases below a folder, in order; a file that belongs to no message is an error.
pub(crate) fn find(tests: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for folder in entries(tests)?.into_iter().filter(|path| path.is_dir()) {
        let channel = file_name(&folder);
        let files: Vec<_> = entries(&folder)?.iter().map(|path| file_name(path)).collect();
        for file in &files {
            if let Some(name) = file.strip_suffix(MESSAGE) {
                let (channel, name) = (channel.clone(), name.to_owned());
                cases.push(Case { channel, name, folder: folder.clone() });
            } else if let Some(name) = [EXPECT, GIVEN].iter().find_map(|end| file.strip_suffix(end))
                && !files.contains(&format!("{name}{MESSAGE}"))
            {
                bail!(
                    "{} belongs to no message: {name}{MESSAGE} is missing",
                    folder.join(file).display()
                );
            }
        }
    }
    cases.sort();
    Ok(cases)
}

/// The cases that the arguments name: a channel, `channel/case`, or a case's file.
pub(crate) fn select(cases: Vec<Case>, only: &[String]) -> Result<Vec<Case>> {
    if only.is_empty() {
        return Ok(cases);
    }
    if let Some(unknown) = only.iter().find(|wanted| !cases.iter().any(|case| case.is(wanted))) {
        bail!("no case and no channel with cases is called \"{unknown}\"");
    }
    Ok(cases.into_iter().filter(|case| only.iter().any(|wanted| case.is(wanted))).collect())
}

impl Case {
    /// `pas-adt/a01`.
    pub(crate) fn title(&self) -> String {
        format!("{}/{}", self.channel, self.name)
    }

    fn is(&self, wanted: &str) -> bool {
        let file = Path::new(wanted);
        wanted.trim_end_matches('/') == self.channel
            || wanted == self.title()
            || wanted == self.name
            || [MESSAGE, EXPECT, GIVEN]
                .iter()
                .any(|end| file.ends_with(format!("{}{end}", self.title())))
    }

    pub(crate) fn file(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}{end}", self.name))
    }

    /// The message, which is one.
    pub(crate) fn message(&self) -> Result<bytes::Bytes> {
        let file = self.file(MESSAGE);
        let mut messages = message_files::split(&message_files::read(&file)?);
        match (messages.pop(), messages.is_empty()) {
            (Some(message), true) => Ok(message),
            (None, _) => bail!("{} holds no message", file.display()),
            (Some(_), false) => bail!("{} holds several messages", file.display()),
        }
    }

    pub(crate) fn given(&self) -> Result<GivenFile> {
        let file = self.file(GIVEN);
        match read_if_there(&file)? {
            None => Ok(GivenFile::default()),
            Some(text) => serde_saphyr::from_str(&text)
                .map_err(|error| anyhow!("{}: {error}", file.display())),
        }
    }

    /// The cases whose messages came before this one's.
    pub(crate) fn earlier(&self, given: &GivenFile) -> Result<Vec<Case>> {
        let tests = self.folder.parent().unwrap_or(&self.folder);
        let case = |title: &String| {
            let (channel, name) = title.split_once('/').unwrap_or((&self.channel, title));
            let (channel, name) = (channel.to_owned(), name.to_owned());
            let case = Case { folder: tests.join(&channel), channel, name };
            if !case.file(MESSAGE).is_file() {
                bail!("`before` names {title}: there is no {}", case.file(MESSAGE).display());
            }
            Ok(case)
        };
        given.before.iter().map(case).collect()
    }

    /// What must come of it; nothing when that was never written down.
    pub(crate) fn expected(&self) -> Result<Option<Statement>> {
        let file = self.file(EXPECT);
        let Some(text) = read_if_there(&file)? else { return Ok(None) };
        let value = serde_json::from_str(&text).with_context(|| file.display().to_string())?;
        Ok(Some(Statement(value)))
    }

    /// Writes down what came of it as what must come of it.
    pub(crate) fn write_expected(&self, found: &Statement) -> Result<()> {
        let file = self.file(EXPECT);
        fs::write(&file, found.text()).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl GivenFile {
    pub(crate) fn given(&self) -> Result<Given> {
        let now = self.now.as_deref().unwrap_or(NOW);
        let now: Timestamp =
            now.parse().context("\"now\" is not a time such as 2026-01-01T12:00:00Z")?;
        Ok(Given {
            now,
            identity: self.identity.clone(),
            previous: self.previous.clone(),
            before: Vec::new(),
            unmerge: self.unmerge.as_deref().map(asked).transpose().context("unmerge")?,
        })
    }
}

impl Statement {
    pub(crate) fn of(played: &Played) -> Self {
        Self(json!({
            "ack": played.ack.map(AckCode::as_str),
            "state": played.state,
            "reason": played.reason,
            "events": played.events,
        }))
    }

    /// Readable JSON with a final line end.
    pub(crate) fn text(&self) -> String {
        format!("{:#}\n", self.0)
    }

    /// The same with the keys of each object in another's order: a difference in order is none,
    /// and must not be shown as one.
    pub(crate) fn in_order_of(self, model: &Self) -> Self {
        Self(in_order_of(self.0, &model.0))
    }
}

fn in_order_of(value: Value, model: &Value) -> Value {
    match (value, model) {
        (Value::Object(mut fields), Value::Object(order)) => {
            let mut ordered = Map::new();
            for (name, model) in order {
                if let Some(value) = fields.shift_remove(name) {
                    ordered.insert(name.clone(), in_order_of(value, model));
                }
            }
            ordered.extend(fields);
            Value::Object(ordered)
        }
        (Value::Array(items), Value::Array(order)) => {
            let model_of = |at: usize| order.get(at).unwrap_or(&Value::Null);
            let items = items.into_iter().enumerate();
            Value::Array(items.map(|(at, item)| in_order_of(item, model_of(at))).collect())
        }
        (value, _) => value,
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let entries = fs::read_dir(folder).with_context(unreadable)?;
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn read_if_there(file: &Path) -> Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().expect("a parent")).expect("created");
            fs::write(path, "{}").expect("written");
        }
        folder
    }

    #[test]
    fn cases_are_found_and_selected_by_channel_title_and_file() {
        let folder = folder(&["pas/b.hl7", "pas/a.hl7", "pas/a.expect.json", "lab/a.hl7"]);
        let cases = find(folder.path()).expect("found");
        let titles: Vec<_> = cases.iter().map(Case::title).collect();
        assert_eq!(titles, ["lab/a", "pas/a", "pas/b"]);

        let count = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            select(cases.clone(), &only).map(|cases| cases.len()).ok()
        };
        assert_eq!(count(&[]), Some(3));
        assert_eq!(count(&["pas"]), Some(2));
        assert_eq!(count(&["pas/b", "lab/"]), Some(2));
        assert_eq!(count(&["transforms/tests/pas/a.hl7"]), Some(1));
        assert_eq!(count(&["radiology"]), None);
    }

    #[test]
    fn an_expectation_without_its_message_is_an_error() {
        let folder = folder(&["pas/a.expect.json"]);
        let error = find(folder.path()).expect_err("an orphan");
        assert!(error.to_string().contains("a.hl7 is missing"), "{error}");
    }

    #[test]
    fn the_order_of_keys_is_no_difference() {
        let model = Statement(json!({ "a": 1, "b": [{ "x": 1, "y": 2 }], "c": 3 }));
        let other = Statement(json!({ "d": 4, "b": [{ "y": 2, "x": 1 }, { "z": 1 }], "a": 1 }));
        assert_eq!(
            other.in_order_of(&model).0.to_string(),
            r#"{"a":1,"b":[{"x":1,"y":2},{"z":1}],"d":4}"#
        );
    }

    #[test]
    fn what_is_given_is_read_strictly() {
        let read = |text: &str| serde_saphyr::from_str::<GivenFile>(text);
        let given = read(
            "now: 2026-03-29T00:30:00Z\nidentity: { nhs_number: \"9990000018\", status: \"01\" }\n",
        )
        .expect("read");
        assert_eq!(given.given().expect("valid").now.to_string(), "2026-03-29T00:30:00Z");
        assert!(read("when: 2026-03-29T00:30:00Z").is_err());
    }
}
