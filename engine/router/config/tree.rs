//! What a file says: texts, lists and keys, each with its place.

use std::fmt;
use std::sync::Arc;

/// Where something was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// A file, a preset (`preset itk-2.4`), or an override (`--set engine.data`).
    pub file: Arc<str>,
    /// Counted from 1; 0 outside a file.
    pub line: u32,
    /// In characters, counted from 1; 0 outside a file.
    pub column: u32,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

/// A value, not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: an empty value, `null` or `~`.
    Null,
    /// A text as it was written. `plain` if YAML itself would take it for a number or a truth value.
    Text {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub node: Node,
}

/// The way from the root to a value: keys, and for lists the number counted from 1.
pub type KeyPath = [String];

/// The path to a key of what a path leads to.
pub(super) fn below(path: &KeyPath, key: &str) -> Vec<String> {
    let mut path = path.to_vec();
    path.push(key.to_owned());
    path
}

impl Place {
    pub fn file(file: &str, line: u32, column: u32) -> Place {
        Place { file: file.into(), line, column }
    }

    /// A place that is not in a file.
    pub fn outside(what: &str) -> Place {
        Place::file(what, 0, 0)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

impl Node {
    /// A tree that says nothing.
    pub fn nothing() -> Node {
        Node { place: Place::outside(""), value: Value::Map(Vec::new()) }
    }

    /// The value a path leads to.
    pub fn get<K: AsRef<str>>(&self, path: &[K]) -> Option<&Node> {
        let Some((step, rest)) = path.split_first() else { return Some(self) };
        let next = match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == step.as_ref()).map(|e| &e.node),
            Value::List(nodes) => {
                step.as_ref().parse().ok().and_then(|n: usize| nodes.get(n.checked_sub(1)?))
            }
            _ => None,
        };
        next?.get(rest)
    }

    /// The place of the key a path ends in, or of the nearest thing above it that was said.
    pub fn place_of<K: AsRef<str>>(&self, path: &[K]) -> &Place {
        let Some((step, rest)) = path.split_first() else { return &self.place };
        match &self.value {
            Value::Map(entries) => match entries.iter().find(|e| e.key == step.as_ref()) {
                Some(entry) if rest.is_empty() => &entry.place,
                Some(entry) if entry.node.get(&rest[..1]).is_none() => &entry.place,
                Some(entry) => entry.node.place_of(rest),
                None => &self.place,
            },
            _ => self.get(&path[..1]).map_or(&self.place, |node| node.place_of(rest)),
        }
    }

    /// The place of the value a path leads to, or of the nearest thing above it that was said.
    pub fn value_place<K: AsRef<str>>(&self, path: &[K]) -> &Place {
        self.get(path).map_or_else(|| self.place_of(path), |node| &node.place)
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The text of a value that is one.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text { text, .. } = &self.value { Some(text) } else { None }
    }

    /// Gives everything here one place.
    pub(super) fn replace(&mut self, place: &Place) {
        self.each_place(&mut |at| at.clone_from(place));
    }

    /// Gives everything here the name of one file.
    pub(super) fn rename(&mut self, file: &Arc<str>) {
        self.each_place(&mut |at| at.file.clone_from(file));
    }

    fn each_place(&mut self, change: &mut impl FnMut(&mut Place)) {
        change(&mut self.place);
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.each_place(change)),
            Value::Map(entries) => {
                for entry in entries {
                    change(&mut entry.place);
                    entry.node.each_place(change);
                }
            }
            Value::Null | Value::Text { .. } => {}
        }
    }

    /// Takes out what a path leads to; the root stays.
    pub(super) fn remove(&mut self, path: &KeyPath) -> bool {
        let Some((step, rest)) = path.split_first() else { return false };
        match &mut self.value {
            Value::Map(entries) => {
                let Some(at) = entries.iter().position(|entry| &entry.key == step) else {
                    return false;
                };
                if rest.is_empty() {
                    entries.remove(at);
                    return true;
                }
                entries[at].node.remove(rest)
            }
            Value::List(nodes) => {
                let Some(at) = step.parse::<usize>().ok().and_then(|n| n.checked_sub(1)) else {
                    return false;
                };
                match nodes.get_mut(at) {
                    Some(_) if rest.is_empty() => {
                        nodes.remove(at);
                        true
                    }
                    Some(node) => node.remove(rest),
                    None => false,
                }
            }
            _ => false,
        }
    }

    /// Puts a value where a path leads, making the maps on the way; says if it did.
    pub(super) fn set(&mut self, path: &KeyPath, new: Node) -> bool {
        let Some((step, rest)) = path.split_first() else {
            *self = new;
            return true;
        };
        if self.value == Value::Null {
            self.value = Value::Map(Vec::new());
        }
        match &mut self.value {
            Value::Map(entries) => {
                let at = entries.iter().position(|entry| &entry.key == step);
                let at = at.unwrap_or_else(|| {
                    let place = new.place.clone();
                    let node = Node { place: place.clone(), value: Value::Null };
                    entries.push(Entry { key: step.clone(), place, node });
                    entries.len() - 1
                });
                entries[at].node.set(rest, new)
            }
            Value::List(nodes) => {
                let at = step.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                at.and_then(|at| nodes.get_mut(at)).is_some_and(|node| node.set(rest, new))
            }
            _ => false,
        }
    }

    /// Adds what `below` says and this does not. Lists are taken whole, not joined.
    pub(super) fn underlay(&mut self, below: &Node) {
        if let (Value::Map(entries), Value::Map(others)) = (&mut self.value, &below.value) {
            for other in others {
                match entries.iter_mut().find(|entry| entry.key == other.key) {
                    Some(entry) => entry.node.underlay(&other.node),
                    None => entries.push(other.clone()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml::parse;

    fn tree(text: &str) -> Node {
        parse("channels.yaml", text).expect("yaml")
    }

    fn text<'a>(node: &'a Node, path: &[&str]) -> &'a str {
        node.get(path).and_then(Node::text).unwrap_or_default()
    }

    #[test]
    fn a_place_falls_back_to_what_was_said_above() {
        let tree = tree("a:\n  b: { c: 1 }\n");
        assert_eq!(tree.place_of(&["a", "b", "missing"]).column, 3);
        assert_eq!(tree.place_of(&["a", "b", "missing", "deeper"]).line, 2);
    }

    #[test]
    fn what_lies_below_shows_only_where_nothing_covers_it() {
        let mut upper = tree("a: { x: 1, list: [1] }\n");
        upper.underlay(&tree("a: { x: 2, y: 3, list: [2, 3] }\nb: 4\n"));
        assert_eq!(text(&upper, &["a", "x"]), "1");
        assert_eq!(text(&upper, &["a", "y"]), "3");
        assert!(upper.get(&["a", "list", "2"]).is_none());
        assert_eq!(text(&upper, &["b"]), "4");
    }

    #[test]
    fn a_value_can_be_put_where_nothing_was_and_taken_out_again() {
        let mut tree = tree("list: [{ x: 1 }]\n");
        let path = |text: &str| text.split('.').map(str::to_owned).collect::<Vec<_>>();
        let value = |text: &str| parse("--set", text).expect("yaml");
        assert!(tree.set(&path("broker.amqp.exchange"), value("a")));
        assert!(tree.set(&path("list.1.x"), value("b")));
        assert!(!tree.set(&path("list.2.x"), value("c")));
        assert_eq!(text(&tree, &["broker", "amqp", "exchange"]), "a");
        assert_eq!(text(&tree, &["list", "1", "x"]), "b");
        assert!(tree.remove(&path("list.1")) && !tree.remove(&path("list.1")));
    }
}
