//! Every environment variable that Tieline reads.

use std::env;
use std::path::PathBuf;

/// The configuration file, where `-c/--config` is not given.
pub(crate) const CONFIG: &str = "TIELINE_CONFIG";

/// The data folder, where `--data` is not given.
pub(crate) const DATA: &str = "TIELINE_DATA";

/// Where a running engine answers, where `--url` is not given, e.g. `http://127.0.0.1:8080`.
pub(crate) const URL: &str = "TIELINE_URL";

/// What is logged, e.g. `info` or `warn,router=debug`.
const LOG: &str = "TIELINE_LOG";

/// The Rust world's name for the same; read where `TIELINE_LOG` is absent.
const RUST_LOG: &str = "RUST_LOG";

/// Set to anything: no colours (<https://no-color.org>).
const NO_COLOR: &str = "NO_COLOR";

/// `dumb` is a terminal that cannot show colours.
const TERM: &str = "TERM";

/// The user's name, for one who stands in no list of users on this machine.
const USER: &str = "USER";

/// Who called `sudo`.
const SUDO_USER: &str = "SUDO_USER";

/// The editor of `parked edit --editor`; the first that is set.
const EDITORS: [&str; 2] = ["VISUAL", "EDITOR"];

/// A folder in memory for this user's files, made by systemd.
const RUNTIME: &str = "XDG_RUNTIME_DIR";

/// Set by systemd when standard error goes to its journal: logs are then JSON.
const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// The log filter that the environment asks for.
pub(crate) fn log_filter() -> Option<String> {
    env::var(LOG).or_else(|_| env::var(RUST_LOG)).ok().filter(|filter| !filter.is_empty())
}

/// Whether a terminal may be given colours.
pub(crate) fn wants_colour() -> bool {
    env::var_os(NO_COLOR).is_none_or(|value| value.is_empty())
        && env::var_os(TERM).is_none_or(|terminal| terminal != "dumb")
}

/// The user's name, as the session gives it.
pub(crate) fn user() -> Option<String> {
    env::var(USER).ok().filter(|name| !name.is_empty())
}

/// The user who became root by `sudo`.
pub(crate) fn behind_sudo() -> Option<String> {
    env::var(SUDO_USER).ok().filter(|name| !name.is_empty())
}

/// The user's editor; `vi` is on every machine.
pub(crate) fn editor() -> String {
    let named = EDITORS.iter().find_map(|name| env::var(name).ok().filter(|text| !text.is_empty()));
    named.unwrap_or_else(|| "vi".to_owned())
}

/// A folder that is never written to disk, where there is one.
pub(crate) fn folder_in_memory() -> Option<PathBuf> {
    env::var_os(RUNTIME).map(PathBuf::from).filter(|folder| folder.is_dir())
}

/// Whether systemd collects what we log.
pub(crate) fn under_systemd() -> bool {
    env::var_os(JOURNAL_STREAM).is_some()
}
