//! Every environment variable that Tieline reads.

use std::env;

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

/// Whether systemd collects what we log.
pub(crate) fn under_systemd() -> bool {
    env::var_os(JOURNAL_STREAM).is_some()
}
