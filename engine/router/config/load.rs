//! From a file to a configuration that can run, or to everything that is wrong with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hl7::dictionary::misplaced::misplaced;
use hl7::profile::rules::Profile;
use transform::limits::Limits;
use transform::problem::{ScriptProblem, Severity as ScriptSeverity};
use transform::script::Script;
use transform::sources::{Setting, Sources};

use crate::config::bundle::{Bundle, transforms_folder};
use crate::config::channel::Channel;
use crate::config::check;
use crate::config::model::Config;
use crate::config::nearest::nearest;
use crate::config::overrides::Overrides;
use crate::config::problem::{Failure, Problem, Severity, masked, sort};
use crate::config::profile;
use crate::config::reader;
use crate::config::segments::local_names;
use crate::config::setting::SettingValue;
use crate::config::tree::Node;

/// A configuration that can run.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// The folder relative paths in it begin at.
    pub base: PathBuf,
    /// The data folder.
    pub data: PathBuf,
    /// Twelve hexadecimal digits that differ when anything differs that could change an event.
    pub version: String,
    /// The compiled script of each channel, in the order of the channels.
    pub scripts: Vec<Arc<Script>>,
    /// The profile of each channel, in the order of the channels.
    pub profiles: Vec<Option<Arc<Profile>>>,
    /// The texts the scripts were compiled from.
    pub sources: Arc<Sources>,
    /// What is odd but no hindrance.
    pub warnings: Vec<Problem>,
    /// The text of each file a warning may be in, with passwords masked.
    pub texts: BTreeMap<String, String>,
    /// What was said where, for provenance.
    pub tree: Node,
    /// Everything that was read.
    pub bundle: Bundle,
}

impl Loaded {
    /// A path of the configuration, from where the program was started.
    pub fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }
}

/// Reads, checks and compiles the configuration in a file with all it refers to.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Loaded, Failure> {
    let (bundle, problems) = Bundle::gather(path, overrides);
    understand(bundle, problems)
}

/// The same for what was already read: nothing is read here.
pub fn understand(bundle: Bundle, mut problems: Vec<Problem>) -> Result<Loaded, Failure> {
    let (tree, found) = bundle.tree();
    problems.extend(found);
    let broken = bundle.files.is_empty() || problems.iter().any(Problem::is_error);
    let reading = reader::read::<Config>(tree);
    // A file that could not be read leaves holes that are no problems of their own.
    let complete = !broken && reading.problems.is_empty();
    problems.extend(reading.problems);
    let sources =
        Arc::new(Sources { scripts: bundle.scripts.clone(), tables: bundle.tables.clone() });
    let (mut scripts, mut profiles) = (Vec::new(), Vec::new());
    if let Some(config) = &reading.model {
        check::check(config, &reading.tree, complete, &mut problems);
        let mut compiler = Compiler {
            bundle: &bundle,
            tree: &reading.tree,
            sources: &sources,
            config,
            problems: &mut problems,
        };
        compiler.tables();
        for (name, channel) in config.channels.iter() {
            scripts.extend(compiler.compile(name, channel).map(Arc::new));
            profiles.push(compiler.profile(channel).map(Arc::new));
        }
    }
    sort(&mut problems);
    let texts = texts(&bundle, &problems);
    let data = reading.model.as_ref().map(|config| bundle.base.join(&config.engine.data));
    match reading.model {
        Some(config) if !problems.iter().any(Problem::is_error) => Ok(Loaded {
            base: bundle.base.clone(),
            data: bundle.base.join(&config.engine.data),
            version: bundle.version(),
            config,
            scripts,
            profiles,
            sources,
            warnings: problems,
            texts,
            tree: reading.tree,
            bundle,
        }),
        _ => Err(Failure { problems, texts, data }),
    }
}

struct Compiler<'a> {
    bundle: &'a Bundle,
    tree: &'a Node,
    sources: &'a Arc<Sources>,
    config: &'a Config,
    problems: &'a mut Vec<Problem>,
}

