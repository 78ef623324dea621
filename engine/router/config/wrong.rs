//! What can be wrong with one part of the tree, in the words of somebody who writes YAML.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::tree::{KeyPath, Node, Value, below};

/// What is wrong with one part of the tree.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) what: What,
    /// The way to the part, innermost step first.
    steps: Vec<String>,
}

#[derive(Debug)]
pub(super) enum What {
    /// The last step is a key that does not exist here.
    UnknownKey { help: String, meant: Option<String> },
    /// The part lacks a key that it must have, being of the struct of that name.
    Missing { key: &'static str, of: Option<&'static str> },
    /// The part has one key of several, and this one is not among them.
    UnknownVariant { key: String, help: String },
    /// The part itself is not what it should be.
    Wrong { message: String, help: Option<String> },
}

impl ReadError {
    fn new(what: What) -> Self {
        ReadError { what, steps: Vec::new() }
    }

    pub(super) fn inside(mut self, step: impl Into<String>) -> Self {
        self.steps.push(step.into());
        self
    }

    /// Says which struct lacks a key.
    pub(super) fn of(mut self, name: &'static str) -> Self {
        if let What::Missing { of, .. } = &mut self.what
            && self.steps.is_empty()
        {
            *of = Some(name);
        }
        self
    }

    pub(super) fn path(&self) -> Vec<String> {
        self.steps.iter().rev().cloned().collect()
    }

    pub(super) fn problem(&self, tree: &Node, path: &KeyPath) -> Problem {
        let last = path.last().map_or("", String::as_str);
        match &self.what {
            What::UnknownKey { help, .. } => {
                Problem::error(tree.place_of(path), format!("unknown key `{last}`")).help(help)
            }
            What::Missing { key, .. } => missing(tree, path, key),
            What::UnknownVariant { key, help } => {
                let place = match tree.get(path).map(|node| &node.value) {
                    Some(Value::Map(_)) => tree.place_of(&below(path, key)),
                    _ => tree.value_place(path),
                };
                Problem::error(place, format!("`{key}` is not known here")).help(help)
            }
            What::Wrong { message, help } => {
                let problem = Problem::error(tree.value_place(path), message);
                help.iter().fold(problem, Problem::help)
            }
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(text: T) -> Self {
        let text = text.to_string();
        let (message, help) = match text.split_once('\n') {
            Some((message, help)) => (message.to_owned(), Some(help.to_owned())),
            None => (text, None),
        };
        ReadError::new(What::Wrong { message, help })
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Str(_) => "a text",
            Unexpected::Seq => "a list",
            Unexpected::Map | Unexpected::NewtypeStruct => "keys",
            Unexpected::Unit | Unexpected::Option => "nothing",
            Unexpected::Bool(_) => "true or false",
            Unexpected::Signed(_) | Unexpected::Unsigned(_) => "a whole number",
            _ => "something else",
        };
        let message = format!("wanted {}, found {found}", plainly(wanted));
        let help = (found == "nothing")
            .then(|| "write a value, or take the key out to have its default".to_owned());
        ReadError::new(What::Wrong { message, help })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let message = match found {
            Unexpected::Signed(n) => format!("{n} is out of range: wanted {}", plainly(wanted)),
            Unexpected::Unsigned(n) => format!("{n} is out of range: wanted {}", plainly(wanted)),
            _ => format!("wanted {}", plainly(wanted)),
        };
        ReadError::new(What::Wrong { message, help: None })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let meant = nearest(field, expected.iter().copied());
        let what =
            What::UnknownKey { help: choice(meant, expected), meant: meant.map(str::to_owned) };
        ReadError::new(what)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let help = choice(nearest(variant, expected.iter().copied()), expected);
        ReadError::new(What::UnknownVariant { key: variant.to_owned(), help })
    }

    fn missing_field(key: &'static str) -> Self {
        ReadError::new(What::Missing { key, of: None })
    }
}

/// The problem of a key that is not there.
pub(super) fn missing(tree: &Node, path: &KeyPath, key: &str) -> Problem {
    let message = match path.last() {
        None => format!("the key `{key}` is missing"),
        Some(last) => format!("`{last}` has no `{key}`"),
    };
    Problem::error(tree.place_of(path), message).help(format!("add `{key}:` with its value"))
}

pub(super) fn choice(meant: Option<&str>, expected: &[&str]) -> String {
    match (meant, expected) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, []) => "nothing can be written here".to_owned(),
        (None, [only]) => format!("write `{only}`"),
        (None, all) => format!("write one of `{}`", all.join("`, `")),
    }
}

/// What serde expects, in the words of somebody who writes YAML.
fn plainly(wanted: &dyn Expected) -> String {
    let wanted = wanted.to_string();
    match wanted.as_str() {
        text if text.starts_with("struct ") || text == "a map" => "keys with values".to_owned(),
        text if text.starts_with("enum ") => "one word or one key".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a string" | "path string" => "a text".to_owned(),
        text if text.starts_with("a nonzero") => "a whole number from 1".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0".to_owned(),
        _ => wanted,
    }
}
