//! Everything a configuration is made of, as texts that were read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use record::name_based::name_based;
use uuid::Uuid;

use crate::config::overrides::{self, Overrides};
use crate::config::preset;
use crate::config::problem::Problem;
use crate::config::tree::{Node, Place, Value};
use crate::config::yaml;

/// Every text of one configuration, and where relative paths in it begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// The folder of the file Tieline was given.
    pub base: PathBuf,
    /// The YAML files in the order they are read, by their paths below `base`.
    pub files: Vec<(String, String)>,
    /// The folder of scripts and tables, below `base`; `None` if no channel names a script.
    pub transforms: Option<PathBuf>,
    /// Script texts, by their paths below `transforms`: `pas_adt.rhai`, `lib/uk_adt.rhai`.
    pub scripts: BTreeMap<String, String>,
    /// Table texts, by their names without ending: `wards` for `tables/wards.csv`.
    pub tables: BTreeMap<String, String>,
    /// Profile texts, by their paths as channels name them.
    pub profiles: BTreeMap<String, String>,
    /// The overrides that were given.
    pub set: Vec<String>,
    /// The data folder that was given.
    pub data: Option<PathBuf>,
}

/// No YAML file, script, table or profile of a configuration is larger.
const LARGEST: u64 = 4 << 20;

impl Bundle {
    /// Reads everything, and says what could not be read.
    pub fn gather(path: &Path, overrides: &Overrides) -> (Bundle, Vec<Problem>) {
        let mut bundle = Bundle {
            base: path.parent().unwrap_or(Path::new("")).to_owned(),
            set: overrides.set.clone(),
            data: overrides
                .data
                .as_ref()
                .map(|data| std::path::absolute(data).unwrap_or_else(|_| data.clone())),
            ..Bundle::default()
        };
        let mut problems = Vec::new();
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        match read(path) {
            Ok(text) => bundle.files.push((name, text)),
            Err(reason) => {
                let place = Place::outside(&path.display().to_string());
                problems.push(
                    Problem::error(&place, reason).help("name the file to read with --config"),
                );
                return (bundle, problems);
            }
        }
        bundle.gather_includes(&mut problems);
        bundle.gather_transforms(&mut problems);
        bundle.gather_profiles(&mut problems);
        (bundle, problems)
    }

    /// What the files say together, below the overrides and above the presets.
    pub fn tree(&self) -> (Node, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut whole: Option<Node> = None;
        for (name, text) in &self.files {
            match (yaml::parse(&self.shown(name), text), &mut whole) {
                (Ok(tree), None) => whole = Some(tree),
                (Ok(tree), Some(whole)) => join(whole, tree, &mut problems),
                (Err(problem), _) => problems.push(problem),
            }
        }
        let mut tree = whole.unwrap_or_else(Node::nothing);
        problems.extend(overrides::apply(&mut tree, &self.set));
        if let Some(data) = &self.data {
            overrides::apply_data(&mut tree, data);
        }
        problems.extend(preset::apply(&mut tree));
        (tree, problems)
    }

    /// Twelve hexadecimal digits that differ when anything differs that could change an event.
    pub fn version(&self) -> String {
        let mut all = Vec::new();
        let mut add = |text: &str| {
            all.extend_from_slice(&(text.len() as u64).to_be_bytes());
            all.extend_from_slice(text.as_bytes());
        };
        for (name, text) in self.files.iter().map(|(name, text)| (name, text)) {
            add(name);
            add(text);
        }
        for (name, text) in self.scripts.iter().chain(&self.tables).chain(&self.profiles) {
            add(name);
            add(text);
        }
        self.set.iter().for_each(|text| add(text));
        let hash = name_based(&Uuid::NAMESPACE_OID, &all);
        hash.simple().to_string().chars().take(12).collect()
    }

    /// A path of the bundle as it opens from where the program was started.
    pub fn shown(&self, below_base: &str) -> String {
        self.base.join(below_base).display().to_string()
    }

    /// The same for a path below the folder of scripts and tables.
    pub fn shown_transform(&self, below: &str) -> String {
        let folder = self.transforms.as_deref().unwrap_or(Path::new(""));
        match self.base.join(folder).join(below).display().to_string() {
            here if here.is_empty() => ".".to_owned(),
            path => path,
        }
    }

    fn gather_includes(&mut self, problems: &mut Vec<Problem>) {
        let Some((name, text)) = self.files.first() else { return };
        let Ok(tree) = yaml::parse(&self.shown(name), text) else { return };
        let Some(Value::List(patterns)) = tree.get(&["include"]).map(|node| &node.value) else {
            return;
        };
        for node in patterns {
            let Some(pattern) = node.text() else { continue };
            match matching(&self.base, pattern) {
                Ok(names) => {
                    for name in names {
                        if self.files.iter().any(|(known, _)| *known == name) {
                            continue;
                        }
                        match read(&self.base.join(&name)) {
                            Ok(text) => self.files.push((name, text)),
                            Err(reason) => problems.push(Problem::error(&node.place, reason)),
                        }
                    }
                }
                Err(reason) => problems.push(
                    Problem::error(&node.place, reason)
                        .help("write a file, or a pattern with one `*` in its last part"),
                ),
            }
        }
    }

