//! Which crates must never see which: the walls of the house, asked of cargo itself.

use std::collections::BTreeSet;

/// One wall: `inside` may not reach `outside`, directly or through others.
#[derive(Debug)]
pub(crate) struct Wall {
    pub inside: &'static str,
    pub outside: &'static [&'static str],
    pub why: &'static str,
}

pub(crate) const WALLS: &[Wall] = &[
    Wall { inside: "hl7", outside: &["tokio"], why: "the standard's words have no I/O" },
    Wall { inside: "record", outside: &["tokio"], why: "the shared record is pure" },
    Wall { inside: "identity", outside: &["tokio"], why: "whom it is about is asked, not awaited" },
    Wall { inside: "transform", outside: &["tokio"], why: "a script has no I/O" },
    Wall {
        inside: "router",
        outside: &["axum", "clap", "console"],
        why: "the line owes nothing to the console or the command line",
    },
    Wall {
        inside: "journal",
        outside: &["hl7", "record", "identity", "transform", "router", "console"],
        why: "an entry is opaque bytes",
    },
];

/// The arguments of `cargo` that list everything a crate is built from, tests left out.
pub(crate) fn tree_of(package: &str) -> [&str; 10] {
    [
        "tree",
        "--locked",
        "--package",
        package,
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]
}

/// Those on the wrong side of the wall, from the output of `cargo tree`.
pub(crate) fn breaches(wall: &Wall, tree: &str) -> BTreeSet<String> {
    let seen: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let outside = wall.outside.iter().copied();
    outside.filter(|name| seen.contains(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "router v0.1.0 (/tieline/engine/router)\n\
        hl7 v0.1.0 (/tieline/engine/hl7)\n\
        tokio v1.54.0\n\
        tokio-util v0.7.20 (*)\n";

    #[test]
    fn a_crate_on_the_wrong_side_is_named() {
        let wall = Wall { inside: "router", outside: &["axum", "tokio"], why: "" };
        assert_eq!(breaches(&wall, TREE), BTreeSet::from(["tokio".to_owned()]));
    }

    #[test]
    fn a_name_that_only_begins_alike_is_no_breach() {
        let wall = Wall { inside: "router", outside: &["tok", "hl", "axum"], why: "" };
        assert!(breaches(&wall, TREE).is_empty());
    }
}