impl Compiler<'_> {
    fn tables(&mut self) {
        let found = transform::table::problems(self.sources);
        self.take(&found);
    }

    fn compile(&mut self, name: &str, channel: &Channel) -> Option<Script> {
        let path = self.script_path(name, channel)?;
        let settings = channel.transform.settings.iter();
        let settings = settings.map(|(key, value)| (key.clone(), given(value))).collect();
        let limits = &self.config.engine.limits;
        let limits = Limits {
            operations: limits.script_operations,
            time: limits.script_time.0,
            ..Limits::default()
        };
        match Script::compile(self.sources, &path, settings, limits) {
            Ok(script) => {
                self.take(script.warnings());
                self.unused_settings(name, channel, &script);
                self.misplaced(channel, &script);
                Some(script)
            }
            Err(found) => {
                self.take(&found);
                None
            }
        }
    }

    /// The profile of a channel. That its file cannot be read was said when it was.
    fn profile(&mut self, channel: &Channel) -> Option<Profile> {
        let path = channel.profile.as_ref()?.file.display().to_string();
        let text = self.bundle.profiles.get(&path)?;
        match profile::read(&self.bundle.shown(&path), text) {
            Ok(profile) => Some(profile),
            Err(found) => {
                self.problems.extend(found);
                None
            }
        }
    }

    /// The path of a channel's script below the folder of scripts and tables.
    fn script_path(&mut self, name: &str, channel: &Channel) -> Option<String> {
        let written = &channel.transform.script;
        let place = self.tree.value_place(&["channels", name, "transform", "script"]);
        let folder = self.bundle.transforms.as_deref().unwrap_or(Path::new(""));
        if transforms_folder(written) != folder {
            let message = "the scripts of one configuration share a folder";
            let help = format!(
                "move the script to {}, where the first one is",
                self.bundle.shown_transform("")
            );
            self.problems.push(Problem::error(place, message).help(help));
            return None;
        }
        let path = written.strip_prefix(folder).unwrap_or(written).display().to_string();
        if self.sources.scripts.contains_key(&path) {
            return Some(path);
        }
        let problem = Problem::error(place, format!("there is no script {}", written.display()));
        let scripts = self.sources.scripts.keys().filter(|script| !script.contains('/'));
        self.problems.push(match nearest(&path, scripts.map(String::as_str)) {
            Some(meant) => {
                problem.help(format!("did you mean `{}`?", folder.join(meant).display()))
            }
            None => problem.help(format!("write it as {}", self.bundle.shown_transform(&path))),
        });
        None
    }

    fn unused_settings(&mut self, name: &str, channel: &Channel, script: &Script) {
        let used: BTreeSet<&str> = script.settings_used().collect();
        for key in channel.transform.settings.keys().filter(|key| !used.contains(key.as_str())) {
            let place = self.tree.place_of(&["channels", name, "transform", "settings", key]);
            let problem =
                Problem::warning(place, format!("the script does not read the setting `{key}`"));
            self.problems.push(match nearest(key, used.iter().copied()) {
                Some(meant) => problem.help(format!("it does read `{meant}`")),
                None => problem.help("take it out, or read it with setting(\"...\") in the script"),
            });
        }
    }

    /// Places that no version of the standard has are read in vain, unless the sender added them.
    fn misplaced(&mut self, channel: &Channel, script: &Script) {
        let local = local_names(&channel.source.segments);
        for found in script.places() {
            let Some(misplaced) = misplaced(&found.at, &local) else { continue };
            let (message, help) = misplaced.words(&found.at);
            self.problems.push(Problem {
                file: self.bundle.shown_transform(&found.file),
                line: found.line,
                column: found.column,
                severity: Severity::Warning,
                message,
                help: Some(help),
            });
        }
    }

    fn take(&mut self, found: &[ScriptProblem]) {
        self.problems.extend(found.iter().map(|found| Problem {
            file: self.bundle.shown_transform(&found.file),
            line: found.line,
            column: found.column,
            severity: match found.severity {
                ScriptSeverity::Error => Severity::Error,
                ScriptSeverity::Warning => Severity::Warning,
            },
            message: found.message.clone(),
            help: found.help.clone(),
        }));
    }
}

fn given(value: &SettingValue) -> Setting {
    match value {
        SettingValue::Text(text) => Setting::Text(text.clone()),
        SettingValue::Whole(number) => Setting::Whole(*number),
        SettingValue::Flag(flag) => Setting::Flag(*flag),
    }
}

