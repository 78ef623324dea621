//! Presets: what is usual for a kind of feed, as trees that lie below what the trust wrote.

use std::sync::Arc;

use crate::config::nearest::nearest;
use crate::config::problem::Problem;
use crate::config::tree::{Node, Value};
use crate::config::yaml;

/// A kind of feed and what is usual for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    pub name: &'static str,
    /// Keys of a channel, as YAML.
    pub text: &'static str,
}

/// The preset of a channel that names none.
pub const USUAL: &str = "generic";

/// Every preset.
pub const PRESETS: [Preset; 6] = [
    Preset { name: USUAL, text: include_str!("presets/generic.yaml") },
    Preset { name: "itk-2.4", text: include_str!("presets/itk-2.4.yaml") },
    Preset { name: "welsh-pims", text: include_str!("presets/welsh-pims.yaml") },
    Preset { name: "cerner-millennium", text: include_str!("presets/cerner-millennium.yaml") },
    Preset { name: "carecast", text: include_str!("presets/carecast.yaml") },
    Preset { name: "hl7-2.3.1-community", text: include_str!("presets/hl7-2.3.1-community.yaml") },
];

/// Lays below each channel what its preset says. A preset that does not exist is a problem.
pub(super) fn apply(tree: &mut Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Value::Map(sections) = &mut tree.value else { return problems };
    let channels = sections.iter_mut().find(|section| section.key == "channels");
    let Some(Value::Map(channels)) = channels.map(|section| &mut section.node.value) else {
        return problems;
    };
    for channel in channels {
        let said = channel.node.get(&["source", "preset"]);
        let name = said.and_then(Node::text).unwrap_or(USUAL);
        match PRESETS.iter().find(|preset| preset.name == name) {
            // Without a `source` the channel is not one, and only that must be said of it.
            Some(preset) if channel.node.get(&["source"]).is_some_and(is_map) => {
                channel.node.underlay(&preset.tree());
            }
            Some(_) => {}
            None => problems.push(unknown(name, said.map_or(&channel.node, |node| node))),
        }
    }
    problems
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Map(_))
}

fn unknown(name: &str, at: &Node) -> Problem {
    let names = PRESETS.map(|preset| preset.name);
    let problem = Problem::error(&at.place, format!("there is no preset `{name}`"));
    match nearest(name, names) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem.help(format!("there are `{}`", names.join("`, `"))),
    }
}

impl Preset {
    fn tree(&self) -> Node {
        let mut tree = yaml::parse(self.name, self.text).unwrap_or_else(|_| Node::nothing());
        let file: Arc<str> = format!("preset {}", self.name).into();
        tree.rename(&file);
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_says_only_what_a_channel_can_say() {
        for preset in PRESETS {
            let text = format!(
                "channels:\n  x:\n    listener: {{ mllp: {{ listen: 127.0.0.1:1 }} }}\n    \
                 source: {{ organisation: RXX, preset: {} }}\n    transform: {{ script: x.rhai }}\n",
                preset.name
            );
            let mut tree = yaml::parse("c.yaml", &text).expect("yaml");
            assert_eq!(apply(&mut tree), []);
            let reading = crate::config::reader::read::<crate::config::model::Config>(tree);
            assert_eq!(reading.problems, [], "{}", preset.name);
        }
    }

    #[test]
    fn a_channel_goes_before_its_preset_key_by_key() {
        let text = "channels: { x: { source: { preset: itk-2.4, charset: UTF-8 } } }\n";
        let mut tree = yaml::parse("c.yaml", text).expect("yaml");
        assert_eq!(apply(&mut tree), []);
        let source = tree.get(&["channels", "x", "source"]).expect("source");
        assert_eq!(source.get(&["charset"]).and_then(Node::text), Some("UTF-8"));
        let zone = source.get(&["zone"]).expect("from the preset");
        assert!(zone.place.to_string().starts_with("preset itk-2.4"), "{}", zone.place);
    }

    #[test]
    fn a_preset_that_does_not_exist_is_named_with_the_one_that_was_meant() {
        let mut tree = yaml::parse("c.yaml", "channels: { x: { source: { preset: itk-2.5 } } }\n")
            .expect("yaml");
        let problems = apply(&mut tree);
        assert_eq!(problems[0].help.as_deref(), Some("did you mean `itk-2.4`?"));
        assert_eq!(problems[0].column, 36);
    }
}