    fn gather_profiles(&mut self, problems: &mut Vec<Problem>) {
        let (tree, _) = self.tree();
        let channels = tree.get(&["channels"]).map_or(&[][..], Node::entries);
        for node in channels.iter().filter_map(|channel| channel.node.get(&["profile", "file"])) {
            let Some(name) = node.text().filter(|name| !self.profiles.contains_key(*name)) else {
                continue;
            };
            match read(&self.base.join(name)) {
                Ok(text) => drop(self.profiles.insert(name.to_owned(), text)),
                Err(reason) => {
                    let help = "`tieline profile infer` writes one";
                    problems.push(Problem::error(&node.place, reason).help(help));
                }
            }
        }
    }

    fn gather_transforms(&mut self, problems: &mut Vec<Problem>) {
        let (tree, _) = self.tree();
        let channels = tree.get(&["channels"]).map_or(&[][..], Node::entries);
        let script = channels.iter().find_map(|c| c.node.get(&["transform", "script"])?.text());
        let Some(script) = script else { return };
        let folder = transforms_folder(Path::new(script));
        let root = self.base.join(&folder);
        self.transforms = Some(folder);
        let mut take =
            |texts: &mut BTreeMap<String, String>, path: &Path, name: String| match read(path) {
                Ok(text) => drop(texts.insert(name, text)),
                Err(reason) => {
                    let place = Place::outside(&path.display().to_string());
                    problems.push(Problem::error(&place, reason));
                }
            };
        for below in ["", "lib"] {
            for (path, name) in list(&root.join(below), "rhai") {
                let name = Path::new(below).join(format!("{name}.rhai")).display().to_string();
                take(&mut self.scripts, &path, name);
            }
        }
        for (path, name) in list(&root.join("tables"), "csv") {
            take(&mut self.tables, &path, name);
        }
    }
}

/// The folder of scripts and tables that a script belongs to: the nearest one named `transforms`
/// above it, else its own.
pub(super) fn transforms_folder(script: &Path) -> PathBuf {
    let folders = script.ancestors().skip(1);
    let named = folders.into_iter().find(|folder| folder.ends_with("transforms"));
    named.or(script.parent()).unwrap_or(Path::new("")).to_owned()
}

/// Adds what a further file says. A key of a channel, or a part of the engine, is said once.
fn join(whole: &mut Node, more: Node, problems: &mut Vec<Problem>) {
    let Value::Map(more) = more.value else {
        problems.push(Problem::error(&more.place, "wanted keys with values"));
        return;
    };
    for section in more {
        if section.key == "include" {
            let problem = Problem::error(&section.place, "an included file cannot include more");
            problems.push(problem.help("write every pattern in the first file"));
            continue;
        }
        let Value::Map(sections) = &mut whole.value else { return };
        let Some(there) = sections.iter_mut().find(|entry| entry.key == section.key) else {
            sections.push(section);
            continue;
        };
        match (&mut there.node.value, section.node.value) {
            (Value::Map(ours), Value::Map(theirs)) => {
                for entry in theirs {
                    match ours.iter().find(|our| our.key == entry.key) {
                        Some(our) => problems.push(twice(&entry.key, &entry.place, &our.place)),
                        None => ours.push(entry),
                    }
                }
            }
            _ => problems.push(twice(&section.key, &section.place, &there.place)),
        }
    }
}

fn twice(key: &str, place: &Place, before: &Place) -> Problem {
    Problem::error(place, format!("`{key}` is already said at {before}"))
        .help("say it in one of the files")
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let cannot = |error: &std::io::Error| format!("cannot read {shown}: {}", reason(error));
    let size = fs::metadata(path).map_err(|error| cannot(&error))?.len();
    if size > LARGEST {
        return Err(format!("cannot read {shown}: it is larger than {} MiB", LARGEST >> 20));
    }
    let bytes = fs::read(path).map_err(|error| cannot(&error))?;
    String::from_utf8(bytes).map_err(|_| format!("cannot read {shown}: it is not UTF-8 text"))
}

/// What the operating system says, without its error number.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string().to_lowercase();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The files a pattern of `include` means, by their paths below `base`, in order.
fn matching(base: &Path, pattern: &str) -> Result<Vec<String>, String> {
    let path = Path::new(pattern);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let Some((start, end)) = name.split_once('*') else {
        return Ok(vec![pattern.to_owned()]);
    };
    if end.contains('*') || folder.to_string_lossy().contains('*') {
        return Err(format!("`{pattern}` has more than one `*`, or one in a folder's name"));
    }
    let entries = match fs::read_dir(base.join(folder)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("cannot list `{pattern}`: {}", reason(&error))),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let fits = |name: &String| {
        name.len() >= start.len() + end.len()
            && !name.starts_with('.')
            && name.starts_with(start)
            && name.ends_with(end)
    };
    let mut found: Vec<String> = names.filter(fits).collect();
    found.sort();
    Ok(found.into_iter().map(|name| folder.join(name).display().to_string()).collect())
}

/// The files with an ending in a folder, with their names without it, in order; none if there is
/// no such folder.
fn list(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let files = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
    let mut found: Vec<(PathBuf, String)> = files
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            Some((path, name))
        })
        .collect();
    found.sort();
    found
}