/// The texts that problems are in, as they may be shown.
fn texts(bundle: &Bundle, problems: &[Problem]) -> BTreeMap<String, String> {
    let files = bundle.files.iter().map(|(name, text)| (bundle.shown(name), masked(text)));
    let scripts =
        bundle.scripts.iter().map(|(path, text)| (bundle.shown_transform(path), text.clone()));
    let tables = bundle
        .tables
        .iter()
        .map(|(name, text)| (bundle.shown_transform(&format!("tables/{name}.csv")), text.clone()));
    let profiles = bundle.profiles.iter().map(|(path, text)| (bundle.shown(path), text.clone()));
    let mentioned: BTreeSet<&str> = problems.iter().map(|problem| problem.file.as_str()).collect();
    files
        .chain(scripts)
        .chain(tables)
        .chain(profiles)
        .filter(|(path, _)| mentioned.contains(path.as_str()))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::config::effective::effective;

    /// A channel with nothing wrong.
    pub(in crate::config) const FEED: &str = "channels:
  pas: { listener: { mllp: { listen: 127.0.0.1:2575 } }, accept: { senders: [\"PAS/*\"], types: [ADT] }, source: { organisation: RXX }, transform: { script: x.rhai } }
";

    const SCRIPT: &str = "fn transform(msg) { filter(\"not-used\") }\n";

    /// Every problem of a configuration that consists of this text and one script.
    pub(in crate::config) fn problems(text: &str) -> Vec<String> {
        let bundle = Bundle {
            files: vec![("c.yaml".to_owned(), text.to_owned())],
            transforms: Some(PathBuf::new()),
            scripts: BTreeMap::from([("x.rhai".to_owned(), SCRIPT.to_owned())]),
            ..Bundle::default()
        };
        let found = match understand(bundle, Vec::new()) {
            Ok(loaded) => loaded.warnings,
            Err(failure) => failure.problems,
        };
        let help = |p: &Problem| p.help.clone().unwrap_or_default();
        found
            .iter()
            .map(|p| format!("{}:{} {} [{}]", p.line, p.column, p.message, help(p)))
            .collect()
    }

    fn write(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            fs::write(path, text).expect("write");
        }
    }

    fn whole(folder: &Path) -> PathBuf {
        let feed = FEED.replace("x.rhai", "transforms/x.rhai");
        let second = feed.replace("  pas:", "  lims:").replace(":2575", ":2576");
        write(
            folder,
            &[
                (
                    "channels.yaml",
                    &format!("include: [channels.d/*.yaml]\nengine: {{ data: d }}\n{feed}"),
                ),
                ("channels.d/lims.yaml", &second),
                ("channels.d/notes.txt", "not read"),
                ("transforms/x.rhai", SCRIPT),
                ("transforms/lib/uk.rhai", "fn f() { 1 }\n"),
                ("transforms/tables/wards.csv", "code,value\nW1,One\n"),
                ("transforms/tests/pas/a.expect.json", "{}"),
            ],
        );
        folder.join("channels.yaml")
    }

    #[test]
    fn a_configuration_is_its_file_what_it_includes_and_its_transforms() {
        let folder = tempfile::tempdir().expect("folder");
        let path = whole(folder.path());
        let loaded = load(&path, &Overrides::default()).expect("loads");
        assert_eq!(loaded.config.channels.names().collect::<Vec<_>>(), ["pas", "lims"]);
        assert_eq!(loaded.data, folder.path().join("d"));
        assert_eq!(loaded.sources.scripts.keys().collect::<Vec<_>>(), ["lib/uk.rhai", "x.rhai"]);
        assert_eq!(loaded.sources.tables.keys().collect::<Vec<_>>(), ["wards"]);
        assert_eq!((loaded.scripts.len(), loaded.version.len()), (2, 12));
        assert_eq!(loaded.warnings, []);
    }

    #[test]
    fn the_version_changes_with_what_could_change_an_event_and_with_nothing_else() {
        let folder = tempfile::tempdir().expect("folder");
        let path = whole(folder.path());
        let version = |overrides: &Overrides| load(&path, overrides).expect("loads").version;
        let set = |set: &str| Overrides { set: vec![set.to_owned()], data: None };
        let first = version(&Overrides::default());
        let data = Some(folder.path().join("elsewhere"));
        assert_eq!(first, version(&Overrides { set: Vec::new(), data }));
        assert_ne!(first, version(&set("events.namespace=uk.nhs.other")));
        write(folder.path(), &[("transforms/tables/wards.csv", "code,value\nW1,Two\n")]);
        assert_ne!(first, version(&Overrides::default()));
    }

    #[test]
    fn each_value_says_where_it_came_from() {
        let folder = tempfile::tempdir().expect("folder");
        let path = whole(folder.path());
        let overrides =
            Overrides { set: vec!["engine.console.listen=127.0.0.1:0".into()], data: None };
        let values = effective(&load(&path, &overrides).expect("loads"));
        let from = |key: &str| {
            let found = values.iter().find(|value| value.key == key).expect(key);
            (found.value.to_string(), found.from.clone())
        };
        assert_eq!(from("engine.console.listen").1, "--set engine.console.listen");
        assert_eq!(from("engine.limits.buffers"), ("\"256MiB\"".into(), "default".into()));
        assert_eq!(from("channels.pas.source.charset").1, "preset generic");
        let place = format!("{}:4:", path.display());
        assert!(from("channels.pas.source.organisation").1.starts_with(&place));
        assert_eq!(from("channels.lims.accept.types").0, "[\"ADT\"]");
    }

    #[test]
    fn every_file_is_heard_out_and_a_name_is_said_once() {
        let folder = tempfile::tempdir().expect("folder");
        let path = whole(folder.path());
        let feed = FEED.replace("x.rhai", "transforms/y.rhai");
        let more =
            format!("include: [a.yaml]\nbroker: {{ amqp: {{ url: {{ env: X }} }} }}\n{feed}");
        write(
            folder.path(),
            &[("channels.d/again.yaml", &more), ("channels.d/bad.yaml", "a: [\n")],
        );
        let failure = load(&path, &Overrides::default()).expect_err("cannot run");
        let found: Vec<_> = failure.problems.iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].contains("again.yaml:1:1: an included file cannot include more"));
        assert!(found[1].contains("again.yaml:4:3: `pas` is already said at"));
        assert!(found[2].contains("bad.yaml:"), "{found:#?}");
        assert_eq!(failure.texts.len(), 2);
    }

    #[test]
    fn a_script_that_is_not_there_is_named_with_the_one_that_was_meant() {
        let found = problems(&FEED.replace("x.rhai", "xx.rhai"));
        assert!(
            found[0].contains("there is no script xx.rhai [did you mean `x.rhai`?]"),
            "{found:?}"
        );
        let found = problems(&FEED.replace("x.rhai", "other/transforms/x.rhai"));
        assert!(found[0].contains("scripts of one configuration share a folder"), "{found:?}");
    }

    #[test]
    fn a_setting_the_script_does_not_read_is_odd() {
        let found = problems(&FEED.replace("x.rhai", "x.rhai, settings: { sight: RXX01 }"));
        assert!(found[0].contains("does not read the setting `sight`"), "{found:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_one_clear_line() {
        let failure = load(Path::new("no/such/channels.yaml"), &Overrides::default())
            .expect_err("cannot run");
        assert_eq!(failure.problems.len(), 1, "{:?}", failure.problems);
        assert!(failure.to_string().contains("cannot read no/such/channels.yaml: no such file"));
    }

    #[test]
    fn a_place_that_the_standard_lacks_is_odd_unless_the_sender_added_it() {
        let script = "fn transform(msg) {\n  msg[\"PID-45\"];\n  msg.segments(\"PDI\");\n  \
                      msg[\"ZPI-1\"];\n  filter(\"no\")\n}\n";
        let found = |source: &str| {
            let bundle = Bundle {
                files: vec![("c.yaml".to_owned(), FEED.replace("organisation: RXX", source))],
                transforms: Some(PathBuf::new()),
                scripts: BTreeMap::from([("x.rhai".to_owned(), script.to_owned())]),
                ..Bundle::default()
            };
            let warnings = understand(bundle, Vec::new()).expect("runs").warnings;
            warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let all = found("organisation: RXX");
        assert_eq!(all.len(), 2, "{all:#?}");
        assert!(
            all[0].contains("x.rhai:2:7: PID (Patient Identification) ends at PID-40"),
            "{all:#?}"
        );
        assert!(all[1].contains("x.rhai:3:16: no version of HL7 v2 has a segment PDI"), "{all:#?}");
        let named = "organisation: RXX, segments: { PDI: { name: x }, PID: { fields: { 45: y } } }";
        assert_eq!(found(named), [""; 0]);
    }

    #[test]
    fn the_configuration_of_this_repository_runs() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../channels.yaml");
        let loaded = load(&path, &Overrides::default()).expect("channels.yaml has no errors");
        assert_eq!(loaded.warnings, [], "channels.yaml has no warnings");
    }
}
