//! The copy of each configuration that was put in force, and which of them was the last.
//!
//! ```text
//! <data>/activated/<version>/manifest.json     what belongs to it, and under which names
//! <data>/activated/<version>/files/...         the texts, numbered in the order of the manifest
//! <data>/activated/last-good                   the version that was last in force
//! ```
//!
//! A copy appears whole or not at all: it is written under another name, made durable and renamed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::bundle::Bundle;
use crate::config::load::{Loaded, understand};
use crate::config::problem::Failure;

/// Why a configuration could not be copied. It is in force nevertheless.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep a copy of the configuration in {}", path.display())]
pub struct ActivateError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// Why there is no last good configuration to go back to.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodError {
    #[error("no configuration was ever in force with the data in {}", .0.display())]
    Never(PathBuf),
    #[error("cannot read the copy of the last good configuration in {}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the copy of the last good configuration in {} is damaged", .0.display())]
    Damaged(PathBuf),
    #[error("the last good configuration does not suit this version of the program: {0}")]
    Unfit(Failure),
}

/// What belongs to a copy. Stored copies are read by later versions: add fields, never rename.
#[derive(Serialize, Deserialize)]
struct Manifest {
    version: String,
    base: PathBuf,
    transforms: Option<PathBuf>,
    set: Vec<String>,
    files: Vec<Kept>,
    scripts: Vec<Kept>,
    tables: Vec<Kept>,
    #[serde(default)]
    profiles: Vec<Kept>,
}

/// A text: its name in the bundle and the file that holds it.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    file: String,
}

/// Copies the configuration below the data folder and makes it the last good one.
pub fn activate(data: &Path, loaded: &Loaded) -> Result<(), ActivateError> {
    let folder = data.join("activated");
    write(&folder, loaded).map_err(|source| ActivateError { path: folder, source })
}

/// The configuration that was last in force, compiled anew from its copy. Its overrides are the
/// ones that were given then; its data folder is this one.
pub fn load_last_good(data: &Path) -> Result<Loaded, LastGoodError> {
    let folder = data.join("activated");
    let pointer = folder.join("last-good");
    let version = match fs::read_to_string(&pointer) {
        Ok(version) => version.trim().to_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(LastGoodError::Never(data.to_owned()));
        }
        Err(source) => return Err(LastGoodError::Unreadable { path: pointer, source }),
    };
    let copy = folder.join(&version);
    if version.is_empty() || !version.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(LastGoodError::Damaged(pointer));
    }
    let mut bundle = match read(&copy) {
        Ok(Some(bundle)) if bundle.version() == version => bundle,
        Ok(_) => return Err(LastGoodError::Damaged(copy)),
        Err(source) => return Err(LastGoodError::Unreadable { path: copy, source }),
    };
    bundle.data = Some(std::path::absolute(data).unwrap_or_else(|_| data.to_owned()));
    understand(bundle, Vec::new()).map_err(LastGoodError::Unfit)
}

fn write(folder: &Path, loaded: &Loaded) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let copy = folder.join(&loaded.version);
    let whole = matches!(read(&copy), Ok(Some(bundle)) if bundle.version() == loaded.version);
    if !whole {
        let unfinished = folder.join(format!(".{}.unfinished", loaded.version));
        remove(&unfinished)?;
        write_copy(&unfinished, loaded)?;
        remove(&copy)?;
        fs::rename(&unfinished, &copy)?;
        sync(folder)?;
    }
    let unfinished = folder.join(".last-good.unfinished");
    write_file(&unfinished, &format!("{}\n", loaded.version))?;
    fs::rename(&unfinished, folder.join("last-good"))?;
    sync(folder)
}

