//! YAML as a tree: what the parser reads, with the text and the place of everything.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};

use crate::config::problem::Problem;
use crate::config::tree::{Entry, Node, Place, Value};

/// Reads a YAML text. A text that is not YAML has one problem: nothing after it can be read.
pub fn parse(file: &str, text: &str) -> Result<Node, Problem> {
    let start = Place::file(file, 1, 1);
    let said = text.lines().any(|line| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && line != "---"
    });
    if !said {
        return Ok(Node { place: start, value: Value::Map(Vec::new()) });
    }
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Raw>(text, options) {
        Ok(raw) => Ok(raw.placed(&start.file, text)),
        Err(error) => Err(unreadable(&start, &error)),
    }
}

/// A YAML error as a problem, at its place and without the parser's own mention of it.
fn unreadable(start: &Place, error: &serde_saphyr::Error) -> Problem {
    let error = error.without_snippet();
    let text = error.to_string();
    let (place, text) = match error.location() {
        Some(at) => {
            let suffix = format!(" at line {}, column {}", at.line(), at.column());
            let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
            let place =
                Place { line: number(at.line()), column: number(at.column()), ..start.clone() };
            (place, text.replace(&suffix, ""))
        }
        None => (start.clone(), text),
    };
    let text = text.lines().next().unwrap_or_default().to_owned();
    let problem = Problem::error(&place, text);
    match error {
        serde_saphyr::Error::DuplicateMappingKey { .. } => {
            problem.help("write each key once; this one was already said above")
        }
        _ => problem.help(
            "look at the indentation, the colons and the quotes on this line and the one above",
        ),
    }
}

/// A YAML value as the parser gives it.
struct Raw(Spanned<Shape>);

enum Shape {
    Null,
    /// A number or truth value, whose text must be taken from the source.
    Plain(String),
    Text(String),
    List(Vec<Raw>),
    Map(Vec<(Spanned<String>, Raw)>),
}

impl Raw {
    fn placed(self, file: &Arc<str>, source: &str) -> Node {
        let place = place(file, &self.0.referenced);
        let value = match self.0.value {
            Shape::Null => Value::Null,
            Shape::Text(text) => Value::Text { text, plain: false },
            Shape::Plain(said) => {
                let text = written_at(source, &self.0.defined).map_or(said, str::to_owned);
                Value::Text { text, plain: true }
            }
            Shape::List(raws) => {
                Value::List(raws.into_iter().map(|raw| raw.placed(file, source)).collect())
            }
            Shape::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, raw)| Entry {
                        place: self::place(file, &key.referenced),
                        key: key.value,
                        node: raw.placed(file, source),
                    })
                    .collect(),
            ),
        };
        Node { place, value }
    }
}

fn place(file: &Arc<str>, at: &serde_saphyr::Location) -> Place {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place { file: file.clone(), line: number(at.line()), column: number(at.column()) }
}

/// A number as it was written: `5E1` is an organisation to us, whatever YAML makes of it.
fn written_at<'a>(source: &'a str, at: &serde_saphyr::Location) -> Option<&'a str> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    source.get(start..start.checked_add(length)?).map(str::trim).filter(|text| !text.is_empty())
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Raw)
    }
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyShape;

        impl<'de> Visitor<'de> for AnyShape {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a list or keys")
            }

            fn visit_unit<E>(self) -> Result<Shape, E> {
                Ok(Shape::Null)
            }

            fn visit_none<E>(self) -> Result<Shape, E> {
                Ok(Shape::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Shape, E> {
                Ok(Shape::Plain(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Shape, E> {
                Ok(Shape::Plain(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Shape, E> {
                Ok(Shape::Plain(value.to_string()))
            }

            fn visit_i128<E>(self, value: i128) -> Result<Shape, E> {
                Ok(Shape::Plain(value.to_string()))
            }

            fn visit_u128<E>(self, value: u128) -> Result<Shape, E> {
                Ok(Shape::Plain(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Shape, E> {
                Ok(Shape::Plain(value.to_string()))
            }

            fn visit_str<E>(self, value: &str) -> Result<Shape, E> {
                Ok(Shape::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut raws = Vec::new();
                while let Some(raw) = list.next_element()? {
                    raws.push(raw);
                }
                Ok(Shape::List(raws))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Shape::Map(entries))
            }
        }

        deserializer.deserialize_any(AnyShape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Node {
        parse("channels.yaml", text).expect("yaml")
    }

    fn at(node: &Node, path: &[&str]) -> (u32, u32, String) {
        let node = node.get(path).expect("there");
        (node.place.line, node.place.column, node.text().unwrap_or_default().to_owned())
    }

    #[test]
    fn every_value_keeps_its_text_and_its_place() {
        let tree = tree("a:\n  code: 5E1\n  list: [yes, 0123, \"7\", true, 1.50]\n  none:\n");
        assert_eq!(at(&tree, &["a", "code"]), (2, 9, "5E1".into()));
        assert_eq!(at(&tree, &["a", "list", "2"]), (3, 15, "0123".into()));
        assert_eq!(at(&tree, &["a", "list", "5"]).2, "1.50");
        assert_eq!(tree.place_of(&["a", "list"]), &Place::file("channels.yaml", 3, 3));
        assert_eq!(tree.get(&["a", "none"]).map(|node| &node.value), Some(&Value::Null));
        let plain = |n: &str| match &tree.get(&["a", "list", n]).expect("there").value {
            Value::Text { plain, .. } => *plain,
            _ => false,
        };
        assert!(!plain("1") && !plain("2") && !plain("3") && plain("4"));
    }

    #[test]
    fn a_key_said_twice_is_found_at_its_second_place() {
        let problem = parse("channels.yaml", "a: 1\nb: 2\na: 3\n").expect_err("twice");
        assert_eq!((problem.line, problem.column), (3, 1));
        assert!(problem.message.contains("duplicate") && !problem.message.contains("line 3"));
    }

    #[test]
    fn broken_yaml_is_found_where_it_breaks() {
        let problem = parse("channels.yaml", "a: [1, 2\nb: 3\n").expect_err("no end");
        assert!(problem.line >= 1 && !problem.message.contains("at line"), "{problem}");
    }

    #[test]
    fn an_empty_file_says_nothing() {
        assert_eq!(tree("# only a comment\n---\n").entries(), []);
    }

    #[test]
    fn anchors_are_followed() {
        let tree = tree("base: &base { x: 1 }\nother: *base\n");
        assert_eq!(at(&tree, &["other", "x"]).2, "1");
    }
}
