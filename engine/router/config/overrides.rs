//! Keys given on the command line, which go before what the files say.

use std::path::PathBuf;

use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::tree::{Node, Place, Value};
use crate::config::yaml;

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `KEY=VALUE` for any key: `engine.console.listen=127.0.0.1:0`. The value is YAML; a part of a
    /// list is named by its number, from 1.
    pub set: Vec<String>,
    /// The data folder, instead of `engine.data`; relative to where the program was started.
    pub data: Option<PathBuf>,
}

/// Puts each override into the tree. One that cannot be put anywhere is a problem.
pub(super) fn apply(tree: &mut Node, set: &[String]) -> Vec<Problem> {
    set.iter().filter_map(|text| apply_one(tree, text).err()).collect()
}

/// Puts the data folder into the tree.
pub(super) fn apply_data(tree: &mut Node, data: &std::path::Path) {
    let text = data.to_string_lossy().into_owned();
    let node = Node { place: Place::outside("--data"), value: Value::Text { text, plain: false } };
    tree.set(&["engine".to_owned(), "data".to_owned()], node);
}

fn apply_one(tree: &mut Node, text: &str) -> Result<(), Problem> {
    let Some((key, value)) = text.split_once('=') else {
        let place = Place::outside("--set");
        return Err(Problem::error(&place, "an override has no `=`")
            .help("write KEY=VALUE, such as engine.console.listen=127.0.0.1:9090"));
    };
    // The value stays out of the name of the place: it may be what a person should not see.
    let place = Place::outside(&format!("--set {key}"));
    let path: Vec<String> = key.trim().split('.').map(str::to_owned).collect();
    if path.iter().any(String::is_empty) {
        return Err(Problem::error(&place, "the key has an empty part")
            .help("write the keys on the way with full stops between them"));
    }
    known_name(tree, &path, &place)?;
    let mut node = match yaml::parse(&place.file, &format!("value: {value}\n")) {
        Ok(root) => root.get(&["value"]).cloned(),
        Err(_) => None,
    }
    .ok_or_else(|| {
        Problem::error(&place, "the value is not YAML").help("put it in quotes, as in a file")
    })?;
    node.replace(&place);
    if tree.set(&path, node) {
        Ok(())
    } else {
        Err(Problem::error(&place, "the key goes through something that has no keys")
            .help("a part of a list is named by its number, from 1"))
    }
}

/// Names of channels and subscribers are given by the files: a new one here is a slip.
fn known_name(tree: &Node, path: &[String], place: &Place) -> Result<(), Problem> {
    let [section, name, ..] = path else { return Ok(()) };
    let noun = match section.as_str() {
        "channels" => "channel",
        "subscribers" => "subscriber",
        _ => return Ok(()),
    };
    let names: Vec<&str> = tree
        .get(&[section])
        .map_or(&[][..], Node::entries)
        .iter()
        .map(|e| e.key.as_str())
        .collect();
    if names.contains(&name.as_str()) {
        return Ok(());
    }
    let problem = Problem::error(place, format!("there is no {noun} `{name}`"));
    Err(match nearest(name, names.iter().copied()) {
        Some(meant) => problem.help(format!("did you mean `{section}.{meant}`?")),
        None if names.is_empty() => problem.help(format!("the configuration has no {noun}")),
        None => problem.help(format!("there are `{}`", names.join("`, `"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        yaml::parse("c.yaml", "engine: { environment: live }\nchannels: { pas-adt: { accept: { senders: [A/B] } } }\n")
            .expect("yaml")
    }

    fn apply_to(tree: &mut Node, text: &str) -> Vec<String> {
        let problems = apply(tree, &[text.to_owned()]);
        problems.iter().map(|p| format!("{p} [{}]", p.help.as_deref().unwrap_or(""))).collect()
    }

    #[test]
    fn an_override_goes_before_the_file_and_says_so() {
        let mut tree = tree();
        assert!(apply_to(&mut tree, "engine.environment=test").is_empty());
        assert!(apply_to(&mut tree, "engine.console.listen=127.0.0.1:0").is_empty());
        assert!(apply_to(&mut tree, "channels.pas-adt.accept.senders.1=PAS/RXX01").is_empty());
        assert!(apply_to(&mut tree, "channels.pas-adt.accept.types=[ADT, ORU]").is_empty());
        let node = tree.get(&["engine", "console", "listen"]).expect("set");
        assert_eq!(node.text(), Some("127.0.0.1:0"));
        assert_eq!(node.place.to_string(), "--set engine.console.listen");
        assert_eq!(
            tree.get(&["channels", "pas-adt", "accept", "types", "2"]).and_then(Node::text),
            Some("ORU")
        );
    }

    #[test]
    fn a_slip_in_an_override_is_named_without_its_value() {
        let mut tree = tree();
        assert_eq!(
            apply_to(&mut tree, "channels.pas-adr.order=patient"),
            [
                "--set channels.pas-adr.order: there is no channel `pas-adr` [did you mean `channels.pas-adt`?]"
            ]
        );
        let found = apply_to(&mut tree, "engine.environment.x=hunter2");
        assert!(found.len() == 1 && !found[0].contains("hunter2"), "{found:?}");
        assert_eq!(apply_to(&mut tree, "engine.data").len(), 1);
        assert_eq!(apply_to(&mut tree, "engine..data=x").len(), 1);
        assert_eq!(apply_to(&mut tree, "engine.data=[").len(), 1);
    }
}