fn write_copy(copy: &Path, loaded: &Loaded) -> io::Result<()> {
    let bundle = &loaded.bundle;
    let files = copy.join("files");
    fs::create_dir_all(&files)?;
    let mut count = 0;
    let mut keep = |name: &str, text: &str| -> io::Result<Kept> {
        count += 1;
        let last = Path::new(name).file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{count:04}-{last}");
        write_file(&files.join(&file), text)?;
        Ok(Kept { name: name.to_owned(), file })
    };
    let mut keep_all = |texts: &mut dyn Iterator<Item = (&String, &String)>| {
        texts.map(|(name, text)| keep(name, text)).collect::<io::Result<Vec<Kept>>>()
    };
    let manifest = Manifest {
        version: loaded.version.clone(),
        base: std::path::absolute(&bundle.base).unwrap_or_else(|_| bundle.base.clone()),
        transforms: bundle.transforms.clone(),
        set: bundle.set.clone(),
        files: keep_all(&mut bundle.files.iter().map(|(name, text)| (name, text)))?,
        scripts: keep_all(&mut bundle.scripts.iter())?,
        tables: keep_all(&mut bundle.tables.iter())?,
        profiles: keep_all(&mut bundle.profiles.iter())?,
    };
    let text = serde_json::to_string_pretty(&manifest).map_err(io::Error::other)?;
    write_file(&copy.join("manifest.json"), &text)?;
    sync(&files)?;
    sync(copy)
}

/// A copy as it was written; `None` if its manifest is not one.
fn read(copy: &Path) -> io::Result<Option<Bundle>> {
    let text = fs::read_to_string(copy.join("manifest.json"))?;
    let Ok(manifest) = serde_json::from_str::<Manifest>(&text) else { return Ok(None) };
    let files = copy.join("files");
    let take = |kept: Vec<Kept>| -> io::Result<Vec<(String, String)>> {
        let texts = kept.into_iter().map(|kept| {
            let name = Path::new(&kept.file).file_name().unwrap_or_default();
            Ok((kept.name, fs::read_to_string(files.join(name))?))
        });
        texts.collect()
    };
    Ok(Some(Bundle {
        base: manifest.base,
        files: take(manifest.files)?,
        transforms: manifest.transforms,
        scripts: take(manifest.scripts)?.into_iter().collect::<BTreeMap<_, _>>(),
        tables: take(manifest.tables)?.into_iter().collect::<BTreeMap<_, _>>(),
        profiles: take(manifest.profiles)?.into_iter().collect::<BTreeMap<_, _>>(),
        set: manifest.set,
        data: None,
    }))
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Makes the names in a folder durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::load;
    use crate::config::overrides::Overrides;

    fn sample(folder: &Path, port: u16) -> Loaded {
        let yaml = format!(
            "engine: {{ environment: test }}\nchannels:\n  pas:\n    \
             listener: {{ mllp: {{ listen: 127.0.0.1:{port} }} }}\n    \
             source: {{ organisation: RXX }}\n    transform: {{ script: transforms/pas.rhai }}\n"
        );
        fs::create_dir_all(folder.join("transforms/tables")).expect("folder");
        fs::write(folder.join("channels.yaml"), yaml).expect("write");
        let script = "fn transform(msg) { filter(\"not-used\") }\n";
        fs::write(folder.join("transforms/pas.rhai"), script).expect("write");
        fs::write(folder.join("transforms/tables/wards.csv"), "code,value\nW1,One\n")
            .expect("write");
        load(&folder.join("channels.yaml"), &Overrides::default()).expect("loads")
    }

    #[test]
    fn the_last_good_copy_stands_when_the_present_one_is_broken() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        assert!(matches!(load_last_good(&data), Err(LastGoodError::Never(_))));
        let first = sample(folder.path(), 2575);
        activate(&data, &first).expect("activates");
        let second = sample(folder.path(), 2576);
        assert_ne!(first.version, second.version);
        activate(&data, &second).expect("activates");
        fs::write(folder.path().join("channels.yaml"), "channels: [").expect("write");
        fs::remove_dir_all(folder.path().join("transforms")).expect("remove");
        let found = load_last_good(&data).expect("last good");
        assert_eq!(found.version, second.version);
        assert_eq!(found.config.channels, second.config.channels);
        assert_eq!(found.data, data);
        assert_eq!(found.scripts.len(), 1);
    }

    #[test]
    fn activating_twice_is_once_and_a_damaged_copy_is_made_anew() {
        let folder = tempfile::tempdir().expect("folder");
        let data = folder.path().join("data");
        let loaded = sample(folder.path(), 2575);
        activate(&data, &loaded).expect("activates");
        activate(&data, &loaded).expect("activates");
        let copy = data.join("activated").join(&loaded.version);
        fs::write(copy.join("files/0001-channels.yaml"), "channels: {}\n").expect("write");
        assert!(matches!(load_last_good(&data), Err(LastGoodError::Damaged(_))));
        activate(&data, &loaded).expect("activates");
        assert_eq!(load_last_good(&data).expect("last good").version, loaded.version);
    }
}
